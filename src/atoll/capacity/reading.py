"""Admit and charge client reads after executing them, since the cost depends on the size read. A read can be refused
this late because it has changed nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from atoll.capacity.throttling import add_costs, charge, exhausted, refusal, refused
from atoll.capacity.units import Consumed, read_in_transaction, read_units
from atoll.database import reads
from atoll.database.region import Region
from atoll.database.schema import Index, Table
from atoll.database.writes import Write
from atoll.errors import ApiError
from atoll.errors.multi import Cancelled


def unreadable(
    region: Region,
    table: Table,
    key: bytes,
    used: Consumed | None = None,
    pending: Mapping[int, float] | None = None,
) -> ApiError | None:
    """The error of a read at this row key if the table's bucket or the key's range is empty; None if they admit it.
    `used` and `pending` are the operation's uncharged reads."""
    empty = exhausted(region, table, [None], "Read", used)
    return refusal(region, table, empty, "Read", key) if empty else unreadable_at(region, table, None, key, pending)


def unreadable_at(
    region: Region, table: Table, index: Index | None, key: bytes, pending: Mapping[int, float] | None = None
) -> ApiError | None:
    """The error of a read at this row key if `KeyRanges` admits no more reads there; None if it does."""
    ranges = region.key_ranges
    if ranges is None:
        return None
    limit = ranges.exhausted(table, index, "Read", key, region.clock.now_ms(), pending)
    return None if limit is None else refused(region, table, [(index, limit)], "Read", key)


def draw(region: Region, table: Table, index: Index | None, key: bytes, units: float, *, whole: bool = True) -> None:
    """Charge reads at a row key. Unless `whole`, it is only the beginning of keys."""
    if region.key_ranges is not None and units:
        region.key_ranges.take(table, index, "Read", key, units, region.clock.now_ms(), whole)


def defer(
    region: Region,
    table: Table,
    key: bytes,
    units: float,
    pending: dict[int, float],
    draws: list[tuple[Table, bytes, float]],
) -> None:
    """Record reads at a row key, so that the rest of a batch takes them into account before they are charged."""
    ranges = region.key_ranges
    if ranges is not None:
        draws.append((table, key, units))
        add_costs(pending, ranges.costs([(table, None, "Read", key, units)], region.clock.now_ms()))


def settle_item(region: Region, table: Table, key: bytes, units: float, now_ms: int) -> None:
    """Charge the read of one item of a table; raise if it is throttled."""
    buckets, ranges, rate = region.buckets, region.key_ranges, table.own_limits[0]
    if buckets is not None and rate is not None and not buckets.draw(2 * table.space, rate, units, now_ms):
        raise refusal(region, table, [None], "Read", key)
    if ranges is not None:
        limit = ranges.read(table, key, units, now_ms)
        if limit is not None:
            if buckets is not None and rate is not None:
                buckets.take(2 * table.space, rate, -units)
            raise refused(region, table, [(None, limit)], "Read", key)


def settle(region: Region, consumed: Consumed, key: bytes, *, whole: bool = True) -> None:
    """Charge the reads of a table or of one of its indexes; raise if it is throttled. The reads began at this row key.
    Unless `whole`, it is only the beginning of keys."""
    table = consumed.of
    drawn = [part for part in (None, *table.global_indexes) if consumed.drawn(part)]
    empty = exhausted(region, table, drawn, "Read")
    if empty:
        raise refusal(region, table, empty, "Read", key)
    for part in drawn:
        throttled = unreadable_at(region, table, part, key)
        if throttled is not None:
            raise throttled
    charge(region, [consumed])
    for part in drawn:
        draw(region, table, part, key, consumed.drawn(part), whole=whole)


def settle_all(
    region: Region, items: Sequence[tuple[str, Table, int]], row_keys: Sequence[bytes], operation: str
) -> list[Consumed]:
    """Charge the reads of a transaction, as in `read_in_transaction`; raises `Cancelled` if one is throttled."""
    if region.key_ranges is not None or any(table.limited for _, table, _ in items):
        refusals = [unreadable(region, table, key) for (_, table, _), key in zip(items, row_keys, strict=True)]
        if any(refusals):
            raise Cancelled(refusals)
    consumed = read_in_transaction(items)
    charge(region, consumed)
    _draw_all(region, items, row_keys)
    for one in consumed:
        one.measure(region.meter, operation, sum(size > 0 for name, _, size in items if name == one.table_name))
    return consumed


async def find_done(region: Region, names: Sequence[str], batch: Sequence[Write], operation: str) -> list[Consumed]:
    """Charge a repeated transaction (same token) as transactional reads, never throttled. `names` are the tables' names
    as the answer shows them."""
    rows = await region.read(lambda snapshot: reads.get_many(snapshot, [one.row_key for one in batch]))
    tables = [one.table for one in batch]
    items = list(zip(names, tables, map(reads.size_of, rows), strict=True))
    consumed = read_in_transaction(items)
    charge(region, consumed)
    _draw_all(region, items, [one.row_key for one in batch])
    for one in consumed:
        one.measure(region.meter, operation)
    return consumed


def _draw_all(region: Region, items: Sequence[tuple[str, Table, int]], row_keys: Sequence[bytes]) -> None:
    if region.key_ranges is not None:
        for (_, table, size), key in zip(items, row_keys, strict=True):
            draw(region, table, None, key, 2 * read_units(size, consistent=True))
