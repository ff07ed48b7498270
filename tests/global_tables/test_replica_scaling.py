"""How the replicas of a provisioned global table scale: reads alone, writes together."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from atoll.api.scaling.requests import acting
from tests.global_tables.conftest import AP, EU, US, World

OFF = {"AutoScalingDisabled": True, "ScalingPolicies": []}
ROLE = (
    "arn:aws:iam::000000000000:role/aws-service-role/dynamodb.application-autoscaling.amazonaws.com/"
    "AWSServiceRoleForApplicationAutoScaling_DynamoDBTable"
)
AAS = "AnyScaleFrontendService"
REQUIRED = (
    "Failed to update settings for global table with name: ‘Things’: Parameters 'MaximumUnits', 'ScalingPolicyUpdate', "
    "'MinimumUnits' are required unless auto scaling is being disabled."
)


def policy(value: float = 70.0, name: str | None = None, **options: Any) -> dict[str, Any]:
    found: dict[str, Any] = {"TargetTrackingScalingPolicyConfiguration": {"TargetValue": value, **options}}
    return found if name is None else {**found, "PolicyName": name}


def scale(least: int = 1, most: int = 100, **more: Any) -> dict[str, Any]:
    return {"MinimumUnits": least, "MaximumUnits": most, "ScalingPolicyUpdate": policy(**more)}


def settle(world: World) -> None:
    for _ in range(2):
        for region in world.regions.values():
            asyncio.run(region.state(acting).settle(world.clock.now_ms()))
        world.settle()


def update(world: World, region: str = US, **body: Any) -> Any:
    answer = world.request(region, "UpdateTableReplicaAutoScaling", TableName="Things", **body)
    settle(world)
    return answer["TableAutoScalingDescription"]


def describe(world: World, region: str = US) -> dict[str, Any]:
    """The replicas by their regions."""
    answer = world.request(region, "DescribeTableReplicaAutoScaling", TableName="Things")
    return {one["RegionName"]: one for one in answer["TableAutoScalingDescription"]["Replicas"]}


def provisioned(world: World, *, index: bool = False, scaled: bool = True, **more: Any) -> None:
    """A provisioned table in US whose writes are scaled."""
    units = {"ReadCapacityUnits": 5, "WriteCapacityUnits": 5}
    if index:
        keys = [{"AttributeName": "pk", "KeyType": "HASH"}]
        one = {"IndexName": "by_pk", "KeySchema": keys, "Projection": {"ProjectionType": "ALL"}}
        more["GlobalSecondaryIndexes"] = [{**one, "ProvisionedThroughput": units}]
    world.table(BillingMode="PROVISIONED", ProvisionedThroughput=units, **more)
    if scaled:
        scale_writes(world, "table/Things", "table")


def scale_writes(world: World, resource: str, of: str, region: str = US) -> None:
    id_ = {
        "ServiceNamespace": "dynamodb",
        "ResourceId": resource,
        "ScalableDimension": f"dynamodb:{of}:WriteCapacityUnits",
    }
    metric = {"PredefinedMetricType": "DynamoDBWriteCapacityUtilization"}
    configuration = {"TargetValue": 70.0, "PredefinedMetricSpecification": metric}
    world.request(region, "RegisterScalableTarget", AAS, **id_, MinCapacity=1, MaxCapacity=50)
    world.request(
        region,
        "PutScalingPolicy",
        AAS,
        **id_,
        PolicyName="writes",
        PolicyType="TargetTrackingScaling",
        TargetTrackingScalingPolicyConfiguration=configuration,
    )


def replicate(world: World, *regions: str) -> None:
    for region in regions:
        world.request(US, "UpdateTable", TableName="Things", ReplicaUpdates=[{"Create": {"RegionName": region}}])
        settle(world)


@pytest.fixture
def table(world: World) -> World:
    """A provisioned global table in two regions."""
    provisioned(world)
    replicate(world, EU)
    return world


def test_a_provisioned_table_whose_writes_are_scaled_gets_replicas(world: World) -> None:
    provisioned(world)
    replicate(world, EU, AP)
    for region in (US, EU, AP):
        described = world.describe(region)
        assert described["ProvisionedThroughput"]["WriteCapacityUnits"] == 5
        writes = describe(world, region)
        assert {
            one["ReplicaProvisionedWriteCapacityAutoScalingSettings"]["ScalingPolicies"][0]["PolicyName"]
            for one in writes.values()
        } == {"writes"}


def test_a_table_or_an_index_whose_writes_are_not_scaled_gets_none(world: World) -> None:
    provisioned(world, index=True, scaled=False)
    create = {"TableName": "Things", "ReplicaUpdates": [{"Create": {"RegionName": EU}}]}
    error = world.refused(US, "UpdateTable", **create)
    assert error.message == "Table write capacity should either be Pay-Per-Request or AutoScaled."
    scale_writes(world, "table/Things", "table")
    error = world.refused(US, "UpdateTable", **create)
    assert error.message == "GSI write capacity should either be Pay-Per-Request or AutoScaled."
    scale_writes(world, "table/Things/index/by_pk", "index")
    replicate(world, EU)
    assert set(describe(world)) == {US, EU}


def test_settings_of_writes_go_to_all_regions_those_of_reads_to_one(table: World) -> None:
    update(
        table,
        ProvisionedWriteCapacityAutoScalingUpdate=scale(2, 20, value=50.0, ScaleInCooldown=60),
        ReplicaUpdates=[{"RegionName": EU, "ReplicaProvisionedReadCapacityAutoScalingUpdate": scale(10, 30)}],
    )
    for region in (US, EU):
        found = describe(table, region)
        for one in found.values():
            assert one["ReplicaProvisionedWriteCapacityAutoScalingSettings"] == {
                "MinimumUnits": 2,
                "MaximumUnits": 20,
                "AutoScalingRoleArn": ROLE,
                "ScalingPolicies": [
                    {
                        "PolicyName": "DynamoDBWriteCapacityUtilization:table/Things",
                        "TargetTrackingScalingPolicyConfiguration": {"ScaleInCooldown": 60, "TargetValue": 50.0},
                    }
                ],
            }
        assert found[US]["ReplicaProvisionedReadCapacityAutoScalingSettings"] == OFF
        assert found[EU]["ReplicaProvisionedReadCapacityAutoScalingSettings"]["MinimumUnits"] == 10
    units = [table.describe(region)["ProvisionedThroughput"]["ReadCapacityUnits"] for region in (US, EU)]
    assert units == [5, 10]  # the replica is clamped, and its reads are its own


def test_the_targets_are_those_of_application_auto_scaling(table: World) -> None:
    update(table, ProvisionedWriteCapacityAutoScalingUpdate=scale(7, 20, name="mine"))
    for region in (US, EU):
        (target,) = table.request(region, "DescribeScalableTargets", AAS, ServiceNamespace="dynamodb")[
            "ScalableTargets"
        ]
        assert (target["MinCapacity"], target["MaxCapacity"]) == (7, 20)
        (found,) = table.request(region, "DescribeScalingPolicies", AAS, ServiceNamespace="dynamodb")["ScalingPolicies"]
        assert found["PolicyName"] == "mine"  # it replaces the policy of another name
        assert f":autoscaling:{region}:" in found["PolicyARN"]
        assert table.describe(region)["ProvisionedThroughput"]["WriteCapacityUnits"] == 7


def test_disabling_removes_target_and_policy_and_still_shows_them_once(table: World) -> None:
    update(table, ProvisionedWriteCapacityAutoScalingUpdate=scale(2, 20))
    answer = update(table, ProvisionedWriteCapacityAutoScalingUpdate={"AutoScalingDisabled": True})
    assert all(
        one["ReplicaProvisionedWriteCapacityAutoScalingSettings"]["MinimumUnits"] == 2 for one in answer["Replicas"]
    )
    for region in (US, EU):
        assert all(
            one["ReplicaProvisionedWriteCapacityAutoScalingSettings"] == OFF for one in describe(table, region).values()
        )
        assert not table.request(region, "DescribeScalableTargets", AAS, ServiceNamespace="dynamodb")["ScalableTargets"]


def test_a_new_index_scales_its_writes_everywhere_by_itself(table: World) -> None:
    keys = [{"AttributeName": "by", "KeyType": "HASH"}]
    units = {"ReadCapacityUnits": 5, "WriteCapacityUnits": 5}
    new = {"IndexName": "by_by", "KeySchema": keys, "Projection": {"ProjectionType": "ALL"}}
    table.request(
        US,
        "UpdateTable",
        TableName="Things",
        AttributeDefinitions=[{"AttributeName": "by", "AttributeType": "S"}],
        GlobalSecondaryIndexUpdates=[{"Create": {**new, "ProvisionedThroughput": units}}],
    )
    settle(table)
    for region in (US, EU):
        for one in describe(table, region).values():
            (index,) = one["GlobalSecondaryIndexes"]
            settings = index["ProvisionedWriteCapacityAutoScalingSettings"]
            assert (settings["MinimumUnits"], settings["MaximumUnits"]) == (1, 10)
            (found,) = settings["ScalingPolicies"]
            assert found["PolicyName"] == "DynamoDBWriteCapacityUtilization:table/Things/index/by_by"
            assert found["TargetTrackingScalingPolicyConfiguration"] == {"TargetValue": 70.0}


IN_EU = "ReplicaProvisionedReadCapacityAutoScalingUpdate"
REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "a part of what is required": ({"ProvisionedWriteCapacityAutoScalingUpdate": {"MinimumUnits": 5}}, REQUIRED),
    "a flag alone": ({"ProvisionedWriteCapacityAutoScalingUpdate": {"AutoScalingDisabled": False}}, REQUIRED),
    "a region alone": (
        {"ReplicaUpdates": [{"RegionName": EU}]},
        "Failed to update settings for global table with name: ‘Things’ because at least one update parameter must be "
        f"specified for region: ‘{EU}’.",
    ),
    "a region without replica": (
        {"ReplicaUpdates": [{"RegionName": AP, IN_EU: scale()}]},
        "Update global table operation failed because one or more replicas were not part of the global table. Please "
        f"retry the request without these replicas: [{AP}].",
    ),
    "an unknown index": (
        {
            "GlobalSecondaryIndexUpdates": [
                {"IndexName": "missing", "ProvisionedWriteCapacityAutoScalingUpdate": scale()}
            ]
        },
        "Failed to update settings for global table with name: ‘Things’ because the global secondary indexes with "
        "names: ‘[missing]’ do not exist.",
    ),
    "an unknown index of one region": (
        {
            "ReplicaUpdates": [
                {
                    "RegionName": EU,
                    "ReplicaGlobalSecondaryIndexUpdates": [
                        {"IndexName": "missing", "ProvisionedReadCapacityAutoScalingUpdate": scale()}
                    ],
                }
            ]
        },
        "Failed to update settings for global table with name: ‘Things’ because a global secondary index with name: "
        f"‘missing’ does not exist in region: ‘{EU}’.",
    ),
}


@pytest.mark.parametrize("situation", REFUSED)
def test_settings_are_refused(table: World, situation: str) -> None:
    body, message = REFUSED[situation]
    before = describe(table)
    error = table.refused(US, "UpdateTableReplicaAutoScaling", TableName="Things", **body)
    assert (error.code, error.message) == ("ValidationException", message)
    assert describe(table) == before


@pytest.mark.parametrize(
    "given, message",
    [
        (scale(5, 4), "Maximum capacity cannot be less than minimum capacity"),
        (
            scale(value=95.0),
            "For predefined metric type DynamoDBWriteCapacityUtilization, target value must be between '10.0' and "
            "'90.0', but was '95.0'.",
        ),
    ],
)
def test_errors_of_auto_scaling_pass_through(table: World, given: Any, message: str) -> None:
    update_ = {"TableName": "Things", "ProvisionedWriteCapacityAutoScalingUpdate": given}
    told = str(table.refused(US, "UpdateTableReplicaAutoScaling", **update_).message)
    start = f"{message} (Service: AWSApplicationAutoScaling; Status Code: 400; Error Code: ValidationException; "
    assert told.startswith(start + "Request ID: ") and told.endswith("; Proxy: null)")


def test_settings_of_an_on_demand_table_are_refused(world: World) -> None:
    world.global_table(US, EU)
    writes: dict[str, Any] = {"TableName": "Things", "ProvisionedWriteCapacityAutoScalingUpdate": scale()}
    assert world.refused(US, "UpdateTableReplicaAutoScaling", **writes).message == (
        "Failed to update global table with name ‘Things‘. Replicas 'EU-WEST-1', 'US-EAST-1' BillingMode is "
        "PayPerRequest. You must convert table's BillingMode to PROVISIONED to set parameters: "
        "'GlobalTableProvisionedWriteCapacityAutoScalingSettingsUpdate'."
    )
    reads: dict[str, Any] = {"TableName": "Things", "ReplicaUpdates": [{"RegionName": EU, IN_EU: scale()}]}
    assert "'ReplicaProvisionedReadCapacityAutoScalingSettingsUpdate'" in str(
        world.refused(US, "UpdateTableReplicaAutoScaling", **reads).message
    )


def test_a_region_that_cannot_be_asked_changes_nothing(table: World) -> None:
    before = describe(table)
    table.wires.down = {EU}
    writes = {"TableName": "Things", "ProvisionedWriteCapacityAutoScalingUpdate": scale(3, 9)}
    table.refused(US, "UpdateTableReplicaAutoScaling", **writes)
    assert "ReplicaProvisionedWriteCapacityAutoScalingSettings" not in describe(table)[EU]
    table.wires.down = set()
    assert describe(table) == before


# Global tables of 2017


def test_a_global_table_of_2017_scales_by_its_settings(world: World) -> None:
    units = {"ReadCapacityUnits": 5, "WriteCapacityUnits": 5}
    stream = {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}
    group = [{"RegionName": region} for region in (US, EU)]
    for region in (US, EU):
        world.table(region, BillingMode="PROVISIONED", ProvisionedThroughput=units, StreamSpecification=stream)
    world.request(US, "CreateGlobalTable", GlobalTableName="Things", ReplicationGroup=group)
    settle(world)
    reads = "ReplicaProvisionedReadCapacityAutoScalingSettingsUpdate"
    world.request(
        US,
        "UpdateGlobalTableSettings",
        GlobalTableName="Things",
        GlobalTableProvisionedWriteCapacityAutoScalingSettingsUpdate=scale(8, 20),
        ReplicaSettingsUpdate=[{"RegionName": EU, reads: scale(10, 30, value=50.0)}],
    )
    settle(world)
    described = world.request(EU, "DescribeGlobalTableSettings", GlobalTableName="Things")["ReplicaSettings"]
    found = {one["RegionName"]: one for one in described}
    for one in found.values():
        assert one["ReplicaProvisionedWriteCapacityAutoScalingSettings"]["MinimumUnits"] == 8
        assert one["ReplicaProvisionedWriteCapacityUnits"] == 8
    assert found[EU]["ReplicaProvisionedReadCapacityAutoScalingSettings"]["MaximumUnits"] == 30
    assert found[EU]["ReplicaProvisionedReadCapacityUnits"] == 10
    assert "ReplicaProvisionedReadCapacityAutoScalingSettings" not in found[US]
    assert found[US]["ReplicaProvisionedReadCapacityUnits"] == 5
