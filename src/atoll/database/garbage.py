"""Discarded spaces: a job deletes their rows later, a few per transaction, since there may be many."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from atoll.database import due
from atoll.database import format as fmt
from atoll.database.records import dump, load
from atoll.database.region import Region
from atoll.database.schema import Table
from atoll.database.walk import piece
from atoll.storage.engine import Snapshot, Transaction
from atoll.versions import Stamp

SWEEP_ROWS = 1_000


@dataclass(frozen=True)
class Garbage:
    """A discarded space; its rows may be deleted from `due_ms` on."""

    space: int
    due_ms: int
    collections: str = ""
    """The type of the partition key, if item collections have counters."""


def collections_of(table: Table) -> str:
    return table.keys.partition[0].type if table.local_indexes else ""


def discard(tx: Transaction, space: int, due_ms: int, collections: str = "") -> None:
    row = fmt.garbage_key(space)
    tx.put(row, dump(Garbage(space, due_ms, collections)))
    due.schedule(tx, due_ms, fmt.SWEEP, fmt.subject_of(row))


def hasten(tx: Transaction, space: int, due_ms: int) -> None:
    """Delete a discarded space earlier than scheduled."""
    stored = tx.get(fmt.garbage_key(space))
    if stored is not None:
        garbage: Garbage = load(Garbage, stored)
        discard(tx, space, due_ms, garbage.collections)


def due_ms(snapshot: Snapshot, space: int) -> int:
    """The time from which a discarded space may be deleted; 0 if it is deleted already."""
    stored = snapshot.get(fmt.garbage_key(space))
    if stored is None:
        return 0
    garbage: Garbage = load(Garbage, stored)
    return garbage.due_ms


def sweep(tx: Transaction, region: Region, stamp: Stamp, subject: bytes) -> int | None:
    """Job: delete some rows of a discarded space."""
    key = fmt.due_row(fmt.SWEEP, subject)
    stored = tx.get(key)
    if stored is None:
        return None
    garbage: Garbage = load(Garbage, stored)
    if garbage.due_ms > stamp.now_ms:
        return garbage.due_ms
    rows, all_ = piece(tx.scan(*fmt.space_range(garbage.space)), SWEEP_ROWS)
    for row, _ in rows:
        tx.delete(row)
    if garbage.collections:
        prefixes = {fmt.collection_prefix(row, garbage.collections) for row, _ in rows}
        _clear(tx, map(fmt.collection_counter, prefixes))
    if not all_:
        return stamp.now_ms
    tx.delete(key)
    _clear(tx, (counter(garbage.space) for counter in (fmt.count_counter, fmt.bytes_counter, fmt.expired_counter)))
    return None


def _clear(tx: Transaction, counters: Iterable[bytes]) -> None:
    for counter in counters:
        tx.add_tally(counter, -tx.tally(counter))
