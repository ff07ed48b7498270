"""The encodings of datapoints in rows: batches of all series as they arrive, and blocks of one series.

A batch is compressed JSON: for each series its namespace, name, dimensions and unit, and its datapoints. A block is
compressed JSON too: the columns of the datapoints of one series. Both keep floats exactly.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import orjson

from atoll.metrics.series import Datapoint, Metric, Series

Batch = Mapping[Series, Sequence[Datapoint]]

_LEVEL = 1


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


def dump_block(points: Iterable[Datapoint]) -> bytes:
    return zlib.compress(orjson.dumps(list(zip(*map(_plain, points), strict=True))), 9)


def load_block(stored: bytes) -> list[Datapoint]:
    return [_point(*point) for point in zip(*orjson.loads(zlib.decompress(stored)), strict=True)]
