"""Exports of a table into a bucket: the whole table at a moment, or its changes in a window.

An export is a document, and a long job until it ends. A step of the job reads a limited number of rows, whether its
filter keeps them or not. When the lines of a data file are complete, a step writes the file and stores its position,
together with the file's line of the manifest. An interrupted file is begun again. The name of a file follows from its
number, so a step that runs again writes the same object. The manifests are written last.

    PREFIX/AWSDynamoDB/ID/_started, manifest-files.json, manifest-files.md5, manifest-summary.json, manifest-summary.md5
    PREFIX/AWSDynamoDB/ID/data/NAME.json.gz    the whole table
    PREFIX/AWSDynamoDB/data/NAME.json.gz       changes
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import logging
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import orjson
from isal import igzip

from atoll import limits
from atoll.database import documents, moment
from atoll.database import format as fmt
from atoll.database.region import Region
from atoll.recovery import copies
from atoll.recovery.copies import Copy
from atoll.recovery.long_jobs import Document
from atoll.storage.engine import Transaction
from atoll.transfer import changes
from atoll.transfer.buckets import Buckets, NoSuchBucket, Unreachable, no_such_bucket
from atoll.transfer.filters import Filter
from atoll.transfer.jobs import COMPLETED, FAILED, Job, JobDocuments
from atoll.transfer.lines import ion_line, item_line, json_line
from atoll.versions import Stamp

_log = logging.getLogger(__name__)

KIND, FILES = "export", "export-file"
JOB = "export"
FULL, INCREMENTAL = "FULL_EXPORT", "INCREMENTAL_EXPORT"
JSON, ION = "DYNAMODB_JSON", "ION"
NEW_IMAGE, BOTH_IMAGES = "NEW_IMAGE", "NEW_AND_OLD_IMAGES"

FILE_BYTES = 8 * 1024 * 1024
"""A data file ends when its lines have this many bytes,"""
FILE_ROWS = 200_000
"""or when this many rows were read for it."""
STEP_ROWS = 5_000
"""The rows of one step, which may exceed this by one piece."""
BILLED_LEAST_BYTES = 10_000_000
"""The least bytes that an incremental export is billed for."""


@dataclass(frozen=True, kw_only=True)
class Export(Job):
    table: str
    table_arn: str
    table_id: str
    type: str
    format: str
    bucket: str
    prefix: str
    moment_ms: int | None = None
    """The moment of an export of the whole table."""
    from_ms: int | None = None
    to_ms: int | None = None
    """The window of an incremental export, without its end."""
    view: str | None = None
    items: int = 0
    size: int = 0
    """The size of the items, in bytes by the published formula."""
    files: int = 0
    least_files: int = 1
    """One for each partition."""

    @property
    def root(self) -> str:
        prefix = self.prefix if not self.prefix or self.prefix.endswith("/") else self.prefix + "/"
        return f"{prefix}AWSDynamoDB/"

    @property
    def manifest(self) -> str:
        return f"{self.root}{self.id}/manifest-summary.json"


_DOCUMENTS = JobDocuments(KIND, Export)
find, listed, put = _DOCUMENTS.find, _DOCUMENTS.listed, _DOCUMENTS.put


# The job


class Exporter:
    """The steps of exports into these buckets."""

    def __init__(self, buckets: Buckets) -> None:
        self._buckets = buckets
        self._files: dict[str, _File] = {}
        """The incomplete files of the exports that this process goes on with."""

    async def step(self, region: Region, job: Document) -> None:
        copy = copies.load(job)
        export = await region.read(lambda snapshot: find(snapshot, copy.target))
        assert export is not None
        try:
            if copy.position is None:
                await self._begin(region, copy, export)
            elif copy.is_copied:
                await self._finish(region, copy, export)
            else:
                await self._go_on(region, copy, export)
        except NoSuchBucket:
            await self._fail(region, copy, export, "S3NoSuchBucket", no_such_bucket(export.id))
        except Unreachable as reason:
            await self._fail(region, copy, export, "S3AccessDenied", str(reason))

    async def _begin(self, region: Region, copy: Copy, export: Export) -> None:
        await self._buckets.put(export.bucket, f"{export.root}{export.id}/_started", b"")

        def join(tx: Transaction, stamp: Stamp) -> bool:
            position = copies.join(tx, region, copy)
            if position is not None:
                copies.save(tx, replace(copy, position=position))
            return position is not None

        if not await region.write(join):
            await self._fail(region, copy, export, "UNKNOWN", "The table was deleted")

    async def _go_on(self, region: Region, copy: Copy, export: Export) -> None:
        """Read the next rows, and write the data file if that completes it."""
        file = self._files.pop(export.id, None)
        if file is None or file.copy != copy:
            assert copy.position is not None
            file = _File(copy, copy.position)
        chosen, first = Filter(export.request.get("FilterSpecification")), file.read
        collect = _changes if export.type == INCREMENTAL else _items
        while not file.is_complete and file.read < first + STEP_ROWS:
            collected = await collect(region, file.copy, file.position, export, chosen)
            if collected is None:
                return
            if collected.lost:
                await self._fail(region, file.copy, export, "UNKNOWN", "The table's log does not reach back far enough")
                return
            file.add(collected)
            await asyncio.sleep(0)
        if file.is_complete:
            await self._end_file(region, export, file)
        else:
            self._files[export.id] = file

    async def _end_file(self, region: Region, export: Export, file: _File) -> None:
        if file.items or (file.is_last and export.files < export.least_files):
            entry = await self._put_file(export, export.files, bytes(file.lines), file.items)
        else:
            entry = None

        def store(tx: Transaction, stamp: Stamp) -> None:
            if copies.is_elsewhere(tx, file.copy):
                return
            changed = replace(export, items=export.items + file.items, size=export.size + file.size)
            if entry is not None:
                documents.put(tx, entry, FILES, export.id, f"{export.files:08d}")
                changed = replace(changed, files=export.files + 1)
            put(tx, changed)
            copies.save(tx, replace(file.copy, position=file.position, is_copied=file.is_last))

        await region.write(store)

    async def _put_file(self, export: Export, number: int, lines: bytes, items: int) -> Document:
        body = await asyncio.to_thread(igzip.compress, lines, 1)
        extension = "json" if export.format == JSON else "ion"
        folder = "data" if export.type == INCREMENTAL else f"{export.id}/data"
        key = f"{export.root}{folder}/{file_name(export.id, number)}.{extension}.gz"
        etag = await self._buckets.put(export.bucket, key, body)
        return {"itemCount": items, "md5Checksum": _md5(body), "etag": etag, "dataFileS3Key": key}

    async def _finish(self, region: Region, copy: Copy, export: Export) -> None:
        empty: list[Document] = []
        while export.files < export.least_files:
            empty.append(await self._put_file(export, export.files, b"", 0))
            export = replace(export, files=export.files + 1)
        entries = await region.read(lambda snapshot: list(documents.listed(snapshot, FILES, copy.target)))
        entries += empty
        ended_ms = region.clock.now_ms()
        ended = replace(export, status=COMPLETED, ended_ms=ended_ms)
        files_key = f"{export.root}{export.id}/manifest-files"
        files = b"".join(orjson.dumps(entry, option=orjson.OPT_APPEND_NEWLINE) for entry in entries)
        summary = orjson.dumps(_summary(region, ended, f"{files_key}.json"))
        for key, body in ((files_key, files), (f"{export.root}{export.id}/manifest-summary", summary)):
            await self._buckets.put(export.bucket, f"{key}.json", body)
            await self._buckets.put(export.bucket, f"{key}.md5", _md5(body).encode())

        def end(tx: Transaction, stamp: Stamp) -> None:
            put(tx, ended)
            _end(tx, region, copy, stamp.now_ms)

        await region.write(end)

    async def _fail(self, region: Region, copy: Copy, export: Export, code: str, text: str) -> None:
        _log.warning("an export failed: %s", text, extra={"table": export.table})

        def end(tx: Transaction, stamp: Stamp) -> None:
            put(tx, replace(export, status=FAILED, ended_ms=stamp.now_ms, failure=(code, text)))
            _end(tx, region, copy, stamp.now_ms)

        await region.write(end)


def _end(tx: Transaction, region: Region, copy: Copy, now_ms: int) -> None:
    documents.delete_at(tx, now_ms + limits.EXPORTS_KEPT_MS, KIND, copy.target)
    tx.delete_range(*fmt.documents_of(FILES, copy.target))
    copies.release(tx, region, copy, now_ms)
    copies.end(tx, copy, now_ms)


def billed(export: Export) -> int:
    return max(export.size, BILLED_LEAST_BYTES) if export.type == INCREMENTAL else export.size


def file_name(id_: str, number: int | str) -> str:
    """26 characters from a-z and 2-7."""
    digest = hashlib.sha256(f"{id_} {number}".encode()).digest()[:16]
    return base64.b32encode(digest).decode().rstrip("=").lower()


def _md5(body: bytes) -> str:
    return base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()


def time(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{ms % 1000:03d}Z"


def _summary(region: Region, export: Export, files_key: str) -> Document:
    is_incremental = export.type == INCREMENTAL
    window: Document = {}
    if is_incremental:
        assert export.from_ms is not None and export.to_ms is not None
        window = {"exportFromTime": time(export.from_ms), "exportToTime": time(export.to_ms)}
    elif export.moment_ms is not None:
        window = {"exportTime": time(export.moment_ms)}
    return {
        "version": "2023-08-01" if is_incremental else "2020-06-30",
        "exportArn": f"{export.table_arn}/export/{export.id}",
        "startTime": time(export.started_ms),
        "endTime": time(export.ended_ms or export.started_ms),
        "tableArn": export.table_arn,
        "tableId": export.table_id,
        **window,
        "s3Bucket": export.bucket,
        "s3Prefix": export.prefix or None,
        "s3SseAlgorithm": export.request.get("S3SseAlgorithm", "AES256"),
        "s3SseKmsKeyId": export.request.get("S3SseKmsKeyId"),
        "manifestFilesS3Key": files_key,
        "billedSizeBytes": billed(export),
        "itemCount": export.items,
        "outputFormat": export.format,
        **({"outputView": export.view, "exportType": export.type} if is_incremental else {}),
    }


# Lines


@dataclass(slots=True)
class _Collected:
    copy: Copy
    """The job's document, as it is stored now."""
    position: moment.Position
    """The position after these lines."""
    lines: bytes
    items: int
    size: int
    is_last: bool
    read: int = 0
    """Rows of the table and changes of its log."""
    lost: bool = False


