"""The settings that replicas share, those that a replica may override, and those that each has for itself."""

from __future__ import annotations

from typing import Any

import pytest

from tests.global_tables.conftest import AP, EU, US, World

ALL = (US, EU, AP)
MAXIMA = {"MaxReadRequestUnits": 10, "MaxWriteRequestUnits": 20}
INDEX = {
    "AttributeDefinitions": [{"AttributeName": "by", "AttributeType": "S"}],
    "GlobalSecondaryIndexUpdates": [
        {
            "Create": {
                "IndexName": "by_kind",
                "KeySchema": [{"AttributeName": "by", "KeyType": "HASH"}],
                "Projection": {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["v"]},
                "OnDemandThroughput": MAXIMA,
            }
        }
    ],
}
GONE = {"GlobalSecondaryIndexUpdates": [{"Delete": {"IndexName": "by_kind"}}]}


def index_update(**members: Any) -> dict[str, Any]:
    return {"GlobalSecondaryIndexUpdates": [{"Update": {"IndexName": "by_kind", **members}}]}


SHARED: dict[str, tuple[dict[str, Any], str, Any]] = {
    "on-demand maxima": ({"OnDemandThroughput": MAXIMA}, "OnDemandThroughput", MAXIMA),
    "the class": (
        {"TableClass": "STANDARD_INFREQUENT_ACCESS"},
        "TableClassSummary.TableClass",
        "STANDARD_INFREQUENT_ACCESS",
    ),
    "warm throughput": (
        {"WarmThroughput": {"ReadUnitsPerSecond": 15_000, "WriteUnitsPerSecond": 5_000}},
        "WarmThroughput",
        {"ReadUnitsPerSecond": 15_000, "WriteUnitsPerSecond": 5_000, "Status": "ACTIVE"},
    ),
    "encryption": ({"SSESpecification": {"Enabled": True, "SSEType": "KMS"}}, "SSEDescription.SSEType", "KMS"),
}


def at(described: Any, path: str) -> Any:
    for member in path.split("."):
        described = described.get(member, {})
    return described


@pytest.mark.parametrize("situation", SHARED)
def test_a_change_of_one_replica_reaches_all(world: World, situation: str) -> None:
    change, path, expected = SHARED[situation]
    world.global_table(*ALL)
    world.update(EU, **change)
    world.settle()
    assert [at(world.describe(region), path) for region in ALL] == [expected] * 3


@pytest.mark.parametrize("situation", SHARED)
def test_a_new_replica_has_the_settings_of_the_others(world: World, situation: str) -> None:
    change, path, expected = SHARED[situation]
    world.table()
    world.update(US, **change)
    world.add(EU)
    world.settle()
    assert at(world.describe(EU), path) == expected


def test_each_replica_has_its_own_region_s_key(world: World) -> None:
    world.global_table(US, EU)
    world.update(US, SSESpecification={"Enabled": True, "SSEType": "KMS"})
    world.settle()
    keys = [world.describe(region)["SSEDescription"]["KMSMasterKeyArn"] for region in (US, EU)]
    assert [key.split(":")[3] for key in keys] == [US, EU]
    assert world.describe(US)["Replicas"][0]["KMSMasterKeyId"] == keys[1]
    world.change(US, Update={"RegionName": EU, "KMSMasterKeyId": "mine"})
    world.settle()
    assert world.describe(EU)["SSEDescription"]["KMSMasterKeyArn"].endswith(f":{EU}:000000000000:key/mine")
    assert world.describe(US)["SSEDescription"]["KMSMasterKeyArn"] == keys[0]


@pytest.mark.parametrize("own", ["DeletionProtectionEnabled", "tags"])
def test_a_setting_of_each_replica_stays_with_it(world: World, own: str) -> None:
    world.global_table(US, EU)
    if own == "tags":
        world.request(US, "TagResource", ResourceArn=world.describe(US)["TableArn"], Tags=[{"Key": "a", "Value": "b"}])
    else:
        world.update(US, DeletionProtectionEnabled=True)
    world.settle()
    assert world.describe(EU)["DeletionProtectionEnabled"] is False
    assert world.request(EU, "ListTagsOfResource", ResourceArn=world.describe(EU)["TableArn"])["Tags"] == []


