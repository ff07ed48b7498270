"""The requests by which Terraform, CDK, Pulumi and the Kubernetes controller check a new table."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from tests.programs.endpoint import Endpoint

NAME = "Infrastructure"


@pytest.fixture(scope="module")
def client(endpoint: Endpoint) -> Any:
    return boto3.client("dynamodb", **endpoint.client_options("us-west-2"))


@pytest.fixture
def arn(client: Any) -> Iterator[str]:
    created = client.create_table(
        TableName=NAME,
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
        Tags=[{"Key": "team", "Value": "data"}],
    )
    client.get_waiter("table_exists").wait(TableName=NAME)
    yield created["TableDescription"]["TableArn"]
    client.delete_table(TableName=NAME)


def test_everything_about_a_table_can_be_read(client: Any, arn: str) -> None:
    table = {"TableName": NAME}
    assert client.describe_table(**table)["Table"]["TableArn"] == arn
    backups = client.describe_continuous_backups(**table)["ContinuousBackupsDescription"]
    assert backups["PointInTimeRecoveryDescription"] == {"PointInTimeRecoveryStatus": "DISABLED"}
    assert client.describe_time_to_live(**table)["TimeToLiveDescription"]["TimeToLiveStatus"] == "DISABLED"
    assert client.list_tags_of_resource(ResourceArn=arn)["Tags"] == [{"Key": "team", "Value": "data"}]
    assert client.describe_contributor_insights(**table)["ContributorInsightsStatus"] == "DISABLED"
    assert client.describe_kinesis_streaming_destination(**table)["KinesisDataStreamDestinations"] == []
    with pytest.raises(client.exceptions.PolicyNotFoundException):
        client.get_resource_policy(ResourceArn=arn)
    with pytest.raises(ClientError, match="does not exist"):
        client.describe_table_replica_auto_scaling(**table)


@pytest.mark.parametrize(
    ("operation", "member"),
    [
        ("list_backups", "BackupSummaries"),
        ("list_exports", "ExportSummaries"),
        ("list_imports", "ImportSummaryList"),
        ("list_global_tables", "GlobalTables"),
        ("list_contributor_insights", "ContributorInsightsSummaries"),
    ],
)
def test_nothing_is_listed(client: Any, operation: str, member: str) -> None:
    assert getattr(client, operation)()[member] == []


def test_changes_of_tags_are_answered_with_an_empty_body(client: Any, arn: str) -> None:
    bodies: list[bytes] = []
    client.meta.events.register(
        "before-parse.dynamodb", lambda response_dict, **_: bodies.append(response_dict["body"])
    )
    client.tag_resource(ResourceArn=arn, Tags=[{"Key": "stage", "Value": "test"}])
    client.untag_resource(ResourceArn=arn, TagKeys=["stage"])
    assert bodies == [b"", b""]
    assert client.list_tags_of_resource(ResourceArn=arn)["Tags"] == [{"Key": "team", "Value": "data"}]


def test_a_plan_is_carried_out_one_concern_at_a_time(client: Any, arn: str) -> None:
    """The splits that Terraform makes of one plan."""
    for change in (
        {"TableClass": "STANDARD_INFREQUENT_ACCESS"},
        {"StreamSpecification": {"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"}},
        {"SSESpecification": {"Enabled": True, "SSEType": "KMS"}},
        {"OnDemandThroughput": {"MaxReadRequestUnits": 100}},
        {"WarmThroughput": {"ReadUnitsPerSecond": 13_000}},
        {"DeletionProtectionEnabled": False},
    ):
        client.update_table(TableName=NAME, **change)
        client.get_waiter("table_exists").wait(TableName=NAME)
    with pytest.raises(ClientError, match="TableClass modification must be the only operation in the request"):
        client.update_table(TableName=NAME, TableClass="STANDARD", DeletionProtectionEnabled=True)
