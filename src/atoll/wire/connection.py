"""One HTTP/1.1 connection: hands complete requests to `answer` and writes what it returns. Nothing else.

A connection answers its requests one at a time, in order, since each may change the data that the next one reads.
While one waits (for a commit), pipelined requests queue behind it. The connection stops reading when the queue is full
or the client reads its answers too slowly. Answers that are ready together are written together, at the end of the
event-loop turn.

A request rejected while it arrives (not HTTP, too large, too slow) gets a bare status, and the connection closes.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any, Protocol, cast

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser

from atoll import limits
from atoll.wire.codec import Request, refusal
from atoll.wire.eager import start

HEAD_BYTES = 32 * 1024
HEADERS = 100
QUEUED_REQUESTS = 32
WRITE_BYTES = 256 * 1024

_CLOSE = b"Connection: close\r\n"
_KEEP_ALIVE = b"Connection: keep-alive\r\n"
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"

_log = logging.getLogger(__name__)

Answer = Callable[[Request], Coroutine[Any, Any, bytes]]


class Owner(Protocol):
    """State shared by all connections. The owner increments `tick` and then calls `ticked` on every connection."""

    answer: Answer
    tick: int
    idle_ticks: int
    request_ticks: int
    draining: bool

    def opened(self, connection: Connection) -> None: ...

    def closed(self, connection: Connection) -> None: ...

    def flush_soon(self, connection: Connection) -> None: ...


class Connection(asyncio.Protocol):
    """`_headers` is set while a head arrives, `_request` while its body arrives; between requests both are None."""

    __slots__ = (
        "_body", "_continue_due", "_ending", "_head_bytes", "_headers", "_out", "_out_bytes", "_parser", "_queue",
        "_reading", "_receiving", "_refused", "_request", "_running", "_server", "_tick", "_transport", "_upgrade",
        "_url", "_writable",
    )  # fmt: skip

    def __init__(self, server: Owner) -> None:
        self._server = server
        self._parser = HttpRequestParser(self)
        self._transport: asyncio.Transport | None = None
        self._tick = server.tick
        # Incoming request
        self._url = b""
        self._headers: dict[bytes, bytes] | None = None
        self._request: Request | None = None
        self._body: bytes | bytearray = b""
        self._head_bytes = 0
        self._continue_due = False
        self._upgrade = False
        # The running request, the queue behind it, and answers not yet written
        self._running: Request | None = None
        self._queue: deque[Request] = deque()
        self._out: list[bytes] = []
        self._out_bytes = 0
        # Flow control and shutdown
        self._receiving = False
        self._reading = True
        self._writable = True
        self._ending = False
        self._refused: int | None = None

    # Callbacks of the transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's transports do not inherit from asyncio's
        self._server.opened(self)
        if self._server.draining:
            self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """The running call completes, but its answer is dropped. Queued requests never start."""
        self._transport = None
        self._queue.clear()
        self._out.clear()
        self._server.closed(self)

    def data_received(self, data: bytes) -> None:
        if self._ending:
            return
        if self._headers is not None or self._request is not None:
            self._count(data)
        self._receiving = True
        try:
            self._parser.feed_data(data)
        except HttpParserUpgrade as upgrade:
            self._ignore_upgrade(data[upgrade.args[0] :])
        except HttpParserError:
            self._refuse(400)
        self._receiving = False
        self._flush_soon()

    def eof_received(self) -> bool:
        """Keep a half-closed connection open while answers are pending, if the transport supports it."""
        self._ending = True
        self._write()  # the transport may close when this returns
        waiting = self._running is not None or bool(self._queue)
        return waiting and self._transport is not None and self._transport.can_write_eof()

    def pause_writing(self) -> None:
        self._writable = False
        self._adjust_reading()

    def resume_writing(self) -> None:
        self._writable = True
        self._tick = self._server.tick
        self._run_queue()
        self.flush()

    # Callbacks of the parser. They never raise: they record a refusal, and ignore all later input.

    def on_message_begin(self) -> None:
        self._url = b""
        self._headers = {}
        self._head_bytes = 0
        self._tick = self._server.tick

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
            headers[name] += b"," + value
        else:
            self._refuse(431)

    def on_headers_complete(self) -> None:
        headers, self._headers = self._headers, None
        if headers is None or self._ending:
            return
        parser = self._parser
        url = self._url
        if not url.startswith(b"/"):  # absolute form: meant for proxies, but servers must accept it
            url = b"/" + url.partition(b"://")[2].partition(b"/")[2]
        path, _, query = url.partition(b"?")
        self._request = request = Request(parser.get_method(), path, query, headers)
        self._body = b""
        self._head_bytes = 0
        if not parser.should_keep_alive():
            request.connection = _CLOSE
        elif b"connection" in headers and parser.get_http_version() == "1.0":
            request.connection = _KEEP_ALIVE
        if b"upgrade" in headers or request.method == b"CONNECT":
            self._upgrade = parser.should_upgrade()
        length = headers.get(b"content-length", b"")
        if b"host" not in headers and parser.get_http_version() == "1.1":
            self._refuse(400)
        elif len(headers) > HEADERS or len(url) > HEAD_BYTES:
            self._refuse(431)
        elif len(length) > 7 and int(length) > limits.REQUEST_BYTES:
            self._refuse(413)
        elif b"expect" in headers and (length or b"transfer-encoding" in headers):
            if headers[b"expect"].lower() != b"100-continue":
                self._refuse(417)
            else:
                self._continue_due = True
                self._run_queue()

    def on_body(self, body: bytes) -> None:
        if not self._body:
            self._body = body
            return
        if isinstance(self._body, bytes):
            self._body = bytearray(self._body)
        self._body += body
        if len(self._body) > limits.REQUEST_BYTES:
            self._refuse(413)

    def on_message_complete(self) -> None:
        request = self._request
        if self._upgrade or request is None or self._ending:
            return
        self._request = None
        self._continue_due = False
        if self._body:
            body, self._body = self._body, b""
            request.body = body if isinstance(body, bytes) else bytes(body)
        if request.connection is _CLOSE:
            self._ending = True
        if self._running is None and self._writable and not self._queue:
            self._run(request)
        else:
            self._queue.append(request)
            self._adjust_reading()

    def _ignore_upgrade(self, rest: bytes) -> None:
        """Answer a request that offers a protocol upgrade as if it had not. The parser stops after such a head, so a
        new parser gets the head again without the upgrade headers, and then the remaining bytes."""
        request, self._request = self._request, None
        self._upgrade = False
        if request is None or self._ending:
            return
        if request.method == b"CONNECT":
            self._refuse(400)
            return
        kept = b"".join(
            b"%s: %s\r\n" % (name, value)
            for name, value in request.headers.items()
            if name not in (b"upgrade", b"connection", b"http2-settings")
        )
        if request.connection is _CLOSE:
            kept += _CLOSE
        self._parser = HttpRequestParser(self)
        try:
            head = b"%s %s HTTP/1.1\r\n%s\r\n" % (request.method, self._url, kept)
            self._parser.feed_data(head + rest)
        except HttpParserUpgrade as upgrade:  # raised by a later, pipelined request
            self._ignore_upgrade((head + rest)[upgrade.args[0] :])
        except HttpParserError:
            self._refuse(400)

    def _count(self, data: bytes) -> None:
        """Limit the raw bytes of a head, or of a body including its chunk framing and trailers."""
        self._head_bytes += len(data)
        if self._headers is not None:
            if self._head_bytes > HEAD_BYTES:
                self._refuse(431)
        elif self._head_bytes > 2 * limits.REQUEST_BYTES:
            self._refuse(413)
        else:
            self._tick = self._server.tick

    def _refuse(self, status: int) -> None:
        """Record the first refusal. Nothing is refused once the connection is ending: later input is ignored."""
        if not self._ending:
            self._ending = True
            self._refused = status
            self._request = self._headers = None
            self._body = b""

    # Answering

    def _run(self, request: Request) -> None:
        self._running = request
        start(self._server.answer(request), self._finished)

    def _finished(self, answer: bytes | None, error: BaseException | None) -> None:
        self._running = None
        self._tick = self._server.tick
        if self._transport is None:
            return
        if answer is None:
            _log.error("a request failed unexpectedly; its connection is closed", exc_info=error)
            answer = refusal(500)
            self._ending = True
            self._queue.clear()
        self._out.append(answer)
        self._out_bytes += len(answer)
        if not self._receiving:
            self._run_queue()
            self._flush_soon()
        elif self._out_bytes > WRITE_BYTES:
            self._write()

    def _run_queue(self) -> None:
        """Start queued requests until one has to wait."""
        receiving, self._receiving = self._receiving, True
        while self._queue and self._running is None and self._writable:
            self._run(self._queue.popleft())
        self._receiving = receiving
        if self._continue_due and self._running is None and not self._queue:
            self._continue_due = False
            self._out.append(_CONTINUE)
        self._adjust_reading()

    def _write(self) -> None:
        if self._out and self._transport is not None:
            self._transport.write(self._out[0] if len(self._out) == 1 else b"".join(self._out))
        self._out.clear()
        self._out_bytes = 0

    def _flush_soon(self) -> None:
        if self._out:
            self._server.flush_soon(self)
        elif self._ending:
            self.flush()

    def flush(self) -> None:
        if self._out:
            self._write()
        if self._ending and self._running is None and not self._queue:
            self._end()

    def _end(self) -> None:
        """Close after the last answer. A rejected client may still be sending, and closing the socket now could
        discard the status. So half-close: the client's side stays open until it closes or times out."""
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        if self._refused is None:
            transport.close()
        elif self._refused:
            transport.write(refusal(self._refused))
            self._refused = 0
            self._tick = self._server.tick
            if transport.can_write_eof():
                transport.write_eof()
            else:
                transport.close()

    def _adjust_reading(self) -> None:
        reading = self._writable and len(self._queue) < QUEUED_REQUESTS
        if reading is self._reading or self._transport is None:
            return
        self._reading = reading
        if reading:
            self._transport.resume_reading()
        else:
            self._transport.pause_reading()

    # Calls from the server

    def close_when_answered(self) -> None:
        if self._refused == 0:
            self.abort()
        self._ending = True
        for request in (self._running, *self._queue):
            if request is not None and request.connection is not _CLOSE:
                request.connection = _CLOSE
        self.flush()

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def ticked(self) -> None:
        """Close a connection that is idle, does not read its answers, or does not finish its request in time."""
        server = self._server
        age = server.tick - self._tick
        if not self._writable or (self._transport is not None and self._transport.is_closing()):
            if age > server.idle_ticks:
                self.abort()
        elif self._running is not None or self._queue:
            return
        elif self._refused == 0:
            if age > server.request_ticks:
                self.abort()
        elif self._headers is not None or self._request is not None:
            if age > server.request_ticks:
                self._refuse(408)
                self.flush()
        elif age > server.idle_ticks:
            self._ending = True
            self.flush()
