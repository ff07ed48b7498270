"""A function in the queue of the SQLite engine's next commit, and its outcome."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import apsw

from atoll.storage.buffer import Buffer
from atoll.storage.engine import Full, Long, Transaction
from atoll.storage.sqlitefile import Rows

# A transaction with more bytes than this is applied and committed in a thread.
INLINE_BYTES = 1024**2

ONLY_DELETIONS = "the disk is full: the store accepts only deletions until there is room"


class Pending:
    """A queued function, and its outcome after the commit."""

    __slots__ = ("_writes", "error", "fn", "future", "is_long", "result")

    def __init__(self, fn: Callable[[Transaction], Any], future: asyncio.Future[None]) -> None:
        self.fn = fn
        self.future = future
        self.is_long = False
        """Whether the function has announced that it takes long, or its writes take long to apply: they wait for `end`
        in a thread."""
        self._writes: Buffer | None = None
        self.result: Any = None
        self.error: BaseException | None = None

    def run(self, rows: Rows, only_deletions: bool) -> bool:
        """Run the function on the event loop and apply its writes, unless it is long; returns whether any were applied.
        SQLite errors propagate and fail the whole batch."""
        writes = Buffer(rows, True)
        try:
            self.result = self.fn(writes)
            if only_deletions:
                _require_deletion(writes)
        except apsw.Error:
            raise
        except Long:
            self.is_long = True
            return False
        except BaseException as error:
            self.error = error
            return False
        if writes.size > INLINE_BYTES:
            self.is_long, self._writes = True, writes
            return False
        return rows.apply(writes)

    def end(self, rows: Rows, only_deletions: bool) -> bool:
        """Run the function in a thread, unless it has already run, and apply its writes; returns whether there are
        any."""
        writes, self._writes = self._writes, None
        if writes is None:
            writes = Buffer(rows)
            try:
                self.result = self.fn(writes)
                if only_deletions:
                    _require_deletion(writes)
            except apsw.Error:
                raise
            except BaseException as error:
                self.error = error
                return False
        return rows.apply(writes)


def _require_deletion(writes: Buffer) -> None:
    writes_anything = writes.rows or writes.numbers or writes.tallies
    if writes_anything and None not in writes.rows.values() and not writes.cleared:
        raise Full(ONLY_DELETIONS)
