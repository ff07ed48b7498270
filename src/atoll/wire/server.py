"""Listening sockets and the lifetime of all connections. `Connection` reads the requests."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from ssl import SSLContext

from atoll.clock import monotonic_ns
from atoll.wire.connection import Answer, Connection
from atoll.wire.handshakes import Handshakes
from atoll.wire.memory import Memory
from atoll.wire.room import Room

_log = logging.getLogger(__name__)

# One timer counts ticks for all connections: the cheapest timeout per request.
TICK_MS = 5_000
IDLE_MS = 300_000
REQUEST_MS = 30_000
RATE_MS = 20_000
LEAST_RATE = 8 * 1024
"""The minimum rate of a transfer in bytes a second, on average over RATE_MS."""
TURN_REQUESTS = 32
TURN_PIECES = 16
"""Pieces of input, from all connections together."""
TURN_ACCEPTS = 64
"""asyncio accepts as many connections in a turn as its backlog is long."""
BACKLOG = 1024
LATER_NS = 1_000_000
"""After this time, further slices of requests wait for the next turn."""


class Server:
    """All connections of this process. `answer` returns a complete HTTP response and should not raise."""

    def __init__(
        self,
        answer: Answer,
        *,
        idle_ms: int = IDLE_MS,
        request_ms: int = REQUEST_MS,
        rate_ms: int = RATE_MS,
        tick_ms: int = TICK_MS,
        max_connections: int = 1_000,
        memory: Memory | None = None,
    ) -> None:
        self.answer = answer
        self.memory = memory or Memory()
        self.rate_ticks = max(1, rate_ms // tick_ms)
        self.least_bytes = LEAST_RATE * rate_ms // 1000
        self._max_connections = max_connections
        self._refused: set[Connection] = set()
        self._room: Room | None = None
        """The counts for the limit of connections in this turn of the event loop."""
        self.tick = 0
        self.idle_ticks = max(1, idle_ms // tick_ms)
        self.request_ticks = max(1, request_ms // tick_ms)
        self.turn_requests = TURN_REQUESTS
        self.draining = False
        self.connections: set[Connection] = set()
        self._tick_ms = tick_ms
        self._listeners: dict[asyncio.Server, Handshakes | None] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._gone: asyncio.Event = asyncio.Event()
        self.call_soon: Callable[[Callable[[], None]], object]
        """The event loop's `call_soon`, set by `listen`."""
        self._to_flush: list[Connection] = []
        self._pieces = 0
        self._later: deque[Callable[[], None]] = deque()
        self._later_due = False

    async def listen(
        self, host: str, port: int, *, ssl: SSLContext | None = None, reuse_port: bool = False, accepts: bool = True
    ) -> list[tuple[str, int]]:
        """Listen, and return the bound addresses. Port 0 picks a free port; `reuse_port` lets processes share one.
        Unless it `accepts` at once, clients can connect only after `accept`."""
        loop = asyncio.get_running_loop()
        listener = await loop.create_server(
            self._connection, host, port, reuse_port=reuse_port or None, backlog=TURN_ACCEPTS, start_serving=False
        )
        self._listeners[listener] = None if ssl is None else Handshakes(ssl, self._connection, self._max_connections)
        if accepts:
            await self._accept_from(listener)
        self.call_soon = loop.call_soon
        if self._timer is None:
            self._timer = loop.call_later(self._tick_ms / 1000, self._ticked)
        return [one.getsockname()[:2] for one in listener.sockets]

    async def accept(self) -> None:
        for listener in self._listeners:
            await self._accept_from(listener)

    async def _accept_from(self, listener: asyncio.Server) -> None:
        handshakes = self._listeners[listener]
        if handshakes is None:
            await listener.start_serving()
        for one in listener.sockets:
            same = socket.fromfd(one.fileno(), one.family, one.type)
            # The system's queue of waiting connections is longer than the number that one event-loop turn accepts.
            same.listen(BACKLOG)
            if handshakes is None:
                same.close()
            else:
                same.setblocking(False)
                handshakes.accept(same)

    def stop_accepting(self) -> None:
        self.draining = True
        for listener, handshakes in self._listeners.items():
            if handshakes is not None:
                handshakes.close()
            listener.close()
        self._listeners.clear()

    def _connection(self) -> Connection:
        return Connection(self)

    async def drain(self, timeout_ms: int = 30_000) -> None:
        """Stop accepting, answer the requests received, then close. Abort remaining connections at the timeout."""
        self.stop_accepting()
        for connection in list(self.connections):
            connection.close_when_answered()
        if self.connections:
            with suppress(asyncio.TimeoutError):
                async with asyncio.timeout(timeout_ms / 1000):
                    await self._gone.wait()
        for connection in list(self.connections):
            connection.abort()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def opened(self, connection: Connection) -> bool:
        """Add a connection; returns whether there is room for it. A refused client gets time to read its answer, unless
        too many refused clients do so."""
        if len(self.connections) - len(self._refused) >= self._max_connections and self._room is None:
            self._room = Room(self.connections, self._refused)
            self.call_soon(self._forget_room)
        self.connections.add(connection)
        self._gone.clear()
        if len(self.connections) - len(self._refused) <= self._max_connections:
            return True
        if self._room is not None and self._room.make(connection):
            return True
        self._refused.add(connection)
        if len(self._refused) > self._max_connections:
            connection.abort()
        return False

    def _forget_room(self) -> None:
        self._room = None

    def closed(self, connection: Connection) -> None:
        self.connections.discard(connection)
        self._refused.discard(connection)
        if not self.connections:
            self._gone.set()

    @property
    def may_parse(self) -> bool:
        return self._pieces < TURN_PIECES

    def parsed(self) -> None:
        if not self._pieces:
            self.call_soon(self._begin_pieces)
        self._pieces += 1

    def _begin_pieces(self) -> None:
        self._pieces = 0

    def later(self, work: Callable[[], None]) -> None:
        """Queue a slice of a request's work, so that each turn of the event loop runs only few slices."""
        self._later.append(work)
        if not self._later_due:
            self._later_due = True
            self.call_soon(self._run_later)

    def _run_later(self) -> None:
        end_ns = monotonic_ns() + LATER_NS
        for _ in range(len(self._later)):
            self._later.popleft()()
            if monotonic_ns() >= end_ns:
                break
        self._later_due = bool(self._later)
        if self._later_due:
            self.call_soon(self._run_later)

    def end_turns(self) -> None:
        if self.turn_requests:
            self.turn_requests = 0
            self.call_soon(self._begin_turns)

    def _begin_turns(self) -> None:
        self.turn_requests = TURN_REQUESTS

    def flush_soon(self, connection: Connection) -> None:
        """Write the answers once the input of this event-loop turn is processed: waking clients one by one costs as
        much as answering them."""
        waiting = self._to_flush
        if not waiting:
            self.call_soon(self._flush)
        waiting.append(connection)

    def _flush(self) -> None:
        connections, self._to_flush = self._to_flush, []
        for connection in connections:
            try:
                connection.flush()
            except Exception:
                _log.exception("answers could not be written; their connection is closed")
                connection.abort()

    def advance(self) -> None:
        """One tick has passed."""
        self.tick += 1
        for connection in list(self.connections):
            connection.ticked()
        self.memory.advance()

    def _ticked(self) -> None:
        self.advance()
        self._timer = asyncio.get_running_loop().call_later(self._tick_ms / 1000, self._ticked)
