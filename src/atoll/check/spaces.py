"""Find the owner of each space in the catalog, so that findings can show a key in the terms of its table."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from atoll.check.findings import Fix, Key
from atoll.database import backups, documents
from atoll.database import format as fmt
from atoll.database.garbage import Garbage
from atoll.database.records import load
from atoll.database.schema import Index, KeySchema, Shard, Table
from atoll.database.vectors.definition import VectorIndex
from atoll.errors import ApiError
from atoll.model import keycode
from atoll.recovery import long_jobs
from atoll.storage.engine import Snapshot

ITEMS, ENTRIES, LOG, EXPIRY, TOMBSTONES, DISCARDED = "items", "index", "log", "expiry", "tombstones", "discarded"
CHANGED = "changed entries"
"""The changed entries of a vector index."""
KEPT = "kept"
"""Items of a backup, or rows that a long job keeps."""

_CATALOG_ROWS = {
    b"T": "definition of table",
    b"S": "stream",
    b"H": "shard",
    b"D": "scheduled work",
    b"B": "progress of a backfill",
    b"G": "discarded space",
    b"X": "idempotency token",
    b"M": "event source mapping",
    b"P": "progress of event source mapping",
    b"L": "link to another region",
    b"C": "conflict",
}

UNREADABLE = (
    ValueError, LookupError, TypeError, AttributeError, OverflowError, RecursionError, struct.error, ApiError,
)  # fmt: skip
"""The exceptions that parsing a damaged row may raise."""


def parsed(snapshot: Snapshot, rows: tuple[bytes, bytes], cls: type[Any]) -> Iterator[tuple[bytes, Any]]:
    """The keys in the range of catalog rows, each with its record, or None if that is unreadable."""
    for key, stored in snapshot.scan(*rows):
        yield key, read(cls, stored)


def read(cls: type[Any], stored: bytes) -> Any:
    """The record, or None if it is unreadable."""
    try:
        record = load(cls, stored)
        if cls is Table:
            _touch(record)
    except UNREADABLE:
        return None
    return record


def _touch(table: Table) -> None:
    """Use every part of the definition that requests use."""
    for index in table.indexes:
        table.projected_names(index)
    for keys in (table.keys, *(index.keys for index in table.all_indexes if index.keys is not None)):
        _ = keys.encode_partition, keys.encode_sort
        for attribute in keys.attributes:
            keycode.encoder(attribute.type)
    _ = table.item_key, [shard.first_hash + shard.last_hash for shard in table.shards], list(table.work())


@dataclass(frozen=True)
class Owner:
    role: str
    table: Table | None = None
    index: Index | VectorIndex | None = None
    garbage: Garbage | None = None


class Spaces:
    """The owners of all spaces."""

    def __init__(self, snapshot: Snapshot, *, is_complete: bool = True) -> None:
        self.is_complete = is_complete
        """Whether all definitions are readable. Otherwise rows that seem to belong to nothing may be a table's."""
        self.owners: dict[int, Owner] = {}
        self.contested: list[tuple[int, Owner, Owner]] = []
        """Spaces with two owners."""
        self.tables: dict[int, Table] = {}
        """Tables by their log's space."""
        for _, table in parsed(snapshot, fmt.TABLES, Table):
            if table is not None:
                self._add(table)
            else:
                self.is_complete = False
        for _, garbage in parsed(snapshot, fmt.GARBAGE, Garbage):
            if garbage is not None:
                self._own(garbage.space, Owner(DISCARDED, garbage=garbage))
        for space in _kept(snapshot):
            self._own(space, Owner(KEPT))

    def _add(self, table: Table) -> None:
        self._own(table.space, Owner(ITEMS, table))
        self._own(table.log_space, Owner(LOG, table))
        self.tables[table.log_space] = table
        for index in table.indexes:
            self._own(index.space, Owner(ENTRIES, table, index))
        for vector_index in table.vector_indexes:
            self._own(vector_index.space, Owner(ENTRIES, table, vector_index))
            self._own(vector_index.log_space, Owner(CHANGED, table, vector_index))
        if table.ttl is not None:
            self._own(table.ttl.space, Owner(EXPIRY, table))
        if table.tombstone_space is not None:
            self._own(table.tombstone_space, Owner(TOMBSTONES, table))

    def _own(self, space: int, owner: Owner) -> None:
        if space in self.owners:
            self.contested.append((space, self.owners[space], owner))
        else:
            self.owners[space] = owner

    def if_complete(self, *fixes: Fix) -> tuple[Fix, ...]:
        """The given changes, or none if a table definition may be lost: then they could be wrong."""
        return fixes if self.is_complete else ()

    def describe(self, key: bytes) -> tuple[str | None, Key, str]:
        """The table, the readable key, and a name for the row with this key."""
        space = fmt.space_of(key)
        if space == 0:
            return _describe_catalog(key)
        owner = self.owners.get(space)
        if owner is None or owner.table is None:
            name = "row of a discarded space" if owner is not None else f"row of the unknown space {space}"
            return None, key.hex(), name
        table = owner.table
        if owner.role == ENTRIES:
            assert owner.index is not None
            return table.name, readable_entry(table, owner.index, key), f"entry of the index {owner.index.name}"
        if owner.role == CHANGED:
            return table.name, key.hex(), "change of a vector index"
        if owner.role == LOG:
            return table.name, readable_change(key), "change record"
        if owner.role == EXPIRY:
            return table.name, readable_expiry(table, key), "expiry entry"
        return table.name, readable_item(table, key), "tombstone" if owner.role == TOMBSTONES else "item"


