"""Delete tables: the definition at once, then the rows, a few per transaction, since there may be many."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from atoll.clock import Stamp
from atoll.database import format as fmt
from atoll.database import streams
from atoll.database.log import retention
from atoll.database.region import Region
from atoll.database.schema import Table, dump, load
from atoll.database.walk import piece
from atoll.storage.engine import Snapshot, Transaction

SWEEP_ROWS = 1_000


@dataclass(frozen=True)
class Garbage:
    """A discarded space; its rows may be deleted from `due_ms` on."""

    space: int
    due_ms: int
    collections: str = ""
    """The type of the partition key, where item collections have counters."""


def drop(tx: Transaction, table: Table, now_ms: int) -> None:
    """Remove the table from the catalog. Its log stays as long as its readers need it."""
    streams.table_removed(tx, table, now_ms)
    tx.delete(fmt.table_key(table.name))
    tx.add_number(fmt.GENERATION, 1)
    tx.delete(fmt.backfill_key(table.space))
    discard(tx, table.space, now_ms, table.keys.partition[0].type if table.local_indexes else "")
    spaces = [index.space for index in table.indexes]
    if table.ttl is not None:
        spaces.append(table.ttl.space)
    for space in spaces:
        tx.delete(fmt.backfill_key(space))
        discard(tx, space, now_ms)
    discard(tx, table.log_space, now_ms + retention.of(table).keep_ms)


def discard(tx: Transaction, space: int, due_ms: int, collections: str = "") -> None:
    tx.put(fmt.garbage_key(space), dump(Garbage(space, due_ms, collections)))


def due_ms(snapshot: Snapshot, space: int) -> int:
    """The time from which a discarded space may be deleted; 0 if it is deleted already."""
    stored = snapshot.get(fmt.garbage_key(space))
    if stored is None:
        return 0
    garbage: Garbage = load(Garbage, stored)
    return garbage.due_ms


def finish_deletions(tx: Transaction, region: Region, stamp: Stamp) -> int | None:
    """Step: drop the tables whose DELETING period is over."""
    now_ms = stamp.now_ms
    wakes = []
    for table in region.catalog.tables(tx):
        if table.gone_at(now_ms):
            drop(tx, table, now_ms)
        elif table.status == "DELETING":
            wakes.append(table.due_ms)
    return min(wakes, default=None)


def sweep(tx: Transaction, region: Region, stamp: Stamp) -> int | None:
    """Step: delete some rows of discarded spaces."""
    now_ms = stamp.now_ms
    wakes = []
    for key, stored in list(tx.scan(*fmt.GARBAGE)):
        garbage: Garbage = load(Garbage, stored)
        if garbage.due_ms > now_ms:
            wakes.append(garbage.due_ms)
            continue
        rows, all_ = piece(tx.scan(*fmt.space_range(garbage.space)), SWEEP_ROWS)
        for row, _ in rows:
            tx.delete(row)
        if garbage.collections:
            prefixes = {fmt.collection_prefix(row, garbage.collections) for row, _ in rows}
            _clear(tx, map(fmt.collection_counter, prefixes))
        if not all_:
            return now_ms
        tx.delete(key)
        _clear(tx, (counter(garbage.space) for counter in (fmt.count_counter, fmt.bytes_counter, fmt.expired_counter)))
    return min(wakes, default=None)


def _clear(tx: Transaction, counters: Iterable[bytes]) -> None:
    for counter in counters:
        tx.add_tally(counter, -tx.tally(counter))
