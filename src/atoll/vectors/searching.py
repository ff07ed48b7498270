"""One search: find candidates, read their entries in one snapshot, check and score them exactly.

So a result is never a deleted item, nor one that no longer fits, and its score is that of the vector in the index.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from atoll.database.region import Region
from atoll.database.vectors import rows
from atoll.database.vectors.definition import VectorIndex
from atoll.storage.engine import Snapshot
from atoll.vectors import distances, scan
from atoll.vectors.scan import Conditions


class Result(NamedTuple):
    score: float
    vector: bytes
    json: bytes
    """The projected attributes beside the vector."""


async def search(
    region: Region, index: VectorIndex, numbers: Sequence[float], wanted: Conditions, most: int
) -> list[Result]:
    """The nearest items, best first."""
    query = np.array(numbers, dtype=np.float32)
    keys = await scan.nearest(region, index, query, wanted, most)
    found = await region.read(lambda snapshot: _read(snapshot, keys))
    found = scan.fitting(index, found, wanted)
    if not found:
        return []
    scores = scan.scored(index, found, query)
    order = np.argsort(distances.ranks(index.distance, scores), kind="stable")[:most]
    return [Result(float(scores[i]), *rows.parse_entry(found[i][1], index.dimensions)) for i in order]


def _read(snapshot: Snapshot, keys: list[bytes]) -> list[scan.Entry]:
    return [(key, row) for key, row in zip(keys, snapshot.get_many(keys), strict=True) if row is not None]
