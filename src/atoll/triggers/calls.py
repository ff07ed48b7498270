"""What all ways of calling a function have in common: a call ends when its time is over, and tells what went wrong.

A call blocks, so it needs a thread of its own. It is given the event as JSON and returns an `Outcome`; it raises
nothing that the function could be blamed for. It ends when its time is over, whatever the function does, and when
`close` is called. No clock is read here: a timer's thread ends what takes too long.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Protocol

import orjson

from atoll.triggers.batches import Outcome

STOPPING = "the server is stopping"


class Runner(Protocol):
    def call(self, event: bytes, request_id: str) -> Outcome: ...

    def close(self) -> None:
        """End the calls that are under way; those that come later fail."""


def failed(kind: str, message: str) -> Outcome:
    return Outcome(orjson.dumps({"errorMessage": message, "errorType": kind}), "Unhandled")


def timed_out(timeout_s: float) -> Outcome:
    return failed("Sandbox.Timedout", f"Task timed out after {timeout_s:.2f} seconds")


@contextmanager
def within(timeout_s: float, end: Callable[[], None]) -> Iterator[threading.Event]:
    """Calls `end` when the time is over, but never later than here; the event tells that it is."""
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
        timer.join()  # it may have been about to call


def shut(sock: socket.socket) -> None:
    """Whoever reads from it or writes to it, in whatever thread, is told that there is nothing more."""
    with suppress(OSError):  # nobody is at the other end any more
        sock.shutdown(socket.SHUT_RDWR)
