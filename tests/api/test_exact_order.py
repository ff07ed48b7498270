"""The order of the service's checks: a request that is wrong in two ways gets the error of the first check.

parse -> constraints of the shape -> parameters together -> values -> expressions -> table -> key -> condition
"""

from __future__ import annotations

from typing import Any

import pytest

pytestmark = pytest.mark.error_style("classic")

KEY = {"pk": {"S": "a"}}
TABLE = {"TableName": "Things"}
NONE = {"TableName": "None"}
VALUES = {"ExpressionAttributeValues": {":v": {"S": "x"}}}
BAD: dict[str, Any] = {"pk": {}}  # a value of no type
WRONG = {"pk": {"N": "1"}}  # a key of another type
LONG = {"pk": {"S": "a"}, "x": {"S": "y" * 410_000}}
FAULTY = "(("
UNUSED = {"ExpressionAttributeNames": {"#unused": "a"}}

SYNTAX = 'Invalid {}: Syntax error; token: "<EOF>", near: "("'
UNTYPED = "Supplied AttributeValue is empty, must contain exactly one of the supported datatypes"
NOT_FOUND = "Requested resource not found"
MISMATCH = "The provided key element does not match the schema"
RETURN_VALUES = "ReturnValues can only be ALL_OLD or NONE"
TOO_LARGE = "Item size has exceeded the maximum allowed size"
MIXED = (
    "Can not use both expression and non-expression parameters in the same request: "
    "Non-expression parameters: {{{}}} Expression parameters: {{{}}}"
)
UNUSED_NAMES = "Value provided in ExpressionAttributeNames unused in expressions: keys: {#unused}"
SEGMENT = "The TotalSegments parameter is required but was not present in the request when Segment parameter is present"


def first(what: str, operation: str, body: dict[str, Any], message: str) -> Any:
    return pytest.param(operation, body, message, id=what)


