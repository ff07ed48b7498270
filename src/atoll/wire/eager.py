"""Coroutines without tasks: most calls finish without waiting for anything, and then need no task at all.

`start` runs a coroutine at once until it waits, and goes on when what it waits for is done, by the protocol between
asyncio's futures and tasks (a future that is awaited yields itself, with `_asyncio_future_blocking` set). A call that
has begun always runs to its end: nothing here cancels it. What it may not use are functions that ask for the
current task (`asyncio.timeout`, `asyncio.TaskGroup`): there is none; it awaits a task of its own for these.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, TypeVar

T = TypeVar("T")

Finished = Callable[[T | None, BaseException | None], None]


def start(coroutine: Coroutine[Any, Any, T], finished: Finished[T], _done: Any = None) -> None:
    """`finished(result, error)` is called exactly once, before this returns where the coroutine does not wait."""
    try:
        awaited = coroutine.send(None)
        while awaited is not None and getattr(awaited, "_asyncio_future_blocking", None) is not True:
            awaited = coroutine.throw(RuntimeError(f"{awaited!r} cannot be awaited here"))
    except StopIteration as end:
        finished(end.value, None)
    except (Exception, asyncio.CancelledError) as error:
        finished(None, error)
    else:
        goes_on = partial(start, coroutine, finished)
        if awaited is None:  # asyncio.sleep(0)
            asyncio.get_running_loop().call_soon(goes_on)
        else:
            awaited._asyncio_future_blocking = False
            awaited.add_done_callback(goes_on)
