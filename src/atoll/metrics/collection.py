"""Turns the meter of this process into datapoints of `AWS/DynamoDB`.

Once a minute it takes what the meter has counted, and stores it as datapoints of that minute. A reader of metrics makes
it do so at once: datapoints of one minute add up, so it does not matter how often. A minute without operations is not
stored.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from atoll.capacity.meter import Key, Tally
from atoll.database.region import Region
from atoll.metrics.series import MINUTE_MS, Datapoint, Metric, Series, united
from atoll.metrics.store import Metrics

NAMESPACE = "AWS/DynamoDB"


class Collection:
    """`region.state(Collection)`."""

    def __init__(self, region: Region) -> None:
        self._region = region
        self._minute_ms = _minute(region.clock.now_ms())
        """What the meter has counted belongs to this minute."""
        self._flushing = asyncio.Lock()

    async def settle(self) -> int | None:
        """Store minutes that have ended; returns the end of the present one if anything happened in it."""
        if self._minute_ms != _minute(self._region.clock.now_ms()):
            await self.flush()
        return self._minute_ms + MINUTE_MS if self._region.meter.is_used else None

    async def flush(self) -> None:
        """Store what the meter has counted up to now."""
        async with self._flushing:
            minute_ms, self._minute_ms = self._minute_ms, _minute(self._region.clock.now_ms())
            if self._region.meter.is_used:
                taken = self._region.meter.take()
                await self._region.state(Metrics).append(measured(taken, minute_ms))


def measured(taken: Mapping[Key, Tally], minute_ms: int) -> dict[Series, list[Datapoint]]:
    found: dict[Series, list[Datapoint]] = {}

    def add(name: str, table: str, index: str | None, point: Datapoint) -> None:
        found.setdefault(Series(Metric(NAMESPACE, name, dimensions(table, index)), "Count"), []).append(point)

    for (table, index, _), tally in taken.items():
        if tally.reads:
            point = Datapoint(minute_ms, tally.read_units, tally.reads, tally.least_read, tally.most_read)
            add("ConsumedReadCapacityUnits", table, index, point)
        if tally.writes:
            point = Datapoint(minute_ms, tally.write_units, tally.writes, tally.least_written, tally.most_written)
            add("ConsumedWriteCapacityUnits", table, index, point)
    return {series: [united(minute_ms, points)] for series, points in found.items()}


def dimensions(table: str, index: str | None = None) -> tuple[tuple[str, str], ...]:
    of_table = ("TableName", table)
    return (of_table,) if index is None else (("GlobalSecondaryIndexName", index), of_table)


def _minute(now_ms: int) -> int:
    return now_ms - now_ms % MINUTE_MS
