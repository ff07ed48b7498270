"""The differences between operating systems. Atoll runs on Linux and macOS.

Other modules need features that both have (fcntl, fork, signals), so the program calls `unsupported` before it imports
them.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable, Coroutine
from typing import Any


def unsupported() -> str | None:
    """The reason why Atoll cannot run on this system, in one line; None if it can."""
    if sys.platform == "win32":
        return "Atoll does not run on Windows itself: run it in the Windows Subsystem for Linux (WSL)"
    return None


def event_loop() -> Callable[[], asyncio.AbstractEventLoop]:
    """The factory of the fastest installed event loop: uvloop's (the extra `uvloop`) or asyncio's."""
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
    """Sync a file, so that its content survives a loss of power. On macOS fsync(2) leaves it in the drive's cache;
    F_FULLFSYNC also flushes that, if the file system supports it (fcntl(2))."""
    if sys.platform == "darwin":
        import fcntl

        try:
            fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)
        except OSError:  # a network file system; SQLite does the same
            os.fsync(descriptor)
    else:
        os.fdatasync(descriptor)


def allocate(descriptor: int, size: int) -> None:
    """Take disk space for an empty or shorter file of `size` bytes; raises OSError if there is not enough."""
    if sys.platform == "linux":
        os.posix_fallocate(descriptor, 0, size)
        return
    position = os.fstat(descriptor).st_size  # macOS lacks posix_fallocate: write zeros
    while position < size:
        position += os.pwrite(descriptor, bytes(min(_BLOCK_BYTES, size - position)), position)


_BLOCK_BYTES = 1024 * 1024
