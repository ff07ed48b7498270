"""Metrics whose datapoints are not measured but computed, for example from table definitions, so they need no space.

An unused table or index consumed 0 units in each minute since the table's creation. The capacity in a minute is that of
the steps at its end. The quotas of the account are constants. The account's use of them, in a namespace of its own, is
that of the steps, too.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import NamedTuple

from atoll import limits
from atoll.database.region import Region
from atoll.database.schema import ON_DEMAND, Table
from atoll.metrics import steps
from atoll.metrics.measured import COUNT, PERCENT, READ_UNITS, WRITE_UNITS, dynamodb
from atoll.metrics.series import MINUTE_MS, TABLES, USAGE, Datapoint, Metric, single, united
from atoll.metrics.steps import ACCOUNT, MAXIMUM, PROVISIONED, Part, Step
from atoll.storage.engine import Snapshot


class Rule(NamedTuple):
    """How a metric follows from the steps."""

    kind: str
    place: int
    """The place in the values of a step."""
    unit: str = COUNT
    whole: float | None = None
    """If set, the value is a percentage of this."""
    least: float | None = None
    """The value where the step has none."""


READS, WRITES = limits.ACCOUNT_READ_UNITS, limits.ACCOUNT_WRITE_UNITS

RULES: Mapping[str, Rule] = {
    "ProvisionedReadCapacityUnits": Rule(PROVISIONED, 0),
    "ProvisionedWriteCapacityUnits": Rule(PROVISIONED, 1),
    "OnDemandMaxReadRequestUnits": Rule(MAXIMUM, 0),
    "OnDemandMaxWriteRequestUnits": Rule(MAXIMUM, 1),
    "AccountProvisionedReadCapacityUtilization": Rule(ACCOUNT, 0, PERCENT, READS),
    "AccountProvisionedWriteCapacityUtilization": Rule(ACCOUNT, 1, PERCENT, WRITES),
    "MaxProvisionedTableReadCapacityUtilization": Rule(ACCOUNT, 2, PERCENT, limits.TABLE_READ_UNITS),
    "MaxProvisionedTableWriteCapacityUtilization": Rule(ACCOUNT, 3, PERCENT, limits.TABLE_WRITE_UNITS),
}

USED: Mapping[str, tuple[Rule, float]] = {
    "AccountProvisionedReadCapacityUnits": (Rule(ACCOUNT, 0, least=0), READS),
    "AccountProvisionedWriteCapacityUnits": (Rule(ACCOUNT, 1, least=0), WRITES),
    "TableCount": (Rule(ACCOUNT, 4), limits.TABLES),
}
"""The metrics of `AWS/Usage` by the resource that each counts, with the quotas."""

QUOTAS: Mapping[str, float] = {
    "AccountMaxReads": READS,
    "AccountMaxWrites": WRITES,
    "AccountMaxTableLevelReads": limits.TABLE_READ_UNITS,
    "AccountMaxTableLevelWrites": limits.TABLE_WRITE_UNITS,
}

CONSUMED = (READ_UNITS, WRITE_UNITS)


TOGETHER = 10
"""The most metrics of one read, because each may have thousands of steps."""


class Line(NamedTuple):
    """The values of a metric, each from its time up to the next time. None means no value."""

    unit: str
    values: Sequence[tuple[int, float | None]]
    only_gaps: bool = False
    """Whether it has values only in periods without measurements."""


async def lines(region: Region, metrics: Sequence[Metric]) -> list[Line | None]:
    """For each metric, its datapoints besides measured ones."""
    if not any(metric.namespace in (TABLES, USAGE) for metric in metrics):
        return [None] * len(metrics)
    known: dict[Metric, Line | None] = {}
    names = list(dict.fromkeys(metrics))
    for start in range(0, len(names), TOGETHER):
        known |= await region.read(partial(_lines, region, names[start : start + TOGETHER]))
        await asyncio.sleep(0)
    return [known[metric] for metric in metrics]


def _lines(region: Region, metrics: Sequence[Metric], snapshot: Snapshot) -> dict[Metric, Line | None]:
    return {metric: _line(region, snapshot, metric) for metric in metrics}


def _line(region: Region, snapshot: Snapshot, metric: Metric) -> Line | None:
    part = _part(metric)
    if part is None:
        return None
    if metric.name in CONSUMED:
        table = region.catalog.find(snapshot, part[0]) if part[0] else None
        if table is None or (part[1] and not _has_index(table, part[1])):
            return None
        return Line(COUNT, [(table.created_ms, 0.0)], only_gaps=True)
    if metric.name in QUOTAS and part == ("", ""):
        return Line(COUNT, [(0, QUOTAS[metric.name])])
    rule = _rule(metric)
    if rule is None or (rule.kind == ACCOUNT) != (part == ("", "")):
        return None
    return Line(rule.unit, [(step.since_ms, _value(rule, step)) for step in steps.steps(snapshot, part)])


def _part(metric: Metric) -> Part | None:
    """The table and index that the dimensions name, or the account; None if they name something else."""
    own = dict(metric.dimensions)
    if metric.namespace == USAGE:
        return ("", "") if _resource(metric) is not None else None
    if (
        metric.namespace == TABLES
        and own.keys() <= {"TableName", "GlobalSecondaryIndexName"}
        and ("TableName" in own or not own)
    ):
        return own.get("TableName", ""), own.get("GlobalSecondaryIndexName", "")
    return None


def _rule(metric: Metric) -> Rule | None:
    resource = _resource(metric)
    return RULES.get(metric.name) if resource is None else USED[resource][0]


def _resource(metric: Metric) -> str | None:
    """What a metric of `AWS/Usage` counts; None if it is none."""
    resource = dict(metric.dimensions).get("Resource", "")
    return resource if resource in USED and metric == usage(resource) else None


def usage(resource: str) -> Metric:
    dimensions = {"Class": "None", "Resource": resource, "Service": "DynamoDB", "Type": "Resource"}
    return Metric(USAGE, "ResourceCount", tuple(dimensions.items()))


def quota(metric: Metric) -> float | None:
    """The quota of what a metric of `AWS/Usage` counts."""
    resource = _resource(metric)
    return None if resource is None else USED[resource][1]


def _has_index(table: Table, name: str) -> bool:
    index = table.index(name)
    return index is not None and not index.local


def _value(rule: Rule, step: Step) -> float | None:
    if step.kind != rule.kind or rule.place >= len(step.values):
        return None
    value = step.values[rule.place]
    if value is None:
        return rule.least
    return value if rule.whole is None else 100 * value / rule.whole


def points(line: Line, start_ms: int, end_ms: int, period_ms: int, origin_ms: int) -> list[Datapoint]:
    """The datapoints of the periods with start <= time < end, as if `aligned` united one datapoint a minute."""
    found = []
    pieces = list(_pieces(line, start_ms, end_ms))
    first_ms = max(start_ms, pieces[0][0] - MINUTE_MS) if pieces else end_ms
    period = first_ms - (first_ms - origin_ms) % period_ms
    place = 0
    while period < end_ms:
        while place < len(pieces) and pieces[place][1] <= period:
            place += 1
        parts, at = [], place
        while at < len(pieces) and pieces[at][0] < period + period_ms:
            since, until, value = pieces[at]
            minutes = (min(until, period + period_ms, end_ms) - max(since, period, start_ms)) // MINUTE_MS
            if minutes > 0 and value is not None:
                parts.append(Datapoint(period, value * minutes, minutes, value, value, {value: minutes}))
            at += 1
        if parts:
            found.append(united(period, parts))
        period += period_ms
    return found


def _pieces(line: Line, start_ms: int, end_ms: int) -> Iterator[tuple[int, int, float | None]]:
    """The values after the start, each with its first and last time in whole minutes. A minute has the value at its
    end."""
    values = line.values
    for place in range(max(0, bisect_right(values, start_ms, key=_since) - 1), len(values)):
        since_ms, value = values[place]
        if since_ms >= end_ms:
            return
        until_ms = values[place + 1][0] if place + 1 < len(values) else end_ms
        since, until = since_ms - since_ms % MINUTE_MS, until_ms - until_ms % MINUTE_MS
        if since < until:
            yield since, until, value


def _since(value: tuple[int, float | None]) -> int:
    return value[0]


def current(tables: Iterable[Table], minute_ms: int) -> Iterator[tuple[Metric, Datapoint]]:
    """The present values of the metrics that follow from these tables."""
    known = {table.name: table for table in tables}
    values = dict(steps.current(known))
    for metric in listed(known):
        part = _part(metric)
        rule = _rule(metric)
        value: float | None = QUOTAS.get(metric.name, 0.0)
        if rule is not None and part is not None:
            value = _value(rule, Step(0, *values[part])) if part in values else None
        if value is not None:
            yield metric, single(minute_ms, value)


def listed(tables: Mapping[str, Table]) -> Iterator[Metric]:
    """The metrics that follow from these tables."""
    provisioned = [name for name, rule in RULES.items() if rule.kind == PROVISIONED]
    maxima = [name for name, rule in RULES.items() if rule.kind == MAXIMUM]
    is_provisioned = False
    for table in tables.values():
        parts: list[dict[str, str]] = [{"TableName": table.name}]
        parts += [{"TableName": table.name, "GlobalSecondaryIndexName": one.name} for one in table.global_indexes]
        more = maxima if table.on_demand is not None else []
        if table.billing_mode != ON_DEMAND:
            more, is_provisioned = provisioned, True
        yield from (dynamodb(name, **part) for part in parts for name in (*CONSUMED, *more))
    if tables:
        yield from (dynamodb(name) for name in QUOTAS)
        yield from map(usage, USED)
    if is_provisioned:
        yield from (dynamodb(name) for name, rule in RULES.items() if rule.kind == ACCOUNT)
