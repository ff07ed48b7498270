"""Check a table's items and the rows derived from them: index entries, expiry entries, counters, sizes.

One pass over the items looks each expected entry up. The number of entries found is then compared with the number of
rows of the index. Only if they differ does a second pass look up the item of each entry. So memory stays bounded, and
an undamaged index costs one point read for each entry and one scan.

On a moving snapshot (see `findings.Moving`) an item and its derived rows are read from one state, but two items may be
read from different ones. So the second pass always runs, counters are compared with a separate count, and after each
move the check continues only with spaces that the table still has.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import orjson

from atoll.check import findings as on
from atoll.check.findings import Finding, Fix, Moving
from atoll.check.spaces import (
    UNREADABLE,
    entry_item,
    key_item,
    read,
    readable_entry,
    readable_expiry,
    readable_item,
)
from atoll.database import expiry, indexes
from atoll.database import format as fmt
from atoll.database import rows as item_rows
from atoll.database.rows import Entry, Row
from atoll.database.schema import Index, Table, TimeToLive
from atoll.database.vectors import entries as vectors
from atoll.database.vectors import rows
from atoll.database.vectors.definition import VectorIndex
from atoll.model import keycode, values
from atoll.model.values import Item
from atoll.storage.engine import Snapshot

AnyIndex = Index | VectorIndex


@dataclass(slots=True)
class _Counted:
    """The expected counters of a space, and the number of its rows that were found from their items."""

    rows: int = 0
    size: int = 0
    found: int = 0


class _Image:
    """An item in its canonical form."""

    __slots__ = ("item", "json", "size")

    def __init__(self, item: Item, size: int, json: bytes) -> None:
        self.item, self.size, self.json = item, size, json


def check(snapshot: Snapshot, table: Table) -> Iterator[Finding]:
    return _TableCheck(snapshot, table).findings()


class _TableCheck:
    def __init__(self, snapshot: Snapshot, table: Table) -> None:
        self._snapshot = snapshot
        self._table = table
        self._items = _Counted()
        self._indexes = [(index, _Counted(), self._progress(index)) for index in table.all_indexes if _is_kept(index)]
        self._expiring = _Counted()
        self._expiry_progress = self._progress_of_expiry(table.ttl)
        self._collections = 0
        """The number of item collections whose counter is not 0."""
        self._has_greatest_time = snapshot.number(fmt.GREATEST_TIME) > 0
        self._moves = isinstance(snapshot, Moving)
        self._spaces = self._current_spaces(table)
        """What is still checked."""

    def findings(self) -> Iterator[Finding]:
        table = self._table
        yield from self._check_items()
        yield from self._check_counters(table.space, self._items, f"the table {table.name}")
        for index, counted, _ in self._indexes:
            yield from self._check_entries(index, counted)
            yield from self._check_counters(index.space, counted, f"the index {index.name}")
        if table.ttl is not None and self._has(table.ttl.space):
            yield from self._check_expiry(table.ttl)
        if table.tombstone_space is not None and self._has(table.tombstone_space):
            yield from self._check_tombstones(table.tombstone_space)
        if table.local_indexes and self._has(table.space):
            yield from self._check_forgotten_collections()

    # Moving on

    def _has(self, space: int) -> bool:
        """Move on, and return whether the table still has the space."""
        if isinstance(self._snapshot, Moving):
            self._snapshot.move()
            self._moved()
        return space in self._spaces

    def _moved(self) -> None:
        """Called after a move: drop the spaces of an index, of time to live or of a table that was deleted
        meanwhile."""
        stored = self._snapshot.get(fmt.table_key(self._table.name))
        table: Table | None = None if stored is None else read(Table, stored)
        self._spaces &= self._current_spaces(table)

    def _current_spaces(self, table: Table | None) -> set[int]:
        """The spaces that writes maintain."""
        if table is None:
            return set()
        found = {table.space, *(index.space for index in table.all_indexes if _is_kept(index))}
        if table.ttl is not None and (table.ttl.status != "DISABLING" or table is self._table):
            found.add(table.ttl.space)
        if table.tombstone_space is not None:
            found.add(table.tombstone_space)
        return found

    def _rows(self, space: int) -> Iterator[tuple[bytes, bytes]]:
        """The rows of the space, as long as the table has it."""
        for row in on.sliced(self._snapshot, *fmt.space_range(space), self._moved):
            if space not in self._spaces:
                return
            yield row

    def _progress(self, index: AnyIndex) -> bytes | None:
        """The last item that must be in the index; None if all must be."""
        if not index.backfilling:
            return None
        return self._snapshot.get(fmt.backfill_key(index.space)) or b""

    def _progress_of_expiry(self, ttl: TimeToLive | None) -> bytes | None:
        if ttl is None or ttl.status == "ENABLED":
            return None
        return (self._snapshot.get(fmt.backfill_key(ttl.space)) or b"") if ttl.status == "ENABLING" else b""

    # The items

    def _check_items(self) -> Iterator[Finding]:
        table = self._table
        with_collections = bool(table.local_indexes)
        collection, collected = b"", 0
        partition_type = table.keys.partition[0].type
        latest = 0
        for key, stored in self._rows(table.space):
            image, row, damage = self._image(key, stored)
            if damage is not None:
                yield damage
            if image is None or row is None:
                continue
            self._items.rows += 1
            self._items.size += image.size
            yield from self._check_derived(key, image)
            if with_collections:
                prefix = fmt.collection_prefix(key, partition_type)
                if prefix != collection:
                    yield from self._check_collection(collection, collected)
                    collection, collected = prefix, 0
                collected += image.size
            latest = max(latest, row.time)
        if with_collections and table.space in self._spaces:
            yield from self._check_collection(collection, collected)
        if latest and not self._has_greatest_time:
            text = "the bound that no item's version exceeds is missing"
            yield Finding(on.COUNTER, table.name, None, text, (on.set_number(fmt.GREATEST_TIME, latest),))

    def _image(self, key: bytes, stored: bytes) -> tuple[_Image | None, Row | None, Finding | None]:
        """The canonical form of a stored item, None if it is unreadable, with what is wrong with it."""
        try:
            row = Row(stored)
            version = row.version
            item = row.item
            size = values.check_item(item)
            belongs = self._table.item_key(item) == key
        except UNREADABLE as error:
            return None, None, self._unreadable(key, f"the item is unreadable: {error!r}")
        if not belongs:
            return None, None, self._unreadable(key, "the item's attributes are not those of its key")
        json = orjson.dumps(item)
        damage = None
        if json != row.json and orjson.loads(row.json) != item:
            damage = "a set of the item is not sorted, or a number is not in its canonical form"
        elif size != row.size:
            damage = f"the item's stored size is {row.size}, but it has {size} bytes"
        if damage is None:
            return _Image(item, size, row.json), row, None
        fix = on.put(key, item_rows.item_row(version, size, json))
        return _Image(item, size, json), row, self._item_finding(on.SIZE, key, damage, fix)

    def _unreadable(self, key: bytes, text: str) -> Finding:
        shown = readable_item(self._table, key)
        return Finding(on.ITEM, self._table.name, shown, text, (on.delete(key),), is_loss=True)

    def _item_finding(self, kind: str, key: bytes, text: str, *fixes: Fix) -> Finding:
        return Finding(kind, self._table.name, readable_item(self._table, key), text, fixes)

    # What an item has elsewhere

    def _check_derived(self, key: bytes, image: _Image) -> Iterator[Finding]:
        for index, counted, progress in self._indexes:
            made = _made(self._table, index, image, key) if index.space in self._spaces else None
            if made is None:
                continue
            stored = self._snapshot.get(made.key)
            if stored is None:
                if progress is not None and key > progress:
                    continue
                text = f"the index {index.name} has no entry of the item"
                yield self._item_finding(on.INDEX, key, text, on.put(made.key, made.row), *self._announced(index))
            else:
                counted.found += 1
                if stored != made.row and not _shows(stored, made):
                    text = f"the entry in the index {index.name} does not show what the item has"
                    fix = on.put(made.key, made.row)
                    yield self._item_finding(on.INDEX, key, text, fix, *self._announced(index))
            counted.rows += 1
            counted.size += made.size
        ttl = self._table.ttl
        second = None if ttl is None else expiry.second_of(ttl, image.item)
        if ttl is None or second is None or ttl.space not in self._spaces:
            return
        entry = fmt.expiry_key(ttl.space, second, key)
        if self._snapshot.get(entry) is not None:
            self._expiring.found += 1
        elif self._expiry_progress is None or key <= self._expiry_progress:
            text = f"the item expires at {second}, but the expiry index has no entry of it"
            yield self._item_finding(on.EXPIRY, key, text, on.put(entry, b""))

    def _announced(self, index: AnyIndex) -> list[Fix]:
        """The change that makes searches of a repaired vector index read all entries again."""
        if not isinstance(index, VectorIndex):
            return []
        counter = rows.counter(index.log_space)
        return [on.set_number(counter, self._snapshot.number(counter) + rows.SLOTS + 1)]

    def _check_collection(self, prefix: bytes, size: int) -> Iterator[Finding]:
        if not prefix:
            return
        counter = fmt.collection_counter(prefix)
        stored = self._snapshot.tally(counter)
        self._collections += stored != 0
        if stored != size and self._moves:  # its items may have been read from several snapshots
            size = sum(Row(row).size for _, row in self._snapshot.scan(prefix, keycode.successor(prefix)))
        if stored != size:
            text = f"the item collection's counter says {stored} bytes, but its items have {size}"
            yield self._collection_finding(prefix, text, on.set_tally(counter, size))

    def _collection_finding(self, prefix: bytes, text: str, fix: Fix) -> Finding:
        try:
            (content,), _ = keycode.decode(prefix, self._table.keys.partition[0].type, 12)
            partition = self._table.keys.partition[0]
            shown: on.Key = {partition.name: {partition.type: content}}
        except UNREADABLE:
            shown = prefix.hex()
        return Finding(on.COUNTER, self._table.name, shown, text, (fix,))

    def _check_forgotten_collections(self) -> Iterator[Finding]:
        """Find counters of collections without items."""
        start = fmt.collection_counter(self._table.prefix)
        all_ = start, keycode.successor(start)
        number = sum(1 for _ in on.counters(self._snapshot, *all_, tallies=True))
        if number == self._collections and not self._moves:
            return
        for counter, size in on.counters(self._snapshot, *all_, tallies=True):
            prefix = fmt.parse_collection_counter(counter)
            if self._snapshot.first([(prefix, keycode.successor(prefix))])[0] is None:
                text = f"the item collection's counter says {size} bytes, but it has no items"
                yield self._collection_finding(prefix, text, on.set_tally(counter, 0))

    def _check_counters(self, space: int, counted: _Counted, name: str) -> Iterator[Finding]:
        if not self._has(space):
            return
        if self._moves:
            counted = self._count(space)
        for counter, right, what in (
            (fmt.count_counter(space), counted.rows, "rows"),
            (fmt.bytes_counter(space), counted.size, "bytes"),
        ):
            stored = self._snapshot.tally(counter)
            if stored != right:
                text = f"the counter of {name} says {stored} {what}, but there are {right}"
                yield Finding(on.COUNTER, self._table.name, None, text, (on.set_tally(counter, right),))

    def _count(self, space: int) -> _Counted:
        """The rows of the table or an index, and their sizes as stored, in one snapshot."""
        at = item_rows.ITEM_SIZE if space == self._table.space else item_rows.ENTRY_SIZE
        counted = _Counted()
        for _, stored in self._snapshot.scan(*fmt.space_range(space)):
            counted.rows += 1
            counted.size += item_rows.stored_size(stored, at)
        return counted

    # The other way: each entry has its item

    def _check_entries(self, index: AnyIndex, counted: _Counted) -> Iterator[Finding]:
        if not self._has(index.space):
            return
        if not self._moves and self._count(index.space).rows == counted.found:
            return
        for key, _ in self._rows(index.space):
            damage = self._damage_of_entry(index, key)
            if damage is not None:
                shown = readable_entry(self._table, index, key)
                yield Finding(on.INDEX, self._table.name, shown, damage, (on.delete(key),))

    def _damage_of_entry(self, index: AnyIndex, key: bytes) -> str | None:
        try:
            row_key = self._table.item_key(entry_item(self._table, index, key))
        except UNREADABLE:
            return f"an entry of the index {index.name} has an unreadable key"
        item = self._readable(row_key)
        if item is None:
            return f"the index {index.name} has an entry of an item that does not exist"
        made = _made(self._table, index, _Image(item, 0, b""), row_key)
        if made is None or made.key != key:
            return f"the index {index.name} has an entry at a key that the item does not have"
        return None

    def _readable(self, row_key: bytes) -> Item | None:
        stored = self._snapshot.get(row_key)
        image = None if stored is None else self._image(row_key, stored)[0]
        return None if image is None else image.item

    def _check_expiry(self, ttl: TimeToLive) -> Iterator[Finding]:
        if not self._moves and self._count(ttl.space).rows == self._expiring.found:
            return
        for key, _ in self._rows(ttl.space):
            try:
                second, row_key = fmt.parse_expiry(key, self._table.space)
                key_item(self._table.keys, row_key)
                item = self._readable(row_key)
            except UNREADABLE:
                second, item = -1, None
            if item is None or expiry.second_of(ttl, item) != second:
                text = "the expiry index has an entry of an item that does not exist or does not expire then"
                shown = readable_expiry(self._table, key)
                yield Finding(on.EXPIRY, self._table.name, shown, text, (on.delete(key),))

    def _check_tombstones(self, space: int) -> Iterator[Finding]:
        for key, stored in self._rows(space):
            row_key = fmt.key_in(self._table.space, fmt.in_space(key))
            if len(stored) < 8:
                text = "the version of a deletion is unreadable"
                yield Finding(on.ITEM, self._table.name, readable_item(self._table, row_key), text, (on.delete(key),))
            elif self._snapshot.get(row_key) is not None:
                text = "the item is also recorded as deleted"
                yield self._item_finding(on.ITEM, row_key, text, on.delete(key))


def _is_kept(index: AnyIndex) -> bool:
    """Writes do not maintain an index that is being deleted."""
    return index.status != "DELETING"


def _made(table: Table, index: AnyIndex, image: _Image, row_key: bytes) -> indexes.NewEntry | vectors.Entry | None:
    """The entry that the index must have for the item."""
    if isinstance(index, VectorIndex):
        return vectors.entry(table, index, image, row_key)
    return indexes.entry(table, index, image, row_key)


def _shows(stored: bytes, made: indexes.NewEntry | vectors.Entry) -> bool:
    """Whether a stored entry shows the same attributes, in any order."""
    try:
        if isinstance(made, vectors.Entry):
            vector, json = rows.parse_entry(stored, len(made.vector) // 4)
            return (
                vector == made.vector
                and orjson.loads(json) == made.item
                and item_rows.stored_size(stored, item_rows.ENTRY_SIZE) == made.size
            )
        entry = Entry(stored)
        return entry.size == made.size and entry.item == made.item
    except UNREADABLE:
        return False
