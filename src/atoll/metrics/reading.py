"""Read the datapoints of metrics, aligned to periods, in the order of time.

A read includes the measurements of this process up to now. Other processes of the same store add theirs once a minute.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeVar

from atoll.aside import aside
from atoll.database.region import Region
from atoll.metrics import implied
from atoll.metrics.collection import Collection
from atoll.metrics.implied import Line, lines
from atoll.metrics.implied import points as points_of
from atoll.metrics.series import MINUTE_MS, TABLES, Datapoint, Metric, aligned
from atoll.metrics.store import GRAINS, Metrics, Wanted

T = TypeVar("T")

Units = dict[str, list[Datapoint]]
"""Datapoints by unit."""


class Query(NamedTuple):
    """A query for the datapoints of a metric in the periods with start <= time < end, of all units or of one."""

    metric: Metric
    period_s: int
    start_ms: int
    end_ms: int
    unit: str | None = None


async def datapoints(
    region: Region, metric: Metric, period_s: int, start_ms: int, end_ms: int, unit: str | None = None
) -> list[Datapoint]:
    """The datapoints of a metric; periods without one are omitted. For several metrics, use `by_unit`, which reads only
    once."""
    return (await datapoints_of(region, [Query(metric, period_s, start_ms, end_ms, unit)]))[0]


async def datapoints_of(region: Region, queries: Sequence[Query]) -> list[list[Datapoint]]:
    found = await by_unit(region, queries)
    return [
        aligned([point for points in units.values() for point in points], query.period_s * 1_000)
        for query, units in zip(queries, found, strict=True)
    ]


async def by_unit(region: Region, queries: Sequence[Query], *, from_start: bool = False) -> list[Units]:
    """For each query its datapoints, by unit. `from_start`: the first period begins at the start of the query, as in
    CloudWatch's operations; otherwise periods begin at multiples of their length."""
    return await folded(region, queries, lambda _, units: units, from_start=from_start)


async def folded(
    region: Region, queries: Sequence[Query], fold: Callable[[int, Units], T], *, from_start: bool
) -> list[T]:
    """For each query, the result of `fold` on its place and its datapoints. `fold` may make them smaller; it may run in
    a thread."""
    await region.state(Collection).flush()
    now_ms = region.clock.now_ms()
    until_ms = now_ms - now_ms % MINUTE_MS
    followed = await lines(region, [one.metric for one in queries])
    wanted = [Wanted(one.metric, _start(one, now_ms, from_start), one.end_ms, one.unit) for one in queries]

    def of_points(place: int, points: Sequence[tuple[str, Datapoint]]) -> T:
        units: Units = {}
        for unit, point in points:
            units.setdefault(unit, []).append(point)
        query, line = queries[place], followed[place]
        period_ms, origin_ms = query.period_s * 1_000, query.start_ms if from_start else 0
        found = {unit: aligned(units[unit], period_ms, origin_ms) for unit in sorted(units)}
        if line is not None and query.unit in (None, line.unit):
            more = points_of(line, wanted[place].start_ms, min(query.end_ms, until_ms), period_ms, origin_ms)
            found[line.unit] = _together(found.get(line.unit, []), more, line)
        return fold(place, {unit: known for unit, known in found.items() if known})

    return await region.state(Metrics).points(wanted, of_points)


async def last_minute(region: Region, namespace: str, lag_ms: int) -> list[tuple[Metric, Datapoint]]:
    """All datapoints of a namespace in the last minute that ended at least `lag_ms` ago."""
    await region.state(Collection).flush()
    end_ms = region.clock.now_ms() - lag_ms
    minute_ms = end_ms - end_ms % MINUTE_MS - MINUTE_MS
    found = await region.state(Metrics).minute(namespace, minute_ms)
    tables = await region.read(region.catalog.tables) if namespace == TABLES else []
    more = await aside(lambda: list(implied.current(tables, minute_ms)))
    return [
        *found.items(),
        *((metric, point) for metric, point in more if metric not in found and metric.namespace == namespace),
    ]


def _together(measured: list[Datapoint], more: list[Datapoint], line: Line) -> list[Datapoint]:
    if line.only_gaps:
        periods = {point.time_ms for point in measured}
        more = [point for point in more if point.time_ms not in periods]
    return sorted([*measured, *more], key=lambda point: point.time_ms)


def _start(query: Query, now_ms: int, from_start: bool) -> int:
    """The start of the first period at or after the query's start whose datapoints are still kept with enough
    precision."""
    period_ms = query.period_s * 1_000
    start_ms = query.start_ms if from_start else -(-query.start_ms // period_ms) * period_ms
    for grain in reversed(GRAINS):
        if period_ms % grain.step_ms == 0:
            return max(start_ms, now_ms - grain.kept_ms)
    return max(start_ms, now_ms - GRAINS[0].kept_ms)


def grain_ms(age_ms: int) -> int:
    """The grain at which datapoints of this age are kept, in milliseconds."""
    return next((grain.step_ms for grain in GRAINS if age_ms < grain.kept_ms), GRAINS[-1].step_ms)


async def listed(region: Region, since_ms: int) -> set[Metric]:
    """The metrics with a datapoint since then."""
    await region.state(Collection).flush()
    found = await region.state(Metrics).listed(since_ms)
    tables = await region.read(region.catalog.tables)
    return await aside(lambda: found | set(implied.listed({table.name: table for table in tables})))
