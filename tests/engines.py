"""The engine of tests that need no particular one: `ATOLL_TEST_ENGINE` is memory, hostile or postgresql.

`ATOLL_SEED` is the seed of the hostile one.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Coroutine
from typing import Any

from atoll.check.findings import Context, Finding
from atoll.check.sections import check
from atoll.database.region import Region
from atoll.storage.hostile import HostileEngine
from atoll.storage.memory import MemoryEngine
from tests import postgres

NAME = os.environ.get("ATOLL_TEST_ENGINE", "memory")
HOSTILE = NAME == "hostile"
POSTGRESQL = NAME == "postgresql"
SEED = int(os.environ.get("ATOLL_SEED", "0"))


def fresh_engine() -> MemoryEngine:
    if POSTGRESQL:
        return postgres.LateEngine()
    return HostileEngine(SEED) if HOSTILE else MemoryEngine()


def run(call: Coroutine[Any, Any, Any]) -> Any:
    """The result of a coroutine that uses the engine."""
    return postgres.run(call) if POSTGRESQL else asyncio.run(call)


def finish(call: Coroutine[Any, Any, Any]) -> Any:
    """The result of a coroutine that waits for nothing, or for nothing but an engine that is not in memory."""
    if HOSTILE or POSTGRESQL:
        return run(call)
    awaited = None
    while awaited is None:  # it only lets other requests run
        try:
            awaited = call.send(None)
        except StopIteration as stop:
            return stop.value
    raise AssertionError(f"it waited for {awaited}")


def findings(region: Region) -> list[Finding]:
    """The findings of a check of the region's store in memory."""
    engine = region.engine
    if isinstance(engine, postgres.LateEngine):
        engine = engine.as_memory()
    assert isinstance(engine, MemoryEngine)
    store = engine
    context = Context(region.clock.now_ms())
    found: list[Finding] = finish(MemoryEngine.read(store, lambda snapshot: list(check(snapshot, context))))
    return found
