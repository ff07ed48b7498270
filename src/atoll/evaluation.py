"""The background work of metrics, alarms and auto scaling: each minute, collect metrics, then run the services that
read them.

Each process collects its own measurements. Only the process that holds the region's lease runs the `Work` of the
services, in the order of `works`: alarms see the metrics of the last minute, and auto scaling sees the alarms. This
work is not in the store's due index, because it changes nothing in most minutes. Each service returns when its next
work is due.

Other processes may store their last minute a little later, so with several processes work runs with a clock that is
`LAG_MS` slow.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import Protocol

from atoll.alarms.actions import AUTO_SCALING, Act, Actions
from atoll.alarms.evaluation import Alarms
from atoll.api.scaling.requests import ScalingWork
from atoll.database.health import EVALUATION
from atoll.database.region import Region
from atoll.insights.observing import Insights
from atoll.insights.upkeep import InsightsUpkeep
from atoll.metrics.collection import Collection
from atoll.metrics.steps import Steps
from atoll.metrics.upkeep import Upkeep
from atoll.triggers.functions import Functions

LOOK_AGAIN_MS = 1_000
"""The longest interval between two checks for work: a minute may have ended, or another process stopped."""
RETRY_MS = 5_000
LAG_MS = 2_000


class Work(Protocol):
    async def settle(self, now_ms: int) -> int | None:
        """Do all work that is due at `now_ms`; returns when more is due, None if only a request can cause more. Called
        at least once a second, so it must cost little when nothing is due. Requests that cause work wake the region
        (`Region.wake`)."""

    async def stop(self) -> None:
        """End tasks in the background. No `settle` follows."""


class Evaluation:
    """Runs the work of one region. `run` works in the background, `settle` returns when all due work is done."""

    def __init__(self, region: Region, works: Sequence[Work], *, alone: bool) -> None:
        """`alone`: no other process uses the store."""
        self.wake_ms: int | None = None
        """When the work of a service is due next, as far as the last look showed."""
        self._region = region
        self._works = works
        self._lag_ms = 0 if alone else LAG_MS
        self._woken = asyncio.Event()
        self._passing = asyncio.Lock()
        self._stopping = False

    def wake(self) -> None:
        self._woken.set()

    async def run(self) -> None:
        region = self._region
        while not self._stopping:
            self._woken.clear()
            wait_ms = LOOK_AGAIN_MS
            try:
                wake_ms = await self.settle()
                if wake_ms is not None:
                    wait_ms = max(0, min(wait_ms, wake_ms - region.clock.now_ms()))
                region.health.resolve(EVALUATION)
            except Exception as error:
                region.health.failing(EVALUATION, error)
                wait_ms = RETRY_MS
            with suppress(TimeoutError):
                async with asyncio.timeout(wait_ms / 1000):
                    await self._woken.wait()

    async def settle(self) -> int | None:
        """Do all due work; returns when the next is due. If one part fails, the others still run, and the errors are
        raised at the end."""
        region = self._region
        async with self._passing:
            collected_ms = earliest([await region.state(Collection).settle(), await region.state(Insights).settle()])
            wakes: list[int | None] = []
            failed = []
            if await region.engine.lease():
                now_ms = region.clock.now_ms() - self._lag_ms
                for work in self._works:
                    try:
                        wake_ms = await work.settle(now_ms)
                    except Exception as error:
                        failed.append(error)
                    else:
                        wakes.append(None if wake_ms is None else wake_ms + self._lag_ms)
        if failed:
            raise ExceptionGroup("evaluation", failed)
        self.wake_ms = earliest(wakes)
        return earliest([collected_ms, self.wake_ms])

    async def stop(self) -> None:
        """End `run`, and store the last measurements."""
        self._stopping = True
        self.wake()
        async with self._passing:
            for work in self._works:
                await work.stop()
            try:
                await self._region.state(Collection).flush()
                await self._region.state(Insights).flush()
            except Exception as error:
                self._region.health.failing(EVALUATION, error)


def works(region: Region, functions: Callable[[], Functions]) -> list[Work]:
    """The work of the services, in the order of execution. `functions` are those that alarms may call."""
    scaling = ScalingWork(region)
    acts: dict[str, Act] = {AUTO_SCALING: scaling.act}
    alarms = Alarms(region, Actions(region, functions, acts))
    # Schedules come first, then alarms, then auto scaling, because alarms may cause due work there.
    return [Steps(region), scaling, alarms, scaling, Upkeep(region), InsightsUpkeep(region)]


def earliest(wakes: Iterable[int | None]) -> int | None:
    return min((wake_ms for wake_ms in wakes if wake_ms is not None), default=None)
