"""Numbers that are out of range, in each place where a request may send one: the current layer judges an exponent by
its size, the older layer by its length."""

from __future__ import annotations

from typing import Any

import pytest

KEY = {"pk": {"S": "a"}, "sk": {"N": "1"}}
THINGS = {"TableName": "Things"}
PK = {":p": KEY["pk"]}
ENVELOPE = "1 validation error detected: "
WRAPPER = "ExpressionAttributeValues contains invalid value: {} for key :v"
NUMERIC = "The parameter cannot be converted to a numeric value"
OVERFLOW = "Number overflow. Attempting to store a number with magnitude larger than supported range"
UNDERFLOW = "Number underflow. Attempting to store a number with magnitude smaller than supported range"
LONG = "Attempting to store more than 38 significant digits in a Number"

# The texts of the current and of the older layer.
TEXTS: dict[str, tuple[str, str]] = {
    "1e99999999999": (OVERFLOW, f"{NUMERIC}: 1e99999999999"),
    "-1e99999999999": (OVERFLOW, f"{NUMERIC}: -1e99999999999"),
    "1e-99999999999": (UNDERFLOW, f"{NUMERIC}: 1e-99999999999"),
    "1e9223372036854775808": (f"{NUMERIC}: 1e9223372036854775808",) * 2,
    "1e2147483648": (OVERFLOW, f"{NUMERIC}: 1e2147483648"),
    "1e2147483647": (OVERFLOW, UNDERFLOW),
    "0e126": (OVERFLOW, OVERFLOW),
    "0e-131": (UNDERFLOW, UNDERFLOW),
    "": (f"{NUMERIC}: ", NUMERIC),
    "x": (f"{NUMERIC}: x",) * 2,
    "1" * 39: (LONG, LONG),
}


def valued(number: Any, text: str = "a = :v", **more: Any) -> Any:
    return {"ExpressionAttributeValues": {":v": number}, **more}


def expected(number: Any) -> Any:
    return {"Expected": {"a": {"Value": number}}}


def legacy(number: Any) -> Any:
    return {"a": {"ComparisonOperator": "EQ", "AttributeValueList": [number]}}


def start(number: Any) -> Any:
    return {"ExclusiveStartKey": {**KEY, "sk": number}}


QUERY = {"KeyConditionExpression": "pk = :p"}
# Requests of the current layer, with what comes before their texts.
CURRENT: dict[str, tuple[str, Any, str]] = {
    "an item to put": ("PutItem", lambda n: {"Item": {**KEY, "a": n}}, ENVELOPE),
    "a number in a document": ("PutItem", lambda n: {"Item": {**KEY, "a": {"L": [{"M": {"b": n}}]}}}, ENVELOPE),
    "a member of a set": ("PutItem", lambda n: {"Item": {**KEY, "a": {"NS": ["1", n["N"]]}}}, ENVELOPE),
    "a value of a put's condition": (
        "PutItem", lambda n: {"Item": KEY, "ConditionExpression": "a = :v", **valued(n)}, ENVELOPE
    ),
    "an expected value of a put": ("PutItem", lambda n: {"Item": KEY, **expected(n)}, ENVELOPE),
    "a key to update": ("UpdateItem", lambda n: {"Key": {**KEY, "sk": n}}, ENVELOPE),
    "a value of an update": (
        "UpdateItem", lambda n: {"Key": KEY, "UpdateExpression": "SET a = :v", **valued(n)}, ENVELOPE
    ),
    "a legacy update": (
        "UpdateItem", lambda n: {"Key": KEY, "AttributeUpdates": {"a": {"Action": "ADD", "Value": n}}}, ENVELOPE
    ),
    "a key to delete": ("DeleteItem", lambda n: {"Key": {**KEY, "sk": n}}, ENVELOPE),
    "a value of a deletion's condition": (
        "DeleteItem", lambda n: {"Key": KEY, "ConditionExpression": "a = :v", **valued(n)}, ENVELOPE
    ),
    "an expected value of a deletion": ("DeleteItem", lambda n: {"Key": KEY, **expected(n)}, ENVELOPE),
    "a key to get": ("GetItem", lambda n: {"Key": {**KEY, "sk": n}}, ""),
    "a value of a key condition": ("Query", lambda n: {"KeyConditionExpression": "pk = :v", **valued(n)}, ""),
    "a value of a query's filter": (
        "Query",
        lambda n: {**QUERY, "FilterExpression": "a = :v", "ExpressionAttributeValues": {**PK, ":v": n}}, "",
    ),
    "a legacy key condition": ("Query", lambda n: {"KeyConditions": {"sk": legacy(n)["a"]}}, ""),
    "a key to start a query after": (
        "Query", lambda n: {**QUERY, "ExpressionAttributeValues": PK, **start(n)}, ""
    ),
}  # fmt: skip
# Requests of the older layer, with what stands around their texts.
OLDER: dict[str, tuple[str, Any, str]] = {
    "a value of a scan's filter": ("Scan", lambda n: {**THINGS, "FilterExpression": "a = :v", **valued(n)}, WRAPPER),
    "a legacy filter of a scan": ("Scan", lambda n: {**THINGS, "ScanFilter": legacy(n)}, "{}"),
    "a key to start a scan after": ("Scan", lambda n: {**THINGS, **start(n)}, "{}"),
    "an item of a batch": (
        "BatchWriteItem", lambda n: {"RequestItems": {"Things": [{"PutRequest": {"Item": {**KEY, "a": n}}}]}}, "{}"
    ),
    "a key of a batch of writes": (
        "BatchWriteItem", lambda n: {"RequestItems": {"Things": [{"DeleteRequest": {"Key": {**KEY, "sk": n}}}]}}, "{}"
    ),
    "a key of a transaction of reads": (
        "TransactGetItems", lambda n: {"TransactItems": [{"Get": {**THINGS, "Key": {**KEY, "sk": n}}}]}, "{}"
    ),
    "a key of a transaction of writes": (
        "TransactWriteItems", lambda n: {"TransactItems": [{"Delete": {**THINGS, "Key": {**KEY, "sk": n}}}]}, "{}"
    ),
    "a value of an update in a transaction": (
        "TransactWriteItems",
        lambda n: {"TransactItems": [
            {"Update": {**THINGS, "Key": KEY, "UpdateExpression": "SET a = :v", **valued(n)}}]}, WRAPPER,
    ),
    "a parameter of a statement": (
        "ExecuteStatement", lambda n: {"Statement": "SELECT * FROM Things WHERE pk = 'a' AND a = ?", "Parameters": [n]},
        "{}",
    ),
    "a parameter of a write": (
        "ExecuteStatement",
        lambda n: {"Statement": "UPDATE Things SET a = ? WHERE pk = 'a' AND sk = 1", "Parameters": [n]}, "{}",
    ),
    "a parameter of a transaction": (
        "ExecuteTransaction",
        lambda n: {"TransactStatements": [
            {"Statement": "UPDATE Things SET a = ? WHERE pk = 'a' AND sk = 1", "Parameters": [n]}]}, "{}",
    ),
}  # fmt: skip


