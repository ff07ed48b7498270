"""A table with one master and read replicas, as the operations of tables see it."""

from __future__ import annotations

from typing import Any

from atoll.api import masters
from tests.global_tables.conftest import EU, US, World, administer

UNITS = {"ReadCapacityUnits": 5, "WriteCapacityUnits": 5}


def master_and_replica(world: World, **more: Any) -> None:
    world.table(US, **more)
    administer(world, masters.add_replica, table="Things", region=US, replica=EU)
    world.settle()


def units(world: World, region: str) -> tuple[int, int]:
    given = world.describe(region)["ProvisionedThroughput"]
    return given["ReadCapacityUnits"], given["WriteCapacityUnits"]


def test_it_describes_no_replicas_of_a_global_table(world: World) -> None:
    master_and_replica(world)
    for region in (US, EU):
        table = world.describe(region)
        assert not {"Replicas", "GlobalTableVersion", "MultiRegionConsistency"} & table.keys()
        assert table["TableStatus"] == "ACTIVE"


def test_its_provisioned_units_are_shared(world: World) -> None:
    master_and_replica(world, BillingMode="PROVISIONED", ProvisionedThroughput=UNITS)
    assert units(world, EU) == (5, 5)
    world.update(US, ProvisionedThroughput={"ReadCapacityUnits": 7, "WriteCapacityUnits": 9})
    world.settle()
    assert units(world, EU) == (7, 9)
    world.update(US, BillingMode="PAY_PER_REQUEST")
    world.settle()
    assert world.describe(EU)["BillingModeSummary"]["BillingMode"] == "PAY_PER_REQUEST"
    world.update(US, BillingMode="PROVISIONED", ProvisionedThroughput=UNITS)
    world.settle()
    assert (world.describe(EU)["BillingModeSummary"]["BillingMode"], units(world, EU)) == ("PROVISIONED", (5, 5))


def test_its_stream_is_each_region_s_own(world: World) -> None:
    master_and_replica(world)
    view = {"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"}
    world.update(EU, StreamSpecification=view)
    world.put(US, "a")
    world.settle()
    assert len(world.records(EU)) == 1 and "StreamSpecification" not in world.describe(US)
    world.update(EU, StreamSpecification={"StreamEnabled": False})


def test_only_the_master_deletes_expired_items(world: World) -> None:
    master_and_replica(world)
    world.request(
        US, "UpdateTimeToLive", TableName="Things", TimeToLiveSpecification={"AttributeName": "ends", "Enabled": True}
    )
    world.settle()
    world.put(US, "a", ends={"N": str(world.clock.now_ms() // 1000 + 5)})
    world.settle()
    world.clock.advance(10 * 60_000)
    world.settle(EU)
    assert world.items(EU).keys() == {"a"}
    world.settle()
    assert world.items(EU) == world.items(US) == {}
    administer(world, masters.promote_replica, table="Things", region=EU)
    world.put(EU, "b", ends={"N": str(world.clock.now_ms() // 1000 + 5)})
    world.settle()
    world.advance(10 * 60_000)
    assert world.items(EU) == world.items(US) == {}


def test_replica_updates_do_not_change_it(world: World) -> None:
    master_and_replica(world)
    updates = [{"Create": {"RegionName": "ap-south-1"}}]
    error = world.refused(US, "UpdateTable", TableName="Things", ReplicaUpdates=updates)
    assert error.message == "Table Things has read replicas, which ReplicaUpdates cannot change."


def test_its_replica_is_deleted_in_its_region(world: World) -> None:
    master_and_replica(world)
    world.request(EU, "DeleteTable", TableName="Things")
    world.settle()
    assert world.request(EU, "ListTables") == {"TableNames": []}
    world.put(US, "a")
    world.update(US, TableClass="STANDARD_INFREQUENT_ACCESS")


def test_its_replica_outlives_its_master(world: World) -> None:
    master_and_replica(world)
    world.put(US, "a")
    world.request(US, "DeleteTable", TableName="Things")
    world.settle()
    assert world.request(US, "ListTables") == {"TableNames": []}
    assert world.items(EU) == {"a": {}}
