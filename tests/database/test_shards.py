"""Shards: partitions, rotation, splits, trimming."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atoll import limits
from atoll.api import streams, tables
from atoll.database import catalog
from atoll.database import format as fmt
from atoll.database.log import maintenance, shards
from atoll.database.schema import HASHES, Shard
from atoll.errors import ApiError
from tests.engines import finish

HOUR_MS = 3600 * 1000


def covers_all_hashes(open_shards: Iterable[Shard]) -> bool:
    following = 0
    for shard in open_shards:
        if shard.first_hash != following:
            return False
        following = shard.last_hash + 1
    return following == HASHES


@pytest.mark.parametrize(
    ("read", "write", "size_gb", "count"),
    [
        (1, 1, 0, 1), (3000, 0, 0, 1), (3000, 1, 0, 2), (6000, 2000, 0, 4), (1500, 500, 0, 1), (1, 1, 25, 3),
        (10**12, 1, 0, 1000),
    ],
)  # fmt: skip
def test_partitions_follow_the_published_arithmetic(
    world: Any, read: int, write: int, size_gb: int, count: int
) -> None:
    world.create()
    table = world.table()
    table = replace(table, throughput=replace(table.throughput, read=read, write=write))
    assert shards.partitions(table, size_gb * 1024**3) == count


def test_a_table_on_demand_starts_with_four_partitions(world: Any) -> None:
    world.create(units=None)
    assert len(world.table().shards) == 4
    assert covers_all_hashes(world.table().shards)


@given(st.integers(1, 9), st.integers(1, 40))
def test_splitting_divides_the_widest(count: int, wanted: int) -> None:
    whole = Shard(0, None, 0, HASHES - 1, 0, 1)
    before = list(shards._pieces(whole, count, 0))
    pieces = dict(shards.divide(before, wanted))
    assert sum(pieces.get(shard, 1) for shard in before) == max(count, wanted)
    assert max(pieces.values(), default=1) - min(pieces.get(s, 1) for s in before) <= 1


def test_a_stream_rotates_every_four_hours(world: Any) -> None:
    world.create()
    [arn] = world.arns()
    world.put("a", 1)
    world.pass_time(4 * HOUR_MS - 1)
    assert len(world.shards(arn)) == 1
    assert world.next_ms() == world.clock.now_ms() + 1
    world.pass_time(1)
    world.put("a", 2)
    parent, child = world.shards(arn)
    assert child["ParentShardId"] == parent["ShardId"]
    ending = int(parent["SequenceNumberRange"]["EndingSequenceNumber"])
    assert ending < int(child["SequenceNumberRange"]["StartingSequenceNumber"])
    assert "EndingSequenceNumber" not in child["SequenceNumberRange"]
    records, following = world.records(world.iterator(arn, parent["ShardId"]))
    assert [r["dynamodb"]["Keys"]["sk"]["N"] for r in records] == ["1"] and following is None
    records, following = world.records(world.iterator(arn, child["ShardId"]))
    assert [r["dynamodb"]["Keys"]["sk"]["N"] for r in records] == ["2"] and following is not None


def test_a_table_without_a_stream_does_not_rotate(world: Any) -> None:
    world.create(view=None)
    before = world.table().shards
    assert world.job(maintenance.rotate) is None
    world.pass_time(10 * HOUR_MS)
    assert world.table().shards == before


def test_iterators_on_a_closed_shard_come_to_its_end(world: Any) -> None:
    world.create()
    world.put("a")
    [arn] = world.arns()
    [shard] = [s["ShardId"] for s in world.shards(arn)]
    before = world.iterator(arn, shard, "LATEST")
    world.by_hand(maintenance.force_rotate, arn)
    assert world.records(before) == ([], None)
    assert world.records(world.iterator(arn, shard, "LATEST")) == ([], None)
    ending = world.shards(arn)[0]["SequenceNumberRange"]["EndingSequenceNumber"]
    for kind in ("AT_SEQUENCE_NUMBER", "AFTER_SEQUENCE_NUMBER"):
        assert world.records(world.iterator(arn, shard, kind, ending)) == ([], None)
    records, following = world.records(world.iterator(arn, shard))
    assert len(records) == 1 and following is None


def test_a_split_divides_the_items_of_its_parent(world: Any) -> None:
    world.create()
    [arn] = world.arns()
    for i in range(40):
        world.put(f"k{i}")
    world.by_hand(maintenance.force_split, "Things")
    for i in range(40):
        world.delete(f"k{i}")
    parent, *children = world.shards(arn)
    assert [c["ParentShardId"] for c in children] == [parent["ShardId"]] * 2
    sizes = [len(world.records(world.iterator(arn, c["ShardId"]))[0]) for c in children]
    assert sum(sizes) == 40 and min(sizes) > 5
    chosen = {"Type": "CHILD_SHARDS", "ShardId": parent["ShardId"]}
    assert world.describe(arn, ShardFilter=chosen)["Shards"] == children
    chosen = {"Type": "CHILD_SHARDS", "ShardId": children[0]["ShardId"]}
    assert world.describe(arn, ShardFilter=chosen)["Shards"] == []


def test_more_throughput_splits_and_less_does_not_merge(world: Any) -> None:
    world.create(units=1)
    [arn] = world.arns()
    more = {"ReadCapacityUnits": 1000, "WriteCapacityUnits": 2500}
    world.call(tables.update_table, TableName="Things", ProvisionedThroughput=more)
    assert len(world.table().shards) == 3 and covers_all_hashes(world.table().shards)
    less = {"ReadCapacityUnits": 1, "WriteCapacityUnits": 1}
    world.call(tables.update_table, TableName="Things", ProvisionedThroughput=less)
    assert len(world.table().shards) == 3
    assert len(world.shards(arn)) == 4


def test_a_table_that_has_grown_is_split(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "SPLIT_CHECK_CHANGES", 5)
    world.create()
    world.pretends = True
    space = world.table().space
    world.transact(lambda tx: tx.add_tally(fmt.bytes_counter(space), 25 * 1024**3))
    for number in range(5):
        world.put("a", number)
    world.settle()
    assert len(world.table().shards) == 3 and covers_all_hashes(world.table().shards)


def test_shards_are_described_in_pages(world: Any) -> None:
    world.create(units=None)
    [arn] = world.arns()
    for _ in range(3):
        world.clock.advance(1)
        world.by_hand(maintenance.force_rotate, arn)
    page = world.describe(arn, Limit=5)
    assert len(page["Shards"]) == 5
    rest = world.describe(arn, ExclusiveStartShardId=page["LastEvaluatedShardId"])
    assert "LastEvaluatedShardId" not in rest
    found = page["Shards"] + rest["Shards"]
    assert found == world.shards(arn) and len(found) == 16
    assert [s["ShardId"] for s in found] == sorted(s["ShardId"] for s in found)
    listed = [s["ShardId"] for s in found]
    assert all(listed.index(s["ParentShardId"]) < i for i, s in enumerate(found) if "ParentShardId" in s)
    with pytest.raises(ApiError):
        world.call(streams.describe_stream, StreamArn=arn, Limit=101)


def test_changes_are_trimmed_after_a_day_and_then_closed_shards(world: Any) -> None:
    world.create()
    [arn] = world.arns()
    world.put("a", 1)
    world.clock.advance(HOUR_MS)
    world.put("a", 2)
    [shard] = [s["ShardId"] for s in world.shards(arn)]
    first, second = (r["dynamodb"]["SequenceNumber"] for r in world.all_records(arn))
    world.pass_time(22 * HOUR_MS + 50 * 60 * 1000)
    oldest = world.iterator(arn, shard)
    world.pass_time(10 * 60 * 1000)
    with pytest.raises(ApiError) as caught:
        world.records(oldest)
    assert caught.value.code == "TrimmedDataAccessException"
    with pytest.raises(ApiError) as caught:
        world.iterator(arn, shard, "AT_SEQUENCE_NUMBER", first)
    assert caught.value.code == "TrimmedDataAccessException"
    assert len(world.records(world.iterator(arn, shard))[0]) == 1
    assert len(world.records(world.iterator(arn, shard, "AFTER_SEQUENCE_NUMBER", first))[0]) == 1
    world.pass_time(HOUR_MS + 60_000)
    with pytest.raises(ApiError) as caught:
        world.iterator(arn, shard, "AT_SEQUENCE_NUMBER", second)
    assert caught.value.code == "TrimmedDataAccessException"
    assert world.records(world.iterator(arn, shard)) == ([], None)
    world.pass_time(24 * HOUR_MS)
    assert shard not in [s["ShardId"] for s in world.shards(arn)]
    with pytest.raises(ApiError) as caught:
        world.iterator(arn, shard)
    assert caught.value.code == "ResourceNotFoundException"


def test_a_quiet_shard_that_is_trimmed_stays_open(world: Any) -> None:
    world.create(view=None)
    world.put("a")
    world.pass_time(25 * HOUR_MS)
    log = fmt.space_range(world.table().log_space)
    assert world.read(lambda snapshot: list(snapshot.scan(*log))) == []
    world.enable_stream()
    world.put("b")
    [record] = world.all_records(world.arns()[0])
    assert record["dynamodb"]["Keys"]["pk"] == {"S": "b"}


def test_trimming_does_a_little_at_a_time(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(maintenance, "TRIMMED_CHANGES", 10)
    world.create(view=None)
    for i in range(25):
        world.put("a", i)
    world.clock.advance(24 * HOUR_MS)
    log = fmt.space_range(world.table().log_space)
    subject = fmt.subject_of(fmt.shard_key(world.table().log_space, 0))
    left = []
    for _ in range(3):
        assert finish(world.region.write(lambda tx, stamp: maintenance.trim(tx, world.region, stamp, subject)))
        left.append(world.read(lambda snapshot: len(list(snapshot.scan(*log)))))
    assert left == [15, 5, 0]


def test_trimming_by_hand_makes_iterators_fail(world: Any) -> None:
    world.create()
    world.put("a")
    [arn] = world.arns()
    [shard] = [s["ShardId"] for s in world.shards(arn)]
    iterator = world.iterator(arn, shard)
    assert world.by_hand(maintenance.force_trim, arn) is False
    with pytest.raises(ApiError) as caught:
        world.records(iterator)
    assert caught.value.code == "TrimmedDataAccessException"
    assert world.all_records(arn) == []


def test_nothing_is_left_of_a_table_a_day_after_its_deletion(world: Any) -> None:
    world.create(units=None)
    world.set_ttl()
    for i in range(20):
        world.put(f"k{i}", expires={"N": "1900000000"})
    world.by_hand(maintenance.force_split, "Things")
    world.pass_time(9 * HOUR_MS)
    world.disable_stream()
    world.enable_stream()
    world.call(tables.delete_table, TableName="Things")
    world.pass_time(24 * HOUR_MS)
    rows, numbers, tallies = world.region.engine.snapshot()
    assert list(rows) == []
    assert set(numbers) <= {fmt.GENERATION, fmt.SPACES, fmt.GREATEST_TIME}
    assert not tallies


def test_a_thousand_tables_with_nothing_due_cost_no_writes(world: Any) -> None:
    world.create("First")
    table = world.table("First")

    def copy(tx: Any) -> None:
        for i in range(999):
            catalog.save(tx, replace(table, name=f"T{i}"))

    world.pretends = True
    world.transact(copy)
    before = world.region.engine.snapshot()
    world.settle()
    assert world.region.engine.snapshot() == before
