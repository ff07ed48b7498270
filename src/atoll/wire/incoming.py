"""The incoming half of a connection: it parses received bytes into requests.

A request rejected while it arrives (not HTTP, too large) gets a bare status, and the connection closes.
"""

from __future__ import annotations

import asyncio
from typing import Protocol

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser

from atoll import limits
from atoll.wire.codec import Joined, Request, first_line, refusal
from atoll.wire.memory import SMALL_BYTES, Memory

HEAD_BYTES = 16 * 1024
HEADERS = 100

CLOSE = b"Connection: close\r\n"
_KEEP_ALIVE = b"Connection: keep-alive\r\n"


class Limits(Protocol):
    """The limits of a connection's server that apply while a request arrives."""

    tick: int
    rate_ticks: int
    least_bytes: int
    """The bytes by which reading a body, or writing an answer, must advance in `rate_ticks`."""
    memory: Memory


class Window:
    """Progress since some tick, to find transfers below the minimum rate."""

    __slots__ = ("_bytes", "_limits", "_tick")

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self.open(0)

    def open(self, at: int) -> None:
        self._tick = self._limits.tick
        self._bytes = at

    def is_slow(self, at: int, since: int = 0) -> bool:
        """Whether the window has ended with too little progress; if it has ended, the next one begins. A window that
        began before the tick `since` belongs to an earlier transfer and is ignored."""
        if self._tick < since:
            self.open(at)
        if self._limits.tick - self._tick <= self._limits.rate_ticks:
            return False
        slow = abs(at - self._bytes) < self._limits.least_bytes
        self.open(at)
        return slow


