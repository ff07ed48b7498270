"""Measure vector search, and for comparison an exact scan of the same vectors with numpy in this process.

The vectors resemble a model's embeddings: clusters in a space of few dimensions, with noise in all dimensions. With
`uniform` they have no structure at all, which is the hardest case for approximate search. The server is killed after it
has stored the vectors, and started again, so that searches begin with nothing in memory.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.client import Client
from benchmarks.measure import Result, measure, rss_mb
from benchmarks.servers import Server
from benchmarks.signing import Credentials, Signer
from benchmarks.streams import Caller

DIMENSIONS = 384
QUERIES = 500
NEIGHBOURS = 10
KEYS = {
    "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
    "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
    "BillingMode": "PAY_PER_REQUEST",
}
INDEX = {
    "IndexName": "nearest",
    "VectorAttribute": {"AttributeName": "embedding"},
    "Projection": {"ProjectionType": "KEYS_ONLY"},
    "Dimensions": DIMENSIONS,
    "DistanceFunction": "COSINE",
}


@dataclass(frozen=True)
class Searches:
    recall: float
    p50_ms: float
    p99_ms: float
    exact_p50_ms: float
    exact_p99_ms: float
    first_s: float
    """Seconds from the end of the server's start to the first result."""
    private_mb: float
    rss_mb: float


def vectors(count: int, *, uniform: bool = False) -> Any:
    chance = np.random.default_rng(0)
    noise = chance.standard_normal((count, DIMENSIONS), dtype=np.float32)
    if uniform:
        return noise
    centers = chance.standard_normal((1_000, 24), dtype=np.float32)
    spread = chance.standard_normal((24, DIMENSIONS), dtype=np.float32)
    near = centers[chance.integers(0, 1_000, count)] + 0.7 * chance.standard_normal((count, 24), dtype=np.float32)
    return near @ spread + 0.5 * noise


def fill(server: Server, credentials: Credentials, stored: Any, seconds: float) -> tuple[dict[str, Result], float]:
    """Store the vectors. Returns the measurements of PutItem without and with the index, and the vectors a second that
    batches store."""
    with Client(server.port) as client:
        caller = Caller(server, credentials, client)
        caller.call("CreateTable", {"TableName": "Notes", **KEYS, "VectorIndexes": [INDEX]})
        began = time.perf_counter()
        for start in range(0, len(stored), 25):
            puts = [
                {"PutRequest": {"Item": _item(at, stored[at])}} for at in range(start, min(start + 25, len(stored)))
            ]
            caller.call("BatchWriteItem", {"RequestItems": {"Notes": puts}})
        batches = len(stored) / (time.perf_counter() - began)
        caller.call("CreateTable", {"TableName": "Plain", **KEYS})
        caller.call("CreateTable", {"TableName": "Indexed", **KEYS, "VectorIndexes": [INDEX]})
        puts_of = {}
        for name, table in (("PutItem, no index", "Plain"), ("PutItem, vector index", "Indexed")):
            requests = [caller.signer.request("PutItem", body) for body in _puts(table, stored)]
            puts_of[name] = measure(server, requests, seconds=seconds, warm_up=1)
    return puts_of, batches


def search(server: Server, credentials: Credentials, stored: Any, queries: Any) -> Searches:
    """Measure searches. The server must have been started just before."""
    began = time.perf_counter()
    units = stored / np.linalg.norm(stored, axis=1, keepdims=True)
    taken, exact, found = [], [], 0
    with Client(server.port) as client:
        signer = Signer(server.port, credentials)
        began = time.perf_counter()
        client.exchange(signer.request("SearchVectors", _search(queries[0])))
        first_s = time.perf_counter() - began
        for query in queries:
            request = signer.request("SearchVectors", _search(query))
            began = time.perf_counter()
            answer = client.exchange(request)
            taken.append((time.perf_counter() - began) * 1e3)
            began = time.perf_counter()
            nearest = np.argpartition(-(units @ query), NEIGHBOURS)[:NEIGHBOURS]
            exact.append((time.perf_counter() - began) * 1e3)
            results = {int(one["Item"]["pk"]["S"]) for one in answer.body["SearchResults"]}
            found += len(results & set(nearest.tolist()))
    return Searches(
        found / len(queries) / NEIGHBOURS, *_percentiles(taken), *_percentiles(exact), first_s, _private_mb(server),
        rss_mb(server),
    )  # fmt: skip


def table(
    count: int, kind: str, found: Searches, puts: dict[str, Result], batches: float
) -> tuple[str, list[str], list[list[str]]]:
    plain = next(iter(puts.values())).per_second
    rows = [
        ["recall of 10 nearest", f"{found.recall:.4f}", "1"],
        ["SearchVectors, p50 in ms", f"{found.p50_ms:.2f}", f"{found.exact_p50_ms:.2f}"],
        ["SearchVectors, p99 in ms", f"{found.p99_ms:.2f}", f"{found.exact_p99_ms:.2f}"],
        ["first search after a start, in s", f"{found.first_s:.2f}", ""],
        ["private memory in MB", f"{found.private_mb:.0f}", ""],
        ["RSS with the mapped store in MB", f"{found.rss_mb:.0f}", ""],
        ["BatchWriteItem, items/s", f"{batches:,.0f}", ""],
    ]
    rows += [[f"{name}, items/s", f"{one.per_second:,.0f}", f"{one.per_second / plain:.2f} of plain"]
             for name, one in puts.items()]  # fmt: skip
    return f"Vector search: {count:,} {kind} vectors of {DIMENSIONS} dimensions", ["what", "Atoll", "numpy"], rows


def _percentiles(taken: list[float]) -> tuple[float, float]:
    taken.sort()
    return taken[len(taken) // 2], taken[len(taken) * 99 // 100]


def _private_mb(server: Server) -> float:
    """The server's memory without the pages of the store, which the kernel maps and can reclaim."""
    lines = [Path(f"/proc/{pid}/status").read_text().splitlines() for pid in server.pids]
    return sum(int(line.split()[1]) for one in lines for line in one if line.startswith("RssAnon")) / 1e3


def _numbers(vector: Any) -> list[dict[str, str]]:
    return [{"N": f"{number:.7g}"} for number in vector.tolist()]


def _item(number: int, vector: Any) -> dict[str, Any]:
    return {"pk": {"S": str(number)}, "embedding": {"L": _numbers(vector)}}


def _puts(table: str, stored: Any) -> Iterator[bytes]:
    for number in range(min(len(stored), 10_000)):
        yield json.dumps({"TableName": table, "Item": _item(number, stored[number])}).encode()


def _search(query: Any) -> bytes:
    body = {"TableName": "Notes", "IndexName": "nearest", "SearchVector": _numbers(query), "TopK": NEIGHBOURS}
    return json.dumps(body).encode()
