"""Measure the lag of the servers that replicate the PostgreSQL primary.

Once a second, the position of the primary's WAL is noted with the time. The lag of a server that has replayed up to a
position is the age of the first note beyond it. So no clocks are compared, and an idle primary causes no lag.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from time import monotonic

import asyncpg

from atoll.database.health import LAGGING, Found
from atoll.storage.engine import Corrupt, Unavailable
from atoll.storage.postgresql import statements
from atoll.storage.postgresql.cluster import Cluster
from atoll.storage.postgresql.connection import Lost, Undone

MOST_S = 10.0
"""A greater lag of the replica that serves reads is reported as a problem."""
_NOTES = 3_600
_PATIENCE_S = 1.0
_FAILURES = (Lost, Undone, Unavailable, TimeoutError, asyncpg.PostgresError)
"""Transient errors: for instance, a primary that has just become a standby reports no position."""
_NEVER = (asyncpg.FeatureNotSupportedError, asyncpg.InsufficientPrivilegeError, Corrupt)
"""Permanent errors: Aurora does not report its position, and other servers may lack the function."""

READS = "replica"
"""The name of the server that serves reads."""


class Notes:
    """The positions of the primary's WAL at some times."""

    def __init__(self) -> None:
        self._notes: deque[tuple[float, int]] = deque(maxlen=_NOTES)

    def add(self, now: float, position: int) -> None:
        if self._notes and position < self._notes[-1][1]:  # another server was promoted
            self._notes.clear()
        if not self._notes or position > self._notes[-1][1]:
            self._notes.append((now, position))

    def behind(self, now: float, position: int) -> float:
        """The lag in seconds of a server at this position."""
        return next((now - then for then, noted in self._notes if noted > position), 0.0)


class Lag:
    def __init__(self, primary: Cluster, replicas: Cluster | None, now: Callable[[], float] = monotonic) -> None:
        self._now = now
        self._primary = primary
        self._replicas = replicas
        self._notes = Notes()
        self._is_told = True
        """Whether the primary tells its position."""
        self._seconds: dict[str, float | None] = {}

    def seconds(self) -> Mapping[str, float | None]:
        """The lag in seconds of the replica that serves reads, and of the standbys that the store's user may see; None
        if unknown."""
        return self._seconds

    def found(self) -> Found:
        """The problem for `Health.look`, if the lag is too great."""
        behind = self._seconds.get(READS)
        return {} if behind is None or behind <= MOST_S else {LAGGING: f"{behind:.0f} seconds"}

    async def measure(self) -> None:
        if not self._is_told:
            return
        loop = asyncio.get_running_loop()
        measured: dict[str, float | None] = {} if self._replicas is None else {READS: None}
        try:
            async with self._primary.use(loop.time() + _PATIENCE_S) as connection:
                self._notes.add(self._now(), await connection.value(statements.POSITION, (), _PATIENCE_S))
                standbys = await connection.fetch(statements.STANDBYS, (), _PATIENCE_S)
            for name, position in standbys:
                measured[f"standby {name}"] = self._notes.behind(self._now(), position)
            if self._replicas is not None:
                with suppress(*_FAILURES):
                    async with self._replicas.use(loop.time() + _PATIENCE_S) as connection:
                        position = await connection.value(statements.REPLAYED, (), _PATIENCE_S)
                    measured[READS] = 0.0 if position is None else self._notes.behind(self._now(), position)
        except _NEVER:
            self._is_told = False
        except _FAILURES:
            pass
        self._seconds = measured
