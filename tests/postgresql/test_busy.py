"""Large and small requests at the same time through one front end: how long a small one waits, in statements and bytes
instead of seconds."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import orjson
import pytest

from atoll.clock import ManualClock
from atoll.database import format as fmt
from atoll.database.region import Region, Settings
from atoll.storage.engine import RowRead, Transaction
from atoll.storage.postgresql import reads, url, writes
from atoll.storage.postgresql.cluster import Cluster
from atoll.storage.postgresql.connection import Connection
from atoll.storage.postgresql.engine import PostgreSQLEngine
from atoll.storage.postgresql.fetched import Fetched
from atoll.storage.postgresql.fetching import fetch
from atoll.storage.postgresql.pending import Pending
from tests import desk, postgres
from tests.postgresql.test_servers import TABLE

PAGE_ROWS, ROW_BYTES = 10, 100_000
PAGES = 60
START_MS = 1_800_000_000_000

Scenario = Callable[[PostgreSQLEngine, PostgreSQLEngine], Awaitable[None]]


def play(scenario: Scenario) -> None:
    """With two front ends."""

    async def run() -> None:
        schema = postgres.Schema()
        await schema.empty()
        clusters = [Cluster(url.parse(postgres.URL)) for _ in range(2)]
        for cluster in clusters:
            await cluster.start()
        engines = [PostgreSQLEngine(cluster, schema.name, ride_along=[fmt.GENERATION]) for cluster in clusters]
        try:
            await scenario(*engines)
        finally:
            for engine, cluster in zip(engines, clusters, strict=True):
                await engine.close()
                await cluster.close()

    postgres.run(run())


@pytest.fixture
def fetched_bytes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The bytes of each statement that reads, in the order in which they have ended."""
    sizes: list[int] = []

    async def counted(connection: Connection, schema: str, fetched: Fetched, *, deadline_s: float) -> None:
        before = fetched.size
        await fetch(connection, schema, fetched, deadline_s=deadline_s)
        sizes.append(fetched.size - before)

    monkeypatch.setattr("atoll.storage.postgresql.reads.fetch", counted)
    return sizes


