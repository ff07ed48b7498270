"""What differs between operating systems. Atoll runs on Linux and macOS.

Other modules use what both have (fcntl, fork, signals), so this module is asked before they are imported.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable, Coroutine
from typing import Any


def unsupported() -> str | None:
    """Why Atoll cannot run on this system, in one line; None if it can."""
    if sys.platform == "win32":
        return "Atoll does not run on Windows itself: run it in the Windows Subsystem for Linux (WSL)"
    return None


def event_loop() -> Callable[[], asyncio.AbstractEventLoop]:
    """What makes the fastest event loop that is installed: uvloop's (the extra `uvloop`) or asyncio's."""
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop
    make: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return make


def run(work: Coroutine[Any, Any, None]) -> None:
    with asyncio.Runner(loop_factory=event_loop()) as runner:
        runner.run(work)


def sync_data(descriptor: int) -> None:
    """Return when the file's content will survive a loss of power. On macOS fsync(2) leaves it in the drive's cache;
    F_FULLFSYNC empties that too, where the file system can (fcntl(2))."""
    if sys.platform == "darwin":
        import fcntl

        try:
            fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)
        except OSError:  # a network's file system; SQLite does the same
            os.fsync(descriptor)
    else:
        os.fdatasync(descriptor)


def allocate(descriptor: int, size: int) -> None:
    """Take disk space for an empty or shorter file of `size` bytes; raises OSError if there is not enough."""
    if sys.platform == "linux":
        os.posix_fallocate(descriptor, 0, size)
        return
    position = os.fstat(descriptor).st_size  # macOS has no such call: write zeros
    while position < size:
        position += os.pwrite(descriptor, bytes(min(_BLOCK_BYTES, size - position)), position)


_BLOCK_BYTES = 1024 * 1024
