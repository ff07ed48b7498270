"""Long work in a thread of its own, one piece at a time.

Threads of Python take turns, so the event loop goes on meanwhile: with one such thread it waits for `TURN_SECONDS` at
most, with several it would wait for each. Functions run with `aside` use nothing but their arguments. Work of many
parts comes in several pieces, so that others do not wait for all of it.
"""

from __future__ import annotations

import asyncio
import gc
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import ParamSpec, TypeVar

from atoll.errors import ApiError

P = ParamSpec("P")
T = TypeVar("T")

# The loop asks for its turn several times a request: whenever SQLite or the network returns.
TURN_SECONDS = 0.000_5

thread = ThreadPoolExecutor(1, "atoll-large", initializer=sys.setswitchinterval, initargs=(TURN_SECONDS,))


class Collector:
    """Python's garbage collector, paused while the thread works: what it makes is in use until its work ends, and
    looking at a million objects takes long. Only the thread uses it."""

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
    return await asyncio.get_running_loop().run_in_executor(thread, partial(run, fn, *args, **kwargs))


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
