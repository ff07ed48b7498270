"""Rows that contradict each other are found, named in the terms of their table, and repaired from other rows."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from atoll.api import tables
from atoll.check.catalog import check_quickly
from atoll.check.findings import Finding
from atoll.database import backfill, catalog, ttl
from atoll.database import format as fmt
from atoll.database import rows as item_rows
from atoll.database.records import dump, load
from atoll.database.schema import Table
from tests.check.worlds import UUID, create, findings, full_world, index, repair, slow_world, write
from tests.database.conftest import ManualRegion

Damage = Callable[[Any, Table], object]
"""Given the transaction and the table."""


def first(tx: Any, space: int, number: int = 0) -> tuple[bytes, bytes]:
    rows = list(tx.scan(*fmt.space_range(space), limit=number + 1))
    row: tuple[bytes, bytes] = rows[number]
    return row


def index_space(table: Table, name: str) -> int:
    found = table.index(name)
    assert found is not None
    return found.space


def expiry_space(table: Table) -> int:
    assert table.ttl is not None
    return table.ttl.space


def entry_without_item(tx: Any, table: Table) -> None:
    key, stored = first(tx, index_space(table, "by-g"))
    tx.put(key[:-3] + b"\xc9" + key[-2:], stored)


def entry_elsewhere(tx: Any, table: Table) -> None:
    """Moves an entry to another value of the index's key."""
    key, stored = first(tx, index_space(table, "by-g"))
    tx.delete(key)
    tx.put(key[:4] + bytes(8) + b"other\0" + key[key.index(b"\0", 12) + 1 :], stored)


def wrong_entry(tx: Any, table: Table) -> None:
    key, stored = first(tx, index_space(table, "by-l"))
    tx.put(key, stored.replace(b'"tags":', b'"gats":'))


def wrong_size(tx: Any, table: Table) -> None:
    key, stored = first(tx, table.space)
    row = item_rows.Row(stored)
    tx.put(key, item_rows.item_row(row.version, row.size + 1, row.json))


def unsorted_set(tx: Any, table: Table) -> None:
    for key, stored in tx.scan(*fmt.space_range(table.space)):
        row = item_rows.Row(stored)
        members = row.item["tags"]["SS"]
        if len(members) > 1:
            tx.put(key, item_rows.item_row(row.version, row.size, dump({**row.item, "tags": {"SS": members[::-1]}})))
            return
    raise AssertionError("no set of two")


def late_look(tx: Any, table: Table) -> None:
    """Nothing is scheduled before an item expires."""
    number = fmt.expiry_due_number(expiry_space(table))
    for key, _ in tx.scan(*fmt.DUE):
        if fmt.parse_due(key)[1:] == (fmt.EXPIRE, b"Things"):
            tx.delete(key)
    tx.add_number(number, -tx.number(number))


def unscheduled(kind: bytes) -> Damage:
    def damage(tx: Any, table: Table) -> None:
        for key, _ in list(tx.scan(*fmt.DUE)):
            if fmt.parse_due(key)[1] == kind:
                tx.delete(key)

    return damage


def open_prefix(tx: Any, table: Table) -> bytes:
    """Of an open shard with at least three records."""
    for shard in table.shards:
        prefix = shard.change_prefix(table.log_space)
        if len(list(tx.scan(prefix, prefix + b"\xff" * 8))) > 3:
            return prefix
    raise AssertionError("no shard with records")


def records(tx: Any, table: Table) -> list[tuple[bytes, bytes]]:
    prefix = open_prefix(tx, table)
    return list(tx.scan(prefix, prefix + b"\xff" * 8))


def shifted_sequence(tx: Any, table: Table) -> None:
    key, stored = records(tx, table)[-1]
    tx.delete(key)
    tx.put(fmt.change_key(key[:16], fmt.parse_sequence(key) + 1), stored)


def counter_below(tx: Any, table: Table) -> None:
    number = int.from_bytes(open_prefix(tx, table)[12:], "big")
    tx.add_number(fmt.sequence_counter(table.log_space, number), -1)


def change_elsewhere(tx: Any, table: Table) -> None:
    """A record of another partition key."""
    prefixes = [shard.change_prefix(table.log_space) for shard in table.shards]
    one, other, *_ = [prefix for prefix in prefixes if list(tx.scan(prefix, prefix + b"\xff" * 8))]
    sequence = tx.add_number(fmt.sequence_counter(table.log_space, int.from_bytes(one[12:], "big")), 1)
    stored = next(iter(tx.scan(other, other + b"\xff" * 8)))[1]
    tx.put(fmt.change_key(one, sequence), stored)


