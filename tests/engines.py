"""The engine under the tests that need none in particular: `ATOLL_TEST_ENGINE` is memory or hostile.

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

HOSTILE = os.environ.get("ATOLL_TEST_ENGINE", "memory") == "hostile"
SEED = int(os.environ.get("ATOLL_SEED", "0"))


def fresh_engine() -> MemoryEngine:
    return HostileEngine(SEED) if HOSTILE else MemoryEngine()


def finish(call: Coroutine[Any, Any, Any]) -> Any:
    """The result of a coroutine that waits for nothing, or for nothing but the hostile engine."""
    if HOSTILE:
        return asyncio.run(call)
    try:
        call.send(None)
    except StopIteration as stop:
        return stop.value
    raise AssertionError("it waited")


def findings(region: Region) -> list[Finding]:
    """What a check of the region's store in memory finds."""
    assert isinstance(region.engine, MemoryEngine)
    context = Context(region.clock.now_ms())
    found: list[Finding] = finish(MemoryEngine.read(region.engine, lambda snapshot: list(check(snapshot, context))))
    return found
