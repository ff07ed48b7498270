"""The writes of clients: admitted in their transaction, where it is known which entries of indexes they change, and
charged when it has ended. Background work writes by itself, and for nothing.

What a condition refuses costs as much as if it had left the item as it is.
"""

from __future__ import annotations

from collections.abc import Callable

from atoll.capacity.throttling import charge, exhausted, refusal
from atoll.capacity.units import Consumed, arm_units, row_units, write_units, written
from atoll.database import indexes, reads, writes
from atoll.database.format import Row
from atoll.database.region import Region
from atoll.database.schema import Table
from atoll.database.writes import Decision, Image, Outcome, Refused, Write
from atoll.errors import ApiError, ConditionFailed
from atoll.errors.capacity import THROTTLED
from atoll.storage.engine import Transaction

# Admission


def _admit(region: Region, table: Table, used: Consumed | None = None) -> None:
    """Raises if the table may not be written now; `used` is what the operation has written of it and not been charged
    for."""
    if exhausted(region, table, [None], "Write", used):
        raise refusal(region, table, [None], "Write")


def _admit_entries(region: Region, write: Write, old: Row | None, new: Decision, used: Consumed | None = None) -> None:
    """Raises if the write changes an entry of a global index that may not be written now."""
    table = write.table
    slow = exhausted(region, table, table.global_indexes, "Write", used)
    if not slow or not isinstance(new, Image | None) or writes.same(old, new):
        return
    entries = [[indexes.entry(table, index, image, write.row_key) for image in (old, new)] for index in slow]
    changed = [index for index, pair in zip(slow, entries, strict=True) if not indexes.same_entry(index, *pair)]
    if changed:
        raise refusal(region, table, changed, "Write")


def _decide(region: Region, write: Write, old: Row | None) -> Decision:
    """As the write does, if its entries are admitted."""
    new = write.decide(old)
    _admit_entries(region, write, old, new)
    return new


# Single writes

Result = Outcome | ConditionFailed


def execute(tx: Transaction, region: Region, write: Write) -> Result:
    """Run a single write, if it is admitted. What comes of it is for `settle` or `charged`; other refusals are
    raised."""
    try:
        if not write.table.limited:
            return writes.execute(tx, region, write)
        _admit(region, write.table)
        old = reads.get(tx, write.row_key)
        return writes.apply(tx, region, write, old, _decide(region, write, old))
    except ConditionFailed as failed:
        return failed.with_traceback(None)


def settle(region: Region, write: Write, result: Result, operation: str) -> Outcome:
    """Charge a single write whose transaction has ended; raises what its condition refused."""
    if write.table.limited:
        charged(region, write, result)
    name, meter = write.table.name, region.meter
    tally = meter.tally(name, None, operation)
    if isinstance(result, ConditionFailed):
        tally.write_units += write_units(result.size)
        raise result
    tally.write_units += write_units(result.table_bytes)
    for arm in result.arms:
        meter.tally(name, arm.index.name, operation).write_units += arm_units(arm)
    meter.current = tally
    return result


def _measure(region: Region, write: Write, outcome: Outcome, operation: str, factor: int = 1) -> None:
    """Count the units of a write; for `factor` see `Consumed.add_row`."""
    name, tally = write.table.name, region.meter.tally
    tally(name, None, operation).write_units += factor * row_units(write, outcome.table_bytes)
    for arm in outcome.arms:
        tally(name, arm.index.name, operation).write_units += arm_units(arm)


def charged(region: Region, write: Write, result: Result) -> Consumed:
    """Charge a single write whose transaction has ended; returns what it was charged."""
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
    region: Region, make: Callable[[Transaction], tuple[list[Write], bool]], factor: int, operation: str
) -> Together:
    """Run writes as one, each at `factor` times its price; raises `Cancelled`. If `make` says that it was done before,
    nothing is done, and there are no outcomes."""

    def decide(write: Write, old: Row | None) -> Decision:
        if not write.table.limited:
            return write.decide(old)
        _admit(region, write.table)
        return _decide(region, write, old)

    def run(tx: Transaction) -> Together:
        batch, repeated = make(tx)
        return batch, None if repeated else writes.execute_all(tx, region, batch, decide)

    try:
        batch, outcomes = await region.transact(run)
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
    """What a transaction costs that was not made: nothing, unless a condition failed and nothing was exhausted."""
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


async def execute_each(region: Region, make: Callable[[Transaction], list[Write]], operation: str) -> Each:
    """Run writes without conditions, each by itself: one that was not admitted has the reason as its outcome. Raises
    what else refuses one of them, and the reason if none was admitted; then none is applied."""

    def run(tx: Transaction) -> tuple[Each, list[Consumed]]:
        batch = make(tx)
        found = reads.get_many(tx, [one.row_key for one in batch])
        # All decide before one is admitted: what is wrong with a write is told even where nothing can be written.
        decisions = [one.decide(old) for one, old in zip(batch, found, strict=True)]
        consumed: dict[str, Consumed] = {}
        done: Each = []
        for one, old, new in zip(batch, found, decisions, strict=True):
            used = consumed.setdefault(one.table.name, Consumed(one.table, "Write", one.table.name))
            try:
                _admit(region, one.table, used)
                _admit_entries(region, one, old, new, used)
            except ApiError as refused:
                done.append((one, refused.with_traceback(None)))
                continue
            outcome = writes.apply(tx, region, one, old, new)
            used.add_write(one, outcome)
            done.append((one, outcome))
        return done, list(consumed.values())

    done, consumed = await region.transact(run)
    refusals = [outcome for _, outcome in done if isinstance(outcome, ApiError)]
    if len(refusals) == len(done):
        raise refusals[0]
    charge(region, consumed)
    for used in consumed:
        used.measure(region.meter, operation)
    return done
