"""Threads of a replication: pauses that end when it ends, and pools in which one failure ends all threads."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from atoll.replicate.failures import Stopped


class Pauses:
    """The way in which threads wait: a pause raises Stopped as soon as the replication must end."""

    def __init__(self) -> None:
        self._stopped = False
        self._wake = threading.Event()

    def __call__(self, seconds: float) -> None:
        self.check()
        self.sleep(seconds)
        self.check()

    def sleep(self, seconds: float) -> None:
        self._wake.wait(seconds)

    def check(self) -> None:
        if self._wake.is_set():
            raise Stopped

    def stop(self) -> None:
        """End the replication. May be called in a signal handler."""
        self._stopped = True
        self._wake.set()

    def abort(self) -> None:
        """End the work of all threads, because one of them failed."""
        self._wake.set()

    def resume(self) -> None:
        if not self._stopped:
            self._wake.clear()


@contextmanager
def crew(threads: int, pauses: Pauses) -> Iterator[ThreadPoolExecutor]:
    """A pool of threads. If the block fails, they end at their next pause, and waiting tasks are dropped."""
    with ThreadPoolExecutor(threads) as pool:
        try:
            yield pool
        except BaseException:
            pauses.abort()
            pool.shutdown(cancel_futures=True)
            raise
        finally:
            pauses.resume()
