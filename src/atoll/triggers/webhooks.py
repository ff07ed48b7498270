"""Call the functions and destinations that are webhooks, by an HTTP POST of the event."""

from __future__ import annotations

import io
import os
import selectors
import socket
import ssl
import threading
from collections.abc import Mapping
from contextlib import suppress
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection, IncompleteRead
from typing import Any
from urllib.parse import urlsplit

from atoll import limits
from atoll.triggers.batches import BatchOutcome
from atoll.triggers.calls import STOPPING, failed, shut, timed_out, too_large, within

# A socket that is still connecting cannot be shut down, so `connect` checks this often whether `cut` was called.
LOOK_S = 0.1

HEAD_BYTES = 256 * 1024
"""The most bytes of heads, and of chunk framing beyond the bytes of the body."""
PIECE_BYTES = 4 * 1024


class _Line:
    """A connection that any thread may close while it blocks (except in the DNS lookup)."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._handle: socket.socket | None = None
        self.is_cut = False

    def connect(self, host: str, port: int, timeout_s: float) -> socket.socket:
        problem = OSError(f"{host} has no address")
        for family, kind, protocol, _, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
            one = socket.socket(family, kind, protocol)
            try:
                self._connect(one, address)
                one.settimeout(timeout_s)
                return one
            except OSError as error:
                one.close()
                problem = error
        raise problem

    def _connect(self, one: socket.socket, address: tuple[Any, ...]) -> None:
        one.setblocking(False)
        with suppress(BlockingIOError):  # the connection is in progress
            one.connect(address)
        with selectors.DefaultSelector() as ready:
            ready.register(one, selectors.EVENT_WRITE)
            while not self.is_cut and not ready.select(LOOK_S):
                pass
        with self._lock:
            if self.is_cut:
                raise ConnectionAbortedError(STOPPING)
            if error := one.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                raise OSError(error, os.strerror(error))
            # TLS takes over the socket, and a connection may drop it before its answer is read
            self._handle = one.dup()

    def cut(self) -> None:
        with self._lock:
            self.is_cut = True
            if self._handle is not None:
                shut(self._handle)

    def close(self) -> None:
        with self._lock:
            if self._handle is not None:
                self._handle.close()
                self._handle = None


class _Bounded(io.RawIOBase):
    """The bytes of a connection, of which only `most` are read: an answer could have a head without an end."""

    def __init__(self, source: io.RawIOBase) -> None:
        self._source = source
        self.used = 0
        self.most = HEAD_BYTES

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        if self.used >= self.most:
            raise OSError(f"the answer has more than {self.most} bytes besides its body")
        count: int | None = self._source.readinto(buffer)
        self.used += count or 0
        return count

    def close(self) -> None:
        self._source.close()
        super().close()


class _Answer(HTTPResponse):
    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._bounded = _Bounded(self.fp.detach())
        self.fp = io.BufferedReader(self._bounded)

    def read_all(self, most: int) -> bytes:
        """The body, or its first `most` bytes."""
        body = bytearray()
        while len(body) < most:
            self._bounded.most = 2 * (HEAD_BYTES + len(body))
            piece = self.read(PIECE_BYTES)
            if not piece:
                if self.length:  # http.client notices this only in chunked bodies
                    raise IncompleteRead(bytes(body), self.length)
                break
            body += piece
        return bytes(body[:most])


class Webhook:
    """Calls a URL: it sends the event by POST. A status from 200 to 299 means success, and the body is the result."""

    def __init__(self, url: str, headers: Mapping[str, str], timeout_s: float) -> None:
        parts = urlsplit(url)
        self._tls = ssl.create_default_context() if parts.scheme == "https" else None
        self._host, self._port = parts.hostname or "", parts.port
        self._path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self._headers = {"Content-Type": "application/json", **headers}
        self._timeout_s = timeout_s
        self._lock = threading.Lock()
        self._open: set[_Line] = set()
        self._closed = False

    def call(self, event: bytes, request_id: str) -> BatchOutcome:
        connection = (HTTPSConnection if self._tls else HTTPConnection)(self._host, self._port)
        connection.response_class = _Answer
        line = _Line()
        with self._lock:
            if self._closed:
                return failed("Webhook.Unreachable", STOPPING)
            self._open.add(line)
        try:
            with within(self._timeout_s, line.cut) as late:
                connection.sock = line.connect(connection.host, connection.port, self._timeout_s)
                if self._tls:
                    connection.sock = self._tls.wrap_socket(connection.sock, server_hostname=connection.host)
                connection.request("POST", self._path, event, {**self._headers, "X-Amzn-RequestId": request_id})
                answer = connection.getresponse()
                assert isinstance(answer, _Answer)
                body = answer.read_all(limits.INVOCATION_BYTES + 1)
        except (OSError, HTTPException, ValueError) as error:  # ValueError: an invalid host name or header
            if late.is_set() or isinstance(error, TimeoutError):
                return timed_out(self._timeout_s)
            return failed("Webhook.Unreachable", str(error) or type(error).__name__)
        finally:
            with self._lock:
                self._open.discard(line)
            connection.close()
            line.close()
        if late.is_set():
            return timed_out(self._timeout_s)
        if line.is_cut:  # the body may be incomplete
            return failed("Webhook.Unreachable", STOPPING)
        if len(body) > limits.INVOCATION_BYTES:
            return too_large()
        if not 200 <= answer.status < 300:
            return failed("Webhook.Refused", f"{answer.status} {answer.reason:.200}")
        return BatchOutcome(body.strip() or b"null")

    def close(self) -> None:
        with self._lock:
            self._closed = True
            for line in self._open:
                line.cut()
