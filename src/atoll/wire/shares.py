"""Fair shares: callers that compete get equal numbers of requests in a turn of the event loop.

A connection runs a bounded number of requests in a turn, so a client with many connections would get many times what
one with a single connection gets. While several callers are active, each gets `TURN_REQUESTS` a turn, whatever its
connections; its other requests wait in their order. A caller is an account, in the default account an access key, and
an address where nobody signs. A caller that is alone costs one comparison, and waits for nothing.
"""

from __future__ import annotations

import asyncio
from collections import deque

TURN_REQUESTS = 32
ALONE_TURNS = 256
"""After so many turns in which only one caller was active, it is alone again."""


class Shares:
    def __init__(self) -> None:
        self.sole: str | None = None
        """The caller that is alone; None while several are active, and at first."""
        self._loop: asyncio.AbstractEventLoop | None = None
        self._taken: dict[str, int] = {}
        """Requests of this turn."""
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}
        self._is_due = False
        self._last: str | None = None
        self._turns_alone = 0

    def turn(self, caller: str) -> asyncio.Future[None] | None:
        """What a request of the caller has to wait for, if for anything."""
        if self._last is None:
            self._last = self.sole = caller
            return None
        if self._loop is None:
            try:
                self._loop = asyncio.get_running_loop()
            except RuntimeError:  # a request that is answered outside of a loop competes with nobody
                return None
        self.sole = None  # another one has come
        taken = self._taken.get(caller, 0)
        if not self._is_due:
            self._is_due = True
            self._loop.call_soon(self._begin)
        waiting = self._waiting.get(caller)
        if taken < TURN_REQUESTS and not waiting:
            self._taken[caller] = taken + 1
            return None
        future: asyncio.Future[None] = self._loop.create_future()
        if waiting is None:
            waiting = self._waiting[caller] = deque()
        waiting.append(future)
        return future

    def _begin(self) -> None:
        """The next turn: each caller's oldest requests go on."""
        self._is_due = False
        active = self._taken.keys() | self._waiting.keys()
        if len(active) > 1:
            self._turns_alone = 0
        elif active:
            (self._last,) = active
            self._turns_alone += 1
        self._taken.clear()
        if self._turns_alone >= ALONE_TURNS:
            self._turns_alone = 0
            self.sole = self._last
        for caller in list(self._waiting):
            waiting = self._waiting[caller]
            going = len(waiting) if self.sole is not None else min(len(waiting), TURN_REQUESTS)
            self._taken[caller] = going
            for _ in range(going):
                waiting.popleft().set_result(None)
            if not waiting:
                del self._waiting[caller]
        if self._taken and self.sole is None and not self._is_due and self._loop is not None:
            self._is_due = True
            self._loop.call_soon(self._begin)
