"""Several regions in one thread. A `World` runs their processes, passes their messages, and lets them crash.

All processes are coroutines, which stop before and after each transaction. So another process, a message or a crash may
come between any two transactions.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any
from unittest import mock

import orjson

from atoll.clock import ManualClock
from atoll.database import format as fmt
from atoll.database.region import Region
from atoll.errors import ApiError
from atoll.replication import answers, masters, messages, source, steps
from atoll.replication.exchange import Handler
from atoll.replication.messages import Message
from atoll.storage.engine import Snapshot
from atoll.versions import Version
from tests.simulation.model import Model
from tests.simulation.network import ANSWER, QUESTION, Letter, Network
from tests.simulation.place import TABLE, Sight, SimulatedRegion

NAMES = ("us-east-1", "eu-west-1", "ap-south-1", "sa-east-1", "af-south-1")
START_MS = 1_800_000_000_000
TRACED = 80
"""The actions that a violation shows."""

Work = Coroutine[Any, Any, Any]
Done = Callable[[Any], None]


@dataclass
class Process:
    """A coroutine in a region."""

    place: SimulatedRegion
    coroutine: Work
    done: Done
    sights: tuple[Sight, ...] = ()


class World:
    def __init__(self, seed: int) -> None:
        self.random = choose = random.Random(seed)
        self.now_ms = START_MS
        self.models: dict[str, Model] = {}
        self.counts: Counter[str] = Counter()
        self.trace: list[str] = []
        self.changes = 0
        """Of any store."""
        self.places = {
            name: SimulatedRegion(name, self.models, ManualClock(START_MS), self._changed)
            for name in NAMES[: choose.choice((2, 3, 3, 4, 5))]
        }
        self.network = Network(choose, choose.choice((0, 0, 0.1, 0.4)), choose.choice((0, 0.1, 0.4)))
        self.skew_ms = dict.fromkeys(self.places, 0)
        self.pause = choose.choice((0, 0, 0.02, 0.2))
        """The probability that a process waits at a turn."""
        self._waiting: list[Process] = []
        self._pages = choose.choice((1, 2, 5, 500)), choose.choice((1, 2, 5, 250))

    @contextmanager
    def small_pages(self) -> Iterator[None]:
        changes, rows = self._pages
        with mock.patch.multiple(source, CHANGES=changes, ROWS=rows):
            yield

    def _changed(self) -> None:
        self.changes += 1

    def note(self, text: str) -> None:
        self.trace.append(text)
        if len(self.trace) > 2 * TRACED:
            del self.trace[:TRACED]

    def some(self, wanted: Callable[[SimulatedRegion], bool]) -> SimulatedRegion | None:
        """One of the regions for which this holds."""
        found = [place for place in self.places.values() if wanted(place)]
        return self.random.choice(found) if found else None

    # Time

    def pass_time(self, ms: int) -> None:
        self.now_ms += ms
        self._set_clocks()

    def set_skew(self, place: SimulatedRegion, skew_ms: int) -> None:
        self.skew_ms[place.name] = skew_ms
        self._set_clocks()

    def _set_clocks(self) -> None:
        for name, place in self.places.items():
            place.clock.set(self.now_ms + self.skew_ms[name])

    # Processes

    def now(self, place: SimulatedRegion, coroutine: Work) -> Any:
        """The result of a process that nothing interrupts."""
        while True:
            try:
                coroutine.send(None)
            except StopIteration as end:
                return end.value

    def run(self, place: SimulatedRegion, coroutine: Work, done: Done, sights: tuple[Sight, ...] = ()) -> None:
        self._go_on(Process(place, coroutine, done, sights), self.pause)

    def _go_on(self, process: Process, pause: float) -> None:
        place = process.place
        while True:
            place.sights = process.sights
            try:
                process.coroutine.send(None)
            except StopIteration as end:
                process.done(end.value)
                return
            except ApiError:
                self.counts["refused"] += 1
                return
            finally:
                place.sights = ()
            if pause and self.random.random() < pause:
                self._waiting.append(process)
                return

    def refresh(self, place: SimulatedRegion) -> None:
        """Let a region load the definitions of its tables."""
        for _ in range(2):
            self.now(place, place.region.read(lambda snapshot: place.region.catalog.find(snapshot, TABLE)))

    def go_on(self) -> None:
        """Let one of the waiting processes continue."""
        if self._waiting:
            self._go_on(self._waiting.pop(self.random.randrange(len(self._waiting))), self.pause)

    def finish_all(self) -> None:
        while self._waiting:
            self._go_on(self._waiting.pop(0), 0)

    def crash(self, place: SimulatedRegion) -> None:
        """The processes of a region end where they are. What its store has committed stays."""
        for process in self._waiting:
            if process.place is place:
                process.coroutine.close()
        self._waiting = [process for process in self._waiting if process.place is not place]
        place.start()

    # Messages

    def ask(self, place: SimulatedRegion, other: str) -> None:
        """Send the next question of a replica to another region."""
        letter = self.question(place, other)
        if letter is not None:
            self.network.send(letter)

    def question(self, place: SimulatedRegion, other: str) -> Letter | None:
        region = place.region
        asked = self.now(place, region.read(lambda snapshot: steps.question(snapshot, region, TABLE, other, 0)))
        return None if asked is None else Letter(QUESTION, place.name, other, messages.dump(asked))

    def invitations(self, place: SimulatedRegion) -> list[Letter]:
        others = [] if place.table is None else steps.invited(place.table)
        if not others:
            return []
        region = place.region
        asked = [self.now(place, region.read(partial(_invitation, region, other))) for other in others]
        return [
            Letter(QUESTION, place.name, other, messages.dump(message))
            for other, message in zip(others, asked, strict=True)
        ]

    def deliver(self, letter: Letter, reply: Callable[[Letter], None]) -> None:
        """Let the region that receives a letter act on it; `reply` gets the answer to a question."""
        place, message = self.places[letter.receiver], messages.load(letter.frame)
        if letter.kind == QUESTION:

            def answered(answer: Message) -> None:
                sights = self._sights(place, answer)
                reply(Letter(ANSWER, place.name, letter.sender, messages.dump(answer), sights))

            handler = answers.HANDLERS[message.name]
            self.run(place, _answer(handler, place.region, letter.sender, message), answered)
        else:
            self.run(place, steps.take(place.region, TABLE, letter.sender, message), lambda _: None, letter.sights)

    def exchange(self, letter: Letter) -> None:
        """Deliver a question and its answer at once."""
        replies: list[Letter] = []
        self.deliver(letter, replies.append)
        self.finish_all()
        for reply in replies:
            self.deliver(reply, replies.append)
            self.finish_all()

    def _sights(self, place: SimulatedRegion, answer: Message) -> tuple[Sight, ...]:
        """The versions of items that an answer tells of, with the earlier ones that they replaced."""
        table = place.table
        if table is None:
            return ()
        if answer.name == "changes":
            keys = [fmt.in_space(table.item_key(orjson.loads(key))) for key in answer.parts[::2]]
            return tuple((key, Version(row[0], place.name)) for key, row in zip(keys, answer.head["rows"], strict=True))
        if answer.name == "rows":
            # The region may have seen greater versions since it made the answer.
            made = {
                key: masters.version_of(answer.head["part"], row)
                for key, row in zip(answer.parts[::2], answer.parts[1::2], strict=True)
            }
            return tuple((key, one) for key, last in made.items() for one in sorted(place.seen[key]) if one <= last)
        return ()


async def _answer(handler: Handler, region: Region, asking: str, message: Message) -> Message:
    return await handler(region, asking, message)


def _invitation(region: Region, other: str, snapshot: Snapshot) -> Message | None:
    return steps.invitation(snapshot, region, TABLE, other)
