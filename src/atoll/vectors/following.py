"""A memory of an index that follows the index's change log."""

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
"""How many changes are read from one snapshot."""


class Changes(NamedTuple):
    number: int
    """The number of the last change in the log."""
    until: int
    """The number of the last change that was read."""
    changed: list[scan.Entry]
    gone: list[bytes]


async def changes(region: Region, index: VectorIndex, after: int) -> Changes | None:
    """Read the changes that follow number `after`; None if the log no longer has them."""

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
    """A memory that has all changes up to `position`; only later ones must be applied to it."""

    def __init__(self, index: VectorIndex, position: int = -1) -> None:
        self.memory = Memory(index)
        self.position = position
        """The number of the last change that the memory has; -1 if it is not loaded."""
        self.lock = asyncio.Lock()

    async def follow(self, region: Region, number: int) -> bool:
        """Apply the changes up to this number. Returns False if the log lacks one of them."""
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
        """The nearest entries of those in the memory, see `candidates.CandidateSource`."""
        slices = Slices()
        for candidates in self.memory.candidates(query, wanted, most):
            if candidates is not None:
                return candidates
            await slices.pause()
        raise AssertionError("no candidates")
