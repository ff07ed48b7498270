"""One HTTP/1.1 connection: it passes complete requests to `answer`, and writes the answers.

A connection answers its requests one at a time, in order, since each may change the data that the next one reads.
While one waits (for a commit), pipelined requests queue behind it. The connection stops reading when the queue is full
or the client reads its answers too slowly. Answers that are ready together are written together, at the end of the
event-loop turn. A connection runs a bounded number of requests in one turn, so that pipelining does not delay other
clients.

A request rejected while it arrives (not HTTP, too large, too slow) gets a bare status, and the connection closes. The
server's `Memory` counts the bytes of large requests and answers.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any, Protocol, cast

from atoll.errors import capacity as capacity_errors
from atoll.errors.faults import Dropped
from atoll.wire.codec import Request, refusal, throttled
from atoll.wire.eager import start
from atoll.wire.incoming import CLOSE, Incoming, Limits
from atoll.wire.memory import SMALL_BYTES

QUEUED_REQUESTS = 32
WRITE_BYTES = 256 * 1024

_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"

_log = logging.getLogger(__name__)

Answer = Callable[[Request], Coroutine[Any, Any, bytes]]


class Owner(Limits, Protocol):
    """The server, which all connections share. It increments `tick` and then calls `ticked` on every connection."""

    answer: Answer
    idle_ticks: int
    request_ticks: int
    turn_requests: int
    """The requests that a connection may run in this turn."""
    draining: bool
    call_soon: Callable[[Callable[[], None]], object]

    @property
    def may_parse(self) -> bool:
        """Whether another piece of input may be parsed in this turn."""

    def parsed(self) -> None:
        """A piece that had several requests or chunks was parsed, so it took time."""

    def later(self, work: Callable[[], None]) -> None:
        """Run a slice of a request's work in a later turn."""

    def opened(self, connection: Connection) -> bool:
        """Returns whether there is room for the connection."""

    def closed(self, connection: Connection) -> None: ...

    def flush_soon(self, connection: Connection) -> None: ...

    def end_turns(self) -> None:
        """Run no more requests in this turn."""


