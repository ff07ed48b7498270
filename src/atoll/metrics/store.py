"""Stores the datapoints of a region.

Datapoints arrive in batches, one row each: a process writes one a minute at most, and each PutMetricData another. Rows
are numbered in the order of their commits, so that a process reads each batch once and remembers it, decoded.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

from atoll.database import format as fmt
from atoll.database.region import Region
from atoll.metrics.batches import Batch, dump_batch, load_batch
from atoll.metrics.series import Datapoint, Metric
from atoll.storage.engine import Snapshot, Transaction


class Wanted(NamedTuple):
    """The datapoints of a metric with start <= time < end, of all units or of one."""

    metric: Metric
    start_ms: int
    end_ms: int
    unit: str | None = None


class Metrics:
    """What this process knows of the datapoints of a region: `region.state(Metrics)`."""

    def __init__(self, region: Region) -> None:
        self._region = region
        self._recent: dict[Metric, list[tuple[str, Datapoint]]] = {}
        """The datapoints of the batches read, with their units."""
        self._read = 0
        """The number of the last batch read."""
        self._versions: dict[Metric, int] = {}

    async def append(self, batch: Batch) -> None:
        if batch:
            stored = dump_batch(batch)
            await self._region.transact(partial(_append, stored))

    async def points(self, wanted: Sequence[Wanted]) -> list[list[tuple[str, Datapoint]]]:
        """For each, its datapoints with their units, in no order. Several of one time add up."""
        await self.learn()
        return [
            [
                (unit, point)
                for unit, point in self._recent.get(one.metric, ())
                if one.start_ms <= point.time_ms < one.end_ms and one.unit in (None, unit)
            ]
            for one in wanted
        ]

    async def learn(self) -> None:
        """Read the batches that are new."""
        for number, stored in await self._region.read(partial(_batches, self._read)):
            if number > self._read:
                self._learn(number, stored)

    def version(self, metric: Metric) -> int:
        """Changes whenever this process learns new datapoints of the metric."""
        return self._versions.get(metric, 0)

    def _learn(self, number: int, stored: bytes) -> None:
        self._read = number
        for (metric, unit), points in load_batch(stored).items():
            self._recent.setdefault(metric, []).extend([(unit, point) for point in points])
            self._versions[metric] = number


def _append(stored: bytes, tx: Transaction) -> None:
    tx.put(fmt.batch_key(tx.add_number(fmt.BATCHES, 1)), stored)


def _batches(after: int, snapshot: Snapshot) -> list[tuple[int, bytes]]:
    return [(fmt.parse_batch_key(key), stored) for key, stored in snapshot.scan(*fmt.batches_after(after))]
