"""Secondary indexes: compute an item's entries, and update them when the item changes.

A write updates an item's entries in the same transaction as the item. An item that lacks a key attribute of an index
has no entry in it (a sparse index).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import orjson

from atoll.database import format as fmt
from atoll.database import keys
from atoll.database import rows as item_rows
from atoll.database.schema import Index, Table
from atoll.database.stored import Stored
from atoll.database.vectors import entries as vectors
from atoll.errors import tables as table_errors
from atoll.model import values
from atoll.model.comparison import items_equal
from atoll.model.values import Item
from atoll.storage.engine import Transaction


@dataclass(slots=True)
class IndexWrite:
    """A write to one index, to charge it: the sizes of the entry before and after, None if there is no entry."""

    index: Index
    before: int | None
    after: int | None
    key: bytes
    """The entry's key."""
    moved_from: bytes | None = None
    """The entry's old key if the key changed: one entry was deleted and another written."""

    @property
    def moved(self) -> bool:
        return self.moved_from is not None


def check_keys(table: Table, item: Item) -> None:
    """Check that an item's index key attributes have the index's types and are not too long, and that vectors fit their
    indexes."""
    for index in table.indexes:
        for name, type_ in index.keys.name_types:
            value = item.get(name)
            if value is not None and not 0 < len(value.get(type_, "")) <= keys.SHORT:
                _check_keys(table, item)
    if table.vector_indexes:
        vectors.check(table, item)


def _check_keys(table: Table, item: Item) -> None:
    present = [
        (index, attribute, item[attribute.name])
        for index in table.indexes
        for attribute in index.keys.attributes
        if attribute.name in item
    ]
    for index, attribute, value in present:
        if attribute.type in value:
            keys.check_length(attribute, item, sort=attribute in index.keys.sort)
    for index, attribute, value in present:
        if attribute.type not in value:
            raise table_errors.index_key_type(attribute.name, attribute.type, next(iter(value)), index.name)
        if not value[attribute.type]:
            raise table_errors.empty_index_key(attribute.name, attribute.type, index.name)


def check_updated_keys(table: Table, before: Item, after: Item, *, by_expression: bool) -> None:
    """Check index keys after an update. Values computed by an update expression have their own error texts. Unchanged
    attributes may have any type and length, since the item may be older than the index."""
    changed: Item = {}
    for index in table.indexes:
        for name, type_ in index.keys.name_types:
            value = after.get(name)
            if value is None:
                continue
            if not value.get(type_, " "):
                if by_expression:
                    raise table_errors.empty_index_key_update(type_)
                raise table_errors.empty_index_key(name, type_, index.name)
            if value != before.get(name):
                if type_ not in value:
                    raise table_errors.index_key_update()
                changed[name] = value
    check_keys(table, changed)
    if table.vector_indexes:
        vectors.check_updated(table, before, after)


def entry_key(index: Index, item: Item, row_key: bytes) -> bytes | None:
    """The key of the item's entry; None if it has none. `row_key` is the item's own key."""
    if not keys.fits(index.keys, item):  # an item older than the index may have other values there
        return None
    return fmt.entry_key(index.space, index.keys.encode(item), row_key)


class NewEntry(NamedTuple):
    key: bytes
    item: Item
    """The attributes of the item that the index projects."""
    row: bytes
    size: int


def entry(table: Table, index: Index, of: Stored | None, row_key: bytes) -> NewEntry | None:
    """The item's index entry; None if there is no item or it has no entry."""
    if of is None:
        return None
    key = entry_key(index, of.item, row_key)
    if key is None:
        return None
    if index.projection.type == "ALL":
        return NewEntry(key, of.item, item_rows.entry_row(of.size, of.json), of.size)
    names = table.projected_names(index)
    part = {name: value for name, value in of.item.items() if name in names}
    size = values.item_size(part)
    return NewEntry(key, part, item_rows.entry_row(size, orjson.dumps(part)), size)


def apply(tx: Transaction, table: Table, row_key: bytes, old: Stored | None, new: Stored | None) -> list[IndexWrite]:
    """Update all indexes from the old item to the new one; returns an IndexWrite for each changed index."""
    index_writes = []
    for index in table.indexes:
        if index.status == "DELETING":
            continue
        before, after = entry(table, index, old, row_key), entry(table, index, new, row_key)
        if index.backfilling and before is not None and tx.get(before.key) is None:
            before = None  # the backfill has not reached this item yet
        if same_entry(index, before, after):
            continue
        moved_from = None
        if before is not None and (after is None or before.key != after.key):
            tx.delete(before.key)
            moved_from = None if after is None else before.key
        if after is not None:
            tx.put(after.key, after.row)
        _count(tx, index, before, after)
        sizes = before.size if before else None, after.size if after else None
        either = after or before
        assert either is not None
        index_writes.append(IndexWrite(index, *sizes, either.key, moved_from))
    return index_writes


def uncertain_entries(table: Table, row_key: bytes, old: Stored | None) -> list[bytes]:
    """The keys of entries that may be missing, because the backfill may not have reached the item yet."""
    if old is None:
        return []
    found = [entry_key(index, old.item, row_key) for index in table.indexes if index.backfilling]
    return [*(key for key in found if key is not None), *vectors.uncertain(table, row_key, old)]


def same_entry(index: Index, before: NewEntry | None, after: NewEntry | None) -> bool:
    """Whether two entries are equal, ignoring the order of maps and sets."""
    if before is None or after is None:
        return before is after
    return index.projection.type != "ALL" and items_equal(before.item, after.item)


def add(tx: Transaction, table: Table, index: Index, row_key: bytes, item: Stored) -> None:
    """Add a stored item's entry to an index under construction, unless a write has added it already."""
    made = entry(table, index, item, row_key)
    if made is not None and tx.get(made.key) is None:
        tx.put(made.key, made.row)
        _count(tx, index, None, made)


def _count(tx: Transaction, index: Index, before: NewEntry | None, after: NewEntry | None) -> None:
    rows = (after is not None) - (before is not None)
    size = (after.size if after else 0) - (before.size if before else 0)
    if rows:
        tx.add_tally(fmt.count_counter(index.space), rows)
    if size:
        tx.add_tally(fmt.bytes_counter(index.space), size)
