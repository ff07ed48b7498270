"""With a manual clock, read over slow links at the times of that clock, so that tests are repeatable.

With a manual clock, a delayed answer arrives when the clock has moved. If a background loop asked for it, the delay
would begin at an arbitrary time. So background loops do not read over slow links; `settle` does, before and after each
move of the clock. It asks, and returns when the answer is held.
"""

from __future__ import annotations

import asyncio

from atoll.errors import ApiError
from atoll.replication.exchange import Lost, Unreachable
from atoll.replication.faulty import FaultyExchange
from atoll.replication.follower import Replication

Key = tuple[str, str, str]
"""The reading region, its table, and the region that is read."""


class Pacing:
    """The answers that slow links hold, each with the task that will apply it."""

    def __init__(self, exchange: FaultyExchange) -> None:
        self._exchange = exchange
        self._tasks: dict[Key, asyncio.Task[bool]] = {}

    async def rest(self) -> bool:
        """Wait until each answer is applied or held. Returns whether any was applied."""
        done = False
        for key in list(self._tasks):
            done = await self._rested(key) or done
        return done

    async def ask(self, replication: Replication, other: str) -> bool:
        """Ask a slow region about each table that has no held answer. Returns whether anything was applied."""
        done = False
        for name in await replication.tables_of(other):
            key = replication.region.name, name, other
            if key not in self._tasks:
                self._tasks[key] = asyncio.create_task(_read(replication, name, other))
            done = await self._rested(key) or done
        return done

    async def drop(self) -> None:
        """Drop the held answers."""
        tasks = list(self._tasks.values())
        self._tasks.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _rested(self, key: Key) -> bool:
        task = self._tasks[key]
        await self._exchange.at_rest(task)
        if not task.done():
            return False
        self._tasks.pop(key, None)
        return not task.cancelled() and task.result()


async def _read(replication: Replication, name: str, other: str) -> bool:
    """Read the changes that the other region has now. Returns whether anything was applied."""
    done = False
    while True:
        try:
            progress = await replication.step(name, other, 0)
        except Lost:
            continue
        except (Unreachable, ApiError) as error:
            replication.failed(name, other, str(error))
            return done
        if progress is None:
            return done
        done = done or progress.did_something
        if not progress.goes_on:
            return done
