"""A primary and its synchronous standby: the primary dies, freezes, is replaced, or loses its standby.

The test itself promotes the standby, as a cluster manager would.
"""

from __future__ import annotations

import asyncio
import json
import signal
import time
import urllib.request
from collections.abc import Awaitable, Callable, Iterator

import asyncpg
import pytest

from atoll.storage.engine import Unavailable
from atoll.storage.postgresql import url
from atoll.storage.postgresql.cluster import Cluster
from atoll.storage.postgresql.engine import PostgreSQLEngine, Replica
from benchmarks import servers
from benchmarks.client import Client
from tests.postgresql.server import Server, temporary
from tests.postgresql.test_servers import TABLE, call, front_end

CANCEL_COMMITS = """
select pg_cancel_backend(pid) from pg_stat_activity where wait_event = 'SyncRep' and application_name = 'atoll'
"""


class Pair:
    def __init__(self) -> None:
        directory = temporary()
        self.primary = Server(directory / "one")
        self.standby = Server(directory / "other")
        self.primary.create()
        self.primary.start()
        self.standby.copy(self.primary)
        self.standby.start()
        self.sync("*")

    @property
    def url(self) -> str:
        ports = (self.primary.port, self.standby.port)
        return f"postgresql://postgres@{','.join(f'127.0.0.1:{port}' for port in ports)}/postgres"

    def sync(self, names: str) -> None:
        asyncio.run(self._sync(names))

    async def _sync(self, names: str) -> None:
        connection = await asyncpg.connect(self.primary.url)
        # A command-line setting cannot be changed, so it is not given there.
        await connection.execute(f"alter system set synchronous_standby_names = '{names}'")
        await connection.execute("select pg_reload_conf()")
        await connection.close()


@pytest.fixture
def pair() -> Iterator[Pair]:
    pair = Pair()
    yield pair
    for server in (pair.primary, pair.standby):
        server.remove()


Story = Callable[[PostgreSQLEngine, Cluster], Awaitable[None]]


def play(url_: str, story: Story) -> None:
    async def tell() -> None:
        cluster = Cluster(url.parse(url_))
        await cluster.start()
        engine = PostgreSQLEngine(cluster, "region")
        try:
            await story(engine, cluster)
        finally:
            await engine.close()
            await cluster.close()

    asyncio.run(tell())


class Writers:
    """Each writes its own row repeatedly, until it is stopped."""

    def __init__(self, engine: PostgreSQLEngine, count: int = 8) -> None:
        self.acknowledged: dict[bytes, int] = {}
        self.failed = 0
        self._done = False
        self._tasks = [asyncio.ensure_future(self._write(engine, b"%d" % number)) for number in range(count)]

    async def _write(self, engine: PostgreSQLEngine, key: bytes) -> None:
        def fn(tx):
            stored = int(tx.get(key) or b"0")
            assert stored >= self.acknowledged.get(key, 0), "an acknowledged write is lost"
            tx.put(key, b"%d" % (stored + 1))
            return stored + 1

        while not self._done:
            try:
                self.acknowledged[key] = await engine.transact(fn)
            except Unavailable:
                self.failed += 1

    async def progress(self, more: int = 5) -> None:
        """Wait until each has written so much more."""
        before = dict(self.acknowledged)
        async with asyncio.timeout(60):
            while any(self.acknowledged.get(b"%d" % n, 0) < before.get(b"%d" % n, 0) + more for n in range(8)):
                await asyncio.sleep(0.01)
                for task in self._tasks:
                    if task.done():
                        task.result()

    async def stop(self) -> None:
        self._done = True
        await asyncio.gather(*self._tasks)


async def check(engine: PostgreSQLEngine, writers: Writers) -> None:
    await writers.stop()
    found = await engine.read(lambda s: {key: int(value) for key, value in s.scan(b"", b"\xff")})
    for key, value in writers.acknowledged.items():
        # One more may be there: the last one whose outcome was unknown.
        assert found[key] >= value


def test_a_standby_takes_over_from_a_dead_primary(pair: Pair) -> None:
    async def story(engine: PostgreSQLEngine, cluster: Cluster) -> None:
        writers = Writers(engine)
        await writers.progress()
        await asyncio.to_thread(pair.primary.kill)
        await asyncio.to_thread(pair.standby.promote)
        await writers.progress()
        assert cluster.primary is not None and cluster.primary.port == pair.standby.port
        await check(engine, writers)

    play(pair.url, story)


def test_a_frozen_primary_is_left_for_the_new_one_and_not_believed_again(pair: Pair) -> None:
    async def story(engine: PostgreSQLEngine, cluster: Cluster) -> None:
        writers = Writers(engine)
        await writers.progress()
        pair.primary.signal_all(signal.SIGSTOP)
        await asyncio.to_thread(pair.standby.promote)
        await writers.progress()
        pair.primary.signal_all(signal.SIGCONT)
        await writers.progress()
        cluster._elect("the test asks")
        await writers.progress()
        assert cluster.primary is not None and cluster.primary.port == pair.standby.port
        await check(engine, writers)

    play(pair.url, story)


