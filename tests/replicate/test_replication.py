"""A table is copied, followed, and copied again when it must be."""

from __future__ import annotations

import re
import threading
from decimal import Decimal
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from atoll.clock import ManualClock
from atoll.replicate import state
from atoll.replicate.failures import Failed, Stopped
from tests.replicate.world import QuickPauses, World


def shard_rows(world: World) -> list[str]:
    rows = world.there.scan(TableName="checkpoints")["Items"]
    return sorted(row["row"]["S"].split("/")[2] for row in rows if f"/{state.SHARD}/" in row["row"]["S"])


def open_shards(world: World) -> list[str]:
    arn = world.here.describe_table(TableName="Things")["Table"]["LatestStreamArn"]
    streams = world.source.client("dynamodbstreams")
    shards = []
    start: dict[str, str] | None = {}
    while start is not None:
        described = streams.describe_stream(StreamArn=arn, **start)["StreamDescription"]
        shards += described["Shards"]
        last = described.get("LastEvaluatedShardId")
        start = None if last is None else {"ExclusiveStartShardId": last}
    return [shard["ShardId"] for shard in shards if "EndingSequenceNumber" not in shard["SequenceNumberRange"]]


class TestCopying:
    def test_values_of_all_types_arrive_unchanged(self, world: World) -> None:
        world.create()
        table = world.source.resource().Table("Things")
        item = {
            "pk": "a", "number": Decimal("-1.50E-20"), "bytes": b"\0\xff", "null": None, "true": True, "empty": "",
            "list": [1, "x", {"deep": [b"1"]}], "map": {}, "strings": {"b", "a"}, "numbers": {1, Decimal("2.5")},
            "blobs": {b"1", b"\x02"},
        }  # fmt: skip
        table.put_item(Item=item)
        world.replicate()
        assert world.target.resource().Table("Things").get_item(Key={"pk": "a"})["Item"] == item
        table.update_item(Key={"pk": "a"}, UpdateExpression="SET again = bytes ADD numbers :n",
                          ExpressionAttributeValues={":n": {7}})  # fmt: skip
        world.replicate()
        changed = world.target.resource().Table("Things").get_item(Key={"pk": "a"})["Item"]
        assert changed == item | {"again": b"\0\xff", "numbers": {1, Decimal("2.5"), 7}}

    def test_large_items_go_in_batches_that_the_target_takes(self, world: World) -> None:
        world.create()
        for number in range(30):
            world.put(f"big-{number}", number, text={"S": "\N{SNOWMAN}" * 130_000})
        world.replicate()
        assert len(world.items(world.target)) == 30 and world.is_equal

    def test_segments_are_scanned_side_by_side(self, world: World) -> None:
        world.create()
        world.fill(range(100))
        scanned = set()

        def watch(role: str, operation: str, parameters: dict[str, Any]) -> None:
            if operation == "Scan" and "Segment" in parameters:
                assert parameters["ConsistentRead"]
                scanned.add((parameters["Segment"], parameters["TotalSegments"]))

        world.replicate(watch, segments=7)
        assert scanned == {(number, 7) for number in range(7)}
        assert world.is_equal

    def test_more_state_than_a_transaction_holds_is_stored(self, world: World) -> None:
        """Each of 300 segments has a row, and each of 128 shards. With so many shards, one is always being read, which
        once kept the replication from ever being done."""
        world.create()
        for _ in range(5):
            world.source.split("Things")
        world.fill(range(100))
        world.replicate(segments=300)
        rows = world.there.scan(TableName="checkpoints")["Items"]
        assert sum("/copy/" in row["row"]["S"] for row in rows) == 300
        assert set(open_shards(world)) <= set(shard_rows(world))
        assert world.is_equal

    def test_changes_during_the_scan_are_applied_after_it(self, world: World) -> None:
        world.create()
        world.fill(range(20))

        def change(role: str, operation: str, parameters: dict[str, Any]) -> None:
            if operation == "BatchWriteItem" and not world.counters.records:
                world.delete("item-1")
                world.put("item-2", 200)
                world.put("new", 1)

        world.replicate(change)
        items = world.items(world.target)
        assert "item-1" not in items and items["item-2"]["n"] == {"N": "200"} and "new" in items
        assert world.is_equal

    def test_changes_before_the_copy_are_not_repeated(self, world: World) -> None:
        """They are in the stream too. Applied after the scan, they would show old values in the target for a while."""
        world.create()
        for value in range(50):
            world.put("a", value)
        world.source.rotate("Things")
        world.put("a", 50)
        world.replicate()
        assert world.counters.records == 0 and world.is_equal

    def test_a_target_with_items_is_not_overwritten_unasked(self, world: World) -> None:
        world.create()
        world.put("a", 1)
        world.target.client().create_table(
            TableName="Things", KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}], BillingMode="PAY_PER_REQUEST",
        )  # fmt: skip
        for number in range(150):
            world.there.put_item(TableName="Things", Item={"pk": {"S": f"old-{number}"}})
        with pytest.raises(Failed, match="has items already: --overwrite"):
            world.replicate()
        assert len(world.items(world.target)) == 150
        told = world.replicate(overwrite=True)
        assert "deleted 150 items" in told
        assert world.is_equal

    def test_a_table_may_have_another_name_at_the_target(self, world: World) -> None:
        world.create()
        world.fill(range(10))
        world.replicate(target_table="Copies")
        world.put("later", 1)
        world.replicate(target_table="Copies")
        assert world.items(world.target, "Copies") == world.items(world.source)
        assert world.there.list_tables()["TableNames"] == ["Copies", "checkpoints"]

    def test_several_tables_share_a_checkpoint_table(self, world: World) -> None:
        world.create()
        world.create("Others")
        world.fill(range(10))
        world.fill(range(30), "Others")
        for table in ("Things", "Others", "Things", "Others"):
            world.replicate(table=table, target_table=table)
        assert world.is_equal
        assert world.items(world.source, "Others") == world.items(world.target, "Others")


