"""Repair a store: write its intact rows to a new file, derive what is missing, and replace the file.

    atoll.db                the store; damaged until the repair is complete
    atoll.db.new            the new file, being written
    atoll-before-repair.db  the damaged file, which is kept

The new file gets the intact rows of the old one. Then the checks run over it, and the repair makes the changes that
their findings name. It repeats this until there are none, since one change may reveal the need for another. Only then
are the files renamed. A server that finds no `atoll.db` but a complete new file when it starts renames that file, as
after a migration.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import TypeVar

import apsw

from atoll.check import file, sections, store
from atoll.check import findings as on
from atoll.check.file import FileSnapshot, Stored
from atoll.check.findings import Context, Fix
from atoll.check.report import Report
from atoll.check.spaces import parsed
from atoll.check.store import Progress
from atoll.database import format as fmt
from atoll.database.schema import Table
from atoll.migration.store import NEW_NAME, sync
from atoll.model import keycode
from atoll.storage.acknowledged import Acknowledged
from atoll.storage.buffer import Buffer
from atoll.storage.engine import Full
from atoll.storage.sqlite import FILE_NAME
from atoll.storage.sqlitefile import APPLICATION_ID, CREATE, FORMAT_VERSION, INCREMENTAL, NUMBERS, PAGE_BYTES, Rows

T = TypeVar("T")

ROOM = 1.5
"""Free disk space needed, as a multiple of the file's size: the new file and its write-ahead log."""

BATCH = 2_000
"""Rows or changes in one transaction."""

ROUNDS = 8
"""The most rounds of a check and its changes. Each round has fewer findings than the one before."""

SKIPPED_NUMBERS = 1_000_000_000
"""The lost counter of an empty shard skips this many numbers, so that no number is used twice."""


def repair(directory: Path, report: Report, now_ms: int, progress: Progress) -> Report:
    """Repair the store; `report` is that of its check. Returns the report of a check of the repaired store. The caller
    holds the store's lock. Raises `Full` if there is no room."""
    _require_room(directory)
    old, new = directory / FILE_NAME, directory / NEW_NAME
    for path in _files(new):
        path.unlink(missing_ok=True)
    with closing(file.open_file(old, keeps_log=False)) as source, closing(apsw.Connection(str(new))) as target:
        _create(target)
        lost_counters = _copy(source, target, progress, report.rows)
        _derive(target, report, now_ms, progress)
        _skip_numbers(target, lost_counters)
        after = Report()
        store.check(target, now_ms, progress, after)
        target.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        with closing(Acknowledged(directory, _files(old)[1])) as mark:
            mark.clear()  # closing `source` moves the WAL into the old file
    for path in _files(old)[1:]:  # a WAL that SQLite could not move belongs to no file any more
        path.unlink(missing_ok=True)
    kept = _free_name(directory)
    shutil.copymode(old, new)
    sync(new)
    old.rename(kept)
    new.rename(old)
    sync(directory)
    after.repaired, after.lost, after.kept_file = report.repaired, report.lost, kept.name
    return after


def _files(path: Path) -> tuple[Path, ...]:
    return (path, path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}-shm"))


def _require_room(directory: Path) -> None:
    size = sum(path.stat().st_size for path in _files(directory / FILE_NAME) if path.exists())
    room, free = int(size * ROOM), shutil.disk_usage(directory).free
    if free < room:
        raise Full(
            f"{directory}: a repair needs {room / 1e6:,.1f} MB of free disk space, but only {free / 1e6:,.1f} MB are"
            " free"
        )


def _free_name(directory: Path) -> Path:
    path, number = directory / "atoll-before-repair.db", 1
    while path.exists():
        number += 1
        path = directory / f"atoll-before-repair-{number}.db"
    return path


