"""The encodings of datapoints in rows: batches of all series as they arrive, and blocks of one series.

A batch is compressed JSON: for each series its namespace, name, dimensions and unit, and its datapoints. A block is
compressed JSON, too: the datapoints of one series in columns, and the list of values that occurred, which its
datapoints share. Columns that can be computed from the values are omitted. Both keep floats exactly.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from atoll.metrics.series import MINUTE_MS, Datapoint, Metric, Series, of_values

Batch = Mapping[Series, Sequence[Datapoint]]

_LEVEL = 1
_BLOCK_LEVEL = 6

DENSE = 200
"""In a block with more different values than this, a datapoint refers to values by their places in the list."""


def dump_batch(batch: Batch) -> bytes:
    rows = [
        [metric.namespace, metric.name, metric.dimensions, unit, [_plain(point) for point in points]]
        for (metric, unit), points in batch.items()
    ]
    return zlib.compress(orjson.dumps(rows), _LEVEL)


def load_batch(stored: bytes) -> dict[Series, list[Datapoint]]:
    found = {}
    for namespace, name, dimensions, unit, points in orjson.loads(zlib.decompress(stored)):
        metric = Metric(namespace, name, tuple([(key, value) for key, value in dimensions]))
        found[Series(metric, unit)] = [_point(*point) for point in points]
    return found


def _plain(point: Datapoint) -> list[Any]:
    values = None if point.values is None else [list(point.values), list(point.values.values())]
    return [point.time_ms, point.sum, point.count, point.minimum, point.maximum, values]


def _point(time_ms: int, sum_: float, count: float, minimum: float, maximum: float, values: Any) -> Datapoint:
    known = None if values is None else dict(zip(*values, strict=True))
    return Datapoint(time_ms, sum_, count, minimum, maximum, known)


def dump_block(points: Sequence[Datapoint]) -> bytes:
    first_ms = points[0].time_ms
    times = [(point.time_ms - first_ms) / MINUTE_MS for point in points]
    values = sorted({value for point in points for value in point.values or ()})
    places = {value: place for place, value in enumerate(values)}
    follow = [point.values is not None and point == of_values(point.time_ms, point.values) for point in points]
    summaries = [
        [None if follows else _short(getattr(point, name)) for point, follows in zip(points, follow, strict=True)]
        for name in _COLUMNS
    ]
    columns = [
        first_ms,
        [int(time) if time.is_integer() else time for time in times],
        *summaries,
        [_short(value) for value in values],
        [None if point.values is None else _counts(point.values, places) for point in points],
    ]
    return zlib.compress(orjson.dumps(columns), _BLOCK_LEVEL)


_COLUMNS = ("sum", "count", "minimum", "maximum")


def _short(number: float) -> float:
    return int(number) if -_EXACT < number < _EXACT and number == int(number) else number


_EXACT = 1 << 53


def _counts(own: Mapping[float, float], places: Mapping[float, int]) -> list[float]:
    """The counts of all of the block's values, if there are few; otherwise the places of values that occurred, with
    their counts."""
    if len(places) > DENSE:
        return [number for value in sorted(own) for number in (places[value], _short(own[value]))]
    counts: list[float] = [0] * len(places)
    for value, count in own.items():
        counts[places[value]] = _short(count)
    return counts


def load_block(stored: bytes) -> list[Datapoint]:
    first_ms, times, sums, counts, minima, maxima, values, occurred = orjson.loads(zlib.decompress(stored))
    found = []
    for time, sum_, count, minimum, maximum, own in zip(times, sums, counts, minima, maxima, occurred, strict=True):
        if own is None:
            known = None
        elif len(values) <= DENSE:
            known = {value: often for value, often in zip(values, own, strict=True) if often}
        else:
            known = {values[place]: often for place, often in zip(own[::2], own[1::2], strict=True)}
        time_ms = first_ms + round(time * MINUTE_MS)
        if sum_ is None:
            found.append(of_values(time_ms, known or {}))
        else:
            found.append(Datapoint(time_ms, sum_, count, minimum, maximum, known))
    return found
