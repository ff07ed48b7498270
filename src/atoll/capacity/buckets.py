"""Token buckets: they limit the units that a table or an index may consume a second, with a burst.

A bucket holds units. It starts full, refills at a steady rate, and holds at most 300 seconds of that rate: the
service's burst capacity. A request is admitted while the bucket is above zero; its real cost is subtracted afterwards.
So a bucket may go below zero, and then no request is admitted until it has refilled.
"""

from __future__ import annotations

from typing import NamedTuple

from atoll import limits
from atoll.clock import Clock


class Bucket(NamedTuple):
    units: float
    """The units in the bucket; a debt if below zero."""
    at_ms: int
    """The time at which the bucket held these units."""


def refilled(bucket: Bucket | None, rate: float, now_ms: int) -> Bucket:
    """The bucket now, refilled at `rate` units a second; None means a bucket that was never used. If the clock was set
    back, nothing is refilled."""
    most = rate * limits.BURST_SECONDS
    if bucket is None:
        return Bucket(most, now_ms)
    gained = rate * max(0, now_ms - bucket.at_ms) / 1000
    return Bucket(min(most, bucket.units + gained), now_ms)


def drained(bucket: Bucket | None, rate: float, units: float, now_ms: int) -> Bucket:
    """The bucket now, refilled and then reduced by `units`."""
    full = refilled(bucket, rate, now_ms)
    return full._replace(units=full.units - units)


class LocalBuckets:
    """The buckets of a region in a single process, by number."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._buckets: dict[int, Bucket] = {}

    def level(self, number: int, rate: float) -> float:
        bucket, now_ms = self._buckets.get(number), self._clock.now_ms()
        if bucket is not None and bucket.at_ms > now_ms:  # the clock was set back: refill from now on
            self._buckets[number] = bucket._replace(at_ms=now_ms)
        return refilled(bucket, rate, now_ms).units

    def take(self, number: int, rate: float, units: float) -> None:
        self._buckets[number] = drained(self._buckets.get(number), rate, units, self._clock.now_ms())

    def fill(self, number: int) -> None:
        self._buckets.pop(number, None)

    def forget(self) -> None:
        self._buckets.clear()
