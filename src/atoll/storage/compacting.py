"""`atoll store compact`: rewrite a store's file without its unused pages, while no server has it open.

    atoll.db          the store; replaced when the new file is complete
    atoll.db.compact  the new file; a killed command's file is overwritten

Later the new file can be shortened in small steps (`shrinking`), unlike files of older versions.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import apsw

from atoll.storage import acknowledged
from atoll.storage.acknowledged import Acknowledged
from atoll.storage.engine import Corrupt, Full, Locked
from atoll.storage.locks import FileLock
from atoll.storage.sqlite import FILE_NAME
from atoll.storage.sqlitefile import INCREMENTAL, PAGE_BYTES, connect, fault

DRAFT = f"{FILE_NAME}.compact"
ROOM = 1.1
"""Free disk space needed, as a multiple of the size of the new file."""

_STEPS = 10_000
"""The instructions of SQLite's virtual machine between two progress reports."""

Report = Callable[[int, int], None]
"""Receives the number of written bytes and the final number."""


def compact(directory: Path, report: Report = lambda done, total: None) -> tuple[int, int]:
    """Compact a store; returns the sizes of the file before and after. Raises `Locked` if a server has the store open,
    `Full` if the disk has no space, `Corrupt` if the store is damaged."""
    path, log, draft = directory / FILE_NAME, directory / f"{FILE_NAME}-wal", directory / DRAFT
    with closing(FileLock(directory / "owner.lock")) as owner:
        if not owner.try_acquire():
            raise Locked(f"{directory} is in use by a server, which gives unused space back by itself; stop it first")
        try:
            before = _write_log_back(directory, path, log)
            draft.unlink(missing_ok=True)
            _write(path, draft, report)
            _sync(draft)
            draft.rename(path)
            _sync(directory)
        except apsw.Error as error:
            raise fault(error) from error
        return before, path.stat().st_size


def _write_log_back(directory: Path, path: Path, log: Path) -> int:
    """Move the write-ahead log into the file, and remove it. Returns the size of the file."""
    with closing(Acknowledged(directory, log)) as mark:
        acknowledged.check(path, log, mark.read())
        with closing(connect(path, synced=True)) as connection:
            connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, False)
            mark.clear()
            busy, _, _ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").get
            if busy:
                raise Locked(f"{path} is in use by another process")
    return path.stat().st_size


def _write(path: Path, draft: Path, report: Report) -> None:
    with closing(apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)) as connection:
        used = (connection.pragma("page_count") - connection.pragma("freelist_count")) * PAGE_BYTES
        free = shutil.disk_usage(draft.parent).free
        if free < used * ROOM:
            raise Full(
                f"{path}: this needs {used * ROOM / 1e6:,.1f} MB of free disk space, but only {free / 1e6:,.1f} MB are"
                " free"
            )

        def look() -> bool:
            report(draft.stat().st_size if draft.exists() else 0, used)
            return False

        connection.set_progress_handler(look, _STEPS)
        connection.pragma("auto_vacuum", INCREMENTAL)
        connection.execute("VACUUM INTO ?", (str(draft),)).fetchall()
        connection.set_progress_handler(None)
        report(used, used)
        rows = connection.execute("SELECT count(*) FROM kv").get
    with closing(apsw.Connection(str(draft), flags=apsw.SQLITE_OPEN_READWRITE)) as connection:
        connection.pragma("journal_mode", "wal")
        if connection.execute("SELECT count(*) FROM kv").get != rows:
            raise Corrupt(f"{path}: the new file lacks rows; run `atoll store check`")


def _sync(path: Path) -> None:
    file = os.open(path, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)
