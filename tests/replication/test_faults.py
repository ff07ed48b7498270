"""Links with faults, between two regions of one node, by a clock that stands still."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from random import Random
from typing import Any

import pytest

from atoll.clock import ManualClock, SystemClock
from atoll.replication.exchange import Delivery, Unreachable
from atoll.replication.faults import CLEAR, Faults, LinkFaults
from atoll.replication.faulty import FaultyExchange
from atoll.replication.messages import Message
from atoll.replication.waits import Waits

START_MS = 1_800_000_000_000
US, EU = "us-east-1", "eu-west-1"


class World:
    """us-east-1 and eu-west-1 ask each other; each counts how often it was asked."""

    def __init__(self, seed: int = 1) -> None:
        self.clock = ManualClock(START_MS)
        self.waits = Waits(self.clock)
        self.faults = Faults(Random(seed))
        self.exchange = FaultyExchange(self, self.faults, self.clock, self.waits.at)
        self.asked = {US: 0, EU: 0}

    async def ask(self, source: str, target: str, message: Message) -> Message:
        self.asked[target] += 1
        return Message("changes", {"of": target, "n": self.asked[target]})

    async def pull(self, to: str = EU, from_: str = US) -> Delivery:
        return await self.exchange.deliver(to, from_, Message("changes", {}))

    def start(self, to: str = EU, from_: str = US) -> asyncio.Task[Delivery]:
        return asyncio.create_task(self.pull(to, from_))

    async def move(self, ms: int) -> None:
        self.clock.advance(ms)
        self.waits.settle()
        await turns()


async def turns() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


Story = Callable[[World], Coroutine[Any, Any, None]]


def run(story: Story, seed: int = 1) -> World:
    world = World(seed)
    asyncio.run(story(world))
    return world


def test_a_link_without_faults_delivers_at_once_and_once() -> None:
    async def story(world: World) -> None:
        assert await world.pull() == Delivery(Message("changes", {"of": US, "n": 1}), 1)

    run(story)


@pytest.mark.parametrize(
    ("link", "reason"), [(LinkFaults(partition=True), "is cut"), (LinkFaults(paused=True), "is paused")]
)
def test_a_cut_link_is_not_used_but_the_other_direction_is(link: LinkFaults, reason: str) -> None:
    """A link leads from where changes are made to where they are applied, so the region `to` cannot ask."""

    async def story(world: World) -> None:
        world.faults.set(US, EU, link)
        with pytest.raises(Unreachable, match=f"the link from {US} to {EU} {reason}"):
            await world.pull(to=EU, from_=US)
        await world.pull(to=US, from_=EU)
        world.faults.set(US, EU, CLEAR)
        await world.pull(to=EU, from_=US)

    assert run(story).asked == {US: 1, EU: 1}


@pytest.mark.parametrize(
    "cut", [LinkFaults(partition=True), LinkFaults(paused=True), LinkFaults(partition=True, delay_ms=9)]
)
def test_an_answer_under_way_is_lost_when_its_link_is_cut(cut: LinkFaults) -> None:
    async def story(world: World) -> None:
        world.faults.set(US, EU, LinkFaults(delay_ms=200))
        pull = world.start()
        await turns()
        world.faults.set(US, EU, cut)
        await turns()
        with pytest.raises(Unreachable):
            pull.result()

    run(story)


def test_a_link_that_is_cut_while_the_answer_is_awaited_delivers_none() -> None:
    class Slow(World):
        async def ask(self, source: str, target: str, message: Message) -> Message:
            self.faults.set(US, EU, LinkFaults(partition=True))
            return await super().ask(source, target, message)

    async def story() -> None:
        world = Slow()
        with pytest.raises(Unreachable):
            await world.pull()
        assert world.asked[US] == 1

    asyncio.run(story())


def test_a_delayed_answer_arrives_when_the_clock_has_moved() -> None:
    async def story(world: World) -> None:
        world.faults.set(US, EU, LinkFaults(delay_ms=200))
        pull = world.start()
        await turns()
        assert world.waits.settle() == START_MS + 200
        await world.move(199)
        assert not pull.done()
        await world.move(1)
        assert pull.done()
        assert world.waits.settle() is None

    run(story)


def test_a_clock_that_is_set_back_releases_held_answers() -> None:
    async def story(world: World) -> None:
        world.faults.set(US, EU, LinkFaults(delay_ms=200))
        pull = world.start()
        await turns()
        await world.move(-1_000)
        assert pull.done()

    run(story)


@pytest.mark.parametrize(
    ("link", "done"), [(CLEAR, True), (LinkFaults(delay_ms=100), True), (LinkFaults(delay_ms=150), False)]
)
def test_a_change_of_the_delay_applies_to_held_answers(link: LinkFaults, done: bool) -> None:
    async def story(world: World) -> None:
        world.faults.set(US, EU, LinkFaults(delay_ms=200))
        pull = world.start()
        await turns()
        await world.move(100)
        world.faults.set(US, EU, link)
        await turns()
        assert pull.done() is done
        await world.move(50)
        assert pull.done()

    run(story)


def test_jitter_delays_each_answer_by_another_part_of_it() -> None:
    async def story(world: World) -> None:
        world.faults.set(US, EU, LinkFaults(delay_ms=100, jitter_ms=100))
        pulls = [world.start() for _ in range(50)]
        done = []
        for _ in range(21):
            await turns()
            done.append(sum(pull.done() for pull in pulls))
            await world.move(10)
        assert not any(done[:10])
        assert done[20] == 50
        assert len(set(done)) > 5

    run(story)


def test_parts_of_the_answers_are_lost_and_doubled() -> None:
    async def story(world: World) -> None:
        world.faults.set(US, EU, LinkFaults(loss=0.25, duplicate=0.5))
        copies = []
        for _ in range(1_000):
            try:
                copies.append((await world.pull()).copies)
            except Unreachable as error:
                assert "was lost" in error.reason
                copies.append(0)
        assert 200 < copies.count(0) < 300
        assert 325 < copies.count(2) < 425
        assert copies.count(0) + copies.count(1) + copies.count(2) == 1_000

    assert run(story).asked[US] == 1_000, "the region was asked, whether its answer arrived or not"


@pytest.mark.parametrize(
    ("link", "copies"), [(LinkFaults(loss=1), 0), (LinkFaults(duplicate=1), 2), (LinkFaults(loss=1, duplicate=1), 0)]
)
def test_all_or_none(link: LinkFaults, copies: int) -> None:
    async def story(world: World) -> None:
        world.faults.set(US, EU, link)
        for _ in range(100):
            if copies:
                assert (await world.pull()).copies == copies
            else:
                with pytest.raises(Unreachable):
                    await world.pull()

    run(story)


def test_the_same_seed_has_the_same_faults() -> None:
    def fates(seed: int) -> list[object]:
        faults = Faults(Random(seed))
        return [faults.fate(LinkFaults(loss=0.5, duplicate=0.5, jitter_ms=10)) for _ in range(100)]

    assert fates(5) == fates(5)
    assert fates(5) != fates(6)


def test_watchers_are_told_about_changes() -> None:
    faults, told = Faults(), []
    faults.changed.append(lambda *ends: told.append(ends))
    faults.set(US, EU, LinkFaults(partition=True))
    faults.replace({(EU, US): LinkFaults(loss=1)})
    assert sorted(told) == sorted([(US, EU), (US, EU), (EU, US)])
    assert faults.all() == {(EU, US): LinkFaults(loss=1)}


def test_with_the_real_time_a_delay_ends_by_itself() -> None:
    class Real(World):
        def __init__(self) -> None:
            super().__init__()
            clock = SystemClock()
            self.exchange = FaultyExchange(self, self.faults, clock, Waits(clock).at)

    async def story() -> None:
        world, clock = Real(), SystemClock()
        world.faults.set(US, EU, LinkFaults(delay_ms=20))
        start_ms = clock.now_ms()
        await asyncio.wait_for(world.pull(), 10)
        assert clock.now_ms() >= start_ms + 20

    asyncio.run(story())


def test_a_wait_that_is_given_up_leaves_nothing() -> None:
    async def story(world: World) -> None:
        world.faults.set(US, EU, LinkFaults(delay_ms=200))
        pull = world.start()
        await turns()
        pull.cancel()
        await turns()
        assert world.waits.settle() is None
        world.faults.set(US, EU, CLEAR)

    run(story)
