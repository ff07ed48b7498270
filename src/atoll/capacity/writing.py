"""Admit and charge client writes.

A write is admitted in its transaction, where the index entries that it changes are known, and charged afterwards.

Background work bypasses this module and costs no capacity. A write whose condition failed costs as much as one that
left the item unchanged.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable
from typing import Any, TypeVar

from atoll.capacity.throttling import Levels, charge, exhausted, refusal, write_levels
from atoll.capacity.units import Consumed, index_write_units, row_units, write_units, written
from atoll.clock import Stamp
from atoll.database import indexes, writes
from atoll.database.format import Row
from atoll.database.region import Region
from atoll.database.schema import Table
from atoll.database.writes import Decision, Image, Outcome, Refused, Write
from atoll.errors import ApiError, ConditionFailed
from atoll.errors.capacity import THROTTLED
from atoll.storage.engine import Transaction

# Admission


class _Admission:
    """Checks writes against the limits of their tables. `levels` are the bucket levels before the transaction, because
    a transaction may run more than once and in another thread."""

    def __init__(self, region: Region, levels: Levels | None) -> None:
        self._region = region
        self._levels = levels
        self.consumed: dict[str, Consumed] = {}
        """In batches: the uncharged units of applied writes, by table."""

    def decide(self, write: Write, old: Row | None) -> Decision:
        """The write's own decision, if the write is admitted; otherwise raises."""
        if not write.table.limited:
            return write.decide(old)
        self._admit(write.table)
        new = write.decide(old)
        self._admit_entries(write, old, new)
        return new

    def refusal(self, write: Write, old: Row | None, new: Decision) -> ApiError | None:
        table = write.table
        used = self.consumed.setdefault(table.name, Consumed(table, "Write", table.name))
        try:
            self._admit(table, used)
            self._admit_entries(write, old, new, used)
        except ApiError as refused:
            return refused.with_traceback(None)
        return None

    def applied(self, write: Write, outcome: Outcome) -> None:
        self.consumed[write.table.name].add_write(write, outcome)

    def admit_table(self, table: Table) -> None:
        """Raises if the table admits no writes."""
        if table.limited:
            self._admit(table)

    def _admit(self, table: Table, used: Consumed | None = None) -> None:
        if exhausted(self._region, table, [None], "Write", used, self._levels):
            raise refusal(self._region, table, [None], "Write")

    def _admit_entries(self, write: Write, old: Row | None, new: Decision, used: Consumed | None = None) -> None:
        """Raises if the write changes an entry of a throttled global index."""
        table = write.table
        slow = exhausted(self._region, table, table.global_indexes, "Write", used, self._levels)
        if not slow or not isinstance(new, Image | None) or writes.same(old, new):
            return
        entries = [[indexes.entry(table, index, image, write.row_key) for image in (old, new)] for index in slow]
        changed = [index for index, pair in zip(slow, entries, strict=True) if not indexes.same_entry(index, *pair)]
        if changed:
            raise refusal(self._region, table, changed, "Write")


# Single writes

Result = Outcome | ConditionFailed
W = TypeVar("W", bound=Write)


def attempt(region: Region, name: str, make: Callable[[Transaction], W]) -> Coroutine[Any, Any, tuple[W, Result]]:
    """Run a single write to the table `name`, if it is admitted. Pass the result to `charged`. Raises every refusal
    except a failed condition, which is part of the result."""
    known = region.catalog.known.tables.get(name)
    levels = write_levels(region, (name,)) if known is not None and known.limited else None

    def run(tx: Transaction, stamp: Stamp) -> tuple[W, Result]:
        write = make(tx)
        try:
            if not write.table.limited:
                return write, writes.commit_single(tx, write, stamp)
            admission = _Admission(region, levels)
            admission.admit_table(write.table)
            return write, writes.commit_single(tx, write, stamp, admission.decide)
        except ConditionFailed as failed:
            return write, failed.with_traceback(None)

    return region.write(run)


async def execute(region: Region, name: str, make: Callable[[Transaction], W], operation: str) -> tuple[W, Outcome]:
    """Run a single write, charge it and measure it; raises if it is refused."""
    write, result = await attempt(region, name, make)
    if write.table.limited:
        charged(region, write, result)
    meter = region.meter
    tally = meter.tally(name, None, operation)
    if isinstance(result, ConditionFailed):
        tally.wrote(write_units(result.size))
        raise result
    tally.wrote(write_units(result.table_bytes))
    for index_write in result.index_writes:
        meter.tally(name, index_write.index.name, operation).wrote(index_write_units(index_write))
    meter.current = tally
    return write, result


def _measure(region: Region, write: Write, outcome: Outcome, operation: str, factor: int = 1) -> None:
    """Add the units of a write to the meter; for `factor` see `Consumed.add_row`."""
    name, tally = write.table.name, region.meter.tally
    tally(name, None, operation).wrote(factor * row_units(write, outcome.table_bytes))
    for index_write in outcome.index_writes:
        tally(name, index_write.index.name, operation).wrote(index_write_units(index_write))


def charged(region: Region, write: Write, result: Result) -> Consumed:
    """Charge a single write after its transaction; return its cost."""
    consumed = Consumed(write.table, "Write", write.table.name)
    if isinstance(result, ConditionFailed):
        consumed.add_row(write, result.size)
    else:
        consumed.add_write(write, result)
    charge(region, [consumed])
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
    `make` finds that the transaction was done before, write nothing and return no outcomes."""
    admission = _Admission(region, write_levels(region, names))

    def run(tx: Transaction, stamp: Stamp) -> Together:
        batch, repeated = make(tx)
        return batch, None if repeated else writes.commit(tx, batch, stamp, admission.decide)

    try:
        batch, outcomes = await region.write(run)
    except Refused as refused:
        lost = _lost(refused, factor)
        charge(region, lost)
        for consumed in lost:
            consumed.measure(region.meter, operation)
        raise
    if outcomes is not None:
        done = list(zip(batch, outcomes, strict=True))
        for one, outcome in done:
            _measure(region, one, outcome, operation, factor)
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
    if len(refusals) == len(done):
        raise refusals[0]
    charge(region, consumed)
    for used in consumed:
        used.measure(region.meter, operation)
    return done
