"""The background work of one open region: a loop that runs due jobs, and the start of all other loops.

The other loops run long jobs, the work of `evaluation`, triggers and replicas, load vector indexes, and keep their
tables up to date. `Region.wake` wakes most of them. `node` creates one `RegionWork` when a region is opened, and ends
it when the region is closed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Set
from contextlib import suppress
from functools import partial
from typing import Any

from atoll.api.vector_tables import VectorTables
from atoll.clock import ManualClock
from atoll.database import background
from atoll.database import format as fmt
from atoll.database.health import BACKGROUND
from atoll.database.region import Region
from atoll.evaluation import Evaluation, earliest, works
from atoll.recovery.long_jobs import Runner
from atoll.replication.follower import Replication
from atoll.storage.engine import Snapshot
from atoll.triggers.functions import Functions
from atoll.triggers.poller import Triggers

LOOK_AGAIN_MS = 1_000
"""The longest interval between checks for background work left by another process of this node."""
RETRY_MS = 5_000
REST_MS = 60_000
"""A region may be closed if its next work is later than this."""

Run = Callable[[Coroutine[Any, Any, None]], None]
"""Starts a loop, as a task that the node waits for when it stops."""


class RegionWork:
    """Everything that runs in the background of one region as long as it is open."""

    def __init__(
        self,
        region: Region,
        runner: Runner,
        functions: Callable[[], Functions],
        looked: Callable[[Region, int | None], Awaitable[bool]],
        *,
        alone: bool,
    ) -> None:
        """`functions` are those that alarms may call. `looked` takes the time of the next work each time that all due
        work is done, and returns whether the region was closed then. `alone`: no other process has the store."""
        self.runner = runner
        """Runs the long jobs."""
        self.evaluation = Evaluation(region, works(region, functions), alone=alone)
        self.is_resting = False
        """Whether all due work is done, and the loop waits."""
        self._vector_tables = VectorTables(region)
        self._region = region
        self._looked = looked
        self._woken = asyncio.Event()
        self._ended = False

    def start(self, run: Run, replication: Replication | None, triggers: Triggers | None) -> None:
        """Start all loops; `replication` and `triggers` are those that the region follows."""
        region = self._region
        wakes = [self._woken.set, self.evaluation.wake, self.runner.wake]
        if replication is not None:
            wakes.append(replication.wake)
            run(replication.run())
        region.wake = partial(_call_all, wakes)
        run(self._run_jobs())
        run(self._vector_tables.run())
        run(self.evaluation.run())
        run(self.runner.run())
        if triggers is not None:
            run(triggers.run())

    def end_jobs(self) -> None:
        """End the loop of jobs after its current turn, and the work on vector tables at once."""
        self._ended = True
        self._vector_tables.stop()
        self._woken.set()

    async def end(self) -> None:
        """End everything but the triggers, which the node may need longer."""
        self.end_jobs()
        await self.runner.stop()
        await self.evaluation.stop()

    async def settle(self, uncounted: Set[bytes]) -> int | None:
        """Run the jobs that are due; return the time of the next one whose kind is not `uncounted`."""
        region = self._region
        return await background.settle(region, uncounted=uncounted) if await region.engine.lease() else None

    async def settle_runner(self) -> int | None:
        """Do the due work of long jobs; return when more is due."""
        return await self.runner.settle() if await self._region.engine.lease() else None

    async def may_rest(self, wake_ms: int | None, *, crowded: bool, keeps_tables: bool) -> bool:
        """Whether nothing here needs the open region until `wake_ms`. `crowded`: other regions need its place;
        `keeps_tables`: a region with tables stays open."""
        clock = self._region.clock
        if not crowded and wake_ms is not None and wake_ms - clock.now_ms() < REST_MS:
            return False
        if wake_ms is not None and (wake_ms <= clock.now_ms() or isinstance(clock, ManualClock)):
            return False
        if not self.is_resting or await self.runner.is_busy():
            return False
        return not (keeps_tables and await self._region.engine.read(_has_tables))

    async def _run_jobs(self) -> None:
        """Run jobs whenever one is due, only in the process that holds the region's lease."""
        region = self._region
        while not self._ended:
            self._woken.clear()
            wait_ms, wake_ms = LOOK_AGAIN_MS, None
            try:
                if await region.engine.lease():
                    wake_ms = await background.run(region)
                    if wake_ms is not None:
                        wait_ms = max(0, min(wait_ms, wake_ms - region.clock.now_ms()))
                    if await region.engine.give_back():
                        wait_ms = 0
                region.health.resolve(BACKGROUND)
            except Exception as error:
                region.health.failing(BACKGROUND, error)
                wait_ms, wake_ms = RETRY_MS, region.clock.now_ms()
            region.health.look_at_files()
            if region.health.suspicious:
                await region.health.examine(region.engine)
            self.is_resting = True
            if not await self._looked(region, earliest([wake_ms, self.evaluation.wake_ms])):
                with suppress(asyncio.TimeoutError):
                    async with asyncio.timeout(wait_ms / 1000):
                        await self._woken.wait()
            self.is_resting = False


def _call_all(wakes: list[Callable[[], None]]) -> None:
    for wake in wakes:
        wake()


def _has_tables(snapshot: Snapshot) -> bool:
    return any(snapshot.scan(*fmt.TABLES, limit=1))
