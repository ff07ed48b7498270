"""Replicas by UpdateTable: adding, describing, removing and deleting them, and the rules."""

from __future__ import annotations

from typing import Any

import pytest

from atoll.replication.messages import Message
from tests.global_tables.conftest import AP, EU, US, World

INVALID = "One or more parameter values were invalid: "
DAY_MS = 24 * 3600 * 1000


def test_a_table_becomes_a_replica_of_a_new_one_with_all_items(world: World) -> None:
    world.table()
    world.put(US, "a", v={"N": "1"})
    answer = world.add(EU)["TableDescription"]
    assert (answer["TableStatus"], answer["Replicas"][0]["ReplicaStatus"]) == ("UPDATING", "CREATING")
    world.put(US, "b", v={"N": "2"})
    world.settle()
    assert world.replicas(US) == {EU: "ACTIVE"} and world.replicas(EU) == {US: "ACTIVE"}
    assert world.items(EU) == {"a": {"v": {"N": "1"}}, "b": {"v": {"N": "2"}}}
    world.put(EU, "c")
    world.delete(EU, "a")
    world.settle()
    assert world.items(US).keys() == {"b", "c"}


def test_replicas_are_described(world: World) -> None:
    world.global_table(US, EU)
    table = world.describe(US)
    warm = {"ReadUnitsPerSecond": 12_000, "WriteUnitsPerSecond": 4_000, "Status": "ACTIVE"}
    mode = "ENABLED_WITH_OVERRIDES"
    replica = {
        "RegionName": EU,
        "ReplicaStatus": "ACTIVE",
        "WarmThroughput": warm,
        "GlobalTableSettingsReplicationMode": mode,
    }
    assert table["Replicas"] == [replica]
    assert table["GlobalTableVersion"] == "2019.11.21"
    assert table["MultiRegionConsistency"] == "EVENTUAL"
    assert table["GlobalTableSettingsReplicationMode"] == mode
    assert table["TableStatus"] == "ACTIVE"
    assert table["StreamSpecification"] == {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}


def test_a_table_without_replicas_describes_nothing_of_them(world: World) -> None:
    world.global_table(US, EU)
    world.remove(EU)
    world.settle()
    members = {"Replicas", "GlobalTableVersion", "MultiRegionConsistency", "GlobalTableSettingsReplicationMode"}
    assert not members & world.describe(US).keys()
    assert world.refused(EU, "DescribeTable", TableName="Things").code == "ResourceNotFoundException"


def test_the_new_table_is_creating_until_all_is_copied(world: World) -> None:
    world.table()
    world.put(US, "a")
    world.add(EU)
    world.step(US)
    assert world.describe(EU)["TableStatus"] == "CREATING"
    assert world.refused(EU, "GetItem", TableName="Things", Key={"pk": {"S": "a"}}).code == "ResourceNotFoundException"
    assert world.refused(EU, "DeleteTable", TableName="Things").code == "ResourceInUseException"
    world.put(US, "b")
    world.settle()
    assert world.describe(EU)["TableStatus"] == "ACTIVE"
    assert world.items(EU).keys() == {"a", "b"}


def test_any_replica_can_add_another(world: World) -> None:
    world.global_table(US, EU)
    world.put(US, "a")
    world.settle()
    world.add(AP, EU)
    world.settle()
    assert world.replicas(US) == {AP: "ACTIVE", EU: "ACTIVE"}
    assert world.replicas(AP) == {EU: "ACTIVE", US: "ACTIVE"}
    world.put(AP, "b")
    world.settle()
    assert world.items(US) == world.items(EU) == world.items(AP) == {"a": {}, "b": {}}


def test_a_removed_replica_loses_its_table_and_no_write(world: World) -> None:
    world.global_table(US, EU, AP)
    world.put(EU, "late")
    answer = world.remove(EU)["TableDescription"]
    assert answer["TableStatus"] == "UPDATING"
    assert {one["RegionName"]: one["ReplicaStatus"] for one in answer["Replicas"]} == {AP: "ACTIVE", EU: "DELETING"}
    world.settle()
    assert world.replicas(US) == {AP: "ACTIVE"}
    assert world.items(US).keys() == world.items(AP).keys() == {"late"}
    assert world.request(EU, "ListTables") == {"TableNames": []}


