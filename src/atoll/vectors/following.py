"""A memory of an index that follows the index's log of changes."""

from __future__ import annotations

import asyncio
from typing import NamedTuple

from atoll.database.region import Region
from atoll.database.vectors import rows
from atoll.database.vectors.definition import VectorIndex
from atoll.slices import Slices
from atoll.storage.engine import Snapshot
from atoll.vectors import scan
from atoll.vectors.candidates import Candidates
from atoll.vectors.distances import Matrix
from atoll.vectors.memory import Memory
from atoll.vectors.scan import Conditions

PIECE_CHANGES = 256
"""How many changes one snapshot applies."""


class Changes(NamedTuple):
    number: int
    """Of the last change that there is."""
    until: int
    changed: list[scan.Entry]
    gone: list[bytes]


async def changes(region: Region, index: VectorIndex, after: int) -> Changes | None:
    """Read the next changes after one of this number; None if the log does not reach back so far."""

    def read(snapshot: Snapshot) -> Changes | None:
        number = snapshot.number(rows.counter(index.log_space))
        if number - after > rows.SLOTS:
            return None
        until = min(number, after + PIECE_CHANGES)
        keys = list(rows.changed(snapshot, index.space, index.log_space, after, until))
        found: dict[bytes, bytes | None] = {}
        size = done = 0
        while done < len(keys) and size < scan.PIECE_BYTES:
            new = [key for key in dict.fromkeys(keys[done : done + scan.READ_ENTRIES]) if key not in found]
            entries = snapshot.get_many(new)
            found.update(zip(new, entries, strict=True))
            size += sum(len(row) for row in entries if row is not None)
            done += scan.READ_ENTRIES
        changed = [(key, row) for key, row in found.items() if row is not None]
        gone = [key for key, row in found.items() if row is None]
        return Changes(number, until if done >= len(keys) else after + done, changed, gone)

    return await region.read(read)


class Followed:
    """With `position`, what is put into the memory is complete but for the changes after it."""

    def __init__(self, index: VectorIndex, position: int = -1) -> None:
        self.memory = Memory(index)
        self.position = position
        """The number of the last change that it has; -1 if it is not loaded."""
        self.lock = asyncio.Lock()

    async def follow(self, region: Region, number: int) -> bool:
        """Apply the changes up to this number. Returns False if the log does not have them."""
        slices = Slices()
        while self.position < number:
            piece = await changes(region, self.memory.index, self.position)
            if piece is None or piece.number < number:
                return False
            self.memory.remove(piece.gone)
            for part in scan.parts(piece.changed, [len(row) for _, row in piece.changed]):
                self.memory.put(part)
                await slices.pause()
            self.position = piece.until
        return True

    async def candidates(self, query: Matrix, wanted: Conditions, most: int) -> Candidates:
        """Of the entries in the memory."""
        slices = Slices()
        for candidates in self.memory.candidates(query, wanted, most):
            if candidates is not None:
                return candidates
            await slices.pause()
        raise AssertionError("no candidates")
