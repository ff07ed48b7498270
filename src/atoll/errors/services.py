"""Errors of the protocols of CloudWatch and other services than DynamoDB."""

from __future__ import annotations

from atoll.errors import CORAL, ApiError

_VARIABLES = (
    "AWS_ENDPOINT_URL sends the requests of all services to this server. To send only some of them, set "
    "AWS_ENDPOINT_URL_DYNAMODB, AWS_ENDPOINT_URL_DYNAMODB_STREAMS, AWS_ENDPOINT_URL_CLOUDWATCH and their siblings "
    "instead."
)


def malformed(message: str) -> ApiError:
    """A request that cannot be read."""
    return ApiError("MalformedInput", message, prefix="")


def unserved(what: str) -> ApiError:
    """A request for a service that Atoll lacks; `what` names it, perhaps with the operation."""
    return ApiError("UnknownOperationException", f"Atoll does not serve {what}. {_VARIABLES}", prefix=CORAL)


def unserved_operation(what: str) -> ApiError:
    """A request for an operation that Atoll lacks, in a service that it serves."""
    return ApiError("UnknownOperationException", f"Atoll does not serve {what}", prefix=CORAL)


def too_large() -> ApiError:
    return ApiError("RequestEntityTooLarge", "Request size exceeded the limit", status=413, prefix="")
