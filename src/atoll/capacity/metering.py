"""Where the operations of clients are admitted and charged. Each table and each global index has a bucket for reads and
one for writes, if anything limits them.

A read is done first, then admitted and charged at once, by what it read: it has changed nothing. A write is admitted in
its transaction, where it is known which entries of indexes it changes, and charged when that has ended. A write that
its condition refuses is charged like one of the item that is there.

Background work writes by itself, and for nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from atoll.capacity.units import Consumed, Kind, read_in_transaction, written
from atoll.database import indexes, reads, writes
from atoll.database.region import Region
from atoll.database.schema import PROVISIONED, Index, Table
from atoll.database.writes import Image, Outcome, Write
from atoll.errors import CONDITION_FAILED, ApiError
from atoll.errors import capacity as texts
from atoll.errors.multi import Cancelled
from atoll.storage.engine import Transaction

KINDS: tuple[Kind, ...] = ("Read", "Write")


# Buckets


def _number(table: Table, index: Index | None, kind: Kind) -> int:
    """Of a bucket. Spaces are not used again, so a new table has new buckets."""
    return 2 * (table.space if index is None else index.space) + KINDS.index(kind)


def _rate(table: Table, index: Index | None, kind: Kind) -> int | None:
    return table.units_per_second(index)[KINDS.index(kind)]


def _exhausted(region: Region, table: Table, index: Index | None, kind: Kind, used: float) -> bool:
    rate = _rate(table, index, kind)
    if region.buckets is None or rate is None:
        return False
    return region.buckets.level(_number(table, index, kind), rate) <= used


def _drawn(consumed: Consumed) -> Iterator[tuple[Index | None, float]]:
    """What is taken from the table's bucket, which its local indexes share, and from those of global indexes."""
    own = consumed.table + sum(consumed.local.values())
    if own:
        yield None, own
    for name, units in consumed.global_.items():
        yield consumed.of.index(name), units


def charge(region: Region, consumed: Iterable[Consumed]) -> None:
    for one in consumed:
        for index, units in _drawn(one):
            _take(region, one.of, index, one.kind, units)


def _take(region: Region, table: Table, index: Index | None, kind: Kind, units: float) -> None:
    rate = _rate(table, index, kind)
    if region.buckets is not None and rate is not None:
        region.buckets.take(_number(table, index, kind), rate, units)


def change(region: Region, before: Table, after: Table) -> None:
    """The table has had the limits of `before` until now: its buckets were refilled by them. What nothing limits any
    more owes nothing."""
    for index in (None, *before.global_indexes):
        for kind in KINDS:
            _take(region, before, index, kind, 0)
    for index in (None, *after.global_indexes):
        for kind in KINDS:
            if region.buckets is not None and _rate(after, index, kind) is None:
                region.buckets.fill(_number(after, index, kind))


def _refusal(region: Region, table: Table, of: Sequence[Index | None], kind: Kind) -> ApiError:
    """`of` is None for the table, or those of its indexes whose buckets are empty."""
    arn = region.arn(f"table/{table.name}")
    arns = [arn if index is None else f"{arn}/index/{index.name}" for index in of]
    exceeded = texts.provisioned_exceeded if table.billing_mode == PROVISIONED else texts.maximum_exceeded
    return exceeded(kind, arns, index=of[0] is not None)


# Reads


def unreadable(region: Region, table: Table, index: Index | None = None, used: float = 0) -> ApiError | None:
    """Why nothing more can be read now; `used` is what the operation has read and not been charged for."""
    if not table.limited or not _exhausted(region, table, index, "Read", used):
        return None
    return _refusal(region, table, [index], "Read")


def read(region: Region, consumed: Consumed) -> None:
    """Charge what was read of a table, or of one of its indexes; raise if nothing could be read."""
    for index, _ in _drawn(consumed):
        refusal = unreadable(region, consumed.of, index)
        if refusal is not None:
            raise refusal
    charge(region, [consumed])


