"""Admit and charge client writes.

A write is admitted in its transaction, where the index entries that it changes are known, and charged afterwards.

Background work bypasses this module and costs no capacity. A write whose condition failed costs as much as one that
left the item unchanged.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable
from typing import Any, TypeVar

from atoll.capacity.key_ranges import Draw
from atoll.capacity.throttling import (
    Levels,
    add_costs,
    charge,
    exhausted,
    observe,
    own_limit,
    refusal,
    refused,
    write_levels,
    writes_freely,
)
from atoll.capacity.units import Consumed, index_write_units, row_units, write_units, written
from atoll.database import indexes, writes
from atoll.database.region import Observer, Region
from atoll.database.rows import Row
from atoll.database.schema import Index, Table
from atoll.database.writes import Decision, Image, Outcome, Refused, Write
from atoll.errors import ApiError, ConditionFailed
from atoll.errors.capacity import THROTTLED
from atoll.storage.engine import Transaction
from atoll.versions import Stamp

# Admission


class _Admission:
    """Checks writes against the limits of their tables. It uses bucket levels from before the transaction (`levels`),
    because a transaction may run more than once and in another thread."""

    def __init__(self, region: Region, levels: Levels | None) -> None:
        self._region = region
        self._levels = levels
        self._ranges = region.key_ranges
        self._now_ms = region.clock.now_ms()
        self._pending: dict[int, float] = {}
        """In batches, the uncharged costs of applied writes at key ranges."""
        self.consumed: dict[str, Consumed] = {}
        """In batches: the uncharged units of applied writes, by table."""

    def decide(self, write: Write, old: Row | None) -> Decision:
        """The write's own decision, if the write is admitted; otherwise raises."""
        if not write.table.limited and self._ranges is None:
            return write.decide(old)
        self.admit(write)
        new = write.decide(old)
        self._admit_entries(write, old, new)
        return new

    def refusal(self, write: Write, old: Row | None, new: Decision) -> ApiError | None:
        table = write.table
        used = self.consumed.get(table.name)
        if used is None:
            used = self.consumed[table.name] = Consumed(table, "Write", table.name)
        if not table.limited and self._ranges is None:
            return None
        try:
            self.admit(write, used)
            self._admit_entries(write, old, new, used)
        except ApiError as refused:
            return refused.with_traceback(None)
        return None

    def applied(self, write: Write, outcome: Outcome) -> None:
        self.consumed[write.table.name].add_write(write, outcome)
        if self._ranges is not None:
            add_costs(self._pending, self._ranges.costs(_draws(write, outcome), self._now_ms))

    def admit(self, write: Write, used: Consumed | None = None) -> None:
        """Raises if the table, or the item's partition, admits no writes."""
        table, region = write.table, self._region
        if exhausted(region, table, [None], "Write", used, self._levels):
            raise refusal(region, table, [None], "Write", write.row_key)
        if self._ranges is not None:
            limit = self._ranges.exhausted(table, None, "Write", write.row_key, self._now_ms, self._pending)
            if limit is not None:
                raise refused(region, table, [(None, limit)], "Write", write.row_key)

    def _admit_entries(self, write: Write, old: Row | None, new: Decision, used: Consumed | None = None) -> None:
        """Raises if the write changes an entry of a throttled global index, or at a throttled key of one."""
        table, ranges = write.table, self._ranges
        if not table.global_indexes:
            return
        slow = exhausted(self._region, table, table.global_indexes, "Write", used, self._levels)
        hot = ranges is not None and (bool(self._pending) or self._now_ms <= ranges.waits_until)
        if not (slow or hot) or not isinstance(new, Image | None) or writes.same(old, new):
            return
        exceeded: list[tuple[Index | None, str]] = []
        for index in table.global_indexes if hot else slow:
            entries = [indexes.entry(table, index, image, write.row_key) for image in (old, new)]
            if indexes.same_entry(index, *entries):
                continue
            limit = own_limit(table) if index in slow else None
            if limit is None and ranges is not None:
                keys = [entry.key for entry in entries if entry is not None]
                limits = (ranges.exhausted(table, index, "Write", k, self._now_ms, self._pending) for k in keys)
                limit = next((one for one in limits if one is not None), None)
            if limit is not None:
                exceeded.append((index, limit))
        if exceeded:
            raise refused(self._region, table, exceeded, "Write", write.row_key)


# Key ranges


