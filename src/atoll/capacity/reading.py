"""Admit and charge client reads after executing them, since the cost is the size read. Refusing a read so late is safe:
it has changed nothing."""

from __future__ import annotations

from collections.abc import Sequence

from atoll.capacity.throttling import charge, exhausted, refusal
from atoll.capacity.units import Consumed, read_in_transaction
from atoll.database import reads
from atoll.database.region import Region
from atoll.database.schema import Table
from atoll.database.writes import Write
from atoll.errors import ApiError
from atoll.errors.multi import Cancelled


def unreadable(region: Region, table: Table, used: Consumed | None = None) -> ApiError | None:
    """The throttling error, if the table admits no more reads now. `used` are the operation's uncharged reads."""
    empty = exhausted(region, table, [None], "Read", used)
    return refusal(region, table, empty, "Read") if empty else None


def settle(region: Region, consumed: Consumed) -> None:
    """Charge the reads of a table or of one of its indexes; raise if the table is throttled."""
    table = consumed.of
    drawn = [part for part in (None, *table.global_indexes) if consumed.drawn(part)]
    empty = exhausted(region, table, drawn, "Read")
    if empty:
        raise refusal(region, table, empty, "Read")
    charge(region, [consumed])


def settle_all(region: Region, items: Sequence[tuple[str, Table, int]], operation: str) -> list[Consumed]:
    """Charge the reads of a transaction, as in `read_in_transaction`; raises `Cancelled` if one is throttled."""
    refusals = [unreadable(region, table) for _, table, _ in items]
    if any(refusals):
        raise Cancelled(refusals)
    consumed = read_in_transaction(items)
    charge(region, consumed)
    for one in consumed:
        one.measure(region.meter, operation, sum(size > 0 for name, _, size in items if name == one.table_name))
    return consumed


async def find_done(region: Region, names: Sequence[str], batch: Sequence[Write], operation: str) -> list[Consumed]:
    """Charge a repeated transaction (same token) as transactional reads, never throttled. `names` are the tables' names
    as the answer shows them."""
    rows = await region.read(lambda snapshot: reads.get_many(snapshot, [one.row_key for one in batch]))
    tables = [one.table for one in batch]
    consumed = read_in_transaction(zip(names, tables, map(reads.size_of, rows), strict=True))
    charge(region, consumed)
    for one in consumed:
        one.measure(region.meter, operation)
    return consumed
