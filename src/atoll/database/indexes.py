"""Secondary indexes: which entries an item has, and what a change of the item changes in them.

An entry is written, replaced or deleted in the same transaction as its item. An item without all of an index's key
attributes has no entry in it (a sparse index).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Protocol

import orjson

from atoll.database import format as fmt
from atoll.database import keys
from atoll.database.schema import Index, Table
from atoll.errors import tables as texts
from atoll.model import values
from atoll.model.values import Item
from atoll.storage.engine import Transaction


@dataclass(frozen=True, slots=True)
class Arm:
    """What a write cost on one index. Sizes are those of the entries before and after, None where there is none."""

    index: Index
    before: int | None
    after: int | None
    moved: bool
    """The entry's key changed: one entry was deleted and another written."""


def check_keys(table: Table, item: Item) -> None:
    """An attribute that is a key of an index has to have the index's type, and the length of a key."""
    for index in table.indexes:
        for name, type_ in index.keys.name_types:
            value = item.get(name)
            if value is not None and not 0 < len(value.get(type_, "")) <= keys.SHORT:
                _check_keys(table, item)


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
            raise texts.index_key_type(attribute.name, attribute.type, next(iter(value)), index.name)
        if not value[attribute.type]:
            raise texts.empty_index_key(attribute.name, attribute.type, index.name)


def check_updated_keys(table: Table, before: Item, after: Item, *, by_expression: bool) -> None:
    """What an update expression made is told in words of its own. What an update left as it was may have any type and
    length, if the item is from before the index."""
    changed: Item = {}
    for index in table.indexes:
        for name, type_ in index.keys.name_types:
            value = after.get(name)
            if value is None:
                continue
            if not value.get(type_, " "):
                if by_expression:
                    raise texts.empty_index_key_update(type_)
                raise texts.empty_index_key(name, type_, index.name)
            if value != before.get(name):
                if type_ not in value:
                    raise texts.index_key_update()
                changed[name] = value
    check_keys(table, changed)


def entry_key(index: Index, item: Item, row_key: bytes) -> bytes | None:
    """Where the item's entry stands, if it has one. `row_key` is the item's own."""
    if not keys.fits(index.keys, item):  # an item from before the index may have anything there
        return None
    # Behind the index's key, the table's own key without its space and hash tells entries of equal keys apart.
    return fmt.space_prefix(index.space) + index.keys.encode(item) + row_key[12:]


class Stored(Protocol):
    """An item as it is stored, or will be."""

    @property
    def item(self) -> Item: ...
    @property
    def size(self) -> int: ...
    @property
    def json(self) -> bytes: ...


class Entry(NamedTuple):
    key: bytes
    item: Item
    """Of the item, what the index projects."""
    row: bytes
    size: int


def entry(table: Table, index: Index, of: Stored | None, row_key: bytes) -> Entry | None:
    """The row in the index of an item, if there is an item and it has one."""
    if of is None:
        return None
    key = entry_key(index, of.item, row_key)
    if key is None:
        return None
    if index.projection.type == "ALL":
        return Entry(key, of.item, fmt.entry_row(of.size, of.json), of.size)
    names = table.projected_names(index)
    part = {name: value for name, value in of.item.items() if name in names}
    size = values.item_size(part)
    return Entry(key, part, fmt.entry_row(size, orjson.dumps(part)), size)


def apply(tx: Transaction, table: Table, row_key: bytes, old: Stored | None, new: Stored | None) -> list[Arm]:
    """Bring all indexes from the old item to the new one; the arms are those that were touched."""
    arms = []
    for index in table.indexes:
        if index.status == "DELETING":
            continue
        before, after = entry(table, index, old, row_key), entry(table, index, new, row_key)
        if index.backfilling and before is not None and tx.get(before.key) is None:
            before = None  # the backfill has not come to this item yet
        if same_entry(index, before, after):
            continue
        moved = before is not None and after is not None and before.key != after.key
        if before is not None and (after is None or moved):
            tx.delete(before.key)
        if after is not None:
            tx.put(after.key, after.row)
        _count(tx, index, before, after)
        arms.append(Arm(index, before.size if before else None, after.size if after else None, moved))
    return arms


def uncertain_entries(table: Table, row_key: bytes, old: Stored | None) -> list[bytes]:
    """The keys of the entries that the item has, or that the backfill has not given it yet."""
    if old is None:
        return []
    found = [entry_key(index, old.item, row_key) for index in table.indexes if index.backfilling]
    return [key for key in found if key is not None]


def same_entry(index: Index, before: Entry | None, after: Entry | None) -> bool:
    """Whether a change of an item leaves its entry as it was, but perhaps for the order of maps and sets."""
    if before is None or after is None:
        return before is after
    return index.projection.type != "ALL" and values.items_equal(before.item, after.item)


def add(tx: Transaction, table: Table, index: Index, row_key: bytes, item: Stored) -> None:
    """Give a stored item its entry in an index that is being made, unless a write has done so."""
    made = entry(table, index, item, row_key)
    if made is not None and tx.get(made.key) is None:
        tx.put(made.key, made.row)
        _count(tx, index, None, made)


def _count(tx: Transaction, index: Index, before: Entry | None, after: Entry | None) -> None:
    rows = (after is not None) - (before is not None)
    size = (after.size if after else 0) - (before.size if before else 0)
    if rows:
        tx.add_tally(fmt.count_counter(index.space), rows)
    if size:
        tx.add_tally(fmt.bytes_counter(index.space), size)
