"""Run long work in a separate thread, one piece at a time, so that the event loop can serve other requests.

Python's threads take turns: with one such thread, the event loop waits for `TURN_SECONDS` at most; with several it
would wait for each. A function run with `aside` uses only its arguments. Work of many parts is submitted in several
pieces, so that other work does not wait for all of it.

Callers with waiting pieces take turns, so a client with many requests delays another client by one piece only. A piece
that cannot be cut calls `thread.pause` now and then, which runs pieces of other callers.
"""

from __future__ import annotations

import asyncio
import gc
import sys
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from threading import Lock, get_ident
from typing import Any, ParamSpec, TypeVar

from atoll.errors import ApiError

P = ParamSpec("P")
T = TypeVar("T")

# The event loop asks for its turn several times per request: whenever a call of SQLite or the network returns.
TURN_SECONDS = 0.000_5

MOST_NESTED = 8
"""The most pieces that run nested, each in a `pause` of the one before."""


class Thread:
    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1, "atoll-large", initializer=self._begin)
        self._id = 0
        self._lock = Lock()
        self._waiting: dict[str, deque[tuple[Future[Any], Callable[[], Any]]]] = {}
        """The waiting pieces by caller; the caller whose turn is next comes first."""
        self._running: list[str] = []
        """The callers of the pieces that run, each in a `pause` of the one before."""
        self.caller = ""
        """The caller whose request the event loop serves at the moment; empty for the server's own work."""

    def _begin(self) -> None:
        self._id = get_ident()
        sys.setswitchinterval(TURN_SECONDS)

    def submit(self, fn: Callable[[], T]) -> Future[T]:
        future: Future[T] = Future()
        with self._lock:
            self._waiting.setdefault(self.caller, deque()).append((future, fn))
        self._pool.submit(self._run_next)
        return future

    def pause(self) -> None:
        """In the thread: run a waiting piece of another caller, if there is one. Elsewhere: do nothing."""
        if self._waiting and get_ident() == self._id and len(self._running) < MOST_NESTED:
            self._run_next()

    def _run_next(self) -> None:
        with self._lock:
            caller = next((one for one in self._waiting if one not in self._running), None)
            if caller is None:  # a `pause` has already run the piece
                return
            waiting = self._waiting.pop(caller)
            future, fn = waiting.popleft()
            if waiting:
                self._waiting[caller] = waiting
        if not future.set_running_or_notify_cancel():
            return
        self._running.append(caller)
        try:
            result = fn()
        except BaseException as error:
            future.set_exception(error)
        else:
            future.set_result(result)
        finally:
            self._running.pop()


thread = Thread()


class Collector:
    """Python's garbage collector, paused while the thread works: the objects that the thread creates are in use until
    its work ends, and scanning a million objects takes long. Only the thread uses it."""

    def __init__(self) -> None:
        self._bodies = 0
        self._was_enabled = False

    def pause(self) -> None:
        if self._bodies == 0:
            self._was_enabled = gc.isenabled()
            gc.disable()
        self._bodies += 1

    def resume(self) -> None:
        self._bodies -= 1
        if self._bodies == 0 and self._was_enabled:
            gc.enable()


collector = Collector()


async def aside(fn: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    loop = asyncio.get_running_loop()
    return await asyncio.wrap_future(thread.submit(partial(run, fn, *args, **kwargs)), loop=loop)


def run(fn: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    collector.pause()
    try:
        return fn(*args, **kwargs)
    except ApiError as error:
        drop_tracebacks(error)  # so that this thread frees the values that their frames hold
        raise
    finally:
        collector.resume()


def drop_tracebacks(error: BaseException) -> None:
    """Drop tracebacks: they form cycles that keep the whole request alive until the GC runs."""
    one: BaseException | None = error
    while one is not None:
        one.__traceback__ = None
        one = one.__context__
