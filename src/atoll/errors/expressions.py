"""Errors of expressions.

Most texts are the second half of `Invalid ConditionExpression: ...`. The parser and the checks do not know the request
parameter, so they raise a `Fault`, and `invalid` turns it into the client's error.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Any

from atoll.errors import VALIDATE, ApiError, enveloped_since_2026, invalid_parameter, validation
from atoll.errors.values import java_binary


class Fault(Exception):
    """An invalid expression; `args[0]` is DynamoDB's text."""


def invalid(parameter: str, fault: Fault) -> ApiError:
    """`parameter` is ConditionExpression, FilterExpression, ..."""
    return enveloped_since_2026(validation(f"Invalid {parameter}: {fault.args[0]}"))


def search_comparator() -> Fault:
    return Fault("Invalid comparator used in SearchConditionExpression")


# Syntax


def empty() -> Fault:
    return Fault("The expression can not be empty;")


def too_long(size: int | None) -> Fault:
    """`size` is None for updates: their error does not show it."""
    shown = "" if size is None else f" expression size: {size}"
    return Fault(f"Expression size has exceeded the maximum allowed size;{shown}")


def syntax(token: str, near: str) -> Fault:
    return Fault(f'Syntax error; token: "{token}", near: "{near}"')


def redundant_parentheses() -> Fault:
    return Fault("The expression has redundant parentheses;")


def too_many_operators(count: int) -> Fault:
    return Fault(f"The expression contains too many operators; operator count: {count}")


def reserved_word(name: str) -> Fault:
    return Fault(f"Attribute name is a reserved keyword; reserved keyword: {name}")


def list_index(index: int) -> Fault:
    return Fault(f"List index is not within the allowable range; index: [{index}]")


def path_too_deep(levels: int) -> Fault:
    return Fault(f"The document path has too many nesting levels; nesting levels: {levels}")


def unknown_function(name: str) -> Fault:
    return Fault(f"Invalid function name; function: {name}")


def function_not_allowed(name: str, where: str) -> Fault:
    """`where` is "a condition" or "an update"."""
    return Fault(f"The function is not allowed in {where} expression; function: {name}")


def misused_function(name: str) -> Fault:
    return Fault(f"The function is not allowed to be used this way in an expression; function: {name}")


def repeated_section(name: str) -> Fault:
    return Fault(f'The "{name}" section can only be used once in an update expression;')


# Operands


def undefined_name(name: str) -> Fault:
    return Fault(f"An expression attribute name used in the document path is not defined; attribute name: {name}")


def undefined_value(name: str) -> Fault:
    return Fault(f"An expression attribute value used in expression is not defined; attribute value: {name}")


def operand_count(operator: str, count: int) -> Fault:
    return Fault(
        "Incorrect number of operands for operator or function; "
        f"operator or function: {operator}, number of operands: {count}"
    )


def operands_in(count: int) -> Fault:
    return Fault(f"The IN operator is provided with too many operands; number of operands: {count}")


def path_required(operator: str) -> Fault:
    return Fault(f"Operator or function requires a document path; operator or function: {operator}")


def not_distinct(operator: str, path: str) -> Fault:
    return Fault(
        "The first operand must be distinct from the remaining operands for this operator or function; "
        f"operator: {operator}, first operand: {path}"
    )


def operand_type(operator: str, type_: str) -> Fault:
    return Fault(
        f"Incorrect operand type for operator or function; operator or function: {operator}, operand type: {type_}"
    )


def any_type() -> str:
    """The text for an operand whose type could be any; the order of the types is DynamoDB's."""
    return "{NS,SS,L,BS,N,M,B,BOOL,NULL,S}"


def section_operand_type(section: str, type_: str) -> Fault:
    """`section` is ADD or DELETE; these have their own names for types."""
    words = {
        "S": "STRING",
        "N": "NUMBER",
        "B": "BINARY",
        "BOOL": "BOOLEAN",
        "NULL": "NULL",
        "L": "LIST",
        "M": "MAP",
        "SS": "STRING_SET",
        "NS": "NUMBER_SET",
        "BS": "BINARY_SET",
    }
    return Fault(
        "Incorrect operand type for operator or function; "
        f"operator: {section}, operand type: {words[type_]}, typeSet: ALLOWED_FOR_{section}_OPERAND"
    )


def type_name(name: str) -> Fault:
    return Fault(f"Invalid attribute type name found; type: {name}, valid types: {{B,NULL,SS,BOOL,L,BS,N,NS,S,M}}")


def between_types(low: dict[str, Any], high: dict[str, Any]) -> Fault:
    return Fault(
        "The BETWEEN operator requires same data type for lower and upper bounds; "
        f"lower bound operand: {_value(low)}, upper bound operand: {_value(high)}"
    )


def between_order(low: dict[str, Any], high: dict[str, Any]) -> Fault:
    return Fault(
        "The BETWEEN operator requires upper bound to be greater than or equal to lower bound; "
        f"lower bound operand: {_value(low)}, upper bound operand: {_value(high)}"
    )


def paths_overlap(one: str, two: str) -> Fault:
    return Fault(
        "Two document paths overlap with each other; must remove or rewrite one of these paths; "
        f"path one: {one}, path two: {two}"
    )


