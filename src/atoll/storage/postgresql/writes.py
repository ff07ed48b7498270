"""Run transactions: many functions commit together, in one statement.

Functions run on the event loop, one after the other, each on the fetched data and the writes of the functions before
it. Missing data is fetched for all of them together. Then one statement commits their writes, if there was no other
commit since the first fetch: so all that they have read is unchanged, and the transaction is serializable.

If there was another commit, the batch takes the region's commit lock and fetches again all that it has read. If that is
unchanged, the writes are still right; otherwise the functions run again under the lock, so no other commit can
interfere. So a batch never fails because of conflicts. While other front ends commit often, batches take the lock at
once.

A function that takes long, or needs many fetches, leaves its batch and commits by itself. A batch that PostgreSQL
refuses because of its data is split until the culprit is found.

A commit whose answer is lost may have happened or not: its functions fail with `Unavailable`. After an error before the
commit, or if the server reports that it rolled back, the batch is tried again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import asyncpg

from atoll.storage.buffer import Buffer
from atoll.storage.engine import Conflict, Long, Unavailable
from atoll.storage.postgresql import longkeys, statements
from atoll.storage.postgresql.cluster import Cluster
from atoll.storage.postgresql.connection import Connection, Lost, Undone
from atoll.storage.postgresql.fetched import Fetched, Missing
from atoll.storage.postgresql.fetching import fetch
from atoll.storage.postgresql.pending import Lanes, Pending, Slice

BATCH_BYTES = 16_000_000
"""A batch is expected to read and write no more."""
SHARED_TRIPS = 3
"""A function that needs more fetches leaves its batch."""
FETCH_S = 10.0
COMMIT_S = 30.0
"""Deadlines. A commit may wait for a standby."""
TRIES = 10
"""After this many attempts with the commit lock, a transaction fails with `Conflict`."""
CONTENDED = 16
"""Batches that take the lock at once after another front end's commit was in the way."""

_log = logging.getLogger(__name__)


class Writes(Lanes):
    """`know` is called with the fetched data of each batch, `committed` with the number of each of our commits."""

    def __init__(
        self,
        cluster: Cluster,
        schema: str,
        known: dict[bytes, int],
        know: Callable[[Fetched], None],
        committed: Callable[[int], None],
    ) -> None:
        super().__init__(1, BATCH_BYTES)
        self._cluster = cluster
        self._schema = schema
        self._known = known
        self._know = know
        self._committed = committed
        self._contended = 0

    async def _serve(self, batch: list[Pending]) -> int:
        served = CommitBatch(batch)
        await self._settle(served)
        return served.size

    async def _settle(self, batch: CommitBatch) -> None:
        """Run, commit and answer the functions of a batch, with as many tries as it takes."""
        tries = 0
        while batch.waiting:
            try:
                connection = await self._cluster.acquire(batch.until)
            except Exception as error:
                batch.fail(error)
                return
            try:
                await self._try(connection, batch)
            except (Lost, Undone) as error:
                self._cluster.lose(connection, error)
                if self._is_over(batch, error, tries):
                    return
            except _Unknown as error:
                self._cluster.lose(connection, error)
                batch.fail(Unavailable(f"the outcome of a commit is unknown: {error}"))
                return
            except Exception as error:
                self._cluster.lose(connection, error)
                if len(batch.waiting) > 1 and isinstance(error, (asyncpg.PostgresError, asyncpg.DataError)):
                    for half in batch.halves():
                        await self._settle(half)
                    return
                batch.fail(error)
                return
            else:
                self._cluster.release(connection)
            tries += 1

    def _is_over(self, batch: CommitBatch, error: Exception, tries: int) -> bool:
        if isinstance(error, Undone) and tries >= TRIES:
            batch.fail(Conflict(str(error)))
            return True
        if batch.until <= self._loop.time():
            batch.fail(Unavailable(f"the connection to the store was lost before a commit: {error}"))
            return True
        return False

    async def _try(self, connection: Connection, batch: CommitBatch) -> None:
        batch.begin(Fetched(self._known))
        await self._run_functions(connection, batch)
        if batch.waiting:
            if batch.needs_commit or batch.fetched.is_torn:
                await self._commit(connection, batch)
            self._know(batch.fetched)
            batch.answer()

    async def _run_functions(self, connection: Connection, batch: CommitBatch) -> None:
        """Fetch and run until all functions have an outcome, or have left."""
        while True:
            if batch.in_loop:
                slice_ = Slice()
                while True:
                    if batch.run(slice_):
                        break
                    await asyncio.sleep(0)
            else:
                await asyncio.to_thread(batch.run)
            lacking = batch.lacking
            if not lacking and batch.fetched.trips:
                break
            if batch.in_loop and batch.fetched.trips >= SHARED_TRIPS and len(batch.waiting) > 1:
                batch.set_aside(lacking)
                break
            await fetch(connection, self._schema, batch.fetched, deadline_s=FETCH_S)
            if batch.fetched.is_torn_along:
                batch.begin(batch.fetched.again())
        for pending in batch.leaves():
            self._run(self._settle(CommitBatch([pending], in_loop=False)))

    async def _commit(self, connection: Connection, batch: CommitBatch) -> None:
        if not self._contended and not batch.fetched.is_torn_along:
            if await self._commit_if_current(connection, batch):
                return
            self._contended = CONTENDED
        await connection.execute(statements.lock(self._schema), FETCH_S)
        await self._again_under_lock(connection, batch)
        if not batch.waiting or not batch.needs_commit:
            await connection.execute("rollback", FETCH_S)
            return
        if not await self._commit_if_current(connection, batch, ends=True):
            raise Undone("another process commits without the lock")

    async def _again_under_lock(self, connection: Connection, batch: CommitBatch) -> None:
        before = batch.fetched
        now = before.again()
        await fetch(connection, self._schema, now, deadline_s=FETCH_S)
        if now.commits == before.commits:
            self._contended = max(0, self._contended - 1)
        if before.equals(now) and not before.is_torn_along:
            before.commits = now.commits
            return
        batch.begin(now)
        await self._run_functions(connection, batch)

    async def _commit_if_current(self, connection: Connection, batch: CommitBatch, *, ends: bool = False) -> bool:
        """`ends`: a transaction is open, and ends."""
        connection.warned = False
        try:
            number = await connection.value(
                statements.commit_batch(self._schema), (batch.fetched.commits, *batch.arguments()), COMMIT_S
            )
            if ends:
                await connection.execute("commit", COMMIT_S)
        except Lost as error:
            raise _Unknown(str(error)) from error
        if number < 0:
            return False
        if connection.warned:
            raise _Unknown("the commit may not be on the standby")
        self._committed(number)
        return True


