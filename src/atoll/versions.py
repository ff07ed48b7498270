"""Versions order all writes, and a stamp is the time of one transaction.

A `Version` is a hybrid logical clock time (48 bits of milliseconds since 1970, 16 bits of a counter) with the region
that wrote it. Versions are totally ordered, so "last writer wins" is `max`. A `HybridClock` assigns the times.
"""

from __future__ import annotations

import itertools
import secrets
from typing import NamedTuple

from atoll.clock import Clock

COUNTER_BITS = 16


class Version(NamedTuple):
    time: int
    region: str

    @property
    def ms(self) -> int:
        """The wall-clock time of the write, in milliseconds since 1970."""
        return self.time >> COUNTER_BITS


class Stamp(NamedTuple):
    """The time of a transaction, which all of its changes share."""

    time: int
    region: str
    now_ms: int
    """The region's wall-clock time, in milliseconds since 1970."""
    commit: int
    """Identifies the transaction."""
    reserves: int | None = None
    """If set, the transaction must store this time as the new bound that no version exceeds."""

    def version(self, after: int = 0) -> Version:
        """The version for an item whose stored version has the time `after`; always greater than that."""
        return Version(self.time if self.time > after else after + 1, self.region)


_RESERVED = 1_000 << COUNTER_BITS
"""One second: the lead of a new bound."""


class HybridClock:
    """Assigns times that never repeat and never go back, close to the wall clock even when it jumps.

    This also holds across restarts: the store keeps a bound that no assigned time exceeds. Each new bound is a second
    ahead, so at most one write a second stores it.
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
        """The bound `time` is durable: times up to it can be assigned without storing another."""
        self._reserved = max(self._reserved, time)

    def resume(self, time: int) -> None:
        """Assign only times greater than `time`, the bound that an earlier process stored."""
        self.last = max(self.last, time)
