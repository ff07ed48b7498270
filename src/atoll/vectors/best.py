"""The nearest of the entries that a search has read so far, with their exact scores."""

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
"""A search first asks for twice as many candidates as results, and this many more."""


class Result(NamedTuple):
    score: float
    vector: bytes
    json: bytes
    """The projected attributes besides the vector."""


class Best:
    """The nearest entries so far, at most `most`. Only their rows are kept, of other entries the exact rank."""

    def __init__(self, index: VectorIndex, query: Matrix, wanted: Conditions, most: int) -> None:
        self.query, self.wanted, self.most = query, wanted, most
        self._index = index
        self._ranks: dict[bytes, tuple[float, float]] = {}
        """The exact rank and the score of each entry that was read and fits, by key."""
        self._read: set[bytes] = set()
        """All keys that were read, even of deleted entries and entries that do not fit."""
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
        """Whether every entry beyond the candidates must be farther than the results, if ranks have no greater errors
        than those of the candidates."""
        if len(self._rows) < self.most or not candidates.keys:
            return False
        pairs = zip(candidates.keys, candidates.ranks.tolist(), strict=True)
        error = max(abs(self._rank(key) - rank) for key, rank in pairs if key in self._ranks)
        return bool(max(map(self._rank, self._rows)) + error <= candidates.ranks[-1])

    def ranked(self) -> list[tuple[float, bytes]]:
        """Exact ranks and keys, nearest first."""
        return sorted((self._rank(key), key) for key in self._rows)

    def results(self) -> list[Result]:
        ordered = sorted(self._rows, key=self._rank)
        return [
            Result(self._ranks[key][1], *rows.parse_entry(self._rows[key], self._index.dimensions)) for key in ordered
        ]


async def read_entries(region: Region, keys: list[bytes], sizes: list[int]) -> list[Entry]:
    """Read the entries with these keys that still exist."""
    return [entry async for part in _parts(region, keys, sizes) for entry in part]


async def _parts(region: Region, keys: list[bytes], sizes: list[int]) -> AsyncIterator[list[Entry]]:
    slices = Slices()
    for part in scan.parts(keys, sizes):
        yield await region.read(lambda snapshot, part=part: _entries(snapshot, part))  # type: ignore[misc]
        await slices.pause()


def _entries(snapshot: Snapshot, keys: list[bytes]) -> list[Entry]:
    return [(key, row) for key, row in zip(keys, snapshot.get_many(keys), strict=True) if row is not None]
