"""TLS connections until their handshakes are over.

The event loop's own server accepts any number of connections, and tells nobody before the handshake. So connections are
accepted here, and the oldest handshakes end when there are too many: a client needs milliseconds for one, and a
stranger who only connects would hold its connection until the timeout.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable
from ssl import SSLContext

from atoll.clock import monotonic_ns
from atoll.logs import Repeats

_log = logging.getLogger(__name__)

HANDSHAKE_S = 15.0
SHUTDOWN_S = 3.0
"""How long to wait for a TLS client to confirm the end of a connection."""
PAUSE_S = 1.0
"""How long to wait after the system has refused to accept a connection."""


class Handshakes:
    """`make` makes the protocol of a connection; at most `most` handshakes run at a time."""

    def __init__(self, ssl: SSLContext, make: Callable[[], asyncio.BaseProtocol], most: int) -> None:
        self._ssl = ssl
        self._make = make
        self._most = most
        self._accepting: set[asyncio.Task[None]] = set()
        self._running: dict[asyncio.Task[None], None] = {}
        """In the order of their beginning."""
        self._repeats = Repeats(_log, monotonic_ns)

    def accept(self, listening: socket.socket) -> None:
        """Accept connections from now on; closes the socket at the end."""
        task = asyncio.get_running_loop().create_task(self._accept(listening))
        self._accepting.add(task)
        task.add_done_callback(lambda _: listening.close())

    def close(self) -> None:
        for task in (*self._accepting, *self._running):
            task.cancel()
        self._accepting.clear()

    async def _accept(self, listening: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                client, _ = await loop.sock_accept(listening)
            except OSError as error:  # no descriptor is left
                self._repeats.log("accept", logging.ERROR, f"a connection cannot be accepted: {error}", {})
                await asyncio.sleep(PAUSE_S)
                continue
            if len(self._running) >= self._most:
                oldest = next(iter(self._running))
                del self._running[oldest]
                oldest.cancel()
            task = loop.create_task(self._shake_hands(client))
            self._running[task] = None
            task.add_done_callback(lambda done: self._running.pop(done, None))
            await asyncio.sleep(0)

    async def _shake_hands(self, client: socket.socket) -> None:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                self._make, client, ssl=self._ssl, ssl_handshake_timeout=HANDSHAKE_S, ssl_shutdown_timeout=SHUTDOWN_S
            )
        except OSError:  # of the connection or of TLS; a timeout is one, too
            client.close()
