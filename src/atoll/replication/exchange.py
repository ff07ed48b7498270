"""Let one region ask another one, which this node or a peer serves.

The asking region is the *source* of the message, the asked region its *target*. Data flow the other way: a replica
pulls the changes of a table, so it asks the region where they were made. An answer may take half a minute, since the
asked region may wait for changes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Mapping
from http import HTTPStatus
from typing import NamedTuple, Protocol

import orjson

from atoll.database.region import Region
from atoll.errors import ApiError
from atoll.replication.messages import Message, shortened

MOST_WAITING = 100


class Unreachable(Exception):
    """The target cannot be asked now: it refuses, its answer is late or malformed, the link is cut, or it is no
    peer."""

    def __init__(self, reason: str) -> None:
        self.reason = shortened(reason)
        super().__init__(self.reason)


class Lost(Unreachable):
    """The answer was lost on its way. The next one may arrive."""


class Exchange(Protocol):
    async def ask(self, source: str, target: str, message: Message) -> Message:
        """The answer of the region `target`. Raises `Unreachable`, or the `ApiError` with which the target refuses."""


class Delivery(NamedTuple):
    message: Message
    copies: int
    """The number of copies of the answer that arrive: apply it this many times."""


class DeliveringExchange(Exchange, Protocol):
    async def deliver(self, source: str, target: str, message: Message) -> Delivery:
        """Like `ask`, but also returns the number of copies of the answer."""


Handler = Callable[[Region, str, Message], Awaitable[Message]]
"""Answers a message. Arguments: the asked region, the name of the asking region, the message."""

Handlers = Mapping[str, Handler]
"""The handlers by the name of the message."""


class LocalExchange:
    """Asks the regions of this node: passes on the message and the answer unchanged."""

    def __init__(self, handlers: Handlers, region: Callable[[str], Region], served: Collection[str]) -> None:
        self._handlers = handlers
        self._region = region
        self._served = served

    async def ask(self, source: str, target: str, message: Message) -> Message:
        handler = self._handlers.get(message.name)
        if target not in self._served:
            raise Unreachable(f"{target} is not a region of this node")
        if handler is None:
            raise Unreachable(f"{target} does not know the message {message.name}")
        return await handler(self._region(target), source, message)


class RoutedExchange:
    """Asks the regions of this node by `local`, and each peer's regions by the peer's exchange."""

    def __init__(self, local: Exchange, served: Collection[str], peers: Mapping[str, Exchange]) -> None:
        self._local = local
        self._served = served
        self._peers = peers

    async def ask(self, source: str, target: str, message: Message) -> Message:
        if target in self._served:
            return await self._local.ask(source, target, message)
        peer = self._peers.get(target)
        if peer is None:
            raise Unreachable(f"{target} is neither a region of this node nor of a peer")
        return await peer.ask(source, target, message)


REFUSED, UNREACHABLE = "refused", "unreachable"
"""The names of messages that another node sends instead of an answer: its region refuses, or cannot be asked."""


FIELDS_BYTES = 64 * 1024
_ERRORS = frozenset(status.value for status in HTTPStatus if status >= HTTPStatus.BAD_REQUEST)


def refused(error: ApiError | Unreachable) -> Message:
    if isinstance(error, Unreachable):
        return Message(UNREACHABLE, {"reason": error.reason})
    return Message(
        REFUSED,
        {"code": error.code, "message": error.message, "status": error.status, "prefix": error.prefix,
         "fields": error.fields},
    )  # fmt: skip


def accepted(answer: Message) -> Message:
    """The answer of another node. Raises the error if the message is one."""
    if answer.name not in (REFUSED, UNREACHABLE):
        return answer
    match answer.head:
        case {
            "code": str(code), "message": str() | None as text, "status": int(status), "prefix": str(prefix),
            "fields": dict() | None as fields,
        } if status in _ERRORS and _is_small(fields):  # fmt: skip
            code, text, prefix = shortened(code), text and shortened(text), shortened(prefix)
            raise ApiError(code, text, status=status, prefix=prefix, fields=fields)
        case {"reason": str(reason)}:
            raise Unreachable(reason)
    raise Unreachable(f"the peer's answer is invalid: {answer.head}")


def _is_small(fields: dict[str, object] | None) -> bool:
    """Whether the fields of an error can be passed on: JSON is read to a greater depth than it is written."""
    try:
        return len(orjson.dumps([fields])) <= FIELDS_BYTES
    except orjson.JSONEncodeError:
        return False


class Neighbourhood:
    """The other regions, for `Region.neighbours`. All regions of a node share one object."""

    def __init__(self, exchange: Exchange, replicable: Callable[[str], bool]) -> None:
        self._exchange = exchange
        self._waiting: Counter[str] = Counter()
        self.replicable = replicable

    async def ask(self, source: str, target: str, message: Message) -> Message:
        """Ask for an operation. Each question to a peer takes a connection, and its client need not wait for the
        answer: so few wait at a time."""
        if self._waiting[target] >= MOST_WAITING:
            raise Unreachable(f"{MOST_WAITING} questions wait for its answers")
        self._waiting[target] += 1
        try:
            return await self._exchange.ask(source, target, message)
        finally:
            self._waiting[target] -= 1
