"""The steps of bulk operations that put items.

Each step stores the effects of the next records together with the position after them, the counts, and the lines of the
output files. So an interrupted operation resumes there; no record is put or counted twice. Besides its Item, a record
may have a ConditionExpression with its names and values. A record that fails does not stop the others.

    PREFIX/AWSDynamoDB/ID/_started                          empty; written first, to see whether the bucket takes it
    PREFIX/AWSDynamoDB/ID/error/NAME.json.gz                a line for each record that is invalid
    PREFIX/AWSDynamoDB/ID/condition-check-failure/NAME.json.gz    a line for each record whose condition failed

The puts are ordinary writes, with their change records, index entries and expiry. They cost no capacity of the table:
the operation counts the bytes that it puts. Of the two tiers, STANDARD rests after each step for as long as the step
took, so that other work gets half of the time; ACCELERATED does not.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from math import ceil
from typing import Any

import orjson
from isal import igzip

from atoll.capacity.units import index_write_units, write_units
from atoll.database import long, writes
from atoll.database.region import Region
from atoll.database.rows import Row
from atoll.database.schema import Table
from atoll.database.writes import UNCHANGED, Decision, Outcome, Put, Write
from atoll.errors import ApiError, ConditionFailed
from atoll.errors import backups as backup_errors
from atoll.errors import bulk as errors
from atoll.recovery.long_jobs import Document
from atoll.storage.engine import Transaction
from atoll.transfer import bulk as operations
from atoll.transfer.buckets import Buckets, NoSuchBucket, Unreachable, no_such_bucket
from atoll.transfer.bulk import (
    CANCELLING,
    CONDITION_CHECK_FAILURE,
    ERROR,
    GLOBAL,
    LOCAL,
    STANDARD,
    TABLE,
    UNDER_WAY,
    VECTOR,
    Bulk,
    Output,
)
from atoll.transfer.exports import FILE_BYTES, file_name
from atoll.transfer.jobs import COMPLETED, FAILED
from atoll.transfer.sources import ImportBatch, Reading, Record
from atoll.versions import Stamp

_log = logging.getLogger(__name__)

ATTEMPTS = 3
"""The pause before a bucket that cannot be reached is tried again."""
REST_MS = 10_000
"""The longest rest after a step: the clock may have been moved, or the machine suspended, during the step."""
_FOLDERS = {ERROR: "error", CONDITION_CHECK_FAILURE: "condition-check-failure"}


class BulkPutter:
    """The steps of operations from and to these buckets."""

    def __init__(self, buckets: Buckets) -> None:
        self._buckets = buckets
        self._readings: dict[str, Reading] = {}
        """Of the operations that this process goes on with; lost ones are made anew."""
        self._failures: dict[str, int] = {}

    async def step(self, region: Region, job: Document) -> int | None:
        one = await region.read(lambda snapshot: operations.find(snapshot, job["id"]))
        if one is None or one.status not in UNDER_WAY:
            return None
        began_ms = region.clock.now_ms()
        if one.status != CANCELLING and not one.is_read and one.paced_ms > began_ms:
            return one.paced_ms
        try:
            await self._go_on(region, one)
        except NoSuchBucket:
            await self._end(region, one, "S3NoSuchBucket", no_such_bucket(one.id))
        except Unreachable as reason:
            failures = self._failures[one.id] = self._failures.get(one.id, 0) + 1
            if failures < ATTEMPTS:
                raise
            await self._end(region, one, "S3AccessDenied", str(reason))
        except ApiError as error:
            await self._end(region, one, error.code, error.message or "")
        now_ms = region.clock.now_ms()
        return now_ms + min(now_ms - began_ms, REST_MS) if one.tier == STANDARD else None

    async def _go_on(self, region: Region, one: Bulk) -> None:
        is_last = one.is_read or one.status == CANCELLING
        full = [output for output in one.outputs if output.size >= FILE_BYTES or (is_last and output.chunks)]
        if full:
            await self._write_file(region, one, full[0])
        elif is_last:
            await self._end(region, one)
        else:
            await self._read_on(region, one)

    async def _read_on(self, region: Region, one: Bulk) -> None:
        reading = self._readings.pop(one.id, None)
        if reading is not None and reading.position == one.position:
            await self._put(region, one, reading)
            return
        if reading is not None:
            reading.stop()
        self._readings[one.id] = await self._begin(region, one)

    async def _begin(self, region: Region, one: Bulk) -> Reading:
        if one.total_size is None and one.outputs:
            await self._buckets.put(one.output_bucket, f"{one.output_root}_started", b"")
        objects = await self._buckets.objects(one.bucket, one.prefix)
        if one.total_size is None:
            total = sum(found.size for found in objects)
            await region.write(lambda tx, stamp: _change(tx, one, replace(one, total_size=total)))
        return Reading(self._buckets, one.bucket, objects, one.position, one.format)

    async def _put(self, region: Region, one: Bulk, reading: Reading) -> None:
        table = await region.read(lambda snapshot: _table(region, snapshot, one))
        batch = await reading.batch(table)
        if not batch.is_last:
            reading.read_ahead(table)
        is_stored = False
        try:
            is_stored = await region.write(lambda tx, stamp: _store(tx, region, one, batch, stamp))
        finally:
            if not is_stored:
                reading.stop()
        self._failures.pop(one.id, None)
        if is_stored and not batch.is_last:
            self._readings[one.id] = reading

    async def _write_file(self, region: Region, one: Bulk, output: Output) -> None:
        lines = await region.read(lambda snapshot: operations.next_file(snapshot, one, output))
        body = await asyncio.to_thread(igzip.compress, lines, 1)
        name = file_name(one.id, f"{output.type} {output.files}")
        await self._buckets.put(one.output_bucket, f"{one.output_root}{_FOLDERS[output.type]}/{name}.json.gz", body)

        def written(tx: Transaction, stamp: Stamp) -> None:
            current = operations.find(tx, one.id)
            if current is not None and current.outputs == one.outputs:
                operations.file_written(tx, current, output)

        await region.write(written)
        self._failures.pop(one.id, None)

    async def _end(self, region: Region, one: Bulk, code: str = "", text: str = "") -> None:
        """End the operation, with a failure or as it is."""
        reading = self._readings.pop(one.id, None)
        if reading is not None:
            reading.stop()
        self._failures.pop(one.id, None)

        def end(tx: Transaction, stamp: Stamp) -> None:
            current = operations.find(tx, one.id)
            if current is None or current.status not in UNDER_WAY:
                return
            failure = (code, text) if code else None
            if current.status == CANCELLING:
                status, failure = operations.CANCELLED, failure or ("CANCELLED", errors.CANCELLED)
            elif failure is not None:
                status = FAILED
                _log.warning("a bulk operation failed: %s", text, extra={"table": one.table})
            else:
                status = operations.COMPLETED_WITH_ERRORS if current.failed else COMPLETED
            operations.end(tx, replace(current, status=status, ended_ms=stamp.now_ms, failure=failure))

        await region.write(end)


def _change(tx: Transaction, one: Bulk, changed: Bulk) -> bool:
    """Store a change, unless the operation has changed meanwhile: it was cancelled, or another process goes on."""
    if operations.find(tx, one.id) != one:
        return False
    operations.put(tx, changed)
    return True


def _table(region: Region, snapshot: Any, one: Bulk) -> Table:
    table = region.catalog.find(snapshot, one.table)
    if table is None or table.id != one.table_id or table.status_at(region.clock.now_ms()) in ("CREATING", "DELETING"):
        raise backup_errors.table_not_found(one.table)
    return table


# Records


@dataclass(slots=True)
class _Effects:
    """The effects of one batch of records."""

    units: float = 0.0
    failed: int = 0
    used: dict[tuple[str, str], int] = field(default_factory=dict)
    lines: dict[str, list[Document]] = field(default_factory=dict)

    def applied(self, put: Put, outcome: Outcome) -> None:
        self.units += write_units(outcome.table_bytes)
        self._use(TABLE, "", put.image.size)
        for index_write in outcome.index_writes:
            self.units += index_write_units(index_write)
            index = index_write.index
            self._use(LOCAL if index.local else GLOBAL, index.name, index_write.after or 0)
        for vector_write in outcome.vector_writes:
            self._use(VECTOR, vector_write.index.name, vector_write.size)

    def _use(self, kind: str, name: str, size: int) -> None:
        self.used[kind, name] = self.used.get((kind, name), 0) + size

    def refused(self, one: Bulk, record: Record, error: ApiError | str) -> None:
        pointer = {"bucket": one.bucket, "key": record.key, "itemIndex": record.number}
        line: Document = {"itemS3Pointer": pointer, "bulkOperationArn": one.arn}
        if isinstance(error, ConditionFailed) and record.image is not None:
            self.units += write_units(max(error.size, record.image.size))
            line["item"] = orjson.Fragment(record.image.json)
            if error.fields is not None:
                line["existingItem"] = error.fields["Item"]
            self.lines.setdefault(CONDITION_CHECK_FAILURE, []).append(line)
            return
        self.failed += 1
        line["errorMessages"] = [error if isinstance(error, str) else error.message or error.code]
        self.lines.setdefault(ERROR, []).append(line)


def _store(tx: Transaction, region: Region, one: Bulk, batch: ImportBatch, stamp: Stamp) -> bool:
    """Put the items of the records; returns whether the operation is as it was."""
    if operations.find(tx, one.id) != one:
        return False
    effects = _apply(tx, _table(region, tx, one), one, batch.records, stamp)
    used = {(kind, name): size for kind, name, size in one.used}
    for key, size in effects.used.items():
        used[key] = used.get(key, 0) + size
    paced_ms = 0 if one.rate is None else max(one.paced_ms, stamp.now_ms) + ceil(1000 * effects.units / one.rate)
    position = batch.position
    changed = replace(
        one,
        outputs=tuple(
            operations.add_lines(tx, one, output, effects.lines.get(output.type, ())) for output in one.outputs
        ),
        read=max(one.read, batch.read),
        is_read=batch.is_last,
        processed=one.processed + len(batch.records),
        failed=one.failed + effects.failed,
        used=tuple((*key, size) for key, size in used.items()),
        paced_ms=paced_ms,
        key=position.key,
        lines=position.lines,
        records=position.records,
    )
    operations.put(tx, changed)
    return True


def _apply(tx: Transaction, table: Table, one: Bulk, records: Sequence[Record], stamp: Stamp) -> _Effects:
    effects = _Effects()
    puts = [_put_of(record, table) for record in records]
    writes.announce(tx, [put for put in puts if put is not None], stamp)
    if sum(len(put.image.json) for put in puts if put is not None) * (1 + len(table.indexes)) > long.BATCH_BYTES:
        tx.announce_long()
    for record, put in zip(records, puts, strict=True):
        if put is None:
            effects.refused(one, record, record.error)
            continue
        trial = _Trial()
        outcome = writes.commit_single(tx, put, stamp, trial.decide)
        if trial.refusal is None:
            effects.applied(put, outcome)
        else:
            effects.refused(one, record, trial.refusal)
    return effects


def _put_of(record: Record, table: Table) -> Put | None:
    image = record.image
    if image is None:
        return None
    return Put(table, table.keys.key_of(image.item), record.row_key, image, record.condition, show_item=True)


@dataclass(slots=True)
class _Trial:
    """Lets a refused write change nothing."""

    refusal: ApiError | None = None

    def decide(self, write: Write, old: Row | None) -> Decision:
        try:
            return write.decide(old)
        except ApiError as refusal:
            self.refusal = refusal.with_traceback(None)
            return UNCHANGED
