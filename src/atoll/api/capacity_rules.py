"""Checks of requested capacity: provisioned units, on-demand maxima, warm throughput; budgets and the account's quotas.

Pure checks, for CreateTable and UpdateTable. `body` is a request or its part about one index: their members have the
same names. `index` is the index's name, None for the table. `--quotas off` skips the budgets and quotas.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from atoll import limits
from atoll.database.schema import ON_DEMAND, PROVISIONED, WARM_ON_DEMAND, Index, Table, Throughput, WarmThroughput
from atoll.errors import ApiError
from atoll.errors import changes as change_errors
from atoll.errors import tables as table_errors

Body = dict[str, Any]

DAY_MS = 24 * 3600 * 1000


MAXIMA = ("MaxReadRequestUnits", "MaxWriteRequestUnits")
WARM = ("ReadUnitsPerSecond", "WriteUnitsPerSecond")
UNITS = ("ReadCapacityUnits", "WriteCapacityUnits")


def check_table_units(mode: str, body: Body) -> None:
    given = body.get("ProvisionedThroughput")
    if mode == ON_DEMAND and given is not None:
        raise table_errors.units_on_demand()
    if mode == PROVISIONED and given is None:
        raise table_errors.units_required()
    check_bounds(given)
    check_new_maxima(mode, body, None)


def check_bounds(given: Body | None) -> None:
    for member in UNITS:
        if given is not None and given[member] > limits.UNITS_BOUND:
            raise table_errors.units_out_of_bounds(given[member], member)


def check_new_maxima(mode: str, body: Body, index: str | None) -> None:
    """Check the maxima of a new table, or of a new index if its name is given."""
    for member, units in _sent(body, "OnDemandThroughput", MAXIMA):
        if mode == PROVISIONED:
            raise table_errors.maximum_on_new_provisioned_table(member, index)
        if units < 1:
            raise table_errors.maximum_out_of_range(member, index)


def check_maxima(mode: str, body: Body, index: str | None) -> None:
    """Check the maxima of an existing table or index: -1 removes one."""
    for member, units in _sent(body, "OnDemandThroughput", MAXIMA):
        if mode == PROVISIONED:
            raise table_errors.maximum_on_provisioned_table(member, index)
        if units != -1 and units < 1:
            raise table_errors.maximum_out_of_range(member, index)


def check_new_warm(mode: str, body: Body, index: str | None) -> None:
    if mode == ON_DEMAND:
        _check_warm(body, WARM_ON_DEMAND, index, table_errors.warm_below_initial)
    else:
        _check_warm(body, WarmThroughput(1, 1), index, change_errors.warm_lower)


def check_warm(body: Body, current: WarmThroughput, index: str | None) -> None:
    """Warm throughput can only grow."""
    _check_warm(body, current, index, change_errors.warm_lower)


def _check_warm(
    body: Body, floor: WarmThroughput, index: str | None, error: Callable[[str, str | None], ApiError]
) -> None:
    for member, units in _sent(body, "WarmThroughput", WARM):
        if units < (floor.read if member == WARM[0] else floor.write):
            raise error(member, index)


def _sent(body: Body, setting: str, members: Sequence[str]) -> Iterator[tuple[str, int]]:
    given = body.get(setting) or {}
    return ((member, given[member]) for member in members if given.get(member) is not None)


def check_index_units(mode: str, index: Body) -> None:
    """Check the capacity of a new index."""
    given, name = index.get("ProvisionedThroughput"), index["IndexName"]
    if mode == ON_DEMAND and given is not None:
        raise table_errors.index_units_on_demand(name)
    if mode == PROVISIONED and given is None:
        raise table_errors.index_units_required(name)
    check_bounds(given)
    check_new_maxima(mode, index, name)
    check_new_warm(mode, index, name)


def check_new_units(current: Throughput, given: Body, of: str, now_ms: int | None) -> None:
    """`now_ms` is None if decreases are not limited."""
    read, write = given["ReadCapacityUnits"], given["WriteCapacityUnits"]
    if (read, write) == (current.read, current.write):
        raise change_errors.throughput_unchanged(of, (read, write))
    if now_ms is not None and (read < current.read or write < current.write):
        _check_decrease(current, now_ms)


def _check_decrease(current: Throughput, now_ms: int) -> None:
    """Four decreases are allowed at any time of a UTC day; each further one needs an hour without a decrease."""
    day = now_ms // DAY_MS
    today = [ms for ms in current.decreases_ms if ms // DAY_MS == day]
    if len(today) >= limits.THROUGHPUT_DECREASES:
        next_ms = min(today[-1] + limits.THROUGHPUT_DECREASE_INTERVAL_MS, (day + 1) * DAY_MS)
        if now_ms < next_ms:
            raise change_errors.too_many_decreases(len(today), today[-1], next_ms)


def check_encryption_budget(table: Table, now_ms: int) -> None:
    """Allow four changes in any 24 hours; each further one needs six hours without a change."""
    recent = [ms for ms in table.encryption_changes_ms if now_ms < ms + limits.ENCRYPTION_WINDOW_MS]
    if len(recent) >= limits.ENCRYPTION_CHANGES:
        next_ms = recent[-1] + limits.ENCRYPTION_CHANGE_INTERVAL_MS
        if now_ms < next_ms:
            raise change_errors.too_many_encryption_changes(len(recent), now_ms, recent[-1], next_ms)


def check_class_budget(table: Table, now_ms: int) -> None:
    """Allow two changes in any 30 days."""
    recent = [ms for ms in table.table_class_changes_ms if now_ms < ms + limits.TABLE_CLASS_WINDOW_MS]
    if len(recent) >= limits.TABLE_CLASS_CHANGES:
        next_ms = recent[-limits.TABLE_CLASS_CHANGES] + limits.TABLE_CLASS_WINDOW_MS
        raise change_errors.too_many_class_changes(recent[-1], next_ms)


def check_protection_interval(table: Table, now_ms: int) -> None:
    changed_ms = table.protection_changed_ms
    if changed_ms is not None and now_ms < changed_ms + limits.PROTECTION_INTERVAL_MS:
        raise change_errors.protection_changed(table.name, changed_ms + limits.PROTECTION_INTERVAL_MS)


# The account's quotas


def check_quotas(region: str, tables: Callable[[], Iterable[Table]], old: Table | None, new: Table, body: Body) -> None:
    """Check the units, maxima and warm throughput of a changed or new table against the account's quotas. `tables`
    returns all tables before the change."""
    _check_settings(region, body, None)
    for index in body.get("GlobalSecondaryIndexes") or ():
        _check_settings(region, index, index["IndexName"])
    for update in body.get("GlobalSecondaryIndexUpdates") or ():
        for action in ("Create", "Update"):
            if action in update:
                _check_settings(region, update[action], update[action]["IndexName"])
    grown = list(_grown(old, new))
    for name, _, units in grown:
        for member, wanted, most in zip(UNITS, units, _TABLE_MOST, strict=True):
            if wanted > most:
                raise table_errors.units_above_maximum(member, wanted, name, region)
    if grown:
        # The units of a table and of its indexes are requested together.
        reserved = [sum(amounts) for amounts in zip(*map(_reserved, tables()), (0, 0), strict=True)]
        for kind, most in enumerate(_ACCOUNT_MOST):
            requested = sum(units[kind] for _, _, units in grown)
            increase = requested - sum(before[kind] for _, before, _ in grown)
            if increase > 0 and reserved[kind] + increase > most:
                raise table_errors.account_units_exceeded(UNITS[kind], reserved[kind], requested, region)


_TABLE_MOST = (limits.TABLE_READ_UNITS, limits.TABLE_WRITE_UNITS)
_ACCOUNT_MOST = (limits.ACCOUNT_READ_UNITS, limits.ACCOUNT_WRITE_UNITS)

Units = tuple[int, int]


def _check_settings(region: str, part: Body, index: str | None) -> None:
    for setting, members in (("OnDemandThroughput", MAXIMA), ("WarmThroughput", WARM)):
        for member, units in _sent(part, setting, members):
            if units > _TABLE_MOST[members.index(member)]:
                raise table_errors.throughput_above_account(member, setting, index, region)


def _units(of: Table | Index | None) -> Units:
    return (0, 0) if of is None or of.throughput is None else (of.throughput.read, of.throughput.write)


def _reserved(table: Table) -> Units:
    parts = [_units(table), *map(_units, table.global_indexes)]
    return sum(read for read, _ in parts), sum(write for _, write in parts)


def _grown(old: Table | None, new: Table) -> Iterator[tuple[str | None, Units, Units]]:
    """The units before and after of the table and the global indexes whose units changed. The table has no name."""
    pairs: list[tuple[str | None, Table | Index | None, Table | Index]] = [(None, old, new)]
    pairs += [(index.name, None if old is None else old.index(index.name), index) for index in new.global_indexes]
    for name, before, after in pairs:
        if _units(before) != _units(after):
            yield name, _units(before), _units(after)
