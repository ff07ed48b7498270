"""The mark of the last acknowledged commit: how many frames of the WAL hold acknowledged commits.

SQLite ends its recovery at the first frame that is not valid, and silently drops all later ones. Such a frame may be
the torn end of a commit that was never acknowledged. If the mark is beyond that frame, acknowledged commits are lost.

The file `acknowledged` is 24 bytes in shared memory: the salts of the WAL (8 bytes, as in its header), the number of
frames (8 bytes, big endian), and a CRC of both. The engine moves the mark after a commit is durable, so the mark never
exceeds the durable frames. An engine that closes the store moves all frames to the file, clears the mark, and then
removes the WAL. A mark that was cleared still tells that there is a store: its file must not be missing.

The format of the WAL: https://www.sqlite.org/fileformat2.html#the_write_ahead_log
"""

from __future__ import annotations

import logging
import mmap
import os
import struct
from pathlib import Path

from isal.isal_zlib import crc32

from atoll.storage.engine import Corrupt

FILE_NAME = "acknowledged"

_MARK = struct.Struct(">8sQQ")
_NOTHING = (bytes(8), 0)
_CLEARED = (b"cleared\0", 0)
_WAL_HEADER_BYTES = 32
_SALTS = slice(16, 24)
_BIG_ENDIAN_MAGIC = 0x377F0683
_MAGICS = (_BIG_ENDIAN_MAGIC - 1, _BIG_ENDIAN_MAGIC)

_log = logging.getLogger(__name__)


class Acknowledged:
    """The mark of a store. Only the process that holds the write turn moves it."""

    def __init__(self, directory: Path, wal: Path) -> None:
        file = os.open(directory / FILE_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.truncate(file, _MARK.size)
            self._map = mmap.mmap(file, _MARK.size)
        finally:
            os.close(file)
        self._wal = wal
        self._log: int | None = None

    def read(self) -> tuple[bytes, int]:
        """The salts and the number of frames; an incompletely written mark counts as none."""
        return _read(self._map[:])

    def move(self, frames: int) -> None:
        """Record that the first `frames` frames of the WAL are durable."""
        self._write(self._salts(), frames)

    def follow(self) -> bool:
        """Clear the mark if the WAL was restarted; returns whether it was. This must not wait: a later restart may
        choose salts that seem older. A WAL that is unreadable or too short proves nothing."""
        salts, frames = self.read()
        try:
            found = self._salts()
        except OSError:
            return False
        if not frames or found == salts or len(found) < len(salts):
            return False
        self._write(*_CLEARED)
        return True

    def clear(self) -> None:
        """Clear the mark, before the WAL is removed."""
        self._write(*_CLEARED)
        self._map.flush()

    def try_to_clear(self) -> bool:
        try:
            self.clear()
        except OSError as error:
            _log.warning("the log is kept for the next start, because its mark was not cleared: %s", error)
            return False
        return True

    def close(self) -> None:
        self._map.close()
        if self._log is not None:
            os.close(self._log)
            self._log = None

    def _salts(self) -> bytes:
        """The salts of the WAL, which change whenever SQLite restarts it, in any process."""
        if self._log is None:
            self._log = os.open(self._wal, os.O_RDONLY | os.O_CLOEXEC)
        return os.pread(self._log, _SALTS.stop - _SALTS.start, _SALTS.start)

    def _write(self, salts: bytes, frames: int) -> None:
        mark = _MARK.pack(salts, frames, 0)
        self._map[:] = mark[:16] + crc32(mark[:16]).to_bytes(8, "big")


def is_marked(directory: Path) -> bool:
    """Whether there is a store in the directory, even if its file is missing."""
    try:
        return _read((directory / FILE_NAME).read_bytes()) != _NOTHING
    except OSError:
        return False


def _read(mark: bytes) -> tuple[bytes, int]:
    if len(mark) != _MARK.size:
        return _NOTHING
    salts, frames, checksum = _MARK.unpack(mark)
    return (salts, frames) if checksum == crc32(mark[:16]) else _NOTHING


def damage_of(database: Path, wal: Path, mark: tuple[bytes, int], *, serves: bool) -> Corrupt | None:
    """The damage of the files that the last server left; raises it unless `serves`."""
    try:
        check(database, wal, mark)
    except Corrupt as damage:
        if not serves:
            raise Corrupt(f"{damage}; to open what is left, use --on-damage serve") from damage
        return damage
    return None


def check(database: Path, wal: Path, mark: tuple[bytes, int]) -> None:
    """Raises Corrupt if the files of a store that was not closed lack acknowledged commits. Call it before SQLite opens
    them."""
    salts, frames = mark
    has_wal = wal.exists() and wal.stat().st_size > 0
    if not (database.exists() and database.stat().st_size > 0) and (has_wal or mark != _NOTHING):
        state = "is empty" if database.exists() else "is missing"
        raise Corrupt(
            f"{database} {state}, but the store has commits: restore the file from a backup, or remove the directory"
        )
    if not frames:
        return
    if not has_wal:
        state = "is empty" if wal.exists() else "is missing"
        raise Corrupt(f"{wal} {state}, but it held acknowledged commits: restore the file")
    header = _header(wal)
    if not _is_header(header):
        raise Corrupt(f"{wal} has a damaged header: {frames} frames with acknowledged commits are lost")
    age = int.from_bytes(header[16:20], "big") - int.from_bytes(salts[:4], "big") & 0xFFFFFFFF
    if header[_SALTS] != salts:
        if 0 < age < 1 << 31:  # the WAL was restarted after the last move of the mark
            return
        raise Corrupt(f"{wal} is not the file that belongs to {database}")
    valid = _valid_frames(wal, frames)
    if valid < frames:
        raise Corrupt(
            f"{wal} is damaged in frame {valid + 1}: acknowledged commits in the frames up to {frames} are lost"
        )


def _header(wal: Path) -> bytes:
    with wal.open("rb") as file:
        return file.read(_WAL_HEADER_BYTES)


def _is_header(header: bytes) -> bool:
    if len(header) < _WAL_HEADER_BYTES or int.from_bytes(header[:4], "big") not in _MAGICS:
        return False
    return _sums(header, header[:24], (0, 0)) == struct.unpack(">II", header[24:])


def _valid_frames(wal: Path, most: int) -> int:
    """The number of frames before the first that is not valid, at most `most`."""
    with wal.open("rb") as file:
        header = file.read(_WAL_HEADER_BYTES)
        page_bytes = int.from_bytes(header[8:12], "big")
        sums: tuple[int, int] = struct.unpack(">II", header[24:])
        for number in range(most):
            head, page = file.read(24), file.read(page_bytes)
            if len(page) < page_bytes or head[8:16] != header[_SALTS]:
                return number
            sums = _sums(header, head[:8] + page, sums)
            if sums != struct.unpack(">II", head[16:]):
                return number
    return most


def _sums(header: bytes, data: bytes, sums: tuple[int, int]) -> tuple[int, int]:
    """Continue the WAL's checksum over these bytes."""
    order = ">" if int.from_bytes(header[:4], "big") == _BIG_ENDIAN_MAGIC else "<"
    first, second = sums
    words = struct.unpack(f"{order}{len(data) // 4}I", data)
    for one, two in zip(words[::2], words[1::2], strict=True):
        first = first + one + second & 0xFFFFFFFF
        second = second + two + first & 0xFFFFFFFF
    return first, second
