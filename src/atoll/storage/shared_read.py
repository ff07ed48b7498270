"""Reads of one SQLite connection share a read transaction: beginning and ending one costs more than a point read.

A single worker makes every commit itself. Its read transaction lasts until the next commit is durable, and shows the
previous snapshot while that commit is being synced. With several workers, the transaction ends when the number of
`CommitSequence` changes, and at the latest after one turn of the event loop: SQLite cannot reset the WAL while a read
transaction stays open.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import apsw

from atoll.storage.commit_sequence import CommitSequence
from atoll.storage.engine import Full, Snapshot, T
from atoll.storage.sqlitefile import Rows


class SharedReadTransaction:
    """Every read sees all writes acknowledged before it. `commits` is None for a single worker, which calls `hold` and
    `drop` around its commits. SQLite errors propagate."""

    def __init__(self, connection: apsw.Connection, commits: CommitSequence | None) -> None:
        self._rows = Rows(connection)
        self._commits = commits
        self._seen: int | None = None
        self._open = False
        self.is_held = False
        """Whether the snapshot stays until `drop`."""

    def read(self, fn: Callable[[Snapshot], T]) -> T:
        if self._open and self._commits is not None and not self._commits.is_still(self._seen):
            self.drop()
        if not self._open:
            self._begin()
        try:
            return fn(self._rows)
        except apsw.Error:  # SQLite may have ended the transaction
            self._open = False
            self._rows.roll_back()
            raise
        finally:
            self._rows.close_scans()

    def hold(self) -> None:
        """Stay on the current snapshot until `drop`, even if commits happen before it."""
        if not self._open:
            self._begin()
        self.is_held = True

    def drop(self) -> None:
        """End the transaction; the next read sees all commits."""
        self.is_held = False
        if self._open:
            self._open = False
            try:
                self._rows.end()
            except apsw.Error:  # it only read, so nothing is lost; the next transaction reports the error
                self._rows.roll_back()

    def _begin(self) -> None:
        if self.is_held:
            raise Full("no durable snapshot can be read until the next commit is durable")
        if self._commits is not None:
            self._seen = self._commits.settled()
            asyncio.get_running_loop().call_soon(self.drop)
        try:
            self._rows.begin("BEGIN")
        except apsw.Error:  # it may have begun
            self._rows.roll_back()
            raise
        self._open = True
