"""Compute the statistics of a datapoint, named as in CloudWatch.

Percentiles are by nearest rank: p99 is the least value that at least 99 percent of the samples do not exceed.
Percentiles, and the statistics of a range of samples (trimmed and winsorized means, counts, sums, shares), need the
values of all samples, none negative.

    p99  tm90  wm90  tc90  ts90       up to this percentile
    TM(10%:90%)  TM(5:)  PR(:300)     from here to there, percentiles or values; an open end has no bound
    IQM                               the mean between the 25th and the 75th percentile
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import NamedTuple

from atoll.metrics.series import Datapoint

SIMPLE = ("SampleCount", "Average", "Sum", "Minimum", "Maximum")

_CHARS = 1_024
"""No statistic has a longer name."""
_NUMBER = r"\d+(?:\.\d{1,10})?"
_SHORT = re.compile(rf"(p|tm|wm|tc|ts)({_NUMBER})")
_LONG = re.compile(rf"(TM|WM|TC|TS|PR)\(({_NUMBER}%?)?:({_NUMBER}%?)?\)")


class Bound(NamedTuple):
    number: float
    is_percentile: bool


class Extended(NamedTuple):
    kind: str
    """One of "p", "TM", "WM", "TC", "TS" or "PR"."""
    low: Bound | None
    high: Bound | None


def is_statistic(name: str) -> bool:
    return name in SIMPLE or extended(name) is not None


def extended(name: str) -> Extended | None:
    """The parsed name of an extended statistic; None if it is not one."""
    return _extended(name) if len(name) <= _CHARS else None


@lru_cache(1_024)
def _extended(name: str) -> Extended | None:
    if name == "IQM":
        return Extended("TM", Bound(25, True), Bound(75, True))
    short = _SHORT.fullmatch(name)
    if short is not None and float(short[2]) <= 100:
        return Extended("p" if short[1] == "p" else short[1].upper(), None, Bound(float(short[2]), True))
    long = _LONG.fullmatch(name)
    if long is None or not (long[2] or long[3]):
        return None
    low, high = _bound(long[2]), _bound(long[3])
    if any(one is not None and one.is_percentile and (one.number > 100 or long[1] == "PR") for one in (low, high)):
        return None
    if low is not None and high is not None and (low.is_percentile != high.is_percentile or low.number >= high.number):
        return None
    return Extended(long[1], low, high)


def _bound(text: str | None) -> Bound | None:
    return None if not text else Bound(float(text.removesuffix("%")), text.endswith("%"))


def statistic(point: Datapoint, name: str) -> float | None:
    """The value of a statistic; None if the datapoint lacks the needed values. The name must be valid."""
    match name:
        case "Sum":
            return point.sum
        case "SampleCount":
            return point.count
        case "Average":
            return point.sum / point.count if point.count else 0.0
        case "Minimum":
            return point.minimum
        case "Maximum":
            return point.maximum
    found = extended(name)
    if found is None or not point.values or point.minimum < 0:
        return None
    if found.kind == "p":
        assert found.high is not None
        return percentile(point.values, found.high.number)
    return _of_range(found, point.values)


def percentile(values: Mapping[float, float], percent: float) -> float:
    rank = sum(values.values()) * percent / 100
    passed = 0.0
    for value in sorted(values):
        passed += values[value]
        if passed >= rank - 1e-9:
            return value
    return max(values)


def _of_range(wanted: Extended, values: Mapping[float, float]) -> float | None:
    inside = list(_inside(wanted, values))
    count = sum(number for _, number in inside)
    total = math.fsum(value * number for value, number in inside)
    everything = sum(values.values())
    match wanted.kind:
        case "TC":
            return count
        case "TS":
            return total
        case "PR":
            return 100 * count / everything
    if not count:
        return None
    if wanted.kind == "TM":
        return total / count
    # Winsorized: samples outside the range count as the nearest one inside.
    below = sum(number for value, number in values.items() if value < inside[0][0])
    above = sum(number for value, number in values.items() if value > inside[-1][0])
    outside = everything - count
    share = below + above
    if share != outside:  # only some samples of the value are inside
        below += min(outside - share, outside)
    return (total + below * inside[0][0] + (outside - below) * inside[-1][0]) / everything


def _inside(wanted: Extended, values: Mapping[float, float]) -> Iterator[tuple[float, float]]:
    """The values in the range, and the number of samples of each."""
    everything = sum(values.values())
    low, high = wanted.low, wanted.high
    if (low or high or Bound(0, False)).is_percentile:
        first = 0.0 if low is None else everything * low.number / 100
        last = everything if high is None else everything * high.number / 100
        passed = 0.0
        for value in sorted(values):
            number = min(passed + values[value], last) - max(passed, first)
            passed += values[value]
            if number > 1e-9:
                yield value, number
        return
    for value in sorted(values):
        if (low is None or value > low.number) and (high is None or value <= high.number):
            yield value, values[value]