# Time to live


def set_ttl(world: World, region: str, attribute: str, *, enabled: bool = True) -> None:
    specification = {"AttributeName": attribute, "Enabled": enabled}
    world.request(region, "UpdateTimeToLive", TableName="Things", TimeToLiveSpecification=specification)


def ttl(world: World, region: str) -> Any:
    return world.request(region, "DescribeTimeToLive", TableName="Things")["TimeToLiveDescription"]


def test_time_to_live_is_shared(world: World) -> None:
    world.global_table(*ALL)
    world.put(US, "a", ends={"N": "1800000005"})
    world.settle()
    set_ttl(world, EU, "ends")
    world.settle()
    assert [ttl(world, region)["TimeToLiveStatus"] for region in ALL] == ["ENABLED"] * 3
    world.advance(10_000)
    assert [world.items(region) for region in ALL] == [{}] * 3
    world.advance(3600 * 1000)
    set_ttl(world, AP, "ends", enabled=False)
    world.settle()
    assert [ttl(world, region) for region in ALL] == [{"TimeToLiveStatus": "DISABLED"}] * 3


def test_a_new_replica_deletes_expired_items(world: World) -> None:
    world.table()
    set_ttl(world, US, "ends")
    world.put(US, "a", ends={"N": "1800000005"})
    world.add(EU)
    world.settle()
    assert ttl(world, EU) == {"TimeToLiveStatus": "ENABLED", "AttributeName": "ends"}
    world.put(EU, "b", ends={"N": "1800000005"})
    world.settle()
    world.advance(10_000)
    assert world.items(EU) == world.items(US) == {}


# Indexes


def by(world: World, region: str, value: str) -> list[str]:
    answer = world.request(
        region,
        "Query",
        TableName="Things",
        IndexName="by_kind",
        KeyConditionExpression="#b = :b",
        ExpressionAttributeNames={"#b": "by"},
        ExpressionAttributeValues={":b": {"S": value}},
    )
    return [item["pk"]["S"] for item in answer["Items"]]


def test_a_new_index_is_built_by_each_replica(world: World) -> None:
    world.global_table(*ALL)
    world.put(US, "old", by={"S": "x"})
    world.settle()
    world.update(EU, **INDEX)
    world.put(AP, "new", by={"S": "x"})
    world.settle()
    for region in ALL:
        (index,) = world.describe(region)["GlobalSecondaryIndexes"]
        assert (index["IndexStatus"], index["OnDemandThroughput"]) == ("ACTIVE", MAXIMA)
        assert sorted(by(world, region, "x")) == ["new", "old"]


def test_a_deleted_index_is_deleted_everywhere(world: World) -> None:
    world.global_table(*ALL)
    world.update(US, **INDEX)
    world.settle()
    world.update(AP, **GONE)
    world.settle()
    assert all("GlobalSecondaryIndexes" not in world.describe(region) for region in ALL)


def test_a_recreated_index_replaces_the_old_one(world: World) -> None:
    world.global_table(US, EU)
    world.update(US, **INDEX)
    world.settle()
    world.wires.down = {EU}
    world.update(US, **GONE)
    world.settle()
    other = {**INDEX["GlobalSecondaryIndexUpdates"][0]["Create"], "Projection": {"ProjectionType": "ALL"}}  # type: ignore[index]
    world.update(US, **INDEX | {"GlobalSecondaryIndexUpdates": [{"Create": other}]})
    world.put(US, "a", by={"S": "x"})
    world.settle()
    world.wires.down = set()
    world.settle()
    (index,) = world.describe(EU)["GlobalSecondaryIndexes"]
    assert index["Projection"] == {"ProjectionType": "ALL"} and by(world, EU, "x") == ["a"]


