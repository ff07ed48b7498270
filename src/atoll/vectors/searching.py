"""One search: find candidates, read their entries in one snapshot, check and score them exactly.

So a result is never a deleted item, nor one that no longer fits, and its score is that of the vector in the index.

The candidates come from the memory of the index, which knows vectors approximately. The candidates themselves show how
far its ranks are from the exact ones. If the last result is not nearer than the last candidate by more than that, an
entry beyond may be nearer, so the search takes more candidates.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from atoll.database.region import Region
from atoll.database.vectors import rows
from atoll.database.vectors.definition import VectorIndex
from atoll.storage.engine import Snapshot
from atoll.vectors import codes, scan
from atoll.vectors.distances import Matrix, Scores
from atoll.vectors.memory import Candidates, Memory
from atoll.vectors.scan import Conditions, Entry
from atoll.vectors.searchers import Pauses, Searchers

MORE = 32
"""A search takes at least so many candidates beside twice the results."""
MOST_CANDIDATES = 1_024


class Result(NamedTuple):
    score: float
    vector: bytes
    json: bytes
    """The projected attributes beside the vector."""


async def search(
    region: Region, index: VectorIndex, number: int, numbers: Sequence[float], wanted: Conditions, most: int
) -> list[Result]:
    """The nearest items, best first. `number` is that of the last change of the index that the search must see."""
    query = np.array(numbers, dtype=np.float32)
    memory = await region.state(Searchers).memory(index, number)
    if memory is None:
        keys = await scan.nearest(region, index, query, wanted, most)
        found = await region.read(lambda snapshot: _read(snapshot, keys))
    else:
        found = await _nearest(region, memory, query, wanted, most)
    found = scan.fitting(index, found, wanted)
    if not found:
        return []
    scores = scan.scored(index, found, query)
    order = np.argsort(codes.exact_ranks(index.distance, scores), kind="stable")[:most]
    return [Result(float(scores[i]), *rows.parse_entry(found[i][1], index.dimensions)) for i in order]


async def _nearest(region: Region, memory: Memory, query: Matrix, wanted: Conditions, most: int) -> list[Entry]:
    index, take = memory.index, 2 * most + MORE
    read: dict[bytes, bytes | None] = {}
    while True:
        candidates = await _candidates(memory, query, wanted, take)
        new = [key for key in candidates.keys if key not in read]
        rows_ = await region.read(lambda snapshot, new=new: snapshot.get_many(new))  # type: ignore[misc]
        read.update(zip(new, rows_, strict=True))
        known = [(position, key, row) for position, key in enumerate(candidates.keys) if (row := read[key]) is not None]
        entries = [(key, row) for _, key, row in known]
        if candidates.is_all or take >= MOST_CANDIDATES:
            return entries
        approximate = candidates.ranks[[position for position, _, _ in known]]
        if _suffices(index, entries, query, wanted, most, approximate, candidates.ranks[-1]):
            return entries
        take *= 4


def _suffices(
    index: VectorIndex,
    entries: list[Entry],
    query: Matrix,
    wanted: Conditions,
    most: int,
    approximate: Scores,
    farthest: float,
) -> bool:
    """Whether entries beyond the candidates are farther than the results, as far as the errors of ranks show."""
    if len(scan.fitting(index, entries, wanted)) < most:
        return False
    exact = codes.exact_ranks(index.distance, scan.scored(index, entries, query))
    error = float(np.abs(exact - approximate).max())
    return float(np.partition(exact, most - 1)[most - 1]) + error <= farthest


async def _candidates(memory: Memory, query: Matrix, wanted: Conditions, take: int) -> Candidates:
    pauses = Pauses()
    for candidates in memory.candidates(query, wanted, take):
        if candidates is not None:
            return candidates
        await pauses.pause()
    raise AssertionError("no candidates")


def _read(snapshot: Snapshot, keys: list[bytes]) -> list[Entry]:
    return [(key, row) for key, row in zip(keys, snapshot.get_many(keys), strict=True) if row is not None]


async def load(region: Region, indexes: Sequence[tuple[VectorIndex, int]]) -> None:
    """Load the memories of indexes, each up to the number of a change."""
    for index, number in indexes:
        await region.state(Searchers).memory(index, number)
