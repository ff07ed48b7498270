"""The shards of a change log: how they open and close.

A table's partitions divide the hashes of its partition keys among them. Each partition has one open shard, which
numbers the changes of its items. So all changes of an item are in one shard, or in a shard and its descendants. A shard
is closed, and replaced by children that divide its range of hashes,

    when it is 4 hours old and the table has a stream   (`maintenance.rotate`: one child)
    when the table needs more partitions                (`maintenance.split`, `repartition`: several children)
    when a stream begins or ends                        (`streams`: one child)

so every shard belongs to one stream or to none. Partitions are never merged: a shard has at most one parent.

Numbers. Shards of a log are numbered in the order of opening; the greatest number is always an open shard's. Closing a
shard takes one sequence number, which no change has. Its children continue after it: along a lineage numbers only grow.

Rows. The table holds its open shards, for the writers. Each shard also has its own row, which readers use when the
shard is closed or the table is deleted. `maintenance.trim` deletes old changes, then closed shards without changes.
A row holds the time of a shard's next trim, so shards with nothing to trim cost nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import lru_cache

from atoll import limits
from atoll.database import due
from atoll.database import format as fmt
from atoll.database.records import dump, load
from atoll.database.schema import HASHES, ON_DEMAND, Shard, Table
from atoll.storage.engine import Snapshot, Transaction


@lru_cache(maxsize=4096)
def parse(stored: bytes) -> Shard:
    shard: Shard = load(Shard, stored)
    return shard


def find(snapshot: Snapshot, log_space: int, number: int) -> Shard | None:
    stored = snapshot.get(fmt.shard_key(log_space, number))
    return None if stored is None else parse(stored)


def listed(snapshot: Snapshot, log_space: int, first: int, end: int, *, limit: int | None = None) -> Iterator[Shard]:
    """The existing shards with first <= number < end, parents before their children."""
    for _, stored in snapshot.scan(fmt.shard_key(log_space, first), fmt.shard_key(log_space, end), limit=limit):
        yield parse(stored)


def next_number(table: Table) -> int:
    return max((shard.number for shard in table.shards), default=-1) + 1


# Partitions


def partitions(table: Table, size: int) -> int:
    """The number of partitions for a table of this size in bytes. Provisioned throughput and size follow the published
    arithmetic. On demand, reads and writes are not provisioned together, so each of the two must fit."""
    if table.billing_mode == ON_DEMAND:
        warm = table.warm_throughput()
        units = max(-(-warm.read // limits.PARTITION_READ_UNITS), -(-warm.write // limits.PARTITION_WRITE_UNITS))
    else:
        share = limits.PARTITION_READ_UNITS // limits.PARTITION_WRITE_UNITS
        read_equivalents = table.throughput.read + share * table.throughput.write
        units = -(-read_equivalents // limits.PARTITION_READ_UNITS)
    return min(max(1, units, -(-size // limits.PARTITION_BYTES)), limits.PARTITIONS)


def divide(shards: Iterable[Shard], count: int) -> list[tuple[Shard, int]]:
    """The shards to split, each with its number of pieces, to reach `count` shards: always splits the widest."""
    pieces = dict.fromkeys(shards, 1)

    def width(shard: Shard) -> tuple[int, int]:
        return (shard.last_hash - shard.first_hash) // pieces[shard], -shard.first_hash

    while sum(pieces.values()) < count:
        pieces[max(pieces, key=width)] += 1
    return [(shard, number) for shard, number in pieces.items() if number > 1]


# Opening and closing. Functions that return a table return the table to save.


def open_first(tx: Transaction, table: Table, now_ms: int) -> Table:
    """Open the first shards of a new table."""
    whole = Shard(0, None, 0, HASHES - 1, now_ms, 1)
    shards = tuple(_open(tx, table, s) for s in _pieces(whole, partitions(table, 0), 0))
    return replace(table, shards=shards)


def follow(tx: Transaction, table: Table, closing: Iterable[tuple[Shard, int]], now_ms: int) -> Table:
    """Close shards; open the given number of children for each."""
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
        opened += (_open(tx, table, s) for s in _pieces(child, count, number))
        number += count
        closed.add(shard.number)
    kept = [shard for shard in table.shards if shard.number not in closed]
    return replace(table, shards=tuple(sorted(kept + opened, key=lambda shard: shard.first_hash)))


def follow_all(tx: Transaction, table: Table, now_ms: int) -> Table:
    return follow(tx, table, [(shard, 1) for shard in table.shards], now_ms)


def close(tx: Transaction, log_space: int, shard: Shard, now_ms: int) -> int:
    """Close the shard and delete its counter; return its closing number."""
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


def _open(tx: Transaction, table: Table, shard: Shard) -> Shard:
    log_space = table.log_space
    row = fmt.shard_key(log_space, shard.number)
    tx.put(row, dump(shard))
    due.schedule(tx, shard.opened_ms + limits.STREAM_RETENTION_MS, fmt.TRIM, fmt.subject_of(row))
    tx.add_number(fmt.sequence_counter(log_space, shard.number), shard.first_sequence - 1)
    return shard


def repartition(tx: Transaction, table: Table, now_ms: int) -> Table:
    """The table with the partitions that its throughput and size need, but never fewer than it has."""
    size = tx.tally(table.bytes_tally)
    return follow(tx, table, divide(table.shards, partitions(table, size)), now_ms)
