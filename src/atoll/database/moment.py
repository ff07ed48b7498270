"""Read a table as it was at an earlier moment, in pieces, while writes continue.

The state at the moment is the present state, except that each item that changed later has the old image of its first
change since the moment. A reader first collects these images from the change log into a separate space. Then it walks
over the items. It reads each piece of this walk from one snapshot, together with all changes up to that snapshot, so
the time of reading does not matter. The position of the walk and the collected images are stored in one transaction.

    read     from a snapshot of the table's store: the next changes and, if no more are left, the next items
    merge    in a transaction of the reader's store: store the images, and return the items as they were

The two stores are the same, or those of two regions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import orjson

from atoll.database import format as fmt
from atoll.database import rows as item_rows
from atoll.database.log import cursor
from atoll.database.log.cursor import Cursor, Scope
from atoll.database.rows import Entry, Row
from atoll.database.schema import KeySchema, Table
from atoll.database.walk import PIECE_BYTES, piece
from atoll.storage.engine import Snapshot, Transaction
from atoll.versions import Version

CHANGES = 1_000
ITEMS = 200
"""The most changes and items of one piece."""

UNKNOWN_VERSION = Version(0, "")
"""The version of items from the log, which does not keep the versions of old images."""


@dataclass(frozen=True)
class TableSpaces:
    """The spaces and keys of a table, or of a backup, which has no log. Valid as long as the spaces exist, even if the
    table is deleted."""

    space: int
    log_space: int | None
    keys: KeySchema

    @property
    def scope(self) -> Scope:
        assert self.log_space is not None
        return Scope(self.log_space)


@dataclass(frozen=True)
class Position:
    log: tuple[tuple[int, int], ...]
    """The position in the log, as `Cursor.positions`."""
    after: str = ""
    """The key of the last item that was read, without its space, in hexadecimal."""

    @property
    def after_key(self) -> bytes:
        return bytes.fromhex(self.after)


class Undone(NamedTuple):
    """An item whose change is to be undone: its key without its space, and its old image."""

    key: bytes
    size: int
    json: bytes | None


@dataclass(frozen=True, slots=True)
class Piece:
    undone: list[Undone]
    position: Position
    """In the log the position after this piece, among the items the position before it."""
    rows: list[tuple[bytes, bytes]] | None = None
    """The items; None if more changes must be read first."""
    is_last: bool = False


class LogTrimmed(Exception):
    """The log does not reach back to the moment, or lacks images."""


def source_of(table: Table) -> TableSpaces:
    return TableSpaces(table.space, table.log_space, table.keys)


def at_end(snapshot: Snapshot, source: TableSpaces) -> Position:
    """The position of a reader whose moment is now."""
    return Position(cursor.start_at_end(snapshot, source.scope).positions)


def at(snapshot: Snapshot, source: TableSpaces, moment_ms: int) -> Position:
    return Position(cursor.start_at(snapshot, source.scope, moment_ms + 1).positions)


def read(snapshot: Snapshot, source: TableSpaces, position: Position) -> Piece:
    """Read the next piece. Raises `LogTrimmed`."""
    undone: list[Undone] = []
    if source.log_space is not None:
        batch = cursor.read(snapshot, source.scope, Cursor(position.log), CHANGES, PIECE_BYTES)
        if batch.missed:
            raise LogTrimmed
        for _, _, change in batch.changes:
            if change.old_size and change.old is None:
                raise LogTrimmed
            undone.append(Undone(source.keys.encode(orjson.loads(change.keys)), change.old_size, change.old))
        position = replace(position, log=batch.cursor.positions)
        if not batch.caught_up:
            return Piece(undone, position)
    start, end = fmt.space_range(source.space)
    if position.after:
        start = fmt.key_in(source.space, position.after_key + b"\0")
    rows, is_last = piece(snapshot.scan(start, end), ITEMS)
    return Piece(undone, position, rows, is_last)


class PastItems(NamedTuple):
    """Items as they were at the moment."""

    rows: list[tuple[bytes, Row]]
    """The rows of the items, by their keys without the space."""
    position: Position
    is_last: bool


def merge(tx: Transaction, space: int, given: Piece, kept_after: bytes | None = None) -> PastItems:
    """Store the images of a piece in the reader's `space`; returns the items as they were. `kept_after` is for a reader
    that may resume at an earlier key than its position: images of items after that key are kept."""
    _keep(tx, space, given.undone, given.position.after_key if kept_after is None else kept_after)
    if given.rows is None:
        return PastItems([], given.position, False)
    after = given.position.after_key
    bound = None if given.is_last else fmt.in_space(given.rows[-1][0])
    undone, all_ = _undone(tx, space, after, bound)
    if not all_:  # many items were deleted since: return only those up to the last image that was read
        bound = undone[-1][0]
    present = {fmt.in_space(key): stored for key, stored in given.rows if bound is None or fmt.in_space(key) <= bound}
    before = dict(undone)
    rows: list[tuple[bytes, Row]] = []
    for key in sorted(present.keys() | before.keys()):
        stored = before[key] if key in before else present[key]
        if stored is not None:
            rows.append((key, Row(stored)))
    position = given.position if bound is None else replace(given.position, after=bound.hex())
    return PastItems(rows, position, bound is None)


def _keep(tx: Transaction, space: int, changes: Sequence[Undone], after: bytes) -> None:
    """Store the image before the first change of each item that has not been read yet."""
    first = dict[bytes, bytes]()
    for undone in changes:
        if undone.key > after and undone.key not in first:
            first[undone.key] = item_rows.entry_row(undone.size, undone.json or b"")
    keys = [fmt.key_in(space, key) for key in first]
    for key, kept, image in zip(keys, tx.get_many(keys), first.values(), strict=True):
        if kept is None:
            tx.put(key, image)


def _undone(
    tx: Transaction, space: int, after: bytes, bound: bytes | None
) -> tuple[list[tuple[bytes, bytes | None]], bool]:
    """The kept images after one key, up to another, as item rows, and whether these are all."""
    start, end = fmt.space_range(space)
    if after:
        start = fmt.key_in(space, after + b"\0")
    if bound is not None:
        end = fmt.key_in(space, bound + b"\0")
    rows, all_ = piece(tx.scan(start, end), ITEMS)
    return [(fmt.in_space(key), _item_row(stored)) for key, stored in rows], all_


def _item_row(kept: bytes) -> bytes | None:
    entry = Entry(kept)
    return item_rows.item_row(UNKNOWN_VERSION, entry.size, entry.json) if entry.json else None
