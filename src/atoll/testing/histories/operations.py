"""The format of a history: the operations of each client, their answers, and their start and end times.

As text, a history has one operation per line, in any order: a JSON object with the fields of `Operation`:

    {"name": "UpdateItem", "process": "client 2", "invoked": 17, "completed": 21, "outcome": "ok",
     "reads": [{"item": "x", "chain": ["a", "b"]}], "writes": [{"item": "x", "value": "c", "replaces": false}],
     "atomic": true}

A deletion is a write whose value is null.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from sys import intern
from typing import Literal

import orjson

Outcome = Literal["ok", "failed", "unknown"]
Version = str | int
"""The state of an item after a write: the value written, or the number of the deleting operation."""


@dataclass(frozen=True, slots=True)
class Read:
    item: str
    chain: tuple[str, ...]
    """The values of the item, oldest first; none if it was absent. A read of the operation's own write (ReturnValues
    ALL_NEW) ends with its own value. A condition that held is a read, too."""


@dataclass(frozen=True, slots=True)
class Write:
    item: str
    value: str | None
    """None: the item was deleted, if it was there."""
    replaces: bool = False
    """Whether the write replaced the list by this value; otherwise it appended the value."""

    @property
    def starts(self) -> bool:
        """Whether the write discards the earlier values."""
        return self.replaces or self.value is None

    def version(self, operation: int) -> Version:
        return operation if self.value is None else self.value


@dataclass(frozen=True, slots=True)
class Operation:
    name: str
    process: str
    invoked: int
    completed: int | None = None
    """Both in any unit, on one monotonic clock. None if no answer came."""
    outcome: Outcome = "ok"
    reads: tuple[Read, ...] = ()
    writes: tuple[Write, ...] = ()
    """At most one read and one write per item. The read sees the state before the write (or after it: ALL_NEW)."""
    atomic: bool = True
    """Whether the whole operation is atomic, or only each item by itself (BatchWriteItem)."""

    @property
    def items(self) -> list[str]:
        return list(dict.fromkeys([*(read.item for read in self.reads), *(write.item for write in self.writes)]))

    def read(self, item: str) -> Read | None:
        return next((read for read in self.reads if read.item == item), None)

    def write(self, item: str) -> Write | None:
        return next((write for write in self.writes if write.item == item), None)


def parts(operation: Operation) -> list[Operation]:
    """The atomic operations that this operation consists of."""
    if operation.atomic:
        return [operation]
    return [
        replace(
            operation,
            reads=tuple(read for read in operation.reads if read.item == item),
            writes=tuple(write for write in operation.writes if write.item == item),
            atomic=True,
        )
        for item in operation.items
    ]


def dump(history: Iterable[Operation]) -> bytes:
    return b"".join(orjson.dumps(operation, option=orjson.OPT_APPEND_NEWLINE) for operation in history)


def load(text: bytes) -> Iterator[Operation]:
    """Load a history. Reads repeat the same values often, so each value is kept once."""
    for line in text.splitlines():
        fields = orjson.loads(line)
        fields["reads"] = tuple(Read(intern(r["item"]), tuple(map(intern, r["chain"]))) for r in fields["reads"])
        fields["writes"] = tuple(_write(**write) for write in fields["writes"])
        yield Operation(**fields)


def _write(item: str, value: str | None, replaces: bool) -> Write:
    return Write(intern(item), value and intern(value), replaces)
