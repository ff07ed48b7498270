"""The findings of a check: each is one damage, with the changes that repair it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, runtime_checkable

from atoll.storage.engine import Snapshot, Transaction

FILE, CHECKSUM, CATALOG, SHARD, SCHEDULE, ORPHAN = "file", "checksum", "catalog", "shard", "schedule", "orphan"
ITEM, SIZE, INDEX, EXPIRY, COUNTER, CHANGE = "item", "size", "index", "expiry", "counter", "change"

MEANINGS = {
    FILE: "The file is damaged below the level of rows: some rows may be unreadable or cannot be found by their keys.",
    CHECKSUM: "The stored bytes of a row have changed since Atoll wrote them. Reads of the row fail.",
    CATALOG: "A definition is unreadable or contradicts another one. Requests to its table or stream fail.",
    SHARD: "The shards of a change log do not cover each partition key once, or contradict the table's definition.",
    SCHEDULE: "Background work that is needed is not scheduled, so it never runs.",
    ITEM: "An item's row contradicts itself. Reads return wrong data or fail.",
    SIZE: "An item's stored form is not the canonical one: its size or the order of a set is wrong.",
    INDEX: "An index does not agree with its table: queries of the index miss items, or return wrong ones.",
    EXPIRY: "The expiry index does not agree with the items: items are deleted too late or never.",
    COUNTER: "A stored number is not what the rows add up to.",
    CHANGE: "The change log has a gap or an unreadable record: readers of the stream miss changes.",
    ORPHAN: "Rows or counters belong to nothing. They only take space.",
}
"""The meaning of each kind of finding, for users."""

Key = str | dict[str, Any] | None
"""The key of the damaged row: its attributes or other readable parts, or else its bytes in hexadecimal."""

ROW, RANGE, NUMBER, TALLY = "row", "range", "number", "tally"


class Fix(NamedTuple):
    """One change of the store."""

    kind: str
    key: bytes
    value: bytes | None = None
    """The new row, None to delete it; or the end of a range of rows to delete."""
    amount: int = 0
    """The new value of a counter."""

    def apply(self, tx: Transaction) -> None:
        if self.kind == NUMBER:
            tx.add_number(self.key, self.amount - tx.number(self.key))
        elif self.kind == TALLY:
            tx.add_tally(self.key, self.amount - tx.tally(self.key))
        elif self.kind == RANGE:
            assert self.value is not None
            tx.delete_range(self.key, self.value)
        elif self.value is None:
            tx.delete(self.key)
        else:
            tx.put(self.key, self.value)


def put(key: bytes, value: bytes) -> Fix:
    return Fix(ROW, key, value)


def delete(key: bytes) -> Fix:
    return Fix(ROW, key)


def delete_range(start: bytes, end: bytes) -> Fix:
    return Fix(RANGE, start, end)


def set_number(key: bytes, amount: int) -> Fix:
    return Fix(NUMBER, key, None, amount)


def set_tally(key: bytes, amount: int) -> Fix:
    return Fix(TALLY, key, None, amount)


@dataclass(frozen=True, slots=True)
class Finding:
    kind: str
    table: str | None
    key: Key
    text: str
    fixes: tuple[Fix, ...] = ()
    """The changes that repair it; empty if no change can. A damaged file is rewritten instead."""
    is_loss: bool = False
    """Whether data is lost that no other row has."""

    @property
    def is_repairable(self) -> bool:
        return bool(self.fixes) or self.kind == FILE

    def as_json(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "table": self.table,
            "key": self.key,
            "text": self.text,
            "repairable": self.is_repairable,
            "lost": self.is_loss,
        }


@runtime_checkable
class Counters(Protocol):
    """A snapshot that can list its counters."""

    def counters(self, start: bytes, end: bytes, *, tallies: bool) -> Iterator[tuple[bytes, int]]:
        """The numbers or tallies that are not 0 and whose keys are in the range, in the order of the keys."""


@runtime_checkable
class Moving(Protocol):
    """A snapshot that can move to a later state, so that a check holds no state for long."""

    def move(self) -> None:
        """Show the current state from now on."""


SLICE_ROWS = 200
"""The rows that a check reads before it moves the snapshot."""


def sliced(snapshot: Snapshot, start: bytes, end: bytes, moved: Callable[[], None]) -> Iterator[tuple[bytes, bytes]]:
    """Scan the rows. A moving snapshot moves now and then between two rows; `moved` is called after each move."""
    if not isinstance(snapshot, Moving):
        yield from snapshot.scan(start, end)
        return
    while True:
        rows = list(snapshot.scan(start, end, limit=SLICE_ROWS))
        yield from rows
        if len(rows) < SLICE_ROWS:
            return
        start = rows[-1][0] + b"\0"
        snapshot.move()
        moved()


@dataclass(frozen=True)
class Context:
    now_ms: int
    is_complete: bool = True
    """Whether certainly no table definition is lost."""


def counters(snapshot: Snapshot, start: bytes, end: bytes, *, tallies: bool) -> Iterator[tuple[bytes, int]]:
    """The counters in the range; none if the engine cannot list them."""
    return snapshot.counters(start, end, tallies=tallies) if isinstance(snapshot, Counters) else iter(())
