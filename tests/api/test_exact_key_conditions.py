"""Queries of an index with several partition and sort attributes: a condition needs equality on all attributes before
its own."""

from __future__ import annotations

from typing import Any

import pytest

HASH = "HASH key attributes {} must have equality conditions specified in the query"
RANGE = (
    "RANGE key attributes {} must have equality conditions specified in the query because a condition is present on "
    "key attribute {}"
)
ATTRIBUTES = ["h1", "h2", "r1", "r2", "r3"]


@pytest.fixture
def wide(service: Any) -> Any:
    """A table with an index of two HASH and three RANGE attributes, and a plain one."""
    keys = [{"AttributeName": name, "KeyType": "HASH" if name[0] == "h" else "RANGE"} for name in ATTRIBUTES]
    service.table(
        types=dict.fromkeys(ATTRIBUTES, "S"),
        GlobalSecondaryIndexes=[
            {"IndexName": "wide", "KeySchema": keys, "Projection": {"ProjectionType": "ALL"}},
            {"IndexName": "plain", "KeySchema": [keys[0], keys[2]], "Projection": {"ProjectionType": "ALL"}},
        ],
    )
    item = {name: {"S": name} for name in ["pk", *ATTRIBUTES]}
    service.put_item(TableName="Things", Item=item)
    return service


def asked(text: str, index: str = "wide") -> dict[str, Any]:
    values = {f":{name}": {"S": name} for name in ATTRIBUTES if f":{name}" in text}
    more = {"IndexName": index, "ExpressionAttributeValues": values}
    return {"TableName": "Things", "KeyConditionExpression": text, **more}


BOTH = "h1 = :h1 AND h2 = :h2"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"{BOTH} AND r2 = :r2", RANGE.format("r1", "r2")),
        (f"{BOTH} AND r1 > :r1 AND r2 = :r2", RANGE.format("r1", "r2")),
        (f"{BOTH} AND r1 BETWEEN :r1 AND :r2 AND r2 = :r2", RANGE.format("r1", "r2")),
        (f"{BOTH} AND begins_with(r1, :r1) AND r2 = :r2", RANGE.format("r1", "r2")),
        (f"{BOTH} AND r1 > :r1 AND r2 < :r2", RANGE.format("r1", "r2")),
        (f"{BOTH} AND r1 = :r1 AND r3 = :r3", RANGE.format("r2", "r3")),
        (f"{BOTH} AND r3 = :r3", RANGE.format("r1", "r3")),
        (f"{BOTH} AND r2 = :r2 AND r3 = :r3", RANGE.format("r1", "r2")),
        ("h1 = :h1", HASH.format("h2")),
        ("h1 = :h1 AND r1 = :r1", HASH.format("h2")),
        ("h2 = :h2", HASH.format("h1")),
        ("h1 = :h1 AND h2 > :h2", HASH.format("h2")),
        ("h1 = :h1 AND h2 BETWEEN :h1 AND :h2", HASH.format("h2")),
        ("h1 = :h1 AND begins_with(h2, :h2)", HASH.format("h2")),
        ("r1 = :r1 AND r2 = :r2", HASH.format("h1")),
    ],
)
def test_a_condition_without_equality_before_it_is_refused(wide: Any, text: str, message: str) -> None:
    refused = wide.refused("Query", **asked(text))
    assert (refused.code, refused.message) == ("ValidationException", message)


@pytest.mark.parametrize(
    "text",
    [
        BOTH,
        f"{BOTH} AND r1 = :r1",
        f"{BOTH} AND r1 = :r1 AND r2 >= :r2",
        f"{BOTH} AND r1 = :r1 AND r2 = :r2 AND begins_with(r3, :r3)",
    ],
)
def test_a_condition_with_equality_before_it_is_answered(wide: Any, text: str) -> None:
    assert wide.query(**asked(text))["Count"] == 1


def test_legacy_conditions_have_the_same_errors(wide: Any) -> None:
    equal = {name: {"ComparisonOperator": "EQ", "AttributeValueList": [{"S": name}]} for name in ("h1", "h2", "r2")}
    refused = wide.refused("Query", TableName="Things", IndexName="wide", KeyConditions=equal)
    assert refused.message == RANGE.format("r1", "r2")


@pytest.mark.parametrize(
    ("text", "missed"),
    [("r1 = :r1", "h1"), ("h1 = :h1 AND r2 = :r2", "r1")],
)
def test_an_index_of_one_partition_and_one_sort_attribute_keeps_its_error(wide: Any, text: str, missed: str) -> None:
    refused = wide.refused("Query", **asked(text, "plain"))
    assert refused.message == f"Query condition missed key schema element: {missed}"
