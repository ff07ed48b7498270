"""The counting of round trips."""

from __future__ import annotations

import asyncio

import pytest

from atoll.storage.counting import CountingEngine
from atoll.storage.memory import MemoryEngine


def prefetched(tx):
    tx.prefetch([b"a", b"b"], [b"n"], [b"t"])
    return tx.get(b"a"), tx.get_many([b"a", b"b"]), tx.number(b"n"), tx.tally(b"t")


def own(tx):
    tx.put(b"k", b"")
    tx.delete_range(b"x", b"y")
    return tx.get(b"k"), tx.get(b"xx"), list(tx.scan(b"x", b"xz"))


@pytest.mark.parametrize(
    ("fn", "trips"),
    [
        (lambda tx: None, 0),
        (lambda tx: tx.get(b"a"), 1),
        (lambda tx: (tx.get(b"a"), tx.get(b"a"), tx.get(b"b")), 2),
        (lambda tx: tx.get_many([b"a", b"b"]), 1),
        (lambda tx: tx.get_many([]), 0),
        (prefetched, 1),
        (own, 1),
        (lambda tx: (list(tx.scan(b"r", b"s")), tx.get(b"r5"), list(tx.scan(b"r1", b"r5", reverse=True))), 1),
        (lambda tx: (list(tx.scan(b"r", b"s", limit=2)), tx.get(b"r1"), tx.get(b"r2")), 2),
        (lambda tx: (list(tx.scan(b"r", b"s", limit=2, reverse=True)), tx.get(b"r8"), tx.get(b"r7")), 2),
        (lambda tx: next(tx.scan(b"x", b"y"), None), 1),
        (lambda tx: list(tx.scan(b"big", b"bih")), 3),
        (lambda tx: tx.add_number(b"n", 1), 2),
        (lambda tx: (tx.number(b"n"), tx.add_number(b"n", 1), tx.number(b"n")), 2),
        (lambda tx: tx.add_tally(b"t", 1), 1),
        (lambda tx: (tx.add_tally(b"t", 1), tx.tally(b"t")), 2),
        (lambda tx: tx.number(b"ride"), 1),
        (lambda tx: (tx.number(b"ride"), tx.get(b"a")), 1),
        (lambda tx: (tx.get(b"a"), tx.number(b"ride")), 1),
        (lambda tx: tx.prefetch(numbers=[b"ride"]), 1),
    ],
)
def test_trips_of_a_transaction(fn, trips):
    async def count():
        engine = CountingEngine(MemoryEngine(), ride_along=[b"ride"])
        await engine.transact(lambda tx: [tx.put(b"r%d" % number, b"") for number in range(10)])
        await engine.transact(lambda tx: [tx.put(b"big%d" % number, bytes(400_000)) for number in range(6)])
        engine.trips = 0
        await engine.transact(fn)
        return engine.trips

    assert asyncio.run(count()) == trips


def test_failed_transaction_counts_what_it_read():
    async def count():
        engine = CountingEngine(MemoryEngine())
        with pytest.raises(ZeroDivisionError):
            await engine.transact(lambda tx: (tx.put(b"k", b""), tx.get(b"a"), 1 // 0))
        return engine.trips

    assert asyncio.run(count()) == 1
