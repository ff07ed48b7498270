"""Callers that compete get equal numbers of requests in a turn, whatever their connections."""

from __future__ import annotations

import asyncio

from atoll.wire.shares import ALONE_TURNS, TURN_REQUESTS, Shares


async def ask(shares: Shares, caller: str, order: list[str]) -> None:
    if caller != shares.sole:
        turn = shares.turn(caller)
        if turn is not None:
            await turn
    order.append(caller)


async def answered(*callers: tuple[str, int]) -> list[str]:
    """The order in which requests run that arrive together, so many of each caller."""
    shares, order = Shares(), list[str]()
    await ask(shares, callers[0][0], [])
    await ask(shares, "another", [])
    await asyncio.gather(*(ask(shares, caller, order) for caller, count in callers for _ in range(count)))
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
    async def run() -> list[int]:
        shares, order = Shares(), list[int]()
        for caller in ("x", "y"):
            await ask(shares, caller, [])

        async def numbered(number: int) -> None:
            turn = shares.turn("x")
            if turn is not None:
                await turn
            order.append(number)

        await asyncio.gather(*(numbered(number) for number in range(200)))
        return order

    assert asyncio.run(run()) == list(range(200))


def test_a_caller_that_is_alone_waits_for_nothing() -> None:
    async def run() -> None:
        shares = Shares()
        for _ in range(10_000):
            assert shares.sole == "a" or shares.turn("a") is None
        assert shares.turn("b") is None
        assert shares.sole is None
        for _ in range(2 * ALONE_TURNS):
            if shares.sole != "a":
                assert shares.turn("a") is None
            await asyncio.sleep(0)
        assert shares.sole == "a"

    asyncio.run(run())
