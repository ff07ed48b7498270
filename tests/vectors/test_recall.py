"""The candidates of searches on data that is hard to tell apart by approximate distances."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
import orjson
import pytest

from atoll.clock import ManualClock
from atoll.database import format as fmt
from atoll.database.key_schema import KeyAttribute, Projection
from atoll.database.region import Region
from atoll.database.vectors import rows
from atoll.database.vectors.definition import VectorIndex
from atoll.storage.memory import MemoryEngine
from atoll.vectors import best, distances, memory, scan, searchers, searching

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


@pytest.mark.parametrize("distance", ["COSINE", "DOT_PRODUCT", "EUCLIDEAN"])
def test_the_first_vector_is_far_from_all_others(distance: str) -> None:
    chance = np.random.default_rng(5)
    vectors = uniform(chance).astype(np.float32)
    vectors[0] = 1e30
    index = VectorIndex("near", "v", DIMENSIONS, distance, Projection("KEYS_ONLY"), 7, 8)
    region = Region("us-east-1", MemoryEngine(), ManualClock(0))

    async def found() -> float:
        number = hits = 0
        for start, end in ((0, 1), (1, COUNT)):
            await region.transact(lambda tx, start=start, end=end: put(tx, index, vectors[start:end], start))  # type: ignore[misc]
            number = end
            await searching.search(region, index, number, [1.0] * DIMENSIONS, {}, TOP)
        for _ in range(20):
            query = chance.standard_normal(DIMENSIONS).astype(np.float32)
            results = await searching.search(region, index, number, query.tolist(), {}, TOP)
            exact = distances.scores(distance, vectors, query)
            order = np.argsort(-exact if distance == "DOT_PRODUCT" else exact)[:TOP]
            hits += len({one.vector for one in results} & {vectors[i].astype("<f4").tobytes() for i in order})
        return hits / 20 / TOP

    assert asyncio.run(found()) >= 0.95


def test_the_vectors_of_the_first_partition_value_are_far_from_all_others() -> None:
    chance = np.random.default_rng(5)
    vectors = uniform(chance).astype(np.float32)
    vectors[:400] = 1e20
    index = VectorIndex("near", "v", DIMENSIONS, "EUCLIDEAN", Projection("KEYS_ONLY"), 7, 8, KeyAttribute("t", "S"))
    assert index.keys is not None
    tenants = sorted(({"t": {"S": str(n)}} for n in range(60)), key=index.keys.encode_partition)
    region = Region("us-east-1", MemoryEngine(), ManualClock(0))

    def fill(tx: Any) -> None:
        assert index.keys is not None
        for at, vector in enumerate(vectors):
            tenant = tenants[0] if at < 400 else tenants[59] if at % 2 else tenants[1 + at % 59]
            key = rows.entry_key(7, index.keys.encode_partition(tenant), bytes(12) + at.to_bytes(4, "big"))
            tx.put(key, rows.entry_row(0, vector.astype("<f4").tobytes(), orjson.dumps(tenant)))

    async def found() -> float:
        await region.transact(fill)
        those, hits = vectors[401::2], 0
        for _ in range(20):
            query = chance.standard_normal(DIMENSIONS).astype(np.float32)
            results = await searching.search(region, index, 0, query.tolist(), tenants[59], TOP)
            order = np.argsort(distances.scores("EUCLIDEAN", those, query))[:TOP]
            hits += len({one.vector for one in results} & {those[i].astype("<f4").tobytes() for i in order})
        return hits / 20 / TOP

    assert asyncio.run(found()) >= 0.95


def put(tx: Any, index: VectorIndex, vectors: Any, start: int = 0, json: bytes = b"{}") -> None:
    for at, vector in enumerate(vectors, start):
        key = rows.entry_key(index.space, None, bytes(12) + at.to_bytes(4, "big"))
        tx.put(key, rows.entry_row(0, vector.astype("<f4").tobytes(), json))
        rows.log(tx, index.log_space, key)


# Searches beside other work


def small_index() -> tuple[Region, VectorIndex]:
    index = VectorIndex("near", "v", 4, "EUCLIDEAN", Projection("ALL"), 7, 8)
    return Region("us-east-1", MemoryEngine(), ManualClock(0)), index


def test_large_entries_are_read_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hundred entries of 400 KB at once kept all other requests waiting for more than a second."""
    region, index = small_index()
    vectors = np.arange(120 * 4, dtype=np.float32).reshape(-1, 4)
    sizes: list[int] = []
    entries_of = best._entries

    def counting(snapshot: Any, keys: list[bytes]) -> Any:
        found = entries_of(snapshot, keys)
        sizes.append(sum(len(row) for _, row in found))
        return found

    monkeypatch.setattr(best, "_entries", counting)

    async def results() -> list[bytes]:
        await searching.search(region, index, 0, [0.0] * 4, {}, 1)
        await region.transact(lambda tx: put(tx, index, vectors, json=b'{"x": "%s"}' % (b"x" * 100_000)))
        found = await searching.search(region, index, 120, [0.0] * 4, {}, 50)
        return [one.vector for one in found]

    assert asyncio.run(results()) == [one.tobytes() for one in vectors[:50]]
    assert sum(sizes) > 10_000_000
    assert max(sizes) < scan.PIECE_BYTES + 110_000


def test_the_log_was_dropped_with_its_index() -> None:
    region, index = small_index()

    async def results() -> list[Any]:
        before = await searching.search(region, index, 5, [0.0] * 4, {}, 1)  # not loaded yet
        await region.transact(lambda tx: put(tx, index, np.ones((3, 4), dtype=np.float32)))
        assert len(await searching.search(region, index, 3, [0.0] * 4, {}, 9)) == 3
        await region.transact(lambda tx: rows.forget(tx, index.log_space))
        return [before, await searching.search(region, index, 4, [0.0] * 4, {}, 0)]

    assert asyncio.run(asyncio.wait_for(results(), 10)) == [[], []]


def test_an_index_became_too_large_while_changes_were_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    region, index = small_index()
    monkeypatch.setattr(rows, "SLOTS", 4)

    async def results() -> list[Any]:
        await region.transact(lambda tx: put(tx, index, np.ones((1, 4), dtype=np.float32)))
        await searching.search(region, index, 1, [0.0] * 4, {}, 1)
        await region.transact(lambda tx: put(tx, index, np.ones((9, 4), dtype=np.float32)))
        await region.transact(lambda tx: tx.add_tally(fmt.count_counter(index.space), 9))
        monkeypatch.setattr(searchers, "MOST_BYTES", 1_000)
        return await searching.search(region, index, 10, [0.0] * 4, {}, 9)

    assert len(asyncio.run(asyncio.wait_for(results(), 10))) == 9


def test_an_entry_is_put_again_during_a_search(monkeypatch: pytest.MonkeyPatch) -> None:
    """The search sees it in two slots."""
    monkeypatch.setattr(memory, "CHUNK", 4)
    one = memory.Memory(small_index()[1])
    vectors = np.eye(4, dtype="<f4").repeat(2, axis=0)
    entries = [(bytes([at]), rows.entry_row(0, vector.tobytes(), b"{}")) for at, vector in enumerate(vectors)]
    one.put(entries)
    steps = one.candidates(np.zeros(4, dtype=np.float32), {}, 20)
    assert next(steps) is None
    one.remove([bytes([0]), bytes([7])])
    one.put(entries[:1])
    *_, found = steps
    assert found is not None
    assert sorted(found.keys) == [bytes([at]) for at in range(7)]
    assert len(found.ranks) == len(found.sizes) == 7
