"""Record each change of the capacity of tables, indexes and the account, as a *step*: the time and the new values.

The metrics of capacity follow from these steps (`implied`), so a table whose capacity stays the same costs nothing.
When a table has changed, the process with the region's lease reads all definitions, and stores a step for each part
(table or index) whose capacity changed. The steps of a part are one document.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import NamedTuple

import orjson

from atoll.aside import aside
from atoll.database import documents
from atoll.database import format as fmt
from atoll.database.region import Region
from atoll.database.schema import HASHES, ON_DEMAND, Table
from atoll.metrics.measured import COUNT, PERCENT, dynamodb
from atoll.metrics.series import DAY_MS, MINUTE_MS, Series, single
from atoll.metrics.store import Metrics
from atoll.storage.engine import Snapshot, Transaction

KIND = "metric-steps"
CHANGES = "metric-steps-changes"

PROVISIONED, MAXIMUM, ACCOUNT, NOTHING = "provisioned", "maximum", "account", "nothing"
"""The values of a step: provisioned units; the maxima of an on-demand table; for the account, the units provisioned in
all, the most of one table and the number of tables. A deleted part has none."""

KEPT = 2_000
"""The most steps of one part."""
KEPT_MS = 63 * DAY_MS

TOGETHER = 200
"""The most documents of one transaction."""

NEVER_USED = ("OnlineIndexConsumedWriteCapacity", "OnlineIndexThrottleEvents")
"""Metrics of an index that is being built: it consumes none of the table's throughput."""

Part = tuple[str, str]
"""Table and index, empty for the table itself; two empty names are the account."""
Values = dict[Part, tuple[str, tuple[int | None, ...]]]
"""The values of each part's last step."""


class Step(NamedTuple):
    since_ms: int
    kind: str
    values: tuple[int | None, ...] = ()


class Steps:
    """The `Work` of a region's evaluation that records steps."""

    def __init__(self, region: Region) -> None:
        self._region = region
        self._generation = -1
        self._known: Values | None = None
        self._changes = 0
        """The number of changes of steps up to which they are known."""
        self._filling: list[tuple[str, str, int]] = []
        """The indexes that are being built: table, index and space."""
        self._minute_ms = 0

    async def settle(self, now_ms: int) -> int | None:
        generation = await self._region.read(lambda snapshot: snapshot.number(fmt.GENERATION))
        if generation != self._generation:
            await self._learn(now_ms)
        if self._filling:
            return await self._measure_progress(now_ms)
        return None

    async def _learn(self, now_ms: int) -> None:
        generation, tables, changes = await self._region.read(self._definitions)
        if self._known is None or changes != self._changes:  # another process had the lease meanwhile
            self._known = await self._stored()
        now, changed = await aside(_compared, self._known, tables, now_ms)
        parts = list(changed)
        for start in range(0, len(parts), TOGETHER):
            some = {part: changed[part] for part in parts[start : start + TOGETHER]}
            changes = await self._region.transact(partial(_store, some))
        self._known, self._generation, self._changes = now, generation, changes
        self._filling = [
            (table.name, index.name, index.space)
            for table in tables
            if table.is_filling
            for index in table.global_indexes
            if index.backfilling
        ]

    def _definitions(self, snapshot: Snapshot) -> tuple[int, list[Table], int]:
        tables = self._region.catalog.tables(snapshot)
        return snapshot.number(fmt.GENERATION), tables, documents.get(snapshot, CHANGES) or 0

    async def _stored(self) -> Values:
        """The last step of each part."""
        found: Values = {}
        after: bytes | None = fmt.documents_of(KIND)[0]
        while after is not None:
            rows, after = await self._region.read(partial(_rows, after))
            found |= await aside(_last_steps, rows)
        return found

    async def _measure_progress(self, now_ms: int) -> int:
        """Once a minute, store the built share of each index; returns when to do so again."""
        minute_ms = now_ms - now_ms % MINUTE_MS
        if minute_ms != self._minute_ms:
            self._minute_ms = minute_ms
            spaces = [space for _, _, space in self._filling]
            done = await self._region.read(lambda snapshot: [_percent(snapshot, space) for space in spaces])
            batch = {}
            for (table, index, _), percent in zip(self._filling, done, strict=True):
                dimensions = {"TableName": table, "GlobalSecondaryIndexName": index}
                series = Series(dynamodb("OnlineIndexPercentageProgress", **dimensions), PERCENT)
                batch[series] = [single(minute_ms, percent)]
                for name in NEVER_USED:
                    batch[Series(dynamodb(name, **dimensions), COUNT)] = [single(minute_ms, 0.0)]
            await self._region.state(Metrics).append(batch)
        return minute_ms + MINUTE_MS

    async def stop(self) -> None:
        """Does nothing: no task outlives a `settle`."""