def test_a_replica_that_is_added_again_has_all_items(world: World) -> None:
    world.global_table(US, EU)
    world.put(EU, "a")
    world.settle()
    world.remove(EU)
    world.settle()
    world.put(US, "b")
    world.add(EU)
    world.settle()
    assert world.items(EU).keys() == {"a", "b"} and world.replicas(EU) == {US: "ACTIVE"}


def test_deleting_a_replica_leaves_the_others(world: World) -> None:
    world.global_table(US, EU, AP)
    world.put(US, "last")
    answer = world.request(US, "DeleteTable", TableName="Things")["TableDescription"]
    assert answer["TableStatus"] == "DELETING"
    assert world.refused(US, "PutItem", TableName="Things", Item={"pk": {"S": "x"}}).code == "ResourceNotFoundException"
    world.settle()
    assert world.request(US, "ListTables") == {"TableNames": []}
    assert world.replicas(EU) == {AP: "ACTIVE"} and world.items(EU).keys() == {"last"}


def test_all_replicas_are_deleted_one_after_the_other(world: World) -> None:
    world.global_table(US, EU, AP)
    for region in (US, EU, AP):
        world.request(region, "DeleteTable", TableName="Things")
    world.settle()
    assert [world.request(region, "ListTables")["TableNames"] for region in (US, EU, AP)] == [[], [], []]


