"""Global tables of 2017: creating, changing, describing them, their attributes, and their upgrade."""

from __future__ import annotations

from typing import Any

import pytest

from atoll import errors
from atoll.api import replication
from tests.global_tables.conftest import AP, EU, US, World, administer

STREAM: dict[str, Any] = {"StreamSpecification": {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}}
UNITS: dict[str, Any] = {
    "BillingMode": "PROVISIONED",
    "ProvisionedThroughput": {"ReadCapacityUnits": 5, "WriteCapacityUnits": 6},
}
INDEX: dict[str, Any] = {
    "types": {"by": "S"},
    "GlobalSecondaryIndexes": [
        {
            "IndexName": "by_kind",
            "KeySchema": [{"AttributeName": "by", "KeyType": "HASH"}],
            "Projection": {"ProjectionType": "ALL"},
        }
    ],
}
INVALID = "One or more parameter values were invalid: "


def group(*regions: str) -> dict[str, Any]:
    return {"GlobalTableName": "Things", "ReplicationGroup": [{"RegionName": region} for region in regions]}


def legacy(world: World, *regions: str, **more: Any) -> None:
    """A global table of 2017 in these regions."""
    for region in regions:
        world.table(region, **STREAM, **more)
    world.request(regions[0], "CreateGlobalTable", **group(*regions))
    world.settle()


def described(world: World, region: str) -> Any:
    return world.request(region, "DescribeGlobalTable", GlobalTableName="Things")["GlobalTableDescription"]


def states(world: World, region: str) -> dict[str, str]:
    return {one["RegionName"]: one["ReplicaStatus"] for one in described(world, region)["ReplicationGroup"]}


def change(world: World, region: str, **action: Any) -> Any:
    updates = [{kind: {"RegionName": of}} for kind, of in action.items()]
    return world.request(region, "UpdateGlobalTable", GlobalTableName="Things", ReplicaUpdates=updates)


def own(item: dict[str, Any]) -> dict[str, Any]:
    """The attributes that a client wrote."""
    return {name: value for name, value in item.items() if not name.startswith("aws:")}


def test_empty_tables_become_a_global_table(world: World) -> None:
    for region in (US, EU):
        world.table(region, **STREAM)
    answer = world.request(US, "CreateGlobalTable", **group(US, EU))["GlobalTableDescription"]
    assert answer["GlobalTableStatus"] == "CREATING"
    assert answer["GlobalTableArn"] == "arn:aws:dynamodb::000000000000:global-table/Things"
    world.settle()
    assert described(world, US)["GlobalTableStatus"] == "ACTIVE"
    assert states(world, US) == states(world, EU) == {US: "ACTIVE", EU: "ACTIVE"}
    assert described(world, EU)["CreationDateTime"] == described(world, US)["CreationDateTime"] == 1_800_000_000
    world.put(US, "a", v={"N": "1"})
    world.put(EU, "b")
    world.settle()
    assert world.items(US) == world.items(EU)
    assert {pk: own(item) for pk, item in world.items(US).items()} == {"a": {"v": {"N": "1"}}, "b": {}}
    table = world.describe(US)
    assert table["GlobalTableVersion"] == "2017.11.29" and "Replicas" not in table


def test_items_tell_their_last_change(world: World) -> None:
    legacy(world, US, EU)
    world.clock.advance(1_500)
    world.put(EU, "a")
    world.settle()
    item = world.items(US)["a"]
    assert item["aws:rep:deleting"] == {"BOOL": False}
    assert item["aws:rep:updateregion"] == {"S": EU}
    assert int(float(item["aws:rep:updatetime"]["N"]) * 1000) == 1_800_000_001_500
    world.clock.advance(1_500)
    answer = world.request(
        US,
        "UpdateItem",
        TableName="Things",
        Key={"pk": {"S": "a"}},
        UpdateExpression="SET v = :v",
        ExpressionAttributeValues={":v": {"N": "1"}},
        ReturnValues="ALL_NEW",
    )["Attributes"]
    assert (answer["v"], answer["aws:rep:updateregion"]) == ({"N": "1"}, {"S": US})
    world.settle()
    assert world.items(EU)["a"] == world.items(US)["a"]
    assert world.records(EU)[-1]["dynamodb"]["NewImage"]["aws:rep:updateregion"] == {"S": US}


