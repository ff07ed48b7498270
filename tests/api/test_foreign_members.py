"""A member that an operation does not have changes nothing, whatever its value is: the service ignores it."""

from __future__ import annotations

import asyncio
import copy
from typing import Any

import orjson
import pytest

from atoll.api.service_model import model
from atoll.clock import ManualClock
from atoll.database.region import Region, Settings
from atoll.errors import ApiError
from atoll.storage.memory import MemoryEngine
from tests import desk

TABLE = {
    "TableName": "Things",
    "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
    "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
    "BillingMode": "PAY_PER_REQUEST",
}
KEY = {"pk": {"S": "a"}}
NAMED = {"TableName": "Things"}
WRITE = {"TableName": "Things", "Item": KEY, "ReturnValues": "NONE"}
VALUES = {":a": {"S": "a"}}
QUERY = {"KeyConditionExpression": "pk = :a", "ExpressionAttributeValues": VALUES}
BODIES: dict[str, list[dict[str, Any]]] = {
    "PutItem": [WRITE, WRITE | {"ReturnValues": "odd"}, WRITE | {"ConditionExpression": "pk = :b"}],
    "UpdateItem": [
        NAMED | {"Key": KEY, "UpdateExpression": "SET a = :a", "ExpressionAttributeValues": VALUES},
        NAMED | {"Key": KEY, "UpdateExpression": "SET a = "},
        NAMED | {"Key": {}},
    ],
    "DeleteItem": [NAMED | {"Key": {"pk": {"S": "none"}}}, NAMED | {"Key": {"pk": {"N": "1"}}}],
    "GetItem": [NAMED | {"Key": KEY}, NAMED | {"Key": {"pk": {"S": ""}}}, NAMED],
    "Query": [NAMED | QUERY, NAMED | {"KeyConditionExpression": "pk ="}, NAMED],
    "Scan": [NAMED, NAMED | {"Limit": 0}],
    "BatchGetItem": [{"RequestItems": {"Things": {"Keys": [KEY]}}}, {"RequestItems": {}}],
    "BatchWriteItem": [{"RequestItems": {"Things": [{"PutRequest": {"Item": KEY}}]}}, {"RequestItems": {"Things": []}}],
    "TransactGetItems": [{"TransactItems": [{"Get": NAMED | {"Key": KEY}}]}, {"TransactItems": []}],
    "TransactWriteItems": [{"TransactItems": [{"Put": NAMED | {"Item": KEY}}]}, {"TransactItems": []}],
    "ExecuteStatement": [{"Statement": "SELECT * FROM Things WHERE pk = 'a'"}, {"Statement": "SELECT"}],
    "CreateTable": [NAMED, {"TableName": "x"}],
    "UpdateTable": [NAMED, NAMED | {"BillingMode": "odd"}],
    "DescribeTable": [NAMED, {"TableName": ""}],
    "ListTables": [{}, {"Limit": 0}],
}
ODD: list[Any] = [1.5, "x", [1], {"a": 1}, {"a": {"L": 1}}, {"a": {"Value": 1}}]
MEMBERS = {name for operation in BODIES for name in model("dynamodb").input(operation).members}


@pytest.mark.parametrize("style", ["classic", "2026"])
@pytest.mark.parametrize("operation", BODIES)
def test_a_member_of_another_operation_is_ignored(operation: str, style: str) -> None:
    region = Region("us-east-1", MemoryEngine(), ManualClock(1_800_000_000_000), Settings(error_style=style))
    own = model("dynamodb").input(operation).members

    async def outcome(body: dict[str, Any]) -> Any:
        try:
            return orjson.dumps(await desk.call(region, operation, copy.deepcopy(body)))
        except ApiError as error:
            return error.code, error.message, error.fields

    async def scenario() -> None:
        await desk.call(region, "CreateTable", TABLE)
        for body in BODIES[operation]:
            expected = await outcome(body)
            for name in sorted(MEMBERS - own.keys()):
                for value in ODD:
                    assert await outcome(body | {name: value}) == expected, (name, value)

    asyncio.run(scenario())
