"""Requests with many values. Their checks take long, so they run in a thread of their own, one request at a time.

Threads of Python take turns, so the event loop goes on meanwhile. Functions run with `aside` use nothing but their
arguments.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

VALUES = 20_000
"""A body with more commas than this is large."""

# The loop asks for its turn several times a request: whenever SQLite or the network returns.
TURN_SECONDS = 0.000_5

TEXT_CHARS = 4_096
"""Expressions or statements of one request with more characters take long to parse."""

_TEXTS = ("UpdateExpression", "ConditionExpression", "ProjectionExpression", "Statement")

_thread = ThreadPoolExecutor(1, "atoll-large", initializer=sys.setswitchinterval, initargs=(TURN_SECONDS,))


class LargeBody(dict[str, Any]):
    """The body of a large request; all other bodies are plain `dict`."""


def is_long(body: dict[str, Any], parts: Iterable[Mapping[str, Any]]) -> bool:
    """Whether checking the body with these parts takes long."""
    if type(body) is not dict:
        return True
    texts = (part.get(name) for part in parts for name in _TEXTS)
    return sum(len(text) for text in texts if type(text) is str) > TEXT_CHARS


async def aside(fn: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    return await asyncio.get_running_loop().run_in_executor(_thread, partial(fn, *args, **kwargs))


def release(body: LargeBody) -> None:
    """Free a body in the thread, container by container: freeing all of it at once takes as long as parsing it."""
    _thread.submit(_empty, body)


def _empty(body: LargeBody) -> None:
    left: list[Any] = [body]
    while left:
        container = left.pop()
        members = list(container.values()) if isinstance(container, dict) else container[:]
        container.clear()
        left += [member for member in members if type(member) is dict or type(member) is list]
        while members:
            del members[-1_000:]
