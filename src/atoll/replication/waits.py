"""Schedule calls for a later time. With a manual clock, a move of the clock makes the calls that are due by then."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import NamedTuple

from atoll.clock import Clock, ManualClock

Cancel = Callable[[], object]
Timer = Callable[[int, Callable[[], None]], Cancel]
"""Schedules a call for a time in milliseconds since 1970, never at once; returns a function that cancels it."""


class _Call(NamedTuple):
    asked_ms: int
    due_ms: int
    make: Callable[[], None]


class Waits:
    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._calls: dict[object, _Call] = {}

    def at(self, due_ms: int, make: Callable[[], None]) -> Cancel:
        """Schedule a call for `due_ms`, or for when the clock is set back to before now."""
        now_ms = self._clock.now_ms()
        if not isinstance(self._clock, ManualClock):
            return asyncio.get_running_loop().call_later(max(0, due_ms - now_ms) / 1000, make).cancel
        key = object()
        self._calls[key] = _Call(now_ms, due_ms, make)
        return lambda: self._calls.pop(key, None)

    def settle(self) -> int | None:
        """Make the calls that are due; returns when the next one is. Call it after each move of a manual clock."""
        now_ms = self._clock.now_ms()
        for key, call in list(self._calls.items()):
            if not call.asked_ms <= now_ms < call.due_ms and self._calls.pop(key, None) is not None:
                call.make()
        return min((call.due_ms for call in self._calls.values()), default=None)
