"""Faults of legacy parameters: since 2026 the operations that write one item give them the prefix."""

from __future__ import annotations

from typing import Any

import pytest

from atoll.database.region import Settings
from tests.api.conftest import Service

Body = dict[str, Any]
KEY = {"pk": {"S": "a"}}
ENVELOPE = "1 validation error detected: "
INVALID = "One or more parameter values were invalid: "
MIXED = "Can not use both expression and non-expression parameters in the same request: "
X, ONE = {"S": "x"}, {"N": "1"}


def compared(operator: str, *values: Any) -> Body:
    return {"ComparisonOperator": operator, "AttributeValueList": list(values)}


# Faults of what is expected of an attribute `a`, or of several.
EXPECTED: dict[str, tuple[Body, str]] = {
    "nothing": ({}, INVALID + "Value must be provided when Exists is null for Attribute: a"),
    "that it exists, without a value": (
        {"Exists": True}, INVALID + "Value must be provided when Exists is true for Attribute: a"
    ),
    "that it does not exist, with a value": (
        {"Exists": False, "Value": X}, INVALID + "Value cannot be used when Exists is false for Attribute: a"
    ),
    "existence and a comparison": (
        {"Exists": True, "ComparisonOperator": "EQ"},
        INVALID + "Exists and ComparisonOperator cannot be used together for Attribute: a",
    ),
    "a value and a list": (
        {"Value": X, "AttributeValueList": [X]},
        INVALID + "Value and AttributeValueList cannot be used together for Attribute: a",
    ),
    "a comparison with nothing": (
        {"ComparisonOperator": "EQ"},
        INVALID + "Value or AttributeValueList must be used with ComparisonOperator: EQ for Attribute: a",
    ),
    "one bound": (compared("BETWEEN", X), INVALID + "Invalid number of argument(s) for the BETWEEN ComparisonOperator"),
    "a value of NULL": (compared("NULL", X), INVALID + "Invalid number of argument(s) for the NULL ComparisonOperator"),
    "the beginning of a number": (
        compared("BEGINS_WITH", ONE), INVALID + "ComparisonOperator BEGINS_WITH is not valid for N AttributeValue type"
    ),
    "a set to be less than": (
        compared("LT", {"SS": ["a"]}), INVALID + "ComparisonOperator LT is not valid for SS AttributeValue type"
    ),
    "values of two types": (
        compared("IN", X, ONE), INVALID + "AttributeValues inside AttributeValueList must be of same type"
    ),
    "an empty set": ({"Value": {"SS": []}}, INVALID + "An string set  may not be empty"),
}  # fmt: skip
PARTS: dict[str, Body] = {"PutItem": {"Item": KEY}, "UpdateItem": {"Key": KEY}, "DeleteItem": {"Key": KEY}}


@pytest.fixture
def both() -> tuple[Service, Service]:
    """The same table, in the classic style and in that of 2026."""
    classic, newer = Service(Settings(error_style="classic")), Service(Settings())
    for one in (classic, newer):
        one.table()
    return classic, newer


def refusals(both: tuple[Service, Service], operation: str, body: Body) -> list[tuple[str, str | None]]:
    refused = [service.refused(operation, TableName="Things", **body) for service in both]
    return [(one.code, one.message) for one in refused]


def enveloped(text: str) -> list[tuple[str, str]]:
    return [("ValidationException", text), ("ValidationException", ENVELOPE + text)]


@pytest.mark.parametrize("situation", EXPECTED)
@pytest.mark.parametrize("operation", PARTS)
def test_expected(both: tuple[Service, Service], operation: str, situation: str) -> None:
    given, text = EXPECTED[situation]
    assert refusals(both, operation, {**PARTS[operation], "Expected": {"a": given}}) == enveloped(text)


@pytest.mark.parametrize("operation", PARTS)
def test_an_operator_without_conditions(both: tuple[Service, Service], operation: str) -> None:
    body = {**PARTS[operation], "ConditionalOperator": "OR"}
    assert refusals(both, operation, body) == enveloped("ConditionalOperator cannot be used without Filter or Expected")


@pytest.mark.parametrize("member", ["Expected", "ConditionalOperator"])
@pytest.mark.parametrize("operation", PARTS)
def test_legacy_parameters_together_with_expressions(
    both: tuple[Service, Service], operation: str, member: str
) -> None:
    given = {} if member == "Expected" else "AND"
    body = {**PARTS[operation], member: given, "ConditionExpression": "attribute_exists(a)"}
    text = f"{MIXED}Non-expression parameters: {{{member}}} Expression parameters: {{ConditionExpression}}"
    assert refusals(both, operation, body) == enveloped(text)


UPDATES: dict[str, tuple[Body, str]] = {
    "addition of a string": (
        {"Action": "ADD", "Value": X}, INVALID + "ADD action is not supported for the type S"
    ),
    "deletion of a string": (
        {"Action": "DELETE", "Value": X}, INVALID + "DELETE action with value is not supported for the type S"
    ),
    **{
        f"{action} of nothing": (
            {"Action": action}, INVALID + "Only DELETE action is allowed when no attribute value is specified"
        )
        for action in ("PUT", "ADD")
    },
    "a number that is none": (
        {"Action": "PUT", "Value": {"N": "x"}}, "The parameter cannot be converted to a numeric value: x"
    ),
}  # fmt: skip


@pytest.mark.parametrize("situation", UPDATES)
def test_updates(both: tuple[Service, Service], situation: str) -> None:
    given, text = UPDATES[situation]
    assert refusals(both, "UpdateItem", {"Key": KEY, "AttributeUpdates": {"a": given}}) == enveloped(text)


READS: dict[str, tuple[str, Body, str]] = {
    "legacy parameters beside expressions": (
        "GetItem", {"Key": KEY, "AttributesToGet": ["a"], "ProjectionExpression": "a"},
        f"{MIXED}Non-expression parameters: {{AttributesToGet}} Expression parameters: {{ProjectionExpression}}",
    ),
    "an attribute twice": (
        "GetItem", {"Key": KEY, "AttributesToGet": ["a", "a"]}, INVALID + "Duplicate value in attribute name: a"
    ),
    "a filter with one bound": (
        "Scan", {"ScanFilter": {"a": compared("BETWEEN", X)}},
        INVALID + "Invalid number of argument(s) for the BETWEEN ComparisonOperator",
    ),
    "a filter of a query with one bound": (
        "Query", {"KeyConditions": {"pk": compared("EQ", X)}, "QueryFilter": {"a": compared("BETWEEN", X)}},
        INVALID + "Invalid number of argument(s) for the BETWEEN ComparisonOperator",
    ),
    "a key that is not equal": (
        "Query", {"KeyConditions": {"pk": compared("NE", X)}},
        "Attempted conditional constraint is not an indexable operation",
    ),
}  # fmt: skip


@pytest.mark.parametrize("situation", READS)
def test_reads_are_bare(both: tuple[Service, Service], situation: str) -> None:
    operation, body, text = READS[situation]
    assert refusals(both, operation, body) == [("ValidationException", text)] * 2
