"""The stored documents of bulk operations.

    bulk           the operation, as long as it is listed
    bulk-output    lines of an output file that is not written yet, in the order of the records

A bulk operation puts the items of a bucket's objects into an existing table. `bulk_puts` has its steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import orjson

from atoll.database import documents
from atoll.database import format as fmt
from atoll.recovery import long_jobs
from atoll.recovery.long_jobs import Document
from atoll.storage.engine import Snapshot, Transaction
from atoll.transfer.jobs import IN_PROGRESS, JobDocuments, ReadingJob
from atoll.transfer.sources import Format

KIND, OUTPUT = "bulk", "bulk-output"
JOB = "bulk"
CANCELLING, CANCELLED, COMPLETED_WITH_ERRORS = "CANCELLING", "CANCELLED", "COMPLETED_WITH_ERRORS"
UNDER_WAY = (IN_PROGRESS, CANCELLING)
STANDARD, ACCELERATED = "STANDARD", "ACCELERATED"
ERROR, CONDITION_CHECK_FAILURE = "ERROR", "CONDITION_CHECK_FAILURE"
TABLE, LOCAL, GLOBAL, VECTOR = "Table", "LocalSecondaryIndexes", "GlobalSecondaryIndexes", "VectorIndexes"
"""Kinds of what takes bytes."""

CHUNK_BYTES = 1024**2
"""The lines of one document."""


@dataclass(frozen=True)
class Output:
    """The files of one type: `files` were written, the lines of the next one are stored."""

    type: str
    files: int = 0
    chunks: int = 0
    """Documents of the next file."""
    size: int = 0
    """Bytes of its lines."""


@dataclass(frozen=True, kw_only=True)
class Bulk(ReadingJob):
    table: str
    table_id: str
    outputs: tuple[Output, ...]
    total_size: int | None = None
    """Bytes of all objects; None until the bucket was listed."""
    read: int = 0
    """Bytes of the objects that were read."""
    is_read: bool = False
    """Whether all records are done."""
    processed: int = 0
    failed: int = 0
    used: tuple[tuple[str, str, int], ...] = ()
    """Bytes that were put into the table and its indexes: the kind, the name (empty for the table), the bytes."""
    paced_ms: int = 0
    """When the rate limit lets the operation go on."""

    @property
    def bucket(self) -> str:
        name: str = self.request["InputS3Configuration"]["S3Bucket"]
        return name

    @property
    def prefix(self) -> str:
        return self.request["InputS3Configuration"].get("S3KeyPrefix") or ""

    @property
    def format(self) -> Format:
        source = self.request["InputS3Configuration"]
        return Format(source["InputFormat"], source.get("InputCompressionType") or "NONE", has_conditions=True)

    @property
    def output_bucket(self) -> str:
        name: str = self.request["OutputS3Configuration"]["S3Bucket"]
        return name

    @property
    def output_root(self) -> str:
        """The prefix of the keys of all output files."""
        prefix = self.request["OutputS3Configuration"].get("S3KeyPrefix") or ""
        return f"{prefix}{'/' if prefix and not prefix.endswith('/') else ''}AWSDynamoDB/{self.id}/"

    @property
    def rate(self) -> int | None:
        """Write request units a second."""
        rate: int | None = self.request.get("MaxWriteRequestUnits")
        return rate

    @property
    def tier(self) -> str:
        return self.request.get("PerformanceTier") or STANDARD


_DOCUMENTS = JobDocuments(KIND, Bulk)
find, listed, put = _DOCUMENTS.find, _DOCUMENTS.listed, _DOCUMENTS.put


def begin(tx: Transaction, bulk: Bulk) -> None:
    put(tx, bulk)
    long_jobs.put(tx, {"id": bulk.id, "kind": JOB})


def end(tx: Transaction, bulk: Bulk) -> None:
    tx.delete_range(*fmt.documents_of(OUTPUT, bulk.id))
    put(tx, bulk)
    long_jobs.delete(tx, bulk.id)


# Output


def add_lines(tx: Transaction, bulk: Bulk, output: Output, lines: Sequence[Document]) -> Output:
    """Store lines of the next output file; returns the output with them."""
    chunk = bytearray()
    for number, line in enumerate(lines, 1):
        chunk += orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE)
        if len(chunk) >= CHUNK_BYTES or number == len(lines):
            documents.put(tx, chunk.decode(), OUTPUT, bulk.id, output.type, f"{output.chunks:08d}")
            output = replace(output, chunks=output.chunks + 1, size=output.size + len(chunk))
            chunk.clear()
    return output


def next_file(snapshot: Snapshot, bulk: Bulk, output: Output) -> bytes:
    return "".join(documents.listed(snapshot, OUTPUT, bulk.id, output.type)).encode()


def file_written(tx: Transaction, bulk: Bulk, output: Output) -> Bulk:
    """The next output file was written: forget its lines."""
    tx.delete_range(*fmt.documents_of(OUTPUT, bulk.id, output.type))
    written = Output(output.type, output.files + 1)
    changed = replace(bulk, outputs=tuple(written if one == output else one for one in bulk.outputs))
    put(tx, changed)
    return changed