class TestFollowing:
    def test_children_are_read_after_their_parents(self, world: World) -> None:
        world.create()
        world.replicate()
        for value in range(4):
            world.put("a", value)
            world.source.split("Things") if value == 1 else world.source.rotate("Things")
        world.put("a", 100)
        world.delete("b")
        world.replicate()
        assert world.is_equal
        assert set(open_shards(world)) <= set(shard_rows(world))

    def test_a_shard_that_is_no_longer_listed_is_forgotten(self, world: World) -> None:
        world.create()
        world.replicate()
        first = set(open_shards(world))
        world.put("a", 1)
        world.source.rotate("Things")
        world.replicate()
        world.source.clock.advance("3h")
        for _ in range(10):
            world.put("a", 2)
            world.replicate()
            world.source.clock.advance("4h")
        world.put("a", 3)
        world.replicate()
        assert world.is_equal
        assert not first & set(shard_rows(world))
        assert "gap" not in world.told.getvalue()

    def test_an_iterator_may_expire(self, world: World) -> None:
        world.create()
        world.replicate()
        moved = False

        def expire(role: str, operation: str, parameters: dict[str, Any]) -> None:
            nonlocal moved
            if operation == "GetRecords" and not moved:
                moved = True
                world.put("a", 1)
                world.source.clock.advance("20m")

        world.replicate(expire)
        assert moved and world.is_equal

    def test_a_repeated_record_does_no_harm(self, world: World) -> None:
        """A process is killed after it has applied a page and before it has stored that."""
        world.create()
        world.replicate()
        before = [row for row in world.there.scan(TableName="checkpoints")["Items"] if "/shard/" in row["row"]["S"]]
        world.put("a", 1)
        world.put("b", 1)
        world.delete("a")
        world.put("a", 2)
        world.delete("b")
        world.replicate()
        assert world.counters.records == 5 and world.is_equal
        for row in before:
            world.there.put_item(TableName="checkpoints", Item=row)
        world.replicate()
        assert world.counters.records == 5 and world.is_equal

    def test_only_the_last_record_of_an_item_in_a_page_is_written(self, world: World) -> None:
        world.create()
        world.replicate()
        for value in range(100):
            world.put("a", value)
        world.replicate()
        assert world.counters.records == 100
        assert world.counters.write_units == 1
        assert world.is_equal

    def test_it_follows_until_it_is_stopped(self, world: World) -> None:
        world.create()
        world.put("a", 0)
        replication = world.replication()
        arrived, ended = threading.Event(), []

        def run() -> None:
            try:
                replication.replicate()
            except Stopped:
                ended.append("stopped")

        thread = threading.Thread(target=run)

        def wait_for(value: int) -> None:
            while world.items(world.target).get("a", {}).get("n") != {"N": str(value)}:
                assert thread.is_alive()
                arrived.wait(0.01)

        world.there.create_table(
            TableName="Things", KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}], BillingMode="PAY_PER_REQUEST",
        )  # fmt: skip
        thread.start()
        for value in range(3):
            world.put("a", value)
            wait_for(value)
            world.source.rotate("Things")
        world.pauses.stop()
        thread.join()
        assert ended == ["stopped"]
        lease = world.there.get_item(TableName="checkpoints", Key={"table": {"S": "Things"}, "row": {"S": "lease"}})
        assert lease["Item"]["owner"] == {"S": ""}, "another process may begin at once"

    def test_the_lag_is_the_age_of_the_last_record_until_the_end_is_reached(self, world: World) -> None:
        world.create()
        world.replicate()
        world.put("a", 1)
        lags = set()

        def watch(role: str, operation: str, parameters: dict[str, Any]) -> None:
            lags.add(world.counters.lag_s)

        world.clock = ManualClock(int((world.source.clock.time() + 3600) * 1000))
        world.replicate(watch)
        assert 3600 <= max(lags) < 3602
        assert world.counters.lag_s == 0