def _kept(snapshot: Snapshot) -> Iterator[int]:
    for kind in (backups.KIND, long_jobs.KIND):
        for document in documents.listed(snapshot, kind):
            if "space" in document:  # an import has no space but its table's
                yield document["space"]


def _describe_catalog(key: bytes) -> tuple[str | None, Key, str]:
    letter, subject = fmt.letter_of(key), fmt.subject_of(key)
    name = _CATALOG_ROWS.get(letter, "unknown row of the catalog")
    if letter == b"T":
        text = subject.decode(errors="replace")
        return text, text, name
    if letter == b"S":
        table, _, label = subject.partition(b"\0")
        return table.decode(errors="replace"), label.decode(errors="replace"), name
    if letter in (b"X", b"M"):
        return None, subject.decode(errors="replace"), name
    if letter == b"D" and fmt.due_key(*fmt.parse_due(key)) == key:
        due_ms, kind, about = fmt.parse_due(key)
        return None, {"due_ms": due_ms, "work": kind.decode(errors="replace"), "about": readable_subject(about)}, name
    return None, key.hex(), name


def readable_subject(subject: bytes) -> str:
    """The subject of scheduled work: text if it is one."""
    return subject.decode() if subject.isascii() and subject.decode().isprintable() else subject.hex()


def _attributes(keys: KeySchema, contents: list[str]) -> dict[str, Any]:
    return {a.name: {a.type: content} for a, content in zip(keys.attributes, contents, strict=True)}


def key_item(keys: KeySchema, key: bytes, start: int = fmt.PARTITION) -> tuple[dict[str, Any], int]:
    """The key attributes that are encoded in `key` from `start` on, and their end. Raises ValueError and others."""
    contents, end = keycode.decode(key, "".join(a.type for a in keys.attributes), start)
    return _attributes(keys, contents), end


def readable_item(table: Table, row_key: bytes) -> Key:
    """The key attributes; hexadecimal if the key cannot be decoded."""
    try:
        item, end = key_item(table.keys, row_key)
        return item if end == len(row_key) else row_key.hex()
    except UNREADABLE:
        return row_key.hex()


def readable_entry(table: Table, index: Index | VectorIndex, key: bytes) -> Key:
    try:
        return entry_item(table, index, key)
    except UNREADABLE:
        return key.hex()


def entry_item(table: Table, index: Index | VectorIndex, key: bytes) -> dict[str, Any]:
    """The key attributes of the index and of the table. Raises ValueError and others."""
    attributes, start = key_item(index.keys or KeySchema(()), key)
    own, end = key_item(table.keys, key, start)
    if end != len(key):
        raise ValueError(key)
    return attributes | own


def readable_expiry(table: Table, key: bytes) -> Key:
    second, row_key = fmt.parse_expiry(key, table.space)
    item = readable_item(table, row_key)
    return {"second": second, "item": item} if isinstance(item, dict) else key.hex()


def readable_change(key: bytes) -> Key:
    if not fmt.is_change_key(key):
        return key.hex()
    return {"shard": fmt.parse_shard(key), "sequence": fmt.parse_sequence(key)}


def shards_of(snapshot: Snapshot, log_space: int) -> Iterator[tuple[bytes, Shard | None]]:
    """The rows of a log's shards."""
    rows = fmt.shard_key(log_space, 0), fmt.shard_key(log_space, 0xFFFFFFFF) + b"\0"
    yield from parsed(snapshot, rows, Shard)
