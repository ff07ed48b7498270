"""The datapoints of metrics as their readers want them: aligned to periods, in the order of time.

Whoever reads metrics sees what this process has measured up to now. Other processes of the same store add theirs once a
minute.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from atoll.database.region import Region
from atoll.metrics.collection import Collection
from atoll.metrics.series import Datapoint, Metric, aligned
from atoll.metrics.store import Metrics, Wanted


class Query(NamedTuple):
    """The datapoints of a metric in the periods with start <= time < end; of all units, or of one."""

    metric: Metric
    period_s: int
    start_ms: int
    end_ms: int
    unit: str | None = None


async def datapoints(
    region: Region, metric: Metric, period_s: int, start_ms: int, end_ms: int, unit: str | None = None
) -> list[Datapoint]:
    """Periods without a datapoint are left out. To ask for several metrics, `datapoints_of` reads only once."""
    return (await datapoints_of(region, [Query(metric, period_s, start_ms, end_ms, unit)]))[0]


async def datapoints_of(region: Region, queries: Sequence[Query]) -> list[list[Datapoint]]:
    found = await by_unit(region, queries)
    return [
        aligned([point for points in units.values() for point in points], query.period_s * 1_000)
        for query, units in zip(queries, found, strict=True)
    ]


async def by_unit(region: Region, queries: Sequence[Query]) -> list[dict[str, list[Datapoint]]]:
    """As `datapoints_of`, for each unit of which there are any."""
    await region.state(Collection).flush()
    wanted = [Wanted(one.metric, _start(one), one.end_ms, one.unit) for one in queries]
    answer = []
    for query, points in zip(queries, await region.state(Metrics).points(wanted), strict=True):
        units: dict[str, list[Datapoint]] = {}
        for unit, point in points:
            units.setdefault(unit, []).append(point)
        answer.append({unit: aligned(units[unit], query.period_s * 1_000) for unit in sorted(units)})
    return answer


def _start(query: Query) -> int:
    """The start of the first period that begins at the start or later."""
    period_ms = query.period_s * 1_000
    return -(-query.start_ms // period_ms) * period_ms
