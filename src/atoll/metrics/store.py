"""Store the datapoints of a region, and read them.

Datapoints arrive in batches, one row each: a process writes at most one a minute, and each PutMetricData writes one.
Rows are numbered in the order of their commits, so a process reads each batch once and keeps it in memory, decoded. A
quarter of an hour later `upkeep` moves the datapoints into blocks, one row for an hour of a series (see `Grain`), and
drops the batches.

A move takes several transactions. The document `Moved` has its progress, so that a reader takes from the batches only
the datapoints of each series that are not in its blocks yet.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache, partial
from typing import NamedTuple, TypeVar

from atoll.aside import aside
from atoll.database import documents
from atoll.database import format as fmt
from atoll.database.region import Region
from atoll.database.rows import parse_series
from atoll.metrics.batches import Batch, dump_batch, load_batch, load_block
from atoll.metrics.series import DAY_MS, HOUR_MS, MINUTE_MS, TABLES, USAGE, Datapoint, Metric, Series, united
from atoll.storage.engine import Snapshot, Transaction

T = TypeVar("T")

READ_BLOCKS = 400
"""About how many blocks one read takes."""
INLINE_POINTS = 100
"""More points than this are encoded in a thread."""
INLINE_BYTES = 10_000
"""Longer batches than this are decoded in a thread."""
INLINE_WEIGHT = 50
"""Reads with a greater weight (about the number of their blocks) are decoded and folded in a thread."""
KNOWN_WEIGHT = 60
"""This many datapoints in memory have the weight of one block."""
TOGETHER = 1_000
"""The metrics that are examined before other tasks run."""

KEYS = 4_000
"""The most keys of series in memory, apart from those of recent datapoints."""


class Grain(NamedTuple):
    """The precision with which datapoints of some age are kept."""

    number: int
    step_ms: int
    span_ms: int
    """The time span of one block."""
    kept_ms: int


GRAINS = (
    Grain(0, MINUTE_MS, HOUR_MS, 15 * DAY_MS),
    Grain(1, 5 * MINUTE_MS, DAY_MS, 63 * DAY_MS),
    Grain(2, HOUR_MS, 30 * DAY_MS, 455 * DAY_MS),
)


class Wanted(NamedTuple):
    """A request for the datapoints of a metric with start <= time < end, of all units or of one."""

    metric: Metric
    start_ms: int
    end_ms: int
    unit: str | None = None


class Moved(NamedTuple):
    """The batches up to `through` are in blocks, and those up to `until` for the series with keys up to `series`."""

    through: int = 0
    until: int = 0
    series: str = ""

    def first(self, key: bytes) -> int:
        """The number of the last batch that is in the blocks of the series with this key."""
        return self.until if self.series and key.hex() <= self.series else self.through


class Known(NamedTuple):
    """A datapoint of a batch."""

    number: int
    key: bytes
    unit: str
    point: Datapoint


class _Read(NamedTuple):
    moved: Moved
    batches: list[tuple[int, bytes]]
    blocks: list[list[tuple[str, bytes]]]
    """The datapoints of each wanted metric, with their units."""


Points = list[tuple[str, Datapoint]]


class Metrics:
    """The datapoints of a region, with the recent batches in memory: `region.state(Metrics)`."""

    def __init__(self, region: Region) -> None:
        self._region = region
        self.recent: dict[Metric, list[Known]] = {}
        """The datapoints of the batches that are left."""
        self._read = 0
        """The number of the last batch read."""
        self._through = 0
        self._generation = 0

    async def append(self, batch: Batch) -> None:
        if batch:
            points = sum(map(len, batch.values()))
            stored = await aside(dump_batch, batch) if points > INLINE_POINTS else dump_batch(batch)
            await self._region.transact(partial(_append, stored))

    async def points(self, wanted: Sequence[Wanted], fold: Callable[[int, Points], T]) -> list[T]:
        """For each wanted metric, the result of `fold`. Its arguments are the place in `wanted` and the datapoints with
        their units, unordered; several of one time add up. `fold` may run in a thread."""
        found: list[T] = []
        for weight, chunk in self._chunks(wanted):
            read = await self._consistent(chunk)
            known = [self.recent.get(one.metric, [])[:] for one in chunk]
            work = partial(_folded, chunk, read, known, fold, len(found))
            found += await aside(work) if weight > INLINE_WEIGHT else work()
        return found

    def _chunks(self, wanted: Sequence[Wanted]) -> Iterator[tuple[int, list[Wanted]]]:
        """The parts of `wanted` that are read and folded together, each with its weight."""
        chunk: list[Wanted] = []
        weight = 0
        for one in wanted:
            chunk.append(one)
            weight += min((one.end_ms - one.start_ms) // HOUR_MS + 2, READ_BLOCKS)
            weight += len(self.recent.get(one.metric, ())) // KNOWN_WEIGHT
            if weight >= READ_BLOCKS:
                yield weight, chunk
                chunk, weight = [], 0
        if chunk:
            yield weight, chunk

    async def _consistent(self, chunk: Sequence[Wanted]) -> _Read:
        """Read the blocks, and take in new batches."""
        while True:
            read = await self._region.read(partial(_read, self._read, chunk))
            await self.take_in(read.moved, read.batches)
            if read.moved.through >= self._through:  # otherwise the read is older than the batches in memory
                return read

    async def learn(self) -> None:
        """Read the new batches."""
        self._generation, moved, batches = await self._region.read(partial(_new, self._read))
        await self.take_in(moved, batches)

    @property
    def numbers(self) -> tuple[int, int]:
        """The batches that `recent` has: those after the first number, up to the second."""
        return self._through, self._read

    def generation(self, metric: Metric) -> int:
        """A number that changes when this process learns of a table change that may imply datapoints of the metric."""
        return self._generation if metric.namespace in (TABLES, USAGE) else 0

    async def take_in(self, moved: Moved, batches: Iterable[tuple[int, bytes]]) -> None:
        """Keep these batches in memory, and forget those that are in blocks. Other calls may have taken in the same or
        later batches since these were read."""
        loaded = await _loaded([batch for batch in batches if batch[0] > self._read])
        if moved.through > self._through:
            self._through = moved.through
            self._read = max(self._read, moved.through)
            await self._forget(moved.through)
        for number, points in loaded:
            if number > self._read:
                self._read = number
                for metric, known in points:
                    self.recent.setdefault(metric, []).extend(known)
                await asyncio.sleep(0)

    async def _forget(self, through: int) -> None:
        for looked_at, metric in enumerate(list(self.recent)):
            if looked_at % TOGETHER == TOGETHER - 1:
                await asyncio.sleep(0)
            left = [one for one in self.recent.get(metric, ()) if one.number > through]
            if left:
                self.recent[metric] = left
            else:
                self.recent.pop(metric, None)

    async def minute(self, namespace: str, minute_ms: int) -> dict[Metric, Datapoint]:
        """The datapoints of a minute that are not in blocks yet; complete only for the last minutes."""
        await self.learn()
        found = {
            metric: [one.point for one in known if one.point.time_ms == minute_ms]
            for metric, known in self.recent.items()
            if metric.namespace == namespace
        }
        return {metric: united(minute_ms, points) for metric, points in found.items() if points}

    async def listed(self, since_ms: int) -> set[Metric]:
        """The metrics with a datapoint since then."""
        await self.learn()
        recent = list(self.recent.items())  # copied before the blocks are read, since batches may move there meanwhile
        found = await aside(_since, recent, since_ms)
        start: bytes | None = fmt.SERIES[0]
        while start is not None:
            rows, start = await self._region.read(partial(_series_from, start))
            found |= await aside(_listed, rows, since_ms)
        return found


_Loaded = tuple[int, list[tuple[Metric, list[Known]]]]
"""The number of a batch, and its datapoints."""


async def _loaded(batches: Sequence[tuple[int, bytes]]) -> list[_Loaded]:
    if sum(len(stored) for _, stored in batches) > INLINE_BYTES:
        return await aside(_load, batches)
    return _load(batches)


def _load(batches: Sequence[tuple[int, bytes]]) -> list[_Loaded]:
    return [(number, [_load_series(number, *one) for one in load_batch(stored).items()]) for number, stored in batches]


def _load_series(number: int, series: Series, points: Sequence[Datapoint]) -> tuple[Metric, list[Known]]:
    key = _key(series)
    return series.metric, [Known(number, key, series.unit, point) for point in points]


@lru_cache(maxsize=KEYS)  # the datapoints of a series share its key
def _key(series: Series) -> bytes:
    return fmt.series_key(*parts(series))


def parts(series: Series) -> list[str]:
    """The parts of a series' name, which make up its key."""
    metric, unit = series
    dimensions = [part for pair in metric.dimensions for part in pair]
    return [metric.namespace, metric.name, str(len(metric.dimensions)), *dimensions, unit]


