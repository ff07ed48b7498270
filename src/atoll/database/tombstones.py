"""Drop the tombstones that no replica needs any more: a background job of each replica, once an hour."""

from __future__ import annotations

from atoll.clock import Stamp
from atoll.database import format as fmt
from atoll.database import links
from atoll.database.region import Region
from atoll.database.walk import walk
from atoll.storage.engine import Transaction

ROWS = 1_000
INTERVAL_MS = 3600 * 1000


def drop(tx: Transaction, region: Region, stamp: Stamp, name: bytes) -> int | None:
    """Job: look at some tombstones of a table."""
    table = region.catalog.find(tx, name.decode())
    if table is None or table.group is None or table.tombstone_space is None or table.status == "DELETING":
        return None
    stable = links.stable_time(tx, table)

    def visit(key: bytes, row: bytes) -> None:
        if fmt.parse_tombstone(row).time <= stable:
            tx.delete(key)

    if walk(tx, table.tombstone_space, fmt.backfill_key(table.tombstone_space), ROWS, visit):
        return (stamp.now_ms // INTERVAL_MS + 1) * INTERVAL_MS
    return stamp.now_ms
