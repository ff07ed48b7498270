from __future__ import annotations

import asyncio

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
