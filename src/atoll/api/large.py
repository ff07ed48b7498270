"""Requests with many values. Their checks take long, so they run in a thread of their own, one request at a time.

Threads of Python take turns every few milliseconds, so the event loop goes on meanwhile. Functions run with `aside` use
nothing but their arguments.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

VALUES = 20_000
"""A body with more commas than this is large."""

_thread = ThreadPoolExecutor(1, "atoll-large")


class LargeBody(dict[str, Any]):
    """The body of a large request; all other bodies are plain `dict`."""


async def aside(fn: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    return await asyncio.get_running_loop().run_in_executor(_thread, partial(fn, *args, **kwargs))
