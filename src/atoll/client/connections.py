"""HTTP connections to one origin, kept alive. One thread uses a connection at a time."""

from __future__ import annotations

import select
import socket
import ssl
import threading
from base64 import b64encode
from collections.abc import Mapping
from email.message import Message
from functools import partial
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection, IncompleteRead
from io import BufferedReader, RawIOBase
from typing import Any, NamedTuple
from urllib.parse import SplitResult, unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

from atoll.client.endpoint import is_local
from atoll.client.failures import CallError, Unreachable
from atoll.clock import monotonic_ns

CONNECT_S = 5.0
ANSWER_S = 20.0
"""The longest wait for the next bytes of an answer."""
WHOLE_S = 120.0
"""The longest time from the first byte of an answer to its last: a slow server may send single bytes."""
ANSWER_BYTES = 128 * 1024**2
"""The most bytes of an answer: BatchGetItem returns 16 MB, and JSON may write each byte as six."""
PIECE = 1024**2


class Answer(NamedTuple):
    status: int
    headers: Message
    """Names are case-insensitive."""
    body: bytes


class Connections:
    def __init__(
        self, url: str, tls: ssl.SSLContext | None = None, *, answer_s: float = ANSWER_S, whole_s: float = WHOLE_S
    ) -> None:
        self.url = url
        parts = urlsplit(url)
        self.host = parts.netloc
        self.path = parts.path.rstrip("/") + "/"
        self._parts = parts
        self._proxy = _proxy(parts)
        self._tls = tls
        self._answer_s, self._whole_s = answer_s, whole_s
        self._idle: list[HTTPConnection] = []
        self._lock = threading.Lock()

    def post(self, path: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """Send a request; returns the answer. Raises Unreachable, or another CallError if the answer is too large."""
        connection: HTTPConnection | None = None
        try:
            connection = self._take()
            target = f"http://{self.host}{path}" if self._proxy is not None and self._parts.scheme == "http" else path
            connection.sock.settimeout(self._answer_s)
            connection.request("POST", target, body, dict(headers))
            response = connection.getresponse()
            answer = Answer(response.status, response.headers, _whole(response))
        except (OSError, HTTPException) as error:
            if connection is not None:
                connection.close()
            raise Unreachable(f"{self.url}: {_reason(error)}") from error
        except BaseException:  # after Ctrl-C the next request would get this one's answer
            if connection is not None:
                connection.close()
            raise
        self._give_back(connection, response)
        return answer

    def close(self) -> None:
        with self._lock:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def _take(self) -> HTTPConnection:
        while True:
            with self._lock:
                connection = self._idle.pop() if self._idle else None
            if connection is None:
                return self._opened()
            if not _ended(connection):
                return connection
            connection.close()

    def _give_back(self, connection: HTTPConnection, response: HTTPResponse) -> None:
        if response.will_close:
            connection.close()
            return
        with self._lock:
            self._idle.append(connection)

    def _opened(self) -> HTTPConnection:
        server = self._proxy or self._parts
        assert server.hostname is not None  # endpoints and proxies were checked
        if self._parts.scheme == "https":
            port = server.port or (443 if self._proxy is None else 80)
            connection: HTTPConnection = HTTPSConnection(server.hostname, port, timeout=CONNECT_S, context=self._tls)
            if self._proxy is not None:
                assert self._parts.hostname is not None
                connection.set_tunnel(self._parts.hostname, self._parts.port or 443, _proxy_headers(self._proxy))
        else:
            connection = HTTPConnection(server.hostname, server.port or 80, timeout=CONNECT_S)
        connection.connect()
        connection.response_class = partial(  # type: ignore[assignment]
            _Response, answer_s=self._answer_s, whole_s=self._whole_s
        )
        return connection


class _Response(HTTPResponse):
    """An answer with bounds: http.client itself would read as long as a server sends."""

    def __init__(self, sock: socket.socket, *arguments: Any, answer_s: float, whole_s: float, **named: Any) -> None:
        super().__init__(sock, *arguments, **named)
        self.fp = BufferedReader(_Bounded(self.fp.detach(), sock, answer_s, whole_s))


class _Bounded(RawIOBase):
    """Reads one answer, with bounds on its time and size."""

    def __init__(self, raw: RawIOBase, sock: socket.socket, answer_s: float, whole_s: float) -> None:
        self._raw = raw
        self._sock = sock
        self._answer_s = answer_s
        self._end_ns = monotonic_ns() + int((answer_s + whole_s) * 1e9)
        self._room = ANSWER_BYTES

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left_s = (self._end_ns - monotonic_ns()) / 1e9
        if left_s <= 0:
            raise TimeoutError
        self._sock.settimeout(min(left_s, self._answer_s))
        count: int | None = self._raw.readinto(buffer)
        self._room -= count or 0
        if self._room < 0:
            raise CallError("an answer is too large")
        return count

    def close(self) -> None:
        self._raw.close()
        super().close()


def _whole(response: HTTPResponse) -> bytes:
    """The body. It is read in pieces: a server may announce more than there is memory."""
    pieces = []
    while piece := response.read(PIECE):
        pieces.append(piece)
    body = b"".join(pieces)
    if response.length:
        raise IncompleteRead(body, response.length)
    return body


def _ended(connection: HTTPConnection) -> bool:
    """Whether the server has closed an idle connection: only then is it readable."""
    sock: socket.socket | None = connection.sock
    if sock is None:
        return True
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    return bool(poll.poll(0))


def _proxy(parts: SplitResult) -> SplitResult | None:
    """The proxy from HTTP_PROXY or HTTPS_PROXY; None for servers on this machine and those in NO_PROXY."""
    found = getproxies().get(parts.scheme)
    if not found or is_local(parts.geturl()) or proxy_bypass(parts.netloc):
        return None
    proxy = urlsplit(found if "://" in found else f"http://{found}")
    return proxy if proxy.hostname else None


def _proxy_headers(proxy: SplitResult) -> dict[str, str]:
    if not proxy.username:
        return {}
    pair = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}"
    return {"Proxy-Authorization": f"Basic {b64encode(pair.encode()).decode()}"}


def _reason(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, ConnectionRefusedError):
        return "nothing listens there"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {error.verify_message}"
    if isinstance(error, ssl.SSLError) and error.reason == "WRONG_VERSION_NUMBER":
        return "it does not speak TLS: use http instead of https"
    return (error.strerror if isinstance(error, OSError) and error.strerror else str(error)) or type(error).__name__