DERIVABLE: list[tuple[str, str, str, Damage]] = [
    ("entry of a local index deleted", "index", "the index by-l has no entry of the item",
     lambda tx, t: tx.delete(first(tx, index_space(t, "by-l"))[0])),
    ("entry of a global index deleted", "index", "the index by-g has no entry of the item",
     lambda tx, t: tx.delete(first(tx, index_space(t, "by-g"))[0])),
    ("entry without its item", "index", "the index by-g has an entry of an item that does not exist",
     entry_without_item),
    ("entry at another key", "index", "the index by-g has an entry at a key that the item does not have",
     entry_elsewhere),
    ("entry with an unreadable key", "index", "an entry of the index by-h has an unreadable key",
     lambda tx, t: tx.put(fmt.space_prefix(index_space(t, "by-h")) + b"short", b"")),
    ("entry with other attributes", "index", "the entry in the index by-l does not show what the item has",
     wrong_entry),
    ("item's size altered", "size", r"the item's stored size is \d+, but it has \d+ bytes", wrong_size),
    ("set in another order", "size", "a set of the item is not sorted", unsorted_set),
    ("expiry entry deleted", "expiry", r"the item expires at \d+, but the expiry index has no entry of it",
     lambda tx, t: tx.delete(first(tx, expiry_space(t), 1)[0])),
    ("expiry entry added", "expiry", "an entry of an item that does not exist or does not expire then",
     lambda tx, t: tx.put(fmt.expiry_key(expiry_space(t), 2_000_000_000, first(tx, t.space)[0]), b"")),
    ("expiry entry unreadable", "expiry", "an entry of an item that does not exist or does not expire then",
     lambda tx, t: tx.put(fmt.expiry_start(expiry_space(t), 2_000_000_000), b"")),
    ("rows of the table", "counter", r"the counter of the table Things says \d+ rows, but there are \d+",
     lambda tx, t: tx.add_tally(fmt.count_counter(t.space), 1)),
    ("bytes of the table", "counter", r"the counter of the table Things says -?\d+ bytes",
     lambda tx, t: tx.add_tally(fmt.bytes_counter(t.space), -7)),
    ("rows of an index", "counter", r"the counter of the index by-h says \d+ rows",
     lambda tx, t: tx.add_tally(fmt.count_counter(index_space(t, "by-h")), -1)),
    ("bytes of an index", "counter", r"the counter of the index by-l says \d+ bytes",
     lambda tx, t: tx.add_tally(fmt.bytes_counter(index_space(t, "by-l")), 5)),
    ("size of a collection", "counter", r"the item collection's counter says \d+ bytes, but its items have \d+",
     lambda tx, t: tx.add_tally(fmt.collection_counter(fmt.collection_prefix(first(tx, t.space)[0], "S")), 3)),
    ("size of a collection without items", "counter", r"counter says 9 bytes, but it has no items",
     lambda tx, t: tx.add_tally(fmt.collection_counter(t.prefix + t.keys.encode_partition({"pk": {"S": "no"}})), 9)),
    ("counter of nothing", "orphan", "a counter belongs to nothing",
     lambda tx, t: tx.add_tally(fmt.count_counter(t.log_space), 1)),
    ("sequence counter of nothing", "orphan", "a sequence counter belongs to no open shard",
     lambda tx, t: tx.add_number(fmt.sequence_counter(t.log_space, 77), 1)),
    ("sequence counter too low", "counter", "but this record has a greater number", counter_below),
    ("greatest time", "counter", "the bound that no item's version exceeds is missing",
     lambda tx, t: tx.add_number(fmt.GREATEST_TIME, -tx.number(fmt.GREATEST_TIME))),
    ("spaces", "counter", r"the counter of spaces says 2, but space \d+ is in use",
     lambda tx, t: tx.add_number(fmt.SPACES, 2 - tx.number(fmt.SPACES))),
    ("generation", "counter", "the catalog has tables, but no generation",
     lambda tx, t: tx.add_number(fmt.GENERATION, -tx.number(fmt.GENERATION))),
    ("shard's row deleted", "shard", "the row of an open shard is missing, or is not what the table has",
     lambda tx, t: tx.delete(fmt.shard_key(t.log_space, t.shards[0].number))),
    ("stream's row deleted", "catalog", "the enabled stream of the table has no row",
     lambda tx, t: tx.delete(fmt.stream_key(t.name, t.stream.label if t.stream else ""))),
    ("rotation not scheduled", "schedule", "the rotation of the stream's shards is not scheduled",
     unscheduled(fmt.ROTATE)),
    ("trims not scheduled", "schedule", "the trimming of a shard is not scheduled", unscheduled(fmt.TRIM)),
    ("sweeps not scheduled", "schedule", "the deletion of a discarded space is not scheduled",
     unscheduled(fmt.SWEEP)),
    ("end of a stream not scheduled", "schedule", "the end of a stream is not scheduled",
     unscheduled(fmt.END_STREAM)),
    ("end of a token not scheduled", "schedule", "the deletion of an idempotency token is not scheduled",
     unscheduled(fmt.FORGET)),
    ("deletion of expired items not scheduled", "schedule", "the deletion of expired items is not scheduled",
     late_look),
    ("work of an unknown kind", "schedule", "the scheduled work is of no known kind",
     lambda tx, t: tx.put(fmt.due_key(1, b"?", b"Things"), b"")),
    ("row of an unknown kind", "orphan", "a row of the catalog is of no known kind",
     lambda tx, t: tx.put(fmt.CATALOG + b"Z", b"")),
    ("progress of no backfill", "orphan", "the progress of a backfill that does not run",
     lambda tx, t: tx.put(fmt.backfill_key(77), b"")),
    ("change of no shard", "orphan", "a change record belongs to no shard",
     lambda tx, t: tx.put(fmt.change_key(fmt.change_prefix(t.log_space, 5, 9), 1), b"")),
    ("space of nothing", "orphan", "the rows of the space 500 belong to no table, index or log",
     lambda tx, t: tx.put(fmt.space_prefix(500) + b"x", b"")),
    ("stream of nothing", "catalog", "a stream has no end, but its table does not have it",
     lambda tx, t: tx.put(fmt.stream_key("Things", "x"), dump_stream(tx, t, "x"))),
]  # fmt: skip

