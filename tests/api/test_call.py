"""The table of operations, and the pipeline that runs all of them."""

from __future__ import annotations

import asyncio
import gzip
import json
import re
from pathlib import Path
from typing import Any

import botocore
import pytest

from atoll import errors
from atoll.api import services
from atoll.api.call import Authorize, Caller, Desk
from atoll.api.resources import table_of
from atoll.api.service_model import model
from atoll.api.services import Operation
from atoll.clock import ManualClock
from atoll.database.region import Region
from atoll.storage.engine import Full
from atoll.storage.memory import MemoryEngine

NOW_MS = 1_800_000_000_000
CALLER = Caller("local", "000000000000", admin=False)
KEY = {"pk": {"S": "a"}}


def row(service: services.Service, name: str) -> Operation:
    (found,) = (one for one in services.of(service) if one.name == name)
    return found


def ask(operation: Operation, body: dict[str, Any], authorize: Authorize | None = None) -> Any:
    region = Region("us-east-1", MemoryEngine(), ManualClock(NOW_MS))
    desk = Desk({operation.subject: lambda _: region}, authorize)
    return asyncio.run(desk.call(operation, "", CALLER, body, NOW_MS))


def test_every_operation_has_a_shape_and_no_name_comes_twice() -> None:
    named = [(one.service.name, one.name) for one in services.OPERATIONS]
    assert len(set(named)) == len(named)
    for one in services.OPERATIONS:
        assert one.service.model is None or one.name in model(one.service.model).operations


def test_rest_operations_are_where_the_model_has_them() -> None:
    (path,) = (Path(botocore.__file__).parent / "data" / "lambda").glob("2015-03-31/service-2.json.gz")
    declared = json.loads(gzip.decompress(path.read_bytes()))["operations"]
    for one in services.of(services.LAMBDA):
        http = one.http
        assert http is not None
        expected = declared[one.name]["http"]
        assert (http.method, services.LAMBDA.prefix + http.path) == (
            expected["method"],
            re.sub(r"/$", "", expected["requestUri"]),
        )
        if http.status_member is None:
            assert http.status == expected["responseCode"]


@pytest.mark.parametrize(
    ("service", "operation", "body", "touched"),
    [
        (services.DYNAMODB, "GetItem", {"TableName": "Tab", "Key": KEY, "IndexName": "Ind"}, ["Tab"]),
        (services.DYNAMODB, "Scan", {"TableName": "Tab"}, ["Tab"]),
        (services.DYNAMODB, "Query", {"TableName": "Tab", "IndexName": "Ind"}, ["Tab/index/Ind"]),
        (services.DYNAMODB, "BatchGetItem", {"RequestItems": {"Tab": {"Keys": [KEY]}, "Uvw": {"Keys": [KEY]}}},
         ["Tab", "Uvw"]),
        (services.DYNAMODB, "TransactGetItems", {"TransactItems": [{"Get": {"TableName": "Tab", "Key": KEY}}]},
         ["Tab"]),
        (services.DYNAMODB, "TransactWriteItems",
         {"TransactItems": [{"Put": {"TableName": "Tab", "Item": KEY}, "Shiny": 1},
                            {"Delete": {"TableName": "Uvw", "Key": KEY}}]}, ["Tab", "Uvw"]),
        (services.DYNAMODB, "ExecuteStatement", {"Statement": "SELECT * FROM Abc.Ind"}, ["Abc/index/Ind"]),
        (services.DYNAMODB, "ExecuteStatement", {"Statement": "SELECT nothing"}, []),
        (services.DYNAMODB, "BatchExecuteStatement",
         {"Statements": [{"Statement": "INSERT INTO Abc VALUE {'pk': 'a'}"}, {"Statement": "DELETE FROM U"}]}, ["Abc"]),
        (services.DYNAMODB, "ListTables", {}, []),
        (services.STREAMS, "ListStreams", {}, []),
        (services.STREAMS, "GetRecords", {"ShardIterator": "arn:aws:x|1|abc"}, ["arn:aws:x"]),
        (services.LAMBDA, "Invoke", {"FunctionName": "f", "Payload": b"{}"}, ["f"]),
        (services.LAMBDA, "GetEventSourceMapping", {"UUID": "u" * 36}, ["u" * 36]),
        (services.CLOUDWATCH, "PutMetricAlarm", {"AlarmName": "a/b", "ComparisonOperator": "LessThanThreshold",
                                                 "EvaluationPeriods": 1}, ["a/b"]),
        (services.CLOUDWATCH, "DeleteAlarms", {"AlarmNames": ["a", "b", "a"]}, ["a", "b"]),
        (services.CLOUDWATCH, "ListTagsForResource", {"ResourceARN": "arn:aws:x"}, ["arn:aws:x"]),
        (services.CLOUDWATCH, "DescribeAlarms", {}, []),
        (services.SCALING, "DescribeScalingPolicies", {"ServiceNamespace": "dynamodb", "ResourceId": "table/T"},
         ["table/T"]),
        (services.ADMIN, "RotateStream", {"stream": "Tab"}, ["Tab"]),
        (services.ADMIN, "UpgradeGlobalTable", {"table": "Tab"}, ["Tab"]),
        (services.ADMIN, "RotateStream", {"stream": ["Tab"]}, []),
    ],
)  # fmt: skip
def test_authorize_gets_the_caller_the_action_and_the_resources(
    service: services.Service, operation: str, body: dict[str, Any], touched: list[str]
) -> None:
    one = row(service, operation)

    def deny(caller: Caller, asked: Operation, given: dict[str, Any], on: object, now_ms: int) -> None:
        assert (caller, asked, list(asked.touches(given)), now_ms) == (CALLER, one, touched, NOW_MS)
        raise errors.access_denied("no")

    with pytest.raises(errors.ApiError, match="AccessDeniedException: no"):
        ask(one, body, authorize=deny)


