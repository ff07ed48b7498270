"""Locks between processes: advisory locks on files, which the operating system frees when their holder dies."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path


class FileLock:
    """A lock on a file. It belongs to this object, not to the process: two objects on one file exclude each other, even
    within one process."""

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def try_acquire(self, *, shared: bool = False) -> bool:
        """Try to take the lock; returns whether this object now holds it, also if it already did."""
        try:
            fcntl.flock(self._fd, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def acquire(self) -> None:
        fcntl.flock(self._fd, fcntl.LOCK_EX)

    def release(self) -> None:
        fcntl.flock(self._fd, fcntl.LOCK_UN)

    def close(self) -> None:
        os.close(self._fd)


class Turn:
    """The turn to write among several processes.

    A process first takes the `next` lock, then waits for the turn itself. A process that has just written must queue
    for `next` again, behind the process that holds it, so it cannot take turn after turn while others wait.
    """

    def __init__(self, directory: Path) -> None:
        self._next = FileLock(directory / "next.lock")
        self._turn = FileLock(directory / "turn.lock")

    def try_acquire(self) -> bool:
        if not self._next.try_acquire():
            return False
        taken = self._turn.try_acquire()
        self._next.release()
        return taken

    def acquire(self) -> None:
        self._next.acquire()
        self._turn.acquire()
        self._next.release()

    def release(self) -> None:
        self._turn.release()

    def close(self) -> None:
        self._next.close()
        self._turn.close()
