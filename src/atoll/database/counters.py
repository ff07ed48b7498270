"""Update the counters that a write changes: those of the table and of the item's collection, and the greatest time."""

from __future__ import annotations

from atoll import limits
from atoll.database import format as fmt
from atoll.database.schema import Table
from atoll.errors import tables as table_errors
from atoll.model.values import Item
from atoll.storage.engine import Transaction

Stored = tuple[int, bytes]
"""An item's size and JSON."""


def count(
    tx: Transaction, table: Table, key: Item, before: Stored | None, after: Stored | None, *, limited: bool
) -> None:
    """Count a write. If `limited`, refuse one that makes its item collection too large."""
    rows = (after is not None) - (before is not None)
    size = (after[0] if after else 0) - (before[0] if before else 0)
    if rows:
        tx.add_tally(fmt.count_counter(table.space), rows)
    if size:
        tx.add_tally(fmt.bytes_counter(table.space), size)
        if table.local_indexes:
            counter = collection(table, key)
            tx.add_tally(counter, size)
            if tx.tally(counter) > limits.ITEM_COLLECTION_BYTES and size > 0 and limited:
                raise table_errors.item_collection_too_large()


def collection(table: Table, key: Item) -> bytes:
    """The counter of the item's collection: all items of the table with the same partition key."""
    return fmt.collection_counter(table.prefix + table.keys.encode_partition(key))


def reserve(tx: Transaction, time: int) -> None:
    """Raise the time that no version exceeds."""
    missing = time - tx.number(fmt.GREATEST_TIME)
    if missing > 0:
        tx.add_number(fmt.GREATEST_TIME, missing)
