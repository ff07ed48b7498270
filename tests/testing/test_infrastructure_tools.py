"""The calls that infrastructure tools make after CreateTable, and what they expect of the answers.

The AWS provider of Terraform creates a table, waits until it is ACTIVE, then reads each of its parts; CloudFormation's
handler, which CDK's stacks use, reads much the same. A part that is not configured must be answered as the service
does, or the tool reports a difference for ever.
"""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from atoll.testing import LocalServer, serve

TABLE: dict[str, Any] = {
    "TableName": "orders",
    "BillingMode": "PAY_PER_REQUEST",
    "AttributeDefinitions": [
        {"AttributeName": "id", "AttributeType": "S"},
        {"AttributeName": "day", "AttributeType": "N"},
    ],
    "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
    "GlobalSecondaryIndexes": [
        {
            "IndexName": "by-day",
            "KeySchema": [{"AttributeName": "day", "KeyType": "HASH"}],
            "Projection": {"ProjectionType": "ALL"},
        }
    ],
}


def read_all(server: LocalServer) -> dict[str, Any]:
    """Each part of the table, as the tools read it; the code of the error that tells that there is none."""
    client, name = server.client("dynamodb"), {"TableName": "orders"}
    table = client.describe_table(**name)["Table"]
    arn = {"ResourceArn": table["TableArn"]}
    scaling = server.client("application-autoscaling")
    insights = client.describe_contributor_insights

    def code(call: Any, **body: Any) -> str:
        with pytest.raises(ClientError) as error:
            call(**body)
        found: str = error.value.response["Error"]["Code"]
        return found

    return {
        "table": table,
        "backups": client.describe_continuous_backups(**name)["ContinuousBackupsDescription"],
        "ttl": client.describe_time_to_live(**name)["TimeToLiveDescription"],
        "tags": client.list_tags_of_resource(**arn)["Tags"],
        "kinesis": client.describe_kinesis_streaming_destination(**name)["KinesisDataStreamDestinations"],
        "insights": insights(**name)["ContributorInsightsStatus"],
        "insights of the index": insights(**name, IndexName="by-day")["ContributorInsightsStatus"],
        "targets": scaling.describe_scalable_targets(ServiceNamespace="dynamodb")["ScalableTargets"],
        "policy": code(client.get_resource_policy, **arn),
        "scaling of replicas": code(client.describe_table_replica_auto_scaling, **name),
    }


@pytest.mark.parametrize("delay_ms", [0, 50])
def test_each_part_of_a_new_table_is_described(delay_ms: int) -> None:
    with serve(clock="system", control_plane_delay_ms=delay_ms) as server:
        client = server.client("dynamodb")
        client.create_table(**TABLE)
        client.get_waiter("table_exists").wait(TableName="orders", WaiterConfig={"Delay": 0, "MaxAttempts": 10_000})
        found = read_all(server)
        assert found["table"]["TableStatus"] == "ACTIVE"
        assert found["table"]["DeletionProtectionEnabled"] is False
        assert {"SSEDescription", "StreamSpecification", "Replicas", "TableClassSummary"}.isdisjoint(found["table"])
        assert found["backups"]["PointInTimeRecoveryDescription"] == {"PointInTimeRecoveryStatus": "DISABLED"}
        assert found["ttl"] == {"TimeToLiveStatus": "DISABLED"}
        assert (found["tags"], found["kinesis"], found["targets"]) == ([], [], [])
        assert (found["insights"], found["insights of the index"]) == ("DISABLED", "DISABLED")
        assert found["policy"] == "PolicyNotFoundException"
        assert found["scaling of replicas"] == "ResourceNotFoundException"


def test_reading_twice_shows_no_difference() -> None:
    with serve() as server:
        server.client("dynamodb").create_table(**TABLE)
        assert read_all(server) == read_all(server)