def test_a_commit_canceled_before_its_standby_had_it_does_not_succeed(pair: Pair) -> None:
    async def story(engine: PostgreSQLEngine, cluster: Cluster) -> None:
        await engine.transact(lambda tx: tx.put(b"k", b"before"))
        pair.standby.signal_all(signal.SIGSTOP)
        waiting = asyncio.ensure_future(engine.transact(lambda tx: tx.put(b"k", b"after")))
        admin = await asyncpg.connect(pair.primary.url)
        async with asyncio.timeout(20):
            while not await admin.fetch(CANCEL_COMMITS):
                assert not waiting.done()
        await admin.close()
        with pytest.raises(Unavailable):
            await waiting
        pair.standby.signal_all(signal.SIGCONT)
        assert await engine.read(lambda s: s.get(b"k")) in (b"before", b"after")

    play(pair.url, story)


def test_a_write_is_not_shown_before_the_standby_has_it(pair: Pair) -> None:
    async def story(engine: PostgreSQLEngine, cluster: Cluster) -> None:
        await engine.transact(lambda tx: tx.put(b"k", b"before"))
        pair.standby.signal_all(signal.SIGSTOP)
        waiting = asyncio.ensure_future(engine.transact(lambda tx: tx.put(b"k", b"after")))
        admin = await asyncpg.connect(pair.primary.url)
        async with asyncio.timeout(20):
            while not await admin.fetch("select from pg_stat_activity where wait_event = 'SyncRep'"):
                assert not waiting.done()
        await admin.close()
        assert await engine.read(lambda s: s.get(b"k")) == b"before"
        pair.standby.signal_all(signal.SIGCONT)
        await waiting
        assert await engine.read(lambda s: s.get(b"k")) == b"after"

    play(pair.url, story)


def test_a_primary_that_restarts_is_used_again(pair: Pair) -> None:
    async def story(engine: PostgreSQLEngine, cluster: Cluster) -> None:
        writers = Writers(engine)
        await writers.progress()
        await asyncio.to_thread(pair.primary.kill)
        await asyncio.to_thread(pair.primary.start)
        await writers.progress()
        await check(engine, writers)

    play(pair.url, story)


def test_health_shows_how_far_the_replica_is_behind(pair: Pair) -> None:
    def until(condition: Callable[[dict], bool]) -> None:
        deadline = time.monotonic() + 30
        while True:
            with urllib.request.urlopen(f"http://{servers.HOST}:{front.port}/_atoll/health") as answer:
                health = json.load(answer)
            if condition(health):
                return
            assert time.monotonic() < deadline, health
            time.sleep(0.1)

    def lag(health: dict) -> dict[str, float | None]:
        return health["regions"]["us-east-1"].get("lagSeconds", {})

    standby, replica = f"standby s{pair.standby.port}", "replica"
    with front_end(pair.primary.url, "--read-store", pair.standby.url) as front, Client(front.port) as client:
        call(client, "CreateTable", **TABLE)
        until(lambda health: lag(health) == {replica: 0.0, standby: 0.0})
        asyncio.run(execute(pair.standby.url, "select pg_wal_replay_pause()"))
        call(client, "PutItem", TableName="Things", Item={"pk": {"S": "a"}})
        until(lambda health: all((lag(health)[name] or 0) > 1 for name in (replica, standby)))
        asyncio.run(execute(pair.standby.url, "select pg_wal_replay_resume()"))
        until(lambda health: lag(health) == {replica: 0.0, standby: 0.0})
        pair.standby.kill()
        until(lambda health: lag(health) == {replica: None} and health["status"] == "ok")


async def execute(url_: str, statement: str) -> None:
    connection = await asyncpg.connect(url_)
    await connection.execute(statement)
    await connection.close()


def test_replicas_answer_reads_and_the_primary_s_death_does_not_stop_them(pair: Pair) -> None:
    async def story(engine: PostgreSQLEngine, cluster: Cluster) -> None:
        await engine.transact(lambda tx: (tx.put(b"k", b"v"), tx.add_number(b"g", 1)))
        replicas = Cluster(url.parse(pair.url), replicas=True)
        await replicas.start()
        assert replicas.primary is not None and replicas.primary.port == pair.standby.port
        replica = Replica(replicas, "region", ride_along=[b"g"])
        async with asyncio.timeout(20):
            while await replica.read(lambda s: (s.number(b"g"), s.get(b"k"))) != (1, b"v"):
                pass
        await asyncio.to_thread(pair.primary.kill)
        assert await replica.read(lambda s: (s.number(b"g"), s.get(b"k"))) == (1, b"v")
        await replicas.close()
        await asyncio.to_thread(pair.standby.promote)

    play(pair.url, story)
