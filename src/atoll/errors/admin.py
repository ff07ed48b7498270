"""Errors of the admin API. DynamoDB has no such API; codes and form follow the other errors."""

from __future__ import annotations

from atoll.errors import CORAL, ApiError, validation


def _denied(message: str) -> ApiError:
    return ApiError("AccessDeniedException", message, status=403, prefix=CORAL)


def credential_is_no_admin(access_key: str) -> ApiError:
    return _denied(f"The access key {access_key} may not administer this server: it was created without --admin")


def open_to_strangers() -> ApiError:
    return _denied(
        "Other machines can reach this server without a signature: start it with --auth sigv4 or --admin-token"
    )


def wrong_token() -> ApiError:
    return _denied("The bearer token is not the one that the server was started with (--admin-token)")


def page_of_another_origin(origin: str) -> ApiError:
    return _denied(f"Pages of {origin} may not administer this server without a signature")


def unknown_action(method: str, path: str) -> ApiError:
    return ApiError("UnknownOperationException", f"There is no {method} {path}", status=404, prefix=CORAL)


def clock_is_not_manual() -> ApiError:
    return validation("The clock is the system's; only a manual one can be moved: start the server with --clock manual")


def one_of(names: list[str]) -> ApiError:
    return validation(f"The body has to be a JSON object with one of: {', '.join(names)}")


def bad_duration(value: object) -> ApiError:
    return validation(f"{value!r} is not a duration: say a number of seconds, or as in 25h, 1h30m, 90s, 500ms, 7d")


def bad_time(value: object) -> ApiError:
    return validation(f"{value!r} is not a time: say seconds since 1970, or as in 2026-01-02T03:04:05Z")


def back_in_time() -> ApiError:
    return validation("A clock advances by a positive duration; set it to go back")


def stream_required() -> ApiError:
    return validation("The body has to be a JSON object with the name of a table, or the ARN of a stream, as stream")


def region_expected() -> ApiError:
    return validation("The body has to be empty, or a JSON object with the name of a region, as region")


def region_not_open(region: str) -> ApiError:
    return validation(f"This server has no open store of the region {region}")


def unknown_principal(name: object) -> ApiError:
    return validation(f"principal: no user or role {name!r} is declared")


def bad_context() -> ApiError:
    return validation("context must have a text, or a list of texts, for each condition key")


def bad_resource(resource: str) -> ApiError:
    return validation(f"resource: {resource!r} is neither an ARN nor *")


def unknown_operation(name: str) -> ApiError:
    return validation(f"operation: there is no {name!r}")
