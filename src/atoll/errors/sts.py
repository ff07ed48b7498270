"""Errors of the Security Token Service. Its codes have no prefix."""

from __future__ import annotations

from atoll.errors import ApiError


def _denied(message: str) -> ApiError:
    return ApiError("AccessDenied", message, status=403, prefix="")


def _invalid(message: str) -> ApiError:
    return ApiError("ValidationError", message, prefix="")


def _invalid_token(message: str) -> ApiError:
    return ApiError("InvalidIdentityToken", message, prefix="")


def not_authorized(principal: str, action: str, resource: str) -> ApiError:
    """The caller may not act as the role; the text is the same if the role does not exist."""
    return _denied(f"User: {principal} is not authorized to perform: {action} on resource: {resource}")


def root_assumes_no_role() -> ApiError:
    return _denied("Roles may not be assumed by root accounts.")


def session_of_session() -> ApiError:
    return _denied("Cannot call GetSessionToken with session credentials")


def web_identity_not_trusted() -> ApiError:
    return _denied("Not authorized to perform sts:AssumeRoleWithWebIdentity")


def longer_than_role_allows() -> ApiError:
    return _invalid("The requested DurationSeconds exceeds the MaxSessionDuration set for this role.")


def longer_than_chain_allows() -> ApiError:
    return _invalid("The requested DurationSeconds exceeds the 1-hour session limit for roles assumed by role chaining")


def longer_than_root_may() -> ApiError:
    return _invalid("The requested DurationSeconds exceeds the 1-hour session limit of the account's root")


def tag_lacks(number: int, member: str) -> ApiError:
    return _invalid(
        f"1 validation error detected: Value null at 'tags.{number}.member.{member.lower()}' failed to satisfy "
        "constraint: Member must not be null"
    )


def tag_twice(key: str) -> ApiError:
    return _invalid(f"Duplicate tag keys found. Please note that Tag keys are case insensitive: {key}")


def inherited_tag(key: str) -> ApiError:
    return _invalid(f"The session tag {key} is inherited from the calling session and cannot be set again")


def transitive_tag_unknown(key: str) -> ApiError:
    return _invalid(f"The specified transitive tag key must be included in the requested tags: {key}")


def malformed_policy(fault: str) -> ApiError:
    return ApiError("MalformedPolicyDocument", fault, prefix="")


def unknown_policy(arn: str) -> ApiError:
    return malformed_policy(f"The policy {arn} does not exist")


def packed_too_large(percent: int) -> ApiError:
    return ApiError(
        "PackedPolicyTooLarge",
        f"Packed size of session tags and policies consumes {percent}% of allotted space.",
        prefix="",
    )


def unknown_provider(issuer: str) -> ApiError:
    return _invalid_token(f"No OpenIDConnect provider found in your account for {issuer}")


def wrong_audience() -> ApiError:
    return _invalid_token("Incorrect token audience")


def not_a_token() -> ApiError:
    return _invalid_token(
        "The ID Token provided is not a valid JWT. (You may see this error if you sent an Access Token)"
    )


def unverified_token() -> ApiError:
    return _invalid_token("Couldn't verify the signature of the token with a key of your identity provider")


def web_token_expired() -> ApiError:
    return ApiError("ExpiredTokenException", "Token expired: the token must be used before its expiration", prefix="")


def no_keys(fault: str) -> ApiError:
    return ApiError("IDPCommunicationError", f"The keys of the identity provider cannot be read: {fault}", prefix="")
