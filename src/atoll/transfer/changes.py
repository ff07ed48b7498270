"""The items of a table that changed in a window, with their images before and after it.

The log is read from the beginning of the window to its present end. For each item that changed in the window a row is
kept: the image before the window, the time of its last change in it, and the image after the window if it has changed
since. An item that has not changed since has its present image.

    row    JSON: [before, last change in microseconds, has changed since, after]; images are JSON or null
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import orjson

from atoll.database import format as fmt
from atoll.database.log import cursor
from atoll.database.log.cursor import Cursor
from atoll.database.log.rows import ChangeRow
from atoll.database.moment import CHANGES, ITEMS, LogTrimmed, Position, TableSpaces
from atoll.database.rows import Row
from atoll.database.walk import PIECE_BYTES, piece
from atoll.model import values
from atoll.model.comparison import items_equal
from atoll.model.values import Item
from atoll.storage.engine import Transaction
from atoll.transfer.filters import Filter
from atoll.transfer.lines import Record


class ExportWindow(NamedTuple):
    from_ms: int
    to_ms: int
    """The first millisecond after the window."""


@dataclass(slots=True)
class Changed:
    keys: Item
    before: Item | None
    after: Item | None
    micros: int
    """When it was last changed in the window."""

    @property
    def size(self) -> int:
        return sum(values.item_size(image) for image in (self.before, self.after) if image is not None)


class ExportBatch(NamedTuple):
    changed: list[Changed]
    position: Position
    is_last: bool
    read: int
    """Changes of the log, and items."""


def collect(tx: Transaction, space: int, source: TableSpaces, position: Position, window: ExportWindow) -> ExportBatch:
    """Read the next part of the log; at its end, return the next items. Raises `LogTrimmed`."""
    batch = cursor.read(tx, source.scope, Cursor(position.log), CHANGES, PIECE_BYTES)
    if batch.missed:
        raise LogTrimmed
    for _, _, change in batch.changes:
        _keep(tx, space, source, change, window)
    position = replace(position, log=batch.cursor.positions)
    if not batch.caught_up:
        return ExportBatch([], position, False, len(batch.changes))
    start, end = fmt.space_range(space)
    if position.after:
        start = fmt.key_in(space, position.after_key + b"\0")
    rows, is_last = piece(tx.scan(start, end), ITEMS)
    present = tx.get_many([fmt.key_in(source.space, fmt.in_space(key)) for key, _ in rows])
    changed = [_changed(source, key, kept, row) for (key, kept), row in zip(rows, present, strict=True)]
    if rows:
        position = replace(position, after=fmt.in_space(rows[-1][0]).hex())
    return ExportBatch(changed, position, is_last, len(batch.changes) + len(rows))


def _keep(tx: Transaction, space: int, source: TableSpaces, change: ChangeRow, window: ExportWindow) -> None:
    if change.old_size and change.old is None:
        raise LogTrimmed
    key = fmt.key_in(space, source.keys.encode(orjson.loads(change.keys)))
    stored = tx.get(key)
    kept: Any = None if stored is None else orjson.loads(stored)
    old = None if change.old is None else orjson.Fragment(change.old)
    if window.from_ms <= change.written_ms < window.to_ms:
        kept = [old if kept is None else kept[0], change.written_ms * 1000, False, None]
    elif kept is None or kept[2]:
        return
    else:
        kept[2:] = [True, old]
    tx.put(key, orjson.dumps(kept))


def _changed(source: TableSpaces, key: bytes, stored: bytes, row: bytes | None) -> Changed:
    before, micros, has_changed_since, after = orjson.loads(stored)
    if not has_changed_since:
        after = None if row is None else Row(row).item
    keys = source.keys.decode(fmt.key_in(source.space, fmt.in_space(key)))
    return Changed(keys, before, after, micros)


def record(changed: Changed, both: bool, chosen: Filter) -> Record | None:
    """The members of the line, or None if the item ends as it began, or is not chosen."""
    before, after = changed.before, changed.after
    if before is None and after is None:
        return None
    if before is not None and after is not None and items_equal(before, after):
        return None
    judged = after if after is not None else before
    assert judged is not None
    if not chosen.matches(judged):
        return None
    found: dict[str, Any] = {
        "Metadata": {"WriteTimestampMicros": {"N": str(changed.micros)}},
        "Keys": changed.keys,
    }
    if after is not None:
        found["NewImage"] = chosen.project(after)
    if before is not None and both:
        found["OldImage"] = chosen.project(before)
    return found
