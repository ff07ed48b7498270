"""Measure how much space each table takes in a store.

Only the size of the whole store is exact. The size of a part is estimated: the number of its rows times the mean size
of a sample. The number of rows is a tally (items, index entries, backups), follows from sequence numbers (the log), or
is estimated from the keys of the first rows, since the keys of a space are spread evenly. So a measurement reads at
most some thousand rows, whatever the size of the store. The rest is `other`: the catalog, metrics, and the nodes of the
engine's trees.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field, fields, is_dataclass
from functools import partial
from typing import Any, NamedTuple

from atoll.clock import monotonic_ns
from atoll.database import backups
from atoll.database import format as fmt
from atoll.database.garbage import Garbage
from atoll.database.log import shards
from atoll.database.records import load
from atoll.database.region import Region
from atoll.database.schema import HASHES, Table
from atoll.storage.engine import Size, Snapshot

FRESH_MS = 10_000
"""How long a measurement is reused."""
SEEKS = 32
"""The sampled rows of a space, for the mean size."""
COUNTED_ROWS = 500
"""A space with fewer rows than this and no tally is counted."""
ROW_BYTES = 24
"""The bytes of a stored row besides its key, which is stored twice, and its value."""


class Amount(NamedTuple):
    rows: int = 0
    bytes: int = 0

    def __add__(self, other: Amount) -> Amount:  # type: ignore[override]
        return Amount(self.rows + other.rows, self.bytes + other.bytes)


NOTHING = Amount()


@dataclass
class TableRoom:
    items: Amount = NOTHING
    indexes: dict[str, Amount] = field(default_factory=dict)
    log: Amount = NOTHING
    further: dict[str, Amount] = field(default_factory=dict)
    """Other spaces, by the member of the table's definition that names them."""
    backups: Amount = NOTHING

    @property
    def bytes(self) -> int:
        parts = [self.items, *self.indexes.values(), self.log, *self.further.values(), self.backups]
        return sum(part.bytes for part in parts)


@dataclass
class Footprint:
    measured_ms: int
    store: Size | None
    """None if the store is in memory."""
    tables: dict[str, TableRoom] = field(default_factory=dict)
    """The tables by name, also deleted ones that have backups."""
    discarded: Amount = NOTHING
    """Rows of deleted tables, indexes and backups, which are being deleted."""

    @property
    def other_bytes(self) -> int | None:
        if self.store is None:
            return None
        parts = sum(table.bytes for table in self.tables.values()) + self.discarded.bytes
        return max(0, self.store.total - (self.store.unused or 0) - parts)


class Footprints:
    """The last measurement of each region. Requests at the same time share one."""

    def __init__(self) -> None:
        self._taken: dict[str, tuple[int, asyncio.Task[Footprint]]] = {}

    async def of(self, region: Region) -> Footprint:
        now_ms = monotonic_ns() // 1_000_000
        taken_ms, measuring = self._taken.get(region.key, (0, None))
        if measuring is None or (measuring.done() and (now_ms - taken_ms > FRESH_MS or measuring.exception())):
            measuring = asyncio.create_task(measure(region))
            self._taken[region.key] = now_ms, measuring
        return await asyncio.shield(measuring)


async def measure(region: Region) -> Footprint:
    """Measure a region, each table in a separate read, so that other requests run in between."""
    found = Footprint(region.clock.now_ms(), await region.engine.size())
    for name in await region.read(_names):
        found.tables[name] = await region.read(partial(_of_table, name=name))
        await asyncio.sleep(0)
    for backup, amount in await region.read(_of_backups):
        room = found.tables.setdefault(backup, TableRoom())
        room.backups += amount
    found.discarded = await region.read(_of_discarded)
    return found


def _names(snapshot: Snapshot) -> list[str]:
    return [fmt.subject_of(key).decode() for key, _ in snapshot.scan(*fmt.TABLES)]


def _of_table(snapshot: Snapshot, name: str) -> TableRoom:
    room, stored = TableRoom(), snapshot.get(fmt.table_key(name))
    if stored is None:  # it was deleted meanwhile
        return room
    table: Table = load(Table, stored)
    room.items = tallied(snapshot, table.space)
    room.log = _log(snapshot, table.log_space) or NOTHING
    for index in table.indexes:
        room.indexes[index.name] = tallied(snapshot, index.space)
    for vectors in table.vector_indexes:
        entries, log = tallied(snapshot, vectors.space), estimated(snapshot, vectors.log_space)
        room.indexes[vectors.name] = Amount(entries.rows, entries.bytes + log.bytes)
    for member, space in further_spaces(table):
        room.further[member] = room.further.get(member, NOTHING) + estimated(snapshot, space)
    return room