def test_a_replica_is_added_while_all_are_empty(world: World) -> None:
    legacy(world, US, EU)
    world.table(AP, **STREAM)
    change(world, EU, Create=AP)
    world.settle()
    assert states(world, US) == dict.fromkeys((US, EU, AP), "ACTIVE")
    world.put(AP, "a")
    world.settle()
    assert world.items(US).keys() == {"a"}


def test_a_removed_replica_is_an_ordinary_table(world: World) -> None:
    legacy(world, US, EU, AP)
    world.put(US, "a")
    world.settle()
    change(world, US, Delete=EU)
    world.settle()
    assert states(world, US) == states(world, AP) == {US: "ACTIVE", AP: "ACTIVE"}
    assert world.refused(EU, "DescribeGlobalTable", GlobalTableName="Things").code == "GlobalTableNotFoundException"
    assert "GlobalTableVersion" not in world.describe(EU)
    world.put(EU, "alone")
    world.put(US, "b")
    world.settle()
    assert world.items(EU).keys() == {"a", "alone"} and world.items(AP).keys() == {"a", "b"}
    assert world.items(EU)["alone"] == {}


def test_a_replica_removes_itself(world: World) -> None:
    legacy(world, US, EU)
    change(world, US, Delete=US)
    world.settle()
    assert states(world, EU) == {EU: "ACTIVE"}
    assert "GlobalTableVersion" not in world.describe(US)
    world.request(EU, "DeleteTable", TableName="Things")
    world.settle()
    assert world.request(EU, "ListTables") == {"TableNames": []}


def test_global_tables_are_listed(world: World) -> None:
    for name in ("Aa1", "Bb2", "Cc3"):
        world.table(US, name, **STREAM)
        world.table(EU, name, **STREAM)
    for name in ("Aa1", "Bb2"):
        world.request(US, "CreateGlobalTable", **group(US, EU) | {"GlobalTableName": name})
    world.settle()
    world.request(US, "CreateGlobalTable", **group(US) | {"GlobalTableName": "Cc3"})
    both = [{"RegionName": EU}, {"RegionName": US}]
    first = world.request(US, "ListGlobalTables", Limit=1)
    assert first == {
        "GlobalTables": [{"GlobalTableName": "Aa1", "ReplicationGroup": both}],
        "LastEvaluatedGlobalTableName": "Aa1",
    }
    rest = world.request(US, "ListGlobalTables", ExclusiveStartGlobalTableName="Aa1")["GlobalTables"]
    assert [one["GlobalTableName"] for one in rest] == ["Bb2", "Cc3"]
    in_eu = world.request(US, "ListGlobalTables", RegionName=EU)["GlobalTables"]
    assert [one["GlobalTableName"] for one in in_eu] == ["Aa1", "Bb2"]


def test_tables_of_2019_are_not_global_tables_of_2017(world: World) -> None:
    world.global_table(US, EU)
    assert world.request(US, "ListGlobalTables") == {"GlobalTables": []}
    for operation, body in (
        ("DescribeGlobalTable", {}),
        ("DescribeGlobalTableSettings", {}),
        ("UpdateGlobalTableSettings", {}),
        ("UpdateGlobalTable", {"ReplicaUpdates": [{"Delete": {"RegionName": EU}}]}),
    ):
        assert world.refused(US, operation, GlobalTableName="Things", **body).code == "GlobalTableNotFoundException"
    assert world.refused(US, "CreateGlobalTable", **group(US, EU)).code == "GlobalTableAlreadyExistsException"


def test_replicas_of_2017_share_no_settings(world: World) -> None:
    legacy(world, US, EU)
    world.update(US, TableClass="STANDARD_INFREQUENT_ACCESS")
    world.settle()
    assert "TableClassSummary" not in world.describe(EU)


# Refusals

MISFITS: dict[str, tuple[dict[str, Any], str]] = {
    "other keys": ({"KeySchema": [{"AttributeName": "other", "KeyType": "HASH"}]}, "must have the key schema"),
    "other indexes": (INDEX, "must have secondary indexes"),
    "no stream": ({"StreamSpecification": {"StreamEnabled": False}}, "must have a stream enabled"),
    "keys only in the stream": (
        {"StreamSpecification": {"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"}},
        "must have a stream enabled",
    ),
}


@pytest.mark.parametrize("situation", MISFITS)
def test_tables_that_do_not_fit_become_no_replicas(world: World, situation: str) -> None:
    more, reason = MISFITS[situation]
    world.table(US, **STREAM)
    if "KeySchema" in more:
        more = more | {"AttributeDefinitions": [{"AttributeName": "other", "AttributeType": "S"}]}
    world.table(EU, **STREAM | more)
    error = world.refused(US, "CreateGlobalTable", **group(US, EU))
    assert error.code == "ValidationException"
    assert str(error.message).startswith(f"{INVALID}Table Things in region {EU} {reason}")
    world.settle()
    assert "GlobalTableVersion" not in world.describe(US)


