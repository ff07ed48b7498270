"""Errors of vector indexes: of items that do not fit, of definitions, and of searches."""

from __future__ import annotations

from collections.abc import Sequence

from atoll import limits
from atoll.errors import (
    ENVELOPE,
    ApiError,
    fails_transaction,
    invalid_parameter,
    limit_exceeded,
    serialization,
    validation,
)
from atoll.errors.tables import still_in_use

# Items


def _unfit(detail: str) -> ApiError:
    """The service's text has the blank before the full stop."""
    return validation(
        "One or more parameter values are not valid. One or more parameter values were invalid . " + detail
    )


def vector_length(name: str, expected: int, actual: int, index: str) -> ApiError:
    return _unfit(f"Invalid size for parameter {name}, Expected: {expected}, Actual: {actual}. IndexName: {index}")


def vector_type(name: str, actual: str, index: str) -> ApiError:
    return _unfit(f"Invalid type for parameter {name}, Expected: L, Actual: {actual}. IndexName: {index}")


def element_type(place: str, actual: str, index: str) -> ApiError:
    return validation(
        f"One or more parameter values were invalid. Invalid type for parameter {place}, "
        f"Expected: 32-bit floating point number, Actual: {actual}. IndexName: {index}"
    )


def element_range(place: str, value: str, index: str) -> ApiError:
    return _unfit(
        f"Invalid value for parameter {place}, Value: {_scientific(value)} is outside valid range "
        f"[-3.4028235E38, 3.4028235E38]. IndexName: {index}"
    )


def _scientific(number: str) -> str:
    """3.5E+38 for 350000000000000000000000000000000000000, as Java's BigDecimal shows it."""
    digits = number.lstrip("-").partition(".")[0]
    mantissa = digits[0] + ("." + digits[1:].rstrip("0") if digits[1:].rstrip("0") else "")
    return f"{'-' if number[0] == '-' else ''}{mantissa}E+{len(digits) - 1}"


def empty_partition(name: str, type_: str, index: str) -> ApiError:
    kind = "string" if type_ == "S" else "binary"
    text = (
        "One or more parameter values are not valid. A value specified for a secondary index key is not supported. The "
        f"AttributeValue for a key attribute cannot contain an empty {kind} value. IndexName: {index}, IndexKey: {name}"
    )
    return fails_transaction(validation(text))


def searched_type(name: str, expected: str, actual: str, index: str) -> ApiError:
    return validation(
        f"One or more parameter values were invalid. Attribute '{name}' type mismatch. Expected: {expected}, "
        f"Actual: {actual}. IndexName: {index}"
    )


def searched_too_large(name: str, most: int, index: str) -> ApiError:
    """The text is assumed."""
    return invalid_parameter(
        f"Size of attribute '{name}' has exceeded the maximum size limit of {most} bytes. IndexName: {index}"
    )


# Definitions


def provisioned() -> ApiError:
    return invalid_parameter("Vector indexes are only supported for PAY_PER_REQUEST tables")


def element_undefined() -> ApiError:
    return invalid_parameter("One element in SearchSchema is not defined in attribute definitions")


def dimensions() -> ApiError:
    return invalid_parameter(f"Number of dimensions must be between 1 and {limits.VECTOR_DIMENSIONS} inclusive.")


def too_many() -> ApiError:
    return invalid_parameter(f"VectorIndex count exceeds the per-table limit of {limits.VECTOR_INDEXES}")


def too_many_online() -> ApiError:
    """The text is that of UpdateTable."""
    return limit_exceeded(
        "Subscriber limit exceeded: Number of vector secondary indexes exceeds per-table limit of "
        f"{limits.VECTOR_INDEXES}"
    )


def too_many_filters() -> ApiError:
    """The text is assumed."""
    return invalid_parameter(f"Number of INLINE_FILTER elements exceeds per-index limit of {limits.VECTOR_FILTERS}")


def many_hashes(shown: str) -> ApiError:
    return validation(
        f"1 validation error detected: Value '{shown}' at 'searchSchema' failed to satisfy constraint: "
        "Member must have HASH count less than or equal to 1"
    )