@pytest.fixture
def things(service: Any) -> Any:
    service.table(sort="N")
    return service


@pytest.mark.parametrize("place", CURRENT)
def test_the_current_layer_judges_an_exponent_by_its_size(things: Any, place: str) -> None:
    operation, body, before = CURRENT[place]
    for number, (text, _) in TEXTS.items():
        refused = things.refused(operation, **THINGS, **body({"N": number}))
        assert (refused.code, refused.message) == ("ValidationException", before + text), number


def test_so_does_a_batch_of_reads(things: Any) -> None:
    for number, (text, _) in TEXTS.items():
        keys = {"Keys": [{**KEY, "sk": {"N": number}}]}
        assert things.refused("BatchGetItem", RequestItems={"Things": keys}).message == text


@pytest.mark.parametrize("place", OLDER)
def test_the_older_layer_judges_an_exponent_by_its_length(things: Any, place: str) -> None:
    operation, body, around = OLDER[place]
    for number, (_, text) in TEXTS.items():
        refused = things.refused(operation, **body({"N": number}))
        assert (refused.code, refused.message) == ("ValidationException", around.format(text)), number


LARGE, SMALL = {"N": "1e50"}, {"N": "1"}
SUMS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "a sum of values": ({}, {"UpdateExpression": "SET b = :x + :y"}),
    "a difference of values": ({}, {"UpdateExpression": "SET b = :x - :y"}),
    "a sum with an attribute": ({"b": LARGE}, {"UpdateExpression": "SET b = b + :y"}),
    "an addition": ({"b": SMALL}, {"UpdateExpression": "ADD b :x"}),
    "a sum with a default": ({"b": LARGE}, {"UpdateExpression": "SET b = if_not_exists(b, :x) + :y"}),
    "a legacy addition": ({"b": SMALL}, {"AttributeUpdates": {"b": {"Action": "ADD", "Value": LARGE}}}),
}


@pytest.mark.parametrize("situation", SUMS)
def test_a_computed_number_of_too_many_digits_overflows(things: Any, situation: str) -> None:
    stored, change = SUMS[situation]
    things.put_item(**THINGS, Item={**KEY, **stored})
    before = things.scan(**THINGS)["Items"]
    given = {":x": LARGE, ":y": SMALL}
    used = {name: value for name, value in given.items() if name in str(change)}
    values = {"ExpressionAttributeValues": used} if used else {}
    refused = things.refused("UpdateItem", **THINGS, Key=KEY, **change, **values)
    assert (refused.code, refused.message) == ("ValidationException", OVERFLOW)
    assert things.scan(**THINGS)["Items"] == before


def test_a_computed_number_of_too_many_digits_overflows_in_a_statement(things: Any) -> None:
    things.put_item(**THINGS, Item={**KEY, "b": LARGE})
    statement = "UPDATE Things SET b = b + 1 WHERE pk = 'a' AND sk = 1"
    assert things.refused("ExecuteStatement", Statement=statement).message == OVERFLOW
    cancelled = things.refused("ExecuteTransaction", TransactStatements=[{"Statement": statement}])
    assert cancelled.fields["CancellationReasons"] == [{"Code": "ValidationError", "Message": OVERFLOW}]


@pytest.mark.parametrize("zero", ["0e125", "0e-130", "-0", "0.000"])
def test_a_zero_within_range_is_zero(things: Any, zero: str) -> None:
    things.put_item(**THINGS, Item={**KEY, "n": {"N": zero}})
    assert things.get_item(**THINGS, Key=KEY)["Item"]["n"] == {"N": "0"}
