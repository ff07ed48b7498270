"""Several worker processes: start them, start one again when it dies, end them all together.

A worker outlives nobody: it holds the reading end of a pipe whose writing end only the supervisor has, and ends when
that is closed, however the supervisor ended.
"""

from __future__ import annotations

import logging
import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress

CANNOT_START = 2
"""The exit code of a worker that could not start: neither could another."""

RESTART_S = 0.2
"""Before a worker is started again, which may die at once."""

_log = logging.getLogger(__name__)


def supervise(count: int, work: Callable[[int], int]) -> int:
    """Run `work` in so many processes until SIGTERM or SIGINT; it is given the pipe that says when to end, and returns
    its exit code."""
    read_end, write_end = os.pipe()
    workers: set[int] = set()
    ending = False

    def start() -> None:
        pid = _fork(work, read_end, write_end)
        workers.add(pid)
        if ending:  # the signal came while it was being made
            os.kill(pid, signal.SIGTERM)

    def end(number: int, frame: object) -> None:
        nonlocal ending
        ending = True
        for pid in workers:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)

    for _ in range(count):
        start()
    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    result = 0
    while workers:
        pid, status = os.wait()
        workers.discard(pid)
        if ending:
            continue
        code = os.waitstatus_to_exitcode(status)
        if code == CANNOT_START:
            result = code
            end(signal.SIGTERM, None)
        else:
            _log.error("worker %d ended with %d; another takes its place", pid, code)
            time.sleep(RESTART_S)
            if not ending:
                start()
    return result


def _fork(work: Callable[[int], int], read_end: int, write_end: int) -> int:
    pid = os.fork()
    if pid:
        return pid
    os.close(write_end)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    code = 1
    try:
        code = work(read_end)
    except Exception:
        _log.exception("worker %d failed", os.getpid())
    finally:
        os._exit(code)
