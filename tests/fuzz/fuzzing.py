"""Requests from a seed, and a server in this process that answers them."""

from __future__ import annotations

import asyncio
import gc
import json
import math
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random
from typing import Any

from atoll.config import Config
from atoll.database.region import Settings
from atoll.node import Node
from atoll.serving import GC_OBJECTS
from atoll.wire.codec import Request
from tests.differential import definitions, legacy, malformed, multi, partiql, queries, single, syntax
from tests.differential.tables import TABLES, Step
from tests.fuzz import services

FAMILIES = (
    single.items, single.values, single.conditions, single.updates, single.projections, syntax.syntax, queries.queries,
    queries.scans, multi.batches, multi.transactions, definitions.definitions, malformed.malformed, legacy.legacy,
    partiql.statements,
)  # fmt: skip

LIKE_THE_SERVICE = b"#InternalFailure"
"""The code of an internal error that a request of the service gets, too."""

STALL_MS = 100
SCENARIOS = 200
"""After so many, the server begins with empty tables: definitions pile up otherwise."""

MUTATED = 0.15
SERVICES = 0.4
"""How many scenarios have requests to any operation of any service."""
SHOWN = 5


@dataclass
class Report:
    requests: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    stalls: list[str] = field(default_factory=list)
    longest_ms: float = 0.0
    longest: str = ""

    @property
    def is_clean(self) -> bool:
        return not self.failures and not self.stalls

    def __str__(self) -> str:
        statuses = ", ".join(f"{count:,} with {status}" for status, count in sorted(self.statuses.items()))
        lines = [
            f"{self.requests:,} requests: {statuses}",
            f"{len(self.failures)} internal errors, {len(self.stalls)} took over {STALL_MS} ms; "
            f"the longest took {self.longest_ms:.1f} ms of CPU: {self.longest[:100]}",
        ]
        return "\n".join([*lines, *self.failures[:SHOWN], *self.stalls[:SHOWN]])


async def fuzz(requests: int, seed: int, seconds: float = math.inf) -> Report:
    """Send so many requests, for so many seconds at most."""
    report, number, end = Report(), 0, time.monotonic() + seconds
    while report.requests < requests and time.monotonic() < end:
        node = Node(Config(port=0, data=None, settings=Settings(throttling="off", quotas=False)))
        await node.start()
        # As the server does: otherwise the collector looks at this whole process, and a request seems to take long.
        gc.collect()
        gc.freeze()
        gc.set_threshold(GC_OBJECTS)
        for table in TABLES:
            await _send(node, _request("CreateTable", _json(table.definition)), Report())
        for _ in range(SCENARIOS):
            number += 1
            for request in _scenario(Random(f"fuzz {seed} {number}")):
                if report.requests < requests and time.monotonic() < end:
                    await _send(node, request, report)
        await node.stop()
        gc.unfreeze()
    return report


def _scenario(random: Random) -> Iterator[Request]:
    if random.random() < SERVICES:
        yield from services.requests(random)
        return
    for step in random.choice(FAMILIES)(random):
        yield _request(step.operation, _bytes(random, step))


def _bytes(random: Random, step: Step) -> bytes:
    body = _json(step.body)
    if random.random() < MUTATED:
        changed = bytearray(body)
        for _ in range(random.randint(1, 4)):
            at = random.randrange(len(changed) + 1)
            changed[at : at + random.randint(0, 3)] = random.choice((b"", b'"', b"{", b"]", b",", b"\0", b"9", b"\xff"))
        return bytes(changed)
    return body


def _json(body: Any) -> bytes:
    return body if isinstance(body, bytes) else json.dumps(body).encode()


def _request(operation: str, body: bytes) -> Request:
    headers = {
        b"host": b"localhost",
        b"content-type": b"application/x-amz-json-1.0",
        b"x-amz-target": b"DynamoDB_20120810." + operation.encode(),
    }
    return Request(b"POST", b"/", b"", headers, body)


async def _send(node: Node, request: Request, report: Report) -> None:
    assert node.server is not None
    began = time.thread_time()
    answer = await asyncio.ensure_future(node.server.answer(request))
    took_ms = (time.thread_time() - began) * 1000
    status = int(answer[9:12])
    report.requests += 1
    report.statuses[status] += 1
    target = request.headers.get(b"x-amz-target") or request.method + b" " + request.path
    told = f"{target.decode('latin-1')} {request.query[:200]!r} {request.body[:500]!r}"
    if took_ms > report.longest_ms:
        report.longest_ms, report.longest = took_ms, told
    if status >= 500 and LIKE_THE_SERVICE not in answer:
        report.failures.append(told)
    if took_ms > STALL_MS:
        report.stalls.append(f"{took_ms:.0f} ms: {told}")