def further_spaces(table: Table) -> Iterator[tuple[str, int]]:
    """The spaces of a table besides its items, indexes and log, each with a member of the definition that names it."""
    if table.tombstone_space is not None:
        yield "tombstones", table.tombstone_space
    for member in fields(table):
        value: Any = getattr(table, member.name)
        for part in value if isinstance(value, tuple) else (value,):
            space = getattr(part, "space", None) if is_dataclass(part) and member.name not in _INDEXES else None
            if isinstance(space, int):
                yield member.name, space


def _of_backups(snapshot: Snapshot) -> list[tuple[str, Amount]]:
    return [(backup.table.name, tallied(snapshot, backup.space)) for backup in backups.listed(snapshot)]


def _of_discarded(snapshot: Snapshot) -> Amount:
    spaces = [load(Garbage, stored).space for _, stored in snapshot.scan(*fmt.GARBAGE, limit=COUNTED_ROWS)]
    kept = {backup.space for backup in backups.listed(snapshot)}
    spaces = [space for space in spaces if space not in kept]
    return sum((_log(snapshot, space) or estimated(snapshot, space) for space in spaces), NOTHING)


_INDEXES = ("indexes", "vector_indexes")


# Estimates


def _stored_bytes(key: bytes, value: bytes) -> int:
    return 2 * len(key) + len(value) + ROW_BYTES


def tallied(snapshot: Snapshot, space: int) -> Amount:
    """The amount of a space that has a tally of its rows, and whose keys begin with hashes."""
    count = snapshot.tally(fmt.count_counter(space))
    start, end = fmt.space_range(space)
    if count <= SEEKS:
        sizes = [_stored_bytes(*row) for row in snapshot.scan(start, end, limit=SEEKS)]
    else:
        places = [fmt.hash_start(space, place * HASHES // SEEKS) for place in range(SEEKS)]
        sizes = [_stored_bytes(*row) for row in snapshot.first([(place, end) for place in places]) if row is not None]
    return Amount(count, count * sum(sizes) // len(sizes) if sizes else 0)


def estimated(snapshot: Snapshot, space: int) -> Amount:
    """The amount of a space without a tally, estimated from its first rows and its last one."""
    start, end = fmt.space_range(space)
    rows = list(snapshot.scan(start, end, limit=COUNTED_ROWS))
    size = sum(_stored_bytes(*row) for row in rows)
    if len(rows) < COUNTED_ROWS:
        return Amount(len(rows), size)
    (last,) = snapshot.scan(start, end, reverse=True, limit=1)
    first, middle, final = (fmt.hash_number(key) for key in (rows[0][0], rows[-1][0], last[0]))
    times = (final - first) / (middle - first) if middle > first else 1.0
    return Amount(round(len(rows) * times), round(size * times))


def _log(snapshot: Snapshot, log_space: int) -> Amount | None:
    """The amount of a log, from the consecutive numbers of each shard's changes. None if there are no shards."""
    found = list(shards.listed(snapshot, log_space, 0, (1 << 32) - 1))
    if not found:
        return None
    seeks = max(1, SEEKS // max(1, len(found)))
    total = Amount()
    for shard in found:
        prefix = shard.change_prefix(log_space)
        ends = fmt.change_key(prefix, 0), fmt.change_key(prefix, (1 << 64) - 1)
        first, last = next(snapshot.scan(*ends, limit=1), None), next(snapshot.scan(*ends, reverse=True, limit=1), None)
        if first is None or last is None:
            continue
        low, high = fmt.parse_sequence(first[0]), fmt.parse_sequence(last[0])
        count = high - low + 1
        places = [fmt.change_key(prefix, low + count * place // seeks) for place in range(seeks)]
        sizes = [_stored_bytes(*row) for row in snapshot.first([(place, ends[1]) for place in places]) if row]
        total += Amount(count, count * sum(sizes) // max(1, len(sizes)))
    return total
