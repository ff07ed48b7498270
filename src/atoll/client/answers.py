"""Check that an answer has the form of the service's model, with all members that commands rely on.

A command reads answers as if they came from DynamoDB. Another kind of server, or a hostile one, may answer anything; so
this is checked once, where answers arrive. Members that are null count as absent. Unknown members are ignored. A page
that ends where it began is no answer either: a command would read it for ever.
"""

from __future__ import annotations

import re
from binascii import a2b_base64
from collections.abc import Callable
from functools import cache
from typing import Any

from atoll import botocore_models
from atoll.client.failures import STREAM_OPERATIONS

Test = Callable[[Any], bool]

REQUIRED: dict[str, tuple[str, ...]] = {
    "BatchGetItemOutput": ("Responses",),
    "DescribeStreamOutput": ("StreamDescription",),
    "DescribeTableOutput": ("Table",),
    "DescribeTimeToLiveOutput": ("TimeToLiveDescription",),
    "GetRecordsOutput": ("Records",),
    "GetShardIteratorOutput": ("ShardIterator",),
    "GlobalSecondaryIndexDescription": ("IndexName", "KeySchema", "Projection"),
    "ListTablesOutput": ("TableNames",),
    "LocalSecondaryIndexDescription": ("IndexName", "KeySchema", "Projection"),
    "QueryOutput": ("Count",),
    "Record": ("eventName", "dynamodb"),
    "ScanOutput": ("Count",),
    "Shard": ("ShardId", "SequenceNumberRange"),
    "StreamDescription": ("StreamArn", "StreamStatus", "Shards"),
    "StreamRecord": ("ApproximateCreationDateTime", "Keys", "SequenceNumber"),
    "TableDescription": ("TableName", "TableStatus", "TableArn", "KeySchema", "AttributeDefinitions"),
}
"""Members that a structure must have, beside those that the model requires."""

_ITEMS = {"Query", "Scan"}
"""Operations whose answers have items, unless these are only counted."""
_CONTINUED = {
    "ExclusiveStartBackupArn": "LastEvaluatedBackupArn",
    "ExclusiveStartKey": "LastEvaluatedKey",
    "ExclusiveStartShardId": "LastEvaluatedShardId",
    "ExclusiveStartStreamArn": "LastEvaluatedStreamArn",
    "ExclusiveStartTableName": "LastEvaluatedTableName",
    "NextToken": "NextToken",
}
"""By the parameter that says where a page begins: the member of its answer that says where the next one begins."""

_DEPTH = 40
_is_number = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,4})?", re.ASCII).fullmatch
_MOST_DIGITS = 1_000


def is_answer(operation: str, parameters: dict[str, Any], body: dict[str, Any]) -> bool:
    """Whether the body may answer a call of the operation with these parameters."""
    if not _test_of(operation)(body):
        return False
    if operation in _ITEMS and parameters.get("Select") != "COUNT" and "Items" not in body:
        return False
    return goes_on(parameters, body)


def goes_on(parameters: dict[str, Any], body: dict[str, Any]) -> bool:
    """Whether the page that these parameters asked for ends elsewhere than it began."""
    paged = body.get("StreamDescription", body)
    return not any(begin in parameters and paged.get(end) == parameters[begin] for begin, end in _CONTINUED.items())


@cache
def _test_of(operation: str) -> Test:
    model = botocore_models.read("dynamodbstreams" if operation in STREAM_OPERATIONS else "dynamodb")
    output = model["operations"].get(operation, {}).get("output")
    return _Tests(model["shapes"]).of(output["shape"]) if output else lambda body: True