@dataclass(slots=True)
class _File:
    """The next data file, as far as its lines were collected."""

    copy: Copy
    position: moment.Position
    lines: bytearray = field(default_factory=bytearray)
    items: int = 0
    size: int = 0
    read: int = 0
    is_last: bool = False

    @property
    def is_complete(self) -> bool:
        return self.is_last or len(self.lines) >= FILE_BYTES or self.read >= FILE_ROWS

    def add(self, collected: _Collected) -> None:
        self.copy, self.position, self.is_last = collected.copy, collected.position, collected.is_last
        self.lines += collected.lines
        self.items += collected.items
        self.size += collected.size
        self.read += collected.read


async def _items(
    region: Region, copy: Copy, position: moment.Position, export: Export, chosen: Filter
) -> _Collected | None:
    """The next items of the table at the moment. None if another process runs the job."""
    piece = await region.read(lambda snapshot: copies.read(snapshot, replace(copy, position=position)))
    if piece is None:
        return _Collected(copy, position, b"", 0, 0, False, lost=True)

    def merge(tx: Transaction, stamp: Stamp) -> tuple[Copy, moment.PastItems] | None:
        if copies.is_elsewhere(tx, copy):
            return None
        assert copy.position is not None
        state = moment.merge(tx, copy.space, piece, copy.position.after_key)
        kept = replace(copy, position=replace(copy.position, log=state.position.log))
        copies.save(tx, kept)
        return kept, state

    merged = await region.write(merge)
    if merged is None:
        return None
    kept, state = merged
    rows = [(row, chosen.apply(row)) for _, row in state.rows]
    taken = [(row, json) for row, json in rows if json is not None]
    if export.format == JSON:
        lines = b"".join([item_line(json) for _, json in taken])
    else:
        lines = b"".join([ion_line({"Item": orjson.loads(json)}) for _, json in taken])
    size, read = sum(row.size for row, _ in taken), len(piece.undone) + len(state.rows)
    return _Collected(kept, state.position, lines, len(taken), size, state.is_last, read)


