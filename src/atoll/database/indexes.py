"""Secondary indexes: which entries an item has, and what a change of the item changes in them.

An entry is written, replaced or deleted in the same transaction as its item. An item without all of an index's key
attributes has no entry in it (a sparse index).
"""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass

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


def check_updated_keys(table: Table, item: Item, updated: Container[str]) -> None:
    """What an update made is told in words of its own. `updated` are the attributes that it touched."""
    for index in table.indexes:
        for name, type_ in index.keys.name_types:
            value = item.get(name)
            if value is None or name not in updated:
                continue
            if type_ not in value:
                raise texts.index_key_update()
            if not value[type_]:
                raise texts.empty_index_key_update(type_)
    check_keys(table, item)


def entry_key(table: Table, index: Index, item: Item) -> bytes | None:
    for attribute in index.keys.attributes:
        # An item from before the index may have another type there, or nothing, which an index key cannot be.
        if not item.get(attribute.name, _ABSENT).get(attribute.type):
            return None
    return fmt.space_prefix(index.space) + index.keys.encode(item) + _table_suffix(table, item)


_ABSENT: values.AttributeValue = {}


def _table_suffix(table: Table, item: Item) -> bytes:
    """What tells entries of equal index keys apart: the table's own key, without its hash."""
    return table.keys.encode(item)[8:]


def projected(table: Table, index: Index, item: Item) -> Item:
    if index.projection.type == "ALL":
        return item
    names = {*table.keys.names, *index.keys.names, *index.projection.attributes}
    return {name: value for name, value in item.items() if name in names}


def entry(table: Table, index: Index, item: Item) -> tuple[bytes, bytes] | None:
    """The item's row in the index, if it has one."""
    key = entry_key(table, index, item)
    if key is None:
        return None
    if index.projection.type == "ALL":
        return key, fmt.entry_row(values.item_size(item), orjson.dumps(item))
    part = projected(table, index, item)
    return key, fmt.entry_row(values.item_size(part), orjson.dumps(part))


def apply(tx: Transaction, table: Table, old: Item | None, new: Item | None) -> list[Arm]:
    """Bring all indexes from the old item to the new one; the arms are those that were touched."""
    arms = []
    for index in table.indexes:
        if index.status == "DELETING":
            continue
        before = entry(table, index, old) if old is not None else None
        after = entry(table, index, new) if new is not None else None
        if index.backfilling and before is not None and tx.get(before[0]) is None:
            before = None  # the backfill has not come to this item yet
        if before == after:
            continue
        moved = before is not None and after is not None and before[0] != after[0]
        if before is not None and (after is None or moved):
            tx.delete(before[0])
        if after is not None:
            tx.put(*after)
        _count(tx, index, before, after)
        arms.append(Arm(index, _size(before), _size(after), moved))
    return arms


def add(tx: Transaction, table: Table, index: Index, item: Item) -> None:
    """Give a stored item its entry in an index that is being made, unless a write has done so."""
    row = entry(table, index, item)
    if row is not None and tx.get(row[0]) is None:
        tx.put(*row)
        _count(tx, index, None, row)


def _size(row: tuple[bytes, bytes] | None) -> int | None:
    return None if row is None else fmt.Entry(row[1]).size


def _count(
    tx: Transaction, index: Index, before: tuple[bytes, bytes] | None, after: tuple[bytes, bytes] | None
) -> None:
    rows = (after is not None) - (before is not None)
    size = (_size(after) or 0) - (_size(before) or 0)
    if rows:
        tx.add(fmt.count_counter(index.space), rows)
    if size:
        tx.add(fmt.bytes_counter(index.space), size)
