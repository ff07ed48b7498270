"""The texts of the default error style as they follow from the classic ones; this needs no server."""

from __future__ import annotations

import pytest

from tests.differential.wording import explanation, reworded

INVALID = "One or more parameter values were invalid: "
ENVELOPE = "1 validation error detected: "
EMPTY_SET = f"{INVALID}An string set  may not be empty"
WRAPPED = "ExpressionAttributeValues contains invalid value: {} for key :v"
NUMERIC = "The parameter cannot be converted to a numeric value"
UNLISTED = "Failed to satisfy constraint: Member must satisfy enum value set: "

TEXTS = [
    ("PutItem", EMPTY_SET, ENVELOPE + EMPTY_SET),
    ("GetItem", EMPTY_SET, EMPTY_SET),
    ("Scan", EMPTY_SET, EMPTY_SET),
    ("TransactWriteItems", EMPTY_SET, EMPTY_SET),
    ("UpdateItem", WRAPPED.format(EMPTY_SET), ENVELOPE + EMPTY_SET),
    ("Query", WRAPPED.format(EMPTY_SET), EMPTY_SET),
    ("Scan", WRAPPED.format(EMPTY_SET), WRAPPED.format(EMPTY_SET)),
    ("UpdateItem", WRAPPED.format("Empty attribute name"), f"{ENVELOPE}Empty attribute name"),
    ("PutItem", "Empty attribute name", "Empty attribute name"),
    (
        "PutItem",
        f"{INVALID}Input collection [b, a, b] contains duplicates.",
        f'{ENVELOPE}{INVALID}Input collection ["a", "b", "b"] contains duplicates.',
    ),
    (
        "GetItem",
        f"{INVALID}Input collection [AA==, /w==, AA==]of type BS contains duplicates.",
        f'{INVALID}Input collection ["AA==","/w==","AA=="]of type BS contains duplicates.',
    ),
    ("DeleteItem", NUMERIC, f"{ENVELOPE}{NUMERIC}: "),
    (
        "BatchGetItem",
        f"{NUMERIC}: 1e99999999999",
        "Number overflow. Attempting to store a number with magnitude larger than supported range",
    ),
    ("BatchWriteItem", f"{NUMERIC}: 1e99999999999", f"{NUMERIC}: 1e99999999999"),
    ("DeleteItem", "Invalid ConditionExpression: x", f"{ENVELOPE}Invalid ConditionExpression: x"),
    ("Scan", "Invalid FilterExpression: x", "Invalid FilterExpression: x"),
    (
        "PutItem",
        "ExpressionAttributeValues can only be specified when using expressions: ConditionExpression is null",
        f"{ENVELOPE}ExpressionAttributeValues can only be specified when using expressions",
    ),
    (
        "PutItem",
        "The provided key element does not match the schema",
        "The provided key element does not match the schema",
    ),
]


@pytest.mark.parametrize(("operation", "older", "newer"), TEXTS)
def test_a_text_becomes_that_of_2026(operation: str, older: str, newer: str) -> None:
    refused = "400 ValidationException: "
    assert reworded(operation, refused + older) == refused + newer
    assert explanation(operation, refused + older, refused + newer) is not None
    assert (explanation(operation, refused + older, refused + older) is None) is (older != newer)


@pytest.mark.parametrize("outcome", ["success", "400 ResourceNotFoundException: Requested resource not found"])
def test_other_outcomes_stay(outcome: str) -> None:
    assert reworded("PutItem", outcome) == outcome


def test_a_fact_explains_no_other_text() -> None:
    refused = "400 ValidationException: "
    assert explanation("PutItem", refused + EMPTY_SET, f"{refused}{ENVELOPE}Nesting Levels") is None
    assert explanation("Query", f"{refused}Query key condition not supported", f"{refused}{EMPTY_SET}") is None