class TestGaps:
    def gap(self, world: World) -> None:
        world.create()
        world.fill(range(10))
        world.replicate()
        world.put("changed", 1)
        world.delete("item-3")
        world.put("item-4", 400)
        world.source.trim("Things")

    def test_after_a_gap_the_table_is_copied_again_with_deletions(self, world: World) -> None:
        self.gap(world)
        told = world.replicate()
        assert "gap" in told and "copying the table again" in told
        assert world.is_equal
        assert "gap" not in world.replicate()

    def test_a_gap_in_a_shard_that_was_never_read(self, world: World) -> None:
        """The oldest record that is left would hide that others are missing."""
        world.create()
        world.replicate()
        world.source.rotate("Things")
        world.put("lost", 1)
        world.source.trim("Things")
        world.put("kept", 1)
        assert "gap" in world.replicate()
        assert world.is_equal

    def test_a_gap_over_trimmed_shards(self, world: World) -> None:
        world.create()
        world.replicate()
        world.put("lost", 1)
        for _ in range(8):
            world.source.clock.advance("5h")
        assert "gap" in world.replicate()
        assert world.is_equal

    def test_a_gap_may_end_the_replication(self, world: World) -> None:
        self.gap(world)
        with pytest.raises(Failed, match="has a gap"):
            world.replicate(stop_on_gap=True)
        assert "changed" not in world.items(world.target)

    def test_copies_that_are_slower_than_the_stream_is_trimmed_end(self, world: World) -> None:
        world.create()
        world.put("a", 0)

        def trim(role: str, operation: str, parameters: dict[str, Any]) -> None:
            if role == "target" and operation == "BatchWriteItem":
                for number in range(20):
                    world.put(f"item-{number}", next(values))
                world.source.rotate("Things")
                world.source.trim("Things")

        values = count()
        with pytest.raises(Failed, match="copies took longer than the source keeps its stream"):
            world.replicate(trim)

    def test_a_stream_that_was_disabled_and_enabled_again_has_a_gap(self, world: World) -> None:
        world.create()
        world.put("a", 0)
        world.replicate()
        world.here.update_table(TableName="Things", StreamSpecification={"StreamEnabled": False})
        world.put("a", 1)
        with pytest.raises(Failed, match="has no stream"):
            world.replicate()
        told = world.replicate(enable_stream=True)
        assert "was disabled" in told and world.is_equal


