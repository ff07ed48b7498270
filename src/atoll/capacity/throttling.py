"""Throttle by the buckets of tables and global indexes: find exhausted ones, build the error, charge units.

Each limited table or global index has one bucket for reads and one for writes. `key_ranges` has the further limits of
`--throttling full`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeVar

from atoll.capacity.units import Consumed, Kind
from atoll.database.region import Region
from atoll.database.schema import PROVISIONED, Index, Table
from atoll.errors import ApiError
from atoll.errors import capacity as capacity_errors

_log = logging.getLogger(__name__)

KINDS: tuple[Kind, ...] = ("Read", "Write")

Part = TypeVar("Part", bound=Index | None)
"""A table (None) or one of its global indexes; each has its own buckets."""


Levels = Callable[[int, float], float]
"""Returns a bucket's units, given its number and its refill rate in units a second."""


def exhausted(
    region: Region,
    table: Table,
    parts: Iterable[Part],
    kind: Kind,
    used: Consumed | None = None,
    levels: Levels | None = None,
) -> list[Part]:
    """The parts whose buckets are empty. `used` are the units of the operation that are not charged yet. `levels`
    default to the current ones."""
    buckets = region.buckets
    if buckets is None or not table.limited:
        return []
    level = levels or buckets.level
    found = []
    for part in parts:
        rate = _rate(table, part, kind)
        taken = used.drawn(part) if used is not None else 0
        if rate is not None and level(_number(table, part, kind), rate) <= taken:
            found.append(part)
    return found


def writes_freely(region: Region, table: Table) -> bool:
    """Whether all of the table's buckets for writes are above zero, so that its next write need not look at them."""
    buckets, rate = region.buckets, table.own_limits[1]
    if buckets is None:
        return True
    if rate is not None and buckets.level(2 * table.space + 1, rate) <= 0:
        return False
    return not table.global_indexes or not exhausted(region, table, table.global_indexes, "Write")


def write_levels(region: Region, names: Iterable[str]) -> Levels | None:
    """The current levels of these tables' buckets, so that their transaction need not read buckets, except one whose
    rate has just changed. None if no limit applies to the tables."""
    seen: dict[tuple[int, float], float] = {}
    buckets, known = region.buckets, region.catalog.known.tables
    tables = [known[name] for name in names if name in known and known[name].limited]
    if buckets is None or not tables:
        return None
    level = buckets.level
    for table in tables:
        for part in (None, *table.global_indexes):
            rate = _rate(table, part, "Write")
            if rate is not None:
                number = _number(table, part, "Write")
                seen[number, rate] = level(number, rate)
    return lambda number, rate: seen[number, rate] if (number, rate) in seen else level(number, rate)


def refusal(region: Region, table: Table, parts: Sequence[Index | None], kind: Kind, key: bytes) -> ApiError:
    """The error to raise when these parts are exhausted; see `refused`."""
    return refused(region, table, [(part, own_limit(table)) for part in parts], kind, key)


def own_limit(table: Table) -> str:
    """The reason in the error when a table's or index's own throughput is exceeded."""
    return capacity_errors.PROVISIONED if table.billing_mode == PROVISIONED else capacity_errors.MAXIMUM


def refused(
    region: Region, table: Table, exceeded: Sequence[tuple[Index | None, str]], kind: Kind, key: bytes
) -> ApiError:
    """The error to raise when these parts have exceeded these limits. `key` is the key of the requested row, in the
    first part or in the table. A write that is refused to a client must be passed to `observe`."""
    first = exceeded[0][0]
    if region.observer is not None and kind == "Read":
        region.observer.throttled(table, first, key)
    arn = region.arn(f"table/{table.name}")
    for part, limit in exceeded:
        _log_first(region, table, part, kind, limit)
    parts = [(arn if part is None else f"{arn}/index/{part.name}", part is not None, limit) for part, limit in exceeded]
    error = capacity_errors.exceeded(kind, parts, on_demand=table.billing_mode != PROVISIONED)
    if kind == "Write" and first is None:  # not a write that an index throttles
        error.observed = table, first, key
    return error


def observe(region: Region, refusals: Iterable[ApiError | None]) -> None:
    """Show the observer which writes were throttled. Their transaction cannot do this: it may run several times."""
    if region.observer is not None:
        for refusal in refusals:
            if refusal is not None and refusal.observed is not None:
                region.observer.throttled(*refusal.observed)


def _log_first(region: Region, table: Table, part: Index | None, kind: Kind, limit: str) -> None:
    """Log the first throttling of each table or index: a client that retries seems to hang, and the log says why."""
    key = table.name, None if part is None else part.name, kind
    if key in region.throttled:
        return
    region.throttled.add(key)
    what = f"table {table.name}" if part is None else f"index {part.name} of table {table.name}"
    why = f"have used up its burst and exceed {_rate(table, part, kind)} units a second"
    remedy = "Raise its throughput, or start the server with --throttling off."
    if limit == capacity_errors.KEY_RANGE:
        why = "exceed the throughput of a partition key, or twice the table's previous peak"
        remedy = "Spread them over more partition keys, or start the server with --throttling on."
    elif limit == capacity_errors.ACCOUNT:
        why = "exceed the account's maximum for a table"
        remedy = "Spread them over more tables, or start the server with --throttling on."
    message = (
        "%s is throttled: its %ss %s. Clients retry, which looks as if they hang. %s Later throttling of it is not "
        "logged"
    )
    index = None if part is None else part.name
    extra = {"region": region.name, "table": table.name, "index": index}
    _log.warning(message, what, kind.lower(), why, remedy, extra=extra)


def add_costs(pending: dict[int, float], costs: Mapping[int, float]) -> None:
    """Add costs at key ranges to those that are not charged yet."""
    for place, cost in costs.items():
        pending[place] = pending.get(place, 0.0) + cost


def charge(region: Region, consumed: Iterable[Consumed]) -> None:
    for one in consumed:
        for part in (None, *one.of.global_indexes) if one.of.limited else ():
            units = one.drawn(part)
            if units:
                _take(region, one.of, part, one.kind, units)


def change(region: Region, before: Table, after: Table) -> None:
    """Switch a table's buckets to new limits: refill them at the old rate until now. Removing a limit clears its
    debt. A transaction that changes the limits may call this too, even if it runs again or fails."""
    for part in (None, *before.global_indexes):
        for kind in KINDS:
            _take(region, before, part, kind, 0)
    for part in (None, *after.global_indexes):
        for kind in KINDS:
            if region.buckets is not None and _rate(after, part, kind) is None:
                region.buckets.fill(_number(after, part, kind))


def _take(region: Region, table: Table, part: Index | None, kind: Kind, units: float) -> None:
    rate = _rate(table, part, kind)
    if region.buckets is not None and rate is not None:
        region.buckets.take(_number(table, part, kind), rate, units)


def _rate(table: Table, part: Index | None, kind: Kind) -> int | None:
    return table.units_per_second(part)[KINDS.index(kind)]


def _number(table: Table, part: Index | None, kind: Kind) -> int:
    """The bucket's number. Space numbers are never reused, so a new table has new buckets."""
    return 2 * (table.space if part is None else part.space) + KINDS.index(kind)