def paths_conflict(one: str, two: str) -> Fault:
    """One path treats a value as a map, the other as a list."""
    return Fault(
        "Two document paths conflict with each other; must remove or rewrite one of these paths; "
        f"path one: {one}, path two: {two}"
    )


def _value(value: dict[str, Any]) -> str:
    ((type_, content),) = value.items()
    if type_ == "B":
        content = java_binary(content)
    return f"AttributeValue: {{{type_}:{content}}}"


# Key conditions


class KeyConditionFault(ApiError):
    """The text is no key condition of any table. Since 2026, a Query reports this after the faults of all its other
    expressions."""

    def __init__(self, text: str) -> None:
        super().__init__("ValidationException", text, prefix=VALIDATE)
        self.newer = f"Invalid KeyConditionExpression: {text}"


def key_operator(operator: str) -> ApiError:
    return KeyConditionFault(f"Invalid operator used in KeyConditionExpression: {operator}")


def key_nested_operation() -> ApiError:
    return KeyConditionFault("KeyConditionExpressions cannot contain nested operations")


def key_nested_attribute() -> ApiError:
    fault = KeyConditionFault("KeyConditionExpressions cannot have conditions on nested attributes")
    fault.message = fault.newer
    return fault


def key_not_first(operator: str) -> ApiError:
    return KeyConditionFault(
        f"Invalid condition in KeyConditionExpression: {operator} operator must have the key attribute as its first "
        "operand"
    )


def key_many_attributes() -> ApiError:
    return KeyConditionFault(
        "Invalid condition in KeyConditionExpression: Multiple attribute names used in one condition"
    )


def key_no_attribute() -> ApiError:
    return KeyConditionFault("Invalid condition in KeyConditionExpression: No key attribute specified")


def key_condition_repeated() -> ApiError:
    return KeyConditionFault("KeyConditionExpressions must only contain one condition per key")


def key_condition_count() -> ApiError:
    return validation("Conditions can be of length 1 or 2 only")


def key_condition_missed(name: str) -> ApiError:
    return validation(f"Query condition missed key schema element: {name}")


def key_condition_unsupported() -> ApiError:
    return validation("Query key condition not supported")


def hash_equality_required(name: str) -> ApiError:
    """For a key with several partition or sort attributes."""
    return validation(f"HASH key attributes {name} must have equality conditions specified in the query")


def range_equality_required(name: str, later: str) -> ApiError:
    """`later` is an attribute with a condition, after `name`, which has no equality."""
    return validation(
        f"RANGE key attributes {name} must have equality conditions specified in the query because a condition is "
        f"present on key attribute {later}"
    )


def key_condition_type() -> ApiError:
    return invalid_parameter("Condition parameter type does not match schema type")


# ExpressionAttributeNames and ExpressionAttributeValues ("maps" below)


def mixed_parameters(legacy: Iterable[str], expressions: Iterable[str]) -> ApiError:
    return enveloped_since_2026(
        validation(
            "Can not use both expression and non-expression parameters in the same request: "
            f"Non-expression parameters: {{{', '.join(legacy)}}} Expression parameters: {{{', '.join(expressions)}}}"
        )
    )


def names_without_expression() -> ApiError:
    return enveloped_since_2026(validation("ExpressionAttributeNames can only be specified when using expressions"))


def values_without_expression(parameters: Sequence[str]) -> ApiError:
    """`parameters` are the expressions of the operation that can use values."""
    verb = "is" if len(parameters) == 1 else "are"
    newer = "ExpressionAttributeValues can only be specified when using expressions"
    return enveloped_since_2026(validation(f"{newer}: {' and '.join(parameters)} {verb} null"), newer)


def empty_map(parameter: str) -> ApiError:
    return enveloped_since_2026(validation(f"{parameter} must not be empty"))


def map_key(parameter: str, key: str) -> ApiError:
    detail = f'Syntax error; key: "{key}"' if key else "The expression attribute map contains an empty key;"
    return enveloped_since_2026(validation(f"{parameter} contains invalid key: {detail}"))


def map_name(parameter: str, key: str, fault: ApiError) -> ApiError:
    return enveloped_since_2026(validation(f"{parameter} contains invalid value: {fault.message} for key {key}"))


def map_value(parameter: str, key: str, fault: ApiError) -> ApiError:
    """Since 2026, the current layers report the fault without the key."""
    error = map_name(parameter, key, fault)
    return enveloped_since_2026(error, fault.message if fault.newer is None else fault.newer)


def map_too_large(parameter: str) -> ApiError:
    return enveloped_since_2026(validation(f"{parameter} exceeds max size"))


UNUSED_LISTED = 1_000


def unused(parameter: str, keys: Iterable[str]) -> ApiError:
    listed = ", ".join(sorted(islice(keys, UNUSED_LISTED)))
    return enveloped_since_2026(validation(f"Value provided in {parameter} unused in expressions: keys: {{{listed}}}"))


# Faults that depend on the item


def missing_attribute() -> ApiError:
    return validation("The provided expression refers to an attribute that does not exist in the item")


def wrong_operand() -> ApiError:
    return validation("An operand in the update expression has an incorrect data type")
