"""Limit the bytes that all connections of a process hold: request bodies, and answers not yet read by clients.

A small request that arrives at once, and a small answer that the kernel takes at once, are not counted.

The parsed values of large bodies are counted separately, with the same limit (`Values`): small values take many times
the bytes of their JSON. Requests wait until there is space for their values.

Above the pause mark, only the connection that began first continues to read its body, so one body always completes. If
a body has then not arrived within REQUEST_MS, it is refused, so that no client waits long for slow ones. Above the
limit, further bodies are refused. Both get the service's throttling error, which SDKs retry. If answers fill the
memory, the connection with the most unread bytes is closed.

Competing clients have equal shares: above the pause mark, a client that holds less than its share continues to read. A
connection is refused or closed only if its client holds more than its share, or if no client does.
"""

from __future__ import annotations

import asyncio
import ctypes
from collections import deque
from typing import Protocol

from atoll import limits
from atoll.api import large

LIMIT_BYTES = 256 * 1024**2
LEAST_BYTES = 4 * limits.REQUEST_BYTES
"""The pause mark is at three quarters. The quarter above it has room for a body of the greatest size."""
SMALL_BYTES = 16 * 1024
TRIMMED_BYTES = 32 * 1024**2
"""Memory is given back to the system only after more bytes than this were in use."""


def give_back() -> None:
    """Let the C library return its free pages to the system; it keeps large freed buffers otherwise."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc only
    if trim is not None:
        trim(0)


VALUE_FACTOR, TEXT_FACTOR = 24, 3
"""The bytes of memory that a body's values take per byte of its JSON: if it has many small values, and otherwise."""


class Values:
    """Memory for the values of large bodies, first come, first served. A body whose values exceed the limit waits until
    no other body has any."""

    def __init__(self, limit: int = LIMIT_BYTES) -> None:
        self._limit = limit
        self._used = 0
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    def room(self, body: bytes) -> int:
        factor = VALUE_FACTOR if large.has_many(body) else TEXT_FACTOR
        return min(self._limit, factor * len(body))

    async def take(self, room: int) -> None:
        if not self._waiting and self._used + room <= self._limit:
            self._used += room
            return
        admitted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((room, admitted))
        try:
            await admitted
        except asyncio.CancelledError:
            if admitted.cancelled():
                self._admit()
            else:
                self.give(room)
            raise

    def give(self, room: int, _: object = None) -> None:
        self._used -= room
        self._admit()

    def _admit(self) -> None:
        while self._waiting:
            room, admitted = self._waiting[0]
            if not admitted.done():
                if self._used + room > self._limit:
                    return
                self._used += room
                admitted.set_result(None)
            self._waiting.popleft()


class Holder(Protocol):
    """A connection. Only `Memory` changes `held`, the bytes counted for it."""

    held: int
    unread: int
    """The part of `held` that is answers the client has yet to read."""

    @property
    def client(self) -> str:
        """The client of this connection."""

    def hold_back(self, back: bool) -> None:
        """Stop or resume reading the body."""

    @property
    def is_late(self) -> bool:
        """Whether the body has been arriving for longer than REQUEST_MS."""

    def shed_body(self) -> None:
        """Refuse the request whose body is arriving; its bytes are free at once."""

    def shed_answers(self) -> None:
        """Close the connection; its unread bytes no longer count."""


class Memory:
    def __init__(self, limit: int = LIMIT_BYTES) -> None:
        self.limit = limit
        self.used = 0
        self._pause_at = limit * 3 // 4
        self._resume_at = limit // 2
        self.is_full = False
        """Whether only one connection reads its body."""
        self._peak = 0
        """The greatest use seen since memory was given back to the system."""
        self._receiving: dict[Holder, None] = {}
        """Connections whose body is arriving, in the order in which the bodies began."""
        self._unread: set[Holder] = set()
        self._counted: dict[Holder, str] = {}
        """The client to which each connection's bytes were counted; the connection's client may have changed since."""
        self._clients: dict[str, int] = {}
        """The bytes of each of these clients."""

    def hold(self, holder: Holder, held: int, *, receiving: bool) -> None:
        """Record the bytes that a connection now holds, and whether the body of a request is still arriving."""
        self._count(holder, held)
        if holder.unread:
            self._unread.add(holder)
        else:
            self._unread.discard(holder)
        if receiving:
            self._receiving.setdefault(holder)
        elif holder in self._receiving:
            del self._receiving[holder]
            holder.hold_back(False)
        if self.used > self._pause_at or self.is_full:
            self._adjust(holder)

    def _count(self, holder: Holder, held: int) -> None:
        counted = self._counted.pop(holder, None)
        if counted is not None:
            self._clients[counted] -= holder.held
            if not self._clients[counted]:
                del self._clients[counted]
        if held:
            client = self._counted[holder] = holder.client
            self._clients[client] = self._clients.get(client, 0) + held
        self.used += held - holder.held
        holder.held = held

    def advance(self) -> None:
        """Called every tick: refuse bodies that take too long while memory is full, and give back free memory."""
        self._peak = max(self._peak, self.used)
        if self._peak > TRIMMED_BYTES and self.used < self._peak // 4:
            self._peak = self.used
            give_back()
        for holder in list(self._receiving):
            if self.is_full and holder.is_late:
                holder.shed_body()

    def _adjust(self, holder: Holder) -> None:
        if self.used > self.limit:
            self._shed(holder)
        if self.used <= self._resume_at:
            self.is_full = False
            for one in list(self._receiving):
                one.hold_back(False)
            return
        if self.used > self._pause_at:
            self.is_full = True
        if self.is_full:
            first = next(iter(self._receiving), None)
            for one in list(self._receiving):
                one.hold_back(one is not first and self._is_greedy(one))

    def _is_greedy(self, holder: Holder) -> bool:
        """Whether the client of this connection holds more than its share."""
        return self._clients[self._counted[holder]] > self._resume_at // len(self._clients)

    def _shed(self, holder: Holder) -> None:
        first = next(iter(self._receiving), None)
        if holder in self._receiving and holder is not first and self._is_greedy(holder):
            holder.shed_body()
        while self.used > self.limit:
            bodies = [one for one in reversed(self._receiving) if one is not first]
            unread = [one for one in self._unread if self._is_greedy(one)]
            if unread:
                max(unread, key=lambda one: one.unread).shed_answers()
            elif bodies:
                next(filter(self._is_greedy, bodies), bodies[0]).shed_body()
            elif self._unread:
                max(self._unread, key=lambda one: one.unread).shed_answers()
            else:  # requests that run: each was admitted
                return