@pytest.mark.parametrize("region", [US, EU])
def test_tables_with_items_become_no_replicas(world: World, region: str) -> None:
    for one in (US, EU):
        world.table(one, **STREAM)
    world.put(region, "a")
    error = world.refused(US, "CreateGlobalTable", **group(US, EU))
    assert error.message == f"{INVALID}Table Things in region {region} must be empty"


REFUSED: dict[str, tuple[str, dict[str, Any], str]] = {
    "a table that is not there": ("CreateGlobalTable", group(US, AP), "TableNotFoundException"),
    "an unknown region": ("CreateGlobalTable", group(US, "mars-1"), "ValidationException"),
    "no region": ("CreateGlobalTable", group(), "ValidationException"),
    "a region twice": ("CreateGlobalTable", group(US, EU, EU), "ValidationException"),
    "without its own region": ("CreateGlobalTable", group(EU), "ValidationException"),
    "a global table again": ("CreateGlobalTable", group(US, EU), "GlobalTableAlreadyExistsException"),
    "a replica again": ("UpdateGlobalTable", {"Create": EU}, "ReplicaAlreadyExistsException"),
    "the removal of no replica": ("UpdateGlobalTable", {"Delete": AP}, "ReplicaNotFoundException"),
    "a new replica without a table": ("UpdateGlobalTable", {"Create": AP}, "TableNotFoundException"),
}


@pytest.mark.parametrize("situation", REFUSED)
def test_requests_are_refused(world: World, situation: str) -> None:
    operation, body, code = REFUSED[situation]
    for region in (US, EU):
        world.table(region, **STREAM)
    if code == "GlobalTableAlreadyExistsException" or operation == "UpdateGlobalTable":
        world.request(US, "CreateGlobalTable", **group(US, EU))
        world.settle()
    if operation == "UpdateGlobalTable":
        updates = [{kind: {"RegionName": of}} for kind, of in body.items()]
        body = {"GlobalTableName": "Things", "ReplicaUpdates": updates}
    before = world.describe(US)
    assert world.refused(US, operation, **body).code == code
    world.settle()
    assert world.describe(US) == before


def test_no_replica_is_added_to_a_table_with_items(world: World) -> None:
    legacy(world, US, EU)
    world.table(AP, **STREAM)
    world.put(US, "a")
    body = {"GlobalTableName": "Things", "ReplicaUpdates": [{"Create": {"RegionName": AP}}]}
    assert (
        world.refused(US, "UpdateGlobalTable", **body).message == f"{INVALID}Table Things in region {US} must be empty"
    )


def test_a_replica_of_2017_gets_none_of_2019(world: World) -> None:
    legacy(world, US, EU)
    updates = [{"Create": {"RegionName": AP}}]
    error = world.refused(US, "UpdateTable", TableName="Things", ReplicaUpdates=updates)
    assert error.code == "ValidationException" and "2017.11.29" in str(error.message)


# Settings


def settings(world: World, region: str) -> dict[str, Any]:
    answer = world.request(region, "DescribeGlobalTableSettings", GlobalTableName="Things")
    return {one.pop("RegionName"): one for one in answer["ReplicaSettings"]}


def test_the_settings_of_all_replicas_are_described(world: World) -> None:
    index = INDEX["GlobalSecondaryIndexes"][0] | {"ProvisionedThroughput": UNITS["ProvisionedThroughput"]}
    legacy(world, US, EU, **UNITS, types={"by": "S"}, GlobalSecondaryIndexes=[index])
    expected = {
        "ReplicaStatus": "ACTIVE",
        "ReplicaBillingModeSummary": {"BillingMode": "PROVISIONED"},
        "ReplicaProvisionedReadCapacityUnits": 5,
        "ReplicaProvisionedWriteCapacityUnits": 6,
        "ReplicaGlobalSecondaryIndexSettings": [
            {
                "IndexName": "by_kind",
                "IndexStatus": "ACTIVE",
                "ProvisionedReadCapacityUnits": 5,
                "ProvisionedWriteCapacityUnits": 6,
            }
        ],
    }
    assert settings(world, US) == settings(world, EU) == {US: expected, EU: expected}
    world.wires.down = {EU}
    assert settings(world, US) == {US: expected, EU: {"ReplicaStatus": "ACTIVE"}}


