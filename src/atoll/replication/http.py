"""A small HTTP client for the event loop: POST to one server, over kept-alive connections.

The server may close an idle connection just when the next request is sent on it. Such a request is sent once more, so a
server may get a request twice.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from typing import NamedTuple, cast
from urllib.parse import urlsplit

from httptools import HttpParserError, HttpResponseParser

CONNECT_S = 5.0
KEPT = 8
"""The most idle connections that are kept."""
FRAMING_BYTES = 64 * 1024
"""The most bytes of heads and chunk framing around a small body; a large body may have as many as it is long."""
_PORTS = {"http": 80, "https": 443}

LARGE_BYTES = 256 * 1024
LARGE_BODIES = 4
"""Of a server's answers, so many with more than LARGE_BYTES arrive at a time; the others wait. This bounds the memory
that a server takes that never ends its answers."""


class BadAnswer(Exception):
    """The server does not speak HTTP, or its answer is too large."""


class Answer(NamedTuple):
    status: int
    body: bytes


class _Room:
    """Room for the large bodies of one server, first come, first served."""

    def __init__(self) -> None:
        self._reading: set[_Connection] = set()
        self._waiting: deque[_Connection] = deque()

    def enter(self, connection: _Connection) -> None:
        if len(self._reading) < LARGE_BODIES:
            self._reading.add(connection)
        else:
            self._waiting.append(connection)
            connection.pause()

    def leave(self, connection: _Connection) -> None:
        self._reading.discard(connection)
        with suppress(ValueError):
            self._waiting.remove(connection)
            connection.resume()
        while self._waiting and len(self._reading) < LARGE_BODIES:
            first = self._waiting.popleft()
            self._reading.add(first)
            first.resume()


class _Connection(asyncio.Protocol):
    """A connection, with one request at a time."""

    def __init__(self, most_bytes: int, room: _Room) -> None:
        self._most_bytes = most_bytes
        self._room = room
        self._is_large = False
        self._transport: asyncio.Transport | None = None
        self._parser = HttpResponseParser(self)
        self._answer: asyncio.Future[Answer] | None = None
        self._body = bytearray()
        self._received = 0
        self.is_fresh = True
        self.keeps = True

    @property
    def is_open(self) -> bool:
        return self.keeps and self._transport is not None and not self._transport.is_closing()

    @property
    def is_unanswered(self) -> bool:
        """Whether not a byte of an answer has arrived."""
        return not self._received

    async def post(self, request: bytes) -> Answer:
        assert self._transport is not None
        self._answer = asyncio.get_running_loop().create_future()
        self._received = 0
        self._transport.write(request)
        try:
            return await self._answer
        except BaseException:
            self.abort()
            raise
        finally:
            self._answer = None
            self.is_fresh = False
            if self._is_large:
                self._is_large = False
                self._room.leave(self)
            self._body = bytearray()

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def pause(self) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.pause_reading()

    def resume(self) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    # Callbacks of the transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._received += len(data)
        if self._answer is None or self._answer.done():  # no request was sent
            self.keeps = False
            self.abort()
            return
        try:
            self._parser.feed_data(data)
        except HttpParserError as error:
            self._fail(BadAnswer(str(error)))
        if self._received > FRAMING_BYTES + 2 * len(self._body):
            self._fail(BadAnswer(f"the answer has {self._received} bytes for a body of {len(self._body)}"))

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._fail(exc or ConnectionResetError("the connection was closed before its answer"))

    # Callbacks of the parser

    def on_message_begin(self) -> None:
        if self._answer is None or self._answer.done():  # a second answer
            self.keeps = False

    def on_body(self, body: bytes) -> None:
        self._body += body
        if len(self._body) > self._most_bytes:
            self._fail(BadAnswer(f"the answer has more than {self._most_bytes} bytes"))
        elif len(self._body) > LARGE_BYTES and not self._is_large:
            self._is_large = True
            self._room.enter(self)

    def on_message_complete(self) -> None:
        status = self._parser.get_status_code()
        if status < 200 or self._answer is None or self._answer.done():  # 100 Continue, or a second answer
            return
        self.keeps = self._parser.should_keep_alive()
        self._answer.set_result(Answer(status, bytes(self._body)))

    def _fail(self, error: Exception) -> None:
        self.keeps = False
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(error)


class HttpClient:
    """A client of one server. `tls` is for an https URL, whose host name is verified."""

    def __init__(self, url: str, tls: ssl.SSLContext | None, *, most_bytes: int) -> None:
        parts = urlsplit(url)
        self.url = url
        self.host = parts.netloc
        self._name = parts.hostname or ""
        self._port = parts.port or _PORTS[parts.scheme]
        self._tls = (tls or ssl.create_default_context()) if parts.scheme == "https" else None
        self._most_bytes = most_bytes
        self._idle: list[_Connection] = []
        self._room = _Room()

    async def post(self, target: str, headers: Mapping[str, str], body: bytes, timeout_s: float) -> Answer:
        """Send a request; returns its answer. Raises `OSError`, `TimeoutError` or `BadAnswer`. Call it in a task."""
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        head = f"POST {target} HTTP/1.1\r\n{lines}content-length: {len(body)}\r\n\r\n"
        request = head.encode("latin-1") + body
        async with asyncio.timeout(timeout_s):
            while True:
                connection = self._kept() or await self._connect()
                was_fresh = connection.is_fresh
                try:
                    answer = await connection.post(request)
                except OSError:
                    if was_fresh or not connection.is_unanswered:
                        raise
                else:
                    if connection.is_open and len(self._idle) < KEPT:
                        self._idle.append(connection)
                    else:
                        connection.abort()
                    return answer

    def _kept(self) -> _Connection | None:
        while self._idle:
            connection = self._idle.pop()
            if connection.is_open:
                return connection
        return None

    async def _connect(self) -> _Connection:
        async with asyncio.timeout(CONNECT_S):
            loop = asyncio.get_running_loop()
            _, connection = await loop.create_connection(
                lambda: _Connection(self._most_bytes, self._room), self._name, self._port, ssl=self._tls,
                server_hostname=self._name if self._tls else None,
            )  # fmt: skip
        return connection

    def close(self) -> None:
        """Close the connections that no request uses."""
        for connection in self._idle:
            connection.abort()
        self._idle.clear()