class _Unknown(Exception):
    """The commit may have happened or not."""


class CommitBatch:
    """Functions that commit together, and what they have read and written."""

    def __init__(self, functions: list[Pending], *, in_loop: bool = True) -> None:
        self.waiting = functions
        """Not answered, and not gone."""
        self.in_loop = in_loop
        self.fetched = Fetched({})
        self._writes = Buffer(self.fetched)
        self._open = functions
        """Without an outcome in this run."""
        self._done = 0
        """How many of these the current call of `run` has tried."""
        self.lacking: list[Pending] = []
        self._leaving: list[Pending] = []

    @property
    def until(self) -> float:
        return max(pending.until for pending in self.waiting)

    def begin(self, fetched: Fetched) -> None:
        """Forget all outcomes; run on `fetched`."""
        self.fetched = fetched
        self._writes = Buffer(fetched)
        self._open, self._done = self.waiting, 0
        for pending in self.waiting:
            pending.error = pending.result = None

    def run(self, slice_: Slice | None = None) -> bool:
        """Run the functions that have no outcome. Those that lack something are `lacking` then. Returns whether it has
        ended; if its slice of time is over, the next call goes on."""
        if not self._done:
            self.lacking = []
        first = not self.fetched.trips
        for pending in self._open[self._done :]:
            self._done += 1
            self._run_one(pending, first)
            if slice_ is not None and slice_.is_over():
                return False
        self._open, self._done = self.lacking, 0
        return True

    def _run_one(self, pending: Pending, first: bool) -> None:
        """`first`: nothing was fetched yet, so the outcome does not count."""
        own = Buffer(self._writes, in_loop=self.in_loop)
        try:
            pending.result = pending.fn(own)
        except Missing:
            self.lacking.append(pending)
            return
        except Long:
            self._leaving.append(pending)
            return
        except BaseException as error:
            pending.error = error
        if first:
            pending.error = None
            self.lacking.append(pending)
        elif pending.error is None:
            _add(self._writes, own)

    def set_aside(self, lacking: list[Pending]) -> None:
        self._leaving += lacking

    def leaves(self) -> list[Pending]:
        """The functions that leave the batch, each once."""
        leaving, self._leaving = self._leaving, []
        if leaving:
            gone = set(map(id, leaving))
            self.waiting = [pending for pending in self.waiting if id(pending) not in gone]
        return leaving

    @property
    def size(self) -> int:
        """Bytes read and written."""
        return self.fetched.size + self._writes.size

    @property
    def needs_commit(self) -> bool:
        writes = self._writes
        return bool(writes.rows or writes.cleared or writes.numbers or writes.tallies)

    def arguments(self) -> tuple[list[Any], ...]:
        """The arguments of `commit_batch`. The keys are sorted, so that neighbours in the index are written
        together."""
        writes = self._writes
        put = sorted([longkeys.stored_row(key, value) for key, value in writes.rows.items() if value is not None])
        return (
            [start for start, _ in writes.cleared],
            [end for _, end in writes.cleared],
            [longkeys.stored_key(key) for key, value in writes.rows.items() if value is None],
            [key for key, _ in put],
            [value for _, value in put],
            [*writes.numbers],
            [*writes.numbers.values()],
            [*writes.tallies],
            [*writes.tallies.values()],
        )

    def answer(self) -> None:
        for pending in self.waiting:
            pending.answer()
        self.waiting = []

    def fail(self, error: Exception) -> None:
        waiting, self.waiting = self.waiting, []
        for pending in waiting:
            pending.fail(error)

    def halves(self) -> tuple[CommitBatch, CommitBatch]:
        middle = len(self.waiting) // 2
        return CommitBatch(self.waiting[:middle], in_loop=self.in_loop), CommitBatch(
            self.waiting[middle:], in_loop=self.in_loop
        )


def _add(all_: Buffer, own: Buffer) -> None:
    """Add the writes of a function to those of its batch."""
    for start, end in own.cleared:
        all_.delete_range(start, end)
    all_.rows.update(own.rows)
    all_.numbers.update(own.numbers)
    for key, amount in own.tallies.items():
        all_.add_tally(key, amount)
