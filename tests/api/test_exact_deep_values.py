"""Values nested too deeply, and the faults that are reported before them."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from atoll import errors
from tests import desk
from tests.engines import run

ENVELOPE = "1 validation error detected: "
TOO_DEEP = (
    "Nesting Levels have exceeded supported limits: Attributes in the item have nested levels beyond supported limit"
)
KEY = {"pk": {"S": "a"}}
EMPTY_IN_MAP = {"M": {"": {"S": "x"}}}


def deep(levels: int) -> Any:
    return orjson.loads('{"L": [' * levels + "]}" * levels)


def put(item: Any, **more: Any) -> Any:
    return {"Put": {"TableName": "Things", "Item": {**KEY, **item}, **more}}


def update(key: Any, text: str) -> Any:
    return {"Update": {"TableName": "Things", "Key": key, "UpdateExpression": text}}


def delete(key: Any, text: str) -> Any:
    return {"Delete": {"TableName": "Things", "Key": key, "ConditionExpression": text}}


def check(key: Any, text: str) -> Any:
    return {"ConditionCheck": {"TableName": "Things", "Key": key, "ConditionExpression": text}}


SYNTAX = "Invalid UpdateExpression: Syntax error; "
DEEP_KEY = {"pk": deep(100)}
TRANSACTIONS: dict[str, tuple[list[Any], str]] = {
    "an item": ([put({"x": deep(40)})], TOO_DEEP),
    "an empty name before it": ([put({"": {"S": "x"}, "x": deep(100)})], "Empty attribute name"),
    "an empty name behind it": ([put({"x": deep(100), "": {"S": "x"}})], "Empty attribute name"),
    "an empty name inside a map": ([put({"m": EMPTY_IN_MAP, "x": deep(40)})], TOO_DEEP),
    "a number that is none": ([put({"n": {"N": "x"}, "x": deep(40)})], TOO_DEEP),
    "a key beside an update that cannot be parsed": ([update(DEEP_KEY, "SET")], SYNTAX),
    "a key beside a condition that cannot be parsed": ([delete(DEEP_KEY, "a =")], "Invalid ConditionExpression: "),
    "a key beside a condition that is too long": (
        [check(DEEP_KEY, "a" + " " * 5_000)],
        "Invalid ConditionExpression: Expression size has exceeded the maximum allowed size; expression size: 5001",
    ),
    "an item beside a condition that cannot be parsed": (
        [put({"x": deep(40)}, ConditionExpression="a =")],
        "Invalid ConditionExpression: ",
    ),
    "a key beside a sound condition": ([check(DEEP_KEY, "attribute_exists(a)")], TOO_DEEP),
    "an item before a wrong action": ([put({"x": deep(40)}), update({"pk": {"S": "b"}}, "SET")], TOO_DEEP),
    "an item after a wrong action": ([update({"pk": {"S": "b"}}, "SET"), put({"x": deep(40)})], SYNTAX),
}


@pytest.mark.parametrize("situation", TRANSACTIONS)
def test_in_a_transaction(service: Any, situation: str) -> None:
    service.table()
    actions, message = TRANSACTIONS[situation]
    refused = service.refused("TransactWriteItems", TransactItems=actions)
    assert refused.code == "ValidationException"
    assert refused.message.startswith(message)


READS: dict[str, tuple[str, str]] = {
    "a projection that cannot be parsed": ("a.", "Invalid ProjectionExpression: Syntax error; "),
    "a sound projection": ("a", TOO_DEEP),
}


@pytest.mark.parametrize("situation", READS)
def test_a_key_in_a_transaction_of_other_reads(service: Any, situation: str) -> None:
    service.table()
    text, message = READS[situation]
    get = {"TableName": "Things", "Key": DEEP_KEY, "ProjectionExpression": text}
    assert service.refused("TransactGetItems", TransactItems=[{"Get": get}]).message.startswith(message)


XOR = (
    f"{ENVELOPE}Value 'XOR' at 'conditionalOperator' failed to satisfy constraint: Member must satisfy enum value set: "
)
BOGUS = (
    f"{ENVELOPE}Value 'BOGUS' at 'returnValues' failed to satisfy constraint: Member must satisfy enum value set: "
    "[ALL_NEW, UPDATED_OLD, ALL_OLD, NONE, UPDATED_NEW]"
)
EXPECTED = {"Expected": {"a": {"Value": deep(100)}}}
UNLISTED = f"{ENVELOPE}Failed to satisfy constraint: Member must satisfy enum value set: "
WRITES: dict[str, tuple[str, dict[str, Any], str]] = {
    "PutItem": ("PutItem", {"Item": KEY, **EXPECTED, "ConditionalOperator": "XOR"}, f"{XOR}[OR, AND]"),
    "UpdateItem": ("UpdateItem", {"Key": KEY, **EXPECTED, "ConditionalOperator": "XOR"}, f"{XOR}[OR, AND]"),
    "DeleteItem": ("DeleteItem", {"Key": KEY, **EXPECTED, "ReturnValues": "BOGUS"}, BOGUS),
    "a deep key": ("DeleteItem", {"Key": {"pk": deep(100)}, "ReturnValues": "BOGUS"}, BOGUS),
    "values that deletions do not return": (
        "DeleteItem",
        {"Key": KEY, **EXPECTED, "ReturnValues": "UPDATED_NEW"},
        "ReturnValues can only be ALL_OLD or NONE",
    ),
    "fewer levels": (
        "PutItem",
        {"Item": KEY, "Expected": {"a": {"Value": deep(40)}}, "ConditionalOperator": "XOR"},
        f"{UNLISTED}[ALL, OR]",
    ),
}


@pytest.mark.parametrize("situation", WRITES)
def test_a_member_that_is_none_of_its_values_is_reported_first(service: Any, situation: str) -> None:
    service.table()
    operation, body, message = WRITES[situation]
    assert service.refused(operation, TableName="Things", **body).message == message


DEEPEST = deep(450)
REQUESTS: dict[str, dict[str, Any]] = {
    "PutItem": {"TableName": "Things", "Item": {**KEY, "x": DEEPEST}},
    "GetItem": {"TableName": "Things", "Key": {"pk": DEEPEST}},
    "Query": {
        "TableName": "Things",
        "KeyConditions": {"pk": {"ComparisonOperator": "EQ", "AttributeValueList": [DEEPEST]}},
    },
    "Scan": {"TableName": "Things", "ExclusiveStartKey": {"pk": DEEPEST}},
    "BatchGetItem": {"RequestItems": {"no!name": {"Keys": [{"pk": DEEPEST}]}}},
    "BatchWriteItem": {"RequestItems": {"no!name": [{"DeleteRequest": {"Key": {"pk": DEEPEST}}}]}},
    "TransactWriteItems": {"TransactItems": [put({"x": DEEPEST})]},
}


@pytest.mark.parametrize("operation", REQUESTS)
def test_the_deepest_json_that_can_be_parsed_is_a_validation_error(service: Any, operation: str) -> None:
    service.table()
    with pytest.raises(errors.ApiError) as caught:
        run(desk.call(service.region, operation, REQUESTS[operation]))
    assert caught.value.code == "ValidationException"
