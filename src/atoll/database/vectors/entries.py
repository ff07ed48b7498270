"""Entries of vector indexes: compute and check those of an item, and update them with the item.

An item without the index's vector, or without its partition attribute, has no entry. A filter attribute may be missing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import orjson

from atoll import limits
from atoll.database import format as fmt
from atoll.database import keys
from atoll.database.schema import Table
from atoll.database.stored import Stored
from atoll.database.vectors import floats, rows
from atoll.database.vectors.definition import VectorIndex
from atoll.errors import vectors as errors
from atoll.model import values
from atoll.model.comparison import items_equal
from atoll.model.values import AttributeValue, Item
from atoll.storage.engine import Transaction


@dataclass(slots=True)
class VectorWrite:
    """A write to one vector index, to charge it."""

    index: VectorIndex
    size: int
    """The bytes to charge."""


class Entry(NamedTuple):
    key: bytes
    vector: bytes
    item: Item
    """The projected attributes besides the vector."""
    size: int

    @property
    def row(self) -> bytes:
        return rows.entry_row(self.size, self.vector, orjson.dumps(self.item))


def entry(table: Table, index: VectorIndex, of: Stored | None, row_key: bytes) -> Entry | None:
    """The item's entry; None if there is no item or it has no entry."""
    if of is None:
        return None
    item = of.item
    vector = floats.pack(item.get(index.attribute), index.dimensions)
    if vector is None or (index.keys is not None and not keys.fits(index.keys, item)):
        return None
    key = rows.entry_key(index.space, None if index.keys is None else index.keys.encode_partition(item), row_key)
    names = index.projected(table.keys)
    if names is None:
        part = {name: value for name, value in item.items() if name != index.attribute}
    else:
        part = {name: value for name, value in item.items() if name in names}
    size = len(index.attribute.encode()) + len(vector) + values.item_size(part)
    return Entry(key, vector, part, size)


def apply(tx: Transaction, table: Table, row_key: bytes, old: Stored | None, new: Stored | None) -> list[VectorWrite]:
    """Update all vector indexes from the old item to the new one."""
    return [
        VectorWrite(index, charged)
        for index in table.vector_indexes
        if index.status != "DELETING" and (charged := _apply(tx, table, index, row_key, old, new))
    ]


def _apply(
    tx: Transaction, table: Table, index: VectorIndex, row_key: bytes, old: Stored | None, new: Stored | None
) -> int:
    """Update one index; returns the bytes to charge, 0 if its entry stays the same."""
    before, after = entry(table, index, old, row_key), entry(table, index, new, row_key)
    if index.backfilling and before is not None and tx.get(before.key) is None:
        before = None  # the backfill has not reached this item yet
    if _same(before, after):
        return 0
    moved = before is not None and (after is None or before.key != after.key)
    if before is not None and moved:
        tx.delete(before.key)
        rows.log(tx, index.log_space, before.key)
    if after is not None:
        tx.put(after.key, after.row)
        if before is None or moved or _searched(index, before) != _searched(index, after):
            rows.log(tx, index.log_space, after.key)
    _count(tx, index, before, after)
    sizes = [max(one.size, limits.VECTOR_BYTES_LEAST) for one in (before, after) if one is not None]
    return sum(sizes) if moved else max(sizes)


def _same(before: Entry | None, after: Entry | None) -> bool:
    if before is None or after is None:
        return before is after
    return before.key == after.key and before.vector == after.vector and items_equal(before.item, after.item)


def _searched(index: VectorIndex, entry: Entry) -> tuple[bytes, list[AttributeValue | None]]:
    """The part of an entry that searches keep in memory."""
    return entry.vector, [entry.item.get(element.name) for element in index.filters]


def counters(table: Table) -> list[bytes]:
    """The sequence counters that writes of entries increment."""
    return [rows.counter(index.log_space) for index in table.vector_indexes]


def uncertain(table: Table, row_key: bytes, old: Stored | None) -> list[bytes]:
    """The keys of entries that may be missing, because the backfill may not have reached the item yet."""
    found = [entry(table, index, old, row_key) for index in table.vector_indexes if index.backfilling]
    return [one.key for one in found if one is not None]


def add(tx: Transaction, table: Table, index: VectorIndex, row_key: bytes, item: Stored) -> None:
    """Add a stored item's entry to an index under construction, unless a write has added it already. The index cannot
    be searched yet, so this writes nothing to its log."""
    made = entry(table, index, item, row_key)
    if made is not None and tx.get(made.key) is None:
        tx.put(made.key, made.row)
        _count(tx, index, None, made)


def _count(tx: Transaction, index: VectorIndex, before: Entry | None, after: Entry | None) -> None:
    count = (after is not None) - (before is not None)
    size = (after.size if after else 0) - (before.size if before else 0)
    if count:
        tx.add_tally(fmt.count_counter(index.space), count)
    if size:
        tx.add_tally(fmt.bytes_counter(index.space), size)


# What an item may have


def check(table: Table, item: Item) -> None:
    """Check the attributes that vector indexes use."""
    for index in table.vector_indexes:
        value = item.get(index.attribute)
        if value is not None and floats.pack(value, index.dimensions) is None:
            _refuse_vector(index, value)
        for element in index.searched:
            if element.name in item:
                _check_searched(index, element.name, element.type, item[element.name])


def check_updated(table: Table, before: Item, after: Item) -> None:
    """Check only the attributes that an update changed: others may be older than the index."""
    check(table, {name: value for name, value in after.items() if value != before.get(name)})


def _check_searched(index: VectorIndex, name: str, type_: str, value: AttributeValue) -> None:
    if type_ not in value:
        raise errors.searched_type(name, type_, next(iter(value)), index.name)
    is_partition = index.partition is not None and name == index.partition.name
    if is_partition and not value[type_]:
        raise errors.empty_partition(name, type_, index.name)
    most = limits.PARTITION_KEY_BYTES if is_partition else limits.VECTOR_FILTER_BYTES
    if len(value[type_]) > most // 4 and values.value_size(value) > most:
        raise errors.searched_too_large(name, most, index.name)


def _refuse_vector(index: VectorIndex, value: AttributeValue) -> None:
    """Raise the first fault of a vector."""
    name = index.attribute
    if "L" not in value:
        raise errors.vector_type(name, next(iter(value)), index.name)
    members: Sequence[AttributeValue] = value["L"]
    if len(members) != index.dimensions:
        raise errors.vector_length(name, index.dimensions, len(members), index.name)
    for position, member in enumerate(members):
        if "N" not in member:
            raise errors.element_type(f"{name}[{position}]", next(iter(member)), index.name)
    for position, member in enumerate(members):
        if floats.pack({"L": [member]}, 1) is None:
            raise errors.element_range(f"{name}[{position}]", member["N"], index.name)


_ABSENT: AttributeValue = {}


def saved_bytes(table: Table, of: Stored | None) -> int:
    """The bytes to subtract from an item's size for write units of its table: there a vector's element counts 4
    bytes."""
    if of is None:
        return 0
    item, vectors = of.item, {index.attribute: index.dimensions for index in table.vector_indexes}
    return sum(
        values.value_size(item[name]) - 4 * dimensions
        for name, dimensions in vectors.items()
        if len(item.get(name, _ABSENT).get("L", ())) == dimensions
    )
