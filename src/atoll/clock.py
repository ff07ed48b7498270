"""Clocks. Only this module reads a clock; all other code gets the time as a parameter."""

from __future__ import annotations

import time
from typing import Protocol

LATEST_MS = 139_797_273_599_999
"""The end of the year 6399, in milliseconds. Stores keep times of versions as signed 64-bit numbers, which last until
the year 6429."""

monotonic_ns = time.monotonic_ns
"""Nanoseconds on a clock that never goes back, to measure durations."""


class Clock(Protocol):
    def now_ms(self) -> int:
        """Milliseconds since 1970."""


class SystemClock:
    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000


class ManualClock:
    """A clock that moves only when a caller moves it."""

    def __init__(self, start_ms: int) -> None:
        self._now_ms = start_ms

    def now_ms(self) -> int:
        return self._now_ms

    def advance(self, ms: int) -> int:
        self._now_ms += ms
        return self._now_ms

    def set(self, now_ms: int) -> None:
        self._now_ms = now_ms


class SkewedClock:
    """Another clock, fast by `skew_ms`."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.skew_ms = 0

    def now_ms(self) -> int:
        return self._clock.now_ms() + self.skew_ms
