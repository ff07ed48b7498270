"""The hostile engine is as hostile as documented, and no more."""

from __future__ import annotations

import asyncio

import pytest

from atoll.storage.engine import Conflict
from atoll.storage.hostile import TRIES, HostileEngine


def test_transactions_overlap_and_are_serializable():
    """Each takes the other's key if both are there; in any serial order one of a pair is left."""
    runs = 0

    def take(key):
        def fn(tx):
            nonlocal runs
            runs += 1
            if len(list(tx.scan(b"a", b"c"))) == 2:
                tx.delete(key)

        return fn

    async def scenario():
        engine = HostileEngine()
        for _ in range(100):
            await engine.transact(lambda tx: (tx.put(b"a", b""), tx.put(b"b", b"")))
            await asyncio.gather(engine.transact(take(b"a")), engine.transact(take(b"b")))
            assert len(await engine.read(lambda s: list(s.scan(b"a", b"c")))) == 1

    asyncio.run(scenario())
    assert runs > 240


def test_tallies_conflict_only_with_their_readers():
    async def scenario():
        engine = HostileEngine()
        await asyncio.gather(*(engine.transact(lambda tx: tx.add_tally(b"t", 1)) for _ in range(200)))
        assert await engine.read(lambda s: s.tally(b"t")) == 200

    asyncio.run(scenario())


def test_transaction_that_always_loses_ends():
    engine = HostileEngine()
    tries = 0

    def losing(tx):
        nonlocal tries
        tries += 1
        tx.number(b"n")
        asyncio.run(engine.transact(lambda other: other.add_number(b"n", 1)))
        tx.put(b"k", b"")

    async def scenario():
        with pytest.raises(Conflict):
            await engine.transact(losing)
        assert await engine.read(lambda s: s.get(b"k")) is None

    asyncio.run(scenario())
    assert tries >= TRIES
