"""A table that a policy denies, in requests that name it differently than the policy."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from atoll.testing import serve
from atoll.testing.local import LocalServer

ARN = "arn:aws:dynamodb:us-east-1:000000000000:table/Secret"
DENY = {"Effect": "Deny", "Action": "*", "Resource": ARN}
ALLOW = {"Effect": "Allow", "Action": "*", "Resource": "*"}
USERS = {
    "root": {"access_keys": {"AKIAROOT": "s"}, "policies": ["AdministratorAccess"]},
    "ann": {"access_keys": {"AKIAANN": "s"}, "policies": [{"Version": "2012-10-17", "Statement": [ALLOW, DENY]}]},
}
NAMES = [
    ARN, "Secret", f"{ARN}/", f"{ARN}/index", f"{ARN}/stream", "secret", "table/Secret",
    *(ARN.replace("arn:aws:", f"arn:{partition}:") for partition in ("aws-cn", "aws-us-gov", "aws-", "AWS", "")),
    ARN.replace("us-east-1", "eu-west-1"), ARN.replace("us-east-1", ""), ARN.replace("000000000000", ""),
]  # fmt: skip


@pytest.fixture(scope="module")
def server() -> Iterator[LocalServer]:
    with serve(policies={"users": USERS}) as server:
        root = server.user("root")
        root.create_table(
            TableName="Secret", BillingMode="PAY_PER_REQUEST", KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        )  # fmt: skip
        recovery = {"PointInTimeRecoveryEnabled": True}
        root.update_continuous_backups(TableName="Secret", PointInTimeRecoverySpecification=recovery)
        yield server


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("operation", "body"),
    [
        ("GetItem", {"TableName": ..., "Key": {"pk": {"S": "a"}}}),
        ("Scan", {"TableName": ...}),
        ("DescribeTable", {"TableName": ...}),
        ("UpdateTable", {"TableName": ..., "DeletionProtectionEnabled": True}),
        ("ListTagsOfResource", {"ResourceArn": ...}),
        ("TagResource", {"ResourceArn": ..., "Tags": [{"Key": "a", "Value": "b"}]}),
        ("GetResourcePolicy", {"ResourceArn": ...}),
        ("ExportTableToPointInTime", {"TableArn": ..., "S3Bucket": "bucket"}),
        ("RestoreTableToPointInTime",
         {"SourceTableArn": ..., "TargetTableName": "Copy", "UseLatestRestorableTime": True}),
        ("RestoreTableToPointInTime",
         {"SourceTableName": ..., "TargetTableName": "Copy", "UseLatestRestorableTime": True}),
        ("CreateBackup", {"TableName": ..., "BackupName": "copy"}),
    ],
)  # fmt: skip
def test_no_name_gets_past_a_deny(server: LocalServer, operation: str, body: dict[str, Any], name: str) -> None:
    with pytest.raises(ClientError) as caught:
        server.user("ann")._make_api_call(
            operation, {key: name if given is ... else given for key, given in body.items()}
        )
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
    assert server.user("root").list_tables()["TableNames"] == ["Secret"]
