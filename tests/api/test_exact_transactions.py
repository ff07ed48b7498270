"""Faults that fail a transaction as a whole, and faults that are reasons for its cancellation."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import pytest

EMPTY = (
    "One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an empty "
    "{} value. Key: {}"
)
GSI = {
    "IndexName": "by-g",
    "KeySchema": [{"AttributeName": "g", "KeyType": "HASH"}],
    "Projection": {"ProjectionType": "ALL"},
}
SOUND = {"Put": {"TableName": "Things", "Item": {"pk": {"S": "sound"}, "sk": {"B": "YQ=="}}}}
EMPTY_KEYS = [
    ({"pk": {"S": ""}, "sk": {"B": "YQ=="}}, EMPTY.format("string", "pk")),
    ({"pk": {"S": "a"}, "sk": {"B": ""}}, EMPTY.format("binary", "sk")),
]
OTHER_KEYS = [
    {"pk": {"N": "1"}, "sk": {"B": "YQ=="}},
    {"pk": {"L": []}, "sk": {"B": "YQ=="}},
    {"pk": {"S": "a"}},
]


def action(kind: str, key: Any) -> Any:
    if kind == "Put":
        return {"Put": {"TableName": "Things", "Item": key}}
    more = {
        "Update": {"UpdateExpression": "REMOVE c"},
        "Delete": {},
        "ConditionCheck": {"ConditionExpression": "attribute_exists(pk)"},
    }
    return {kind: {"TableName": "Things", "Key": key, **more[kind]}}


KINDS = ["Put", "Update", "Delete", "ConditionCheck"]


@pytest.fixture
def things(service: Any) -> Any:
    service.table(sort="B", types={"g": "S"}, GlobalSecondaryIndexes=[GSI])
    return service


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("key", "message"), EMPTY_KEYS, ids=["string", "binary"])
def test_an_empty_key_value_fails_a_transaction_of_writes(things: Any, kind: str, key: Any, message: str) -> None:
    refused = things.refused("TransactWriteItems", TransactItems=[SOUND, action(kind, key)])
    assert (refused.code, refused.message, refused.fields) == ("ValidationException", message, None)
    assert things.scan(TableName="Things")["Count"] == 0


@pytest.mark.parametrize(("key", "message"), EMPTY_KEYS, ids=["string", "binary"])
def test_an_empty_key_value_fails_a_transaction_of_reads(things: Any, key: Any, message: str) -> None:
    refused = things.refused("TransactGetItems", TransactItems=[{"Get": {"TableName": "Things", "Key": key}}])
    assert (refused.code, refused.message) == ("ValidationException", message)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("key", OTHER_KEYS, ids=["wrong type", "not scalar", "missing"])
def test_any_other_invalid_key_cancels_a_transaction(things: Any, kind: str, key: Any) -> None:
    refused = things.refused("TransactWriteItems", TransactItems=[SOUND, action(kind, key)])
    assert refused.code == "TransactionCanceledException"
    assert [reason["Code"] for reason in refused.fields["CancellationReasons"]] == ["None", "ValidationError"]


def test_an_empty_index_key_value_fails_a_transaction(things: Any) -> None:
    put = {"Put": {"TableName": "Things", "Item": {"pk": {"S": "a"}, "sk": {"B": "YQ=="}, "g": {"S": ""}}}}
    refused = things.refused("TransactWriteItems", TransactItems=[SOUND, put])
    assert refused.code == "ValidationException"
    assert refused.message.endswith("cannot contain an empty string value. IndexName: by-g, IndexKey: g")


def test_a_large_transaction_is_refused_for_its_payload(things: Any) -> None:
    text = {"S": "x" * 300_000}
    actions = [action("Put", {"pk": {"S": str(n)}, "sk": {"B": "YQ=="}, "x": text}) for n in range(15)]
    refused = things.refused("TransactWriteItems", TransactItems=actions)
    assert refused.code == "ValidationException"
    assert "size cannot exceed" in refused.message


FAULTS = {
    "an item": ({"Put": {"TableName": "Things", "Item": {"pk": {"S": "i"}, "sk": {"B": "YQ=="}, "x": {"SS": []}}}},
                "One or more parameter values were invalid: An string set  may not be empty"),
    "an expression": ({"Delete": {"TableName": "Things", "Key": {"pk": {"S": "e"}, "sk": {"B": "YQ=="}},
                                  "ConditionExpression": "((a = b))"}},
                      "Invalid ConditionExpression: The expression has redundant parentheses;"),
    "a value": ({"Update": {"TableName": "Things", "Key": {"pk": {"S": "v"}, "sk": {"B": "YQ=="}},
                            "UpdateExpression": "SET x = :v", "ExpressionAttributeValues": {":v": {"N": "x"}}}},
                "ExpressionAttributeValues contains invalid value: The parameter cannot be converted to a numeric "
                "value: x for key :v"),
    "a number": ({"ConditionCheck": {"TableName": "Things", "Key": {"pk": {"N": "y"}, "sk": {"B": "YQ=="}},
                                     "ConditionExpression": "attribute_exists(pk)"}},
                 "The parameter cannot be converted to a numeric value: y"),
}  # fmt: skip


@pytest.mark.parametrize(("first", "second"), [*permutations(FAULTS, 2)])
def test_actions_are_checked_one_at_a_time_in_their_order(things: Any, first: str, second: str) -> None:
    actions = [SOUND, FAULTS[first][0], FAULTS[second][0]]
    refused = things.refused("TransactWriteItems", TransactItems=actions)
    assert (refused.code, refused.message) == ("ValidationException", FAULTS[first][1])


SHORT = "The provided starting key is invalid"
LONG = f"{SHORT}: The provided key element does not match the schema"


@pytest.mark.parametrize(
    "start",
    [
        {"pk": {"S": "a"}},
        {"pk": {"S": "a"}, "sk": {"B": "YQ=="}, "c": {"S": "c"}},
        {"pk": {"S": "a"}, "c": {"B": "YQ=="}},
    ],
    ids=["one too few", "one too many", "another"],
)
def test_a_start_key_of_other_attributes_has_a_long_text_in_a_scan(things: Any, start: Any) -> None:
    assert things.refused("Scan", TableName="Things", ExclusiveStartKey=start).message == LONG
    query = {"KeyConditionExpression": "pk = :p", "ExpressionAttributeValues": {":p": {"S": "a"}}}
    assert things.refused("Query", TableName="Things", ExclusiveStartKey=start, **query).message == SHORT


@pytest.mark.parametrize("expression", ["REMOVE x.y", "REMOVE x[0]", "REMOVE x.y[1].z, c[2]"])
def test_a_nested_remove_of_an_absent_item_does_nothing(things: Any, expression: str) -> None:
    key = {"pk": {"S": "a"}, "sk": {"B": "YQ=="}}
    assert things.update_item(TableName="Things", Key=key, UpdateExpression=expression) == {}
    assert "Item" not in things.get_item(TableName="Things", Key=key)
    things.put_item(TableName="Things", Item=key)
    refused = things.refused("UpdateItem", TableName="Things", Key=key, UpdateExpression=expression)
    assert refused.message == "The document path provided in the update expression is invalid for update"


def test_a_nested_set_of_an_absent_item_is_invalid(things: Any) -> None:
    key = {"pk": {"S": "a"}, "sk": {"B": "YQ=="}}
    update = {"UpdateExpression": "SET x.y = :v", "ExpressionAttributeValues": {":v": {"N": "1"}}}
    refused = things.refused("UpdateItem", TableName="Things", Key=key, **update)
    assert refused.message == "The document path provided in the update expression is invalid for update"


OVERFLOW = "Number overflow. Attempting to store a number with magnitude larger than supported range"
LARGE, SMALL = {"N": "1" + "0" * 50}, {"N": "1"}


@pytest.mark.parametrize(
    "change",
    [
        {"UpdateExpression": "SET b = :x + :y", "ExpressionAttributeValues": {":x": LARGE, ":y": SMALL}},
        {"UpdateExpression": "SET b = :x - :y", "ExpressionAttributeValues": {":x": LARGE, ":y": SMALL}},
        {"UpdateExpression": "ADD n :x", "ExpressionAttributeValues": {":x": LARGE}},
        {"AttributeUpdates": {"n": {"Action": "ADD", "Value": LARGE}}},
    ],
    ids=["sum", "difference", "ADD", "legacy ADD"],
)
def test_a_computed_number_of_too_many_digits_overflows(things: Any, change: Any) -> None:
    key = {"pk": {"S": "a"}, "sk": {"B": "YQ=="}}
    things.put_item(TableName="Things", Item={**key, "n": SMALL})
    assert things.refused("UpdateItem", TableName="Things", Key=key, **change).message == OVERFLOW
