"""Errors that only faults on demand cause, and errors of invalid rules."""

from __future__ import annotations

from atoll.errors import AVAILABILITY, ApiError, validation


class Dropped(Exception):
    """The request gets no answer: the server closes its connection."""


def conflict() -> ApiError:
    return ApiError("TransactionConflictException", "Transaction is ongoing for the item")


def in_progress() -> ApiError:
    text = "The transaction with the given request token is already in progress."
    return ApiError("TransactionInProgressException", text)


def too_many_requests() -> ApiError:
    """Throttling of an operation that consumes no units."""
    return ApiError("ThrottlingException", "Rate exceeded", prefix=AVAILABILITY)


def bad_rule(member: str, expected: str) -> ApiError:
    return validation(f"{member} of a fault has to be {expected}")


def unknown_member(names: list[str], known: list[str]) -> ApiError:
    return validation(f"A fault has no member {', '.join(names)}. It may have: {', '.join(known)}")


def unknown_fault(id_: object) -> ApiError:
    return validation(f"There is no fault with the id {id_!r}")


def useless(fault: str, operations: list[str]) -> ApiError:
    return validation(f"The fault {fault} does nothing to {', '.join(operations)}")


def too_many() -> ApiError:
    return validation("There are 1000 faults already: remove some")


def several_workers() -> ApiError:
    return validation("Several worker processes share no faults: start the server with --workers 1")
