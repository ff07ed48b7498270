"""Reads: many functions share one statement, and so one snapshot.

Reads that arrive while a statement is under way wait for the next one. A function that needs more than one statement
goes on in the same batch as long as nobody commits in between. Otherwise, or if it needs many, it runs again in a
transaction of its own, whose statements share a snapshot.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from atoll.storage.engine import Unavailable
from atoll.storage.postgresql.cluster import PATIENCE_S, Cluster
from atoll.storage.postgresql.connection import Connection, Lost, Undone
from atoll.storage.postgresql.fetched import Fetched, Missing
from atoll.storage.postgresql.fetching import fetch
from atoll.storage.postgresql.pending import Pending, Slice

LANES = 2
"""Statements under way at a time."""
BATCH = 256
BATCH_BYTES = 8_000_000
"""A batch is expected to fetch no more."""
SHARED_TRIPS = 3
DEADLINE_S = 10.0


class Reads:
    """`know` is called with each snapshot that was fetched."""

    def __init__(self, cluster: Cluster, schema: str, known: dict[bytes, int], know: Callable[[Fetched], None]) -> None:
        self._cluster = cluster
        self._schema = schema
        self._known = known
        self._know = know
        self._loop = asyncio.get_running_loop()
        self._queue: list[Pending] = []
        self._lanes = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._bytes_each = 1_000.0
        """That a function fetches, on average of late."""

    def add(self, fn: Callable[[Any], Any]) -> Pending:
        pending = Pending(fn, self._loop.create_future(), self._loop.time() + PATIENCE_S)
        self._queue.append(pending)
        if self._lanes < LANES:
            self._lanes += 1
            self._loop.call_soon(self._start)
        return pending

    async def drain(self) -> None:
        while self._tasks or self._lanes:
            await (asyncio.wait(self._tasks) if self._tasks else asyncio.sleep(0))

    def _start(self) -> None:
        self._run(self._lane())

    def _run(self, work: Any) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _lane(self) -> None:
        try:
            while self._queue:
                most = int(min(BATCH, max(4, BATCH_BYTES / self._bytes_each)))
                batch, self._queue = self._queue[:most], self._queue[most:]
                await self._batch(batch)
        finally:
            self._lanes -= 1

    async def _batch(self, batch: list[Pending]) -> None:
        """Run each function first on nothing, to find out what it needs."""
        fetched = Fetched(self._known)
        slice_ = Slice()
        for pending in batch:
            with suppress(BaseException):  # it counts only after a fetch
                pending.fn(fetched)
            if slice_.is_over():
                await asyncio.sleep(0)
        waiting = batch
        try:
            connection = await self._cluster.acquire(max(pending.until for pending in batch))
            try:
                while True:
                    await fetch(connection, self._schema, fetched, deadline_s=DEADLINE_S)
                    if fetched.is_torn:
                        break
                    waiting = await _run_all(waiting, fetched)
                    if not waiting or fetched.trips >= SHARED_TRIPS:
                        break
            except (Lost, Undone) as error:
                self._cluster.lose(connection, error)
                raise
            except BaseException:
                connection.terminate()
                self._cluster.release(connection)
                raise
            self._cluster.release(connection)
        except (Lost, Undone):
            self._again(waiting)
            return
        except Exception as error:
            for pending in waiting:
                pending.fail(error)
            return
        self._bytes_each += (fetched.size / len(batch) - self._bytes_each) / 8
        self._know(fetched)
        for pending in waiting:
            self._run(self._alone(pending))

    def _again(self, batch: list[Pending]) -> None:
        late = [pending for pending in batch if pending.until <= self._loop.time()]
        for pending in late:
            pending.fail(Unavailable("the store was lost again and again during a read"))
        self._queue[:0] = [pending for pending in batch if pending not in late]

    async def _alone(self, pending: Pending) -> None:
        """In a transaction: its statements share a snapshot."""
        while True:
            try:
                connection = await self._cluster.acquire(pending.until)
            except Unavailable as error:
                pending.fail(error)
                return
            try:
                await self._in_transaction(connection, pending)
            except (Lost, Undone) as error:
                self._cluster.lose(connection, error)
                if pending.until <= self._loop.time():
                    pending.fail(Unavailable(str(error)))
                    return
                continue
            except Exception as error:
                connection.terminate()
                pending.fail(error)
            self._cluster.release(connection)
            return

    async def _in_transaction(self, connection: Connection, pending: Pending) -> None:
        await connection.execute("begin isolation level repeatable read read only")
        fetched = Fetched(self._known)
        while True:
            try:
                pending.fn(fetched)
            except BaseException:
                if fetched.trips and not fetched.wants:
                    break
            else:
                if fetched.trips:
                    break
            await fetch(connection, self._schema, fetched, deadline_s=DEADLINE_S)
        await connection.execute("commit")
        await _run_all([pending], fetched)


async def _run_all(batch: list[Pending], fetched: Fetched) -> list[Pending]:
    """Answer each function that has all that it needs; return the others. Lets others on the event loop have turns."""
    missing = []
    slice_ = Slice()
    for pending in batch:
        try:
            pending.result = pending.fn(fetched)
        except Missing:
            missing.append(pending)
            continue
        except BaseException as error:
            pending.error = error
        pending.answer()
        if slice_.is_over():
            await asyncio.sleep(0)
    return missing
