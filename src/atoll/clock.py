"""Time as a parameter: the only module that reads a clock.

`Clock` tells the time; `HybridClock` makes of it the versions that order all writes. A `Version` is a hybrid logical
clock time (48 bits of milliseconds since 1970, 16 bits of a counter) with the region that wrote it; versions are
totally ordered, so "last writer wins" is `max`. A `Stamp` is the time of one transaction.
"""

from __future__ import annotations

import itertools
import secrets
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


class Stamp(NamedTuple):
    """When a transaction is made: one for all of its changes, given to it as a value."""

    time: int
    region: str
    now_ms: int
    """The region's wall-clock time, in milliseconds since 1970."""
    commit: int
    """Identifies the transaction."""
    reserves: int | None = None
    """The transaction has to store that times up to this one may have been given."""

    def version(self, after: int = 0) -> Version:
        """The version of an item that this transaction writes over one with the time `after`: always greater."""
        return Version(self.time if self.time > after else after + 1, self.region)


_RESERVED = 1_000 << COUNTER_BITS
"""A second."""


class HybridClock:
    """Gives times that never repeat and never go back, near to the wall clock's even when that jumps.

    Not even over a restart: the store keeps a time that no given one exceeds. It is set ahead by a second, so that one
    write in a second stores it.
    """

    def __init__(self, clock: Clock, region: str, last: int = 0) -> None:
        self._clock = clock
        self._region = region
        self._reserved = 0
        self._commits = itertools.count(secrets.randbits(62))
        self.last = last

    def stamp(self) -> Stamp:
        now_ms = self._clock.now_ms()
        time = now_ms << COUNTER_BITS
        if time <= self.last:
            time = self.last + 1
        self.last = time
        return Stamp(
            time, self._region, now_ms, next(self._commits), None if time <= self._reserved else time + _RESERVED
        )

    def reserved(self, time: int) -> None:
        """It is durable that times up to this one may have been given."""
        self._reserved = max(self._reserved, time)

    def resume(self, time: int) -> None:
        """Give only greater times than this one, which an earlier process has reserved."""
        self.last = max(self.last, time)