def test_infrastructure_as_code_creates_and_deletes_a_global_table(world: World) -> None:
    world.table(StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"})
    for region in (EU, AP):
        world.add(region)
        while world.replicas(US)[region] != "ACTIVE" or world.describe(US)["TableStatus"] != "ACTIVE":
            world.settle()
    for region in (EU, AP):
        world.remove(region)
        while region in world.replicas(US):
            world.settle()
    world.request(US, "DeleteTable", TableName="Things")
    world.settle()
    assert all(world.request(region, "ListTables") == {"TableNames": []} for region in (US, EU, AP))


# Refusals


def replica(kind: str, region: str, **more: Any) -> dict[str, Any]:
    return {kind: {"RegionName": region, **more}}


EXISTS = (
    "Failed to create a the new replica of table with name: ‘Things’ because one or more replicas already existed as "
    "tables."
)
NOT_PART = (
    "Update global table operation failed because one or more replicas were not part of the global table. Please retry "
    "the request without these replicas: [{}]."
)
STRONG = {"MultiRegionConsistency": "STRONG"}
WITNESS = {"GlobalTableWitnessUpdates": [{"Create": {"RegionName": AP}}]}

REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "two new replicas": (
        {"ReplicaUpdates": [replica("Create", EU), replica("Create", AP)]},
        "Update table operation with more than one create or delete replica actions not allowed",
    ),
    "two deletions": (
        {"ReplicaUpdates": [replica("Delete", EU), replica("Delete", AP)]},
        "Update table operation with more than one create or delete replica actions not allowed",
    ),
    "a new one and a deletion": (
        {"ReplicaUpdates": [replica("Create", AP), replica("Delete", EU)]},
        "Update table operation with more than one type of replica actions not allowed",
    ),
    "two actions in one entry": (
        {"ReplicaUpdates": [replica("Create", AP) | replica("Update", EU)]},
        "Update table operation with more than one type of replica actions not allowed",
    ),
    "another change beside it": (
        {"ReplicaUpdates": [replica("Create", AP)], "DeletionProtectionEnabled": True},
        INVALID + "Replica modification must be the only operation in the request",
    ),
    "no action": (
        {"ReplicaUpdates": [{}]},
        "There are no actions specified in the Replica Update Action of the request.",
    ),
    "a replica that exists": ({"ReplicaUpdates": [replica("Create", EU)]}, EXISTS),
    "a replica of itself": ({"ReplicaUpdates": [replica("Create", US)]}, EXISTS),
    "a region that has such a table": ({"ReplicaUpdates": [replica("Create", AP)]}, EXISTS),
    "an unknown region": ({"ReplicaUpdates": [replica("Create", "mars-1")]}, "Unsupported region: mars-1"),
    "the deletion of no replica": ({"ReplicaUpdates": [replica("Delete", AP)]}, NOT_PART.format(AP)),
    "the deletion of itself": ({"ReplicaUpdates": [replica("Delete", US)]}, NOT_PART.format(US)),
    "the update of no replica": ({"ReplicaUpdates": [replica("Update", AP)]}, NOT_PART.format(AP)),
    "strong consistency of two": (
        {"ReplicaUpdates": [replica("Create", AP)], **STRONG},
        "Unsupported replica count for global tables with MultiRegionConsistency set to STRONG.",
    ),
    "strong consistency of three": (
        {"ReplicaUpdates": [replica("Create", AP)], **STRONG, **WITNESS},
        "MultiRegionConsistency STRONG is not served by this server",
    ),
    "a witness without strong consistency": (
        {"ReplicaUpdates": [replica("Create", AP)], **WITNESS},
        "MultiRegionConsistency must be set as STRONG when GlobalTableWitnessUpdates parameter is present.",
    ),
    "a witness beside another change": (
        {"BillingMode": "PAY_PER_REQUEST", **WITNESS},
        "Requests that modify replicas or witnesses must not also modify other fields",
    ),
    "disassociation": (
        {"ReplicaUpdates": [replica("Disassociate", US, DisassociationMode="WAIT_FOR_REPLICATION")]},
        "ReplicaUpdates.Disassociate is not served by this server",
    ),
    "an end of the stream": (
        {"StreamSpecification": {"StreamEnabled": False}},
        INVALID + "Disabling Stream is not allowed for a Global Table replica.",
    ),
    "provisioned units": (
        {
            "BillingMode": "PROVISIONED",
            "ProvisionedThroughput": {"ReadCapacityUnits": 1, "WriteCapacityUnits": 1},
        },
        "Table write capacity should either be Pay-Per-Request or AutoScaled.",
    ),
    "an override of read units": (
        {"ReplicaUpdates": [replica("Update", EU, ProvisionedThroughputOverride={"ReadCapacityUnits": 5})]},
        INVALID + "ProvisionedThroughputOverride cannot be specified when BillingMode is PAY_PER_REQUEST",
    ),
    "an override of no maximum": (
        {"ReplicaUpdates": [replica("Update", EU, OnDemandThroughputOverride={"MaxReadRequestUnits": 0})]},
        INVALID + "Requested MaxReadRequestUnits for OnDemandThroughput for table is outside of valid range",
    ),
    "a key without encryption": (
        {"ReplicaUpdates": [replica("Update", EU, KMSMasterKeyId="k")]},
        INVALID + "KMSMasterKeyId of a replica requires a table with SSEType KMS",
    ),
}


@pytest.mark.parametrize("situation", REFUSED)
def test_replica_updates_are_refused(world: World, situation: str) -> None:
    body, message = REFUSED[situation]
    world.global_table(US, EU)
    world.table(AP)
    before = [world.describe(region) for region in (US, EU, AP)]
    error = world.refused(US, "UpdateTable", TableName="Things", **body)
    assert (error.code, error.message) == ("ValidationException", message)
    world.settle()
    assert [world.describe(region) for region in (US, EU, AP)] == before


def test_a_provisioned_table_gets_no_replica(world: World) -> None:
    units = {"ReadCapacityUnits": 5, "WriteCapacityUnits": 5}
    world.table(BillingMode="PROVISIONED", ProvisionedThroughput=units)
    error = world.refused(US, "UpdateTable", TableName="Things", ReplicaUpdates=[replica("Create", EU)])
    assert error.message == "Table write capacity should either be Pay-Per-Request or AutoScaled."


def test_a_stream_without_both_images_is_refused(world: World) -> None:
    world.table(StreamSpecification={"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"})
    error = world.refused(US, "UpdateTable", TableName="Things", ReplicaUpdates=[replica("Create", EU)])
    assert error.code == "ValidationException" and "NEW_AND_OLD_IMAGES" in str(error.message)


