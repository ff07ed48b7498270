"""The permissions that a request needs: actions on resources."""

from __future__ import annotations

from typing import Any

import pytest

from atoll.api import resources, services
from atoll.api.authorization.checks import checks_of

KEY = {"pk": {"S": "a"}}
DATA = ["GetItem", "PutItem", "UpdateItem", "DeleteItem", "Query", "Scan", "BatchWriteItem"]


def needs(operation: str, body: dict[str, Any], target: str = "DynamoDB_20120810") -> list[tuple[str, str]]:
    row = services.TARGETS[f"{target}.{operation}".encode()]
    return [(check.action.partition(":")[2], check.resource) for check in checks_of(row, body)]


@pytest.mark.parametrize(
    ("operation", "body", "expected"),
    [
        ("GetItem", {"TableName": "T", "Key": KEY}, [("GetItem", "T")]),
        ("Query", {"TableName": "T", "IndexName": "i"}, [("Query", "T/index/i")]),
        ("SearchVectors", {"TableName": "T", "IndexName": "i"}, [("SearchVectors", "T/index/i")]),
        ("BatchGetItem", {"RequestItems": {"T": {"Keys": [KEY]}, "U": {"Keys": [KEY, KEY]}}},
         [("BatchGetItem", "T"), ("BatchGetItem", "U")]),
        ("TransactWriteItems", {"TransactItems": [{"Put": {"TableName": "T", "Item": KEY}},
                                                  {"ConditionCheck": {"TableName": "U", "Key": KEY}},
                                                  {"Delete": {"TableName": "T", "Key": KEY}}]},
         [("PutItem", "T"), ("ConditionCheckItem", "U"), ("DeleteItem", "T")]),
        ("ExecuteTransaction", {"TransactStatements": [{"Statement": "DELETE FROM Tab WHERE pk = 'a'"},
                                                       {"Statement": "EXISTS(SELECT * FROM Uab WHERE pk = 'a')"}]},
         [("PartiQLDelete", "Tab"), ("PartiQLSelect", "Uab")]),
        ("BatchExecuteStatement", {"Statements": [{"Statement": "nonsense"},
                                                  {"Statement": "UPDATE Tab SET a = 1 WHERE pk = 'a'"}]},
         [("PartiQLUpdate", "Tab")]),
        ("CreateTable", {"TableName": "T", "Tags": [{"Key": "a", "Value": "b"}], "ResourcePolicy": "{}"},
         [("CreateTable", "T"), ("TagResource", "T"), ("PutResourcePolicy", "T")]),
        ("UpdateTable", {"TableName": "T", "ReplicaUpdates": [{"Create": {"RegionName": "eu-west-1"}}]},
         [("UpdateTable", "T"), ("CreateTableReplica", "T"), ("CreateTable", "T"), *((one, "T") for one in DATA)]),
        ("UpdateTable", {"TableName": "T", "ReplicaUpdates": [{"Delete": {"RegionName": "eu-west-1"}}]},
         [("UpdateTable", "T"), ("DeleteTableReplica", "T"), ("DeleteTable", "T")]),
        ("RestoreTableFromBackup", {"BackupArn": "arn:b", "TargetTableName": "N"},
         [("RestoreTableFromBackup", "arn:b"), ("RestoreTableFromBackup", "N"), *((one, "N") for one in DATA)]),
        ("ListTables", {}, [("ListTables", "*")]),
        ("ListBackups", {"TableName": "T"}, [("ListBackups", "*")]),
        ("DescribeLimits", {}, [("DescribeLimits", "*")]),
        ("DescribeGlobalTable", {"GlobalTableName": "G"},
         [("DescribeGlobalTable", "arn:aws:dynamodb::{account}:global-table/G")]),
        ("UpdateGlobalTable", {"GlobalTableName": "G", "ReplicaUpdates": []},
         [("UpdateGlobalTable", "arn:aws:dynamodb::{account}:global-table/G"), ("UpdateGlobalTable", "G")]),
        ("ExportTableToPointInTime", {"TableArn": "arn:t", "S3Bucket": "b", "S3Prefix": "p/"},
         [("ExportTableToPointInTime", "arn:t"), ("PutObject", "arn:aws:s3:::b/p/AWSDynamoDB/")]),
        ("ImportTable", {"TableCreationParameters": {"TableName": "T"},
                         "S3BucketSource": {"S3Bucket": "b", "S3KeyPrefix": "p"}},
         [("ImportTable", "T"), ("ListBucket", "arn:aws:s3:::b"), ("GetObject", "arn:aws:s3:::b/p")]),
        ("StartBulkPutItems", {"TableName": "T", "InputS3Configuration": {"S3Bucket": "b", "S3KeyPrefix": "p"},
                               "OutputS3Configuration": {"S3Bucket": "o", "OutputType": ["ERROR"]}},
         [("StartBulkPutItems", "T"), ("ListBucket", "arn:aws:s3:::b"), ("GetObject", "arn:aws:s3:::b/p"),
          ("PutObject", "arn:aws:s3:::o/AWSDynamoDB/")]),
        ("StartBulkPutItems", {"TableName": "T", "InputS3Configuration": {"S3Bucket": "b"},
                               "OutputS3Configuration": {"S3Bucket": "o", "OutputType": []}},
         [("StartBulkPutItems", "T"), ("ListBucket", "arn:aws:s3:::b"), ("GetObject", "arn:aws:s3:::b/")]),
        ("ListBulkOperations", {}, [("ListBulkOperations", "*")]),
    ],
)  # fmt: skip
def test_permissions_of_requests(operation: str, body: dict[str, Any], expected: list[tuple[str, str]]) -> None:
    assert needs(operation, body) == expected


def test_every_operation_of_tables_and_streams_needs_something() -> None:
    """An operation without a resource is checked on all."""
    for row in services.OPERATIONS:
        if row.service in (services.DYNAMODB, services.STREAMS) and row.touches is resources.NOTHING:
            assert checks_of(row, {})[0].resource == "*"


FUNCTION, MAPPING = (
    "arn:aws:lambda:{region}:{account}:function:f",
    "arn:aws:lambda:{region}:{account}:event-source-mapping:u",
)


@pytest.mark.parametrize(
    ("name", "body", "expected"),
    [
        *(("Invoke", {"FunctionName": given}, [("InvokeFunction", FUNCTION)])
          for given in ("f", "f:1", "function:f", "000000000000:function:f", "us-east-1:000000000000:function:f:2",
                        "arn:aws:lambda:us-east-1:000000000000:function:f:1")),
        ("ListFunctions", {}, [("ListFunctions", "*")]),
        ("GetEventSourceMapping", {"UUID": "u"}, [("GetEventSourceMapping", MAPPING)]),
        ("UpdateEventSourceMapping", {"UUID": "u", "FunctionName": "f"},
         [("UpdateEventSourceMapping", MAPPING), ("UpdateEventSourceMapping", FUNCTION)]),
    ],
)  # fmt: skip
def test_permissions_of_requests_about_functions(
    name: str, body: dict[str, Any], expected: list[tuple[str, str]]
) -> None:
    (row,) = (one for one in services.of(services.LAMBDA) if one.name == name)
    assert [(check.action.partition(":")[2], check.resource) for check in checks_of(row, body)] == expected