def moved(snapshot: Snapshot) -> Moved:
    stored = documents.get(snapshot, "metrics", "moved")
    return Moved() if stored is None else Moved(*stored)


def batches_after(snapshot: Snapshot, number: int) -> list[tuple[int, bytes]]:
    return [(fmt.parse_batch_key(key), stored) for key, stored in snapshot.scan(*fmt.batches_after(number))]


def _new(after: int, snapshot: Snapshot) -> tuple[int, Moved, list[tuple[int, bytes]]]:
    state = moved(snapshot)
    return snapshot.number(fmt.GENERATION), state, batches_after(snapshot, max(after, state.through))


def _append(stored: bytes, tx: Transaction) -> None:
    tx.put(fmt.batch_key(tx.add_number(fmt.BATCHES, 1)), stored)


def _read(after: int, chunk: Sequence[Wanted], snapshot: Snapshot) -> _Read:
    now = moved(snapshot)
    blocks = [list(_blocks(snapshot, one)) for one in chunk]
    return _Read(now, batches_after(snapshot, max(after, now.through)), blocks)


def _blocks(snapshot: Snapshot, wanted: Wanted) -> Iterator[tuple[str, bytes]]:
    *name, _ = parts(Series(wanted.metric, ""))
    for key, stored in snapshot.scan(*fmt.series_of(*name)):
        unit = fmt.parse_series_key(key)[-1]
        if wanted.unit in (None, unit):
            number = parse_series(stored)[0]
            for grain in GRAINS:
                first_ms = wanted.start_ms - grain.span_ms + 1
                for _, block in snapshot.scan(*fmt.blocks_of(grain.number, number, max(0, first_ms), wanted.end_ms)):
                    yield unit, block


