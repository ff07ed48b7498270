"""Back up a data directory or a store in PostgreSQL to a file, and restore it (`atoll backup`, `atoll restore`).

A server may run during a backup: all rows of a store are read from one snapshot. A restore is a copy (`command`) whose
source is the file: it can resume, and no server can use its target before it is complete and verified.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from atoll.copying.backup_file import BackupFile, BackupWriter, decoded
from atoll.copying.contents import DOCUMENTS, CannotCopy, CopySource, Counter, RowBatch, Verification
from atoll.migration.store import sync
from atoll.progress import Progress
from atoll.storage.buffer import Row
from atoll.storage.engine import Locked


@dataclass(frozen=True)
class Written:
    number: int
    rows: int
    added: int
    """The bytes of the file."""
    digest: bytes


def back_up(source: CopySource, path: Path, regions: Sequence[str], now_ms: int) -> Written:
    """Append a backup of these regions, or of all, to the file. Raises `BadBackup`, `CannotCopy`, `Locked` if another
    command writes the file, and what the source raises."""
    chosen = chosen_regions(source.regions(), regions, str(source))
    with closing(_open(path)) as file:
        writer = BackupWriter(path, file)
        total = sum(source.count(region) for region in chosen)
        show, done = Progress(str(path), total), 0
        show(done)
        for region in chosen:
            for rows in writer.add_part(region, _rows(source, region)):
                done += rows
                show(done)
            for tallies in (False, True):
                counters = sorted(source.counters(region, tallies=tallies))
                for _ in writer.add_part(region, ((key, _stored(value)) for key, value in counters)):
                    pass
        for name in DOCUMENTS:
            if (content := source.document(name)) is not None:
                writer.add_document(name, content)
        digest = writer.complete(str(source), now_ms)
        return Written(writer.earlier + 1, done, writer.added, digest)


def chosen_regions(known: Sequence[str], wanted: Sequence[str], where: str) -> list[str]:
    if not known:
        raise CannotCopy(f"there are no stores in {where}")
    for region in wanted:
        if region not in known:
            raise CannotCopy(f"{where} has no region {region}: it has {', '.join(known)}")
    return [region for region in known if not wanted or region in wanted]


def _open(path: Path) -> BinaryIO:
    """Open the file, private and locked."""
    is_new = not path.exists()
    file = open(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600), "r+b")  # noqa: SIM115
    try:
        fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        raise Locked(f"another command is writing {path}") from None
    if is_new:
        sync(path.parent)
    return file


def _rows(source: CopySource, region: str) -> Iterator[Row]:
    for batch in source.batches(region, b""):
        yield from batch.rows


def _stored(value: int) -> bytes:
    return value.to_bytes(8, "big", signed=True)


def verify(file: BackupFile, number: int | None) -> None:
    """Read all blocks of the backup. Raises `BadBackup`."""
    backup = file.backup(number)
    show, done = Progress(str(file.path), backup.rows), 0
    for parts in backup.regions.values():
        for part in parts:
            for place in part.blocks:
                file.read(place)
        for place in parts[0].blocks:
            done += place.rows
            show(done)


class SourceFile:
    """A backup in a file, as the source of a copy. Raises `BadBackup`."""

    def __init__(self, file: BackupFile, number: int | None, regions: Sequence[str]) -> None:
        self._file = file
        self._backup = file.backup(number)
        self._regions = chosen_regions(sorted(self._backup.regions), regions, str(file.path))

    def __str__(self) -> str:
        return str(self._file.path)

    def regions(self) -> list[str]:
        return self._regions

    def count(self, region: str) -> int:
        return self._backup.regions[region][0].sums.rows

    def batches(self, region: str, position: bytes) -> Iterator[RowBatch]:
        blocks = self._backup.regions[region][0].blocks
        for number in range(int.from_bytes(position, "big"), len(blocks)):
            yield RowBatch(decoded(self._file.read(blocks[number])), (number + 1).to_bytes(8, "big"))

    def counters(self, region: str, *, tallies: bool) -> list[Counter]:
        blocks = self._backup.regions[region][2 if tallies else 1].blocks
        rows = [row for place in blocks for row in decoded(self._file.read(place))]
        return [(key, int.from_bytes(value, "big", signed=True)) for key, value in rows]

    def sums(self, region: str) -> Verification:
        rows, numbers, tallies = self._backup.regions[region]
        return rows.sums, numbers.sums, tallies.sums

    def document(self, name: str) -> bytes | None:
        return self._backup.documents.get(name)
