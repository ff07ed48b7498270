"""The best of the entries that a search has read, with their exact scores."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import NamedTuple

from atoll.database.region import Region
from atoll.database.vectors import rows
from atoll.database.vectors.definition import VectorIndex
from atoll.slices import Slices
from atoll.storage.engine import Snapshot
from atoll.vectors import codes, scan
from atoll.vectors.candidates import Candidates
from atoll.vectors.distances import Matrix
from atoll.vectors.scan import Conditions, Entry

MORE = 32
"""A search takes at least so many candidates beside twice the results."""


class Result(NamedTuple):
    score: float
    vector: bytes
    json: bytes
    """The projected attributes beside the vector."""


class Best:
    """The nearest of the entries that were read. It keeps the whole rows of these only."""

    def __init__(self, index: VectorIndex, query: Matrix, wanted: Conditions, most: int) -> None:
        self.query, self.wanted, self.most = query, wanted, most
        self._index = index
        self._ranks: dict[bytes, tuple[float, float]] = {}
        """By key: the exact rank and the score."""
        self._read: set[bytes] = set()
        """Also those of entries that are gone, or do not fit."""
        self._rows: dict[bytes, bytes] = {}

    @staticmethod
    def take(most: int) -> int:
        """How many candidates a search takes at first."""
        return 2 * most + MORE

    async def read(self, region: Region, keys: list[bytes], sizes: list[int]) -> None:
        new = {key: size for key, size in zip(keys, sizes, strict=True) if key not in self._read}
        self._read.update(new)
        async for found in _parts(region, list(new), list(new.values())):
            self._add(scan.fitting(self._index, found, self.wanted))

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
        if len(self._rows) < self.most or not candidates.keys:
            return False
        pairs = zip(candidates.keys, candidates.ranks.tolist(), strict=True)
        error = max(abs(self._rank(key) - rank) for key, rank in pairs if key in self._ranks)
        return bool(max(map(self._rank, self._rows)) + error <= candidates.ranks[-1])

    def ranked(self) -> list[tuple[float, bytes]]:
        """Ranks and keys."""
        return sorted((self._rank(key), key) for key in self._rows)

    def results(self) -> list[Result]:
        ordered = sorted(self._rows, key=self._rank)
        return [
            Result(self._ranks[key][1], *rows.parse_entry(self._rows[key], self._index.dimensions)) for key in ordered
        ]


async def read_entries(region: Region, keys: list[bytes], sizes: list[int]) -> list[Entry]:
    """Those of these entries that there are."""
    return [entry async for part in _parts(region, keys, sizes) for entry in part]


async def _parts(region: Region, keys: list[bytes], sizes: list[int]) -> AsyncIterator[list[Entry]]:
    slices = Slices()
    for part in scan.parts(keys, sizes):
        yield await region.read(lambda snapshot, part=part: _entries(snapshot, part))  # type: ignore[misc]
        await slices.pause()


def _entries(snapshot: Snapshot, keys: list[bytes]) -> list[Entry]:
    return [(key, row) for key, row in zip(keys, snapshot.get_many(keys), strict=True) if row is not None]
