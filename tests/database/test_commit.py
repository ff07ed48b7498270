"""`writes.commit`, and the time that it gives to writes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest

from atoll.clock import ManualClock
from atoll.database import catalog, reads, writes
from atoll.database import format as fmt
from atoll.database import rows as item_rows
from atoll.database.log import rows as change_rows
from atoll.database.region import Region
from atoll.model import values
from atoll.storage.memory import MemoryEngine
from atoll.versions import Version
from tests.database.conftest import START_MS, ManualRegion
from tests.engines import finish


def stored(world: ManualRegion, pk: str) -> Any:
    table = world.table()
    key = {"pk": {"S": pk}, "sk": {"N": "0"}}
    return world.read(lambda s: reads.get(s, table.item_key(key)))


def replicated(world: ManualRegion, pk: str, text: str | None, version: Version) -> writes.Replicate:
    table, key = world.table(), {"pk": {"S": pk}, "sk": {"N": "0"}}
    image = None
    if text is not None:
        item = {**key, "text": {"S": text}}
        image = writes.Image(item, values.check_item(item), orjson.dumps(item))
    return writes.Replicate(table, key, table.item_key(key), image, version)


def apply(world: ManualRegion, *batch: writes.Write) -> list[writes.Outcome]:
    return finish(world.region.write(lambda tx, stamp: writes.commit(tx, batch, stamp)))


def test_clock_set_back_across_a_restart_gives_a_greater_version(world: ManualRegion) -> None:
    world.create()
    world.put("a")
    before = stored(world, "a").version
    world.delete("a")
    world.region = Region("eu-west-1", world.region.engine, ManualClock(START_MS - 3_600_000))
    world.put("a")
    assert stored(world, "a").version > before


def test_clock_set_back_under_a_running_region_gives_a_greater_version(world: ManualRegion) -> None:
    world.create()
    world.put("a")
    before = stored(world, "a").version
    world.delete("a")
    world.clock.set(START_MS - 3_600_000)
    world.region.rewind()
    world.put("a")
    assert stored(world, "a").version > before


def test_clock_is_stored_once_a_second_and_only_with_a_change(world: ManualRegion) -> None:
    world.create()
    assert isinstance(world.region.engine, MemoryEngine)

    def greatest() -> int:
        return world.read(lambda s: s.number(fmt.GREATEST_TIME))

    assert greatest() == 0
    world.put("a")
    first = greatest()
    assert first > 0
    world.clock.advance(500)
    world.put("b")
    assert greatest() == first
    world.clock.advance(600)
    world.get("b")
    world.put("b")
    assert greatest() == first, "an unchanged item"
    world.put("c")
    assert greatest() > first


def test_change_made_elsewhere_keeps_its_version_and_the_greater_one_wins(world: ManualRegion) -> None:
    world.create()
    later, earlier = Version(2**60, "us-west-2"), Version(2**60 - 1, "us-west-2")
    apply(world, replicated(world, "a", "later", later))
    apply(world, replicated(world, "a", "earlier", earlier))
    assert world.get("a", 0) == {"pk": {"S": "a"}, "sk": {"N": "0"}, "text": {"S": "later"}}
    assert stored(world, "a").version == later
    apply(world, replicated(world, "a", None, Version(2**60, "us-west-3")))
    assert world.get("a") is None
    records = world.all_records(world.arns()[0])
    assert [record["eventName"] for record in records] == ["INSERT", "REMOVE"]


def test_local_write_over_a_version_from_a_fast_clock_is_greater(world: ManualRegion) -> None:
    world.create()
    apply(world, replicated(world, "a", "fast", Version(2**60, "us-west-2")))
    world.put("a", text={"S": "local"})
    assert stored(world, "a").version == Version(2**60 + 1, "eu-west-1")


def test_outdated_definitions_are_never_used(world: ManualRegion) -> None:
    """A process that knows an old definition reads the new one in its own snapshot, and learns it outside."""
    world.create()
    other = Region("eu-west-1", world.region.engine, world.clock)

    def look() -> Any:
        return finish(other.read(lambda s: other.catalog.find(s, "Things")))

    assert look() is not None
    assert look() is not None
    known = other.catalog.known
    assert known.generation > 0
    world.set_ttl()
    assert look().ttl is not None
    assert other.catalog.known is known
    assert look().ttl is not None
    assert other.catalog.known.generation > known.generation


def test_definitions_of_a_failed_transaction_are_not_cached(world: ManualRegion, tmp_path: Path) -> None:
    world.create()
    table = world.table()

    def fail(tx: Any) -> None:
        catalog.save(tx, table)
        raise RuntimeError("after the change")

    with pytest.raises(RuntimeError):
        world.transact(fail)
    assert world.table() == table
    assert world.table() == table
    assert world.region.catalog.known.generation == world.read(lambda s: s.number(fmt.GENERATION))


def keep_tombstones(world: ManualRegion) -> None:
    def change(tx: Any) -> None:
        table = world.region.catalog.find(tx, "Things")
        assert table is not None
        catalog.save(tx, replace(table, tombstone_space=catalog.new_space(tx)))

    world.transact(change)


def tombstones(world: ManualRegion) -> list[Version]:
    space = world.table().tombstone_space
    return [item_rows.parse_tombstone(row) for _, row in world.read(lambda s: list(s.scan(*fmt.space_range(space))))]


def test_older_change_does_not_undo_a_deletion(world: ManualRegion) -> None:
    world.create()
    keep_tombstones(world)
    world.put("a")
    before = stored(world, "a").version
    world.delete("a")
    [deleted] = tombstones(world)
    assert deleted > before
    apply(world, replicated(world, "a", "older", before))
    assert world.get("a") is None
    apply(world, replicated(world, "a", "newer", Version(deleted.time + 1, "us-east-1")))
    assert stored(world, "a").item["text"] == {"S": "newer"}
    assert tombstones(world) == []


def test_replicated_deletion_of_a_missing_item_stops_an_older_put(world: ManualRegion) -> None:
    world.create()
    keep_tombstones(world)
    version = Version(world.region.versions.last + 1_000, "us-east-1")
    apply(world, replicated(world, "a", None, version))
    assert tombstones(world) == [version]
    apply(world, replicated(world, "a", "older", Version(version.time - 1, "us-east-1")))
    assert world.get("a") is None


def test_write_after_a_deletion_from_a_fast_clock_has_a_greater_version(world: ManualRegion) -> None:
    world.create()
    keep_tombstones(world)
    ahead = Version(world.region.versions.last + (3_600_000 << 16), "us-east-1")
    apply(world, replicated(world, "a", None, ahead))
    world.put("a")
    assert stored(world, "a").version > ahead


def test_replicated_put_of_equal_content_keeps_the_greater_version(world: ManualRegion) -> None:
    world.create()
    world.put("a", text={"S": "same"})
    version = Version(stored(world, "a").version.time + 1_000, "us-east-1")
    apply(world, replicated(world, "a", "same", version))
    assert stored(world, "a").version == version


def test_table_without_tombstones_keeps_nothing_of_a_deletion(world: ManualRegion) -> None:
    world.create(view=None)
    world.put("a")
    world.delete("a")
    space = world.table().space
    assert world.read(lambda s: list(s.scan(*fmt.space_range(space)))) == []


def test_all_records_of_a_transaction_have_its_commit_id_and_time(world: ManualRegion) -> None:
    world.create()
    keys = [{"pk": {"S": pk}, "sk": {"N": "0"}} for pk in "abc"]
    world.transact_write(*({"Put": {"TableName": "Things", "Item": key}} for key in keys))
    world.clock.advance(5)
    world.put("d")
    space = world.table().log_space
    rows = world.read(lambda s: [row for _, row in s.scan(*fmt.space_range(space))])
    *together, alone = [(row.commit, row.written_ms) for row in map(change_rows.parse, rows)]
    assert len(set(together)) == 1 and len(together) == 3
    assert alone[0] != together[0][0] and alone[1] == together[0][1] + 5
