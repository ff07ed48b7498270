"""Every error that a client can see: its code, its HTTP status and its exact text, each written once.

A module of this package holds the texts of one field (values, expressions, requests, tables, ...) as functions with
typed arguments that *return* an `ApiError`; the caller raises it, so that a reader sees where control leaves.
This page has the error itself and one constructor for each code that is shared by several fields.
"""

from __future__ import annotations

from typing import Any

# The four families of `__type` prefixes. SDKs cut at '#', but their retry rules and users' logs see the whole.
SERVICE = "com.amazonaws.dynamodb.v20120810#"
VALIDATE = "com.amazon.coral.validate#"
CORAL = "com.amazon.coral.service#"
AVAILABILITY = "com.amazon.coral.availability#"


class ApiError(Exception):
    """An answer other than 200.

    `code` is the name without its prefix, `prefix` its family, `fields` are members beside `message`
    (`Item` of a failed condition, `CancellationReasons` of a transaction). `drifts`: see `drifting`; `bare`: see
    `told_bare`.
    """

    def __init__(
        self,
        code: str,
        message: str | None,
        *,
        status: int = 400,
        prefix: str = SERVICE,
        fields: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = status
        self.prefix = prefix
        self.fields = fields
        self.drifts = False
        self.bare = False

    @property
    def item(self) -> dict[str, Any]:
        """The member `Item`, if there is one: of the fields it alone is told of a part of a request, too."""
        return {} if self.fields is None or "Item" not in self.fields else {"Item": self.fields["Item"]}


def drifting(error: ApiError) -> ApiError:
    """A validation error that the service has told writes in its envelope since 2026; see `in_envelope`."""
    error.drifts = True
    return error


def in_envelope(error: ApiError) -> ApiError:
    """An error of PutItem or UpdateItem as the service has worded it since 2026."""
    return validation(f"1 validation error detected: {error.message}") if error.drifts else error


def told_bare(error: ApiError) -> ApiError:
    """What is wrong with a value: an ExclusiveStartKey that has it is not called invalid beside it."""
    error.bare = True
    return error


def validation(message: str) -> ApiError:
    return ApiError("ValidationException", message, prefix=VALIDATE)


def invalid_parameter(detail: str) -> ApiError:
    """The most common family of validation texts."""
    return validation(f"One or more parameter values were invalid: {detail}")


def serialization(message: str | None = None) -> ApiError:
    """The body is no JSON, or a JSON value has a type that its member cannot take."""
    return ApiError("SerializationException", message, prefix=CORAL)


def unknown_operation() -> ApiError:
    return ApiError("UnknownOperationException", None, prefix=CORAL)


def internal() -> ApiError:
    """Something failed on our side; the client may retry. Nothing was acknowledged."""
    return ApiError("InternalServerError", "Internal server error", status=500)


def access_denied(message: str) -> ApiError:
    return ApiError("AccessDeniedException", message, prefix=CORAL)


def resource_not_found(message: str = "Requested resource not found") -> ApiError:
    """The data plane's text by default; the control plane names the table."""
    return ApiError("ResourceNotFoundException", message)


def resource_in_use(message: str) -> ApiError:
    return ApiError("ResourceInUseException", message)


def limit_exceeded(message: str) -> ApiError:
    return ApiError("LimitExceededException", message)


class ConditionFailed(ApiError):
    """`item` is the item as it was, where the request asked for it; `size` its bytes, asked for or not, 0 if there was
    none."""

    def __init__(self, item: Any = None, size: int = 0) -> None:
        fields = None if item is None else {"Item": item}
        super().__init__("ConditionalCheckFailedException", "The conditional request failed", fields=fields)
        self.size = size
