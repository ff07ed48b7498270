"""Which writes take so long that the engine has to run them aside: they parse large items, or write many bytes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from atoll.database.format import Row
from atoll.database.schema import Table
from atoll.expressions.condition import Condition
from atoll.model import pieces
from atoll.storage.engine import Transaction

LEAST_BYTES = 8 * 1024
"""No write of an item with less JSON takes long."""

BATCH_BYTES = 1024**2
"""A batch of more bytes takes long."""


class Write(Protocol):
    @property
    def table(self) -> Table: ...
    @property
    def condition(self) -> Condition | None: ...


def announce_item(tx: Transaction, json: bytes, condition: Condition | None) -> None:
    """Announce a write to a stored item if it takes long to parse it, or to test the condition on it."""
    if pieces.takes_long(json, _times(condition)):
        tx.announce_long()


def announce_entries(tx: Transaction, json: bytes, indexes: int) -> None:
    """Announce a write if it takes long to make the index entries of the item."""
    if pieces.takes_long(json, indexes):
        tx.announce_long()


def announce_batch(tx: Transaction, batch: Iterable[tuple[Write, Row | None]]) -> None:
    size = 0
    for write, old in batch:
        if old is not None and len(old.json) > LEAST_BYTES:
            announce_item(tx, old.json, write.condition)
            size += len(old.json) * _times(write.condition)
        image = getattr(write, "image", None)
        if image is not None:
            size += len(image.json) * (1 + len(write.table.indexes))
    if size > BATCH_BYTES:
        tx.announce_long()


def _times(condition: Condition | None) -> int:
    """How often a write goes over the stored item at most."""
    return 1 if condition is None else 1 + condition.reads
