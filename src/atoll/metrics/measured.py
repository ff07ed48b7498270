"""Convert the meter's counts of a minute to datapoints of `AWS/DynamoDB`, with DynamoDB's names and units. Pure.

An event has a datapoint only in minutes in which it occurred. Datapoints of units and returned items have the least and
the greatest value of a request; those of latencies have all values, in classes (see `Tally`). Units of local indexes
count on their table.

Writes to a global table are published twice: in all, and by their source. So are operations that run PartiQL
statements: in all, and by the kind of statement.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache

from atoll.capacity.meter import APPLYING, Key, Replicated, Sent, Tally, service_of
from atoll.database.schema import Table
from atoll.metrics.series import TABLES, Datapoint, Metric, Series, of_values, single, united

COUNT, MILLISECONDS, PERCENT, BYTES = "Count", "Milliseconds", "Percent", "Bytes"
READ_UNITS, WRITE_UNITS = "ConsumedReadCapacityUnits", "ConsumedWriteCapacityUnits"
SEARCHED, WRITTEN = "VectorSearchRequestBytes", "VectorWriteRequestBytes"
"""The metrics of vector indexes, which cost no units. These names are assumed."""

TIMED = frozenset(
    {
        "PutItem", "DeleteItem", "UpdateItem", "GetItem", "BatchGetItem", "Scan", "Query", "BatchWriteItem",
        "TransactWriteItems", "TransactGetItems", "ExecuteTransaction", "BatchExecuteStatement", "ExecuteStatement",
        "GetRecords", "SearchVectors",
    }
)  # fmt: skip
"""The operations that have metrics with their name."""
RETURNING = frozenset({"Query", "Scan", "ExecuteStatement", "SearchVectors"})

CUSTOMER, GLOBAL_TABLE = "Customer", "GlobalTable"
"""Who wrote: a client, or another region of a global table."""

DELEGATED = "ChangeDataCapture"
"""The value of DelegatedOperation for changes that are sent to Kinesis. CloudWatch's value is assumed."""

_REASON = re.compile("(?:Table|Index)(Read|Write)(.+)Exceeded").fullmatch

Found = tuple[str, str, dict[str, str], Datapoint]
"""Name, unit, dimensions, datapoint."""


def measured(taken: Mapping[Key, Tally], tables: Mapping[str, Table], minute_ms: int) -> dict[Series, list[Datapoint]]:
    """The datapoints of a minute; `tables` are the known tables of the region."""
    found: dict[Series, list[Datapoint]] = {}
    for key, tally in taken.items():
        for name, unit, dimensions, point in _of_tally(key, tally, tables.get(key[0]), minute_ms):
            found.setdefault(Series(dynamodb(name, **dimensions), unit), []).append(point)
    return {series: [united(minute_ms, points)] for series, points in found.items()}


def dynamodb(name: str, **dimensions: str) -> Metric:
    return Metric(TABLES, name, tuple(sorted(dimensions.items())))


def _of_tally(key: Key, tally: Tally, table: Table | None, minute_ms: int) -> Iterator[Found]:
    name, index, operation = key
    if service_of(operation) is not None:
        return
    if tally.user_errors:
        yield "UserErrors", COUNT, {}, events(minute_ms, tally.user_errors)
    if not name:
        return
    of_table = {"TableName": name}
    known = None if table is None or index is None else table.index(index)
    is_local = known is not None and known.local
    of_part = of_table if index is None or is_local else {**of_table, "GlobalSecondaryIndexName": index}
    read, written, unit = READ_UNITS, WRITE_UNITS, COUNT
    if table is not None and index is not None and table.vector_index(index) is not None:
        of_part = {**of_table, "VectorIndexName": index}
        read, written, unit = SEARCHED, WRITTEN, BYTES
    if tally.reads:
        yield read, unit, of_part, _units(minute_ms, tally.reads)
    if tally.writes:
        point = _units(minute_ms, tally.writes)
        yield written, unit, of_part, point
        if written == WRITE_UNITS and table is not None and table.group is not None:
            yield written, unit, {**of_part, "Source": GLOBAL_TABLE if operation == APPLYING else CUSTOMER}, point
    for reason, count in tally.reasons.items():
        parsed = _REASON(reason)
        if parsed is not None:
            by_reason = parsed[1] + parsed[2]
            yield f"{parsed[1]}ThrottleEvents", COUNT, of_part, events(minute_ms, count)
            of_reason = of_table if by_reason == "WriteAccountLimit" else of_part
            yield f"{by_reason}ThrottleEvents", COUNT, of_reason, events(minute_ms, count)
    if tally.failed_conditions:
        yield "ConditionalCheckFailedRequests", COUNT, of_table, events(minute_ms, tally.failed_conditions)
    if tally.conflicted:
        average = tally.conflicts / tally.conflicted
        yield "TransactionConflict", COUNT, of_table, Datapoint(
            minute_ms, tally.conflicts, tally.conflicted, average, average
        )  # fmt: skip
    operation, _, kind = operation.partition(" ")
    if operation in TIMED:
        of_operation = {**of_table, "Operation": operation}
        yield from _of_operation(of_operation, index, tally, minute_ms)
        if kind:
            dimension = "Verb" if operation == "ExecuteStatement" else "OperationType"
            yield from _of_operation({**of_operation, dimension: kind}, index, tally, minute_ms)
        if operation == "GetRecords" and table is not None and table.stream is not None:
            yield from _of_stream({**of_operation, "StreamLabel": table.stream.label}, tally, minute_ms)