class TestTheSource:
    def test_it_needs_a_stream(self, world: World) -> None:
        world.create(stream=False)
        world.put("a", 1)
        with pytest.raises(Failed, match="the table Things has no stream: enable one, or give --enable-stream"):
            world.replicate()
        assert world.there.list_tables()["TableNames"] == []
        world.replicate(enable_stream=True)
        assert world.is_equal
        stream = world.here.describe_table(TableName="Things")["Table"]["StreamSpecification"]
        assert stream == {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}

    def test_it_needs_a_stream_with_new_images(self, world: World) -> None:
        world.create(StreamSpecification={"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"})
        with pytest.raises(Failed, match="has the view type KEYS_ONLY, which holds no new images"):
            world.replicate(enable_stream=True)

    def test_it_must_exist(self, world: World) -> None:
        with pytest.raises(Failed, match="source: the table Things does not exist"):
            world.replicate()
        assert world.there.list_tables()["TableNames"] == []

    def test_a_table_that_is_deleted_while_it_is_copied(self, world: World) -> None:
        world.create()
        world.fill(range(40), size=50_000)

        def delete(role: str, operation: str, parameters: dict[str, Any]) -> None:
            if operation == "BatchWriteItem" and world.here.list_tables()["TableNames"]:
                world.here.delete_table(TableName="Things")

        with pytest.raises(Failed, match="the source table Things was deleted while it was read"):
            world.replicate(delete)

    def test_a_table_that_is_deleted_while_it_is_followed(self, world: World) -> None:
        """Its stream stays readable for a day. The target gets all of it."""
        world.create()
        world.replicate()
        world.put("last", 1)
        expected = world.items(world.source)
        world.here.delete_table(TableName="Things")
        with pytest.raises(Failed, match="the source table was deleted; all of its changes are applied"):
            world.replicate()
        assert world.items(world.target) == expected

    def test_a_table_that_was_deleted_long_ago(self, world: World) -> None:
        world.create()
        world.replicate()
        world.here.delete_table(TableName="Things")
        world.source.clock.advance("2d")
        with pytest.raises(Failed, match="no longer exists"):
            world.replicate()

    def test_two_sources_are_not_mixed(self, world: World) -> None:
        world.create()
        world.put("a", 1)
        world.replicate()
        world.here.delete_table(TableName="Things")
        world.create()
        world.put("b", 1)
        with pytest.raises(Failed, match="the target is a copy of another table"):
            world.replicate()
        assert world.items(world.target).keys() == {"a"}
        world.replicate(overwrite=True)
        assert world.items(world.target).keys() == {"b"}

    def test_two_sources_are_not_mixed_after_a_gap(self, world: World) -> None:
        """The source is deleted and created again while it is followed, after records were trimmed."""
        world.create()
        world.replicate()
        world.put("a", 1)
        changed = False

        def change(role: str, operation: str, parameters: dict[str, Any]) -> None:
            nonlocal changed
            if operation == "DescribeStream" and not changed:
                changed = True
                world.source.trim("Things")
                world.here.delete_table(TableName="Things")
                world.create()
                world.put("b", 1)

        with pytest.raises(Failed, match="the target is a copy of another table"):
            world.replicate(change)
        assert world.items(world.target) == {}

    def test_a_table_is_not_copied_over_itself(self, world: World) -> None:
        world.create()
        world.put("a", 1)
        world.target = world.source
        with pytest.raises(Failed, match="source and target are the same table"):
            world.replicate(overwrite=True)