def element_repeated(name: str) -> ApiError:
    """The text is assumed."""
    return invalid_parameter(f"Duplicate element in SearchSchema: {name}")


def dimensions_differ(name: str) -> ApiError:
    return invalid_parameter(
        f"Conflicting attribute definition for '{name}'. All VectorIndexes on the same vector attribute must use the "
        "same dimensions."
    )


def vector_defined(name: str) -> ApiError:
    return invalid_parameter(
        f"Conflicting attribute definition for '{name}'. An attribute cannot be defined in AttributeDefinitions when "
        "used as a VectorAttribute."
    )


def vector_is_key(existing: Sequence[tuple[str, str, str]], name: str, dimensions: int) -> ApiError:
    schema = ", ".join(f"SchemaElement: key{{{key}:{type_}:{kind}}}" for key, type_, kind in existing)
    return invalid_parameter(
        "Attributes cannot be redefined. Please check that your attribute has the same type as previously defined. "
        f"Existing schema: Schema:[{schema}] "
        f"New schema: VectorIndexSchema:[VectorAttribute: key{{{name}:L:{dimensions}}}]"
    )


def update_without_action() -> ApiError:
    """The texts of this and the next error are assumed from those of global indexes."""
    return invalid_parameter("One of VectorIndexUpdate.Create, VectorIndexUpdate.Delete must not be null")


def update_with_actions() -> ApiError:
    return invalid_parameter("Only one vector index action is allowed per VectorIndexUpdate object")


def being_created(table: str, index: str) -> ApiError:
    return still_in_use(f"Index is being created.  Table: {table} Index: {index}")


# Searches


def null_member(expected: str, column: int) -> ApiError:
    return serialization(f"invalid type: null, expected {expected} at line 1 column {column}")


def missing_member(member: str, column: int) -> ApiError:
    return validation(f"missing field `{member}` at line 1 column {column}")


def member_constraint(member: str, constraint: str) -> ApiError:
    return validation(f"{ENVELOPE}Value at '{member}' failed to satisfy constraint: Member must have {constraint}")


def top_k(given: int) -> ApiError:
    return validation(
        f"Provided TopK value '{given}' is out of valid range. The value must be between 1 and {limits.VECTOR_TOP_K} "
        "inclusive"
    )


def condition_required() -> ApiError:
    return validation("SearchConditionExpression must be provided when SearchSchema has a HASH key")


def not_in_schema(name: str) -> ApiError:
    return validation(
        "SearchConditionExpression must not contain any attributes that is not in SearchSchema. "
        f"Invalid attribute: {name}"
    )


def hash_required(name: str) -> ApiError:
    """The text is assumed."""
    return validation(f"SearchConditionExpression must contain an equality condition on the HASH key: {name}")


def condition_type(name: str, expected: str, actual: str) -> ApiError:
    """The text is assumed."""
    return validation(
        "Invalid SearchConditionExpression: Condition parameter type does not match schema type. "
        f"Attribute: {name}, Expected: {expected}, Actual: {actual}"
    )


def condition_repeated(name: str) -> ApiError:
    """The text is assumed."""
    return validation(f"SearchConditionExpression must only contain one condition per attribute: {name}")


def searched_dimensions(given: int, dimensions: int) -> ApiError:
    return validation(f"Input search vector dimension {given} does not match vector index dimension {dimensions}")


def searched_vector() -> ApiError:
    return validation(
        "Search vector contains invalid values. All values in the search vector must be a 32-bit floating-point "
        "number attribute"
    )


def backfilling(index: str) -> ApiError:
    return validation(f"Cannot search backfilling vector index: {index}")


def not_queried() -> ApiError:
    return validation("Query operation not supported on this index type.")


def not_scanned() -> ApiError:
    return validation("Scan operation not supported on this index type")


def not_installed() -> ApiError:
    return validation(
        "Atoll needs the packages numpy and numkong to search vectors. Install them where the server runs: "
        "pip install 'atoll[vectors]'"
    )
