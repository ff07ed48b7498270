"""The format of a history: what was asked for and answered, by whom, and between which two moments.

As text, a history is one operation a line, in any order, each an object of JSON with the fields of `Operation`:

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
"""What an item is after a write: the value written, or the number of the operation that deleted it."""


@dataclass(frozen=True, slots=True)
class Read:
    item: str
    chain: tuple[str, ...]
    """The values it held, oldest first; none if it was absent. A read of what the operation itself has just written
    (ReturnValues ALL_NEW) ends with its own value. A condition that held is a read as well."""


@dataclass(frozen=True, slots=True)
class Write:
    item: str
    value: str | None
    """None: the item was deleted, if it was there."""
    replaces: bool = False
    """Whether the item holds nothing but this value afterwards; else the value was appended."""

    @property
    def starts(self) -> bool:
        """Whether what was there before is gone."""
        return self.replaces or self.value is None

    def version(self, operation: int) -> Version:
        return operation if self.value is None else self.value


@dataclass(frozen=True, slots=True)
class Operation:
    name: str
    process: str
    invoked: int
    completed: int | None = None
    """Both in any unit, on one clock that never goes back. None if the answer never came."""
    outcome: Outcome = "ok"
    reads: tuple[Read, ...] = ()
    writes: tuple[Write, ...] = ()
    """At most one read and one write of an item; the read sees what was there before the write (or after: ALL_NEW)."""
    atomic: bool = True
    """Whether everything has to happen at one moment, or each item by itself (BatchWriteItem)."""

    @property
    def items(self) -> list[str]:
        return list(dict.fromkeys([*(read.item for read in self.reads), *(write.item for write in self.writes)]))

    def read(self, item: str) -> Read | None:
        return next((read for read in self.reads if read.item == item), None)

    def write(self, item: str) -> Write | None:
        return next((write for write in self.writes if write.item == item), None)


def parts(operation: Operation) -> list[Operation]:
    """The operations, each atomic, that it consists of."""
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
    """Values come again and again in what was read, so each is kept once."""
    for line in text.splitlines():
        fields = orjson.loads(line)
        fields["reads"] = tuple(Read(intern(r["item"]), tuple(map(intern, r["chain"]))) for r in fields["reads"])
        fields["writes"] = tuple(_write(**write) for write in fields["writes"])
        yield Operation(**fields)


def _write(item: str, value: str | None, replaces: bool) -> Write:
    return Write(intern(item), value and intern(value), replaces)
