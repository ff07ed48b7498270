"""Start several worker processes, restart one that dies, and stop them all together.

No worker outlives the supervisor: each holds the read end of a pipe whose write end only the supervisor holds, and
exits when the write end closes, however the supervisor ended.
"""

from __future__ import annotations

import logging
import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress

CANNOT_START = 2
"""The exit code of a worker that cannot start; the supervisor then stops all."""

RESTART_S = 0.2
"""Seconds before a worker is restarted, since it may die again at once."""

_log = logging.getLogger(__name__)


class Once:
    """Lets only one of the workers do something."""

    def __init__(self) -> None:
        self._token, put = os.pipe()
        os.write(put, b"1")
        os.close(put)

    def take(self) -> bool:
        """Whether this process is the first one to ask."""
        return bool(os.read(self._token, 1))


def supervise(count: int, work: Callable[[int], int], first: Callable[[int], int] | None = None) -> int:
    """Run `work` in `count` processes until SIGTERM or SIGINT. `work` takes the read end of the pipe
    and returns its exit code. `first` runs in its place in the first process that starts."""
    read_end, write_end = os.pipe()
    workers: set[int] = set()
    ending = False

    def start(work: Callable[[int], int] = work) -> None:
        pid = _fork(work, read_end, write_end)
        workers.add(pid)
        if ending:  # the signal arrived during the fork
            os.kill(pid, signal.SIGTERM)

    def end(number: int, frame: object) -> None:
        nonlocal ending
        ending = True
        for pid in workers:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)

    start(first or work)
    for _ in range(count - 1):
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
            how = f"signal {-code}" if code < 0 else f"exit code {code}"
            _log.error("a worker exited with %s; starting another", how, extra={"worker": pid})
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
        _log.exception("this worker failed unexpectedly and ends")
    finally:
        os._exit(code)