def test_a_table_that_is_not_there_gets_no_replica(world: World) -> None:
    error = world.refused(US, "UpdateTable", TableName="None", ReplicaUpdates=[replica("Create", EU)])
    assert error.code == "ResourceNotFoundException"


def test_nothing_else_changes_while_a_replica_is_added(world: World) -> None:
    world.table()
    world.add(EU)
    for body in (
        {"ReplicaUpdates": [replica("Create", AP)]},
        {"ReplicaUpdates": [replica("Delete", EU)]},
        {"BillingMode": "PAY_PER_REQUEST"},
        {"TableClass": "STANDARD_INFREQUENT_ACCESS"},
    ):
        error = world.refused(US, "UpdateTable", TableName="Things", **body)
        assert error.code == "ResourceInUseException"
        assert error.message == "The resource which you are attempting to change is in use."
    assert world.refused(US, "DeleteTable", TableName="Things").code == "ResourceInUseException"
    world.put(US, "a")
    world.update(US, DeletionProtectionEnabled=True)
    world.settle()
    assert world.items(EU) == {"a": {}}


def test_nothing_else_changes_while_a_replica_is_removed(world: World) -> None:
    world.global_table(US, EU, AP)
    world.remove(EU)
    error = world.refused(US, "UpdateTable", TableName="Things", ReplicaUpdates=[replica("Delete", AP)])
    assert error.code == "ResourceInUseException"


def test_a_protected_replica_is_not_removed(world: World) -> None:
    world.global_table(US, EU)
    world.update(EU, DeletionProtectionEnabled=True)
    for region, operation, body in (
        (US, "UpdateTable", {"ReplicaUpdates": [replica("Delete", EU)]}),
        (EU, "DeleteTable", {}),
    ):
        error = world.refused(region, operation, TableName="Things", **body)
        assert "protected against deletion" in str(error.message)
    assert world.describe(US)["DeletionProtectionEnabled"] is False
    world.request(US, "DeleteTable", TableName="Things")
    world.settle()
    assert "Replicas" not in world.describe(EU)


def test_a_source_is_kept_for_a_day_where_delays_are_imitated(slow_world: World) -> None:
    world = slow_world
    world.table()
    world.advance(10_000)
    world.add(EU)
    world.settle()
    world.advance(10_000)
    for region, operation, body in (
        (US, "DeleteTable", {}),
        (EU, "UpdateTable", {"ReplicaUpdates": [replica("Delete", US)]}),
    ):
        error = world.refused(region, operation, TableName="Things", **body)
        assert error.message == (
            "Replica cannot be deleted because it has acted as a source region for new replica(s) being added to the "
            "table in the last 24 hours."
        )
    world.request(EU, "DeleteTable", TableName="Things")
    world.settle()
    world.advance(10_000)
    assert world.request(EU, "ListTables") == {"TableNames": []}
    world.advance(DAY_MS)
    world.request(US, "DeleteTable", TableName="Things")
    world.advance(10_000)
    assert world.request(US, "ListTables") == {"TableNames": []}


# Regions that cannot be reached


def test_a_region_that_is_down_gets_no_replica(world: World) -> None:
    world.table()
    world.wires.down = {EU}
    error = world.refused(US, "UpdateTable", TableName="Things", ReplicaUpdates=[replica("Create", EU)])
    assert (error.status, EU in str(error.message)) == (503, True)
    assert "Replicas" not in world.describe(US)


HEADS: list[dict[str, Any]] = [{}, {"facts": 5}, {"facts": {}}, {"facts": {"region": EU}}]
NONSENSE = [Message("table", head) for head in HEADS]


@pytest.mark.parametrize("answer", NONSENSE, ids=str)
def test_a_region_that_answers_nonsense_gets_no_replica(world: World, answer: Message) -> None:
    world.table()
    world.wires.mad = {EU: answer}
    error = world.refused(US, "UpdateTable", TableName="Things", ReplicaUpdates=[replica("Create", EU)])
    assert (error.status, "is invalid" in str(error.message)) == (503, True)
    assert "Replicas" not in world.describe(US)


