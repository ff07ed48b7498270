"""Large requests: recognise them, and check them in a thread (`aside`), since that takes long."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from functools import partial
from itertools import chain
from typing import Any, TypeVar

from atoll.aside import aside, collector, run, thread
from atoll.expressions.projection import PathProjection
from atoll.model import pieces
from atoll.model.values import Item

T = TypeVar("T")

VALUES = 20_000
BYTES = 2 * 1024**2
"""A body with more commas or bytes than this is large."""
LEAST_BYTES = 2 * VALUES
"""A body with fewer bytes is never large: a value with its comma has two at least."""

TEXT_CHARS = 4_096
"""Expressions or statements of one request with more characters take long to parse."""

_TEXTS = frozenset(("UpdateExpression", "ConditionExpression", "ProjectionExpression", "Statement"))


def is_large(body: bytes) -> bool:
    """Whether the body has so many values or bytes that it takes long to parse and check."""
    size = len(body)
    return size > LEAST_BYTES and (size > BYTES or pieces.has_many(body, VALUES))


def has_many(body: bytes) -> bool:
    """Whether a large body has many values, rather than long ones."""
    return pieces.has_many(body, VALUES)


parse_pieces = pieces.parse
empty = pieces.empty


class LargeBody(dict[str, Any]):
    """The body of a large request; all other bodies are plain `dict`."""


def is_long(body: dict[str, Any], parts: Iterable[Mapping[str, Any]]) -> bool:
    """Whether checking the body with these parts takes long."""
    if type(body) is LargeBody:
        return True
    chars = 0
    for part in parts:
        for name in part.keys() & _TEXTS:
            text = part[name]
            if type(text) is str:
                chars += len(text)
    return chars > TEXT_CHARS


def is_long_transaction(body: dict[str, Any]) -> bool:
    """As `is_long`, of TransactGetItems and TransactWriteItems."""
    if type(body) is LargeBody:
        return True
    members = chain.from_iterable(map(dict.values, body["TransactItems"]))
    return is_long(body, [one for one in members if type(one) is dict])  # others are unknown, and ignored


async def of_json(json: bytes, work: Callable[[], T], times: int = 1) -> T:
    """The result of work that reads an item's JSON `times` times; done in the thread if that takes long."""
    if pieces.takes_long(json, times):
        return await aside(work)
    return work()


async def projected(json: bytes, projection: PathProjection) -> Item:
    """The projection of an item. The parsed item is not kept: freeing many of them together takes long."""
    return await of_json(json, lambda: projection.apply(pieces.load(json)), len(projection.paths))


async def parse(text: bytes, parse_: Callable[[bytes], LargeBody]) -> LargeBody:
    """Parse a body in the thread; `release` it. Until then no garbage is collected: looking at a million new objects
    takes long, and all of them are in use."""
    parsing = thread.submit(partial(_parse, text, parse_))
    try:
        return await asyncio.wrap_future(parsing)
    except asyncio.CancelledError:
        parsing.add_done_callback(_abandon)
        raise


def _abandon(parsing: Future[LargeBody]) -> None:
    if not parsing.cancelled() and parsing.exception() is None:
        release(parsing.result())


def _parse(text: bytes, parse_: Callable[[bytes], LargeBody]) -> LargeBody:
    collector.pause()
    try:
        return run(parse_, text)
    except BaseException:
        collector.resume()
        raise


def release(body: LargeBody) -> Future[None]:
    """Free a body in the thread, value by value: freeing all of it at once takes as long as parsing it."""
    return thread.submit(partial(_release, body))


def _release(body: LargeBody) -> None:
    empty(body)
    collector.resume()
