"""Errors of primary keys and of ExclusiveStartKey."""

from __future__ import annotations

from atoll import limits
from atoll.errors import ApiError, fails_transaction, invalid_parameter, validation


def key_does_not_match() -> ApiError:
    """The Key has other attributes or types than the table's key."""
    return validation("The provided key element does not match the schema")


def missing_key(name: str) -> ApiError:
    return invalid_parameter(f"Missing the key {name} in the item")


def key_type(name: str, expected: str, actual: str) -> ApiError:
    return invalid_parameter(f"Type mismatch for key {name} expected: {expected} actual: {actual}")


def empty_key(name: str, type_: str) -> ApiError:
    kind = "string" if type_ == "S" else "binary"
    return fails_transaction(
        validation(
            "One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an "
            f"empty {kind} value. Key: {name}"
        )
    )


def partition_key_too_large() -> ApiError:
    # DynamoDB's text lacks the space, too.
    return invalid_parameter(
        f"Size of hashkey has exceeded the maximum size limit of{limits.PARTITION_KEY_BYTES} bytes"
    )


def sort_key_too_large() -> ApiError:
    return invalid_parameter(
        f"Aggregated size of all range keys has exceeded the size limit of {limits.SORT_KEY_BYTES} bytes"
    )


def update_of_key(name: str) -> ApiError:
    return invalid_parameter(f"Cannot update attribute {name}. This attribute is part of the key")


def not_scalar(key: str, name: str) -> ApiError:
    """A nested path into a key attribute. `key` is Key or IndexKey."""
    return validation(
        f"Key attributes must be scalars; list random access '[]' and map lookup '.' are not allowed: {key}: {name}"
    )


def start_key_invalid(detail: str | None = None) -> ApiError:
    return validation("The provided starting key is invalid" + (f": {detail}" if detail else ""))


def start_key_unlike_condition() -> ApiError:
    return validation("The provided starting key does not match the range key predicate")


def start_key_outside() -> ApiError:
    return validation("The provided starting key is outside query boundaries based on provided conditions")


def start_key_outside_segment(segment: int, total: int) -> ApiError:
    return validation(
        "The provided starting key is invalid: Invalid ExclusiveStartKey. Please use ExclusiveStartKey with correct "
        f"Segment. TotalSegments: {total} Segment: {segment}"
    )


def single_row_not_restartable() -> ApiError:
    return validation("The query can return at most one row and cannot be restarted")
