"""The candidates of searches on data that is hard to tell apart by approximate distances."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
import pytest

from atoll.clock import ManualClock
from atoll.database.key_schema import Projection
from atoll.database.region import Region
from atoll.database.vectors import rows
from atoll.database.vectors.definition import VectorIndex
from atoll.storage.memory import MemoryEngine
from atoll.vectors import distances, searching

COUNT, DIMENSIONS, TOP = 6_000, 48, 10


def uniform(chance: Any) -> Any:
    return chance.standard_normal((COUNT, DIMENSIONS))


def far_from_zero(chance: Any) -> Any:
    return 1_000 + chance.standard_normal((COUNT, DIMENSIONS))


def of_many_lengths(chance: Any) -> Any:
    return chance.standard_normal((COUNT, DIMENSIONS)) * np.exp(3 * chance.standard_normal((COUNT, 1)))


def in_tight_clusters(chance: Any) -> Any:
    centers = chance.standard_normal((100, DIMENSIONS))
    return centers[chance.integers(0, 100, COUNT)] + 0.01 * chance.standard_normal((COUNT, DIMENSIONS))


def with_one_great_element(chance: Any) -> Any:
    made = chance.standard_normal((COUNT, DIMENSIONS))
    made[:, 7] += 300
    return made


@pytest.mark.parametrize("distance", ["COSINE", "DOT_PRODUCT", "EUCLIDEAN"])
@pytest.mark.parametrize("make", [uniform, far_from_zero, of_many_lengths, in_tight_clusters, with_one_great_element])
def test_recall(make: Any, distance: str) -> None:
    chance = np.random.default_rng(5)
    vectors = make(chance).astype(np.float32)
    index = VectorIndex("near", "v", DIMENSIONS, distance, Projection("KEYS_ONLY"), 7, 8)
    keys = [rows.entry_key(index.space, None, bytes(12) + at.to_bytes(4, "big")) for at in range(COUNT)]
    region = Region("us-east-1", MemoryEngine(), ManualClock(0))

    async def found() -> float:
        def fill(tx: Any) -> None:
            for key, vector in zip(keys, vectors, strict=True):
                tx.put(key, rows.entry_row(0, vector.astype("<f4").tobytes(), b"{}"))

        await region.transact(fill)
        hits = 0
        for at in range(0, COUNT, COUNT // 20):
            query = vectors[at] + 0.005 * chance.standard_normal(DIMENSIONS).astype(np.float32)
            results = await searching.search(region, index, 0, query.tolist(), {}, TOP)
            exact = distances.scores(distance, vectors, query)
            order = np.argsort(-exact if distance == "DOT_PRODUCT" else exact)[:TOP]
            hits += len({one.vector for one in results} & {vectors[i].astype("<f4").tobytes() for i in order})
        return hits / 20 / TOP

    assert asyncio.run(found()) >= 0.95
