"""How a front end finds the primary among servers that answer late, or not at all. No server runs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, cast

import pytest

from atoll.storage.postgresql import cluster as clusters
from atoll.storage.postgresql import url
from atoll.storage.postgresql.cluster import Cluster
from atoll.storage.postgresql.connection import Connection
from atoll.storage.postgresql.url import Server

TIMELINE = 4


class FakeConnection:
    def __init__(self, server: Server) -> None:
        self.server, self.term, self.is_closed = server, 0, False

    def terminate(self) -> None:
        self.is_closed = True


class Fake(Cluster):
    """Three servers, `a`, `b` and `c`, of which `a` was the primary. Each answers once a test has said what."""

    def __init__(self) -> None:
        super().__init__(url.parse("postgresql://a,b,c/atoll"))
        self.servers = dict(zip("abc", self.url.servers, strict=True))
        loop = asyncio.get_running_loop()
        self.answers: dict[Server, asyncio.Future[tuple[bool, int]]] = {
            server: loop.create_future() for server in self.url.servers
        }
        self.timeline = TIMELINE
        self.given_up: list[str] = []
        self.gave_up = asyncio.Event()
        self._begin_term(self.servers["a"])

    def answer(self, name: str, writable: bool, timeline: int) -> None:
        self.answers[self.servers[name]].set_result((writable, timeline))

    async def _ask(self, server: Server) -> clusters.Answer:
        writable, timeline = await self.answers[server]
        return writable, timeline, cast(Connection, FakeConnection(server))

    async def _look_at(self, server: Server) -> tuple[bool, bool, int]:
        return (True, *await self.answers[server])

    def _give_up(self, why: str) -> None:
        self.given_up.append(why)
        self.gave_up.set()


def play(story: Callable[[Fake], Coroutine[Any, Any, None]]) -> None:
    async def tell() -> None:
        async with asyncio.timeout(20):
            await story(Fake())

    asyncio.run(tell())


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clusters, "WATCH_S", 0)
    monkeypatch.setattr(clusters, "GRACE_S", 3_600)


def test_a_newer_primary_is_taken_without_waiting_for_the_others() -> None:
    async def story(cluster: Fake) -> None:
        cluster.answer("b", True, TIMELINE + 1)
        await cluster._hold_election()
        assert (cluster.primary, cluster.timeline) == (cluster.servers["b"], TIMELINE + 1)

    play(story)


@pytest.mark.parametrize("first", [(True, TIMELINE), (False, 0)], ids=["the old primary", "a standby"])
def test_an_older_answer_leaves_time_for_a_newer_one(first: tuple[bool, int]) -> None:
    async def story(cluster: Fake) -> None:
        cluster.answer("a", *first)
        election = asyncio.create_task(cluster._hold_election())
        for _ in range(10):
            await asyncio.sleep(0)
        assert not election.done()
        cluster.answer("c", True, TIMELINE + 1)
        await election
        assert cluster.primary == cluster.servers["c"]

    play(story)


def test_the_first_round_of_all_hears_everybody() -> None:
    async def story(cluster: Fake) -> None:
        cluster.timeline = 0
        cluster.answer("a", True, TIMELINE)
        asked = asyncio.create_task(cluster._ask_all(first=True))
        for _ in range(10):
            await asyncio.sleep(0)
        assert not asked.done()
        cluster.answer("b", False, 0)
        cluster.answer("c", True, TIMELINE + 1)
        assert await cluster._choose(await asked)
        assert cluster.primary == cluster.servers["c"]

    play(story)


def test_a_server_that_hangs_does_not_hide_a_newer_primary_from_the_watch() -> None:
    async def story(cluster: Fake) -> None:
        watch = asyncio.create_task(cluster._watch_servers())
        cluster.answer("c", True, TIMELINE + 1)
        await cluster.gave_up.wait()
        assert "newer timeline" in cluster.given_up[0]
        watch.cancel()

    play(story)


def test_answers_of_a_standby_before_its_promotion_do_not_count() -> None:
    async def story(cluster: Fake) -> None:
        server = cluster.servers["b"]
        look = asyncio.create_task(cluster._look(server))
        await asyncio.sleep(0)
        cluster._begin_term(server)
        cluster.answer("b", False, 0)
        await look
        assert not cluster.given_up
        await cluster._look(server)
        assert "no longer a primary" in cluster.given_up[0]

    play(story)
