"""Locks between processes: advisory locks on files, which the operating system frees when their holder dies."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path


class FileLock:
    """Belongs to the object, not to the process: two objects on one file exclude each other anywhere."""

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)

    def try_acquire(self, *, shared: bool = False) -> bool:
        """Whether the lock is held now; true again for who holds it already."""
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

    Whoever wants it first becomes `next`, then waits for the turn itself. A process that has just written must become
    next again, behind the one that already is: it cannot take turn after turn while others wait.
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