class TestTheTarget:
    def test_it_is_created_with_keys_indexes_and_throughput(self, world: World) -> None:
        names = ["pk", "sk", "a", "b"]
        projection = {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["x"]}
        world.create(
            sort_key=True,
            AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in names],
            BillingMode="PROVISIONED",
            ProvisionedThroughput={"ReadCapacityUnits": 7, "WriteCapacityUnits": 8},
            LocalSecondaryIndexes=[{
                "IndexName": "local", "Projection": projection,
                "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "a", "KeyType": "RANGE"}],
            }],
            GlobalSecondaryIndexes=[{
                "IndexName": "global", "Projection": {"ProjectionType": "ALL"},
                "KeySchema": [{"AttributeName": "b", "KeyType": "HASH"}],
                "ProvisionedThroughput": {"ReadCapacityUnits": 3, "WriteCapacityUnits": 4},
            }],
        )  # fmt: skip
        world.replicate()
        described = [client.describe_table(TableName="Things")["Table"] for client in (world.here, world.there)]
        for kind in ("LocalSecondaryIndexes", "GlobalSecondaryIndexes"):
            ours, theirs = (
                [{n: index[n] for n in ("IndexName", "KeySchema", "Projection")} for index in one[kind]]
                for one in described
            )
            assert ours == theirs
        for name in ("KeySchema", "AttributeDefinitions"):
            assert described[0][name] == described[1][name]
        units = [one["ProvisionedThroughput"]["WriteCapacityUnits"] for one in described]
        units += [one["GlobalSecondaryIndexes"][0]["ProvisionedThroughput"]["ReadCapacityUnits"] for one in described]
        assert units == [8, 8, 3, 3]

    def test_an_on_demand_table_is_created_on_demand(self, world: World) -> None:
        world.create()
        world.replicate()
        table = world.there.describe_table(TableName="Things")["Table"]
        assert table["BillingModeSummary"]["BillingMode"] == "PAY_PER_REQUEST"

    def test_its_keys_must_be_those_of_the_source(self, world: World) -> None:
        world.create()
        world.there.create_table(
            TableName="Things", KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "N"}], BillingMode="PAY_PER_REQUEST",
        )  # fmt: skip
        with pytest.raises(Failed, match="different keys: source: pk HASH S; target: pk HASH N"):
            world.replicate()

    def test_a_target_that_was_deleted_is_copied_again(self, world: World) -> None:
        world.create()
        world.fill(range(10))
        world.replicate()
        world.there.delete_table(TableName="Things")
        told = world.replicate()
        assert "the target table was deleted and created again" in told
        assert world.is_equal

    def test_an_item_that_it_refuses_is_named(self, world: World) -> None:
        """The target has an index whose key has another type."""
        world.create()
        for number in range(40):
            world.put(f"item-{number}", number)
        world.here.put_item(TableName="Things", Item={"pk": {"S": "wrong"}, "n": {"S": "no number"}})
        world.there.create_table(
            TableName="Things", KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
            AttributeDefinitions=[
                {"AttributeName": "pk", "AttributeType": "S"}, {"AttributeName": "n", "AttributeType": "N"}
            ],
            GlobalSecondaryIndexes=[{
                "IndexName": "by-n", "Projection": {"ProjectionType": "ALL"},
                "KeySchema": [{"AttributeName": "n", "KeyType": "HASH"}],
            }],
            BillingMode="PAY_PER_REQUEST",
        )  # fmt: skip
        with pytest.raises(Failed, match=r"the target refuses an item: .*'pk': {'S': 'wrong'}"):
            world.replicate()

    def test_another_table_is_refused_as_checkpoint_table(self, world: World) -> None:
        world.create()
        world.replicate(target_table="Others")
        with pytest.raises(Failed, match="the table Others is not a checkpoint table"):
            world.replicate(checkpoint_table="Others")

    def test_tables_that_take_time_to_be_created(self) -> None:
        """The clocks of the servers move while the replication waits."""
        slow = {"control_plane_delay_ms": 5_000}
        with World(slow, slow) as world:
            world.create(stream=False)
            world.source.clock.advance("5s")
            world.put("a", 1)

            def advance(seconds: float) -> None:
                world.source.clock.advance(1.0)
                world.target.clock.advance(1.0)

            world.replicate(pauses=QuickPauses(advance), enable_stream=True)
            assert world.is_equal


def test_it_calls_the_operations_that_are_documented(world: World) -> None:
    """The documentation lists these permissions for administrators."""
    called: dict[str, set[str]] = {"source": set(), "target": set()}

    def watch(role: str, operation: str, parameters: dict[str, Any]) -> None:
        called[role].add(operation)
        for action in parameters.get("TransactItems", ()):
            called[role] |= {f"{kind}Item" for kind in action}

    world.create(stream=False)
    world.fill(range(30))
    world.replicate(watch, enable_stream=True)
    world.source.rotate("Things")
    world.replicate(watch, overwrite=True)
    world.source.clock.advance("2d")
    world.replicate(watch)
    world.replication(watch).verify()
    page = (Path(__file__).parents[2] / "docs" / "replicate.md").read_text()
    documented = {
        end: set(re.findall(r"\b[A-Z][A-Za-z]+\b", operations))
        for end, operations in re.findall(r"^\| (source|target) \| (.+) \|$", page, re.MULTILINE)
    }
    assert called == documented
