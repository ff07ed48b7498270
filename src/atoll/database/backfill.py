"""Build or delete global indexes and vector indexes while their table is in use.

Once an index is in the catalog, every write maintains it. The backfill walks over the existing items, a few in each
transaction, and writes their index entries. It stores its progress in the same transaction, so a crash loses nothing.
It skips items whose attributes do not fit the index's keys.
"""

from __future__ import annotations

from dataclasses import replace

from atoll.database import catalog, garbage, indexes
from atoll.database import format as fmt
from atoll.database.region import Region
from atoll.database.rows import Row
from atoll.database.schema import Index, Table
from atoll.database.vectors import entries as vectors
from atoll.database.vectors import rows
from atoll.database.vectors.definition import VectorIndex
from atoll.database.walk import walk
from atoll.storage.engine import Transaction
from atoll.versions import Stamp

ITEMS = 200


def change_indexes(tx: Transaction, region: Region, stamp: Stamp, name: bytes) -> int | None:
    """Job: continue the backfill of a table's new index, or remove its index that is being deleted."""
    now_ms = stamp.now_ms
    table = region.catalog.find(tx, name.decode())
    index = None if table is None or table.status == "DELETING" else table.changing_index(now_ms)
    if table is None or index is None:
        return None
    if index.due_ms > now_ms:
        return index.due_ms
    if index.status == "DELETING":
        _remove(tx, table, index, now_ms)
    elif _backfill(tx, table, index):
        catalog.save(tx, table.with_index(replace(index, status="ACTIVE", backfilling=False)))
    else:
        return now_ms
    return None


def _remove(tx: Transaction, table: Table, index: Index | VectorIndex, now_ms: int) -> None:
    tx.delete(fmt.backfill_key(index.space))
    for space in index.spaces:
        garbage.discard(tx, space, now_ms)
    if isinstance(index, VectorIndex):
        rows.forget(tx, index.log_space)
    catalog.save(tx, table.without_index(index.name))


def _backfill(tx: Transaction, table: Table, index: Index | VectorIndex) -> bool:
    """Index some items; returns whether all are done."""

    def visit(row_key: bytes, stored: bytes) -> None:
        if isinstance(index, VectorIndex):
            vectors.add(tx, table, index, row_key, Row(stored))
        else:
            indexes.add(tx, table, index, row_key, Row(stored))

    return walk(tx, table.space, fmt.backfill_key(index.space), ITEMS, visit)
