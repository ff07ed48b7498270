"""A function that waits for its commit by the SQLite engine."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import apsw

from atoll.storage.buffer import Buffer
from atoll.storage.engine import Full, Long, Transaction
from atoll.storage.sqlitefile import Rows

ONLY_DELETIONS = "the disk is full: the store accepts only deletions until there is room"


class Pending:
    """A queued function, and its outcome after the commit."""

    __slots__ = ("error", "fn", "future", "is_long", "result", "writes")

    def __init__(self, fn: Callable[[Transaction], Any], future: asyncio.Future[None]) -> None:
        self.fn = fn
        self.future = future
        self.is_long = False
        """Whether the function has announced that it takes long."""
        self.writes: Buffer | None = None
        """Its writes, until they are applied."""
        self.result: Any = None
        self.error: BaseException | None = None

    def run(self, rows: Rows, *, in_loop: bool, only_deletions: bool) -> None:
        """Run the function. SQLite errors propagate and fail the whole batch."""
        writes = Buffer(rows, in_loop=in_loop)
        try:
            self.result = self.fn(writes)
            if only_deletions:
                _require_deletion(writes)
            self.writes = writes
        except apsw.Error:
            raise
        except Long:
            self.is_long = True
        except BaseException as error:
            self.error = error

    def apply(self, rows: Rows) -> bool:
        """Apply the writes; return whether there are any."""
        writes, self.writes = self.writes, None
        return writes is not None and rows.apply(writes)


def _require_deletion(writes: Buffer) -> None:
    if None not in writes.rows.values() and not writes.cleared:
        raise Full(ONLY_DELETIONS)