def test_write_units_are_common_and_read_units_each_replica_s(world: World) -> None:
    legacy(world, US, EU, **UNITS)
    world.request(
        US,
        "UpdateGlobalTableSettings",
        GlobalTableName="Things",
        GlobalTableProvisionedWriteCapacityUnits=8,
        ReplicaSettingsUpdate=[{"RegionName": EU, "ReplicaProvisionedReadCapacityUnits": 9}],
    )
    units = {region: world.describe(region)["ProvisionedThroughput"] for region in (US, EU)}
    assert {
        region: (one["ReadCapacityUnits"], one["WriteCapacityUnits"]) for region, one in units.items()
    } == {US: (5, 8), EU: (9, 8)}  # fmt: skip


def test_the_billing_mode_is_common(world: World) -> None:
    legacy(world, US, EU, **UNITS)
    for body in (
        {"GlobalTableBillingMode": "PAY_PER_REQUEST"},
        {
            "GlobalTableBillingMode": "PROVISIONED",
            "GlobalTableProvisionedWriteCapacityUnits": 3,
            "ReplicaSettingsUpdate": [
                {"RegionName": region, "ReplicaProvisionedReadCapacityUnits": 4} for region in (US, EU)
            ],
        },
    ):
        world.request(EU, "UpdateGlobalTableSettings", GlobalTableName="Things", **body)
        modes = [world.describe(region)["BillingModeSummary"]["BillingMode"] for region in (US, EU)]
        assert modes == [body["GlobalTableBillingMode"]] * 2
    assert world.describe(US)["ProvisionedThroughput"]["ReadCapacityUnits"] == 4


BAD_SETTINGS: dict[str, tuple[dict[str, Any], str]] = {
    "no replica": ({"ReplicaSettingsUpdate": [{"RegionName": AP}]}, "ReplicaNotFoundException"),
    "no index": (
        {
            "GlobalTableGlobalSecondaryIndexSettingsUpdate": [
                {"IndexName": "none", "ProvisionedWriteCapacityUnits": 1},
            ]
        },
        "IndexNotFoundException",
    ),
    "no class": ({"ReplicaSettingsUpdate": [{"RegionName": EU, "ReplicaTableClass": "NONE"}]}, "ValidationException"),
    "units on demand": ({"GlobalTableProvisionedWriteCapacityUnits": 5}, "ValidationException"),
    "provisioned without units": ({"GlobalTableBillingMode": "PROVISIONED"}, "ValidationException"),
    "auto scaling": (
        {"GlobalTableProvisionedWriteCapacityAutoScalingSettingsUpdate": {"MinimumUnits": 1}},
        "ValidationException",
    ),
}


@pytest.mark.parametrize("situation", BAD_SETTINGS)
def test_settings_are_refused(world: World, situation: str) -> None:
    body, code = BAD_SETTINGS[situation]
    legacy(world, US, EU)
    before = settings(world, US)
    assert world.refused(US, "UpdateGlobalTableSettings", GlobalTableName="Things", **body).code == code
    assert settings(world, US) == before


def test_settings_wait_for_a_region_that_is_down(world: World) -> None:
    legacy(world, US, EU, **UNITS)
    world.wires.down = {EU}
    body = {"GlobalTableName": "Things", "GlobalTableProvisionedWriteCapacityUnits": 8}
    assert world.refused(US, "UpdateGlobalTableSettings", **body).status == 503
    assert world.describe(US)["ProvisionedThroughput"]["WriteCapacityUnits"] == 6


# The upgrade


def test_a_global_table_is_upgraded(world: World) -> None:
    legacy(world, US, EU)
    world.put(US, "before")
    world.settle()
    answer = administer(world, replication.upgrade, table="Things", region=EU)
    assert answer == {"table": "Things", "version": "2019.11.21", "replicas": [EU, US]}
    world.settle()
    for region, other in ((US, EU), (EU, US)):
        assert world.describe(region)["GlobalTableVersion"] == "2019.11.21"
        assert world.replicas(region) == {other: "ACTIVE"}
    world.put(US, "after")
    world.update(EU, TableClass="STANDARD_INFREQUENT_ACCESS")
    world.add(AP)
    world.settle()
    assert world.items(AP)["after"] == {} and "aws:rep:updatetime" in world.items(AP)["before"]
    assert world.describe(US)["TableClassSummary"]["TableClass"] == "STANDARD_INFREQUENT_ACCESS"
    assert world.request(US, "ListGlobalTables") == {"GlobalTables": []}