class Incoming(asyncio.Protocol):
    """Parses requests. `_headers` is set while a head arrives, `_request` while its body arrives; between requests both
    are None.

    A subclass gets each complete request in `_accept`.
    """

    __slots__ = (
        "_body", "_continue_due", "_ending", "_head_bytes", "_headers", "_large", "_limits", "_parser", "_peer",
        "_refused", "_request", "_secure", "_tick", "_upgrade", "_url", "_window",
    )  # fmt: skip

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._parser = HttpRequestParser(self)
        self._url = b""
        self._headers: dict[bytes, bytes] | None = None
        self._request: Request | None = None
        self._body: bytes | bytearray = b""
        self._head_bytes = 0
        self._continue_due = False
        self._upgrade = False
        self._large = False
        """Whether the bytes that just arrived may hold a long head."""
        self._tick = limits.tick
        self._window = Window(limits)
        self._peer, self._secure = "", False
        self._ending = False
        self._refused: bytes | None = None
        """The answer to a refused request; empty once it is written."""

    def _accept(self, request: Request) -> None:
        """Run a complete request, or queue it."""
        raise NotImplementedError

    def _continue(self) -> None:
        """Ask for the body of a request with Expect: 100-continue, once it is its turn."""
        raise NotImplementedError

    def _feed(self, data: bytes) -> None:
        size, head = len(data), self._headers
        self._large = large = size > SMALL_BYTES or head is not None
        if self._request is not None:
            self._count(size)
        try:
            self._parser.feed_data(data)
        except HttpParserUpgrade as upgrade:
            self._ignore_upgrade(memoryview(data)[upgrade.args[0] :])
        except HttpParserError:
            self._refuse(refusal(400))
        if large and self._headers is not None:
            self._count(size if self._headers is head else self._head_size(self._headers))

    @property
    def _is_chunked(self) -> bool:
        """Whether a body without a known length is arriving, which may have many chunks."""
        return self._request is not None and b"content-length" not in self._request.headers

    @property
    def _missing(self) -> int:
        """How many bytes of the body have yet to arrive; none if its length is unknown."""
        request = self._request
        return 0 if request is None else int(request.headers.get(b"content-length", b"0")) - len(self._body)

    # Callbacks of the parser. They never raise: they record a refusal, and ignore all later input.

    def on_message_begin(self) -> None:
        self._url = b""
        self._headers = {}
        self._head_bytes = 0
        self._tick = self._limits.tick

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        headers = self._headers
        if headers is None:  # a trailer
            return
        name = name.lower()
        if name not in headers:
            headers[name] = value
        elif len(headers[name]) < HEAD_BYTES:
            before = headers[name]
            headers[name] = joined = Joined(before + b"," + value)
            joined.first = first_line(before)
            if name == b"host":
                self._refuse(refusal(400))
        else:
            self._refuse(refusal(400))

    def on_headers_complete(self) -> None:
        headers, self._headers = self._headers, None
        if headers is None or self._ending:
            return
        parser = self._parser
        path, query = self._url, b""
        if path != b"/":
            path, query = _parts(path)
        method = parser.get_method()
        self._request = request = Request(method, path, query, headers, b"", self._peer, self._secure)
        self._body = b""
        is_long = False
        if self._large or self._head_bytes:
            is_long = self._head_size(headers) > HEAD_BYTES
            self._head_bytes = 0
        if not parser.should_keep_alive():
            request.connection = CLOSE
        elif b"connection" in headers and parser.get_http_version() == "1.0":
            request.connection = _KEEP_ALIVE
        if b"upgrade" in headers or method == b"CONNECT":
            self._upgrade = parser.should_upgrade()
        length = headers.get(b"content-length", b"")
        if is_long or len(headers) > HEADERS or (b"host" not in headers and parser.get_http_version() == "1.1"):
            self._refuse(refusal(400))
        elif len(length) > 7 and int(length) > limits.REQUEST_BYTES:
            self._refuse(refusal(413))
        elif b"expect" in headers and (length or b"transfer-encoding" in headers):
            if headers[b"expect"].lower() != b"100-continue":
                self._refuse(refusal(417))
            else:
                self._continue_due = True
                self._continue()

    def on_body(self, body: bytes) -> None:
        if not self._body:
            self._body = body
            return
        if isinstance(self._body, bytes):
            self._body = bytearray(self._body)
        self._body += body
        if len(self._body) > limits.REQUEST_BYTES:
            self._refuse(refusal(413))

    def on_message_complete(self) -> None:
        request, body = self._request, self._body
        if request is None or self._upgrade or self._ending:
            return
        self._request = None
        self._continue_due = False
        if body:
            self._body = b""
            request.body = body if type(body) is bytes else bytes(body)
        if request.connection is CLOSE:
            self._ending = True
        self._accept(request)

    def _ignore_upgrade(self, rest: memoryview) -> None:
        """Ignore a request's offer to upgrade the protocol. The parser stops after such a head, so a new parser gets
        the head again without the upgrade headers, and then the remaining bytes."""
        while True:
            request, self._request = self._request, None
            self._upgrade = False
            if request is None or self._ending:
                return
            if request.method == b"CONNECT":
                self._refuse(refusal(400))
                return
            try:
                self._parser = HttpRequestParser(self)
                self._parser.feed_data(self._head_without_upgrade(request))
                self._parser.feed_data(rest)
                return
            except HttpParserUpgrade as upgrade:  # raised by a later, pipelined request
                rest = rest[upgrade.args[0] :]
            except HttpParserError:
                self._refuse(refusal(400))
                return

    def _head_without_upgrade(self, request: Request) -> bytes:
        kept = b"".join(
            b"%s: %s\r\n" % (name, value)
            for name, value in request.headers.items()
            if name not in (b"upgrade", b"connection", b"http2-settings")
        )
        if request.connection is CLOSE:
            kept += CLOSE
        return b"%s %s HTTP/1.1\r\n%s\r\n" % (request.method, self._url, kept)

    def _count(self, size: int) -> None:
        """Limit the raw bytes of a head, or of a body including its chunk framing and trailers."""
        self._head_bytes += size
        if self._headers is not None:
            if self._head_bytes > HEAD_BYTES:
                self._refuse(refusal(400))
        elif self._head_bytes > 2 * limits.REQUEST_BYTES:
            self._refuse(refusal(413))

    def _head_size(self, headers: dict[bytes, bytes]) -> int:
        """The bytes of the head that has arrived, each line with its separators."""
        return len(self._url) + 16 + sum(len(name) + len(value) + 4 for name, value in headers.items())

    def _refuse(self, answer: bytes) -> None:
        """Record the first refusal. Nothing is refused once the connection is ending: later input is ignored."""
        if not self._ending:
            self._ending = True
            self._refused = answer
            self._request = self._headers = None
            self._body = b""


def _parts(url: bytes) -> tuple[bytes, bytes]:
    """The path and the query."""
    if not url.startswith(b"/"):  # absolute form: meant for proxies, but servers must accept it
        url = b"/" + url.partition(b"://")[2].partition(b"/")[2]
    path, _, query = url.partition(b"?")
    return path, query
