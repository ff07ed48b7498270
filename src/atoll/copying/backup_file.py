"""The file of backups: one file to which each backup of a data directory, or of a store in PostgreSQL, appends.

    header   MAGIC 8, then 24 random bytes
    record   kind 1, length 8, SHA-256 of its content 32, CRC-32 of these three 4; then its content, compressed

A record of the kind B is a *block*: rows, or counters as rows. One of the kind I is an *index*: JSON that lists the
blocks of a complete backup with their digests, so the digest of the index is that of the whole backup. A backup writes
its index last, and only blocks that the file does not have yet. So a second backup adds only changed blocks, and an
interrupted one resumes with the blocks that it has written. Nothing is ever overwritten: earlier backups stay as they
are.

A block ends at a row whose key's hash has certain bits (`ENDS`), or when it is large. So a changed row changes only its
own block.
"""

from __future__ import annotations

import base64
import os
import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, BinaryIO

import orjson
from isal import isal_zlib
from isal.igzip_lib import IsalError

from atoll.copying.contents import CannotCopy, Sums
from atoll.storage.buffer import Row

MAGIC = b"AtollBk1"
HEADER_BYTES = len(MAGIC) + 24
BLOCK, INDEX = b"B", b"I"

ENDS = 0x1FF
"""A block ends at a row if these bits of the CRC-32 of its key are 0: about every 512 rows."""
BLOCK_BYTES = 4 * 1024 * 1024
FORMAT = 1

_RECORD = struct.Struct(">cQ32sI")
_LENGTHS = struct.Struct(">II")
_LEVEL = 1
_UNPACKING: Any = (IsalError, EOFError, ValueError)
"""The exceptions that unpacking damaged content may raise."""


class BadBackup(CannotCopy):
    """The file is damaged, incomplete, or no backup. The text says which."""


@dataclass(frozen=True, slots=True)
class BlockLocation:
    """The location of a block in a backup file."""

    offset: int
    rows: int
    digest: bytes


@dataclass(frozen=True, slots=True)
class Part:
    """The rows, the numbers or the tallies of a region."""

    blocks: tuple[BlockLocation, ...]
    sums: Sums


@dataclass(frozen=True, slots=True)
class Backup:
    taken_ms: int
    source: str
    regions: dict[str, tuple[Part, Part, Part]]
    documents: dict[str, bytes]
    digest: bytes
    end: int
    """The offset of its index in the file."""

    @property
    def rows(self) -> int:
        return sum(rows.sums.rows for rows, _, _ in self.regions.values())


def blocks_of(rows: Iterable[Row]) -> Iterator[list[Row]]:
    block: list[Row] = []
    size = 0
    for row in rows:
        block.append(row)
        size += len(row[0]) + len(row[1])
        if size >= BLOCK_BYTES or not isal_zlib.crc32(row[0]) & ENDS:
            yield block
            block, size = [], 0
    if block:
        yield block


def encoded(block: Sequence[Row]) -> bytes:
    return b"".join([part for key, value in block for part in (_LENGTHS.pack(len(key), len(value)), key, value)])


def decoded(content: bytes) -> list[Row]:
    rows, at = list[Row](), 0
    while at < len(content):
        key_length, value_length = _LENGTHS.unpack_from(content, at)
        key_end = at + _LENGTHS.size + key_length
        rows.append((content[at + _LENGTHS.size : key_end], content[key_end : key_end + value_length]))
        at = key_end + value_length
    return rows


