"""Update the counters that a write changes: those of the table and of the item's collection, and the greatest time."""

from __future__ import annotations

from atoll import limits
from atoll.database import format as fmt
from atoll.database.schema import Table
from atoll.database.stored import Stored
from atoll.errors import tables as table_errors
from atoll.model.values import Item
from atoll.storage.engine import Transaction


def count(tx: Transaction, table: Table, key: Item, old: Stored | None, new: Stored | None, *, limited: bool) -> None:
    """Count a write. If `limited`, refuse one that makes its item collection too large."""
    rows = (new is not None) - (old is not None)
    size = (0 if new is None else new.size) - (0 if old is None else old.size)
    if rows:
        tx.add_tally(table.count_tally, rows)
    if size:
        tx.add_tally(table.bytes_tally, size)
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