def test_a_shape_is_checked_before_authorize() -> None:
    def deny(*asked: object) -> None:
        raise AssertionError

    for service, name, body in (
        (services.DYNAMODB, "GetItem", {"TableName": "T"}),
        (services.LAMBDA, "GetFunction", {"FunctionName": "a b"}),
        (services.LAMBDA, "Invoke", {"FunctionName": "f", "InvocationType": "Later", "Payload": b"{}"}),
        (services.LAMBDA, "ListFunctions", {"MaxItems": 0}),
    ):
        with pytest.raises(errors.ApiError) as caught:
            ask(row(service, name), body, authorize=deny)
        assert caught.value.code == "ValidationException"
        assert caught.value.prefix == ("" if service is services.LAMBDA else errors.VALIDATE)


@pytest.mark.parametrize("failure", [Full("no room"), ZeroDivisionError()])
@pytest.mark.parametrize(
    ("service", "code"),
    [
        (services.DYNAMODB, "InternalServerError"),
        (services.LAMBDA, "ServiceException"),
        (services.ADMIN, "InternalServerError"),
    ],
)
def test_internal_failure_is_logged_and_the_answer_shows_no_details(
    service: services.Service, code: str, failure: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(on: object, body: dict[str, Any]) -> None:
        raise failure

    one = Operation(service, {"DynamoDB": "ListTables", "Lambda": "ListFunctions"}.get(service.name, "Show"), fail)
    with pytest.raises(errors.ApiError) as caught:
        ask(one, {})
    assert (caught.value.code, caught.value.status, caught.value.message) == (code, 500, "Internal server error")
    (record,) = caplog.records
    if isinstance(failure, Full):
        assert record.message == "the disk is full, or fails: the store refuses writes (no room)"
    else:
        assert record.message == f"{service.name}.{one.name} failed unexpectedly; the client got an internal error"
        assert record.exc_info is not None


@pytest.mark.parametrize(
    ("resource", "table"),
    [
        ("T", "T"),
        ("T/index/I", "T"),
        ("arn:aws:dynamodb:us-east-1:000000000000:table/T", "T"),
        ("arn:aws:dynamodb:us-east-1:000000000000:table/T/stream/2026-01-02T03:04:05.678", "T"),
        ("arn:aws:lambda:us-east-1:000000000000:function:f", ""),
    ],
)
def test_the_table_of_a_resource(resource: str, table: str) -> None:
    assert table_of(resource) == table
