"""Gives the regions of a process what throttles them. It is kept while a region is closed: locks of its files belong to
the process."""

from __future__ import annotations

from pathlib import Path

from atoll.capacity import key_ranges, shared
from atoll.capacity.buckets import LocalBuckets
from atoll.capacity.key_ranges import KeyRanges
from atoll.capacity.shared import SharedBuckets
from atoll.clock import Clock
from atoll.database.region import Buckets, Region


class Throttles:
    """`alone`: no other process serves the stores."""

    def __init__(self, clock: Clock, *, alone: bool) -> None:
        self._clock = clock
        self._alone = alone
        self._buckets: dict[str, Buckets] = {}
        self._ranges: dict[str, KeyRanges] = {}

    def apply(self, region: Region, store: Path | None) -> None:
        """`store` is the region's directory, if it has one."""
        mode, key = region.settings.throttling, region.key
        if mode != "off" and key not in self._buckets:
            self._buckets[key] = (
                LocalBuckets(self._clock)
                if store is None or self._alone
                else SharedBuckets(store / shared.FILE_NAME, self._clock)
            )
        if mode == "full" and key not in self._ranges:
            path = None if store is None else store / key_ranges.FILE_NAME
            quotas = region.settings.quotas
            self._ranges[key] = KeyRanges(self._clock, path, alone=self._alone, quotas=quotas)
        region.buckets, region.key_ranges = self._buckets.get(key), self._ranges.get(key)
