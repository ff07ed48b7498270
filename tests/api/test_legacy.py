"""The parameters that expressions have replaced, in whole requests."""

from __future__ import annotations

from typing import Any

import pytest

pytestmark = pytest.mark.error_style("classic")

KEY = {"pk": {"S": "a"}}


def entry(operator: str, *operands: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {"ComparisonOperator": operator}
    return found | {"AttributeValueList": list(operands)} if operands else found


@pytest.fixture
def things(service: Any) -> Any:
    service.table(sort="N")
    for n in range(5):
        item = {**KEY, "sk": {"N": str(n)}, "name": {"S": f"n{n}"}, "m": {"M": {"x": {"N": "1"}}}}
        service.put_item(TableName="Things", Item=item)
    return service


def sorts(answer: dict[str, Any]) -> list[str]:
    return [item["sk"]["N"] for item in answer["Items"]]


def query(service: Any, **more: Any) -> Any:
    conditions = {"pk": entry("EQ", KEY["pk"]), **more.pop("keys", {})}
    return service.query(TableName="Things", KeyConditions=conditions, **more)


def test_attributes_to_get_adds_no_keys(things: Any) -> None:
    key = {**KEY, "sk": {"N": "1"}}
    answer = things.get_item(TableName="Things", Key=key, AttributesToGet=["name", "m.x", "gone"])
    assert answer == {"Item": {"name": {"S": "n1"}}}
    batch = things.batch_get_item(RequestItems={"Things": {"Keys": [key], "AttributesToGet": ["sk"]}})
    assert batch["Responses"] == {"Things": [{"sk": {"N": "1"}}]}


def test_a_put_that_expects_no_item(things: Any) -> None:
    item = {**KEY, "sk": {"N": "1"}}
    refusal = things.refused("PutItem", TableName="Things", Item=item, Expected={"pk": {"Exists": False}})
    assert refusal.code == "ConditionalCheckFailedException"
    things.put_item(TableName="Things", Item={**KEY, "sk": {"N": "9"}}, Expected={"pk": {"Exists": False}})


def test_either_of_two_expectations(things: Any) -> None:
    request = {
        "TableName": "Things",
        "Key": {**KEY, "sk": {"N": "1"}},
        "Expected": {"name": {"Value": {"S": "other"}}, "gone": {"Exists": False}},
    }
    assert things.refused("DeleteItem", **request).code == "ConditionalCheckFailedException"
    assert things.delete_item(**request, ConditionalOperator="OR") == {}


def test_attribute_updates(things: Any) -> None:
    answer = things.update_item(
        TableName="Things",
        Key={**KEY, "sk": {"N": "1"}},
        AttributeUpdates={
            "count": {"Action": "ADD", "Value": {"N": "2"}},
            "name": {"Action": "DELETE"},
            "list": {"Action": "ADD", "Value": {"L": [{"S": "x"}]}},
        },
        ReturnValues="UPDATED_NEW",
    )
    assert answer["Attributes"] == {"count": {"N": "2"}, "list": {"L": [{"S": "x"}]}}


def test_key_attributes_cannot_be_updated(things: Any) -> None:
    refusal = things.refused(
        "UpdateItem",
        TableName="Things",
        Key={**KEY, "sk": {"N": "1"}},
        AttributeUpdates={"pk": {"Action": "PUT", "Value": {"S": "b"}}},
    )
    assert refusal.message == (
        "One or more parameter values were invalid: Cannot update attribute pk. This attribute is part of the key"
    )


def test_key_conditions(things: Any) -> None:
    assert sorts(query(things)) == ["0", "1", "2", "3", "4"]
    assert sorts(query(things, keys={"sk": entry("BETWEEN", {"N": "1"}, {"N": "2"})})) == ["1", "2"]
    assert sorts(query(things, keys={"sk": entry("GE", {"N": "3"})}, ScanIndexForward=False)) == ["4", "3"]


def test_filters(things: Any) -> None:
    given = {"name": entry("EQ", {"S": "n1"}), "m": entry("NULL")}
    answer = query(things, QueryFilter=given, ConditionalOperator="OR")
    assert (sorts(answer), answer["ScannedCount"]) == (["1"], 5)
    scanned = things.scan(TableName="Things", ScanFilter={"sk": entry("IN", {"N": "2"}, {"N": "3"})})
    assert sorts(scanned) == ["2", "3"]


def test_key_conditions_go_with_a_filter_expression(things: Any) -> None:
    names, values = {"#n": "name"}, {":n": {"S": "n1"}}
    answer = query(things, FilterExpression="#n = :n", ExpressionAttributeNames=names, ExpressionAttributeValues=values)
    assert sorts(answer) == ["1"]


MIXED = "Can not use both expression and non-expression parameters in the same request: Non-expression parameters: "


@pytest.mark.parametrize(
    ("operation", "more", "text"),
    [
        (
            "UpdateItem",
            {
                "Key": {**KEY, "sk": {"N": "1"}},
                "UpdateExpression": "REMOVE x",
                "ConditionExpression": "attribute_exists(",
                "AttributeUpdates": {},
                "Expected": {},
                "ConditionalOperator": "OR",
            },
            MIXED + "{AttributeUpdates, Expected, ConditionalOperator} "
            "Expression parameters: {UpdateExpression, ConditionExpression}",
        ),
        (
            "Query",
            {
                "KeyConditions": {},
                "QueryFilter": {},
                "KeyConditionExpression": "x",
                "AttributesToGet": ["pk"],
            },
            MIXED + "{AttributesToGet, QueryFilter, KeyConditions} Expression parameters: {KeyConditionExpression}",
        ),
        (
            "GetItem",
            {"Key": {**KEY, "sk": {"N": "1"}}, "AttributesToGet": ["a"], "ExpressionAttributeNames": {"#a": "a"}},
            "ExpressionAttributeNames can only be specified when using expressions",
        ),
        (
            "Scan",
            {"ConditionalOperator": "AND"},
            "ConditionalOperator cannot be used without Filter or Expected",
        ),
        ("Query", {"KeyConditions": {}}, "Conditions can be of length 1 or 2 only"),
    ],
)
def test_refusals(operation: str, more: dict[str, Any], text: str, things: Any) -> None:
    assert things.refused(operation, TableName="Things", **more).message == text
