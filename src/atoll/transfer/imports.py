"""Imports of the objects of a bucket into a new table.

An import is a document, and a long job until it ends. The first step of the job checks the bucket and creates the
table, which stays CREATING until the last step. Each other step stores the next records together with the position
after them and the counts. So an interrupted import resumes there, and counts nothing twice.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace

import orjson

from atoll import limits
from atoll.database import catalog, documents, writes
from atoll.database.log import shards
from atoll.database.region import Region
from atoll.database.schema import Table
from atoll.errors import imports as errors
from atoll.recovery import long_jobs
from atoll.recovery.long_jobs import Document
from atoll.storage.engine import Transaction
from atoll.transfer.buckets import Buckets, NoSuchBucket, Unreachable, no_such_bucket
from atoll.transfer.jobs import COMPLETED, FAILED, JobDocuments, ReadingJob
from atoll.transfer.parsing import CSV
from atoll.transfer.sources import Format, ImportBatch, Reading, Record
from atoll.versions import Stamp

_log = logging.getLogger(__name__)

KIND = JOB = "import"
FOREVER_MS = 1 << 53
LOGGED_ERRORS = 1_000
"""The errors of one import that are logged. All are counted."""
ATTEMPTS = 3
"""The pause before a bucket that cannot be reached is tried again."""


@dataclass(frozen=True, kw_only=True)
class Import(ReadingJob):
    table: Table
    """The table to create; its spaces are chosen at its creation."""
    has_table: bool = False
    processed: int = 0
    imported: int = 0
    errors: int = 0
    size: int = 0
    """The bytes of the records, expanded."""

    @property
    def bucket(self) -> str:
        name: str = self.request["S3BucketSource"]["S3Bucket"]
        return name

    @property
    def prefix(self) -> str:
        return self.request["S3BucketSource"].get("S3KeyPrefix") or ""

    @property
    def format(self) -> Format:
        options = (self.request.get("InputFormatOptions") or {}).get("Csv") or {}
        compression = self.request.get("InputCompressionType") or "NONE"
        name = self.request["InputFormat"]
        if name != CSV:
            return Format(name, compression)
        types: dict[str, str] = {}
        for keys in (self.table.keys, *(index.keys for index in self.table.indexes)):
            types |= keys.types
        for vector_index in self.table.vector_indexes:
            types |= vector_index.types
        return Format(name, compression, options.get("Delimiter") or ",", options.get("HeaderList"), types)


_DOCUMENTS = JobDocuments(KIND, Import)
find, listed, put = _DOCUMENTS.find, _DOCUMENTS.listed, _DOCUMENTS.put


def begin(tx: Transaction, one: Import) -> None:
    put(tx, one)
    long_jobs.put(tx, {"id": one.id, "kind": JOB})


# The job


class Importer:
    """The steps of imports from these buckets."""

    def __init__(self, buckets: Buckets) -> None:
        self._buckets = buckets
        self._readings: dict[str, Reading] = {}
        """Of the imports that this process goes on with; lost ones are made anew."""
        self._failures: dict[str, int] = {}

    async def step(self, region: Region, job: Document) -> None:
        one = await region.read(lambda snapshot: find(snapshot, job["id"]))
        assert one is not None
        reading = self._readings.pop(one.id, None)
        try:
            if reading is None or reading.position != one.position:
                if reading is not None:
                    reading.stop()
                reading = await self._begin(region, one)
            if reading is not None and one.has_table:
                await self._go_on(region, one, reading)
            elif reading is not None:
                self._readings[one.id] = reading
        except NoSuchBucket:
            await _end(region, one, "S3NoSuchBucket", no_such_bucket(one.id))
        except Unreachable as reason:
            failures = self._failures[one.id] = self._failures.get(one.id, 0) + 1
            if failures < ATTEMPTS:
                raise
            await _end(region, one, "S3AccessDenied", str(reason))
            del self._failures[one.id]

    async def _begin(self, region: Region, one: Import) -> Reading | None:
        objects = await self._buckets.objects(one.bucket, one.prefix)
        if not one.has_table and not await region.write(lambda tx, stamp: _make_table(tx, region, one, stamp.now_ms)):
            await _end(region, one, "TableAlreadyExists", errors.table_exists(one.table.name).message or "")
            return None
        return Reading(self._buckets, one.bucket, objects, one.position, one.format)

    async def _go_on(self, region: Region, one: Import, reading: Reading) -> None:
        batch = await reading.batch(one.table)
        if not batch.is_last:
            reading.read_ahead(one.table)
        stored = None
        try:
            stored = await region.write(lambda tx, stamp: _store(tx, region, one, batch, stamp))
        finally:
            if stored is None:
                reading.stop()
        if stored is None:
            return
        self._failures.pop(one.id, None)
        for record in batch.records:
            if record.image is None and one.errors < LOGGED_ERRORS:
                _log_error(one, record)
        if not batch.is_last:
            self._readings[one.id] = reading
        elif stored.errors:
            await _end(region, stored, "ItemValidationError", errors.ITEMS_FAILED)
        else:
            await _end(region, stored)


def _make_table(tx: Transaction, region: Region, one: Import, now_ms: int) -> bool:
    """Whether the table could be made. It is CREATING until the import ends."""
    existing = region.catalog.find(tx, one.table.name)
    if existing is not None:
        return False
    table = replace(
        one.table,
        space=catalog.new_space(tx),
        log_space=catalog.new_space(tx),
        created_ms=now_ms,
        status="CREATING",
        due_ms=FOREVER_MS,
        indexes=tuple(replace(index, space=catalog.new_space(tx)) for index in one.table.indexes),
        vector_indexes=catalog.renewed(tx, one.table.vector_indexes),
    )
    table = shards.open_first(tx, table, now_ms)
    catalog.save(tx, table)
    put(tx, replace(one, table=table, has_table=True))
    return True


def _store(tx: Transaction, region: Region, one: Import, batch: ImportBatch, stamp: Stamp) -> Import | None:
    """Store the records; returns the import then, or None if another process has gone on with it."""
    if find(tx, one.id) != one:
        return None
    records, position = batch.records, batch.position
    table = region.catalog.find(tx, one.table.name)
    assert table is not None and table.id == one.table.id
    puts = {
        record.row_key: writes.Put(table, table.keys.key_of(record.image.item), record.row_key, record.image)
        for record in records
        if record.image is not None
    }
    writes.commit(tx, list(puts.values()), stamp)
    failed = sum(record.image is None for record in records)
    changed = replace(
        one,
        processed=one.processed + len(records),
        imported=one.imported + len(records) - failed,
        errors=one.errors + failed,
        size=one.size + batch.size,
        key=position.key,
        lines=position.lines,
        records=position.records,
    )
    put(tx, changed)
    return changed


async def _end(region: Region, one: Import, code: str = "", text: str = "") -> None:
    if code:
        _log.warning("an import failed: %s", text, extra={"table": one.table.name})

    def end(tx: Transaction, stamp: Stamp) -> None:
        table = region.catalog.find(tx, one.table.name)
        if one.has_table and table is not None and table.id == one.table.id:
            catalog.save(tx, replace(table, status="ACTIVE", due_ms=stamp.now_ms))
        failure = (code, text) if code else None
        status = FAILED if code else COMPLETED
        put(tx, replace(one, status=status, ended_ms=stamp.now_ms, failure=failure))
        documents.delete_at(tx, stamp.now_ms + limits.EXPORTS_KEPT_MS, KIND, one.id)
        long_jobs.delete(tx, one.id)

    await region.write(end)


def _log_error(one: Import, record: Record) -> None:
    """Log an error in the form of the service's log of imports."""
    pointer = {"bucket": one.bucket, "key": record.key, "itemIndex": record.number}
    message = {"itemS3Pointer": pointer, "importArn": one.arn, "errorMessages": [record.error]}
    _log.warning("%s", orjson.dumps(message).decode())
