"""Check the messages of other nodes (`validation`). Messages within a node are not checked."""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import partial

from atoll.aside import aside
from atoll.database.region import Region
from atoll.errors import replication as errors
from atoll.replication import validation
from atoll.replication.exchange import Exchange, Unreachable
from atoll.replication.messages import Malformed, Message

INLINE_BYTES = 64 * 1024
"""Answers with more bytes of items are checked in a thread."""

FindRegion = Callable[[str], Region]


class CheckedQuestions:
    """Checks the questions of peers, and passes them to the regions of this node (`served`)."""

    def __init__(self, exchange: Exchange, region: FindRegion, served: Collection[str]) -> None:
        self._exchange = exchange
        self._region = region
        self._served = served

    async def ask(self, source: str, target: str, message: Message) -> Message:
        if target in self._served:
            try:
                validation.question(message, self._region(target).clock.now_ms())
            except Malformed as error:
                raise errors.malformed(str(error)) from None
        return await self._exchange.ask(source, target, message)


class CheckedAnswers:
    """Sends the questions of this node's regions to a peer, and checks its answers."""

    def __init__(self, exchange: Exchange, region: FindRegion) -> None:
        self._exchange = exchange
        self._region = region

    async def ask(self, source: str, target: str, message: Message) -> Message:
        answer = await self._exchange.ask(source, target, message)
        region = self._region(source)
        table = region.catalog.known.tables.get(message.head.get("table", ""))
        check = partial(validation.answer, message, answer, table, region.clock.now_ms())
        try:
            if sum(map(len, answer.parts)) > INLINE_BYTES:
                await aside(check)
            else:
                check()
        except Malformed as error:
            raise Unreachable(f"the answer of {target} is invalid: {error}") from None
        return answer
