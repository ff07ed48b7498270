"""The datapoints that decide an alarm's state: those of its metrics in the periods of its evaluation range.

The range slides: its newest period ends at the time of the evaluation, not at a full minute or hour.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import orjson

from atoll.alarms.alarm import Alarm
from atoll.alarms.deciding import evaluation_range
from atoll.alarms.reasons import Point
from atoll.errors.metric_math import Fault
from atoll.metrics.implied import quota
from atoll.metrics.math.evaluation import Queries
from atoll.metrics.math.series import Grid, Series
from atoll.metrics.series import Metric


class Input(NamedTuple):
    """A metric that an alarm reads."""

    id: str
    """The id of its query; empty for an alarm on one metric."""
    metric: Metric
    unit: str | None
    statistic: str


def inputs(alarm: Alarm) -> tuple[Input, ...]:
    configuration = alarm.configuration
    if not alarm.metrics:
        return (_input("", configuration, configuration.get("Unit"), alarm.statistic),)
    stats = [(query["Id"], query["MetricStat"]) for query in alarm.metrics if "MetricStat" in query]
    return tuple([_input(id, one["Metric"], one.get("Unit"), one["Stat"]) for id, one in stats])


def _input(id: str, named: Mapping[str, Any], unit: str | None, statistic: str) -> Input:
    return Input(id, metric(named), unit, statistic)


def metric(named: Mapping[str, Any]) -> Metric:
    """The metric named by the members Namespace, MetricName and Dimensions."""
    dimensions = sorted((one["Name"], one["Value"]) for one in named.get("Dimensions") or ())
    return Metric(named["Namespace"], named["MetricName"], tuple(dimensions))


def times(alarm: Alarm, until_ms: int) -> list[int]:
    """The starts of the periods of the evaluation range, newest first."""
    step = alarm.period_s * 1000
    return [until_ms - step * (place + 1) for place in range(evaluation_range(alarm.periods))]


def seen(
    alarm: Alarm, read: Sequence[Input], found: Sequence[list[Point | None]], starts: Sequence[int]
) -> list[Point | None]:
    """The points of the evaluation range, newest first. `read` are the alarm's inputs, `found` the points of each in
    the periods with these starts."""
    return _computed(alarm, read, found, starts) if alarm.metrics else found[0]


def _computed(
    alarm: Alarm, read: Sequence[Input], found: Sequence[Sequence[Point | None]], starts: Sequence[int]
) -> list[Point | None]:
    metrics = {}
    for one, points in zip(read, found, strict=True):
        known = {point.time_ms: point.value for point in reversed(points) if point is not None}
        metrics[one.id] = Series(known, alarm.period_s, one.metric.name)
    returned, expressions = _queries(orjson.dumps(alarm.metrics))
    grid = Grid(starts[-1], starts[0] + alarm.period_s * 1000, alarm.period_s)
    quotas = {one.id: most for one in read if (most := quota(one.metric)) is not None}
    queries = Queries(grid, metrics, dict(expressions), quotas=quotas)
    try:
        series = queries.series(returned)
    except Fault:
        return [None] * len(starts)
    if len(series) != 1:
        return [None] * len(starts)
    computed = series[0].points
    return [Point(time, computed[time]) if time in computed else None for time in starts]


@lru_cache(1_000)
def _queries(metrics: bytes) -> tuple[str, tuple[tuple[str, str], ...]]:
    """The id of the query that the alarm watches, and all expressions by their ids."""
    queries = orjson.loads(metrics)
    returned = next(query["Id"] for query in queries if query.get("ReturnData", True))
    return returned, tuple([(query["Id"], query["Expression"]) for query in queries if "Expression" in query])
