"""Metrics and their datapoints.

A datapoint summarizes the samples of one period: their sum, number, least and greatest value, and how often each value
occurred, as far as that is known. Datapoints add up, so the order in which processes and periods are united does not
matter. Values that occurred are bounded: beyond `VALUES` different ones they are rounded to `STEPS` values an octave,
so a percentile is exact for few samples and within 5 % for many.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
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
    """Names and values, sorted."""


@dataclass(frozen=True, slots=True)
class Datapoint:
    time_ms: int
    """The start of its period."""
    sum: float
    count: float
    minimum: float
    maximum: float
    values: Mapping[float, float] | None = None
    """How often each value occurred; None if that is not known."""


class Series(NamedTuple):
    """What datapoints are stored for: one metric may have been put with several units."""

    metric: Metric
    unit: str


def single(time_ms: int, value: float, count: float = 1) -> Datapoint:
    """A value that occurred so often. A percentile of it needs no values."""
    return Datapoint(time_ms, value * count, count, value, value, {value: count})


def of_values(time_ms: int, values: Mapping[float, float]) -> Datapoint:
    """`values`: how often each occurred."""
    total = math.fsum(value * count for value, count in values.items())
    return Datapoint(time_ms, total, sum(values.values()), min(values), max(values), _bounded(values))


def united(time_ms: int, points: Iterable[Datapoint]) -> Datapoint:
    """All samples of at least one datapoint as one."""
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
    """One datapoint for each period that has any, by time. One of the periods begins at the origin."""
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
    """The nearest of the values that remain beyond `VALUES` different ones; rounding it again changes nothing."""
    if value == 0:
        return 0.0
    return math.copysign(2 ** (round(math.log2(abs(value)) * STEPS) / STEPS), value)


def _coarse(values: Mapping[float, float]) -> Mapping[float, float]:
    """Values over many octaves: keep those that occurred most often, and count the others on the next greater one."""
    frequent = sorted(values, key=lambda value: values[value], reverse=True)
    kept = sorted({*frequent[: VALUES - 1], max(values)})
    found: dict[float, float] = {}
    place = 0
    for value in sorted(values):
        while kept[place] < value:
            place += 1
        found[kept[place]] = found.get(kept[place], 0) + values[value]
    return found
