"""Errors of requests from browsers, and of signatures. DynamoDB checks signatures in the order of this module."""

from __future__ import annotations

from collections.abc import Sequence

from atoll.errors import CORAL, ApiError

# Requests from browsers; checked before the signature.


def page_of_another_origin(origin: str) -> ApiError:
    """Sandboxed pages and files have the origin `null`: allowing it would allow all of them."""
    example = "ORIGIN" if origin == "null" else origin
    return ApiError(
        "AccessDeniedException",
        f"Pages of the origin {origin} may not send requests to this server: allow them with --cors-origin {example}",
        status=403,
        prefix=CORAL,
    )


def unknown_host(host: str) -> ApiError:
    return ApiError(
        "AccessDeniedException",
        f"This server is not known by the name {host!r}, and a web page may have made that name resolve to it: "
        "allow the name with --allowed-host",
        status=403,
        prefix=CORAL,
    )


# Signatures


def _incomplete(message: str) -> ApiError:
    return ApiError("IncompleteSignatureException", message, prefix=CORAL)


def _invalid(message: str) -> ApiError:
    return ApiError("InvalidSignatureException", message, prefix=CORAL)


def _unrecognized(message: str) -> ApiError:
    return ApiError("UnrecognizedClientException", message, prefix=CORAL)


def signed_twice() -> ApiError:
    return _invalid("Found both 'X-Amz-Algorithm' as a query-string param and 'Authorization' as HTTP header.")


def missing_token() -> ApiError:
    return ApiError("MissingAuthenticationTokenException", "Request is missing Authentication Token", prefix=CORAL)


def no_key_value_pair(part: str, authorization: str) -> ApiError:
    return _incomplete(
        f"'{part}' not a valid key=value pair (missing equal-sign) in Authorization header: '{authorization}'."
    )


def header_lacks(parameters: Sequence[str], date: bool, authorization: str) -> ApiError:
    """`parameters` are missing from the Authorization header; `date`: the request has no date either."""
    texts = [f"Authorization header requires '{parameter}' parameter." for parameter in parameters]
    if date:
        texts.append("Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header.")
    return _incomplete(" ".join([*texts, f"Authorization={authorization}"]))


def query_lacks(parameters: Sequence[str]) -> ApiError:
    texts = [f"AWS query-string parameters must include '{parameter}'." for parameter in parameters]
    return _incomplete(" ".join([*texts, "Re-examine the query-string parameters."]))


def bad_date(date: str) -> ApiError:
    return _incomplete(
        f"Date must be in ISO-8601 'basic format'. Got '{date}'. See http://en.wikipedia.org/wiki/ISO_8601"
    )


def expires_no_number() -> ApiError:
    return _incomplete("X-Amz-Expires should be a number")


def expires_negative() -> ApiError:
    return _incomplete("X-Amz-Expires must be non-negative")


def expires_too_late(seconds: int) -> ApiError:
    return _incomplete(
        "X-Amz-Expires must be less than a week (in seconds); "
        f"that is, the given X-Amz-Expires must be less than {seconds} seconds"
    )


def signature_expired(signed: str, oldest: str, now: str, allowed: str) -> ApiError:
    """`signed`, `oldest` and `now` are basic ISO dates; `allowed` is a duration such as `15 min.`"""
    return _invalid(f"Signature expired: {signed} is now earlier than {oldest} ({now} - {allowed})")


def signature_not_yet_current(signed: str, latest: str, now: str, allowed: str) -> ApiError:
    return _invalid(f"Signature not yet current: {signed} is still later than {latest} ({now} + {allowed})")


def header_not_signed(header: str) -> ApiError:
    return _invalid(f"'{header}' must be a 'SignedHeader' in the AWS Authorization.")


def unsupported_algorithm(algorithm: str) -> ApiError:
    return _incomplete(f"Unsupported AWS 'algorithm': '{algorithm}' (only AWS4-HMAC-SHA256 for now). ")


def bad_credential(credential: str) -> ApiError:
    return _incomplete(
        "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, "
        f"got '{credential}'"
    )


def bad_scope(
    *,
    region: str | None = None,
    service: str | None = None,
    terminator: str | None = None,
    date: str | None = None,
    stamp: str = "",
) -> ApiError:
    """Names each wrong part of the credential scope. `service` is the expected service, the others are as given."""
    texts = []
    if region is not None:
        texts.append(f"Credential should be scoped to a valid region, not '{region}'.")
    if service is not None:
        texts.append(f"Credential should be scoped to correct service: '{service}'.")
    if terminator is not None:
        texts.append(f"Credential should be scoped with a valid terminator: 'aws4_request', not '{terminator}'.")
    if date is not None:
        texts.append(
            "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: "
            f"'{date}' != '{stamp[:8]}', from '{stamp}'."
        )
    return _invalid(" ".join(texts))


def unknown_access_key() -> ApiError:
    return _unrecognized("The security token included in the request is invalid.")


def wrong_signature(canonical: str, string_to_sign: str) -> ApiError:
    return _invalid(
        "The request signature we calculated does not match the signature you provided. "
        "Check your AWS Secret Access Key and signing method. Consult the service documentation for details.\n\n"
        f"The Canonical String for this request should have been\n'{canonical}'\n\n"
        f"The String-to-Sign should have been\n'{string_to_sign}'\n"
    )


def wrong_session_token() -> ApiError:
    return _unrecognized("The security token included in the request is invalid")


def expired_token() -> ApiError:
    return ApiError("ExpiredTokenException", "The security token included in the request is expired", prefix=CORAL)
