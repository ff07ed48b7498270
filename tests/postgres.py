"""A PostgreSQL server for tests: its URL is ATOLL_TEST_POSTGRESQL, which `make test-postgresql` sets.

The event loop that tests share: connections belong to one loop, and tests run many calls on one engine.
"""

from __future__ import annotations

import asyncio
import itertools
import os
from collections.abc import Coroutine
from typing import Any

from atoll.database import format as fmt
from atoll.storage.postgresql import statements, url
from atoll.storage.postgresql.cluster import Cluster
from atoll.storage.postgresql.engine import PostgreSQLEngine

URL = os.environ.get("ATOLL_TEST_POSTGRESQL", "")

_numbers = itertools.count()
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


def new_schema() -> str:
    return f"test-{os.getpid()}-{next(_numbers)}"


async def drop(cluster: Cluster, schema: str) -> None:
    connection = await cluster.acquire(asyncio.get_running_loop().time() + 10)
    await connection.execute(f"drop schema if exists {statements.quoted(schema)} cascade")
    cluster.release(connection)


async def fresh_engine() -> PostgreSQLEngine:
    """An empty region, on the shared loop."""
    return PostgreSQLEngine(await cluster(), new_schema(), ride_along=[fmt.GENERATION])