def _create(target: apsw.Connection) -> None:
    target.pragma("page_size", PAGE_BYTES)
    target.pragma("auto_vacuum", INCREMENTAL)
    target.pragma("journal_mode", "wal")
    target.pragma("synchronous", "NORMAL")
    with target:
        target.execute(CREATE)
        target.pragma("application_id", APPLICATION_ID)
        target.pragma("user_version", FORMAT_VERSION)


def _copy(source: apsw.Connection, target: apsw.Connection, progress: Progress, total: int) -> list[bytes]:
    """Copy the intact rows, and definitions of tables even if damaged. Returns the keys of numbers that are lost."""
    copied = 0
    for batch in _batches(row[1:4] for row in _kept(source)):
        with target:
            target.executemany("INSERT OR IGNORE INTO kv (k, v, c) VALUES (?, ?, ?)", batch)
        copied += len(batch)
        progress("intact rows copied", copied, total)
    lost = []
    with target:
        for kind, key, value, checksum in file.counters(source):
            if file.is_intact_counter(kind, key, value, checksum):
                target.execute("INSERT OR IGNORE INTO counters VALUES (?, ?, ?, ?)", (kind, key, value, checksum))
            elif kind == NUMBERS and type(key) is bytes:
                lost.append(key)
    return lost


def _kept(source: apsw.Connection) -> Iterator[Stored]:
    for row in file.rows(source):
        if row.is_intact:
            yield row
        elif (right := row.restored()) is not None:
            yield right
        elif row.is_definition:
            yield row


def _batches(rows: Iterator[T]) -> Iterator[list[T]]:
    batch: list[T] = []
    for row in rows:
        batch.append(row)
        if len(batch) == BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def _derive(target: apsw.Connection, report: Report, now_ms: int, progress: Progress) -> None:
    """Make the changes that the findings name. A temporary table holds them first, since there may be many."""
    report.lost += [one for one in report.findings if one.is_loss and one.kind in (on.FILE, on.CHECKSUM)]
    target.execute("CREATE TEMP TABLE fixes (kind TEXT, k BLOB, v BLOB, n INTEGER)")
    context = Context(now_ms, report.is_complete)
    for number in range(ROUNDS):
        found = 0
        snapshot = FileSnapshot(target)
        for finding in sections.check(snapshot, context):
            if not finding.fixes:
                continue
            found += 1
            report.repaired[finding.kind] += 1
            if finding.is_loss:
                report.lost.append(finding)
            target.executemany("INSERT INTO temp.fixes VALUES (?, ?, ?, ?)", finding.fixes)
        progress(f"repair, pass {number + 1}", found, found)
        if not found:
            break
        _apply(target)


def _apply(target: apsw.Connection) -> None:
    rows = Rows(target)
    fixes = target.execute("SELECT kind, k, v, n FROM temp.fixes ORDER BY rowid")
    for batch in _batches(Fix(*row) for row in fixes):
        _change(target, rows, batch)
    target.execute("DELETE FROM temp.fixes")


def _change(target: apsw.Connection, rows: Rows, fixes: list[Fix]) -> None:
    rows.begin("BEGIN IMMEDIATE")
    buffer = Buffer(rows)
    for fix in fixes:
        fix.apply(buffer)
    rows.apply(buffer)
    rows.write_counters()
    rows.commit()


def _skip_numbers(target: apsw.Connection, lost: list[bytes]) -> None:
    """Let empty shards with lost counters continue with numbers that no record has had."""
    snapshot = FileSnapshot(target)
    open_shards = {
        fmt.sequence_counter(table.log_space, shard.number): (shard, shard.change_prefix(table.log_space))
        for _, table in parsed(snapshot, fmt.TABLES, Table)
        if table is not None
        for shard in table.shards
    }
    fixes = []
    for key in lost:
        shard, prefix = open_shards.get(key, (None, b""))
        if shard is not None and snapshot.first([(prefix, keycode.successor(prefix))])[0] is None:
            fixes.append(Fix("number", key, None, shard.first_sequence + SKIPPED_NUMBERS))
    _change(target, Rows(target), fixes)
