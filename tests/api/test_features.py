"""Features that no table has yet are described as the service describes a table without them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

ARN = "arn:aws:dynamodb:us-east-1:000000000000:table/"
INVALID = "One or more parameter values were invalid: "
ONE = "1 validation error detected: "
JOB = "01791504762511-2779fadd"

LOCAL = {
    "IndexName": "local",
    "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "g", "KeyType": "RANGE"}],
    "Projection": {"ProjectionType": "ALL"},
}
GLOBAL = {**LOCAL, "IndexName": "global", "KeySchema": [{"AttributeName": "g", "KeyType": "HASH"}]}


@pytest.fixture
def things(service: Any) -> Any:
    service.table(
        sort="S", types={"g": "S"}, GlobalSecondaryIndexes=[GLOBAL], LocalSecondaryIndexes=[LOCAL],
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"},
    )  # fmt: skip
    return service


OFF = {
    "ContinuousBackupsDescription": {
        "ContinuousBackupsStatus": "ENABLED",
        "PointInTimeRecoveryDescription": {"PointInTimeRecoveryStatus": "DISABLED"},
    }
}

ANSWERS: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("DescribeContinuousBackups", {"TableName": "Things"}, OFF),
    ("DescribeContinuousBackups", {"TableName": ARN + "Things"}, OFF),
    ("ListBackups", {}, {"BackupSummaries": []}),
    ("ListBackups", {"TableName": "None"}, {"BackupSummaries": []}),
    ("ListBackups", {"TimeRangeLowerBound": 1, "TimeRangeUpperBound": 1}, {"BackupSummaries": []}),
    ("ListExports", {}, {"ExportSummaries": []}),
    ("ListExports", {"TableArn": ARN + "None"}, {"ExportSummaries": []}),
    ("ListImports", {"TableArn": ARN + "Things"}, {"ImportSummaryList": []}),
    ("ListGlobalTables", {"RegionName": "us-east-1"}, {"GlobalTables": []}),
    ("ListContributorInsights", {}, {"ContributorInsightsSummaries": []}),
    ("ListContributorInsights", {"TableName": "Things"}, {"ContributorInsightsSummaries": []}),
    ("DescribeContributorInsights", {"TableName": ARN + "Things"},
     {"TableName": "Things", "ContributorInsightsStatus": "DISABLED"}),
    ("DescribeContributorInsights", {"TableName": "Things", "IndexName": "global"},
     {"TableName": "Things", "IndexName": "global", "ContributorInsightsStatus": "DISABLED"}),
    ("DescribeKinesisStreamingDestination", {"TableName": ARN + "Things"},
     {"TableName": "Things", "KinesisDataStreamDestinations": []}),
]  # fmt: skip


@pytest.mark.parametrize(("operation", "body", "answer"), ANSWERS)
def test_nothing_is_there(things: Any, operation: str, body: dict[str, Any], answer: dict[str, Any]) -> None:
    assert things.request(operation, body) == answer


def refusal(
    sentence: str, operation: str, body: dict[str, Any], message: str, code: str = "ValidationException"
) -> Any:
    return pytest.param(operation, body, code, message, id=f"{operation}: {sentence}")


REPLICAS = {"ReplicationGroup": [{"RegionName": "eu-west-1"}]}
LEGACY: dict[str, dict[str, Any]] = {
    "DescribeGlobalTable": {},
    "DescribeGlobalTableSettings": {},
    "UpdateGlobalTable": {"ReplicaUpdates": [{"Delete": {"RegionName": "eu-west-1"}}]},
    "UpdateGlobalTableSettings": {},
}
NO_TABLE = {"TableName": "None"}
LENGTH = "must be at least 3 characters long and at most 255 characters long"
PLACES: tuple[tuple[str, str, Callable[[str], str]], ...] = (
    ("DescribeExport", "Export", lambda arn: f"Export not found: Export not found: {arn}"),
    ("DescribeImport", "Import", lambda arn: f"Import not found: Import not found: {arn}"),
)


def of(resource: str, region: str = "us-east-1", account: str = "000000000000", **more: str) -> str:
    service, partition = more.get("service", "dynamodb"), more.get("partition", "aws")
    return f"arn:{partition}:{service}:{region}:{account}:table/Things{resource}"


REFUSALS = [
    *(refusal("an absent table", operation, NO_TABLE, "Requested resource not found: Table: None not found",
              "ResourceNotFoundException")
      for operation in ("DescribeContributorInsights", "ListContributorInsights",
                        "DescribeKinesisStreamingDestination")),
    refusal("an absent table", "DescribeContinuousBackups", NO_TABLE, "Table not found: None",
            "TableNotFoundException"),
    *(refusal(f"an ARN of {what}", operation, {"TableName": arn}, f"{ONE}Invalid {part} in '{arn}'")
      for operation in ("DescribeContinuousBackups", "DescribeContributorInsights",
                        "DescribeKinesisStreamingDestination", "DescribeTable")
      for what, part, arn in (("another Region", "AWS region", of("", "eu-west-1")),
                              ("another partition", "AWS partition", of("", partition="aws-cn")),
                              ("another resource", "resource type",
                               "arn:aws:dynamodb:us-east-1:000000000000:backup/Things"))),
    *(refusal("an index that is not global", "DescribeContributorInsights", {"TableName": "Things", "IndexName": name},
              f"Requested resource not found: Index: {name} not found for table: Things", "ResourceNotFoundException")
      for name in ("local", "ghost")),
    refusal("an empty index name", "DescribeContributorInsights", {"TableName": "Things", "IndexName": ""},
            f"IndexName {LENGTH}"),
    *(refusal(f"a table, named {name}", "DescribeTableReplicaAutoScaling", {"TableName": name},
              f"Global table with name: '{name}' does not exist.", "ResourceNotFoundException")
      for name in ("Things", "None")),
    *(refusal("a table", operation, {"GlobalTableName": "Things", **more},
              "Global table not found: Global table with name: 'Things' does not exist.",
              "GlobalTableNotFoundException")
      for operation, more in LEGACY.items()),
    *(refusal("a short name", operation, {"GlobalTableName": "ab", **more}, f"TableName {LENGTH}")
      for operation, more in (*LEGACY.items(), ("CreateGlobalTable", REPLICAS))),
    *(refusal("a new one", operation, {"GlobalTableName": "Things", **more}, INVALID + "DynamoDB global tables version "
              "2017.11.29 is not supported. We recommend using DynamoDB global tables version 2019.11.21, instead of "
              "version 2017.11.29 (Legacy).")
      for operation, more in (("CreateGlobalTable", REPLICAS), ("UpdateGlobalTable", {"ReplicaUpdates": [
          {"Create": {"RegionName": "eu-west-1"}}]}))),
    refusal("a reversed time range", "ListBackups", {"TimeRangeLowerBound": 2, "TimeRangeUpperBound": 1},
            INVALID + "Time range lower bound must be less than or equal to upper bound"),
    refusal("a limit of nothing", "ListBackups", {"Limit": 0},
            ONE + "Value '0' at 'limit' failed to satisfy constraint: Member must have value greater than or equal to "
            "1"),
    refusal("an absent backup", "DescribeBackup", {"BackupArn": of(f"/backup/{JOB}")},
            f"Backup not found: {of(f'/backup/{JOB}')}", "BackupNotFoundException"),
    refusal("of another Region", "DescribeBackup", {"BackupArn": of(f"/backup/{JOB}", "eu-west-1")},
            f"Backup not found: {of(f'/backup/{JOB}', 'eu-west-1')}", "BackupNotFoundException"),
    refusal("a table's ARN", "DescribeBackup", {"BackupArn": of("")}, "Invalid Backup ARN"),
    refusal("noise", "DescribeBackup", {"BackupArn": "x" * 40}, "Invalid Backup ARN"),
    refusal("of another account", "DescribeBackup", {"BackupArn": of(f"/backup/{JOB}", account="9" * 12)},
            "Access is denied", "AccessDeniedException"),
    *(refusal(f"of no {what}", "DescribeBackup", {"BackupArn": of(f"/backup/{JOB}", **part)}, "BackupArn is not valid")
      for what, part in (("region", {"region": "nowhere"}), ("partition", {"partition": "aws-x"}),
                         ("service", {"service": "s3"}))),
    *(refusal("an absent one", operation, {f"{kind}Arn": of(f"/{kind.lower()}/{JOB}")},
              message(of(f"/{kind.lower()}/{JOB}")), f"{kind}NotFoundException")
      for operation, kind, message in PLACES),
    *(refusal("of another Region", operation, {f"{kind}Arn": of(f"/{kind.lower()}/{JOB}", "eu-west-1")},
              f"{kind} not found: Invalid {kind.lower()} arn", f"{kind}NotFoundException")
      for operation, kind, _ in PLACES),
    *(refusal("of another account", operation, {f"{kind}Arn": of(f"/{kind.lower()}/{JOB}", account="9" * 12)},
              "Access is denied", "AccessDeniedException") for operation, kind, _ in PLACES),
    *(refusal("a table's ARN", operation, {f"{kind}Arn": of("")}, f"Invalid {kind} ARN")
      for operation, kind, _ in PLACES),
    *(refusal("a bare name", operation, {"TableArn": "Things"}, INVALID + "tableArn is not a valid ARN")
      for operation in ("ListExports", "ListImports")),
    refusal("a foreign token", "ListImports", {"NextToken": "0123456789abcdef" * 7},
            f"Invalid Request: Provided nextToken is invalid: {'0123456789abcdef' * 7}"),
    refusal("no policy", "GetResourcePolicy", {"ResourceArn": of("")},
            f"Resource-based policy not found for the provided ResourceArn: {of('')}", "PolicyNotFoundException"),
    refusal("a bare name", "GetResourcePolicy", {"ResourceArn": "Things"},
            INVALID + "ARNs must start with 'arn:': Things"),
    refusal("of another account", "GetResourcePolicy", {"ResourceArn": of("", account="9" * 12)},
            "This action is only supported by accounts that match the resource owner’s account.",
            "AccessDeniedException"),
    refusal("of another Region", "GetResourcePolicy", {"ResourceArn": of("", "eu-west-1")},
            f"Invalid resource Arn: {of('', 'eu-west-1')}"),
    refusal("of an index", "GetResourcePolicy", {"ResourceArn": of("/index/global")},
            INVALID + "Invalid resource arn provided, only table or stream is accepted. Provided resource arn: "
            + of("/index/global")),
    refusal("of a backup", "GetResourcePolicy", {"ResourceArn": of(f"/backup/{JOB}")},
            INVALID + f"Provided Arn is not a DynamoDB resource arn: {of(f'/backup/{JOB}')}"),
    refusal("of an absent table", "GetResourcePolicy", {"ResourceArn": ARN + "None"},
            "Requested resource not found: Table: None not found", "ResourceNotFoundException"),
    refusal("of an absent stream", "GetResourcePolicy", {"ResourceArn": of("/stream/2026-01-01T00:00:00.000")},
            "Requested resource not found: Stream: 2026-01-01T00:00:00.000 not found for Table: Things",
            "ResourceNotFoundException"),
]  # fmt: skip


@pytest.mark.parametrize(("operation", "body", "code", "message"), REFUSALS)
def test_refused_when(things: Any, operation: str, body: dict[str, Any], code: str, message: str) -> None:
    refused = things.refused(operation, **body)
    assert (refused.code, refused.message) == (code, message)


def test_a_stream_has_no_policy(things: Any) -> None:
    arn = things.describe_table(TableName="Things")["Table"]["LatestStreamArn"]
    assert things.refused("GetResourcePolicy", ResourceArn=arn).code == "PolicyNotFoundException"


def test_continuous_backups_of_a_new_table_come_step_by_step(slow_service: Any) -> None:
    service = slow_service
    service.table()

    def status() -> str:
        answer = service.describe_continuous_backups(TableName="Things")
        return answer["ContinuousBackupsDescription"]["ContinuousBackupsStatus"]

    def missing() -> str:
        return service.refused("DescribeContinuousBackups", TableName="Things").message

    assert missing() == "Table not found: Things"
    service.clock.advance(5_000)
    assert status() == "DISABLED"
    service.clock.advance(5_000)
    assert status() == "DISABLED"
    service.clock.advance(5_000)
    assert status() == "ENABLED"
    service.delete_table(TableName="Things")
    assert status() == "ENABLED"
    service.clock.advance(4_000)
    assert missing() == "Table not found: Things"