class _Tests:
    """The tests of the shapes of a model."""

    def __init__(self, shapes: dict[str, Any]) -> None:
        self._shapes = shapes
        self._made: dict[str, Test] = {"AttributeValue": is_value}

    def of(self, name: str) -> Test:
        if name not in self._made:
            self._made[name] = lambda value: self._made[name](value)  # for shapes that contain themselves
            self._made[name] = self._test(name, self._shapes[name])
        return self._made[name]

    def _test(self, name: str, shape: dict[str, Any]) -> Test:
        kind = shape["type"]
        if kind == "structure":
            return self._structure(name, shape)
        if kind == "list":
            item = self.of(shape["member"]["shape"])
            return lambda value: type(value) is list and all(map(item, value))
        if kind == "map":
            entry = self.of(shape["value"]["shape"])
            return lambda value: type(value) is dict and all(map(entry, value.values()))
        return _SCALARS[kind]

    def _structure(self, name: str, shape: dict[str, Any]) -> Test:
        members = {member: self.of(one["shape"]) for member, one in shape["members"].items()}.get
        required = {*shape.get("required", ()), *REQUIRED.get(name, ())}

        def test(value: Any) -> bool:
            if type(value) is not dict:
                return False
            for null in [one for one, content in value.items() if content is None]:
                del value[null]
            if not required <= value.keys():
                return False
            for one, content in value.items():
                holds = members(one)
                if holds is not None and not holds(content):
                    return False
            return name != "TableDescription" or (_has_types(value) and _has_settings(value))

        return test


def _has_types(table: dict[str, Any]) -> bool:
    """Whether all key attributes of the table and its indexes have types."""
    indexes = [*table.get("LocalSecondaryIndexes", ()), *table.get("GlobalSecondaryIndexes", ())]
    keys = {key["AttributeName"] for one in (table, *indexes) for key in one["KeySchema"]}
    return bool(table["KeySchema"]) and keys <= {one["AttributeName"] for one in table["AttributeDefinitions"]}


def _has_settings(table: dict[str, Any]) -> bool:
    """Whether a table with a stream names it, and one with throughput says how much."""
    stream = table.get("StreamSpecification", {})
    if stream.get("StreamEnabled") and not ("StreamViewType" in stream and "LatestStreamArn" in table):
        return False
    if table.get("BillingModeSummary", {}).get("BillingMode") == "PAY_PER_REQUEST":
        return True
    provisioned = [one.get("ProvisionedThroughput", {}) for one in (table, *table.get("GlobalSecondaryIndexes", ()))]
    return all("ReadCapacityUnits" in one and "WriteCapacityUnits" in one for one in provisioned)


def is_value(value: Any, depth: int = 0) -> bool:
    """Whether this is an attribute value."""
    if type(value) is not dict or len(value) != 1 or depth > _DEPTH:
        return False
    ((kind, content),) = value.items()
    if kind == "L":
        return type(content) is list and all(is_value(one, depth + 1) for one in content)
    if kind == "M":
        return type(content) is dict and all(is_value(one, depth + 1) for one in content.values())
    test = _VALUES.get(kind)
    return test is not None and test(content)


def _is_text(value: Any) -> bool:
    return type(value) is str


def _is_number_text(value: Any) -> bool:
    return type(value) is str and len(value) <= _MOST_DIGITS and _is_number(value) is not None


def _is_base64(value: Any) -> bool:
    if type(value) is not str:
        return False
    try:
        a2b_base64(value)
    except ValueError:
        return False
    return True


def _all(holds: Test) -> Test:
    return lambda value: type(value) is list and all(map(holds, value))


def _is_integer(value: Any) -> bool:
    return type(value) is int


def _is_real(value: Any) -> bool:
    return type(value) in (int, float)


def _is_time(value: Any) -> bool:
    return type(value) in (int, float) and 0 <= value < _LAST_S


_LAST_S = 253_402_300_800
"""The year 10000."""
_VALUES: dict[str, Test] = {
    "S": _is_text,
    "N": _is_number_text,
    "B": _is_base64,
    "BOOL": lambda value: type(value) is bool,
    "NULL": lambda value: type(value) is bool,
    "SS": _all(_is_text),
    "NS": _all(_is_number_text),
    "BS": _all(_is_base64),
}
_SCALARS: dict[str, Test] = {
    "string": _is_text,
    "blob": _is_base64,
    "boolean": lambda value: type(value) is bool,
    "integer": _is_integer,
    "long": _is_integer,
    "double": _is_real,
    "float": _is_real,
    "timestamp": _is_time,
}
