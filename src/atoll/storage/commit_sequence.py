"""A commit sequence number in shared memory, odd while a commit is in progress.

All processes of a store map the same file, so reading the number costs nothing. While the number is odd, the commit's
rows may or may not be visible. It stays odd if a process dies in the middle of its commit.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_BYTES = 8


class CommitSequence:
    """The number of a store. Only the process that holds the write turn changes it. A file shorter than eight bytes is
    initialized again."""

    def __init__(self, path: Path) -> None:
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.truncate(file, _BYTES)
            self._map = mmap.mmap(file, _BYTES)
        finally:
            os.close(file)
        self._number = memoryview(self._map).cast("Q")

    def settled(self) -> int | None:
        """The number, or None while a commit is in progress. Reads that start later see all commits up to this
        number."""
        number = self._number[0]
        return None if number & 1 else number

    def is_still(self, settled: int | None) -> bool:
        """Whether no commit has begun since the number was `settled`."""
        return self._number[0] == settled

    @contextmanager
    def committing(self) -> Iterator[None]:
        self._number[0] |= 1
        try:
            yield
        finally:
            self._number[0] += 1

    def close(self) -> None:
        self._number.release()
        self._map.close()