def _draws(write: Write, result: Outcome | ConditionFailed, factor: int = 1) -> list[Draw]:
    """The units that a write takes from key ranges; for `factor` see `Consumed.add_row`. Local indexes use the
    partition of the item."""
    table = write.table
    if isinstance(result, ConditionFailed):
        return [(table, None, "Write", write.row_key, factor * row_units(write, result.size))]
    units = factor * row_units(write, result.table_bytes)
    found: list[Draw] = []
    for index_write in result.index_writes:
        index, moved_from = index_write.index, index_write.moved_from
        if index.local:
            units += index_write_units(index_write)
        elif moved_from is None:
            found.append((table, index, "Write", index_write.key, index_write_units(index_write)))
        else:
            found.append((table, index, "Write", moved_from, write_units(index_write.before or 0)))
            found.append((table, index, "Write", index_write.key, write_units(index_write.after or 0)))
    found.append((table, None, "Write", write.row_key, units))
    return found


def _draw(region: Region, write: Write, result: Outcome | ConditionFailed, factor: int = 1) -> None:
    """Charge a write at its key ranges."""
    ranges = region.key_ranges
    if ranges is None:
        return
    if region.observer is not None:
        _observe(region.observer, write, failed=isinstance(result, ConditionFailed))
    now_ms = region.clock.now_ms()
    if isinstance(result, Outcome) and not result.index_writes:
        units = factor * row_units(write, result.table_bytes)
        ranges.wrote(write.table, write.row_key, units, now_ms)
    else:
        for table, index, kind, key, units in _draws(write, result, factor):
            ranges.take(table, index, kind, key, units, now_ms)


def _observe(observer: Observer, write: Write, *, failed: bool) -> None:
    if getattr(write, "condition", None) is not None:
        observer.conditional(write.table, write.row_key, failed=failed)


def draw(region: Region, table: Table, row_key: bytes, units: float) -> None:
    """Charge a failed write, at the key of its row."""
    if region.key_ranges is not None:
        region.key_ranges.take(table, None, "Write", row_key, units, region.clock.now_ms())


# Single writes

Result = Outcome | ConditionFailed
T = TypeVar("T")
W = TypeVar("W", bound=Write)


Make = Callable[[Transaction, int], W]
"""Makes a write within its transaction, of which it gets the time in milliseconds since 1970."""


def attempt(region: Region, name: str, make: Make[W]) -> Coroutine[Any, Any, tuple[W, Result]]:
    """Run a single write to the table `name`, if it is admitted. Pass the result to `charged`. Raises every refusal
    except a failed condition, which is part of the result."""
    known, ranges = region.catalog.known.tables.get(name), region.key_ranges
    is_free = known is None or not known.limited or writes_freely(region, known)
    levels = None if is_free else write_levels(region, (name,))

    def run(tx: Transaction, stamp: Stamp) -> tuple[W, Result]:
        write = make(tx, stamp.now_ms)
        try:
            table = write.table
            is_hot = ranges is not None and stamp.now_ms <= ranges.waits_until
            if is_free and not is_hot and (table is known or not table.limited):
                return write, writes.commit_single(tx, write, stamp)
            admission = _Admission(region, levels)
            admission.admit(write)
            return write, writes.commit_single(tx, write, stamp, admission.decide)
        except ConditionFailed as failed:
            return write, failed.with_traceback(None)

    running = region.write(run)
    return running if region.observer is None else _observed(region, running)


async def _observed(region: Region, running: Coroutine[Any, Any, T]) -> T:
    try:
        return await running
    except ApiError as error:
        observe(region, [error])
        raise


async def execute(region: Region, name: str, make: Make[W], operation: str) -> tuple[W, Outcome]:
    """Run a single write, charge it and measure it; raises if it is refused."""
    write, result = await attempt(region, name, make)
    ranges, buckets, table = region.key_ranges, region.buckets, write.table
    if ranges is not None or (buckets is not None and table.limited):
        if isinstance(result, ConditionFailed) or result.index_writes or region.observer is not None:
            charged(region, write, result)
        else:
            units, rate = write_units(result.table_bytes), table.own_limits[1]
            if buckets is not None and rate is not None:
                buckets.take(2 * table.space + 1, rate, units)
            if ranges is not None:
                ranges.wrote(table, write.row_key, units, region.clock.now_ms())
    meter = region.meter
    tally = meter.tally(name, None, operation)
    if isinstance(result, ConditionFailed):
        tally.writes[write_units(result.size)] += 1
        raise result
    tally.writes[write_units(result.table_bytes)] += 1
    for index_write in result.index_writes:
        meter.tally(name, index_write.index.name, operation).writes[index_write_units(index_write)] += 1
    for vector_write in result.vector_writes:
        meter.of_vectors(name, vector_write.index.name, operation).writes[vector_write.size] += 1
    meter.current = tally
    return write, result


