"""Checks of requested capacity: provisioned units, on-demand maxima, warm throughput.

Pure checks, for CreateTable and UpdateTable. `body` is a request or its part about one index: their members have the
same names.
"""

from __future__ import annotations

from typing import Any

from atoll import limits
from atoll.database.schema import ON_DEMAND, PROVISIONED, Throughput, WarmThroughput
from atoll.errors import tables as table_errors

Body = dict[str, Any]

DAY_MS = 24 * 3600 * 1000


def check_table_units(mode: str, body: Body) -> None:
    given = body.get("ProvisionedThroughput")
    if mode == ON_DEMAND and given is not None:
        raise table_errors.units_on_demand()
    if mode == PROVISIONED and given is None:
        raise table_errors.units_required()
    check_bounds(given)
    check_maxima(mode, body)


def check_bounds(given: Body | None) -> None:
    for member in ("ReadCapacityUnits", "WriteCapacityUnits"):
        if given is not None and given[member] > limits.UNITS_BOUND:
            raise table_errors.units_out_of_bounds(given[member], member)


def check_maxima(mode: str, body: Body) -> None:
    given = body.get("OnDemandThroughput")
    if given is None:
        return
    if mode == PROVISIONED:
        raise table_errors.on_demand_maximum_provisioned()
    for member in ("MaxReadRequestUnits", "MaxWriteRequestUnits"):
        units = given.get(member)
        if units is not None and units != -1 and units < 1:
            raise table_errors.on_demand_maximum_out_of_bounds(units, member)


def check_warm(body: Body, of: str, current: WarmThroughput | None) -> None:
    """Warm throughput can only grow."""
    given, floor = body.get("WarmThroughput") or {}, current or WarmThroughput(1, 1)
    for member, units in (("ReadUnitsPerSecond", floor.read), ("WriteUnitsPerSecond", floor.write)):
        if given.get(member) is not None and given[member] < units:
            raise table_errors.warm_throughput_lower(member, of)


def check_index_units(mode: str, index: Body) -> None:
    given = index.get("ProvisionedThroughput")
    if mode == ON_DEMAND and given is not None:
        raise table_errors.index_units_on_demand(index["IndexName"])
    if mode == PROVISIONED and given is None:
        raise table_errors.index_units_required(index["IndexName"])
    check_bounds(given)
    check_maxima(mode, index)
    check_warm(index, f"index {index['IndexName']}", None)


def check_new_units(current: Throughput, given: Body, of: str, now_ms: int) -> None:
    read, write = given["ReadCapacityUnits"], given["WriteCapacityUnits"]
    if (read, write) == (current.read, current.write):
        raise table_errors.throughput_unchanged(of, (read, write))
    if read < current.read or write < current.write:
        _check_decrease(current, now_ms)


def _check_decrease(current: Throughput, now_ms: int) -> None:
    """Four decreases are allowed at any time of a UTC day; each further one needs an hour without a decrease."""
    today = [ms for ms in current.decreases_ms if ms // DAY_MS == now_ms // DAY_MS]
    if len(today) >= limits.THROUGHPUT_DECREASES:
        next_ms = today[-1] + limits.THROUGHPUT_DECREASE_INTERVAL_MS
        if now_ms < next_ms:
            raise table_errors.too_many_decreases(len(today), today[-1], next_ms)
