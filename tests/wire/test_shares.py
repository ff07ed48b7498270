"""Callers that compete get equal parts of the time and of the requests of a turn, whatever their connections."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from atoll.wire.shares import ALONE_NS, ALONE_TURNS, TURN_NS, TURN_REQUESTS, Shares

END_NS = 10**9


class Clock:
    """The time that work takes, which moves only by working."""

    def __init__(self) -> None:
        self.ns = 0

    def now_ns(self) -> int:
        return self.ns


async def note(order: list[Any], one: Any) -> None:
    order.append(one)


async def compete(shares: Shares, *callers: str) -> None:
    for caller in callers:
        await shares.run(caller, note([], None))


async def answered(*callers: tuple[str, int]) -> list[str]:
    """The order in which requests run that arrive together, so many of each caller."""
    shares, order = Shares(Clock().now_ns), list[str]()
    await compete(shares, callers[0][0], "another")
    await asyncio.gather(*(shares.run(caller, note(order, caller)) for caller, count in callers for _ in range(count)))
    return order


def test_one_request_does_not_wait_for_the_thousand_of_another() -> None:
    order = asyncio.run(answered(("greedy", 1_000), ("modest", 1)))
    assert len(order) == 1_001
    assert order.index("modest") <= TURN_REQUESTS


def test_three_callers_get_equal_shares() -> None:
    order = asyncio.run(answered(("a", 1_000), ("b", 500), ("c", 500)))
    for caller in "abc":
        assert abs(order[:900].count(caller) - 300) <= TURN_REQUESTS


def test_requests_of_one_caller_keep_their_order() -> None:
    clock = Clock()

    async def work(order: list[int], number: int) -> None:
        clock.ns += TURN_NS // 3
        order.append(number)

    async def run() -> list[int]:
        shares, order = Shares(clock.now_ns), list[int]()
        await compete(shares, "x", "y")
        await asyncio.gather(*(shares.run("x", work(order, number)) for number in range(200)))
        return order

    assert asyncio.run(run()) == list(range(200))


def test_a_caller_counts_as_alone_after_a_time_without_others() -> None:
    async def run() -> None:
        clock = Clock()
        shares = Shares(clock.now_ns)
        await compete(shares, "a")
        assert shares.sole == "a"
        await compete(shares, "b")
        assert shares.sole is None
        for _ in range(2 * ALONE_TURNS):
            await compete(shares, "a")
            await asyncio.sleep(0)
        assert shares.sole is None
        clock.ns += ALONE_NS
        await compete(shares, "a")
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert shares.sole == "a"

    asyncio.run(run())


class World:
    """Clients that send the next request when the last one is answered, and the time that the work of each took."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.shares = Shares(self.clock.now_ns)
        self.worked_ns: dict[str, int] = {}
        self.longest_ns = 0
        """How long a caller of a single request waited for its answer."""

    async def scan(self, caller: str) -> None:
        for _ in range(10):
            self._work(caller, TURN_NS)
            await asyncio.sleep(0)  # the end of a slice

    async def get(self, caller: str) -> None:
        self._work(caller, 50_000)

    def _work(self, caller: str, ns: int) -> None:
        self.clock.ns += ns
        if self.clock.ns < END_NS:
            self.worked_ns[caller] = self.worked_ns.get(caller, 0) + ns

    async def connection(self, caller: str, request: Callable[[str], Coroutine[Any, Any, None]]) -> None:
        while self.clock.ns < END_NS:
            sent_ns = self.clock.ns
            await self.shares.run(caller, request(caller))
            if caller == "modest":
                self.longest_ns = max(self.longest_ns, self.clock.ns - sent_ns)


def test_one_connection_of_gets_competes_with_fifty_of_scans() -> None:
    """Each GetItem waits for about one slice, not for one of each of fifty scans."""

    async def run() -> World:
        world = World()
        await compete(world.shares, "greedy", "modest")
        scans = [world.connection("greedy", world.scan) for _ in range(50)]
        await asyncio.gather(*scans, world.connection("modest", world.get))
        return world

    world = asyncio.run(run())
    assert world.longest_ns <= 3 * TURN_NS
    assert world.worked_ns["modest"] // 50_000 >= END_NS // (3 * TURN_NS)


@pytest.mark.parametrize("greedy", ["scan", "get"])
def test_two_callers_that_always_have_work_get_equal_time(greedy: str) -> None:
    async def run() -> World:
        world = World()
        await compete(world.shares, "greedy", "modest")
        many = [world.connection("greedy", getattr(world, greedy)) for _ in range(50)]
        few = [world.connection("modest", world.get) for _ in range(40)]
        await asyncio.gather(*many, *few)
        return world

    world = asyncio.run(run())
    assert world.worked_ns["modest"] >= 0.4 * sum(world.worked_ns.values())


def test_long_work_is_a_debt() -> None:
    """Work that cannot be divided into slices is charged later."""

    async def run() -> World:
        world = World()
        await compete(world.shares, "greedy", "modest")

        async def long(caller: str) -> None:
            world._work(caller, 10 * TURN_NS)

        many = [world.connection("greedy", long) for _ in range(50)]
        few = [world.connection("modest", world.get) for _ in range(40)]
        await asyncio.gather(*many, *few)
        return world

    world = asyncio.run(run())
    assert world.worked_ns["modest"] >= 0.4 * sum(world.worked_ns.values())


def test_a_canceled_request_ends() -> None:
    async def run() -> list[str]:
        shares, ended = Shares(), list[str]()
        await compete(shares, "a", "b")

        async def work() -> None:
            try:
                await asyncio.get_running_loop().create_future()
            finally:
                ended.append("work")

        task = asyncio.create_task(shares.run("a", work()))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return ended

    assert asyncio.run(run()) == ["work"]


def test_errors_and_results_pass_through() -> None:
    async def run() -> None:
        shares = Shares()
        await compete(shares, "a", "b")

        async def failing() -> None:
            await asyncio.sleep(0)
            raise ValueError("of the work")

        async def waiting() -> int:
            return await asyncio.wait_for(asyncio.sleep(0, 3), 60)

        with pytest.raises(ValueError, match="of the work"):
            await shares.run("a", failing())
        assert await asyncio.create_task(shares.run("a", waiting())) == 3

    asyncio.run(run())
