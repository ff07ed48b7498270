"""The lag of a replica, computed from recorded positions of the primary."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any, cast

import asyncpg
import pytest

from atoll.api.health import report
from atoll.database.health import LAGGING, Health
from atoll.front import watch
from atoll.lag import MOST_S, READS, Lag, Notes
from atoll.shared_store import SharedStore
from atoll.storage.engine import Corrupt, Unavailable
from atoll.storage.postgresql import statements
from atoll.storage.postgresql.cluster import Cluster
from atoll.storage.postgresql.connection import Lost


def test_the_lag_of_a_replica_is_the_age_of_the_oldest_change_that_it_lacks() -> None:
    notes = Notes()
    assert notes.behind(5, 0) == 0
    for now, position in ((10, 100), (11, 100), (12, 200), (13, 300)):
        notes.add(now, position)
    assert [notes.behind(20, position) for position in (99, 100, 199, 200, 300, 400)] == [10, 8, 8, 7, 0, 0]


def test_a_new_primary_s_positions_start_again() -> None:
    notes = Notes()
    notes.add(1, 500)
    notes.add(2, 400)
    assert (notes.behind(9, 400), notes.behind(9, 399)) == (0, 7)


class Server:
    """A primary that answers or fails, in the place of a cluster's connection."""

    def __init__(self, *answers: int | Exception) -> None:
        self.answers = list(answers)

    @asynccontextmanager
    async def use(self, until: float) -> AsyncIterator[Server]:
        yield self

    async def value(self, *_: Any) -> int:
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def fetch(self, *_: Any) -> list[tuple[str, int]]:
        return [("b", 7)]


@pytest.mark.parametrize(
    ("failure", "goes_on"),
    [
        (asyncpg.ObjectNotInPrerequisiteStateError("recovery is in progress"), True),
        (Lost("the connection"), True),
        (asyncpg.FeatureNotSupportedError("pg_current_wal_lsn"), False),
        (Corrupt("no such function"), False),
    ],
)
def test_only_a_primary_that_never_tells_its_position_is_not_asked_again(failure: Exception, goes_on: bool) -> None:
    lag = Lag(cast(Cluster, Server(failure, 7)), None)

    async def measure() -> None:
        await lag.measure()
        assert lag.seconds() == {}
        await lag.measure()

    asyncio.run(measure())
    assert lag.seconds() == ({"standby b": 0.0} if goes_on else {})


class Member:
    """A `Cluster` and its connection, as far as `Lag` uses them."""

    def __init__(self, position: int) -> None:
        self.position: int | None = position
        """None: it does not answer."""

    @asynccontextmanager
    async def use(self, until: float) -> AsyncIterator[Member]:
        if self.position is None:
            raise Unavailable("no answer")
        yield self

    async def value(self, statement: str, arguments: Sequence[object], deadline_s: float) -> int | None:
        assert statement in (statements.POSITION, statements.REPLAYED)
        return self.position

    async def fetch(self, statement: str, arguments: Sequence[object], deadline_s: float) -> list[Any]:
        assert statement == statements.STANDBYS
        return []


class Pair:
    def __init__(self) -> None:
        self.now = 1_000.0
        self.primary, self.replica = Member(100), Member(100)
        self.lag = Lag(cast(Cluster, self.primary), cast(Cluster, self.replica), lambda: self.now)
        self._health = Health("us-east-1")
        watch(self._health, "us-east-1", None, cast(SharedStore, SimpleNamespace(lag=self.lag)))

    def after(self, seconds: float) -> tuple[str, list[str], float | None]:
        """The status, the problems, and how far the replica is behind."""
        self.now += seconds
        asyncio.run(self.lag.measure())
        self._health.look_at_files()
        answer = report({"us-east-1": self._health.status()})
        (region,) = answer["regions"].values()
        return answer["status"], region["problems"], region["lagSeconds"][READS]


def test_a_replica_far_behind_degrades_the_front_end_until_it_has_caught_up() -> None:
    pair = Pair()
    assert pair.after(0) == ("ok", [], 0)
    pair.primary.position = 200
    assert pair.after(1) == ("ok", [], 0)  # noted now
    assert pair.after(MOST_S) == ("ok", [], MOST_S)
    assert pair.after(0.5) == ("degraded", [LAGGING.text], MOST_S + 0.5)
    pair.primary.position = 300
    pair.replica.position = 200
    assert pair.after(1) == ("ok", [], 0)
    assert pair.after(MOST_S + 1) == ("degraded", [LAGGING.text], MOST_S + 1)
    pair.replica.position = 300
    assert pair.after(1) == ("ok", [], 0)


def test_a_replica_that_does_not_answer_is_not_far_behind() -> None:
    """The store itself answers its reads."""
    pair = Pair()
    pair.after(0)
    pair.primary.position = 200
    pair.after(1)
    assert pair.after(20)[0] == "degraded"
    pair.replica.position = None
    assert pair.after(1) == ("ok", [], None)
    pair.replica.position = 150
    assert pair.after(1) == ("degraded", [LAGGING.text], 22)
