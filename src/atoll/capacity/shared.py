"""The buckets of a region shared by several processes, in a file that all of them have open.

    byte 0                  every process that uses the file holds a lock on it; the first process empties the file
    17 * number, 17 bytes   a bucket: whether it was ever used (a byte), units (a double), milliseconds (an integer)

A process locks a bucket's bytes while it reads or changes them, and reads the clock under that lock. So no change is
lost, and a bucket's time never goes back. The operating system frees the locks of a process that dies.
"""

from __future__ import annotations

import fcntl
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from math import inf
from pathlib import Path
from struct import Struct

from atoll.capacity.buckets import Bucket, full
from atoll.clock import Clock

FILE_NAME = "buckets"

_log = logging.getLogger(__name__)

_BUCKET = Struct("<?dq")


class SharedBuckets:
    """One object per process, kept until the process ends: these locks belong to the process, not to the object."""

    def __init__(self, path: Path, clock: Clock) -> None:
        self._clock = clock
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.lockf(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB, 1)
            self.forget()
        except (BlockingIOError, PermissionError):
            _log.debug("another worker has opened the shared buckets first: %s", path)
        fcntl.lockf(self._fd, fcntl.LOCK_SH, 1)

    def level(self, number: int, rate: float) -> float:
        with self._locked(number):
            bucket, now_ms = self._load(number), self._clock.now_ms()
            if bucket is None:
                return full(rate, now_ms).units
            if bucket.at_ms > now_ms:  # the clock was set back: refill from now on
                bucket.at_ms = now_ms
                self._store(number, bucket)
            return bucket.held(rate, now_ms)

    def draw(self, number: int, rate: float, units: float, now_ms: int) -> bool:
        """As that of `LocalBuckets`; the time is read under the lock instead."""
        with self._locked(number):
            return self._taken(number, rate, units, least=0) > 0

    def take(self, number: int, rate: float, units: float) -> None:
        with self._locked(number):
            self._taken(number, rate, units)

    def _taken(self, number: int, rate: float, units: float, least: float = -inf) -> float:
        """Take the units if the bucket is above this; returns what it held before."""
        bucket, now_ms = self._load(number), self._clock.now_ms()
        held = full(rate, now_ms).units if bucket is None else bucket.held(rate, now_ms)
        self._store(number, Bucket(held - units if held > least else held, now_ms))
        return held

    def fill(self, number: int) -> None:
        with self._locked(number):
            os.pwrite(self._fd, bytes(_BUCKET.size), number * _BUCKET.size)

    def forget(self) -> None:
        os.truncate(self._fd, 0)

    @contextmanager
    def _locked(self, number: int) -> Iterator[None]:
        fcntl.lockf(self._fd, fcntl.LOCK_EX, _BUCKET.size, number * _BUCKET.size)
        try:
            yield
        finally:
            fcntl.lockf(self._fd, fcntl.LOCK_UN, _BUCKET.size, number * _BUCKET.size)

    def _load(self, number: int) -> Bucket | None:
        stored = os.pread(self._fd, _BUCKET.size, number * _BUCKET.size)
        if len(stored) < _BUCKET.size:
            return None
        used, units, at_ms = _BUCKET.unpack(stored)
        return Bucket(units, at_ms) if used else None

    def _store(self, number: int, bucket: Bucket) -> None:
        os.pwrite(self._fd, _BUCKET.pack(True, bucket.units, bucket.at_ms), number * _BUCKET.size)