LOSSES: list[tuple[str, str, str, Damage]] = [
    ("unreadable document", "catalog", "the document is unreadable",
     lambda tx, t: tx.put(fmt.document_key("alarm", "a"), b"{")),
    ("item unreadable", "item", "the item is unreadable",
     lambda tx, t: tx.put(first(tx, t.space)[0], b"\0" * 13 + b"{")),
    ("item cut off", "item", "the item is unreadable", lambda tx, t: tx.put(first(tx, t.space)[0], b"\0")),
    ("item of another key", "item", "the item's attributes are not those of its key",
     lambda tx, t: tx.put(first(tx, t.space)[0], first(tx, t.space, 1)[1])),
    ("sequence shifted", "change", r"record \d+ is missing before this record", shifted_sequence),
    ("record deleted", "change", r"record \d+ is missing before this record",
     lambda tx, t: tx.delete(records(tx, t)[-2][0])),
    ("last record deleted", "change", r"records \d+ to \d+ are missing after this record",
     lambda tx, t: tx.delete(records(tx, t)[-1][0])),
    ("record unreadable", "change", "the record is unreadable",
     lambda tx, t: tx.put(records(tx, t)[1][0], b"\0")),
    ("size in a record", "change", r"a size in the record is \d+, but should be \d+",
     lambda tx, t: tx.put(records(tx, t)[0][0], records(tx, t)[0][1].replace(b'"tags"', b'"tag"', 1))),
    ("record of another shard's key", "change", "the record is in the shard of other partition keys",
     change_elsewhere),
    ("token unreadable", "catalog", "the idempotency token is unreadable",
     lambda tx, t: tx.put(fmt.token_key("x"), b"{}")),
    ("mapping unreadable", "catalog", "the event source mapping is unreadable",
     lambda tx, t: tx.put(fmt.mapping_key(UUID), b"")),
    ("mapping of another key", "catalog", "the event source mapping is not that of its key",
     lambda tx, t: tx.put(fmt.mapping_key("x"), tx.get(fmt.mapping_key(UUID)))),
]  # fmt: skip

