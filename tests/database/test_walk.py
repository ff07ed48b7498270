"""Walking over a space in pieces."""

from __future__ import annotations

import asyncio
from functools import partial

from atoll.database import format as fmt
from atoll.database import walk
from atoll.storage.engine import Transaction
from atoll.storage.memory import MemoryEngine


def test_every_row_is_visited_once_in_pieces_of_bounded_size() -> None:
    engine = MemoryEngine()
    rows = [fmt.space_prefix(7) + bytes([i]) for i in range(40)]
    large = b"x" * (walk.PIECE_BYTES // 4)

    def step(seen: list[bytes], tx: Transaction) -> bool:
        return walk.walk(tx, 7, b"progress", 10, lambda key, _: seen.append(key))

    async def scenario() -> list[list[bytes]]:
        await engine.transact(lambda tx: [tx.put(row, large if i < 20 else b"") for i, row in enumerate(rows)])
        pieces: list[list[bytes]] = []
        done = False
        while not done:
            seen: list[bytes] = []
            pieces.append(seen)
            done = await engine.transact(partial(step, seen))
        assert await engine.read(lambda snapshot: snapshot.get(b"progress")) is None
        return pieces

    pieces = asyncio.run(scenario())
    assert [row for seen in pieces for row in seen] == rows
    assert [len(seen) for seen in pieces] == [5, 5, 5, 5, 10, 10]