class Connection(Incoming):
    __slots__ = (
        "_answer",
        "_held_back",
        "_later",
        "_out",
        "_out_bytes",
        "_queue",
        "_reading",
        "_receiving",
        "_rest",
        "_rest_due",
        "_running",
        "_server",
        "_share",
        "_transport",
        "_turn",
        "_turn_due",
        "_writable",
        "held",
        "unread",
    )  # fmt: skip

    def __init__(self, server: Owner) -> None:
        super().__init__(server)
        self._server = server
        self._transport: asyncio.Transport | None = None
        # The running request, the queue behind it, and answers not yet written
        self._running: Request | None = None
        self._queue: deque[Request] = deque()
        self._out: list[bytes] = []
        self._out_bytes = 0
        self._turn = 0
        """How many more requests may run in this turn."""
        self._turn_due = False
        # Flow control
        self._receiving = False
        self._reading = True
        self._writable = True
        self._held_back = False
        self._rest = b""
        """Bytes that have arrived but are parsed later: thousands of requests or chunks may arrive together."""
        self._rest_due = False
        self.held = 0
        self.unread = 0
        self._share = ""
        """The share (`Request.share`) that the last request used."""
        self._answer, self._later = server.answer, server.later

    # Callbacks of the transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's transports do not inherit from asyncio's
        peer = transport.get_extra_info("peername")
        self._peer = str(peer[0]) if isinstance(peer, tuple) else ""
        self._secure = transport.get_extra_info("sslcontext") is not None
        if not self._server.opened(self):
            self._refuse(throttled(capacity_errors.too_many_connections()))
            self.flush()
        elif self._server.draining:
            self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """The running call completes, but its answer is dropped. Queued requests never start."""
        self._transport = None
        self._queue.clear()
        self._out.clear()
        self._request, self._body, self._rest, self.unread = None, b"", b"", 0
        self._account()
        del self._parser  # it refers to this connection
        self._server.closed(self)

    def data_received(self, data: bytes) -> None:
        if self._ending:
            return
        server = self._server
        self._turn = server.turn_requests
        self._receiving = True
        if len(data) > SMALL_BYTES or self._rest:
            self._rest += data
            if not self._rest_due:
                self._feed_rest(is_due=False)
        else:
            self._feed(data)
        self._receiving = False
        if self._large or self.held or self._queue or len(self._body) > SMALL_BYTES:
            self._account()
            self._run_queue()
        if self._out:
            server.flush_soon(self)
        elif self._ending:
            self.flush()

    def _feed_rest(self, *, is_due: bool) -> None:
        """Parse what has arrived, in pieces: until many requests wait, or all connections have used up this turn. The
        rest of a body whose length is known is one piece, and takes no time."""
        rest, at, server = self._rest, 0, self._server
        self._rest_due = True
        while at < len(rest) and not self._ending and len(self._queue) < QUEUED_REQUESTS:
            size, queued = self._missing, len(self._queue)
            if size < SMALL_BYTES:
                if not (server.may_parse or (is_due and at == 0)):
                    break
                size = SMALL_BYTES
            self._feed(rest[at : at + size])
            at += size
            if len(self._queue) > queued + 1 or self._is_chunked:
                server.parsed()
        self._rest_due = False
        self._rest = rest[at:]
        self._large = True

    def _read_on(self) -> None:
        self._rest_due = False
        if self._transport is not None and not self._ending:
            self._receiving = True
            self._feed_rest(is_due=True)
            self._receiving = False
            self._account()
            self._run_queue()
            self._flush_soon()

    def eof_received(self) -> bool:
        """Keep a half-closed connection open while answers are pending, if the transport supports it."""
        self._ending = True
        self._write()  # the transport may close when this returns
        waiting = self._running is not None or bool(self._queue)
        return waiting and self._transport is not None and self._transport.can_write_eof()

    def pause_writing(self) -> None:
        self._writable = False
        self._window.open(self._unread_bytes())
        self._adjust_reading()

    def resume_writing(self) -> None:
        self._writable = True
        self._tick = self._server.tick
        self._turn = self._server.turn_requests
        self.unread = 0
        self._account()
        self._run_queue()
        self.flush()

    # Answering

    def _accept(self, request: Request) -> None:
        if self._running is None and self._writable and not self._queue and self._turn:
            self._run(request)
        else:
            self._queue.append(request)
            self._adjust_reading()

    def _run(self, request: Request) -> None:
        self._running = request
        self._turn -= 1
        start(self._answer(request), self._finished, self._later)

    def _finished(self, answer: bytes | None, error: BaseException | None) -> None:
        server = self._server
        if self._running is not None:
            self._share = self._running.share
            self._running = None
        self._tick = server.tick
        if self.held:
            self._account()
        if self._transport is None:
            return
        if answer is None:
            answer = self._failed(error)
            if answer is None:
                return
        self._out.append(answer)
        self._out_bytes += len(answer)
        if not self._receiving:
            self._take_turn()
        elif self._out_bytes > WRITE_BYTES:
            self._write()
            self._turn = 0

    def _failed(self, error: BaseException | None) -> bytes | None:
        """The last answer of the connection; None if it is dropped without one."""
        self._queue.clear()
        if isinstance(error, Dropped):
            self.abort()
            return None
        _log.error("a request failed unexpectedly; its connection is closed", exc_info=error)
        self._ending = True
        return refusal(500)

    def _take_turn(self) -> None:
        self._turn_due = False
        self._turn = self._server.turn_requests
        if self._transport is not None:
            if self._queue or self._continue_due:
                self._run_queue()
            self._flush_soon()

    def _continue(self) -> None:
        self._run_queue()

    def _run_queue(self) -> None:
        """Start queued requests until one has to wait, or the turn is over."""
        receiving, self._receiving = self._receiving, True
        while self._queue and self._running is None and self._writable and self._turn:
            self._run(self._queue.popleft())
        self._receiving = receiving
        if not self._turn and self._queue and self._running is None and self._writable and not self._turn_due:
            self._turn_due = True
            self._server.call_soon(self._take_turn)
        if self._continue_due and self._running is None and not self._queue:
            self._continue_due = False
            self._out.append(_CONTINUE)
        self._adjust_reading()

    def _write(self) -> None:
        transport, out = self._transport, self._out
        if out and transport is not None:
            data = b"".join(out)
            if len(data) > WRITE_BYTES and transport.get_extra_info("sslcontext") is not None:
                # uvloop's TLS transport does not report how many bytes of one long write the client has yet to read.
                for start_ in range(0, len(data), WRITE_BYTES):
                    transport.write(data[start_ : start_ + WRITE_BYTES])
            else:
                transport.write(data)
            if not self._writable:
                self.unread += len(data)  # uvloop keeps all of it until the last byte is sent
                self._account()
        out.clear()
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
            transport.write(self._refused)
            self._refused = b""
            self._tick = self._server.tick
            if transport.can_write_eof():
                transport.write_eof()
            else:
                transport.close()

    def _adjust_reading(self) -> None:
        reading = self._writable and len(self._queue) < QUEUED_REQUESTS and not self._held_back
        if self._rest:
            if reading and not self._rest_due:
                self._rest_due = True
                self._server.later(self._read_on)
            reading = False
        if reading is self._reading or self._transport is None or self._transport.is_closing():
            return
        self._reading = reading
        if reading:
            self._transport.resume_reading()
        else:
            self._transport.pause_reading()

    # Memory and the minimum rate

    def _account(self) -> None:
        """Count the bytes of bodies and unread answers that this connection holds."""
        if self._ending:  # later input is ignored
            self._rest = b""
        held = self.unread + len(self._body) + len(self._rest) + sum(len(request.body) for request in self._queue)
        if self._running is not None:
            held += len(self._running.body)
        self._server.memory.hold(self, held, receiving=bool(self._body or self._rest))

    def hold_back(self, back: bool) -> None:
        if back is not self._held_back:
            self._held_back = back
            self._adjust_reading()

    @property
    def is_late(self) -> bool:
        return self._server.tick - self._tick > self._server.request_ticks

    def shed_body(self) -> None:
        self._refuse(throttled(capacity_errors.memory_is_full()))
        self._account()
        self._flush_soon()

    def shed_answers(self) -> None:
        self.unread = 0
        self._account()
        self.abort()
        self._server.end_turns()  # its bytes are free only after this turn

    def _unread_bytes(self) -> int:
        transport = self._transport
        return 0 if transport is None or transport.is_closing() else transport.get_write_buffer_size()

    # Calls from the server

    @property
    def is_idle(self) -> bool:
        """Whether the connection is between two requests, and has been for a tick at least."""
        return (
            self._tick < self._server.tick - 1 and self._running is None and not self._queue and not self._ending
            and self._headers is None and self._request is None and self._writable and not self._out and not self._rest
        )  # fmt: skip

    @property
    def client(self) -> str:
        """The client of this connection: the caller of its last request; before the first request, an address."""
        return self._share or self._peer

    @property
    def is_ending(self) -> bool:
        return self._ending

    @property
    def idle_since(self) -> int:
        return self._tick

    def close_idle(self) -> None:
        self._ending = True
        self.flush()

    def close_when_answered(self) -> None:
        if self._refused == b"":
            self.abort()
        self._ending = True
        for request in (self._running, *self._queue):
            if request is not None and request.connection is not CLOSE:
                request.connection = CLOSE
        self.flush()

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def ticked(self) -> None:
        """Close a connection that is idle, reads its answers too slowly, or sends its request too slowly."""
        server = self._server
        age = server.tick - self._tick
        if self._transport is not None and self._transport.is_closing():
            if age > server.idle_ticks:
                self.abort()
        elif not self._writable:
            if self._window.is_slow(self._unread_bytes()):
                self.abort()
        elif self._running is not None or self._queue or self._held_back:
            self._window.open(len(self._body))
        elif self._refused == b"":
            if age > server.request_ticks:
                self.abort()
        elif self._request is not None:
            if self._window.is_slow(len(self._body), since=self._tick):
                self._time_out()
        elif self._headers is not None:
            if age > server.request_ticks:
                self._time_out()
        elif age > server.idle_ticks:
            self.close_idle()

    def _time_out(self) -> None:
        self._refuse(refusal(408))
        self._account()
        self.flush()
