"""The functions of metric math whose arguments are values. Each row has the kinds of arguments and the implementation.

A function of one series also takes a list, and is then applied to each of its series. IF and the functions that take
ids or words are in `evaluation`.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise

from atoll.errors import metric_math as errors
from atoll.metrics.math.series import Array, Grid, Series, Value, at, guarded, kind, known, like, mapped, times_of

POINTWISE: Mapping[str, Callable[[float], float]] = {
    "ABS": abs,
    "CEIL": math.ceil,
    "FLOOR": math.floor,
    "LOG": math.log,
    "LOG10": math.log10,
}

_Points = Mapping[int, float]


def _difference(points: _Points) -> dict[int, float]:
    return {time: value - before for (_, before), (time, value) in pairwise(points.items())}


def _time_difference(points: _Points) -> dict[int, float]:
    return {time: (time - before) / 1000 for before, time in pairwise(points)}


def _rate(points: _Points) -> dict[int, float]:
    return {time: (value - a) * 1000 / (time - before) for (before, a), (time, value) in pairwise(points.items())}


def _running_sum(points: _Points) -> dict[int, float]:
    found, total = {}, 0.0
    for time, value in points.items():
        total += value
        found[time] = total
    return found


OF_SERIES: Mapping[str, Callable[[_Points], dict[int, float]]] = {
    "DIFF": _difference,
    "DIFF_TIME": _time_difference,
    "RATE": _rate,
    "RUNNING_SUM": _running_sum,
}

OF_TIME: Mapping[str, Callable[[datetime], float]] = {
    "EPOCH": lambda time: time.timestamp(),
    "MINUTE": lambda time: time.minute,
    "HOUR": lambda time: time.hour,
    "DAY": lambda time: time.isoweekday(),
    "DATE": lambda time: time.day,
    "MONTH": lambda time: time.month,
    "YEAR": lambda time: time.year,
}


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)


AGGREGATES: Mapping[str, Callable[[Sequence[float]], float]] = {
    "MIN": min,
    "MAX": max,
    "SUM": math.fsum,
    "AVG": _mean,
    "STDDEV": statistics.pstdev,
}


def each(value: Value, change: Callable[[Series], Series], function: str) -> Value:
    if isinstance(value, Series):
        return change(value)
    if isinstance(value, tuple) and all(isinstance(one, Series) for one in value):
        return tuple([change(one) for one in value if isinstance(one, Series)])
    raise errors.arguments(function, [kind(value)])


def pointwise(function: str, value: Value, grid: Grid) -> Value:
    return mapped(value, POINTWISE[function], grid)


def of_series(function: str, value: Value, grid: Grid) -> Value:
    def change(series: Series) -> Series:
        grid.spend(len(series.points))
        found = OF_SERIES[function](series.points)
        return replace(series, points={time: one for time, one in found.items() if math.isfinite(one)})

    return each(value, change, function)


def of_time(function: str, value: Value, grid: Grid) -> Value:
    def change(series: Series) -> Series:
        grid.spend(len(series.points))
        part = OF_TIME[function]
        return replace(
            series, points={time: float(part(datetime.fromtimestamp(time / 1000, UTC))) for time in series.points}
        )

    return each(value, change, function)


def aggregate(function: str, value: Value, grid: Grid) -> Value:
    """One series becomes a scalar. A list becomes a series: each point aggregates the members that have a point at that
    time; only the average counts the others as 0."""
    compute = AGGREGATES[function]
    if isinstance(value, float):
        return value
    if isinstance(value, Series):
        grid.spend(len(value.points))
        return guarded(lambda: compute(list(value.points.values()))) if value.points else math.nan
    if not any(isinstance(one, Series) for one in value):
        scalars = [one for one in value if isinstance(one, float)]
        return guarded(lambda: compute(scalars)) if scalars else math.nan
    found = {}
    times = list(times_of(value))
    grid.spend(len(times) * len(value))
    for time in times:
        present = [
            one if isinstance(one, float) else one.points[time]
            for one in value
            if isinstance(one, float) or time in one.points
        ]
        if function == "AVG":
            present += [0.0] * (len(value) - len(present))
        found[time] = guarded(lambda present=present: compute(present))
    return replace(like(value[0], value, known(found.items())), label=function)


def datapoint_count(value: Value, grid: Grid) -> Value:
    if isinstance(value, Series):
        return float(len(value.points))
    if isinstance(value, float):
        raise errors.arguments("DATAPOINT_COUNT", [kind(value)])
    found: dict[int, float] = {}
    for series in value:
        if isinstance(series, Series):
            grid.spend(len(series.points))
            for time in series.points:
                found[time] = found.get(time, 0.0) + 1
    return Series(dict(sorted(found.items())), grid.period_s, "DATAPOINT_COUNT")


def repeated(series: Series, grid: Grid) -> Series:
    """The series with missing points filled by the value before them; those before the first point stay missing."""
    found, last = {}, math.nan
    for time in _filled_times(series, grid):
        last = series.points.get(time, last)
        found[time] = last
    return replace(series, points=known(found.items()))


def interpolated(series: Series, grid: Grid) -> Series:
    """The series with missing points between two others filled by linear interpolation."""
    found: dict[int, float] = {}
    if len(series.points) < 2:
        return series
    for (before, a), (after, b) in pairwise(series.points.items()):
        for time in range(before, after, grid.period_s * 1000):
            found[time] = a + (b - a) * (time - before) / (after - before)
    grid.spend(len(found))
    last = max(series.points)
    return replace(series, points={**found, last: series.points[last]})


def filled(series: Series, filler: Series | float, grid: Grid) -> Series:
    found = {}
    value = at(filler)
    for time in _filled_times(series, grid):
        if time in series.points:
            found[time] = series.points[time]
        elif isinstance(filler, float) or time in filler.points:
            found[time] = value(time)
    return replace(series, points=known(found.items()))


def _filled_times(series: Series, grid: Grid) -> list[int]:
    aligned = next(iter(series.points), None)
    times = sorted({*grid.times(aligned), *series.points})
    grid.spend(len(times))
    return times


def constant(value: float, grid: Grid) -> Series:
    times = grid.times()
    grid.spend(len(times))
    return Series(known((time, value) for time in times), grid.period_s)


def sliced(array: Array, start: float, end: float | None) -> Array:
    return array[max(int(start), 0) : None if end is None else max(int(end), 0)]


def sort(array: Array, by: str, order: str, most: float | None, grid: Grid) -> Array:
    def key(one: Series | float) -> float:
        value = aggregate(by, one, grid)
        assert isinstance(value, float)
        return value

    # Series without a point are last.
    keyed = [(key(one), one) for one in array]
    numbered = [pair for pair in keyed if not math.isnan(pair[0])]
    found = sorted(numbered, key=lambda pair: pair[0], reverse=order == "DESC")
    found += [pair for pair in keyed if math.isnan(pair[0])]
    return tuple([one for _, one in found])[: None if most is None else max(int(most), 0)]
