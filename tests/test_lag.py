"""How far a replica is behind, by notes of the primary's positions."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

import asyncpg
import pytest

from atoll.lag import Lag, Notes
from atoll.storage.engine import Corrupt
from atoll.storage.postgresql.cluster import Cluster
from atoll.storage.postgresql.connection import Lost


def test_a_replica_is_behind_by_the_age_of_what_it_lacks() -> None:
    notes = Notes()
    assert notes.behind(5, 0) == 0
    for now, position in ((10, 100), (11, 100), (12, 200), (13, 300)):
        notes.add(now, position)
    assert [notes.behind(20, position) for position in (99, 100, 199, 200, 300, 400)] == [10, 8, 8, 7, 0, 0]


def test_a_new_primary_s_positions_begin_anew() -> None:
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
