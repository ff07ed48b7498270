"""`python -m benchmarks.watched_server FILE serve ...`: Atoll, with the longest turn of its event loop in a file.

A turn is measured by the CPU time of the process: unlike the time of day, it does not depend on other programs.
"""

from __future__ import annotations

import asyncio
import mmap
import struct
import sys
import time
from pathlib import Path
from unittest import mock

from atoll.cli import main
from atoll.node import Node

LOOK_SECONDS = 0.001
_LONGEST = struct.Struct("d")


class Turns:
    """The longest turn since `begin`, in a file that several processes share."""

    def __init__(self, path: Path) -> None:
        self.path = path
        if not path.exists():
            path.write_bytes(bytes(_LONGEST.size))
        with path.open("r+b") as file:
            self._shared = mmap.mmap(file.fileno(), _LONGEST.size)

    def begin(self) -> None:
        _LONGEST.pack_into(self._shared, 0, 0.0)

    def longest_ms(self) -> float:
        (seconds,) = _LONGEST.unpack_from(self._shared)
        return float(seconds) * 1000

    def note(self, seconds: float) -> None:
        if seconds > self.longest_ms() / 1000:
            _LONGEST.pack_into(self._shared, 0, seconds)


def watch(turns: Turns) -> None:
    loop = asyncio.get_running_loop()
    last = time.process_time()

    def look() -> None:
        nonlocal last
        now = time.process_time()
        turns.note(now - last)
        last = now
        loop.call_later(LOOK_SECONDS, look)

    look()


class WatchedNode(Node):
    async def start(self) -> None:
        await super().start()
        watch(Turns(Path(sys.argv[1])))


if __name__ == "__main__":
    with mock.patch("atoll.serving.Node", WatchedNode):
        sys.exit(main(sys.argv[2:]))
