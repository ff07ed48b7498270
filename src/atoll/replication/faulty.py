"""An exchange whose links have faults: it asks another exchange, and does to the answers what a bad network does.

What is asked and answered when a link is cut does not arrive: an answer that was under way then is lost, too. The
region that asks will ask again.
"""

from __future__ import annotations

import asyncio
from functools import partial

from atoll.clock import Clock
from atoll.replication.exchange import Delivery, Exchange, Unreachable
from atoll.replication.faults import CLEAR, Fate, Faults
from atoll.replication.messages import Message
from atoll.replication.waits import Timer


class FaultyExchange:
    """`timer` makes calls by `clock`."""

    def __init__(self, exchange: Exchange, faults: Faults, clock: Clock, timer: Timer) -> None:
        self._exchange = exchange
        self._faults = faults
        self._clock = clock
        self._timer = timer
        self._held: dict[tuple[str, str], set[asyncio.Future[None]]] = {}
        """By link: each answer that is held looks at its link again when its future is done."""
        faults.changed.append(self._changed)

    async def ask(self, source: str, target: str, message: Message) -> Message:
        return (await self.deliver(source, target, message)).message

    async def deliver(self, source: str, target: str, message: Message) -> Delivery:
        """As `ask`, with the number of copies of the answer. Data flow from `target` to `source`."""
        faults = self._faults
        self._check(source, target)
        answer = await self._exchange.ask(source, target, message)
        link = faults.of(target, source)
        if link == CLEAR:
            return Delivery(answer, 1)
        fate = faults.fate(link)
        await self._hold(target, source, fate)
        self._check(source, target)
        if fate.is_lost:
            raise Unreachable(f"the answer of {target} to {source} was lost")
        return Delivery(answer, fate.copies)

    def _check(self, source: str, target: str) -> None:
        link = self._faults.of(target, source)
        if link.is_cut:
            raise Unreachable(f"the link from {target} to {source} is {'cut' if link.partition else 'paused'}")

    async def _hold(self, from_: str, to: str, fate: Fate) -> None:
        """Hold an answer as long as its link says, also if that changes meanwhile."""
        start_ms = self._clock.now_ms()
        while not (link := self._faults.of(from_, to)).is_cut:
            due_ms = start_ms + link.delay_ms + round(fate.lateness * link.jitter_ms)
            if not start_ms <= self._clock.now_ms() < due_ms:
                return
            await self._until(due_ms, from_, to)

    async def _until(self, due_ms: int, from_: str, to: str) -> None:
        """Wait until `due_ms`, or until the link changes."""
        ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        held = self._held.setdefault((from_, to), set())
        held.add(ended)
        cancel = self._timer(due_ms, partial(_end, ended))
        try:
            await ended
        finally:
            held.discard(ended)
            cancel()

    def _changed(self, from_: str, to: str) -> None:
        for ended in self._held.get((from_, to), ()):
            _end(ended)


def _end(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
