"""Errors of legacy parameters: AttributesToGet, Expected, AttributeUpdates, KeyConditions, ..."""

from __future__ import annotations

from atoll import errors
from atoll.errors import ApiError, enveloped_since_2026


def validation(message: str) -> ApiError:
    return enveloped_since_2026(errors.validation(message))


def invalid_parameter(detail: str) -> ApiError:
    return enveloped_since_2026(errors.invalid_parameter(detail))


# Members that exclude or require each other


def operator_without_conditions() -> ApiError:
    return validation("ConditionalOperator cannot be used without Filter or Expected")


def operator_with_one_condition() -> ApiError:
    return validation("ConditionalOperator can only be used when Filter or Expected has two or more elements")


def value_and_list(name: str) -> ApiError:
    return invalid_parameter(f"Value and AttributeValueList cannot be used together for Attribute: {name}")


def exists_and_comparison(name: str) -> ApiError:
    return invalid_parameter(f"Exists and ComparisonOperator cannot be used together for Attribute: {name}")


def comparison_without_value(operator: str, name: str) -> ApiError:
    return invalid_parameter(
        f"Value or AttributeValueList must be used with ComparisonOperator: {operator} for Attribute: {name}"
    )


def list_without_comparison(name: str) -> ApiError:
    return invalid_parameter(f"AttributeValueList can only be used with a ComparisonOperator for Attribute: {name}")


def exists_without_value(exists: bool | None, name: str) -> ApiError:
    word = "null" if exists is None else "true"
    return invalid_parameter(f"Value must be provided when Exists is {word} for Attribute: {name}")


def value_where_none_exists(name: str) -> ApiError:
    return invalid_parameter(f"Value cannot be used when Exists is false for Attribute: {name}")


# Operands


def operand_count(operator: str) -> ApiError:
    return invalid_parameter(f"Invalid number of argument(s) for the {operator} ComparisonOperator")


def too_many_conditions() -> ApiError:
    return validation("Too many conditions; the maximum number of conditions is 300")


def operands_too_large() -> ApiError:
    return validation("The values of all conditions exceed max size")


def operand_types_differ() -> ApiError:
    return invalid_parameter("AttributeValues inside AttributeValueList must be of same type")


def operand_type(operator: str, type_: str) -> ApiError:
    return invalid_parameter(f"ComparisonOperator {operator} is not valid for {type_} AttributeValue type")


def bounds_order() -> ApiError:
    return validation(
        "The BETWEEN condition was provided a range where the lower bound is greater than the upper bound"
    )


def not_indexable() -> ApiError:
    return validation("Attempted conditional constraint is not an indexable operation")


# Updates and projections


def action_without_value() -> ApiError:
    return invalid_parameter("Only DELETE action is allowed when no attribute value is specified")


def delete_type(type_: str) -> ApiError:
    return invalid_parameter(f"DELETE action with value is not supported for the type {type_}")


def add_type(type_: str) -> ApiError:
    return invalid_parameter(f"ADD action is not supported for the type {type_}")


def update_type() -> ApiError:
    """Depends on the item."""
    return errors.validation("Type mismatch for attribute to update")


def repeated_attribute(name: str) -> ApiError:
    return invalid_parameter(f"Duplicate value in attribute name: {name}")
