"""An exchange whose links have faults: it asks another exchange, and delays, loses or doubles the answers.

Questions and answers do not arrive while their link is cut; answers on their way at that time are lost. The asking
region will ask again. Only answers with news are delayed, lost or doubled.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any

from atoll.clock import Clock
from atoll.replication.exchange import Delivery, Exchange, Lost, Unreachable
from atoll.replication.faults import CLEAR, Fate, Faults
from atoll.replication.messages import Message
from atoll.replication.waits import Timer

HasNews = Callable[[Message, Message], bool]
"""Whether the answer to a question has news. Arguments: the question, the answer."""


def _always(question: Message, answer: Message) -> bool:
    return True


class FaultyExchange:
    """Adds faults to the answers of `exchange`. `timer` schedules calls by `clock`."""

    def __init__(
        self, exchange: Exchange, faults: Faults, clock: Clock, timer: Timer, has_news: HasNews = _always
    ) -> None:
        self._exchange = exchange
        self._has_news = has_news
        self._faults = faults
        self._clock = clock
        self._timer = timer
        self._held: dict[tuple[str, str], set[asyncio.Future[None]]] = {}
        """By link: each answer that is held looks at its link again when its future is done."""
        self._holding: dict[asyncio.Task[Any], asyncio.Future[None]] = {}
        """The same futures by the task that waits for the answer."""
        self._watched: set[asyncio.Future[None]] = set()
        """Done when the next answer is held."""
        faults.changed.append(self._changed)

    async def ask(self, source: str, target: str, message: Message) -> Message:
        return (await self.deliver(source, target, message)).message

    async def deliver(self, source: str, target: str, message: Message) -> Delivery:
        """Like `ask`, but also returns the number of copies of the answer. Data flow from `target` to `source`."""
        faults = self._faults
        self._check(source, target)
        answer = await self._exchange.ask(source, target, message)
        link = faults.of(target, source)
        if link == CLEAR:
            return Delivery(answer, 1)
        if not self._has_news(message, answer):
            self._check(source, target)
            return Delivery(answer, 1)
        fate, lost = faults.fate(link), f"the answer of {target} to {source} was lost"
        if link.loss >= 1:  # no answer arrives, so hold none
            raise Unreachable(lost)
        await self._hold(target, source, fate)
        self._check(source, target)
        if fate.is_lost:
            raise Lost(lost)
        return Delivery(answer, fate.copies)

    async def at_rest(self, task: asyncio.Task[Any]) -> None:
        """Wait until the task is done, or waits for a held answer."""
        while not task.done() and ((held := self._holding.get(task)) is None or held.done()):
            watched = asyncio.get_running_loop().create_future()
            self._watched.add(watched)
            await asyncio.wait({task, watched}, return_when=asyncio.FIRST_COMPLETED)
            self._watched.discard(watched)

    def _check(self, source: str, target: str) -> None:
        link = self._faults.of(target, source)
        if link.is_cut:
            raise Unreachable(f"the link from {target} to {source} is {'cut' if link.partition else 'paused'}")

    async def _hold(self, from_: str, to: str, fate: Fate) -> None:
        """Hold an answer for the delay of its link, even if that changes meanwhile."""
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
        task = asyncio.current_task()
        assert task is not None
        self._holding[task] = ended
        cancel = self._timer(due_ms, partial(_end, ended))
        for watched in self._watched:
            _end(watched)
        try:
            await ended
        finally:
            del self._holding[task]
            held.discard(ended)
            cancel()

    def _changed(self, from_: str, to: str) -> None:
        for ended in self._held.get((from_, to), ()):
            _end(ended)


def _end(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
