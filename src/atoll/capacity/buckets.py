"""Token buckets: they limit the units that a table or an index may consume a second, with a burst.

A bucket holds units. It starts full, refills at a steady rate, and holds at most 300 seconds of that rate: the
service's burst capacity. A request is admitted while the bucket is above zero; its real cost is subtracted afterwards.
So a bucket may go below zero, and then no request is admitted until it has refilled.
"""

from __future__ import annotations

from dataclasses import dataclass

from atoll.clock import Clock
from atoll.limits import BURST_SECONDS


@dataclass(slots=True)
class Bucket:
    units: float
    """The units in the bucket; a debt if below zero."""
    at_ms: int
    """The time at which the bucket held these units."""

    def held(self, rate: float, now_ms: int) -> float:
        """The units now, refilled at `rate` units a second. If the clock was set back, nothing is refilled."""
        units, most = self.units, rate * BURST_SECONDS
        if now_ms > self.at_ms:
            units += rate * (now_ms - self.at_ms) / 1000
        return units if units < most else most


def full(rate: float, now_ms: int) -> Bucket:
    """A bucket that was never used."""
    return Bucket(rate * BURST_SECONDS, now_ms)


class LocalBuckets:
    """The buckets of a region in a single process, by number."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._buckets: dict[int, Bucket] = {}

    def level(self, number: int, rate: float) -> float:
        bucket, now_ms = self._buckets.get(number), self._clock.now_ms()
        if bucket is None:
            return rate * BURST_SECONDS
        if bucket.at_ms > now_ms:  # the clock was set back: refill from now on
            bucket.at_ms = now_ms
        return bucket.held(rate, now_ms)

    def draw(self, number: int, rate: float, units: float, now_ms: int) -> bool:
        """Take the units if the bucket is above zero; returns whether it was. `now_ms` is the time of the request."""
        bucket = self._buckets.get(number)
        if bucket is None or bucket.at_ms > now_ms:  # a later request came first, or the clock was set back
            is_admitted = self.level(number, rate) > 0
            if is_admitted:
                self.take(number, rate, units)
            return is_admitted
        held = bucket.held(rate, now_ms)
        if held <= 0:
            return False
        bucket.units, bucket.at_ms = held - units, now_ms
        return True

    def take(self, number: int, rate: float, units: float) -> None:
        bucket, now_ms = self._buckets.get(number), self._clock.now_ms()
        if bucket is None:
            bucket = self._buckets[number] = full(rate, now_ms)
        bucket.units, bucket.at_ms = bucket.held(rate, now_ms) - units, now_ms

    def fill(self, number: int) -> None:
        self._buckets.pop(number, None)

    def forget(self) -> None:
        self._buckets.clear()
