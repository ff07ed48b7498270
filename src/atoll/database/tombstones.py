"""Drop tombstones that no replica needs any more: an hourly background job of each replica.

Each run raises the replica's floor: this replica will make no change with a version up to that time. The others learn
the floor. Once every replica has read all changes up to the least floor, each drops its tombstones up to it.
"""

from __future__ import annotations

from dataclasses import replace

from atoll.database import catalog, links
from atoll.database import format as fmt
from atoll.database import rows as item_rows
from atoll.database.group import DELETING, FLOOR_INTERVAL_MS, Group
from atoll.database.region import Region
from atoll.database.schema import Table
from atoll.database.walk import walk
from atoll.storage.engine import Transaction
from atoll.versions import Stamp

ROWS = 1_000


def drop(tx: Transaction, region: Region, stamp: Stamp, name: bytes) -> int | None:
    """Job: examine some tombstones of a table."""
    table = region.catalog.find(tx, name.decode())
    if table is None or table.group is None or table.tombstone_space is None or table.status == DELETING:
        return None
    progress = fmt.backfill_key(table.tombstone_space)
    group = table.group
    if tx.get(progress) is None:
        group = _begin(tx, stamp, table, group)

    def visit(key: bytes, row: bytes) -> None:
        if item_rows.parse_tombstone(row).time <= group.dropped:
            tx.delete(key)

    is_done = walk(tx, table.tombstone_space, progress, ROWS, visit)
    return stamp.now_ms + FLOOR_INTERVAL_MS if is_done else stamp.now_ms


def _begin(tx: Transaction, stamp: Stamp, table: Table, group: Group) -> Group:
    dropped = max(group.dropped, links.stable_time(tx, table))
    begun = replace(group, floor=max(group.floor, stamp.time), dropped=dropped)
    if begun != group:
        catalog.save(tx, replace(table, group=begun))
    return begun
