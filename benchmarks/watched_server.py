"""`python -m benchmarks.watched_server FILE serve ...`: run Atoll, and note the longest turn of its event loop in FILE.

A turn is measured in CPU time, which does not depend on other programs. The CPU time of the whole process also counts
other threads, which may keep the loop from running.
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
_LONGEST = struct.Struct("dd")


class Turns:
    """The longest turn since `begin`, in a file that several processes share."""

    def __init__(self, path: Path) -> None:
        self.path = path
        if not path.exists():
            path.write_bytes(bytes(_LONGEST.size))
        with path.open("r+b") as file:
            self._shared = mmap.mmap(file.fileno(), _LONGEST.size)

    def begin(self) -> None:
        _LONGEST.pack_into(self._shared, 0, 0.0, 0.0)

    def longest_ms(self) -> tuple[float, float]:
        """The longest turn in CPU time of the whole process, and in that of the event loop's thread alone."""
        process, loop = _LONGEST.unpack_from(self._shared)
        return process * 1000, loop * 1000

    def note(self, process: float, loop: float) -> None:
        """Record a turn: its CPU seconds of the process and of the loop's thread."""
        longest = _LONGEST.unpack_from(self._shared)
        if process > longest[0] or loop > longest[1]:
            _LONGEST.pack_into(self._shared, 0, max(process, longest[0]), max(loop, longest[1]))


def watch(turns: Turns) -> None:
    loop = asyncio.get_running_loop()
    last = time.process_time(), time.thread_time()

    def look() -> None:
        nonlocal last
        now = time.process_time(), time.thread_time()
        turns.note(now[0] - last[0], now[1] - last[1])
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
