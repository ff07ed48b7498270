"""Every error that a client can see: its code, HTTP status and exact text, each written once.

Each module of this package has the errors of one area (values, expressions, requests, tables, ...) as functions that
*return* an `ApiError`. The caller raises it, so that a reader sees where control leaves. This module defines `ApiError`
and a constructor for each code that several areas share.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import Any

# The four `__type` prefixes. SDKs cut at '#', but their retry rules and users' logs see the whole type.
SERVICE = "com.amazonaws.dynamodb.v20120810#"
VALIDATE = "com.amazon.coral.validate#"
CORAL = "com.amazon.coral.service#"
AVAILABILITY = "com.amazon.coral.availability#"


class ApiError(Exception):
    """An error answer to a client.

    `code` is the name without `prefix`; `fields` are further members besides `message`
    (`Item` of a failed condition, `CancellationReasons` of a transaction). `drifts`, `newer` and `everywhere`: see
    `since_2026`; `bare`: see `keep_in_start_key`; `whole`: see `fails_transaction`; `observed`: see
    `capacity.throttling.observe`.
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
        self.newer: str | None = None
        self.everywhere = False
        self.bare = False
        self.whole = False
        self.observed: tuple[Any, Any, bytes] | None = None

    @property
    def item(self) -> dict[str, Any]:
        """The member `Item`, if any: the only field that errors of a part of a request include, too."""
        return {} if self.fields is None or "Item" not in self.fields else {"Item": self.fields["Item"]}


class Layer(Enum):
    """The part of the service that checks an operation's requests. It determines the wording of errors since 2026."""

    OLDER = auto()
    """Batches, transactions, Scan, PartiQL, the control plane: the wording from before 2026."""
    READS = auto()
    """GetItem, BatchGetItem, Query."""
    WRITES = auto()
    """PutItem, UpdateItem, DeleteItem: most of their validation errors have an envelope."""


ENVELOPE = "1 validation error detected: "


def enveloped_since_2026(error: ApiError, newer: str | None = None) -> ApiError:
    """Mark a validation error that writes report in an envelope since 2026. `newer` is its text since then, without the
    envelope, if it differs."""
    error.drifts = True
    error.newer = newer
    return error


def since_2026(error: ApiError, layer: Layer) -> ApiError:
    """The error in DynamoDB's wording since 2026. `error.newer` replaces the message in the layers READS and WRITES, or
    `everywhere`. Errors with `drifts` get an envelope in WRITES."""
    if layer is Layer.OLDER and not error.everywhere:
        return error
    text = error.message if error.newer is None else error.newer
    if layer is Layer.WRITES and error.drifts:
        text = f"{ENVELOPE}{text}"
    return error if text is None or text == error.message else validation(text)


def keep_in_start_key(error: ApiError) -> ApiError:
    """Mark a value error that is reported unchanged for an ExclusiveStartKey, and for a statement in a transaction.
    Other errors get text around them there."""
    error.bare = True
    return error


def fails_transaction(error: ApiError) -> ApiError:
    """Mark an error that fails a transaction's request as a whole. Other errors cancel the transaction and become one
    of its reasons."""
    error.whole = True
    return error


def validation(message: str) -> ApiError:
    return ApiError("ValidationException", message, prefix=VALIDATE)


def invalid_parameter(detail: str) -> ApiError:
    """A validation error with DynamoDB's most common text."""
    return validation(f"One or more parameter values were invalid: {detail}")


def serialization(message: str | None = None) -> ApiError:
    """The body is not JSON, or a JSON value has the wrong type for its member."""
    return ApiError("SerializationException", message, prefix=CORAL)


def unknown_operation(name: str | None = None) -> ApiError:
    """The error for an operation that is not served. DynamoDB sends no message; Atoll names the operation."""
    return ApiError("UnknownOperationException", None if name is None else not_served(name), prefix=CORAL)


def not_served(what: str) -> str:
    return f"Atoll does not serve {what}"


def internal() -> ApiError:
    """An internal failure. No write was acknowledged; the client may retry."""
    return ApiError("InternalServerError", "Internal server error", status=500)


def access_denied(message: str) -> ApiError:
    return ApiError("AccessDeniedException", message, prefix=CORAL)


def resource_not_found(message: str = "Requested resource not found") -> ApiError:
    """The default text is the data plane's; the control plane names the table."""
    return ApiError("ResourceNotFoundException", message)


def resource_in_use(message: str) -> ApiError:
    return ApiError("ResourceInUseException", message)


def limit_exceeded(message: str) -> ApiError:
    return ApiError("LimitExceededException", message)


class ConditionFailed(ApiError):
    """`item` is the old item, if the request asked for it. `size` is always the old item's size in bytes, 0 if there
    was none."""

    def __init__(self, item: Any = None, size: int = 0) -> None:
        fields = None if item is None else {"Item": item}
        super().__init__("ConditionalCheckFailedException", "The conditional request failed", fields=fields)
        self.size = size
