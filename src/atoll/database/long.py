"""Recognise writes that take long, because they parse large items or write many bytes: the engine runs them in a
thread."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from atoll.database.rows import Row
from atoll.database.schema import Table
from atoll.model import pieces
from atoll.storage.engine import Transaction

LEAST_BYTES = 8 * 1024
"""A write of an item with less JSON than this never takes long."""

BATCH_BYTES = 1024**2
BATCH_VALUES = 20_000
"""A batch with more bytes than this, or one that reads more values, takes long."""
_VALUE_BYTES = 2
"""The least bytes of a value with its comma."""


class Write(Protocol):
    @property
    def table(self) -> Table: ...
    @property
    def reads(self) -> int: ...


def copies(table: Table) -> int:
    """The most copies of its item's attributes that a write stores."""
    return 1 + len(table.all_indexes)


def announce_item(tx: Transaction, json: bytes, reads: int) -> None:
    """Announce the write to a stored item if parsing it and reading it `reads` times takes long."""
    if pieces.takes_long(json, 1 + reads):
        tx.announce_long()


def announce_entries(tx: Transaction, json: bytes, indexes: int) -> None:
    """Announce the write if computing the item's index entries takes long."""
    if pieces.takes_long(json, indexes):
        tx.announce_long()


def announce_batch(tx: Transaction, batch: Sequence[tuple[Write, Row | None]]) -> None:
    size = read = 0
    for write, old in batch:
        if old is not None:
            stored = len(old.json)
            size += stored
            read += stored * (1 + write.reads)
        image = getattr(write, "image", None)
        if image is not None:
            size += len(image.json) * copies(write.table)
    if size > BATCH_BYTES or (read > _VALUE_BYTES * BATCH_VALUES and _values(batch) > BATCH_VALUES):
        tx.announce_long()


def _values(batch: Sequence[tuple[Write, Row | None]]) -> int:
    return sum(old.json.count(b",") * (1 + write.reads) for write, old in batch if old is not None)
