"""Times far outside of any calendar get the answer or the error of any time that is too early or too late."""

from __future__ import annotations

from typing import Any

import pytest

from atoll.clock import ManualClock
from atoll.database.region import Region, Settings
from atoll.errors import ApiError
from tests import desk
from tests.engines import finish, fresh_engine

START_MS = 1_800_000_000_000
DYNAMODB, STREAMS, SCALING = "DynamoDB_20120810", "DynamoDBStreams_20120810", "AnyScaleFrontendService"
TARGET = {
    "ServiceNamespace": "dynamodb",
    "ResourceId": "table/Things",
    "ScalableDimension": "dynamodb:table:ReadCapacityUnits",
}
EXPORT = {"TableArn": "arn:aws:dynamodb:us-east-1:000000000000:table/Things", "S3Bucket": "bucket"}
ACTION = {**TARGET, "ScheduledActionName": "A", "Schedule": "rate(1 day)", "ScalableTargetAction": {"MinCapacity": 2}}


async def world() -> tuple[Region, dict[str, Any]]:
    region = Region("us-east-1", fresh_engine(), ManualClock(START_MS), Settings())
    table = {
        "TableName": "Things",
        "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
        "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
        "ProvisionedThroughput": {"ReadCapacityUnits": 5, "WriteCapacityUnits": 5},
        "StreamSpecification": {"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"},
    }
    created = await desk.call(region, "CreateTable", table)
    on = {"PointInTimeRecoveryEnabled": True}
    await desk.call(region, "UpdateContinuousBackups", {"TableName": "Things", "PointInTimeRecoverySpecification": on})
    await desk.call(region, "RegisterScalableTarget", {**TARGET, "MinCapacity": 1, "MaxCapacity": 9}, SCALING)
    arn = created["TableDescription"]["LatestStreamArn"]
    shards = await desk.call(region, "DescribeStream", {"StreamArn": arn}, STREAMS)
    shard = shards["StreamDescription"]["Shards"][0]["ShardId"]
    return region, {"StreamArn": arn, "ShardId": shard, "ShardIteratorType": "AT_TIMESTAMP"}


@pytest.mark.parametrize("time", [1e308, -1e308, 1e18, -1e18])
@pytest.mark.parametrize(
    ("target", "operation", "body", "member"),
    [
        (STREAMS, "GetShardIterator", {}, "Timestamp"),
        (SCALING, "PutScheduledAction", ACTION, "StartTime"),
        (SCALING, "PutScheduledAction", ACTION, "EndTime"),
        (
            DYNAMODB,
            "RestoreTableToPointInTime",
            {"SourceTableName": "Things", "TargetTableName": "Then"},
            "RestoreDateTime",
        ),
        (DYNAMODB, "ExportTableToPointInTime", EXPORT, "ExportTime"),
        (DYNAMODB, "ExportTableToPointInTime", EXPORT, "ExportFromTime"),
        (DYNAMODB, "ExportTableToPointInTime", EXPORT, "ExportToTime"),
        (DYNAMODB, "ListBackups", {}, "TimeRangeLowerBound"),
        (DYNAMODB, "ListBackups", {}, "TimeRangeUpperBound"),
    ],
)
def test_a_time_outside_of_all_years_is_no_failure(
    target: str, operation: str, body: dict[str, Any], member: str, time: float
) -> None:
    async def scenario() -> None:
        region, iterator = await world()
        asked: dict[str, Any] = {**(iterator if target == STREAMS else body), member: time}
        if member in ("ExportFromTime", "ExportToTime"):
            window = {"ExportFromTime": START_MS / 1000, "ExportToTime": START_MS / 1000, member: time}
            asked = {**EXPORT, "ExportType": "INCREMENTAL_EXPORT", "IncrementalExportSpecification": window}
        try:
            await desk.call(region, operation, asked, target)
        except ApiError as error:
            assert error.status == 400

    finish(scenario())