ORDER = [
    # JSON of the wrong type is found before constraints are looked at, wherever it stands.
    first("parse before constraints", "PutItem", {"TableName": "!", "Item": {"pk": {"S": 5}}},
          "NUMBER_VALUE cannot be converted to String"),
    first("constraints before parameters together", "PutItem",
          {**TABLE, "Item": KEY, "ReturnValues": "X", "ExpressionAttributeNames": {}},
          "1 validation error detected: Value 'X' at 'returnValues' failed to satisfy constraint: Member must satisfy "
          "enum value set: [ALL_NEW, UPDATED_OLD, ALL_OLD, NONE, UPDATED_NEW]"),
    # PutItem
    first("put: parameters together before values", "PutItem",
          {**TABLE, "Item": BAD, "ConditionExpression": "", "Expected": {}},
          MIXED.format("Expected", "ConditionExpression")),
    first("put: values before ReturnValues", "PutItem", {**TABLE, "Item": BAD, "ReturnValues": "ALL_NEW"}, UNTYPED),
    first("put: ReturnValues before size", "PutItem", {**TABLE, "Item": LONG, "ReturnValues": "ALL_NEW"},
          RETURN_VALUES),
    first("put: size before expressions", "PutItem", {**TABLE, "Item": LONG, "ConditionExpression": FAULTY}, TOO_LARGE),
    first("put: size before legacy conditions", "PutItem", {**TABLE, "Item": LONG, "Expected": {"a": {"Exists": True}}},
          TOO_LARGE),
    first("put: values before names and values of expressions", "PutItem",
          {**TABLE, "Item": BAD, "ConditionExpression": "a = :v", "ExpressionAttributeValues": {}}, UNTYPED),
    first("put: size before the table", "PutItem", {**NONE, "Item": LONG}, TOO_LARGE),
    first("put: expressions before the table", "PutItem", {**NONE, "Item": KEY, "ConditionExpression": FAULTY},
          SYNTAX.format("ConditionExpression")),
    first("put: unused names before the table", "PutItem",
          {**NONE, "Item": KEY, "ConditionExpression": "attribute_exists(a)", **UNUSED}, UNUSED_NAMES),
    first("put: the table before the key", "PutItem", {**NONE, "Item": {"x": {"S": "a"}}}, NOT_FOUND),
    first("put: the key before the condition", "PutItem",
          {**TABLE, "Item": WRONG, "ConditionExpression": "attribute_not_exists(pk)"},
          "One or more parameter values were invalid: Type mismatch for key pk expected: S actual: N"),
    first("put: index keys before the condition", "PutItem",
          {**TABLE, "Item": {**KEY, "g": {"N": "1"}}, "ConditionExpression": "attribute_not_exists(pk)"},
          "One or more parameter values were invalid: Type mismatch for Index Key g Expected: S Actual: N "
          "IndexName: global"),
    # GetItem, DeleteItem
    first("get: parameters together before values", "GetItem",
          {**TABLE, "Key": BAD, "ProjectionExpression": "", "AttributesToGet": ["a"]},
          MIXED.format("AttributesToGet", "ProjectionExpression")),
    first("get: values before expressions", "GetItem", {**TABLE, "Key": BAD, "ProjectionExpression": FAULTY}, UNTYPED),
    first("get: expressions before the table", "GetItem", {**NONE, "Key": KEY, "ProjectionExpression": "a."},
          'Invalid ProjectionExpression: Syntax error; token: "<EOF>", near: "."'),
    first("get: the table before the key", "GetItem", {**NONE, "Key": WRONG}, NOT_FOUND),
    first("get: the key before paths into keys", "GetItem", {**TABLE, "Key": WRONG, "ProjectionExpression": "pk.x"},
          MISMATCH),
    first("delete: values before ReturnValues", "DeleteItem",
          {**TABLE, "Key": BAD, "ReturnValues": "ALL_NEW"}, UNTYPED),
    first("delete: ReturnValues before expressions", "DeleteItem",
          {**TABLE, "Key": KEY, "ReturnValues": "ALL_NEW", "ConditionExpression": FAULTY}, RETURN_VALUES),
    first("delete: the key before the condition", "DeleteItem",
          {**TABLE, "Key": WRONG, "ConditionExpression": "attribute_not_exists(pk)"}, MISMATCH),
    # UpdateItem
    first("update: values before expressions", "UpdateItem",
          {**TABLE, "Key": BAD, "UpdateExpression": FAULTY}, UNTYPED),
    first("update: the update before the condition", "UpdateItem",
          {**TABLE, "Key": KEY, "UpdateExpression": "SET", "ConditionExpression": FAULTY},
          'Invalid UpdateExpression: Syntax error; token: "<EOF>", near: "SET"'),
    first("update: expressions before the table", "UpdateItem", {**NONE, "Key": KEY, "UpdateExpression": "SET"},
          'Invalid UpdateExpression: Syntax error; token: "<EOF>", near: "SET"'),
    first("update: the key's form before an update of the key", "UpdateItem",
          {**TABLE, "Key": WRONG, "UpdateExpression": "SET pk = :v", **VALUES}, MISMATCH),
    first("update: an update of the key before the condition", "UpdateItem",
          {**TABLE, "Key": KEY, "UpdateExpression": "SET pk = :v", "ConditionExpression": "attribute_not_exists(pk)",
           **VALUES},
          "One or more parameter values were invalid: Cannot update attribute pk. This attribute is part of the key"),
    first("update: given index keys before the condition", "UpdateItem",
          {**TABLE, "Key": KEY, "UpdateExpression": "SET g = :n", "ConditionExpression": "attribute_not_exists(pk)",
           "ExpressionAttributeValues": {":n": {"N": "1"}}},
          "One or more parameter values were invalid: Type mismatch for Index Key g Expected: S Actual: N "
          "IndexName: global"),
    first("update: the condition before operands of the item", "UpdateItem",
          {**TABLE, "Key": KEY, "UpdateExpression": "SET a = gone", "ConditionExpression": "attribute_not_exists(pk)"},
          "The conditional request failed"),
    # Query
    first("query: parameters together before the start", "Query",
          {**TABLE, "AttributesToGet": ["a"], "FilterExpression": "", "ExclusiveStartKey": BAD},
          MIXED.format("AttributesToGet", "FilterExpression")),
    first("query: the start before missing conditions", "Query", {**TABLE, "ExclusiveStartKey": BAD},
          "The provided starting key is invalid: " + UNTYPED),
    first("query: missing conditions before expressions", "Query", {**TABLE, "FilterExpression": FAULTY},
          "Either the KeyConditions or KeyConditionExpression parameter must be specified in the request."),
    first("query: key conditions before filters", "Query",
          {**TABLE, "KeyConditionExpression": FAULTY, "FilterExpression": FAULTY, "ProjectionExpression": FAULTY},
          SYNTAX.format("KeyConditionExpression")),
    first("query: filters before projections", "Query",
          {**TABLE, "KeyConditionExpression": "pk = :v", "FilterExpression": FAULTY, "ProjectionExpression": FAULTY,
           **VALUES},
          SYNTAX.format("FilterExpression")),
    first("query: expressions before the table", "Query",
          {**NONE, "KeyConditionExpression": "pk = :v", "FilterExpression": FAULTY, **VALUES},
          SYNTAX.format("FilterExpression")),
    first("query: unused names before the table", "Query",
          {**NONE, "KeyConditionExpression": "pk = :v", **VALUES, **UNUSED}, UNUSED_NAMES),
    first("query: the table before the index", "Query",
          {**NONE, "IndexName": "nothing", "KeyConditionExpression": "pk = :v", **VALUES}, NOT_FOUND),
    first("query: key conditions before what an index projects", "Query",
          {**TABLE, "IndexName": "global", "KeyConditionExpression": "pk = :v", "Select": "ALL_ATTRIBUTES", **VALUES},
          "Query condition missed key schema element: g"),
    first("query: filters on keys before what an index projects", "Query",
          {**TABLE, "IndexName": "global", "KeyConditionExpression": "g = :v", "Select": "ALL_ATTRIBUTES",
           "FilterExpression": "g = :v", **VALUES},
          "Filter Expression can only contain non-primary key attributes: Primary key attribute: g"),
    # Scan
    first("scan: the start before segments", "Scan", {**TABLE, "ExclusiveStartKey": BAD, "Segment": 1},
          "The provided starting key is invalid: " + UNTYPED),
    first("scan: segments before expressions", "Scan", {**TABLE, "Segment": 1, "FilterExpression": FAULTY}, SEGMENT),
    first("scan: expressions before the table", "Scan", {**NONE, "FilterExpression": FAULTY},
          SYNTAX.format("FilterExpression")),
    # Batches and transactions
    first("batch: an expression before values", "BatchGetItem",
          {"RequestItems": {"Things": {"Keys": [BAD], "ProjectionExpression": "a."}}},
          'Invalid ProjectionExpression: Syntax error; token: "<EOF>", near: "."'),
    first("batch: duplicates of reads before the table", "BatchGetItem",
          {"RequestItems": {"None": {"Keys": [KEY] * 2}}},
          "Provided list of item keys contains duplicates"),
    first("batch: the table before duplicates of writes", "BatchWriteItem",
          {"RequestItems": {"None": [{"DeleteRequest": {"Key": KEY}}] * 2}}, NOT_FOUND),
    first("batch: a size before the table", "BatchWriteItem",
          {"RequestItems": {"None": [{"PutRequest": {"Item": LONG}}]}}, TOO_LARGE),
    first("transaction: expressions before the table", "TransactWriteItems",
          {"TransactItems": [{"Delete": {**NONE, "Key": KEY, "ConditionExpression": FAULTY}}]},
          SYNTAX.format("ConditionExpression")),
    first("transaction: the table before duplicates", "TransactWriteItems",
          {"TransactItems": [{"Delete": {**NONE, "Key": KEY}}] * 2}, NOT_FOUND),
    first("transaction: duplicates before conditions", "TransactWriteItems",
          {"TransactItems": [{"Delete": {**TABLE, "Key": KEY, "ConditionExpression": "attribute_not_exists(pk)"}}] * 2},
          "Transaction request cannot include multiple operations on one item"),
    first("transaction: duplicates before keys that do not fit", "TransactGetItems",
          {"TransactItems": [*[{"Get": {**TABLE, "Key": KEY}}] * 2, {"Get": {**TABLE, "Key": WRONG}}]},
          "Transaction request cannot include multiple operations on one item"),
    # Tables
    first("create: shape before definition", "CreateTable",
          {"TableName": "ab", "AttributeDefinitions": [], "KeySchema": []},
          "1 validation error detected: Value 'ab' at 'tableName' failed to satisfy constraint: "
          "Member must have length greater than or equal to 3"),
    first("change: nothing to change before the table", "UpdateTable", NONE,
          "At least one of ProvisionedThroughput, BillingMode, UpdateStreamEnabled, GlobalSecondaryIndexUpdates, "
          "SSESpecification, ReplicaUpdates, MultiAccountReplicaReady, ReplicaTransitRoleArn, MultiRegionConsistency, "
          "DeletionProtectionEnabled, OnDemandThroughput, WarmThroughput or TableClass is required"),
    first("change: the table before units of an on-demand table", "UpdateTable",
          {**NONE, "BillingMode": "PAY_PER_REQUEST",
           "ProvisionedThroughput": {"ReadCapacityUnits": 1, "WriteCapacityUnits": 1}},
          "Requested resource not found: Table: None not found"),
]  # fmt: skip


