"""Connections without sockets, and what a client reads from them."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from atoll.wire.codec import Request
from atoll.wire.connection import Connection
from atoll.wire.server import Server


class Transport(asyncio.Transport):
    """Takes what is written; the test plays the other side."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[bytes] = []
        self.reading = True
        self.closed = self.aborted = self.eof = False
        self.unread = 0
        """Bytes written that the other side has yet to read."""

    @property
    def data(self) -> bytes:
        return b"".join(self.written)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        assert not self.closed
        assert not self.eof
        self.written.append(bytes(data))

    def get_write_buffer_size(self) -> int:
        return self.unread

    def write_eof(self) -> None:
        self.eof = True

    def can_write_eof(self) -> bool:
        return True

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.closed = self.aborted = True

    def pause_reading(self) -> None:
        assert self.reading
        self.reading = False

    def resume_reading(self) -> None:
        assert not self.reading
        self.reading = True


class Wire:
    """One connection to a server that answers with `answer`; `requests` are those that reached it."""

    def __init__(self, answer: Callable[[Request], Coroutine[Any, Any, bytes]]) -> None:
        self.requests: list[Request] = []

        async def noted(request: Request) -> bytes:
            self.requests.append(request)
            return await answer(request)

        self._due: list[Callable[[], None]] = []
        self.server = Server(noted)
        self.server.call_soon = self._due.append
        self.transport = Transport()
        self.connection = Connection(self.server)
        self.connection.connection_made(self.transport)

    def send(self, *parts: bytes) -> bytes:
        """The answer to these parts, as far as it is written at once."""
        before = len(self.transport.data)
        for part in parts:
            self.connection.data_received(part)
        self.settle()
        return self.transport.data[before:]

    def settle(self) -> None:
        """The work that was postponed until all input was handled."""
        while self._due:
            self._due.pop(0)()

    def tick(self, count: int) -> None:
        for _ in range(count):
            self.server.advance()


def plain(body: bytes, connection: bytes = b"") -> bytes:
    return b"HTTP/1.1 200 OK\r\n%sContent-Length: %d\r\n\r\n%s" % (connection, len(body), body)


async def echo(request: Request) -> bytes:
    return plain(request.body or request.path, request.connection)


def post(body: bytes, path: bytes = b"/") -> bytes:
    return b"POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s" % (path, len(body), body)


def read_answers(data: bytes) -> list[tuple[int, dict[bytes, bytes], bytes]]:
    """The answers in `data`; fails unless it is well-formed HTTP to its last byte."""
    answers = []
    while data:
        head, separator, rest = data.partition(b"\r\n\r\n")
        assert separator, data
        status, *lines = head.split(b"\r\n")
        match = re.fullmatch(rb"HTTP/1\.1 (\d{3}) [A-Za-z -]+", status)
        assert match, status
        headers = dict(line.split(b": ", 1) for line in lines)
        assert len(headers) == len(lines)
        length = int(headers.get(b"Content-Length", b"0"))
        assert len(rest) >= length
        answers.append((int(match[1]), headers, rest[:length]))
        data = rest[length:]
    return answers


def bodies(data: bytes) -> list[bytes]:
    return [body for _, _, body in read_answers(data)]


def statuses(data: bytes) -> list[int]:
    return [status for status, _, _ in read_answers(data)]


@pytest.fixture
def wire() -> Wire:
    return Wire(echo)
