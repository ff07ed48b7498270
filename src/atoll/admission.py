"""The limits on the use of tables, by region: token buckets of capacity units, and the load of ranges of keys.

Both outlive the store of a region: closing the store forgets no load and no debt.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from atoll.capacity.buckets import LocalBuckets
from atoll.capacity.key_ranges import FILE_NAME as KEY_RANGES_FILE
from atoll.capacity.key_ranges import KeyRanges
from atoll.capacity.shared import FILE_NAME as BUCKETS_FILE
from atoll.capacity.shared import SharedBuckets
from atoll.clock import Clock
from atoll.config import Config
from atoll.data_directory import DataDirectory
from atoll.database.region import Buckets

if TYPE_CHECKING:
    from atoll.shared_store import SharedStore


class Admission:
    """Keeps both for each region. Workers share them through the `data` directory, front ends through the `shared`
    store."""

    def __init__(self, config: Config, clock: Clock, data: DataDirectory | None, shared: SharedStore | None) -> None:
        self._settings, self._workers = config.settings, config.workers
        self._clock = clock
        self._data, self._shared = data, shared
        self._buckets: dict[str, Buckets] = {}
        self._key_ranges: dict[str, KeyRanges] = {}

    def buckets(self, region: str) -> Buckets | None:
        if self._settings.throttling == "off":
            return None
        if region not in self._buckets:
            self._buckets[region] = self._open_buckets(region)
        return self._buckets[region]

    def _open_buckets(self, region: str) -> Buckets:
        if self._shared is not None:
            return self._shared.open_buckets(region, self._clock)
        if self._data is None or self._workers == 1:
            return LocalBuckets(self._clock)
        return SharedBuckets(self._data.store(region) / BUCKETS_FILE, self._clock)

    def key_ranges(self, region: str) -> KeyRanges | None:
        if self._settings.throttling != "full":
            return None
        if region not in self._key_ranges:
            path = None if self._data is None else self._data.store(region) / KEY_RANGES_FILE
            self._key_ranges[region] = KeyRanges(
                self._clock, path, alone=self._workers == 1, quotas=self._settings.quotas
            )
        return self._key_ranges[region]