IRREPARABLE: list[tuple[str, str, str, Damage]] = [
    ("definition unreadable", "catalog", "the definition of table is unreadable",
     lambda tx, t: tx.put(fmt.table_key("Things"), b"{")),
    ("definition of another name", "catalog", "the definition of table is not that of its key",
     lambda tx, t: tx.put(fmt.table_key("Thinks"), dump(t))),
    ("shards with a gap", "shard", "the shards of the table do not divide the hashes",
     lambda tx, t: catalog.save(tx, replace(t, shards=t.shards[1:]))),
    ("shards that end early", "shard", "the shards of the table do not cover all partition keys",
     lambda tx, t: catalog.save(tx, replace(t, shards=t.shards[:-1]))),
    ("space of two owners", "catalog", r"the space \d+ belongs to Things and to Things",
     lambda tx, t: catalog.save(tx, replace(t, tombstone_space=t.space))),
]  # fmt: skip


def dump_stream(tx: Any, table: Table, label: str) -> bytes:
    from atoll.database.streams import StreamDescription

    stored = tx.get(fmt.stream_key(table.name, table.stream.label if table.stream else ""))
    return dump(replace(load(StreamDescription, stored), label=label))


def damaged(damage: Damage) -> tuple[ManualRegion, Any]:
    """A world with this damage, and its state before it."""
    world = full_world()
    assert findings(world) == []
    before = world.region.engine.snapshot()  # type: ignore[attr-defined]
    world.transact(lambda tx: damage(tx, world.table()))
    return world, before


def found(world: ManualRegion, kind: str, text: str) -> Finding:
    """The finding that is expected; the report also says what follows from the damage."""
    all_ = findings(world)
    fitting = [one for one in all_ if one.kind == kind and re.search(text, one.text)]
    assert fitting, [(one.kind, one.text) for one in all_]
    return fitting[0]


def names(damages: list[tuple[str, str, str, Damage]]) -> list[str]:
    return [name for name, *_ in damages]


@pytest.mark.parametrize(("name", "kind", "text", "damage"), DERIVABLE, ids=names(DERIVABLE))
def test_damage_of_derived_rows_is_found_and_undone(name: str, kind: str, text: str, damage: Damage) -> None:
    world, (rows, _, tallies) = damaged(damage)
    assert found(world, kind, text).fixes
    repaired = repair(world)
    assert not any(one.is_loss for one in repaired if name != "space of nothing")
    assert findings(world) == []
    now_rows, _, now_tallies = world.region.engine.snapshot()  # type: ignore[attr-defined]
    scheduled = (fmt.CATALOG + b"D", fmt.garbage_key(500), fmt.space_prefix(500))  # work may be due at another time
    assert [row for row in now_rows.items() if not row[0].startswith(scheduled)] == [
        row for row in rows.items() if not row[0].startswith(scheduled)
    ]
    assert now_tallies == tallies


@pytest.mark.parametrize(("name", "kind", "text", "damage"), LOSSES, ids=names(LOSSES))
def test_rows_that_are_lost_are_named_before_they_are_dropped(name: str, kind: str, text: str, damage: Damage) -> None:
    world, _ = damaged(damage)
    finding = found(world, kind, text)
    assert finding.is_loss and finding.fixes
    assert any(one.is_loss and one.kind == kind for one in repair(world))
    assert findings(world) == []


@pytest.mark.parametrize(("name", "kind", "text", "damage"), IRREPARABLE, ids=names(IRREPARABLE))
def test_lost_definitions_are_not_guessed_and_no_items_are_dropped(
    name: str, kind: str, text: str, damage: Damage
) -> None:
    world, (rows, _, _) = damaged(damage)
    table = load(Table, rows[fmt.table_key("Things")])
    assert not found(world, kind, text).fixes
    if name != "space of two owners":
        repair(world)
        found(world, kind, text)
    now_rows = world.region.engine.snapshot()[0]  # type: ignore[attr-defined]
    items = [key for key in rows if key.startswith(table.prefix)]
    assert items and all(key in now_rows for key in items)


def test_findings_name_the_table_and_the_key_in_attributes() -> None:
    world, (rows, _, _) = damaged(DERIVABLE[0][3])
    finding = found(world, "index", "by-l")
    assert finding.table == "Things"
    assert isinstance(finding.key, dict) and set(finding.key) == {"pk", "sk"}
    assert isinstance(finding.key["sk"], dict) and set(finding.key["sk"]) == {"N"}
    item = {"pk": finding.key["pk"], "sk": finding.key["sk"]}
    assert world.table().item_key(item) in rows