async def _changes(
    region: Region, copy: Copy, position: moment.Position, export: Export, chosen: Filter
) -> _Collected | None:
    """The next items that changed in the window."""
    assert export.from_ms is not None and export.to_ms is not None
    window = changes.ExportWindow(export.from_ms, export.to_ms)

    def collect(tx: Transaction, stamp: Stamp) -> tuple[Copy, changes.ExportBatch] | None:
        if copies.is_elsewhere(tx, copy):
            return None
        batch = changes.collect(tx, copy.space, copy.source, position, window)
        assert copy.position is not None
        kept = replace(copy, position=replace(copy.position, log=batch.position.log))
        copies.save(tx, kept)
        return kept, batch

    try:
        collected = await region.write(collect)
    except moment.LogTrimmed:
        return _Collected(copy, position, b"", 0, 0, False, lost=True)
    if collected is None:
        return None
    kept, batch = collected
    lines, items, size = [], 0, 0
    line = json_line if export.format == JSON else ion_line
    for changed in batch.changed:
        record = changes.record(changed, export.view != NEW_IMAGE, chosen)
        if record is not None:
            lines.append(line(record))
            items, size = items + 1, size + changed.size
    return _Collected(kept, batch.position, b"".join(lines), items, size, batch.is_last, batch.read)
