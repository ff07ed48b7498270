"""The engine: a region in a schema of a PostgreSQL database. Any number of front ends may have it open.

    url         how a store is named; its servers
    connection  one connection: deadlines, and errors that tell whether a statement had an effect. `arrays`: keys and
                values as it sends them
    cluster     which server is the primary, and the connections to it
    reads, writes   functions run on the event loop on what was fetched; their fetches and commits are shared. `pending`
                has the functions that wait, and the lanes that serve them; `fetched` is the snapshot that they run on,
                `fetching` fills it
    statements  the tables and the SQL; `longkeys`: keys that PostgreSQL's index does not take

Front ends notice each other's commits by the number of commits, which every fetch also reads; without fetches, `follow`
reads it.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress

from atoll.storage.engine import Size, Snapshot, T, Transaction, Unavailable
from atoll.storage.postgresql import statements
from atoll.storage.postgresql.cluster import Cluster
from atoll.storage.postgresql.connection import Lost, Undone
from atoll.storage.postgresql.fetched import Fetched
from atoll.storage.postgresql.reads import Reads
from atoll.storage.postgresql.writes import Writes

LEASE_S = 8.0
LEASE_MARGIN_S = 2.0
"""The holder stops relying on its lease this much before it expires."""
RENEW_S = 2.0
FOLLOW_S = 0.1
"""How soon commits of other front ends are noticed, if nothing is read."""
AGAIN_S = 5.0
"""The pause after an error that an immediate retry would hardly change."""

SIZE_S = 10.0
"""How long to wait for the size of the store."""

_log = logging.getLogger(__name__)


class Replica:
    """A region on servers that replicate the store. Nothing is written there."""

    def __init__(self, cluster: Cluster, schema: str, *, ride_along: Sequence[bytes] = ()) -> None:
        self._known = dict.fromkeys(ride_along, 0)
        self._reads = Reads(cluster, schema, self._known, self._know)

    async def read(self, fn: Callable[[Snapshot], T]) -> T:
        result: T = await self._reads.add(fn)
        return result

    def _know(self, fetched: Fetched) -> None:
        for key in self._known:
            self._known[key] = fetched.numbers[key]


class PostgreSQLEngine:
    """Use it from one event loop. `on_foreign_commit` is called after a commit of another front end was noticed."""

    def __init__(
        self,
        cluster: Cluster,
        schema: str,
        *,
        ride_along: Sequence[bytes] = (),
        on_foreign_commit: Callable[[], None] | None = None,
        is_followed: Callable[[], bool] = lambda: False,
    ) -> None:
        """`is_followed`: whether anybody waits for commits of other front ends."""
        self._cluster = cluster
        self._schema = schema
        self._known = dict.fromkeys(ride_along, 0)
        self._commits = 0
        """Of this region, as far as this front end knows."""
        self._on_foreign_commit = on_foreign_commit
        self._is_followed = is_followed
        self._reads = Reads(cluster, schema, self._known, self._know)
        self._writes = Writes(cluster, schema, self._known, self._know, self._committed)
        self._loop = asyncio.get_running_loop()
        self._opened: asyncio.Future[None] | None = None
        self._owner = f"{socket.gethostname()}/{os.getpid()}/{os.urandom(6).hex()}"
        self._lease_until = self._lease_renewed = -LEASE_S
        self._following: asyncio.Task[None] | None = None
        self._closed = False

    async def read(self, fn: Callable[[Snapshot], T]) -> T:
        if self._opened is None or not self._opened.done():
            await self._open()
        result: T = await self._reads.add(fn)
        return result

    async def transact(self, fn: Callable[[Transaction], T]) -> T:
        if self._closed:
            raise RuntimeError("the store is closed")
        if self._opened is None or not self._opened.done():
            await self._open()
        result: T = await self._writes.add(fn)
        return result

    async def lease(self) -> bool:
        now = self._loop.time()
        if now - self._lease_renewed < RENEW_S:
            return now < self._lease_until
        await self._open()
        self._lease_renewed = now
        try:
            async with self._cluster.use(now + LEASE_MARGIN_S) as connection:
                epoch = await connection.value(
                    statements.take_lease(self._schema), ("background", self._owner, LEASE_S), LEASE_MARGIN_S
                )
        except (Lost, Undone, Unavailable):
            return self._loop.time() < self._lease_until
        self._lease_until = now + LEASE_S - LEASE_MARGIN_S if epoch is not None else now - LEASE_S
        return epoch is not None

    async def size(self) -> Size | None:
        await self._open()
        async with self._cluster.use(self._loop.time() + SIZE_S) as connection:
            return Size(await connection.value(statements.size_of(self._schema), (), SIZE_S), None, None)

    async def give_back(self) -> bool:
        """PostgreSQL does it itself: autovacuum."""
        return False

    async def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        if self._following is not None:
            self._following.cancel()
        await self._writes.drain()
        await self._reads.drain()
        if self._loop.time() < self._lease_until:
            with suppress(Exception):
                async with self._cluster.use(self._loop.time() + 1) as connection:
                    await connection.fetch(statements.leave_lease(self._schema), ("background", self._owner), 1)

    def follow(self) -> None:
        """Begin to look for commits of others."""
        if self._following is None:
            self._following = self._loop.create_task(self._follow())

    async def _follow(self) -> None:
        while True:
            await asyncio.sleep(FOLLOW_S)
            if not self._is_followed():
                continue
            try:
                await self._open()
                async with self._cluster.use(self._loop.time() + 10) as connection:
                    self._saw(await connection.value(statements.commits(self._schema)))
            except (Lost, Undone, Unavailable):
                continue
            except Exception:
                _log.exception("commits of other front ends are not noticed")
                await asyncio.sleep(AGAIN_S)

    def _know(self, fetched: Fetched) -> None:
        for key in self._known:
            self._known[key] = fetched.numbers[key]
        if fetched.commits is not None:
            self._saw(fetched.commits)

    def _committed(self, number: int) -> None:
        if number == self._commits + 1:
            self._commits = number
        else:
            self._saw(number)

    def _saw(self, number: int) -> None:
        if number > self._commits:
            self._commits = number
            if self._on_foreign_commit is not None:
                self._on_foreign_commit()

    # The schema

    async def _open(self) -> None:
        """Create the schema if it is missing."""
        if self._opened is None:
            self._opened = asyncio.ensure_future(self._create())
        opened = self._opened
        try:
            await asyncio.shield(opened)
        except BaseException:
            if opened.done() and self._opened is opened:
                self._opened = None
            raise

    async def _create(self) -> None:
        name = f"{statements.quoted(self._schema)}.commits"
        try:
            async with self._cluster.use(self._loop.time() + 10) as connection:
                if not await connection.value(statements.HAS_SCHEMA, (name,)):
                    script = f"begin; {statements.SETUP_LOCK}; {statements.region(self._schema)}; commit"
                    await connection.execute(script, 30)
        except (Lost, Undone) as error:
            raise Unavailable(str(error)) from error