@pytest.mark.parametrize("seed", range(6))
def test_no_false_alarm_while_indexes_and_time_to_live_change(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between all transactions of backfills and deletions, with writes in between."""
    monkeypatch.setattr(backfill, "ITEMS", 3)
    monkeypatch.setattr(ttl, "BUILT_ITEMS", 3)
    rng = random.Random(seed)
    world = slow_world()
    for _ in range(40):
        write(world, rng)
    changes: list[dict[str, Any]] = [
        {"Create": index("new", rng.choice(("ALL", "KEYS_ONLY")), "l", "pk")},
        {"Delete": {"IndexName": "by-g"}},
    ]
    jobs = (backfill.change_indexes, ttl.build, ttl.delete_expired)
    for change in changes:
        definitions = [{"AttributeName": n, "AttributeType": t} for n, t in (("l", "N"), ("pk", "S"))]
        world.call(tables.update_table, TableName="Things", GlobalSecondaryIndexUpdates=[change],
                   AttributeDefinitions=definitions)  # fmt: skip
        world.clock.advance(3_700_000)
        world.set_ttl(enabled=world.ttl_status() == "DISABLED")
        for _ in range(60):
            write(world, rng)
            if rng.random() < 0.5:
                world.job(rng.choice(jobs))
            world.clock.advance(rng.choice((1, 500)))
            assert findings(world) == []
        world.pass_time(60_000)
    world.call(tables.delete_table, TableName="Things")
    for _ in range(30):
        world.pass_time(3_600_000)
        assert findings(world) == []


def test_an_index_under_construction_must_have_the_entries_that_its_backfill_passed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(backfill, "ITEMS", 5)
    world = slow_world()
    rng = random.Random(0)
    for _ in range(60):
        write(world, rng)
    world.call(
        tables.update_table,
        TableName="Things",
        GlobalSecondaryIndexUpdates=[{"Create": index("new", "ALL", "sk")}],
        AttributeDefinitions=[{"AttributeName": "sk", "AttributeType": "N"}],
    )
    world.clock.advance(11_000)
    world.job(backfill.change_indexes)
    assert findings(world) == []
    space = world.table().index("new").space
    world.transact(lambda tx: tx.delete(first(tx, space)[0]))
    found(world, "index", "the index new has no entry of the item")


@pytest.mark.parametrize(
    ("damage", "text"),
    [
        (lambda tx, t: tx.put(fmt.table_key("Things"), b"{"), "the definition of table is unreadable"),
        (lambda tx, t: catalog.save(tx, replace(t, shards=t.shards[1:])), "do not divide the hashes"),
        (lambda tx, t: tx.add_tally(fmt.count_counter(t.space), -tx.tally(fmt.count_counter(t.space))),
         "the counters of the table Things say 0 rows"),
    ],
)  # fmt: skip
def test_the_quick_check_looks_at_definitions_shards_and_counters(damage: Damage, text: str) -> None:
    world = full_world()
    assert list(world.read(lambda snapshot: list(check_quickly(snapshot)))) == []
    world.transact(lambda tx: damage(tx, world.table()))
    quick = world.read(lambda snapshot: list(check_quickly(snapshot)))
    assert any(text in finding.text for finding in quick), quick


def test_the_quick_check_reads_no_items() -> None:
    """It must end quickly on a store of any size."""
    world = full_world()
    table = world.table()

    class Counting:
        def __init__(self, snapshot: Any) -> None:
            self.snapshot = snapshot
            self.read = 0

        def __getattr__(self, name: str) -> Any:
            return getattr(self.snapshot, name)

        def scan(self, start: bytes, end: bytes, **more: Any) -> Any:
            for row in self.snapshot.scan(start, end, **more):
                self.read += not row[0].startswith(fmt.CATALOG)
                yield row

    def run(snapshot: Any) -> int:
        counting = Counting(snapshot)
        assert list(check_quickly(counting)) == []
        return counting.read

    assert world.read(run) == 0
    assert table.shards


def test_worlds_have_every_kind_of_row() -> None:
    """So that the tests above have something to damage."""
    world = full_world()
    rows = world.region.engine.snapshot()[0]  # type: ignore[attr-defined]
    letters = {key[4:5] for key in rows if key.startswith(fmt.CATALOG)}
    assert letters == {b"T", b"S", b"H", b"D", b"G", b"X", b"M", b"P"}
    create(world, "Another")
    assert findings(world) == []
