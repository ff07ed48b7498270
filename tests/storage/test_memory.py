from __future__ import annotations

import asyncio
import threading

import pytest

from atoll.storage.memory import MemoryEngine


def test_restored_state_is_as_it_was_and_can_be_restored_again():
    engine = MemoryEngine()

    def everything():
        return asyncio.run(engine.read(lambda s: (list(s.scan(b"", b"\xff")), s.number(b"n"))))

    asyncio.run(engine.transact(lambda tx: (tx.put(b"k", b"v"), tx.add_number(b"n", 1))))
    state = engine.snapshot()
    for _ in range(2):
        asyncio.run(engine.transact(lambda tx: (tx.delete(b"k"), tx.put(b"l", b""), tx.add_number(b"n", 1))))
        assert everything() == ([(b"l", b"")], 2)
        engine.restore(state)
        assert everything() == ([(b"k", b"v")], 1)


def test_a_function_that_takes_long_runs_aside():
    engine = MemoryEngine()
    threads = []

    def long(tx):
        tx.announce_long()
        threads.append(threading.current_thread())
        tx.put(b"k", tx.get(b"k") + b"1")

    def short(tx):
        tx.put(b"k", tx.get(b"k") + b"2")

    async def scenario():
        await engine.transact(lambda tx: tx.put(b"k", b"0"))
        await asyncio.gather(
            engine.transact(long),
            engine.transact(short),
            engine.transact(long),
        )
        return await engine.read(lambda s: s.get(b"k"))

    assert sorted(asyncio.run(scenario())) == sorted(b"0121")
    assert len(threads) == 2 and threading.main_thread() not in threads


def test_a_store_restored_meanwhile_gets_no_earlier_writes():
    engine = MemoryEngine()
    state = engine.snapshot()
    runs = []

    async def scenario():
        loop = asyncio.get_running_loop()

        def long(tx):
            tx.announce_long()
            runs.append(tx.get(b"k"))
            if len(runs) == 1:
                asyncio.run_coroutine_threadsafe(restored(), loop).result()
            tx.put(b"l", b"")

        async def restored():
            engine.restore(state)

        await engine.transact(lambda tx: tx.put(b"k", b"v"))
        await engine.transact(long)
        return await engine.read(lambda s: list(s.scan(b"", b"\xff")))

    assert asyncio.run(scenario()) == [(b"l", b"")]
    assert runs == [b"v", None]


def test_an_error_of_a_function_that_takes_long_is_its_own():
    engine = MemoryEngine()

    def long(tx):
        tx.announce_long()
        tx.put(b"k", b"v")
        raise LookupError

    async def scenario():
        with pytest.raises(LookupError):
            await engine.transact(long)
        await engine.transact(lambda tx: tx.put(b"l", b""))
        return await engine.read(lambda s: list(s.scan(b"", b"\xff")))

    assert asyncio.run(scenario()) == [(b"l", b"")]
