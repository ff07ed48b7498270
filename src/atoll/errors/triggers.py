"""Errors of the Lambda API for event source mappings and the functions that they invoke."""

from __future__ import annotations

from atoll import limits
from atoll.errors import ApiError, not_served

_USER = {"Type": "User"}


def _invalid(message: str) -> ApiError:
    return ApiError("InvalidParameterValueException", message, prefix="", fields=_USER)


def _not_found(message: str) -> ApiError:
    return ApiError("ResourceNotFoundException", message, status=404, prefix="", fields=_USER)


def mapping_not_found() -> ApiError:
    return _not_found("The resource you requested does not exist.")


def function_not_found(arn: str) -> ApiError:
    return _not_found(f"Function not found: {arn}")


def function_does_not_exist() -> ApiError:
    """A mapping names a function that does not exist."""
    return _invalid("Function does not exist")


def mapping_exists(stream_arn: str, function: str, uuid: str) -> ApiError:
    return ApiError(
        "ResourceConflictException",
        f'The event source arn (" {stream_arn} ") and function (" {function} ") provided mapping already exists. '
        f"Please update or delete the existing mapping with UUID {uuid}",
        status=409,
        prefix="",
        fields=_USER,
    )


def source_unrecognized() -> ApiError:
    return _invalid("Unrecognized event source.")


def stream_not_found(arn: str) -> ApiError:
    return _invalid(f"Stream not found: {arn}")


def position_required() -> ApiError:
    return ApiError(
        "ValidationException",
        "1 validation error detected: Value null at 'startingPosition' failed to satisfy constraint: "
        "Member must not be null.",
        prefix="",
    )


def position_unsupported(arn: str) -> ApiError:
    return _invalid(f"Unsupported starting position for arn type: {arn}")


def filter_invalid() -> ApiError:
    return _invalid("Invalid filter pattern definition.")


def too_many_filters() -> ApiError:
    return _invalid(f"An event source mapping may have {limits.FILTERS} filters at most.")


def record_age_invalid() -> ApiError:
    return _invalid(
        f"MaximumRecordAgeInSeconds must be -1 or at least {limits.RECORD_AGE_SECONDS}.",
    )


def window_in_parallel() -> ApiError:
    return _invalid("A tumbling window needs a parallelization factor of 1.")


def destination_not_found(arn: str) -> ApiError:
    return _invalid(f"Destination not found: {arn}")


def payload_invalid(detail: str) -> ApiError:
    return ApiError(
        "InvalidRequestContentException",
        f"Could not parse request body into json: {detail}",
        prefix="",
        fields=_USER,
    )


def payload_too_large(size: int) -> ApiError:
    return ApiError(
        "RequestTooLargeException",
        f"Request must be smaller than {limits.INVOCATION_BYTES} bytes for the InvokeFunction operation; "
        f"it has {size}.",
        status=413,
        prefix="",
        fields=_USER,
    )


def too_many_invocations() -> ApiError:
    """Too many invocations of the function wait; SDKs retry."""
    return ApiError(
        "TooManyRequestsException",
        "Rate Exceeded.",
        status=429,
        prefix="",
        fields={**_USER, "Reason": "CallerRateLimitExceeded"},
    )


def stopping() -> ApiError:
    """The server is stopping and has ended its functions; the client may retry."""
    return ApiError("ServiceException", "The server is stopping.", status=500, prefix="", fields={"Type": "Service"})


def internal() -> ApiError:
    """An internal failure; the client may retry."""
    return ApiError("ServiceException", "Internal server error", status=500, prefix="", fields={"Type": "Service"})


def unknown_path(method: str, path: str) -> ApiError:
    """Atoll does not support this part of the Lambda API."""
    return ApiError("UnknownOperationException", not_served(f"{method} {path}"), status=404, prefix="")