def read_together(region: Region, items: Sequence[tuple[str, Table, int]]) -> list[Consumed]:
    """Charge the reads of a transaction, as in `read_in_transaction`; raises `Cancelled` if one could not be made."""
    refusals = [unreadable(region, table) for _, table, _ in items]
    if any(refusals):
        raise Cancelled(refusals)
    consumed = read_in_transaction(items)
    charge(region, consumed)
    return consumed


# Writes


@dataclass(frozen=True, slots=True)
class Refused:
    """A write that its condition refused, which costs as much as one that leaves the item as it is."""

    refusal: ApiError
    outcome: Outcome


Result = Outcome | Refused


def execute(tx: Transaction, region: Region, write: Write) -> Result:
    """Run a single write, if it is admitted. What comes of it is for `settle` or `charged`; other refusals are
    raised."""
    try:
        if write.table.limited:
            _admit(tx, region, write, {})
        return writes.execute(tx, region, write)
    except ApiError as refusal:
        if refusal.code != CONDITION_FAILED:
            raise
        return Refused(refusal.with_traceback(None), Outcome(reads.get(tx, write.row_key), None))


def settle(region: Region, write: Write, result: Result) -> Outcome:
    """Charge a single write whose transaction has ended; raises what its condition refused."""
    if write.table.limited:
        charged(region, write, result)
    if isinstance(result, Refused):
        raise result.refusal
    return result


def charged(region: Region, write: Write, result: Result) -> Consumed:
    """Charge a single write whose transaction has ended; returns what it was charged."""
    outcome = result.outcome if isinstance(result, Refused) else result
    (consumed,) = written([(write.table.name, write, outcome)])
    charge(region, [consumed])
    return consumed


class _Failed(Cancelled):
    """What refuses a transaction on limited tables, and what it costs all the same."""

    def __init__(self, refusals: list[ApiError | None], consumed: list[Consumed]) -> None:
        super().__init__(refusals)
        self.consumed = consumed


Together = tuple[list[Write], list[Outcome] | None]


async def write_together(
    region: Region, make: Callable[[Transaction], tuple[list[Write], bool]], factor: int
) -> Together:
    """Run writes as one, each at `factor` times its price; raises `Cancelled`. If `make` says that it was done before,
    nothing is done, and there are no outcomes."""

    def run(tx: Transaction) -> Together:
        batch, repeated = make(tx)
        if repeated:
            return batch, None
        if any(one.table.limited for one in batch):
            return batch, _all_or_none(tx, region, batch, factor)
        return batch, writes.execute_all(tx, region, batch)

    try:
        batch, outcomes = await region.transact(run)
    except _Failed as failed:
        charge(region, failed.consumed)
        raise
    if outcomes is not None:
        charge(region, _consumed(batch, outcomes, factor))
    return batch, outcomes


def _all_or_none(tx: Transaction, region: Region, batch: Sequence[Write], factor: int) -> list[Outcome]:
    try:
        _admit_all(tx, region, batch)
        return writes.execute_all(tx, region, batch)
    except Cancelled as cancelled:
        consumed = []
        codes = {refusal.code for refusal in cancelled.refusals if refusal is not None}
        if CONDITION_FAILED in codes and codes.isdisjoint(texts.THROTTLED):
            found = reads.get_many(tx, [one.row_key for one in batch])
            consumed = _consumed(batch, [Outcome(row, None) for row in found], factor)
        raise _Failed(cancelled.refusals, consumed) from None


def _admit_all(tx: Transaction, region: Region, batch: Sequence[Write]) -> None:
    """Raises `Cancelled` if one of the writes may not be made now; it tells what is wrong with the others, too."""
    _, refusals = writes.attempted(partial(_admit, tx, region, one, {}) for one in batch)
    if any(refusals):
        pairs = zip(batch, reads.get_many(tx, [one.row_key for one in batch]), strict=True)
        _, others = writes.attempted(partial(one.decide, old) for one, old in pairs)
        raise Cancelled([refusal or other for refusal, other in zip(refusals, others, strict=True)])