@pytest.fixture
def batch_bytes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The reads and writes of each batch, in the order in which the batches ended."""
    sizes: list[int] = []
    serve = writes.Writes._serve

    async def counted(self: writes.Writes, batch: list[Pending]) -> int:
        sizes.append(await serve(self, batch))
        return sizes[-1]

    monkeypatch.setattr(writes.Writes, "_serve", counted)
    return sizes


async def fill(engine: PostgreSQLEngine) -> None:
    for page in range(PAGES):
        await engine.transact(partial(fill_page, page))
    await engine.transact(lambda tx: tx.put(b"small", b"v"))


def fill_page(page: int, tx: Transaction) -> None:
    for number in range(PAGE_ROWS):
        tx.put(b"page%03d/%02d" % (page, number), bytes(ROW_BYTES))


def test_pages_of_a_megabyte_do_not_hold_up_single_rows(fetched_bytes: list[int]) -> None:
    def page(number: int, snapshot) -> int:
        return len(list(snapshot.scan(b"page%03d/" % number, b"page%03d0" % number)))

    async def scenario(engine: PostgreSQLEngine, _: PostgreSQLEngine) -> None:
        await fill(engine)
        small = RowRead(lambda snapshot: ((), b"small"))
        for _number in range(10):  # small reads of before do not make the first batch of pages a large one
            await engine.read(lambda snapshot: snapshot.get(b"small"))
        del fetched_bytes[:]
        pages = asyncio.gather(*(engine.read(partial(page, number)) for number in range(PAGES)))
        waited = []
        while not pages.done():
            before = len(fetched_bytes)
            assert (await engine.read(small))[-1] == b"v"
            waited.append(fetched_bytes[before:])
        assert await pages == [PAGE_ROWS] * PAGES
        assert max(fetched_bytes) <= reads.MOST_PAGES * PAGE_ROWS * ROW_BYTES
        assert sorted(fetched_bytes)[-3] <= reads.BATCH_BYTES, "only the first in each lane may be larger"
        # Its own statement, and pages whose statements ended meanwhile.
        assert max(map(len, waited)) <= 1 + reads.LANES, waited
        assert len(waited) > len([size for size in fetched_bytes if size > 1]), "rows overtake pages"

    play(scenario)


def test_a_batch_of_16_megabytes_does_not_hold_up_small_requests(
    fetched_bytes: list[int], batch_bytes: list[int]
) -> None:
    items = [{"pk": {"S": f"large{number}"}, "v": {"S": "x" * 399_000}} for number in range(25)]

    async def scenario(engine: PostgreSQLEngine, _: PostgreSQLEngine) -> None:
        region = Region("us-east-1", engine, ManualClock(START_MS), Settings())
        await desk.call(region, "CreateTable", TABLE)

        async def write_all(copy: int) -> dict:
            puts = [{"PutRequest": {"Item": item | {"pk": {"S": f"{copy}/{item['pk']['S']}"}}}} for item in items]
            return await desk.call(region, "BatchWriteItem", {"RequestItems": {"Things": puts}})

        small = {"TableName": "Things", "Item": {"pk": {"S": "small"}}}
        await desk.call(region, "PutItem", small)
        get = {"TableName": "Things", "Key": small["Item"], "ConsistentRead": True}
        del fetched_bytes[:], batch_bytes[:]
        writing = asyncio.gather(*(write_all(copy) for copy in range(4)))
        reads_seen, writes_seen = [], []
        while not writing.done():
            before = len(batch_bytes)
            await desk.call(region, "PutItem", small)
            writes_seen.append(len(batch_bytes) - before)
            before = len(fetched_bytes)
            assert orjson.loads(orjson.dumps(await desk.call(region, "GetItem", get))) == {"Item": small["Item"]}
            reads_seen.append(len(fetched_bytes) - before)
        assert [one["UnprocessedItems"] for one in await writing] == [{}] * 4
        # The batch that was under way, and its own.
        assert max(writes_seen) <= 2, writes_seen
        assert max(reads_seen) <= 1 + reads.LANES, reads_seen
        assert max(batch_bytes) <= 1.25 * writes.BATCH_BYTES, batch_bytes
        assert len(writes_seen) >= 4, "some came between the pieces"

    play(scenario)


def put(value: bytes, tx: Transaction) -> None:
    tx.put(b"k", value)


def test_a_write_that_others_outrun_repeatedly_delays_no_other() -> None:
    """It runs at the same time as the others until a commit conflicts, and then once more under the lock."""
    outrun, others_done = threading.Event(), threading.Event()
    seen: list[bytes | None] = []

    def long(tx: Transaction) -> None:
        tx.announce_long()
        value = tx.get(b"k")
        seen.append(value)
        if len(seen) == 1:
            outrun.set()
            assert others_done.wait(30), "the others waited for it"
        tx.put(b"k", (value or b"") + b"+")

    async def scenario(one: PostgreSQLEngine, other: PostgreSQLEngine) -> None:
        await one.transact(lambda tx: tx.put(b"k", b"v"))
        slow = asyncio.ensure_future(one.transact(long))
        await asyncio.to_thread(outrun.wait, 30)
        for number in range(20):
            for engine in (one, other):
                await engine.transact(partial(put, b"%d" % number))
                await engine.read(lambda snapshot: snapshot.get(b"k"))
        assert not slow.done()
        others_done.set()
        await slow
        assert seen == [b"v", b"19"]
        assert await other.read(lambda snapshot: snapshot.get(b"k")) == b"19+"

    play(scenario)


def test_a_conflict_costs_the_others_of_the_batch_one_more_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another front end changes a row that one of them has read, whenever the lock is free."""
    commit = writes.Writes._commit_if_current
    runs: dict[int, int] = {}

    def add(number: int, tx: Transaction) -> None:
        value = int(tx.get(b"shared" if number == 0 else b"own%d" % number) or b"0")
        runs[number] = runs.get(number, 0) + 1
        tx.put(b"own%d" % number, b"%d" % (value + 1))

    async def scenario(one: PostgreSQLEngine, other: PostgreSQLEngine) -> None:
        async def outrun(self: writes.Writes, *arguments: Any, **options: Any) -> bool:
            if self is one._writes and not options.get("ends"):
                await other.transact(lambda tx: tx.put(b"shared", b"%d" % tx.add_number(b"n", 1)))
            return await commit(self, *arguments, **options)

        await other.transact(lambda tx: tx.put(b"shared", b"0"))
        monkeypatch.setattr(writes.Writes, "_commit_if_current", outrun)
        for _ in range(30):
            runs.clear()
            await asyncio.gather(*(one.transact(partial(add, number)) for number in range(10)))
            # On nothing, on what was fetched, and under the lock.
            assert set(runs) == set(range(10)) and max(runs.values()) <= 3

    play(scenario)
