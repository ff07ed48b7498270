"""Waiting for a time by a clock that may be manual: then the one who moves the clock ends the waits."""

from __future__ import annotations

import asyncio
from typing import NamedTuple

from atoll.clock import Clock, ManualClock


class _Wait(NamedTuple):
    start_ms: int
    due_ms: int
    ended: asyncio.Future[None]


class Waits:
    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self._waits: list[_Wait] = []

    async def wait(self, due_ms: int) -> None:
        """Until `due_ms`, or until the clock is set back to before now."""
        start_ms = self.clock.now_ms()
        if not isinstance(self.clock, ManualClock):
            await asyncio.sleep(max(0, due_ms - start_ms) / 1000)
            return
        wait = _Wait(start_ms, due_ms, asyncio.get_running_loop().create_future())
        self._waits.append(wait)
        try:
            self.settle()
            await wait.ended
        finally:
            self._waits = [one for one in self._waits if one is not wait]

    def settle(self) -> int | None:
        """End the waits that are due; returns when the next one is. Call it after each move of a manual clock."""
        now_ms = self.clock.now_ms()
        next_ms: int | None = None
        for wait in self._waits:
            if wait.due_ms <= now_ms or now_ms < wait.start_ms:
                if not wait.ended.done():
                    wait.ended.set_result(None)
            elif next_ms is None or wait.due_ms < next_ms:
                next_ms = wait.due_ms
        return next_ms