async def find_done(region: Region, names: Sequence[str], batch: Sequence[Write]) -> list[Consumed]:
    """A transaction that was done before is charged as the reads that find it done; that is never refused. `names` are
    the tables' as the answer has them."""
    rows = await region.read(lambda snapshot: reads.get_many(snapshot, [one.row_key for one in batch]))
    tables = [one.table for one in batch]
    consumed = read_in_transaction(zip(names, tables, map(reads.size_of, rows), strict=True))
    charge(region, consumed)
    return consumed


Each = list[tuple[Write, Outcome | ApiError]]


async def write_each(region: Region, make: Callable[[Transaction], list[Write]]) -> Each:
    """Run writes without conditions, each by itself: one that was not admitted has the reason as its outcome. Raises
    what else refuses one of them, and the reason if none was admitted; then none is applied."""

    def run(tx: Transaction) -> Each:
        batch = make(tx)
        if any(one.table.limited for one in batch):
            return _one_by_one(tx, region, batch)
        return list(zip(batch, writes.execute_all(tx, region, batch), strict=True))

    try:
        done = await region.transact(run)
    except Cancelled as cancelled:
        raise next(filter(None, cancelled.refusals)) from None
    refusals = [outcome for _, outcome in done if isinstance(outcome, ApiError)]
    if len(refusals) == len(done):
        raise refusals[0]
    for one, outcome in done:
        if isinstance(outcome, Outcome):
            charge(region, _consumed([one], [outcome]))
    return done


def _one_by_one(tx: Transaction, region: Region, batch: Sequence[Write]) -> Each:
    for one, old in zip(batch, reads.get_many(tx, [one.row_key for one in batch]), strict=True):
        one.decide(old)  # raises what is wrong with it, admitted or not
    used: dict[int, float] = {}
    done: Each = []
    for one in batch:
        try:
            _admit(tx, region, one, used)
        except ApiError as refusal:
            if refusal.code not in texts.THROTTLED:
                raise
            done.append((one, refusal))
            continue
        outcome = writes.execute(tx, region, one)
        done.append((one, outcome))
        for consumed in _consumed([one], [outcome]):
            for index, units in _drawn(consumed):
                number = _number(one.table, index, "Write")
                used[number] = used.get(number, 0) + units
    return done


def _consumed(batch: Sequence[Write], outcomes: Sequence[Outcome], factor: int = 1) -> list[Consumed]:
    """Of tables that anything limits."""
    pairs = zip(batch, outcomes, strict=True)
    return written(((one.table.name, one, outcome) for one, outcome in pairs if one.table.limited), factor)


def _admit(tx: Transaction, region: Region, one: Write, used: Mapping[int, float]) -> None:
    """Raises if the write's table may not be written now, or a global index of which the write changes an entry. `used`
    is what the operation has taken of each bucket and not been charged for."""
    table = one.table

    def exhausted(index: Index | None) -> bool:
        return _exhausted(region, table, index, "Write", used.get(_number(table, index, "Write"), 0))

    if exhausted(None):
        raise _refusal(region, table, [None], "Write")
    slow = [index for index in table.global_indexes if exhausted(index)]
    changed = _changed(tx, one, slow) if slow else []
    if changed:
        raise _refusal(region, table, changed, "Write")


def _changed(tx: Transaction, one: Write, of: Sequence[Index]) -> list[Index]:
    """Those of the indexes of which the write changes an entry."""
    old = reads.get(tx, one.row_key)
    new = one.decide(old)
    if not isinstance(new, Image | None):
        return []
    entries = [[indexes.entry(one.table, index, image, one.row_key) for image in (old, new)] for index in of]
    return [index for index, (before, after) in zip(of, entries, strict=True) if before != after]