def _folded(
    chunk: Sequence[Wanted],
    read: _Read,
    recent: Sequence[Sequence[Known]],
    fold: Callable[[int, Points], T],
    first: int,
) -> list[T]:
    found = []
    for place, (one, stored, known) in enumerate(zip(chunk, read.blocks, recent, strict=True), first):
        points = _known(one, known, read.moved)
        for unit, block in stored:
            points += [(unit, point) for point in load_block(block) if one.start_ms <= point.time_ms < one.end_ms]
        found.append(fold(place, points))
    return found


def _known(wanted: Wanted, recent: Sequence[Known], moved: Moved) -> Points:
    return [
        (one.unit, one.point)
        for one in recent
        if wanted.start_ms <= one.point.time_ms < wanted.end_ms
        and wanted.unit in (None, one.unit)
        and one.number > moved.first(one.key)
    ]


def _since(recent: Sequence[tuple[Metric, Sequence[Known]]], since_ms: int) -> set[Metric]:
    return {metric for metric, known in recent if any(one.point.time_ms >= since_ms for one in known)}


def _series_from(start: bytes, snapshot: Snapshot) -> tuple[list[tuple[bytes, bytes]], bytes | None]:
    """The rows of some series, and the start of the next ones."""
    rows = list(snapshot.scan(start, fmt.SERIES[1], limit=TOGETHER + 1))
    return rows[:TOGETHER], rows[TOGETHER][0] if len(rows) > TOGETHER else None


def _listed(rows: Sequence[tuple[bytes, bytes]], since_ms: int) -> set[Metric]:
    found = set()
    for key, stored in rows:
        if parse_series(stored)[1] >= since_ms:
            namespace, name, _, *dimensions, _ = fmt.parse_series_key(key)
            found.add(Metric(namespace, name, tuple(zip(dimensions[::2], dimensions[1::2], strict=True))))
    return found
