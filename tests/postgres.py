"""A PostgreSQL server for tests: its URL is ATOLL_TEST_POSTGRESQL, which `make test-postgresql` sets.

Connections belong to one event loop, and tests run many calls on one engine, so all of them share a loop.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import weakref
from collections.abc import Callable, Coroutine
from typing import Any

from sortedcontainers import SortedDict

from atoll.database import format as fmt
from atoll.shared_store import StoreDatabase
from atoll.storage.engine import Snapshot, T, Transaction
from atoll.storage.memory import MemoryEngine, MemoryState
from atoll.storage.postgresql import statements, url
from atoll.storage.postgresql.cluster import Cluster
from atoll.storage.postgresql.engine import PostgreSQLEngine
from atoll.storage.postgresql.longkeys import full_row

URL = os.environ.get("ATOLL_TEST_POSTGRESQL", "")

TABLES = ("rows", "numbers", "tallies", "leases", "buckets")

# Those of pgvector.
_DROP_VECTORS = """
do $body$ declare found text; begin
    for found in select format('%I.%I', schemaname, tablename) from pg_tables
        where schemaname = '{name}' and tablename like 'vectors%' loop execute 'drop table ' || found; end loop;
end $body$"""

_numbers = itertools.count()
_free: list[str] = []
"""Schemas that no test uses any more: creating one takes long."""
_runner: asyncio.Runner | None = None
_cluster: Cluster | None = None


def run(call: Coroutine[Any, Any, Any]) -> Any:
    """Run it on the loop that all share."""
    global _runner
    if _runner is None:
        _runner = asyncio.Runner()
    return _runner.run(call)


async def cluster() -> Cluster:
    """The one of the shared loop."""
    global _cluster
    if _cluster is None:
        _cluster = Cluster(url.parse(URL))
        await _cluster.start()
    return _cluster


async def execute(script: str) -> None:
    servers = await cluster()
    connection = await servers.acquire(asyncio.get_running_loop().time() + 10)
    await connection.execute(script)
    servers.release(connection)


class Schema:
    """An empty one. It is used again when nothing refers to this object any more."""

    def __init__(self) -> None:
        self.is_used = bool(_free)
        self.name = _free.pop() if _free else f"test_{os.getpid()}_{next(_numbers)}"
        weakref.finalize(self, _free.append, self.name)

    async def empty(self) -> None:
        if self.is_used:
            name = statements.quoted(self.name)
            await execute("; ".join(f"delete from {name}.{table}" for table in TABLES))
            await execute(_DROP_VECTORS.format(name=self.name))


async def fresh_engine() -> PostgreSQLEngine:
    """An empty region, on the shared loop."""
    schema = Schema()
    await schema.empty()
    engine = PostgreSQLEngine(await cluster(), schema.name, ride_along=[fmt.GENERATION])
    engine.schema = schema  # type: ignore[attr-defined]
    return engine


async def database(engine: LateEngine) -> StoreDatabase:
    """The `Region.database` of the engine."""
    return StoreDatabase(statements.quoted((await engine.opened()).schema.name), await cluster())  # type: ignore[attr-defined]


class LateEngine(MemoryEngine):
    """Opened by its first use. Has what tests do with the memory engine."""

    def __init__(self) -> None:
        super().__init__()
        self._engine: PostgreSQLEngine | None = None

    async def opened(self) -> PostgreSQLEngine:
        if self._engine is None:
            self._engine = await fresh_engine()
        return self._engine

    async def read(self, fn: Callable[[Snapshot], T]) -> T:
        return await (await self.opened()).read(fn)

    async def transact(self, fn: Callable[[Transaction], T]) -> T:
        return await (await self.opened()).transact(fn)

    def snapshot(self) -> MemoryState:
        state: MemoryState = run(self._snapshot())
        return state

    async def _snapshot(self) -> MemoryState:
        engine = await self.opened()
        await engine.read(lambda snapshot: None)
        servers, name = await cluster(), statements.quoted(engine.schema.name)  # type: ignore[attr-defined]
        connection = await servers.acquire(asyncio.get_running_loop().time() + 10)
        rows, numbers, tallies = [
            await connection.fetch(f"select key, value from {name}.{table}") for table in ("rows", "numbers", "tallies")
        ]
        servers.release(connection)
        found = SortedDict([full_row(key, value) for key, value in rows])
        return found, {k: v for k, v in numbers if v}, {k: v for k, v in tallies if v}

    def restore(self, state: MemoryState) -> None:
        def write(tx: Transaction) -> None:
            rows, numbers, tallies = state
            old_rows, old_numbers, old_tallies = before
            for key in old_rows.keys() | rows.keys():
                tx.put(key, rows[key]) if key in rows else tx.delete(key)
            for key in old_numbers.keys() | numbers.keys():
                tx.add_number(key, numbers.get(key, 0) - old_numbers.get(key, 0))
            for key in old_tallies.keys() | tallies.keys():
                tx.add_tally(key, tallies.get(key, 0) - old_tallies.get(key, 0))

        before = self.snapshot()
        run(self.transact(write))

    def as_memory(self) -> MemoryEngine:
        """A copy."""
        engine = MemoryEngine()
        engine.restore(self.snapshot())
        return engine