def _units(minute_ms: int, counts: Mapping[float, int]) -> Datapoint:
    """`counts`: how many requests consumed so many units."""
    point = of_values(minute_ms, counts)
    return Datapoint(minute_ms, point.sum, point.count, point.minimum, point.maximum)


def _of_operation(of_operation: dict[str, str], index: str | None, tally: Tally, minute_ms: int) -> Iterator[Found]:
    operation = of_operation["Operation"]
    if tally.throttled and index is None:
        yield "ThrottledRequests", COUNT, of_operation, events(minute_ms, tally.throttled)
    if tally.system_errors:
        yield "SystemErrors", COUNT, of_operation, events(minute_ms, tally.system_errors)
    if tally.injected:
        yield "FaultInjectionServiceInducedErrors", COUNT, of_operation, events(minute_ms, tally.injected)
    if operation != "GetRecords":
        yield from _latency(of_operation, tally, minute_ms)
    if tally.pages and operation in RETURNING:
        yield "ReturnedItemCount", COUNT, of_operation, _average(minute_ms, tally.items, tally.pages)


def _of_stream(of_stream: dict[str, str], tally: Tally, minute_ms: int) -> Iterator[Found]:
    yield from _latency(of_stream, tally, minute_ms)
    if tally.pages:
        yield "ReturnedRecordsCount", COUNT, of_stream, _average(minute_ms, tally.items, tally.pages)
        yield "ReturnedBytes", BYTES, of_stream, _average(minute_ms, tally.bytes, tally.pages)


def _latency(dimensions: dict[str, str], tally: Tally, minute_ms: int) -> Iterator[Found]:
    if tally.latencies:
        values = {_milliseconds(class_ns): float(count) for class_ns, count in tally.latencies.items()}
        yield "SuccessfulRequestLatency", MILLISECONDS, dimensions, of_values(minute_ms, values)


def events(minute_ms: int, count: int) -> Datapoint:
    return Datapoint(minute_ms, count, count, 1, 1)


def _average(minute_ms: int, total: float, count: int) -> Datapoint:
    """A datapoint of requests whose least and greatest values are unknown."""
    return Datapoint(minute_ms, total, count, total / count, total / count)


@lru_cache(maxsize=1_024)  # all classes of latencies under a year
def _milliseconds(class_ns: int) -> float:
    """The middle of a class of latencies."""
    width = 1 << max(0, class_ns.bit_length() - 4)
    return round((class_ns + width / 2) / 1e6, 6)


def sent(table: str, tally: Sent, minute_ms: int) -> dict[Series, list[Datapoint]]:
    """What became of a table's changes on their way to Kinesis streams in a minute."""
    dimensions = {"TableName": table, "DelegatedOperation": DELEGATED}
    found: dict[Series, list[Datapoint]] = {}

    def add(name: str, unit: str, point: Datapoint) -> None:
        found[Series(dynamodb(name, **dimensions), unit)] = [point]

    if tally.puts:
        add("ConsumedChangeDataCaptureUnits", COUNT, _average(minute_ms, tally.units, tally.puts))
    if tally.oldest_ms is not None:
        add("AgeOfOldestUnreplicatedRecord", MILLISECONDS, single(minute_ms, tally.oldest_ms))
    if tally.failed:
        add("FailedToReplicateRecordCount", COUNT, events(minute_ms, tally.failed))
    if tally.throttled:
        add("ThrottledPutRecordCount", COUNT, events(minute_ms, tally.throttled))
    return found


def replicated(now: Replicated, before: Replicated | None, minute_ms: int) -> dict[Series, list[Datapoint]]:
    """How the changes of a table arrived in one region in a minute."""
    old = before or Replicated(now.table, now.receiver)
    found: dict[Series, list[Datapoint]] = {}
    dimensions = {"TableName": now.table, "ReceivingRegion": now.receiver}
    changes, latency_ms = now.changes - old.changes, now.latency_ms - old.latency_ms
    if changes > 0:
        most = now.longest_ms if now.longest_ms > old.longest_ms else latency_ms / changes
        point = Datapoint(minute_ms, latency_ms, changes, latency_ms / changes, max(most, latency_ms / changes))
        found[Series(dynamodb("ReplicationLatency", **dimensions), MILLISECONDS)] = [point]
    if now.pending is not None and (changes > 0 or now.pending != old.pending):
        point = Datapoint(minute_ms, now.pending, 1, now.pending, now.pending)
        found[Series(dynamodb("PendingReplicationCount", **dimensions), COUNT)] = [point]
    return found
