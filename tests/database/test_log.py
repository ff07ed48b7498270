"""Readers of one log: the cursor over rotations, splits and trimming; retention; a stream's own 24 hours."""

from __future__ import annotations

import random
from typing import Any

import orjson
import pytest

from atoll.api import tables
from atoll.database import format as fmt
from atoll.database.log import cursor, maintenance, retention
from atoll.database.log.cursor import ChangeBatch, Cursor, Scope
from atoll.database.log.retention import Retention
from atoll.database.records import dump, load
from atoll.database.schema import HASHES, Shard, Table
from atoll.errors import ApiError

HOUR_MS = 3600 * 1000
DAYS_35_MS = 35 * 24 * HOUR_MS


def old_images(table: Table) -> Retention:
    return Retention(old_image=True, keep_ms=DAYS_35_MS)


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another reader needs old images for 35 days."""
    monkeypatch.setattr(retention, "READERS", (*retention.READERS, old_images))


def rows(world: Any, log_space: int) -> int:
    return len(world.read(lambda snapshot: list(snapshot.scan(*fmt.space_range(log_space)))))


def code(call: Any, *args: Any) -> str:
    with pytest.raises(ApiError) as caught:
        call(*args)
    return str(caught.value.code)


# Retention


def test_retention_is_the_union_of_the_needs(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    world.create(view="NEW_IMAGE")
    assert retention.of(world.table()) == Retention(False, True, 24 * HOUR_MS)
    monkeypatch.setattr(retention, "READERS", (*retention.READERS, old_images))
    world.disable_stream()
    assert retention.of(world.table()) == Retention(True, False, DAYS_35_MS)


@pytest.mark.usefixtures("kept")
def test_a_stream_shows_a_day_of_a_log_that_is_kept_longer(world: Any) -> None:
    world.create(view="NEW_IMAGE")
    [arn] = world.arns()
    for i in range(4):
        world.put("a", i)
        world.clock.advance(HOUR_MS)
    [shard] = [s["ShardId"] for s in world.shards(arn)]
    numbers = [r["dynamodb"]["SequenceNumber"] for r in world.all_records(arn)]
    assert "OldImage" not in world.all_records(arn)[-1]["dynamodb"]
    world.pass_time(21 * HOUR_MS + 45 * 60 * 1000)  # two of the four are older than a day
    waiting = world.iterator(arn, shard, "AFTER_SEQUENCE_NUMBER", numbers[1])
    assert rows(world, world.table().log_space) == 4

    shown, _ = world.records(world.iterator(arn, shard))
    assert [r["dynamodb"]["SequenceNumber"] for r in shown] == numbers[2:]
    for number in numbers[:2]:
        assert code(world.iterator, arn, shard, "AT_SEQUENCE_NUMBER", number) == "TrimmedDataAccessException"
    assert code(world.iterator, arn, shard, "AFTER_SEQUENCE_NUMBER", numbers[0]) == "TrimmedDataAccessException"
    assert len(world.records(waiting)[0]) == 2
    at_time = world.iterator(arn, shard, "AT_TIMESTAMP", Timestamp=1)
    assert len(world.records(at_time)[0]) == 2

    waiting = world.iterator(arn, shard)
    world.pass_time(15 * 60 * 1000 - 1)  # the third is a day old, but for a millisecond
    assert len(world.records(waiting)[0]) == 2
    world.pass_time(1)
    assert code(world.records, waiting) == "TrimmedDataAccessException"
    world.pass_time(HOUR_MS)
    assert world.records(world.iterator(arn, shard)) == ([], None)  # closed by a rotation
    assert rows(world, world.table().log_space) == 4

    world.pass_time(4 * HOUR_MS)
    assert shard in [s["ShardId"] for s in world.shards(arn)]
    world.pass_time(20 * HOUR_MS)
    assert shard not in [s["ShardId"] for s in world.shards(arn)]
    assert code(world.iterator, arn, shard) == "ResourceNotFoundException"
    assert rows(world, world.table().log_space) == 4
    for _ in range(35):
        world.pass_time(24 * HOUR_MS)
    assert rows(world, world.table().log_space) == 0


@pytest.mark.usefixtures("kept")
def test_the_log_of_a_deleted_table_stays_as_long(world: Any) -> None:
    world.create()
    world.put("a")
    log_space = world.table().log_space
    world.call(tables.delete_table, TableName="Things")
    for _ in range(34):
        world.pass_time(24 * HOUR_MS)
    assert rows(world, log_space) == 1 and world.arns() == []
    assert (
        len(world.read(lambda s: cursor.read(s, Scope(log_space), cursor.start_at(s, Scope(log_space)), 10)).changes)
        == 1
    )
    world.pass_time(24 * HOUR_MS)
    stored, *_ = world.region.engine.snapshot()
    assert list(stored) == []


def test_a_shorter_retention_takes_effect_within_a_day(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as longer:
        longer.setattr(retention, "READERS", (lambda table: Retention(keep_ms=DAYS_35_MS),))
        world.create(view=None)
        world.put("a")
        log_space = world.table().log_space
        world.pass_time(36 * HOUR_MS)
        assert rows(world, log_space) == 1
    world.call(tables.update_table, TableName="Things", BillingMode="PAY_PER_REQUEST")
    world.pass_time(24 * HOUR_MS)
    assert rows(world, log_space) == 0


# The cursor over a whole log


def read(world: Any, scope: Scope, at: Cursor, limit: int = 1_000) -> ChangeBatch:
    batch: ChangeBatch = world.read(lambda snapshot: cursor.read(snapshot, scope, at, limit))
    return batch


@pytest.mark.parametrize("seed", range(8))
def test_every_change_is_read_once_and_an_items_in_order(world: Any, seed: int) -> None:
    chance = random.Random(seed)
    world.create(units=None)
    scope = Scope(world.table().log_space)
    at = world.read(lambda snapshot: cursor.start_at(snapshot, scope))
    written: dict[str, list[str]] = {}
    found: dict[str, list[str]] = {}

    def take(batch: ChangeBatch) -> Cursor:
        assert batch.missed == 0
        for _, _, change in batch.changes:
            assert change.new is not None
            item = load_item(change.new)
            found.setdefault(item["pk"]["S"], []).append(item["v"]["N"])
        stored: Cursor = load(Cursor, dump(batch.cursor))
        assert stored == batch.cursor
        return stored

    for value in range(300):
        pk = f"k{chance.randrange(12)}"
        world.put(pk, v={"N": str(value)})
        written.setdefault(pk, []).append(str(value))
        event = chance.random()
        if event < 0.03 and len(world.table().shards) < 20:
            world.by_hand(maintenance.force_split, "Things")
        elif event < 0.08:
            world.by_hand(maintenance.force_rotate, "Things")
        elif event < 0.2:
            batch = read(world, scope, at, chance.randrange(1, 30))
            at = take(batch)
    while not (batch := read(world, scope, at, 7)).caught_up:
        assert len(batch.changes) <= 7
        at = take(batch)
    take(batch)
    assert found == written
    assert batch.cursor == world.read(lambda snapshot: cursor.start_at_end(snapshot, scope))


def load_item(json: bytes) -> Any:
    return orjson.loads(json)


def test_a_cursor_begins_at_a_time_or_at_the_end(world: Any) -> None:
    world.create()
    scope = Scope(world.table().log_space)
    for i in range(10):
        world.put("a", i)
        world.clock.advance(HOUR_MS)
        world.settle()
    for hours in (0, 3, 5, 9):
        ms = world.clock.now_ms() - hours * HOUR_MS
        at = world.read(lambda snapshot, ms=ms: cursor.start_at(snapshot, scope, ms))
        assert len(read(world, scope, at).changes) == hours
    at = world.read(lambda snapshot: cursor.start_at_end(snapshot, scope))
    assert read(world, scope, at).changes == []
    world.put("b")
    assert len(read(world, scope, at).changes) == 1


def test_a_gap_is_reported(world: Any) -> None:
    world.create()
    scope = Scope(world.table().log_space)
    at = world.read(lambda snapshot: cursor.start_at(snapshot, scope))
    for i in range(5):
        world.put("a", i)
    world.by_hand(maintenance.force_trim, "Things")
    world.put("a", 5)
    batch = read(world, scope, at)
    assert (batch.missed, len(batch.changes)) == (5, 1)
    for i in range(3):
        world.put("c", i)
    horizon = Scope(scope.log_space, horizon_ms=world.clock.now_ms())
    world.clock.advance(1)
    world.put("a", 9)
    hidden = read(world, horizon, batch.cursor)
    assert (hidden.missed, len(hidden.changes)) == (3, 1)


def test_trimmed_shards_are_reported_and_skipped(world: Any) -> None:
    world.create()
    scope = Scope(world.table().log_space)
    at = world.read(lambda snapshot: cursor.start_at(snapshot, scope))
    for i in range(5):
        world.put("a", i)
    for _ in range(20):
        world.pass_time(4 * HOUR_MS)
    world.put("b")
    batch = read(world, scope, at)
    assert batch.missed >= 5
    assert [change.keys for _, _, change in batch.changes] == [b'{"pk":{"S":"b"},"sk":{"N":"0"}}']
    assert read(world, scope, batch.cursor).missed == 0


def shard(number: int, parent: int | None, low: int, high: int, first: int, last: int | None = None) -> Shard:
    return Shard(number, parent, low, high, 0, first, last, None if last is None else 1)


def test_advancing_follows_the_lineage() -> None:
    half = HASHES // 2
    whole = shard(0, None, 0, HASHES - 1, 1, 5)
    left, right = shard(1, 0, 0, half - 1, 6, 9), shard(2, 0, half, HASHES - 1, 6)
    child = shard(3, 1, 0, half - 1, 10)
    every = [whole, left, right, child]
    assert cursor.advance(Cursor(((0, 4),)), every) == (Cursor(((0, 4),)), 0)
    assert cursor.advance(Cursor(((0, 5),)), every) == (Cursor(((1, 6), (2, 6))), 0)
    assert cursor.advance(Cursor(((1, 9), (2, 7))), every) == (Cursor(((2, 7), (3, 10))), 0)
    # A trimmed shard that had been read to its end, and one that had not.
    assert cursor.advance(Cursor(((1, 9), (2, 7))), [right, child]) == (Cursor(((2, 7), (3, 10))), 0)
    assert cursor.advance(Cursor(((1, 7), (2, 7))), [right, child]) == (Cursor(((2, 7), (3, 10))), 2)
    assert [s.number for s in cursor.readable(every, {0})] == [1, 2]
    assert [s.number for s in cursor.readable(every, {0, 1})] == [2, 3]
    assert [s.number for s in cursor.readable(every[1:], ())] == [1, 2]
