"""Texts about the shape of a request: JSON of the wrong type, violated constraints, missing parameters."""

from __future__ import annotations

from collections.abc import Sequence

from atoll.errors import ApiError, access_denied, drifting, serialization, validation

# Constraints. They appear in a violation by themselves, or several of them in a bracket of `each`.


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


def each(what: str, constraints: Sequence[str]) -> str:
    """`what` is Member (of a list), Map value or Map keys: such constraints are quoted all together."""
    return f"{what} must satisfy constraint: [{', '.join(constraints)}]"


def violation(value: str | None, path: str, constraint: str) -> str:
    """`value` is in Java's text form, None for an absent one."""
    shown = "null" if value is None else f"'{value}'"
    return f"Value {shown} at '{path}' failed to satisfy constraint: {constraint}"


def violation_without_value(path: str, constraint: str) -> str:
    return f"Value at '{path}' failed to satisfy constraint: {constraint}"


def violations(found: Sequence[str]) -> ApiError:
    plural = "" if len(found) == 1 else "s"
    return validation(f"{len(found)} validation error{plural} detected: {'; '.join(found)}")


# Checks that the service makes outside of that envelope


def parameter_required(name: str) -> ApiError:
    return validation(f"The parameter '{name}' is required but was not present in the request")


def request_items_required(operation: str) -> ApiError:
    return validation(f"The requestItems parameter is required for {operation}")


def too_many_items(operation: str) -> ApiError:
    return validation(f"Too many items requested for the {operation} call")


def transact_item_has_not_one_kind() -> ApiError:
    return validation("TransactItems can only contain one of Check, Put, Update or Delete")


def return_values_of_write() -> ApiError:
    return drifting(validation("ReturnValues can only be ALL_OLD or NONE"))


def invalid_table_arn() -> ApiError:
    return validation("Invalid TableArn")


def invalid_region(name: str) -> ApiError:
    """A signature is for it; the service knows its Regions, we only know what their names look like."""
    return validation(f"Invalid region: {name}")


def foreign_table(arn: str) -> ApiError:
    """An ARN of another account or region."""
    return access_denied(f"The request is not authorized on resource: {arn}")


# JSON of the wrong type (SerializationException); the other texts of this kind are those of values


def body_is_list() -> ApiError:
    return serialization("Start of list found where not expected")


def parameterized_type() -> ApiError:
    """What a scalar gets where a list or map stands inside another collection."""
    java = "sun.reflect.generics.reflectiveObjects.ParameterizedTypeImpl"
    return serialization(
        f"class {java} cannot be cast to class java.lang.Class ({java} and java.lang.Class are in module java.base "
        "of loader 'bootstrap')"
    )