@pytest.fixture
def things(service: Any) -> Any:
    service.table(
        types={"g": "S"},
        GlobalSecondaryIndexes=[
            {"IndexName": "global", "KeySchema": [{"AttributeName": "g", "KeyType": "HASH"}],
             "Projection": {"ProjectionType": "KEYS_ONLY"}},
        ],
    )  # fmt: skip
    service.put_item(TableName="Things", Item=KEY)
    return service


@pytest.mark.parametrize(("operation", "body", "message"), ORDER)
def test_checked_first(things: Any, operation: str, body: dict[str, Any], message: str) -> None:
    assert things.refused(operation, **body).message == message


ENUMS = {"ReturnConsumedCapacity": "X", "ReturnItemCollectionMetrics": "X", "ReturnValues": "X"}


def test_a_bad_table_name_is_reported_alone(things: Any) -> None:
    message = things.refused("PutItem", TableName="!", Item=KEY, **ENUMS).message
    assert message.startswith("1 validation error detected: Value '!' at 'tableName'")


def test_the_error_for_writes_lists_all_violations_in_the_service_s_order(things: Any) -> None:
    for operation, target in (("PutItem", {"Item": KEY}), ("UpdateItem", {"Key": KEY})):
        message = things.refused(operation, **TABLE, **target, **ENUMS).message
        assert message.startswith("3 validation errors detected: ")
        members = ["returnConsumedCapacity", "returnItemCollectionMetrics", "returnValues"]
        assert [part.split("at '")[1].split("'")[0] for part in message.split("; ")] == members
