"""Errors of batches and transactions."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from atoll import limits
from atoll.errors import ApiError, validation

T = TypeVar("T")


def duplicate_keys() -> ApiError:
    return validation("Provided list of item keys contains duplicates")


def duplicate_operations() -> ApiError:
    return validation("Transaction request cannot include multiple operations on one item")


def transaction_too_large() -> ApiError:
    """The text is partly assumed."""
    return validation(f"The transaction payload's size cannot exceed {limits.TRANSACTION_BYTES} bytes")


def token_mismatch() -> ApiError:
    return ApiError("IdempotentParameterMismatchException", None)


class Cancelled(Exception):
    """A cancelled transaction. `refusals` has one entry per action: None if that action would have succeeded."""

    def __init__(self, refusals: list[ApiError | None]) -> None:
        super().__init__("transaction cancelled")
        self.refusals = refusals


CODES = {
    "ConditionalCheckFailedException": "ConditionalCheckFailed",
    "ItemCollectionSizeLimitExceededException": "ItemCollectionSizeLimitExceeded",
    "ValidationException": "ValidationError",
    "DuplicateItemException": "DuplicateItem",
    "ProvisionedThroughputExceededException": "ProvisionedThroughputExceeded",
    "ThrottlingException": "ThrottlingError",
    "RequestLimitExceeded": "ThrottlingError",
    "TransactionConflictException": "TransactionConflict",
}


def reason(refusal: ApiError | None) -> dict[str, Any]:
    """One entry of CancellationReasons. An action that would have succeeded has the code None and no message."""
    if refusal is None:
        return {"Code": "None"}
    return {**refusal.item, "Code": CODES[refusal.code], "Message": refusal.message}


def transaction_refused(refusals: list[ApiError | None]) -> ApiError:
    """The error of a transaction with these refusals: one that fails it as a whole, or their list."""
    whole = (refusal for refusal in refusals if refusal is not None and refusal.whole)
    return next(whole, None) or transaction_cancelled(refusals)


def transaction_cancelled(refusals: list[ApiError | None]) -> ApiError:
    reasons = [reason(refusal) for refusal in refusals]
    codes = ", ".join(r["Code"] for r in reasons)
    return ApiError(
        "TransactionCanceledException",
        f"Transaction cancelled, please refer cancellation reasons for specific reasons [{codes}]",
        fields={"CancellationReasons": reasons},
    )


def try_all(attempts: Iterable[Callable[[], T]]) -> tuple[list[T], list[ApiError | None]]:
    """Call all attempts of a transaction. Returns the successful results, and per attempt its error or None."""
    made: list[T] = []
    refusals: list[ApiError | None] = []
    for attempt in attempts:
        try:
            made.append(attempt())
            refusals.append(None)
        except ApiError as refusal:
            refusals.append(refusal.with_traceback(None))
    return made, refusals
