"""Token buckets: what a table or an index may consume a second, and what it has saved.

A bucket holds units. It is full at first, is refilled steadily, and holds what flows into it in 300 seconds: the
service's burst capacity. Whoever finds anything in it is admitted; what he really consumed is known afterwards and is
taken then. So a bucket may be left with a debt, and nobody is admitted until that is paid.
"""

from __future__ import annotations

from typing import NamedTuple

from atoll import limits
from atoll.clock import Clock


class Bucket(NamedTuple):
    units: float
    """Below zero: a debt."""
    at_ms: int
    """When it held them."""


def refilled(bucket: Bucket | None, rate: float, now_ms: int) -> Bucket:
    """The bucket now, refilled at `rate` units a second; None is one that was never used. A clock that was set back
    refills nothing."""
    most = rate * limits.BURST_SECONDS
    if bucket is None:
        return Bucket(most, now_ms)
    gained = rate * max(0, now_ms - bucket.at_ms) / 1000
    return Bucket(min(most, bucket.units + gained), now_ms)


def drained(bucket: Bucket | None, rate: float, units: float, now_ms: int) -> Bucket:
    """The bucket now, when `units` have been taken from it."""
    full = refilled(bucket, rate, now_ms)
    return full._replace(units=full.units - units)


class LocalBuckets:
    """The buckets of a region that one process serves, by their numbers."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._buckets: dict[int, Bucket] = {}

    def level(self, number: int, rate: float) -> float:
        return refilled(self._buckets.get(number), rate, self._clock.now_ms()).units

    def take(self, number: int, rate: float, units: float) -> None:
        self._buckets[number] = drained(self._buckets.get(number), rate, units, self._clock.now_ms())

    def fill(self, number: int) -> None:
        self._buckets.pop(number, None)

    def forget(self) -> None:
        self._buckets.clear()
