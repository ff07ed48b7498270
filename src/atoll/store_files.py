"""The file of a region's store, as the file system shows it: whether it is still there, and whether it has room."""

from __future__ import annotations

import os
from pathlib import Path

from atoll.database.health import GONE, LITTLE_ROOM, Problem

LITTLE_ROOM_BYTES = 64 * 1024 * 1024


class StoreFile:
    """The engine has opened the file at `path`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._opened = _identity(path)

    def look(self) -> dict[Problem, str]:
        try:
            room = os.statvfs(self._path)
        except OSError as error:
            return {GONE: str(error)}
        if _identity(self._path) != self._opened:
            return {GONE: f"{self._path} is another file"}
        free = room.f_bavail * room.f_frsize
        return {LITTLE_ROOM: f"{free} bytes are free at {self._path}"} if free < LITTLE_ROOM_BYTES else {}


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
