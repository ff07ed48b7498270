"""The shards of a change log, and their life.

A table's partitions divide the hashes of its partition keys among them. Each partition has one open shard, which
numbers the changes of its items; all changes of an item are therefore in one shard, or in a shard and its descendants.
A shard is closed, and followed by children that share its range of hashes,

    when it is 4 hours old and the table has a stream   (`rotate`: one child)
    when the table needs more partitions                (`split`, `repartition`: several children)
    when a stream begins or ends                        (`streams`: one child)

so every shard belongs to one stream or to none. Partitions are never merged: a shard has at most one parent.

Numbers. Shards of a log are numbered as they are opened; the greatest number is always an open one. Closing a shard
takes one sequence number, which no change has, and its children go on after it: along a lineage numbers only grow.

Rows. The table holds its open shards, for the writers. Each shard also has a row of its own, from which it can be read
when it is closed, or when the table is gone. `trim` deletes changes that are 24 hours old, then closed shards without
changes. A row says when a shard is to be looked at next, so that shards with nothing to trim cost nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import lru_cache

from atoll import arns, limits
from atoll.clock import Stamp
from atoll.database import catalog, changes
from atoll.database import format as fmt
from atoll.database.region import Region
from atoll.database.schema import HASHES, ON_DEMAND, Shard, Table, dump, load
from atoll.errors import streams as texts
from atoll.storage.engine import Snapshot, Transaction

# The most that one call of a step does.
ROTATED_TABLES = 10
TRIMMED_SHARDS = 100
TRIMMED_CHANGES = 500

TRIM_INTERVAL_MS = 60_000
"""A shard is looked at this often at most, so changes live up to that much longer."""


@lru_cache(maxsize=4096)
def parse(stored: bytes) -> Shard:
    shard: Shard = load(Shard, stored)
    return shard


def find(snapshot: Snapshot, log_space: int, number: int) -> Shard | None:
    stored = snapshot.get(fmt.shard_key(log_space, number))
    return None if stored is None else parse(stored)


def listed(snapshot: Snapshot, log_space: int, first: int, end: int, *, limit: int | None = None) -> Iterator[Shard]:
    """Shards with first <= number < end that are not wholly trimmed: parents come before their children."""
    for _, stored in snapshot.scan(fmt.shard_key(log_space, first), fmt.shard_key(log_space, end), limit=limit):
        yield parse(stored)


def end_sequence(snapshot: Snapshot, log_space: int, shard: Shard) -> int:
    """The number after that of the last change. A closed shard gets none with it or after it."""
    if shard.last_sequence is not None:
        return shard.last_sequence
    return snapshot.number(fmt.sequence_counter(log_space, shard.number)) + 1


def first_sequence(snapshot: Snapshot, log_space: int, shard: Shard) -> int:
    """The number of the oldest change that is not trimmed, or the one at which the shard ends."""
    for sequence, _ in changes.read(snapshot, log_space, shard.number, shard.first_sequence, limit=1):
        return sequence
    return end_sequence(snapshot, log_space, shard)


def next_number(table: Table) -> int:
    return max((shard.number for shard in table.shards), default=-1) + 1


# Partitions


def partitions(table: Table, size: int) -> int:
    """How many partitions a table of so many bytes needs. For provisioned throughput and size this is the published
    arithmetic; on demand, where reads and writes are not provisioned together, each of the two has to fit."""
    if table.billing_mode == ON_DEMAND:
        warm = table.warm_throughput()
        units = max(-(-warm.read // limits.PARTITION_READ_UNITS), -(-warm.write // limits.PARTITION_WRITE_UNITS))
    else:
        share = limits.PARTITION_READ_UNITS // limits.PARTITION_WRITE_UNITS
        read_equivalents = table.throughput.read + share * table.throughput.write
        units = -(-read_equivalents // limits.PARTITION_READ_UNITS)
    return min(max(1, units, -(-size // limits.PARTITION_BYTES)), limits.PARTITIONS)


def divide(shards: Iterable[Shard], count: int) -> list[tuple[Shard, int]]:
    """Which shards to split, into how many pieces each, so that there are `count`: always the widest."""
    pieces = dict.fromkeys(shards, 1)

    def width(shard: Shard) -> tuple[int, int]:
        return (shard.last_hash - shard.first_hash) // pieces[shard], -shard.first_hash

    while sum(pieces.values()) < count:
        pieces[max(pieces, key=width)] += 1
    return [(shard, number) for shard, number in pieces.items() if number > 1]


# Opening and closing. These return the table as it is to be saved.


def open_first(tx: Transaction, table: Table, now_ms: int) -> Table:
    """The shards of a new table."""
    whole = Shard(0, None, 0, HASHES - 1, now_ms, 1)
    shards = tuple(_open(tx, table.log_space, s) for s in _pieces(whole, partitions(table, 0), 0))
    return replace(table, shards=shards)


def follow(tx: Transaction, table: Table, closing: Iterable[tuple[Shard, int]], now_ms: int) -> Table:
    """Close shards; each is followed by that many children."""
    number = next_number(table)
    opened: list[Shard] = []
    closed = set()
    for shard, count in closing:
        last = close(tx, table.log_space, shard, now_ms)
        child = replace(
            shard,
            parent=shard.number,
            parent_opened_ms=shard.opened_ms,
            opened_ms=max(now_ms, shard.opened_ms),
            first_sequence=last + 1,
        )
        opened += (_open(tx, table.log_space, s) for s in _pieces(child, count, number))
        number += count
        closed.add(shard.number)
    kept = [shard for shard in table.shards if shard.number not in closed]
    return replace(table, shards=tuple(sorted(kept + opened, key=lambda shard: shard.first_hash)))


def follow_all(tx: Transaction, table: Table, now_ms: int) -> Table:
    return follow(tx, table, [(shard, 1) for shard in table.shards], now_ms)


def close(tx: Transaction, log_space: int, shard: Shard, now_ms: int) -> int:
    """Returns the number at which it was closed. Its counter is not needed any more."""
    counter = fmt.sequence_counter(log_space, shard.number)
    last = tx.number(counter) + 1
    tx.add_number(counter, 1 - last)
    closed = replace(shard, last_sequence=last, closed_ms=max(now_ms, shard.opened_ms))
    tx.put(fmt.shard_key(log_space, shard.number), dump(closed))
    return last


def _pieces(shard: Shard, count: int, number: int) -> Iterator[Shard]:
    width = shard.last_hash + 1 - shard.first_hash
    bounds = [shard.first_hash + width * i // count for i in range(count + 1)]
    for i in range(count):
        yield replace(shard, number=number + i, first_hash=bounds[i], last_hash=bounds[i + 1] - 1)


def _open(tx: Transaction, log_space: int, shard: Shard) -> Shard:
    row = fmt.shard_key(log_space, shard.number)
    tx.put(row, dump(shard))
    tx.put(fmt.due_key(shard.opened_ms + limits.STREAM_RETENTION_MS, row), b"")
    tx.add_number(fmt.sequence_counter(log_space, shard.number), shard.first_sequence - 1)
    return shard


def repartition(tx: Transaction, table: Table, now_ms: int) -> Table:
    """The table with as many partitions as its throughput and size need, or those it has, if they are more."""
    size = tx.tally(fmt.bytes_counter(table.space))
    return follow(tx, table, divide(table.shards, partitions(table, size)), now_ms)


# Steps


def rotate(tx: Transaction, region: Region, stamp: Stamp) -> int | None:
    """Close the shards of streams that are 4 hours old."""
    now_ms = stamp.now_ms
    wakes = []
    rotated = 0
    for table in region.catalog.tables(tx):
        if table.stream is None or not table.stream.enabled or table.status == "DELETING":
            continue
        if table.oldest_shard_ms + limits.STREAM_ROTATION_MS <= now_ms:
            if rotated == ROTATED_TABLES:
                return now_ms
            rotated += 1
            old = [(s, 1) for s in table.shards if s.opened_ms + limits.STREAM_ROTATION_MS <= now_ms]
            table = follow(tx, table, old, now_ms)
            catalog.save(tx, table)
        wakes.append(table.oldest_shard_ms + limits.STREAM_ROTATION_MS)
    return min(wakes, default=None)


def split(tx: Transaction, region: Region, stamp: Stamp) -> int | None:
    """Give tables that have grown the partitions that their size needs. Only writes make them grow, never time."""
    now_ms = stamp.now_ms
    tables = region.catalog.tables(tx)
    tx.prefetch(tallies=[fmt.bytes_counter(table.space) for table in tables])
    for table in tables:
        size = tx.tally(fmt.bytes_counter(table.space))
        if size > len(table.shards) * limits.PARTITION_BYTES and table.status != "DELETING":
            catalog.save(tx, repartition(tx, table, now_ms))
    return None


def trim(tx: Transaction, region: Region, stamp: Stamp) -> int | None:
    """Delete what is 24 hours old: changes, then closed shards, then streams."""
    now_ms = stamp.now_ms
    left = TRIMMED_CHANGES
    due = [(key, *fmt.parse_due(key)) for key, _ in tx.scan(*fmt.DUE, limit=TRIMMED_SHARDS)]
    for key, due_ms, row in due:
        if due_ms > now_ms:
            return due_ms
        if left <= 0:
            return now_ms
        tx.delete(key)
        if not row.startswith(fmt.SHARDS[0]):
            tx.delete(row)
            continue
        deleted, next_ms = _trim(tx, *fmt.parse_shard_key(row), now_ms, left)
        left -= deleted
        if next_ms is None:
            tx.delete(row)
        else:
            tx.put(fmt.due_key(next_ms, row), b"")
    return now_ms if due else None


def _trim(tx: Transaction, log_space: int, number: int, now_ms: int, limit: int) -> tuple[int, int | None]:
    """How many changes were deleted, and when to come again; never, if the shard is over."""
    horizon_ms = now_ms - limits.STREAM_RETENTION_MS
    deleted = 0
    for sequence, change in changes.read(tx, log_space, number, 0):
        if change.written_ms > horizon_ms:
            return deleted, max(change.written_ms + limits.STREAM_RETENTION_MS, now_ms + TRIM_INTERVAL_MS)
        if deleted == limit:
            return deleted, now_ms
        tx.delete(fmt.change_key(log_space, number, sequence))
        deleted += 1
    shard = find(tx, log_space, number)
    if shard is None:
        return deleted, None
    if shard.closed_ms is None:
        return deleted, now_ms + limits.STREAM_RETENTION_MS
    return deleted, shard.closed_ms + limits.STREAM_RETENTION_MS if shard.closed_ms > horizon_ms else None


# By hand, for those who test their consumers. `name` is a table's name, its ARN or a stream's.


def force_rotate(tx: Transaction, region: Region, name: str, now_ms: int) -> Table:
    """Close all open shards; each gets a child."""
    table = follow_all(tx, _named(tx, region, name, now_ms), now_ms)
    catalog.save(tx, table)
    return table


def force_split(tx: Transaction, region: Region, name: str, now_ms: int) -> Table:
    """Close all open shards; each gets two children."""
    table = _named(tx, region, name, now_ms)
    table = follow(tx, table, [(shard, 2) for shard in table.shards], now_ms)
    catalog.save(tx, table)
    return table


def force_trim(tx: Transaction, region: Region, name: str, now_ms: int, *, limit: int = 5_000) -> bool:
    """Delete changes as if they were 24 hours old. Returns whether there are more of them."""
    log_space = _named(tx, region, name, now_ms).log_space
    rows = [key for key, _ in tx.scan(*fmt.space_range(log_space), limit=limit)]
    for row in rows:
        tx.delete(row)
    return len(rows) == limit


def _named(tx: Transaction, region: Region, name: str, now_ms: int) -> Table:
    arn = arns.parse(name)
    table = region.catalog.described(tx, name if arn is None else arn.table, now_ms)
    if table.stream is None:
        raise texts.no_stream(name)
    return table
