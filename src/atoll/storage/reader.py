"""How long the reads of one SQLite connection share a transaction: to begin and end one costs more than a point read.

A worker that is alone knows of every commit: its transaction lasts until the next one is durable, and while the commit
is on its way to the disk it shows the moment before. Several workers see a `Moment` change when one of them commits: a
transaction lasts while it does not, but no longer than a turn of the event loop, for the log cannot begin anew behind
a transaction that stays.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import apsw

from atoll.storage.engine import Full, Snapshot, T
from atoll.storage.moment import Moment
from atoll.storage.sqlitefile import Rows


class Reader:
    """Every read sees all that was acknowledged before it. `moment` is None for a worker that is alone, which calls
    `hold` and `drop` around its commits. Raises what SQLite raises."""

    def __init__(self, connection: apsw.Connection, moment: Moment | None) -> None:
        self._rows = Rows(connection)
        self._moment = moment
        self._seen: int | None = None
        self._open = False
        self._held = False

    def read(self, fn: Callable[[Snapshot], T]) -> T:
        if self._open and self._moment is not None and not self._moment.is_still(self._seen):
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
        """Show this moment until `drop`, whatever is committed meanwhile."""
        if not self._open:
            self._begin()
        self._held = True

    def drop(self) -> None:
        """The next read sees all commits."""
        self._held = False
        if self._open:
            self._open = False
            try:
                self._rows.end()
            except apsw.Error:  # it has only read: nothing is lost, and the next one tells what is wrong
                self._rows.roll_back()

    def _begin(self) -> None:
        if self._held:
            raise Full("what is durable cannot be read until more is")
        if self._moment is not None:
            self._seen = self._moment.settled()
            asyncio.get_running_loop().call_soon(self.drop)
        try:
            self._rows.begin("BEGIN")
        except apsw.Error:  # perhaps it has begun
            self._rows.roll_back()
            raise
        self._open = True
