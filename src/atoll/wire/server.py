"""Sockets: listening, and the life of all connections. Each is a `Connection`; nothing here reads a request."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from ssl import SSLContext

from atoll.wire.connection import Answer, Connection

_log = logging.getLogger(__name__)

# Time is counted in ticks of one timer for all connections; nothing else costs less per request.
TICK_MS = 5_000
IDLE_MS = 300_000
REQUEST_MS = 30_000


class Server:
    """All connections of this process. `answer` returns a whole HTTP response and is not expected to raise."""

    def __init__(
        self, answer: Answer, *, idle_ms: int = IDLE_MS, request_ms: int = REQUEST_MS, tick_ms: int = TICK_MS
    ) -> None:
        self.answer = answer
        self.tick = 0
        self.idle_ticks = max(1, idle_ms // tick_ms)
        self.request_ticks = max(1, request_ms // tick_ms)
        self.draining = False
        self.connections: set[Connection] = set()
        self._tick_ms = tick_ms
        self._listeners: list[asyncio.Server] = []
        self._timer: asyncio.TimerHandle | None = None
        self._gone: asyncio.Event = asyncio.Event()
        self.call_soon: Callable[[Callable[[], None]], object]
        """The event loop's, when it listens."""
        self._to_flush: list[Connection] = []

    async def listen(
        self, host: str, port: int, *, ssl: SSLContext | None = None, reuse_port: bool = False
    ) -> list[tuple[str, int]]:
        """The addresses that it listens at now: port 0 means any. `reuse_port` lets several processes share one."""
        loop = asyncio.get_running_loop()
        listener = await loop.create_server(
            lambda: Connection(self), host, port, ssl=ssl, reuse_port=reuse_port or None, backlog=1024
        )
        self._listeners.append(listener)
        self.call_soon = loop.call_soon
        if self._timer is None:
            self._timer = loop.call_later(self._tick_ms / 1000, self._ticked)
        return [socket.getsockname()[:2] for socket in listener.sockets]

    async def drain(self, timeout_ms: int = 30_000) -> None:
        """Accept nothing more, answer what has arrived, then close; after the timeout cut what is still open."""
        self.draining = True
        for listener in self._listeners:
            listener.close()
        for connection in list(self.connections):
            connection.close_when_answered()
        if self.connections:
            with suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._gone.wait(), timeout_ms / 1000)
        for connection in list(self.connections):
            connection.abort()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def opened(self, connection: Connection) -> None:
        self.connections.add(connection)
        self._gone.clear()

    def closed(self, connection: Connection) -> None:
        self.connections.discard(connection)
        if not self.connections:
            self._gone.set()

    def flush_soon(self, connection: Connection) -> None:
        """Write its answers when all that has arrived by now has been looked at: to wake clients one by one, between
        their requests, costs as much as to answer them."""
        if not self._to_flush:
            self.call_soon(self._flush)
        self._to_flush.append(connection)

    def _flush(self) -> None:
        connections, self._to_flush = self._to_flush, []
        for connection in connections:
            try:
                connection.flush()
            except Exception:
                _log.exception("answers were not written")
                connection.abort()

    def _ticked(self) -> None:
        self.tick += 1
        for connection in list(self.connections):
            connection.ticked()
        self._timer = asyncio.get_running_loop().call_later(self._tick_ms / 1000, self._ticked)