def _measure(region: Region, write: Write, outcome: Outcome, operation: str, factor: int = 1) -> None:
    """Add the units of a write to the meter; for `factor` see `Consumed.add_row`."""
    name, tally = write.table.name, region.meter.tally
    tally(name, None, operation).writes[factor * row_units(write, outcome.table_bytes)] += 1
    for index_write in outcome.index_writes:
        tally(name, index_write.index.name, operation).writes[index_write_units(index_write)] += 1
    for vector_write in outcome.vector_writes:
        region.meter.of_vectors(name, vector_write.index.name, operation).writes[vector_write.size] += 1


def charged(region: Region, write: Write, result: Result) -> Consumed:
    """Charge a single write after its transaction; return its cost."""
    consumed = Consumed(write.table, "Write", write.table.name)
    if isinstance(result, ConditionFailed):
        consumed.add_row(write, result.size)
    else:
        consumed.add_write(write, result)
    charge(region, [consumed])
    _draw(region, write, result)
    return consumed


# Transactions

Together = tuple[list[Write], list[Outcome] | None]


async def execute_all(
    region: Region,
    names: Iterable[str],
    make: Callable[[Transaction], tuple[list[Write], bool]],
    factor: int,
    operation: str,
) -> Together:
    """Run writes to the tables `names` as one transaction, each at `factor` times its price; raises `Cancelled`. If
    `make` finds that the transaction was already done, write nothing and return no outcomes."""
    admission = _Admission(region, write_levels(region, names))

    def run(tx: Transaction, stamp: Stamp) -> Together:
        batch, repeated = make(tx)
        return batch, None if repeated else writes.commit(tx, batch, stamp, admission.decide)

    try:
        batch, outcomes = await region.write(run)
    except Refused as cancelled:
        observe(region, cancelled.refusals)
        lost = _lost(cancelled, factor)
        charge(region, lost)
        if lost and region.key_ranges is not None:
            for write, size, reason in zip(cancelled.writes, cancelled.sizes, cancelled.refusals, strict=True):
                if region.observer is not None:
                    _observe(region.observer, write, failed=isinstance(reason, ConditionFailed))
                draw(region, write.table, write.row_key, factor * row_units(write, size))
        for consumed in lost:
            consumed.measure(region.meter, operation)
        raise
    if outcomes is not None:
        done = list(zip(batch, outcomes, strict=True))
        for one, outcome in done:
            _measure(region, one, outcome, operation, factor)
            _draw(region, one, outcome, factor)
        charge(region, written(((one.table.name, one, outcome) for one, outcome in done if one.table.limited), factor))
    return batch, outcomes


def _lost(refused: Refused, factor: int) -> list[Consumed]:
    """The cost of a cancelled transaction: nothing, unless a condition failed and no part was throttled."""
    refusals = refused.refusals
    throttled = any(one is not None and one.code in THROTTLED for one in refusals)
    if throttled or not any(isinstance(one, ConditionFailed) for one in refusals):
        return []
    consumed: dict[str, Consumed] = {}
    for write, size in zip(refused.writes, refused.sizes, strict=True):
        table = write.table
        consumed.setdefault(table.name, Consumed(table, "Write", table.name)).add_row(write, size, factor)
    return list(consumed.values())


# Batches

Each = list[tuple[Write, Outcome | ApiError]]


async def execute_each(
    region: Region, names: Iterable[str], make: Callable[[Transaction], list[Write]], operation: str
) -> Each:
    """Run writes without conditions to the tables `names`, each by itself. The outcome of a throttled write is its
    throttling error. Raises that error if no write was admitted, and any other refusal of a write; then none is
    applied."""
    levels = write_levels(region, names)

    def run(tx: Transaction, stamp: Stamp) -> tuple[Each, list[Consumed]]:
        admission = _Admission(region, levels)
        batch = make(tx)
        outcomes = writes.commit_each(tx, batch, stamp, admission)
        return list(zip(batch, outcomes, strict=True)), list(admission.consumed.values())

    done, consumed = await region.write(run)
    refusals = [outcome for _, outcome in done if isinstance(outcome, ApiError)]
    observe(region, refusals)
    fails = len(refusals) == len(done)
    for one in refusals[fails:]:  # that of a failed request is counted with the request
        region.meter.throttled(operation, one)
    if fails:
        raise refusals[0]
    charge(region, consumed)
    for write, outcome in done:
        if isinstance(outcome, Outcome):
            _draw(region, write, outcome)
    for used in consumed:
        used.measure(region.meter, operation)
    return done
