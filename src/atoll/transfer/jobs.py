"""The documents of exports, imports and bulk operations: one each, under an id that begins with its starting time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from atoll.database import backups, documents
from atoll.database.records import build, plain
from atoll.storage.engine import Snapshot, Transaction
from atoll.transfer.sources import BEGINNING, Position

IN_PROGRESS, COMPLETED, FAILED = "IN_PROGRESS", "COMPLETED", "FAILED"


@dataclass(frozen=True, kw_only=True)
class Job:
    id: str
    request: Any
    """The request's members, as they were sent."""
    token: str
    started_ms: int
    status: str = IN_PROGRESS
    ended_ms: int | None = None
    failure: tuple[str, str] | None = None
    """Code and message."""


@dataclass(frozen=True, kw_only=True)
class ReadingJob(Job):
    """A job that reads the objects of a bucket."""

    arn: str
    key: str = BEGINNING.key
    lines: int = BEGINNING.lines
    records: int = BEGINNING.records
    """The position after the records that are done."""

    @property
    def position(self) -> Position:
        return Position(self.key, self.lines, self.records)


J = TypeVar("J", bound=Job)


class JobDocuments(Generic[J]):
    """The documents of one kind of job."""

    def __init__(self, kind: str, job: type[J]) -> None:
        self._kind = kind
        self._job = job

    def find(self, snapshot: Snapshot, id_: str) -> J | None:
        document = documents.get(snapshot, self._kind, id_)
        return None if document is None else build(self._job, document)

    def listed(self, snapshot: Snapshot, since_ms: int = 0) -> Iterator[J]:
        """The jobs that began since then, by id, and so by the time at which they began."""
        for document in documents.listed(snapshot, self._kind, after=(backups.first_id(since_ms),)):
            yield build(self._job, document)

    def put(self, tx: Transaction, job: J) -> None:
        documents.put(tx, plain(job), self._kind, job.id)
