"""Time as a parameter: the only module that reads a clock.

`Clock` says what time it is; `HybridClock` makes of it the versions that order all writes. A `Version` is a hybrid
logical clock time (48 bits of milliseconds since 1970, 16 bits of a counter) with the region that wrote it; versions
are totally ordered, so "last writer wins" is `max`.
"""

from __future__ import annotations

import time
from typing import NamedTuple, Protocol

COUNTER_BITS = 16

monotonic_ns = time.monotonic_ns
"""Nanoseconds since some moment, by a clock that never goes back: for how long something takes."""


class Version(NamedTuple):
    time: int
    region: str

    @property
    def ms(self) -> int:
        """Wall-clock milliseconds since 1970 at which the write was made."""
        return self.time >> COUNTER_BITS


class Clock(Protocol):
    def now_ms(self) -> int:
        """Milliseconds since 1970."""


class SystemClock:
    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000


class ManualClock:
    """A clock that moves only when it is told to."""

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


class HybridClock:
    """Gives times that never repeat and never go back, near to the wall clock's even when that jumps."""

    def __init__(self, clock: Clock, region: str, last: int = 0) -> None:
        self._clock = clock
        self._region = region
        self.last = last

    def next(self, after: int = 0) -> Version:
        """A version greater than every earlier one of this clock, and than the time `after` (that of the item
        which is replaced, written by another process or region)."""
        self.last = max(self._clock.now_ms() << COUNTER_BITS, self.last + 1, after + 1)
        return Version(self.last, self._region)
