"""Event source mappings: each connects a stream to a function, with the settings of its batches.

Mappings and their progress are rows of the catalog, in the same store as items and changes, so all of them always
agree:

    0 'M' uuid                  -> Mapping (JSON)
    0 'P' uuid shard4 lane1     -> Lane (JSON): the function's progress in this lane of the shard, see `batches`

The counter `mappings` counts changes of mappings, as `generation` does for tables.

A shard may be processed in several lanes in parallel (the parallelization factor). The hash of an item's partition key
selects the lane of its changes, so the changes of one item stay in order.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from atoll import limits
from atoll.database import format as fmt
from atoll.database import streams
from atoll.database.log import cursor
from atoll.database.records import dump, load
from atoll.database.region import Region
from atoll.errors import ApiError
from atoll.errors import triggers as trigger_errors
from atoll.storage.engine import Snapshot, Transaction
from atoll.triggers import filters
from atoll.triggers.batches import Lane

LATEST, TRIM_HORIZON = "LATEST", "TRIM_HORIZON"
REPORT_FAILURES = "ReportBatchItemFailures"

CHANGES = b"mappings"


@dataclass(frozen=True)
class Mapping:
    """Unlimited retries and ages are -1, as in the API."""

    uuid: str
    function: str
    stream_arn: str
    modified_ms: int = 0
    enabled: bool = True
    starting_position: str = TRIM_HORIZON
    batch_size: int = 100
    batching_window_ms: int = 0
    parallelization: int = 1
    patterns: tuple[str, ...] = ()
    retries: int = -1
    record_age_ms: int = -1
    bisect: bool = False
    report_failures: bool = False
    tumbling_window_ms: int = 0
    on_failure: str | None = None
    """The ARN of a destination or function."""
    declared: bool = False
    """Whether the functions file declares this mapping. It is deleted when the file no longer has it."""


def find(snapshot: Snapshot, uuid: str) -> Mapping:
    stored = snapshot.get(fmt.mapping_key(uuid))
    if stored is None:
        raise trigger_errors.mapping_not_found()
    mapping: Mapping = load(Mapping, stored)
    return mapping


def listed(snapshot: Snapshot) -> Iterator[Mapping]:
    for _, stored in snapshot.scan(*fmt.MAPPINGS):
        yield load(Mapping, stored)


def lanes(snapshot: Snapshot, uuid: str) -> Iterator[tuple[int, int, Lane]]:
    """Shard number, lane number and progress of each stored lane."""
    for key, stored in snapshot.scan(*fmt.lane_range(uuid)):
        _, shard, lane = fmt.parse_lane_key(key)
        yield shard, lane, load(Lane, stored)


def create(tx: Transaction, region: Region, mapping: Mapping, now_ms: int, since_ms: int | None = None) -> None:
    """Store a new mapping. With LATEST the function gets every change that is committed after this transaction.
    Exception: if the stream was created after `since_ms`, it gets every change of the stream."""
    check_unique(tx, mapping)
    if ":dynamodb:" not in mapping.stream_arn:
        raise trigger_errors.source_unrecognized()
    try:
        stream = streams.find(tx, region, mapping.stream_arn, now_ms)
    except ApiError:
        raise trigger_errors.stream_not_found(mapping.stream_arn) from None
    if mapping.starting_position == LATEST and (since_ms is None or stream.created_ms < since_ms):
        present = list(streams.shards_of(tx, stream, now_ms))
        for shard, end in zip(present, cursor.ends(tx, stream.log_space, present), strict=True):
            for number in range(mapping.parallelization):
                lane = Lane(end, of=mapping.parallelization, finished=shard.closed_ms is not None)
                tx.put(fmt.lane_key(mapping.uuid, shard.number, number), dump(lane))
    save(tx, mapping)


def check_unique(snapshot: Snapshot, mapping: Mapping) -> None:
    """Check that at most one mapping connects a stream to a function."""
    for other in listed(snapshot):
        same = (other.stream_arn, other.function) == (mapping.stream_arn, mapping.function)
        if same and other.uuid != mapping.uuid:
            raise trigger_errors.mapping_exists(mapping.stream_arn, mapping.function, other.uuid)


def save(tx: Transaction, mapping: Mapping) -> None:
    tx.put(fmt.mapping_key(mapping.uuid), dump(mapping))
    tx.add_number(CHANGES, 1)


def delete(tx: Transaction, uuid: str) -> None:
    """Delete a mapping and its progress."""
    tx.delete(fmt.mapping_key(uuid))
    tx.delete_range(*fmt.lane_range(uuid))
    tx.add_number(CHANGES, 1)


def save_lane(tx: Transaction, uuid: str, shard: int, number: int, lane: Lane) -> bool:
    """Save a lane unless its mapping was deleted; return whether it was saved."""
    if tx.get(fmt.mapping_key(uuid)) is None:
        return False
    tx.put(fmt.lane_key(uuid, shard, number), dump(lane))
    return True


_PLAIN = {
    "Enabled": "enabled",
    "BatchSize": "batch_size",
    "ParallelizationFactor": "parallelization",
    "MaximumRetryAttempts": "retries",
    "BisectBatchOnFunctionError": "bisect",
    "StartingPosition": "starting_position",
}
_SECONDS = {
    "MaximumBatchingWindowInSeconds": "batching_window_ms",
    "TumblingWindowInSeconds": "tumbling_window_ms",
}


def changed(mapping: Mapping, request: dict[str, Any]) -> Mapping:
    """The mapping with the settings of a request (or of an entry of the file), whose shape has been checked."""
    values: dict[str, Any] = {f: request[m] for m, f in _PLAIN.items() if request.get(m) is not None}
    values |= {f: request[m] * 1000 for m, f in _SECONDS.items() if request.get(m) is not None}
    age = request.get("MaximumRecordAgeInSeconds")
    if age is not None:
        if 0 <= age < limits.RECORD_AGE_SECONDS:
            raise trigger_errors.record_age_invalid()
        values["record_age_ms"] = -1 if age < 0 else age * 1000
    if (criteria := request.get("FilterCriteria")) is not None:
        values["patterns"] = _patterns(criteria)
    if (kinds := request.get("FunctionResponseTypes")) is not None:
        values["report_failures"] = REPORT_FAILURES in kinds
    if (destinations := request.get("DestinationConfig")) is not None:
        values["on_failure"] = (destinations.get("OnFailure") or {}).get("Destination") or None
    mapping = replace(mapping, **values)
    if mapping.tumbling_window_ms and mapping.parallelization > 1:
        raise trigger_errors.window_in_parallel()
    if mapping.starting_position not in (LATEST, TRIM_HORIZON):
        raise trigger_errors.position_unsupported(mapping.stream_arn)
    return mapping


def _patterns(criteria: dict[str, Any]) -> tuple[str, ...]:
    found = tuple(entry.get("Pattern") or "{}" for entry in criteria.get("Filters") or ())
    if len(found) > limits.FILTERS:
        raise trigger_errors.too_many_filters()
    for pattern in found:
        try:
            filters.compile(pattern)
        except ValueError:
            raise trigger_errors.filter_invalid() from None
    return found
