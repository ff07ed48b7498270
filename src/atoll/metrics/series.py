"""Metrics and their datapoints.

A datapoint summarizes the samples of one period: their sum, number, least and greatest value, and, if known, how often
each value occurred. Datapoints add up, in any order of processes and periods. The number of different values is
bounded: beyond `VALUES` they are rounded to `STEPS` values for each doubling, so a percentile is exact for few samples
and within 5 % for many.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from operator import mul
from typing import NamedTuple

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS

TABLES, USAGE = "AWS/DynamoDB", "AWS/Usage"
"""The namespaces of the metrics of tables, and of what the account uses of its quotas."""

VALUES = 150
STEPS = 8


@dataclass(frozen=True, slots=True)
class Metric:
    namespace: str
    name: str
    dimensions: tuple[tuple[str, str], ...] = ()
    """Pairs of name and value, sorted."""


@dataclass(frozen=True, slots=True)
class Datapoint:
    time_ms: int
    """The start of its period."""
    sum: float
    count: float
    minimum: float
    maximum: float
    values: Mapping[float, float] | None = None
    """How often each value occurred; None if unknown."""


class Series(NamedTuple):
    """A metric with one unit, for which datapoints are stored: one metric may have several units."""

    metric: Metric
    unit: str


def single(time_ms: int, value: float, count: float = 1) -> Datapoint:
    """A datapoint of one value that occurred `count` times. Its percentiles need no `values`."""
    return Datapoint(time_ms, value * count, count, value, value, {value: count})


def of_values(time_ms: int, values: Mapping[float, float]) -> Datapoint:
    """A datapoint of several values; `values` maps each to how often it occurred."""
    total = math.fsum(map(mul, values, values.values()))
    return Datapoint(time_ms, total, sum(values.values()), min(values), max(values), _bounded(values))


def united(time_ms: int, points: Iterable[Datapoint]) -> Datapoint:
    """One datapoint with the samples of one or more datapoints."""
    points = list(points)
    if len(points) == 1:
        one = points[0]
        return one if one.time_ms == time_ms else Datapoint(time_ms, *_contents(one))
    values: dict[float, float] = {}
    for point in points:
        for value, count in (point.values or {}).items():
            values[value] = values.get(value, 0) + count
    is_known = all(point.values is not None for point in points)
    return Datapoint(
        time_ms,
        math.fsum(point.sum for point in points),
        sum(point.count for point in points),
        min(point.minimum for point in points),
        max(point.maximum for point in points),
        _bounded(values) if is_known else None,
    )


def _contents(point: Datapoint) -> tuple[float, float, float, float, Mapping[float, float] | None]:
    return point.sum, point.count, point.minimum, point.maximum, point.values


def aligned(points: Iterable[Datapoint], period_ms: int, origin_ms: int = 0) -> list[Datapoint]:
    """The datapoints united by period, in the order of time. One of the periods begins at the origin."""
    periods: dict[int, list[Datapoint]] = {}
    for point in points:
        periods.setdefault(point.time_ms - (point.time_ms - origin_ms) % period_ms, []).append(point)
    return [united(time_ms, periods[time_ms]) for time_ms in sorted(periods)]


def _bounded(values: Mapping[float, float]) -> Mapping[float, float]:
    if len(values) <= VALUES:
        return values
    found: dict[float, float] = {}
    for value, count in values.items():
        near = _rounded(value)
        found[near] = found.get(near, 0) + count
    return found if len(found) <= VALUES else _coarse(found)


def _rounded(value: float) -> float:
    """The value rounded to one of `STEPS` for each doubling; rounding it again changes nothing."""
    if value == 0:
        return 0.0
    return math.copysign(2 ** (round(math.log2(abs(value)) * STEPS) / STEPS), value)


def _coarse(values: Mapping[float, float]) -> Mapping[float, float]:
    """Reduce values over many doublings: keep the most frequent ones, and count the others on the next greater one."""
    frequent = sorted(values, key=lambda value: values[value], reverse=True)
    kept = sorted({*frequent[: VALUES - 1], max(values)})
    found: dict[float, float] = {}
    place = 0
    for value in sorted(values):
        while kept[place] < value:
            place += 1
        found[kept[place]] = found.get(kept[place], 0) + values[value]
    return found
