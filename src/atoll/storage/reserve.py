"""Reserve disk space, so that data can be deleted when the disk is full.

A deletion also needs space, in the WAL and for its change record. The reserve is a file of 64 MB. The first commit that
finds the disk full frees it; from then on only transactions that delete something are accepted, until there is space
for a new reserve.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from atoll.platforms import allocate

BYTES = 64 * 1024 * 1024


class Reserve:
    """One for all stores of a data directory. Several processes may share the file."""

    def __init__(self, path: Path, size: int = BYTES) -> None:
        self._path = path
        self.size = size
        self.is_spent = False
        self.refill()

    def spend(self) -> bool:
        """Give the space back; return whether there was any."""
        self.is_spent = True
        try:
            self._path.unlink()
        except OSError:
            return False
        return True

    def has_room(self, free_bytes: Callable[[], int]) -> bool:
        """Whether there is space on the disk, or in the file, which has `free_bytes` unused."""
        if self.is_spent:
            self.refill()
        return not self.is_spent or free_bytes() > self.size

    def refill(self) -> None:
        """Take the space again if there is enough of it, and as much again for the next writes."""
        if self._path.exists():
            self.is_spent = False
            return
        free = os.statvfs(self._path.parent)
        if free.f_bavail * free.f_frsize < 2 * self.size:
            self.is_spent = True
            return
        part = self._path.with_name(f"{self._path.name}.{os.getpid()}")
        try:
            file = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            try:
                allocate(file, self.size)
            finally:
                os.close(file)
            part.rename(self._path)
        except OSError:  # another process was faster, or the file system cannot do it
            with suppress(OSError):
                part.unlink()
            return
        self.is_spent = False
