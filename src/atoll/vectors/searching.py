"""Run one vector search: find candidates, read their entries, check and score them exactly.

Since each entry is read and checked, no result is deleted or outdated, and each score is exact.

The candidates come from a source, which ranks entries approximately. A comparison with the exact ranks of the
candidates shows the error of the source. If the last result is not nearer than the last candidate by more than this
error, an entry beyond the candidates may be nearer than a result, so the search takes more candidates. After
`MOST_CANDIDATES` it asks the next source. The sources are a table of pgvector, the codes in memory, and a scan of all
entries.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from atoll.database.region import Region
from atoll.database.vectors.definition import VectorIndex
from atoll.vectors import scan
from atoll.vectors.best import Best, Result
from atoll.vectors.candidates import CandidateSource
from atoll.vectors.pgvector.source import TableSource
from atoll.vectors.pgvector.tables import Tables
from atoll.vectors.scan import Conditions
from atoll.vectors.searchers import Searchers

MOST_CANDIDATES = 1_024


async def search(
    region: Region, index: VectorIndex, number: int, numbers: Sequence[float], wanted: Conditions, most: int
) -> list[Result]:
    """The nearest items, best first. The search sees the changes of the index up to this `number`."""
    query = np.array(numbers, dtype=np.float32)
    best = Best(index, query, wanted, most)
    if _has_table(region, index) and await _find(region, TableSource(region, index, number), best):
        return best.results()
    memory = await region.state(Searchers).memory(index, number)
    if memory is None:
        keys = await scan.nearest(region, index, query, wanted, most)
        await best.read(region, keys, [scan.PIECE_BYTES // scan.READ_ENTRIES] * len(keys))
    else:
        await _find(region, memory, best)
    return best.results()


def _has_table(region: Region, index: VectorIndex) -> bool:
    return region.database is not None and region.state(Tables).usable(index)


async def _find(region: Region, source: CandidateSource, best: Best) -> bool:
    """Read the entries of a source's candidates; returns False if an entry beyond them may be nearer than a result."""
    take = best.take(best.most)
    while True:
        candidates = await source.candidates(best.query, best.wanted, take)
        if candidates is None:
            return False
        await best.read(region, candidates.keys, candidates.sizes)
        if candidates.is_all or best.suffices(candidates):
            return True
        if take >= MOST_CANDIDATES:
            return False
        take = min(4 * take, MOST_CANDIDATES)


async def load(region: Region, indexes: Sequence[tuple[VectorIndex, int]]) -> None:
    """Load the memories of indexes that have no table of pgvector, with the changes up to the given numbers."""
    if region.database is not None:
        await region.state(Tables).refresh()
    for index, number in indexes:
        if not _has_table(region, index):
            await region.state(Searchers).memory(index, number)