def test_an_upgrade_gives_all_replicas_the_settings_of_one(world: World) -> None:
    legacy(world, US, EU)
    world.update(US, TableClass="STANDARD_INFREQUENT_ACCESS")
    administer(world, replication.upgrade, table="Things", region=US)
    world.settle()
    assert world.describe(EU)["TableClassSummary"]["TableClass"] == "STANDARD_INFREQUENT_ACCESS"


@pytest.mark.parametrize("body", [{}, {"table": "Others"}, {"table": "Things", "region": "mars-1"}, {"table": 5},
                                  {"table": "Things", "more": 1}])  # fmt: skip
def test_an_upgrade_is_refused(world: World, body: dict[str, Any]) -> None:
    legacy(world, US, EU)
    with pytest.raises(errors.ApiError):
        administer(world, replication.upgrade, **body)
    assert world.describe(US)["GlobalTableVersion"] == "2017.11.29"


def test_an_ordinary_table_is_not_upgraded(world: World) -> None:
    world.global_table(US, EU)
    with pytest.raises(errors.ApiError, match="not a replica of a global table of version 2017"):
        administer(world, replication.upgrade, table="Things")


# Conflicts


def test_conflicts_are_reported(world: World) -> None:
    world.global_table(US, EU)
    world.wires.down = {EU}
    world.put(US, "a", v={"S": "loses"})
    world.clock.advance(10)
    world.put(EU, "a", v={"S": "wins"})
    world.wires.down = set()
    world.settle()
    report = administer(world, replication.show_conflicts, table="Things")
    assert sum(report["seen"].values()) == len(report["conflicts"]) > 0
    for entry in report["conflicts"]:
        assert (entry["table"], entry["key"]) == ("Things", {"pk": {"S": "a"}})
        assert (entry["winner"]["region"], entry["loser"]["region"]) == (EU, US)
        assert entry["winner"]["image"]["v"] == {"S": "wins"} and entry["loser"]["image"]["v"] == {"S": "loses"}
        assert entry["winner"]["ms"] - entry["loser"]["ms"] == 10
    assert administer(world, replication.show_conflicts, table="Others")["conflicts"] == []
    assert administer(world, replication.show_conflicts, region=US)["seen"].keys() == {US}


@pytest.mark.parametrize(
    "body", [{"limit": "0"}, {"limit": "x"}, {"limit": "9" * 5000}, {"region": "x"}, {"more": "1"}]
)
def test_a_bad_question_about_conflicts_is_refused(world: World, body: dict[str, Any]) -> None:
    with pytest.raises(errors.ApiError):
        administer(world, replication.show_conflicts, **body)


def test_a_report_has_as_many_conflicts_as_asked_for(world: World) -> None:
    world.global_table(US, EU)
    world.wires.down = {EU}
    for pk in "abc":
        world.put(US, pk)
        world.put(EU, pk, v={"N": "1"})
    world.wires.down = set()
    world.settle()
    assert len(administer(world, replication.show_conflicts, limit="2")["conflicts"]) == 2


# Auto scaling


def test_replicas_have_no_scaling_policies(world: World) -> None:
    world.global_table(US, EU)
    described = world.request(US, "DescribeTableReplicaAutoScaling", TableName="Things")["TableAutoScalingDescription"]
    off = {"AutoScalingDisabled": True, "ScalingPolicies": []}
    settings = {f"ReplicaProvisioned{kind}CapacityAutoScalingSettings": off for kind in ("Read", "Write")}
    replicas = [
        {"RegionName": region, "GlobalSecondaryIndexes": [], **settings, "ReplicaStatus": "ACTIVE"}
        for region in (EU, US)
    ]
    assert described == {"TableName": "Things", "TableStatus": "ACTIVE", "Replicas": replicas}
    assert world.refused(US, "UpdateTableReplicaAutoScaling", TableName="Things").code == "ValidationException"


@pytest.mark.parametrize("operation", ["DescribeTableReplicaAutoScaling", "UpdateTableReplicaAutoScaling"])
def test_a_table_without_replicas_has_no_scaling(world: World, operation: str) -> None:
    world.table()
    error = world.refused(US, operation, TableName="Things")
    assert (error.code, error.message) == (
        "ResourceNotFoundException",
        "Global table with name: 'Things' does not exist.",
    )
