"""Errors in the shape of a request: JSON of the wrong type, violated constraints, missing parameters."""

from __future__ import annotations

from collections.abc import Sequence

from atoll.errors import ApiError, access_denied, enveloped_since_2026, limit_exceeded, serialization, validation

# Constraints. A violation quotes one of them, or several in the brackets of `each`.


def not_null() -> str:
    return "Member must not be null"


def length_at_least(bound: int) -> str:
    return f"Member must have length greater than or equal to {bound}"


def length_at_most(bound: int) -> str:
    return f"Member must have length less than or equal to {bound}"


def value_at_least(bound: int) -> str:
    return f"Member must have value greater than or equal to {bound}"


def value_at_most(bound: int) -> str:
    return f"Member must have value less than or equal to {bound}"


def matches(pattern: str) -> str:
    return f"Member must satisfy regular expression pattern: {pattern}"


def one_of(values: Sequence[str]) -> str:
    return f"Member must satisfy enum value set: [{', '.join(values)}]"


def unlisted(*values: str) -> str:
    """A violation of an enum that shows neither the value nor the member's name."""
    return f"Failed to satisfy constraint: {one_of(values)}"


def each(what: str, constraints: Sequence[str]) -> str:
    """Quotes all constraints of list members or of map keys or values. `what` is Member, Map value or Map keys."""
    return f"{what} must satisfy constraint: [{', '.join(constraints)}]"


def violation(value: str | None, path: str, constraint: str) -> str:
    """`value` is in Java's text form; None if absent."""
    shown = "null" if value is None else f"'{value}'"
    return f"Value {shown} at '{path}' failed to satisfy constraint: {constraint}"


def violation_without_value(path: str, constraint: str) -> str:
    return f"Value at '{path}' failed to satisfy constraint: {constraint}"


def violations(found: Sequence[str]) -> ApiError:
    plural = "" if len(found) == 1 else "s"
    return validation(f"{len(found)} validation error{plural} detected: {'; '.join(found)}")


# Checks whose errors are not "validation errors detected"


def parameter_required(name: str) -> ApiError:
    return validation(f"The parameter '{name}' is required but was not present in the request")


def request_items_required(operation: str) -> ApiError:
    return validation(f"The requestItems parameter is required for {operation}")


def too_many_items(operation: str) -> ApiError:
    return validation(f"Too many items requested for the {operation} call")


def transact_item_has_not_one_kind() -> ApiError:
    return validation("TransactItems can only contain one of Check, Put, Update or Delete")


def return_values_of_write() -> ApiError:
    return enveloped_since_2026(validation("ReturnValues can only be ALL_OLD or NONE"))


def invalid_table_arn() -> ApiError:
    return validation("Invalid TableArn")


def invalid_region(name: str) -> ApiError:
    """The signature names no valid region. DynamoDB has a list of regions; Atoll only checks the form of the name."""
    return validation(f"Invalid region: {name}")


def invalid_arn(part: str, arn: str) -> ApiError:
    """A part of an ARN in the place of a table's name is invalid. `part` is AWS partition, AWS region or resource
    type."""
    return violations([f"Invalid {part} in '{arn}'"])


def too_many_regions(most: int) -> ApiError:
    """Atoll's own limit."""
    return limit_exceeded(f"Tables of {most} regions are in use, and --max-regions allows no more")


def foreign_table(arn: str) -> ApiError:
    """The ARN belongs to another account."""
    return access_denied(f"The request is not authorized on resource: {arn}")


# JSON of the wrong type (SerializationException); values.py has the others of this kind


def body_is_list() -> ApiError:
    return serialization("Start of list found where not expected")


def parameterized_type() -> ApiError:
    """A scalar in the place of a list or map inside another collection."""
    java = "sun.reflect.generics.reflectiveObjects.ParameterizedTypeImpl"
    return serialization(
        f"class {java} cannot be cast to class java.lang.Class ({java} and java.lang.Class are in module java.base "
        "of loader 'bootstrap')"
    )
