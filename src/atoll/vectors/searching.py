"""Run one vector search: find candidates, read their entries, check and score them exactly.

So results have no deleted items and none that no longer match, and scores are those of the vectors in the index.

The candidates come from the memory of the index, which has approximate ranks. The exact ranks of the candidates show
the error of the approximate ones. Unless the last result is nearer than the last candidate by more than this error, an
entry beyond may be nearer, so the search takes more candidates.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from atoll.database.region import Region
from atoll.database.vectors import rows
from atoll.database.vectors.definition import VectorIndex
from atoll.slices import Slices
from atoll.storage.engine import Snapshot
from atoll.vectors import codes, scan
from atoll.vectors.distances import Matrix
from atoll.vectors.memory import Candidates, Memory
from atoll.vectors.scan import Conditions, Entry
from atoll.vectors.searchers import Searchers

MORE = 32
"""The candidates that a search takes, at least, besides twice the results."""
MOST_CANDIDATES = 1_024


class Result(NamedTuple):
    score: float
    vector: bytes
    json: bytes
    """The projected attributes besides the vector."""


async def search(
    region: Region, index: VectorIndex, number: int, numbers: Sequence[float], wanted: Conditions, most: int
) -> list[Result]:
    """The nearest items, best first. `number` is that of the last change of the index that the search must see."""
    query = np.array(numbers, dtype=np.float32)
    memory = await region.state(Searchers).memory(index, number)
    best = _Best(index, query, wanted, most)
    if memory is None:
        keys = await scan.nearest(region, index, query, wanted, most)
        await best.read(region, keys, [scan.PIECE_BYTES // scan.READ_ENTRIES] * len(keys))
    else:
        await _find(region, memory, best)
    return best.results()


async def _find(region: Region, memory: Memory, best: _Best) -> None:
    take = 2 * best.most + MORE
    while True:
        candidates = await _candidates(memory, best.query, best.wanted, take)
        await best.read(region, candidates.keys, candidates.sizes)
        if candidates.is_all or take >= MOST_CANDIDATES or best.suffices(candidates):
            return
        take = min(4 * take, MOST_CANDIDATES)


class _Best:
    """The nearest of the entries that were read. It keeps the whole rows of these only."""

    def __init__(self, index: VectorIndex, query: Matrix, wanted: Conditions, most: int) -> None:
        self.query, self.wanted, self.most = query, wanted, most
        self._index = index
        self._ranks: dict[bytes, tuple[float, float]] = {}
        """By key: the exact rank and the score."""
        self._read: set[bytes] = set()
        """Also those of entries that are gone, or do not fit."""
        self._rows: dict[bytes, bytes] = {}

    async def read(self, region: Region, keys: list[bytes], sizes: list[int]) -> None:
        new = [(key, size) for key, size in zip(keys, sizes, strict=True) if key not in self._read]
        slices = Slices()
        for part in scan.parts([key for key, _ in new], [size for _, size in new]):
            found = await region.read(lambda snapshot, part=part: _entries(snapshot, part))  # type: ignore[misc]
            self._read.update(part)
            self._add(scan.fitting(self._index, found, self.wanted))
            await slices.pause()

    def _add(self, found: list[Entry]) -> None:
        if not found:
            return
        scores = scan.scored(self._index, found, self.query)
        ranks = codes.exact_ranks(self._index.distance, scores)
        for (key, row), rank, score in zip(found, ranks.tolist(), scores.tolist(), strict=True):
            self._ranks[key] = rank, score
            self._rows[key] = row
        for key in sorted(self._rows, key=self._rank)[self.most :]:
            del self._rows[key]

    def _rank(self, key: bytes) -> float:
        return self._ranks[key][0]

    def suffices(self, candidates: Candidates) -> bool:
        """Whether entries beyond the candidates are farther than the results, as far as the errors of ranks show."""
        if len(self._rows) < self.most:
            return False
        pairs = zip(candidates.keys, candidates.ranks.tolist(), strict=True)
        error = max(abs(self._rank(key) - rank) for key, rank in pairs if key in self._ranks)
        return bool(max(map(self._rank, self._rows)) + error <= candidates.ranks[-1])

    def results(self) -> list[Result]:
        ordered = sorted(self._rows, key=self._rank)
        return [
            Result(self._ranks[key][1], *rows.parse_entry(self._rows[key], self._index.dimensions)) for key in ordered
        ]


async def _candidates(memory: Memory, query: Matrix, wanted: Conditions, take: int) -> Candidates:
    slices = Slices()
    for candidates in memory.candidates(query, wanted, take):
        if candidates is not None:
            return candidates
        await slices.pause()
    raise AssertionError("no candidates")


def _entries(snapshot: Snapshot, keys: list[bytes]) -> list[Entry]:
    return [(key, row) for key, row in zip(keys, snapshot.get_many(keys), strict=True) if row is not None]


async def load(region: Region, indexes: Sequence[tuple[VectorIndex, int]]) -> None:
    """Load the memories of indexes, each up to the number of a change."""
    for index, number in indexes:
        await region.state(Searchers).memory(index, number)