@pytest.mark.parametrize("answer", [Message("override", {}), Message("override", {"group": 5})], ids=str)
def test_a_replica_that_answers_nonsense_is_not_changed(world: World, answer: Message) -> None:
    world.global_table(US, EU)
    before = world.describe(US)
    world.wires.mad = {EU: answer}
    error = world.refused(US, "UpdateTable", TableName="Things", ReplicaUpdates=[replica("Update", EU)])
    assert error.status == 503 and world.describe(US) == before


def test_a_replica_that_is_leaving_is_not_changed(world: World) -> None:
    world.global_table(US, EU)
    world.request(EU, "DeleteTable", TableName="Things")
    error = world.refused(US, "UpdateTable", TableName="Things", ReplicaUpdates=[replica("Update", EU)])
    assert (error.status, EU in str(error.message)) == (400, True)


def test_a_replica_that_is_down_can_be_removed(world: World) -> None:
    world.global_table(US, EU, AP)
    world.wires.down = {EU}
    world.remove(EU)
    world.settle()
    assert world.replicas(US) == {AP: "ACTIVE", EU: "DELETING"}
    world.put(US, "a")
    world.wires.down = set()
    world.settle()
    assert world.replicas(US) == {AP: "ACTIVE"}
    assert world.request(EU, "ListTables") == {"TableNames": []}


def test_a_new_replica_whose_region_goes_down_can_be_removed(world: World) -> None:
    world.table()
    world.add(EU)
    world.wires.down = {EU}
    world.settle()
    world.remove(EU)
    world.wires.down = set()
    world.settle()
    assert "Replicas" not in world.describe(US)
    assert world.request(EU, "ListTables") == {"TableNames": []}


def test_a_table_that_appears_in_the_region_meanwhile_stays(world: World) -> None:
    world.table()
    world.add(EU)
    world.table(EU)
    world.put(EU, "own")
    world.settle()
    assert "Replicas" not in world.describe(US) and world.items(EU) == {"own": {}}


# Streams


def test_each_replica_has_all_changes_in_its_own_stream(world: World) -> None:
    world.global_table(US, EU)
    world.put(US, "a", v={"N": "1"})
    world.settle()
    world.put(EU, "a", v={"N": "2"})
    world.settle()
    world.delete(US, "a")
    world.settle()
    for region in (US, EU):
        records = world.records(region)
        assert [record["eventName"] for record in records] == ["INSERT", "MODIFY", "REMOVE"]
        assert {record["awsRegion"] for record in records} == {region}
        assert records[1]["dynamodb"]["OldImage"] == {"pk": {"S": "a"}, "v": {"N": "1"}}


def test_a_replicated_expiry_has_no_user_identity(world: World) -> None:
    world.global_table(US, EU)
    world.request(
        US, "UpdateTimeToLive", TableName="Things", TimeToLiveSpecification={"AttributeName": "ends", "Enabled": True}
    )
    world.settle()
    world.put(US, "a", ends={"N": str(world.clock.now_ms() // 1000 + 5)})
    world.settle()
    world.clock.advance(10_000)
    world.settle(EU)
    assert world.items(EU).keys() == world.items(US).keys() == {"a"}
    world.settle()
    (own,), (other,) = ([r for r in world.records(region) if r["eventName"] == "REMOVE"] for region in (US, EU))
    assert own["userIdentity"]["principalId"] == "dynamodb.amazonaws.com"
    assert "userIdentity" not in other


def test_items_of_a_region_that_is_down_expire_elsewhere_a_minute_later(world: World) -> None:
    world.global_table(US, EU)
    world.request(
        US, "UpdateTimeToLive", TableName="Things", TimeToLiveSpecification={"AttributeName": "ends", "Enabled": True}
    )
    world.settle()
    for pk in "abc":
        world.put(US, pk, ends={"N": str(world.clock.now_ms() // 1000 + 5)})
    world.settle()
    world.wires.down = {US}
    world.clock.advance(30_000)
    world.settle(EU)
    assert world.items(EU).keys() == set("abc")
    world.clock.advance(60_000)
    world.settle(EU)
    assert world.items(EU) == {}
