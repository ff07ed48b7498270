"""Run reads: many functions share one statement, and so one snapshot.

Reads that arrive while a statement is under way wait for the next one. Single rows have lanes of their own, so they do
not wait for statements that fetch pages. A function that needs more than one statement continues in the same batch
while there is no commit in between. Otherwise, or if it needs many, it runs again in a separate transaction, whose
statements share a snapshot.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from atoll.storage.engine import Planned, RowRead, Unavailable
from atoll.storage.postgresql.cluster import Cluster
from atoll.storage.postgresql.connection import Connection, Lost, Undone
from atoll.storage.postgresql.fetched import Fetched, Missing
from atoll.storage.postgresql.fetching import fetch
from atoll.storage.postgresql.pending import BATCH, Lanes, Pending, Slice

LANES = 2
"""Statements under way at a time, of each kind."""
BATCH_BYTES = 8_000_000
"""A batch is expected to fetch no more."""
MOST_PAGES = 32
"""The most reads of pages in a statement: it bounds a burst of large ones after small ones."""
PAGE_BYTES = 1_000_000
"""The bytes that first pages are expected to have."""
SHARED_TRIPS = 3
DEADLINE_S = 10.0


class Reads:
    """`know` is called with each snapshot that was fetched."""

    def __init__(self, cluster: Cluster, schema: str, known: dict[bytes, int], know: Callable[[Fetched], None]) -> None:
        self._rows = _Reads(cluster, schema, known, know)
        self._others = _Reads(cluster, schema, known, know, most=MOST_PAGES, bytes_each=PAGE_BYTES)

    def add(self, fn: Callable[[Any], Any]) -> asyncio.Future[Any]:
        return (self._rows if isinstance(fn, RowRead) else self._others).add(fn)

    async def drain(self) -> None:
        await self._rows.drain()
        await self._others.drain()


class _Reads(Lanes):
    def __init__(
        self,
        cluster: Cluster,
        schema: str,
        known: dict[bytes, int],
        know: Callable[[Fetched], None],
        *,
        most: int = BATCH,
        bytes_each: float = 1_000,
    ) -> None:
        super().__init__(LANES, BATCH_BYTES, most=most, bytes_each=bytes_each)
        self._cluster = cluster
        self._schema = schema
        self._known = known
        self._know = know

    async def _serve(self, batch: list[Pending]) -> int:
        """Run each function first on nothing, to find out what it needs."""
        fetched = Fetched(self._known)
        slice_ = Slice()
        for pending in batch:
            fn, pending.plan = pending.fn, None
            try:
                if isinstance(fn, RowRead):
                    pending.plan = fn.plan(fetched)
                    fetched.wants_rows.add(pending.plan[1])
                elif isinstance(fn, Planned):
                    pending.plan = fn.plan(fetched)
                    fn.finish(fetched, pending.plan)
                else:
                    fn(fetched)
            except BaseException:
                pass  # the outcome counts only after a fetch
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
            return fetched.size
        except Exception as error:
            for pending in waiting:
                pending.fail(error)
            return fetched.size
        self._know(fetched)
        for pending in waiting:
            self._run(self._alone(pending))
        return fetched.size

    def _again(self, batch: list[Pending]) -> None:
        late = [pending for pending in batch if pending.until <= self._loop.time()]
        for pending in late:
            pending.fail(Unavailable("the connection to the store was lost repeatedly during a read"))
        self._queue[:0] = [pending for pending in batch if pending not in late]

    async def _alone(self, pending: Pending) -> None:
        """Run a function by itself, in a transaction, whose statements share a snapshot."""
        pending.plan = None
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
        fn, plan = pending.fn, pending.plan
        try:
            if plan is None or not fetched.is_as_known:
                pending.result = fn(fetched)
            elif isinstance(fn, Planned):
                pending.result = fn.finish(fetched, plan)
            else:
                pending.result = (*plan, fetched.rows[plan[1]])
        except Missing:
            missing.append(pending)
            continue
        except BaseException as error:
            pending.error = error
        pending.answer()
        if slice_.is_over():
            await asyncio.sleep(0)
    return missing
