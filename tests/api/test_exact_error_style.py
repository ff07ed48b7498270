"""`--error-style`: the envelope that validation errors of PutItem and UpdateItem have since 2026."""

from __future__ import annotations

from typing import Any

import pytest

from atoll.database.region import Settings

KEY = {"pk": {"S": "a"}}
ENVELOPE = "1 validation error detected: "
VALUES = {"ExpressionAttributeValues": {":v": {"S": "x"}}}


def put(item: Any, **more: Any) -> Any:
    return "PutItem", {"Item": {**KEY, **item}, **more}


def update(text: str, **more: Any) -> Any:
    return "UpdateItem", {"Key": KEY, "UpdateExpression": text, **more}


MOVED = {
    "an empty set": put({"x": {"SS": []}}),
    "an empty set of numbers inside a document": put({"x": {"M": {"y": {"NS": []}}}}),
    "a set with duplicates": put({"x": {"SS": ["a", "a"]}}),
    "a set of numbers with duplicates": put({"x": {"NS": ["1", "1.0"]}}),
    "NULL that is false": put({"x": {"NULL": False}}),
    "a syntax error in a condition": put({}, ConditionExpression="a ="),
    "a syntax error in an update": update("SET"),
    "redundant parentheses": put({}, ConditionExpression="((a = :v))", **VALUES),
    "an operand that does not fit": update("SET a = :v + :v", **VALUES),
    "a name that is not defined": update("REMOVE #a"),
    "names that nothing uses": update("REMOVE a", ExpressionAttributeNames={"#a": "a"}),
    "names without an expression": put({}, ExpressionAttributeNames={"#a": "a"}),
    "values without an expression": put({}, **VALUES),
    "no values": update("REMOVE a", ExpressionAttributeValues={}),
    "a name that is none": update("REMOVE a", ExpressionAttributeNames={"a": "a"}),
    "a value that cannot be one": update("SET a = :v", ExpressionAttributeValues={":v": {"SS": []}}),
    "ReturnValues that PutItem does not have": put({}, ReturnValues="ALL_NEW"),
}

BARE = {
    "a key of another type": put({"pk": {"N": "1"}}),
    "a missing key": ("PutItem", {"Item": {"x": {"S": "a"}}}),
    "an update of a key": update("SET pk = :v", **VALUES),
    "a path that leads nowhere": update("SET a.b = :v", **VALUES),
    "an empty key": put({"pk": {"S": ""}}),
    "an item that is too large": put({"x": {"S": "y" * 410_000}}),
    "a number that is none": put({"x": {"N": "y"}}),
    "legacy parameters beside expressions": put({}, ConditionExpression="a", Expected={}),
    "a failed condition": put({}, ConditionExpression="attribute_exists(a)"),
    "a syntax error of a deletion": ("DeleteItem", {"Key": KEY, "ConditionExpression": "a ="}),
    "a syntax error of a read": ("GetItem", {"Key": KEY, "ProjectionExpression": "a."}),
    "a syntax error of a query": ("Query", {"KeyConditionExpression": "a ="}),
    "a syntax error of a scan": ("Scan", {"FilterExpression": "a ="}),
}


def told(service: Any, operation: str, body: dict[str, Any]) -> tuple[str, str]:
    refusal = service.refused(operation, TableName="Things", **body)
    return refusal.code, refusal.message


@pytest.fixture
def both(service: Any) -> tuple[Any, Any]:
    """The same table, in the classic style and in that of 2026."""
    newer = type(service)(Settings(error_style="2026"))
    for one in (service, newer):
        one.table()
    return service, newer


@pytest.mark.parametrize("request_", MOVED.values(), ids=MOVED)
def test_moved_into_the_envelope(both: tuple[Any, Any], request_: tuple[str, dict[str, Any]]) -> None:
    classic, newer = (told(service, *request_) for service in both)
    assert not classic[1].startswith(ENVELOPE)
    assert newer == (classic[0], ENVELOPE + classic[1])


@pytest.mark.parametrize("request_", BARE.values(), ids=BARE)
def test_still_bare(both: tuple[Any, Any], request_: tuple[str, dict[str, Any]]) -> None:
    classic, newer = (told(service, *request_) for service in both)
    assert not classic[1].startswith(ENVELOPE)
    assert newer == classic


def test_enveloped_messages_are_enveloped_once(both: tuple[Any, Any]) -> None:
    for service in both:
        _, message = told(service, *put({}, ReturnValues="X"))
        assert message.count(ENVELOPE) == 1


def test_batches_and_transactions_are_bare(both: tuple[Any, Any]) -> None:
    item = {**KEY, "x": {"SS": []}}
    batch = {"RequestItems": {"Things": [{"PutRequest": {"Item": item}}]}}
    transaction = {"TransactItems": [{"Put": {"TableName": "Things", "Item": item}}]}
    for service in both:
        for operation, body in (("BatchWriteItem", batch), ("TransactWriteItems", transaction)):
            refusal = service.refused(operation, **body)
            assert refusal.message == "One or more parameter values were invalid: An string set  may not be empty"