def steps(snapshot: Snapshot, part: Part) -> list[Step]:
    """The steps of a part, by time."""
    return [
        Step(since_ms, kind, tuple(values)) for since_ms, kind, values in documents.get(snapshot, KIND, *part) or ()
    ]


def current(tables: Mapping[str, Table]) -> Iterator[tuple[Part, tuple[str, tuple[int | None, ...]]]]:
    reads, writes = [0], [0]
    for table in tables.values():
        if table.billing_mode == ON_DEMAND:
            for name, maximum in [("", table.on_demand), *((one.name, one.on_demand) for one in table.global_indexes)]:
                if maximum is not None and (maximum.max_read, maximum.max_write) != (None, None):
                    yield (table.name, name), (MAXIMUM, (_limit(maximum.max_read), _limit(maximum.max_write)))
            continue
        indexes = [(one.name, one.throughput) for one in table.global_indexes if one.throughput is not None]
        for name, throughput in [("", table.throughput), *indexes]:
            yield (table.name, name), (PROVISIONED, (throughput.read, throughput.write))
            reads.append(throughput.read)
            writes.append(throughput.write)
    if tables:
        provisioned = (sum(reads), sum(writes), max(reads), max(writes)) if len(reads) > 1 else (None,) * 4
        yield ("", ""), (ACCOUNT, (*provisioned, len(tables)))


def _percent(snapshot: Snapshot, space: int) -> float:
    """The done share of a backfill, in percent, from the hash of the last item: items are visited in the order of
    hashes."""
    last = snapshot.get(fmt.backfill_key(space))
    return 0.0 if last is None else 100 * fmt.hash_number(last) / HASHES


def _limit(maximum: int | None) -> int | None:
    return None if maximum == -1 else maximum


def _compared(known: Values, tables: Sequence[Table], now_ms: int) -> tuple[Values, dict[Part, Step]]:
    """The present values, and the steps from the known ones to these."""
    now = dict(current({table.name: table for table in tables}))
    changed = {part: Step(now_ms, *value) for part, value in now.items() if known.get(part) != value}
    gone = [part for part, (kind, _) in known.items() if part not in now and kind != NOTHING]
    return now, changed | {part: Step(now_ms, NOTHING) for part in gone}


def _rows(start: bytes, snapshot: Snapshot) -> tuple[list[tuple[bytes, bytes]], bytes | None]:
    """Some documents of steps, and where the next ones start."""
    rows = list(snapshot.scan(start, fmt.documents_of(KIND)[1], limit=TOGETHER + 1))
    return rows[:TOGETHER], rows[TOGETHER][0] if len(rows) > TOGETHER else None


def _last_steps(rows: Sequence[tuple[bytes, bytes]]) -> Values:
    found: Values = {}
    for key, stored in rows:
        _, table, index = fmt.parse_document_key(key)
        last = orjson.loads(stored)[-1]
        found[table, index] = last[1], tuple(last[2])
    return found


def _store(changed: Mapping[Part, Step], tx: Transaction) -> int:
    """Store steps; returns the number of changes of steps so far."""
    for part, step in changed.items():
        old: Sequence[Step] = steps(tx, part)[-KEPT + 1 :]
        # The last step before the oldest datapoint is kept: it has the values at that time.
        first = next((place for place in range(len(old)) if old[place].since_ms > step.since_ms - KEPT_MS), len(old))
        kept = old[max(0, first - 1) :]
        if kept and kept[-1].since_ms // MINUTE_MS == step.since_ms // MINUTE_MS:
            kept = kept[:-1]  # a minute has the value of its end
        documents.put(tx, [list(one) for one in [*kept, step]], KIND, *part)
    changes = int(documents.get(tx, CHANGES) or 0) + 1
    documents.put(tx, changes, CHANGES)
    return changes
