"""Migrate the store of one region when a server starts: write a new file beside the old one, then replace it.

    atoll.db           the store; of format 1 until the migration is complete
    atoll.db.new       the new file, being written; its table `progress` holds the last key that was migrated
    atoll-format-1.db  the old file, kept until `atoll store upgrade --finish`
    migrate.lock       held by the process that migrates

Rows of formats 2 and 3 are valid in format 4, so such stores only get the new version. The rest is about format 1. Each
transaction writes some rows with the progress, so an interrupted migration resumes where it was. The new file gets its
format's version with its last rows. Only then is the old file renamed and the new one put in its place. A server that
finds no `atoll.db` but a complete new file when it starts renames that file.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import apsw

from atoll.migration import format1
from atoll.storage.engine import Corrupt, Full, Locked
from atoll.storage.locks import FileLock
from atoll.storage.sqlite import FILE_NAME
from atoll.storage.sqlitefile import APPLICATION_ID, CREATE, FORMAT_VERSION, Rows, fault, format_of

NEW_NAME = f"{FILE_NAME}.new"
OLD_FORMAT = 1
SAME_ROWS_FORMATS = (2, 3)
"""The formats whose rows are valid in the current format."""
KEPT_NAME = f"atoll-format-{OLD_FORMAT}.db"
BATCH_ROWS = 2_000
ROOM = 1.5
"""Free disk space needed, as a multiple of the old file's size: the new file and its write-ahead log."""

Report = Callable[[int, int], None]
"""Receives the number of migrated rows and of all rows."""


def needed(directory: Path) -> bool:
    """Whether the store must be migrated, or its migration completed."""
    return has_old_rows(directory) or _has_same_rows(directory)


def has_old_rows(directory: Path) -> bool:
    """Whether the store is of format 1, or its migration from format 1 is not complete."""
    if not (directory / FILE_NAME).exists():
        return (directory / NEW_NAME).exists()
    return format_of(directory / FILE_NAME) == (APPLICATION_ID, OLD_FORMAT)


def _has_same_rows(directory: Path) -> bool:
    path = directory / FILE_NAME
    if not path.exists():
        return False
    application, version = format_of(path)
    return application == APPLICATION_ID and version in SAME_ROWS_FORMATS


def migrate(directory: Path, target: Path | None = None, *, report: Report = lambda done, total: None) -> None:
    """Migrate the store in `directory`; `target` is the directory of the new file if it is another one. Blocks. With
    several processes, one migrates and the others wait. Raises `Locked` if a server has the store open, `Full` if there
    is no room, `Corrupt` if the old file is damaged."""
    target = target or directory
    target.mkdir(parents=True, exist_ok=True)
    with closing(FileLock(directory / "migrate.lock")) as lock, closing(FileLock(directory / "owner.lock")) as owner:
        lock.acquire()
        if not needed(directory):
            return
        if not owner.try_acquire():
            raise Locked(f"{directory} is in use by another server")
        try:
            if _has_same_rows(directory):
                _restamp(directory / FILE_NAME)
                return
            if (directory / FILE_NAME).exists():
                _check_room(directory, target)
                _write_new(directory / FILE_NAME, target / NEW_NAME, report)
                (directory / FILE_NAME).rename(directory / KEPT_NAME)
                sync(directory)
            (target / NEW_NAME).rename(target / FILE_NAME)
            sync(target)
        except apsw.Error as error:
            raise fault(error) from error


def _restamp(path: Path) -> None:
    with closing(apsw.Connection(str(path))) as connection:
        connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, True)  # the old file keeps its WAL
        connection.pragma("synchronous", "FULL")
        connection.pragma("user_version", FORMAT_VERSION)


def kept(directory: Path) -> Path | None:
    """The old file that a migration has kept."""
    path = directory / KEPT_NAME
    return path if path.exists() else None


def _check_room(directory: Path, target: Path) -> None:
    files = (directory / FILE_NAME, directory / f"{FILE_NAME}-wal")
    size = sum(path.stat().st_size for path in files if path.exists())
    room, free = int(size * ROOM), shutil.disk_usage(target).free
    if free < room:
        raise Full(
            f"{directory}: migrating this store needs {room / 1e6:,.1f} MB of free disk space, but only"
            f" {free / 1e6:,.1f} MB are free"
        )


def _write_new(old_path: Path, new_path: Path, report: Report) -> None:
    with closing(apsw.Connection(str(old_path))) as old, closing(apsw.Connection(str(new_path))) as new:
        old.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        new.execute("PRAGMA page_size = 4096; PRAGMA auto_vacuum = INCREMENTAL").fetchall()
        new.execute("PRAGMA journal_mode = wal; PRAGMA synchronous = NORMAL").fetchall()
        if new.execute("SELECT count(*) FROM sqlite_schema").get == 0:
            with new:
                new.execute(CREATE)
                new.execute("CREATE TABLE progress (k BLOB NOT NULL, done INTEGER NOT NULL)")
                new.execute("INSERT INTO progress VALUES (x'', 0)")
        translation = format1.Translation()
        for key, value in old.execute("SELECT k, v FROM kv WHERE k < ?", (b"\0\0\0\1",)):
            translation.learn(key, value)
        if new.pragma("user_version") != FORMAT_VERSION:
            _copy(old, new, translation, report)
            with new:
                _finish(old, new, translation)
        new.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


def _copy(old: apsw.Connection, new: apsw.Connection, translation: format1.Translation, report: Report) -> None:
    total = old.execute("SELECT count(*) FROM kv").get
    rows = Rows(new)
    last, done = new.execute("SELECT k, done FROM progress").get
    while batch := list(old.execute("SELECT k, v FROM kv WHERE k > ? ORDER BY k LIMIT ?", (last, BATCH_ROWS))):
        report(done, total)
        with new:
            for row in _translated(translation, batch):
                rows.put(*row)
            last, done = batch[-1][0], done + len(batch)
            new.execute("UPDATE progress SET k = ?, done = ?", (last, done))
    report(done, total)


def _translated(translation: format1.Translation, batch: list[format1.Row]) -> Iterator[format1.Row]:
    for key, value in batch:
        try:
            row = translation.row(key, value)
        except Exception as error:
            raise Corrupt(f"the row with the key {key.hex()} cannot be migrated: {error}") from error
        if row is not None:
            yield row


def _finish(old: apsw.Connection, new: apsw.Connection, translation: format1.Translation) -> None:
    """Write the last rows and the format's version in one transaction."""
    rows = Rows(new)
    for key in translation.scheduled():
        rows.put(key, b"")
    for counter, value in old.execute("SELECT k, n FROM counters"):
        rows.set_counter(counter, value, tally=format1.is_tally(counter))
    rows.write_counters()
    new.execute("DROP TABLE progress")
    new.pragma("application_id", APPLICATION_ID)
    new.pragma("user_version", FORMAT_VERSION)


def sync(path: Path) -> None:
    """fsync a file or a directory."""
    file = os.open(path, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)
