"""Run coroutines without tasks: most calls finish without waiting, so a task would be pure overhead.

`start` runs a coroutine until it awaits a pending future, and resumes it when that future is done. It uses the protocol
between asyncio's futures and tasks: an awaited future yields itself, with `_asyncio_future_blocking` set. Nothing here
cancels a coroutine, so a started call always runs to its end. There is no current task, so a coroutine must not use
`asyncio.timeout` or `asyncio.TaskGroup` directly; it can await a task that does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, TypeVar

T = TypeVar("T")

Finished = Callable[[T | None, BaseException | None], None]


Later = Callable[[Callable[[], None]], object]


def start(
    coroutine: Coroutine[Any, Any, T], finished: Finished[T], later: Later | None = None, _done: Any = None
) -> None:
    """Call `finished(result, error)` exactly once; before returning if the coroutine never waits. If its work has
    slices, `later` runs the next slice; by default, the next turn of the loop does."""
    try:
        awaited = coroutine.send(None)
        while awaited is not None and getattr(awaited, "_asyncio_future_blocking", None) is not True:
            awaited = coroutine.throw(RuntimeError(f"{awaited!r} cannot be awaited here"))
    except StopIteration as end:
        finished(end.value, None)
    except (Exception, asyncio.CancelledError) as error:
        finished(None, error)
    else:
        goes_on = partial(start, coroutine, finished, later)
        if awaited is None:  # asyncio.sleep(0)
            (later or asyncio.get_running_loop().call_soon)(goes_on)
        else:
            awaited._asyncio_future_blocking = False
            awaited.add_done_callback(goes_on)
