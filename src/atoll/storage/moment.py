"""Whether anybody has committed: a number that all processes of a store see, and whoever commits changes.

It lies in a file that all of them have mapped, so to look costs nothing. It is odd while a commit is being made (and
after its process has died in the middle of one), when nobody can say whether its rows are to be seen already.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_BYTES = 8


class Moment:
    """Changed by whoever has the turn to write. A file of less than eight bytes is as good as none."""

    def __init__(self, path: Path) -> None:
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            os.truncate(file, _BYTES)
            self._map = mmap.mmap(file, _BYTES)
        finally:
            os.close(file)
        self._number = memoryview(self._map).cast("Q")

    def settled(self) -> int | None:
        """The number, if no commit is being made: what is read after this shows all commits until now."""
        number = self._number[0]
        return None if number & 1 else number

    def is_still(self, settled: int | None) -> bool:
        """Whether nobody has begun to commit since."""
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