def test_the_throughput_of_an_index_is_shared(world: World) -> None:
    world.global_table(US, EU)
    world.update(US, **INDEX)
    world.settle()
    world.update(EU, **index_update(OnDemandThroughput={"MaxWriteRequestUnits": 7}))
    world.settle()
    (index,) = world.describe(US)["GlobalSecondaryIndexes"]
    assert index["OnDemandThroughput"] == {"MaxReadRequestUnits": 10, "MaxWriteRequestUnits": 7}


# Overrides


def read_maximum(world: World, region: str) -> Any:
    return world.describe(region).get("OnDemandThroughput", {}).get("MaxReadRequestUnits")


def override(world: World, region: str, of: str, **members: Any) -> Any:
    return world.change(region, Update={"RegionName": of, **members})


def test_a_replica_overrides_its_read_maximum(world: World) -> None:
    world.global_table(*ALL)
    world.update(US, OnDemandThroughput=MAXIMA)
    world.settle()
    answer = override(world, US, EU, OnDemandThroughputOverride={"MaxReadRequestUnits": 99})["TableDescription"]
    states = {one["RegionName"]: one["ReplicaStatus"] for one in answer["Replicas"]}
    assert (answer["TableStatus"], states) == ("UPDATING", {EU: "UPDATING", AP: "ACTIVE"})
    world.settle()
    assert [read_maximum(world, region) for region in ALL] == [10, 99, 10]
    for region in (US, AP):
        entries = {one["RegionName"]: one for one in world.describe(region)["Replicas"]}
        assert entries[EU]["OnDemandThroughputOverride"] == {"MaxReadRequestUnits": 99}
        assert "OnDemandThroughputOverride" not in entries.get(AP, {}) | {}
    assert world.describe(US)["TableStatus"] == "ACTIVE"


def test_an_override_outlives_changes_of_other_settings(world: World) -> None:
    world.global_table(US, EU)
    override(world, US, EU, OnDemandThroughputOverride={"MaxReadRequestUnits": 99})
    world.update(US, OnDemandThroughput={"MaxWriteRequestUnits": 20})
    world.settle()
    assert (read_maximum(world, US), read_maximum(world, EU)) == (None, 99)
    assert world.describe(EU)["OnDemandThroughput"]["MaxWriteRequestUnits"] == 20


def test_an_override_is_lost_when_another_replica_changes_the_setting(world: World) -> None:
    world.global_table(US, EU)
    override(world, US, EU, OnDemandThroughputOverride={"MaxReadRequestUnits": 99})
    override(world, US, EU, TableClassOverride="STANDARD_INFREQUENT_ACCESS")
    world.settle()
    world.update(US, OnDemandThroughput={"MaxReadRequestUnits": 30})
    world.settle()
    assert read_maximum(world, EU) == 30
    (entry,) = world.describe(US)["Replicas"]
    assert "OnDemandThroughputOverride" not in entry
    assert entry["ReplicaTableClassSummary"] == {"TableClass": "STANDARD_INFREQUENT_ACCESS"}
    assert "TableClassSummary" not in world.describe(US)


def test_a_replica_overrides_its_own_settings_from_its_own_region(world: World) -> None:
    world.global_table(US, EU)
    override(world, EU, EU, OnDemandThroughputOverride={"MaxReadRequestUnits": 99})
    world.settle()
    assert [read_maximum(world, region) for region in (US, EU)] == [None, 99]
    assert world.describe(US)["Replicas"][0]["OnDemandThroughputOverride"] == {"MaxReadRequestUnits": 99}


def test_several_replicas_are_updated_together_or_not_at_all(world: World) -> None:
    world.global_table(US, EU)
    own = {"OnDemandThroughputOverride": {"MaxReadRequestUnits": 99}}
    updates = [{"Update": {"RegionName": region, **own}} for region in (EU, AP)]
    error = world.refused(US, "UpdateTable", TableName="Things", ReplicaUpdates=updates)
    assert AP in str(error.message) and read_maximum(world, EU) is None
    world.add(AP)
    world.settle()
    world.update(US, ReplicaUpdates=updates)
    world.settle()
    assert [read_maximum(world, region) for region in ALL] == [None, 99, 99]