class BackupFile:
    """A file of backups. Raises `BadBackup`."""

    def __init__(self, path: Path, file: BinaryIO) -> None:
        self.path = path
        self._file = file
        self.backups: list[Backup] = []
        """The complete backups, in the order of the file."""
        self.blocks: dict[bytes, int] = {}
        """The offset of each block, by its digest."""
        self.end = HEADER_BYTES
        """The end of the complete records."""
        self.damaged_at: int | None = None
        """The offset after which records cannot be read. Complete backups may follow it."""
        self._unproven: list[tuple[bytes, int]] = []
        """Blocks behind the last index, which a crash may have damaged."""
        self._look()

    @classmethod
    def open(cls, path: Path) -> BackupFile:
        return cls(path, path.open("rb"))

    def close(self) -> None:
        self._file.close()

    @property
    def size(self) -> int:
        return os.fstat(self._file.fileno()).st_size

    @property
    def is_complete(self) -> bool:
        """Whether the file ends with a complete backup."""
        return bool(self.backups) and self.backups[-1].end == self.size

    def backup(self, number: int | None) -> Backup:
        """The backup of this number, from 1 on; None is the last one, which must be the end of the file."""
        if number is None:
            if not self.is_complete:
                raise BadBackup(self._incomplete())
            return self.backups[-1]
        if not 0 < number <= len(self.backups):
            raise BadBackup(f"{self.path} has no backup {number}: it has {len(self.backups)}")
        return self.backups[number - 1]

    def _incomplete(self) -> str:
        text = f"{self.path} is truncated, or its last backup is not complete"
        if not self.backups:
            return f"{text}; there is none before it"
        return f"{text}; the same `atoll backup` completes it, and --number {len(self.backups)} names the one before it"

    def read(self, place: BlockLocation) -> bytes:
        """The content of a block, verified."""
        content = self._content(place.offset, BLOCK)
        if sha256(content).digest() != place.digest:
            raise BadBackup(f"{self.path} is damaged: the block at {place.offset} is not the expected one")
        return content

    def trust(self) -> None:
        """Verify the blocks that an interrupted backup has left, before another backup uses them."""
        for digest, offset in self._unproven:
            try:
                self._content(offset, BLOCK)
            except BadBackup:
                self.end = offset
                break
            self.blocks[digest] = offset
        self._unproven.clear()

    def _look(self) -> None:
        if self._file.read(HEADER_BYTES)[: len(MAGIC)] != MAGIC:
            raise BadBackup(f"{self.path} is not a backup")
        size, at = self.size, HEADER_BYTES
        while (record := self._record(at)) is not None:
            kind, length, digest = record
            after = at + _RECORD.size + length
            if after > size:
                break
            if kind == INDEX:
                self.backups.append(self._backup(at, after))
                self.blocks.update(self._unproven)
                self._unproven.clear()
            else:
                self._unproven.append((digest, at))
            at = self.end = after
        if record is None and size - at >= _RECORD.size:
            self.damaged_at = at

    def _record(self, at: int) -> tuple[bytes, int, bytes] | None:
        """The kind, length and digest of the record at `at`; None if no complete and intact record is there."""
        self._file.seek(at)
        header = self._file.read(_RECORD.size)
        if len(header) < _RECORD.size:
            return None
        kind, length, digest, checksum = _RECORD.unpack(header)
        return (kind, length, digest) if isal_zlib.crc32(header[:-4]) == checksum else None

    def _content(self, at: int, expected: bytes) -> bytes:
        record = self._record(at)
        if record is None or record[0] != expected:
            raise BadBackup(f"{self.path} is damaged at {at}")
        _, length, digest = record
        try:
            content = isal_zlib.decompress(self._file.read(length))
        except _UNPACKING as error:
            raise BadBackup(f"{self.path} is damaged at {at}: {error}") from error
        if sha256(content).digest() != digest:
            raise BadBackup(f"{self.path} is damaged at {at}: a checksum differs")
        return content

    def _backup(self, at: int, end: int) -> Backup:
        content = self._content(at, INDEX)
        found = orjson.loads(content)
        if found["format"] != FORMAT:
            raise BadBackup(f"{self.path} has the format {found['format']}; this Atoll reads {FORMAT}")
        regions = {name: tuple(map(_part, parts)) for name, parts in found["regions"].items()}
        documents = {name: base64.b64decode(text) for name, text in found["documents"].items()}
        return Backup(found["taken_ms"], found["source"], regions, documents, sha256(content).digest(), end)  # type: ignore[arg-type]


def _part(found: Any) -> Part:
    blocks = [BlockLocation(offset, rows, bytes.fromhex(digest)) for offset, rows, digest in found["blocks"]]
    return Part(tuple(blocks), Sums(found["rows"], int(found["digest"])))


class BackupWriter:
    """Appends one backup. Create it for a file that is locked."""

    def __init__(self, path: Path, file: BinaryIO) -> None:
        """Raises `BadBackup` if the file is damaged or no backup. Cuts off an incomplete last record."""
        start = file.read(HEADER_BYTES)
        file.seek(0)
        if len(start) < HEADER_BYTES and MAGIC.startswith(start[: len(MAGIC)]):  # new, or its header cut short
            file.truncate(0)
            file.write(MAGIC + os.urandom(HEADER_BYTES - len(MAGIC)))
            file.flush()
            file.seek(0)
        self._known = BackupFile(path, file)
        if self._known.damaged_at is not None:
            raise BadBackup(f"{path} is damaged at {self._known.damaged_at}: name another file")
        self._known.trust()
        self._file = file
        self._at = self._known.end
        file.truncate(self._at)
        file.seek(self._at)
        self.added = 0
        """Bytes."""
        self._regions: dict[str, Any] = {}
        self._documents: dict[str, str] = {}

    @property
    def earlier(self) -> int:
        """The number of backups that the file already has."""
        return len(self._known.backups)

    def add_part(self, region: str, rows: Iterable[Row]) -> Iterator[int]:
        """Add the rows, then the numbers, then the tallies of a region. Yields the number of rows of each block."""
        part: dict[str, Any] = {"blocks": [], "rows": 0, "digest": 0}
        for block in blocks_of(rows):
            content = encoded(block)
            digest = sha256(content).digest()
            offset = self._known.blocks.get(digest)
            if offset is None:
                offset = self._known.blocks[digest] = self._append(BLOCK, content, digest)
            sums = Sums.of(block)
            part["blocks"].append((offset, len(block), digest.hex()))
            part["rows"] += sums.rows
            part["digest"] += sums.digest
            yield len(block)
        self._regions.setdefault(region, []).append({**part, "digest": str(part["digest"])})

    def add_document(self, name: str, content: bytes) -> None:
        self._documents[name] = base64.b64encode(content).decode()

    def complete(self, source: str, taken_ms: int) -> bytes:
        """Make the backup durable; returns its digest."""
        index = {
            "format": FORMAT,
            "taken_ms": taken_ms,
            "source": source,
            "regions": self._regions,
            "documents": self._documents,
        }
        content = orjson.dumps(index)
        digest = sha256(content).digest()
        self._sync()
        self._append(INDEX, content, digest)
        self._sync()
        return digest

    def _append(self, kind: bytes, content: bytes, digest: bytes) -> int:
        offset, packed = self._at, isal_zlib.compress(content, _LEVEL)
        header = _RECORD.pack(kind, len(packed), digest, 0)[:-4]
        self._file.write(header + isal_zlib.crc32(header).to_bytes(4, "big") + packed)
        self._at += _RECORD.size + len(packed)
        self.added += _RECORD.size + len(packed)
        return offset

    def _sync(self) -> None:
        self._file.flush()
        os.fsync(self._file.fileno())
