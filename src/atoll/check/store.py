"""Check the store in a directory: its file, the checksums of its rows, then the relations of its rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import apsw

from atoll.check import file, sections
from atoll.check import findings as on
from atoll.check.file import FileSnapshot, MovingFileSnapshot
from atoll.check.findings import Context, Finding
from atoll.check.report import Report
from atoll.storage.engine import Corrupt
from atoll.storage.sqlite import FILE_NAME
from atoll.storage.sqlitefile import APPLICATION_ID, FORMAT_VERSION, format_of

Progress = Callable[[str, int, int], None]
"""Receives the part that is being checked, the number of rows read so far, and the number of all that will be read."""


def require_format(directory: Path) -> None:
    """Raise Corrupt unless this version can check the store."""
    path = directory / FILE_NAME
    if not path.is_file():
        raise Corrupt(f"{path} is missing; start a server or run `atoll store upgrade` to complete the store")
    application, version = format_of(path)
    if application != APPLICATION_ID:
        raise Corrupt(f"{path} was not written by Atoll")
    if version != FORMAT_VERSION:
        raise Corrupt(f"{path} has format version {version}; run `atoll store upgrade` first")


def check(connection: apsw.Connection, now_ms: int, progress: Progress, report: Report, *, moves: bool = False) -> None:
    """Check the file of a connection, and add to the report. With `moves`, a server may write to the file meanwhile."""
    snapshot = MovingFileSnapshot if moves else FileSnapshot
    for finding in _Check(connection, now_ms, progress, report, snapshot).findings():
        report.add(finding)


class _Check:
    def __init__(
        self,
        connection: apsw.Connection,
        now_ms: int,
        progress: Progress,
        report: Report,
        snapshot: type[FileSnapshot],
    ) -> None:
        self._snapshot = snapshot
        self._connection = connection
        self._now_ms = now_ms
        self._progress = progress
        self._report = report
        self._section = "file"
        self._done = self._total = 0

    def findings(self) -> Iterator[Finding]:
        self._begin("file")
        is_damaged = False
        for finding in file.check_pages(self._connection):
            is_damaged = True
            yield finding
        try:
            self._report.rows = self._connection.execute("SELECT count(*) FROM kv").get
        except apsw.Error:
            is_damaged = True
        self._total = 2 * self._report.rows  # once by id, once by key
        try:
            self._begin("checksums")
            yield from file.check_checksums(self._connection, self._tick)
            if is_damaged:  # a lookup through damaged pages may fail, and the row would wrongly count as missing
                return
            yield from self._relations()
        except apsw.CorruptError as error:
            yield Finding(on.FILE, None, None, f"{error}, in the part: {self._section}", is_loss=True)

    def _relations(self) -> Iterator[Finding]:
        snapshot = self._snapshot(self._connection, self._tick)
        with snapshot.transaction():
            parts = sections.of(snapshot)
        context = Context(self._now_ms, self._report.is_complete)
        for section in parts:
            self._begin(section.name)
            with snapshot.transaction():
                yield from section.check(snapshot, context)
        self._done = self._total

    def _begin(self, section: str) -> None:
        self._section = section
        self._tick(0)

    def _tick(self, rows: int) -> None:
        self._done += rows
        self._progress(self._section, min(self._done, self._total), self._total)