@pytest.mark.parametrize("action", ["Create", "Update"])
def test_a_table_class_that_does_not_exist_is_refused(world: World, action: str) -> None:
    world.global_table(US, EU)
    target = AP if action == "Create" else EU
    updates = [{action: {"RegionName": target, "TableClassOverride": "NONE"}}]
    error = world.refused(US, "UpdateTable", TableName="Things", ReplicaUpdates=updates)
    assert "Invalid table-class parameter provided" in str(error.message)


def test_an_index_of_a_replica_has_an_override(world: World) -> None:
    world.global_table(US, EU)
    world.update(US, **INDEX)
    world.settle()
    of_index = {"IndexName": "by_kind", "OnDemandThroughputOverride": {"MaxReadRequestUnits": 5}}
    override(world, US, EU, GlobalSecondaryIndexes=[of_index])
    world.settle()
    (index,) = world.describe(US)["Replicas"][0]["GlobalSecondaryIndexes"]
    assert (index["IndexName"], index["OnDemandThroughputOverride"]) == ("by_kind", {"MaxReadRequestUnits": 5})
    assert world.describe(EU)["GlobalSecondaryIndexes"][0]["OnDemandThroughput"]["MaxReadRequestUnits"] == 5
    assert world.describe(US)["GlobalSecondaryIndexes"][0]["OnDemandThroughput"]["MaxReadRequestUnits"] == 10


def test_a_replica_is_created_with_overrides(world: World) -> None:
    world.table()
    world.update(US, OnDemandThroughput=MAXIMA)
    world.add(
        EU, OnDemandThroughputOverride={"MaxReadRequestUnits": 99}, TableClassOverride="STANDARD_INFREQUENT_ACCESS"
    )
    world.settle()
    assert [read_maximum(world, region) for region in (US, EU)] == [10, 99]
    assert world.describe(EU)["TableClassSummary"]["TableClass"] == "STANDARD_INFREQUENT_ACCESS"
    (entry,) = world.describe(US)["Replicas"]
    assert entry["ReplicaTableClassSummary"] == {"TableClass": "STANDARD_INFREQUENT_ACCESS"}
    assert entry["OnDemandThroughputOverride"] == {"MaxReadRequestUnits": 99}


def test_a_new_replica_does_not_inherit_overrides(world: World) -> None:
    world.global_table(US, EU)
    override(world, US, EU, OnDemandThroughputOverride={"MaxReadRequestUnits": 99})
    world.settle()
    world.add(AP, EU)
    world.settle()
    assert [read_maximum(world, region) for region in ALL] == [None, 99, None]


# Concurrent changes


def test_different_settings_that_change_at_the_same_time_are_both_kept(world: World) -> None:
    world.global_table(*ALL)
    world.wires.down = {EU}
    world.update(EU, OnDemandThroughput=MAXIMA)
    world.update(US, **INDEX)
    set_ttl(world, AP, "ends")
    world.settle()
    world.wires.down = set()
    world.settle()
    for region in ALL:
        table = world.describe(region)
        assert table["OnDemandThroughput"] == MAXIMA
        assert [index["IndexName"] for index in table["GlobalSecondaryIndexes"]] == ["by_kind"]
        assert ttl(world, region)["AttributeName"] == "ends"


def test_the_later_of_two_changes_of_a_setting_wins(world: World) -> None:
    world.global_table(*ALL)
    world.wires.down = {EU}
    world.update(EU, OnDemandThroughput={"MaxWriteRequestUnits": 1})
    world.clock.advance(5)
    world.update(US, OnDemandThroughput={"MaxWriteRequestUnits": 2})
    world.wires.down = set()
    world.settle()
    assert [world.describe(region)["OnDemandThroughput"] for region in ALL] == [{"MaxWriteRequestUnits": 2}] * 3
