"""Turn the measurements of this process into datapoints of `AWS/DynamoDB`.

Once a minute it takes the meter's counts and stores them as datapoints of that minute. A reader of metrics triggers
this at once: datapoints of one minute add up, so any number of times is correct. A minute without operations is not
stored. If the store refuses datapoints, they are kept for an hour at most, and stored later.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping
from typing import NamedTuple

from atoll.capacity.meter import Key, Replicated, Sent, Tally
from atoll.database.region import Region
from atoll.database.schema import Table
from atoll.metrics.measured import COUNT, dynamodb, events, measured, replicated, sent
from atoll.metrics.series import MINUTE_MS, Datapoint, Series
from atoll.metrics.store import Metrics

UNSTORED = 60
"""The most minutes whose counts wait for the store."""


class _Counted(NamedTuple):
    minute_ms: int
    taken: Mapping[Key, Tally]
    expired: Mapping[str, int]
    sent: Mapping[str, Sent]
    arrived: Mapping[Series, list[Datapoint]]


class Collection:
    """The collection of a region: `region.state(Collection)`."""

    def __init__(self, region: Region) -> None:
        self._region = region
        self._minute_ms = _minute(region.clock.now_ms())
        """What the meter has counted belongs to this minute."""
        self._replicated: dict[tuple[str, str], Replicated] = {}
        self._unstored: deque[_Counted] = deque(maxlen=UNSTORED)
        self._flushing = asyncio.Lock()

    async def settle(self) -> int | None:
        """Store ended minutes; returns the end of the present minute if it has counts."""
        if self._unstored or self._minute_ms != _minute(self._region.clock.now_ms()):
            await self.flush()
        return self._minute_ms + MINUTE_MS if self._region.meter.is_used else None

    async def flush(self) -> None:
        """Store the measurements up to now."""
        async with self._flushing:
            minute_ms, self._minute_ms = self._minute_ms, _minute(self._region.clock.now_ms())
            meter = self._region.meter
            if meter.is_used:
                taken, arrived = meter.take(), self._arrived(minute_ms)
                self._unstored.append(_Counted(minute_ms, taken, meter.take_expired(), meter.take_sent(), arrived))
            while self._unstored:
                await self._store(self._unstored[0])
                self._unstored.popleft()

    async def _store(self, counted: _Counted) -> None:
        minute_ms, taken, expired, sent_to_streams, arrived = counted
        batch = measured(taken, await self._tables(taken), minute_ms)
        for table, deleted in expired.items():
            series = Series(dynamodb("TimeToLiveDeletedItemCount", TableName=table), COUNT)
            batch[series] = [events(minute_ms, deleted)]
        for table, tally in sent_to_streams.items():
            batch |= sent(table, tally, minute_ms)
        await self._region.state(Metrics).append({**batch, **arrived})

    async def _tables(self, taken: Mapping[Key, Tally]) -> dict[str, Table]:
        """The tables whose definitions say where something counts: those that were written to or have indexes, or whose
        streams were read."""
        names = {
            table
            for (table, index, operation), tally in taken.items()
            if table and (index or tally.writes or operation == "GetRecords")
        }
        if not names:
            return {}
        find = self._region.catalog.find
        tables = await self._region.read(lambda snapshot: [find(snapshot, name) for name in names])
        return {table.name: table for table in tables if table is not None}

    def _arrived(self, minute_ms: int) -> dict[Series, list[Datapoint]]:
        found: dict[Series, list[Datapoint]] = {}
        for one in self._region.meter.replication():
            key = one.table, one.receiver
            found |= replicated(one, self._replicated.get(key), minute_ms)
            self._replicated[key] = one
        return found


def _minute(now_ms: int) -> int:
    return now_ms - now_ms % MINUTE_MS
