"""The interface for calling a function, the same for all kinds of functions, and the timeout of calls.

A call blocks, so the caller runs it in a thread. It takes the event as JSON and returns a `BatchOutcome`; if the
function fails, the outcome says so, and no exception is raised. A call always ends after its timeout, and when `close`
is called. This module reads no clock: a timer thread ends a call that takes too long.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Protocol

import orjson

from atoll import limits
from atoll.triggers.batches import BatchOutcome

SHOWN_BYTES = 2_000
STOPPING = "the server is stopping"


class Runner(Protocol):
    def call(self, event: bytes, request_id: str) -> BatchOutcome: ...

    def close(self) -> None:
        """End all running calls; later calls fail."""


def failed(kind: str, message: str) -> BatchOutcome:
    return BatchOutcome(orjson.dumps({"errorMessage": message, "errorType": kind}), "Unhandled")


def shown(outcome: BatchOutcome) -> str:
    """The answer as the log shows it: functions choose its length."""
    text = outcome.payload[:SHOWN_BYTES].decode(errors="replace")
    return text if len(outcome.payload) <= SHOWN_BYTES else text + "..."


def too_large() -> BatchOutcome:
    return failed("Function.ResponseSizeTooLarge", f"The answer is longer than {limits.INVOCATION_BYTES} bytes")


def timed_out(timeout_s: float) -> BatchOutcome:
    return failed("Sandbox.Timedout", f"Task timed out after {timeout_s:.2f} seconds")


@contextmanager
def within(timeout_s: float, end: Callable[[], None]) -> Iterator[threading.Event]:
    """Call `end` after `timeout_s`, but never after the block ends. The event is set once the time is over."""
    late = threading.Event()

    def over() -> None:
        late.set()
        end()

    timer = threading.Timer(timeout_s, over)
    timer.daemon = True
    timer.start()
    try:
        yield late
    finally:
        timer.cancel()
        timer.join()  # `end` may be running: wait for it


def shut(sock: socket.socket) -> None:
    """Shut the socket down: threads that block on it return at once."""
    with suppress(OSError):  # the peer has already disconnected
        sock.shutdown(socket.SHUT_RDWR)
