"""The store keeps its promises on a disk that fails, and the simulation finds an engine that does not."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import apsw
import pytest

from atoll.storage import acknowledged, sqlite, sqlitefile
from atoll.storage.acknowledged import Acknowledged
from atoll.storage.sqlite import SQLiteEngine
from tests.faults import sqlite_calls
from tests.faults.history import Violation
from tests.faults.simulation import MODES, simulate

SEEDS = 12
MOST_SEEDS = 400
"""Among so many some find a bug that was planted."""


@pytest.mark.parametrize("mode", MODES)
def test_acknowledged_transactions_outlive_faults_and_no_other_is_half_there(mode: str) -> None:
    for seed in range(SEEDS):
        simulate(mode, seed)


def sync_nothing(patch: pytest.MonkeyPatch) -> None:
    def start(self: sqlite_calls.DiskSync, done: Callable[[None], None]) -> None:
        asyncio.get_running_loop().call_soon(done, None)

    patch.setattr(sqlite_calls.DiskSync, "start", start)


def trust_the_log_of_a_killed_process(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(sqlite, "sync_again", lambda path: None)


def move_the_mark_before_the_sync(patch: pytest.MonkeyPatch) -> None:
    note = SQLiteEngine._note_frames

    def early(self: SQLiteEngine, connection: Any, name: str, frames: int) -> int:
        self._mark.move(frames)
        return note(self, connection, name, frames)

    patch.setattr(SQLiteEngine, "_note_frames", early)


def ignore_the_mark(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(acknowledged, "check", lambda *_: None)


def keep_the_first_salts(patch: pytest.MonkeyPatch) -> None:
    """The salts were read only when the log seemed shorter than before: one that began anew and grew at once beyond its
    old length kept the old ones."""
    salts = Acknowledged._salts
    known: dict[Acknowledged, bytes] = {}
    patch.setattr(Acknowledged, "_salts", lambda self: known.setdefault(self, salts(self)))


def verify_nothing(patch: pytest.MonkeyPatch) -> None:
    get = "SELECT v FROM kv WHERE k = ?"
    patch.setattr(sqlitefile.Rows, "get", lambda self, key: self._execute(get, (key,)).get)
    patch.setattr(sqlitefile, "_verified", lambda rows, _: ((key, value) for key, value, _ in rows))


def survive_a_failed_sync(patch: pytest.MonkeyPatch) -> None:
    synced = SQLiteEngine._synced
    patch.setattr(SQLiteEngine, "_synced", lambda self, batch, error: synced(self, batch, None))


def refuse_a_commit_that_was_not_synced(patch: pytest.MonkeyPatch) -> None:
    """With several workers, such a commit was refused as not applied, and there after a restart."""
    patch.setattr(SQLiteEngine, "_failure", lambda self, error: error)


def sync_the_log_without_writing_it_again(patch: pytest.MonkeyPatch) -> None:
    """After a failed sync the kernel showed commits to the restarted server that the disk did not have."""
    patch.setattr(sqlite_calls.System, "pread", lambda *_: b"", raising=False)


def remove_the_log_of_a_failed_open(patch: pytest.MonkeyPatch) -> None:
    """The first connection is closed by an open that fails. SQLite removed the log, so its mark reported a loss."""
    connect = sqlitefile.connect

    def careless(*arguments: Any, **options: Any) -> Any:
        connection = connect(*arguments, **options)
        connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, False)
        return connection

    patch.setattr(sqlite, "connect", careless)


@pytest.mark.parametrize(
    ("plant", "mode", "first"),
    [
        (sync_nothing, "honest", 0),
        (trust_the_log_of_a_killed_process, "honest", 66),
        (move_the_mark_before_the_sync, "honest", 0),
        (survive_a_failed_sync, "failing", 0),
        (refuse_a_commit_that_was_not_synced, "failing", 470),
        (sync_the_log_without_writing_it_again, "failing", 275),
        (remove_the_log_of_a_failed_open, "failing", 63),
        (ignore_the_mark, "damaged", 0),
        (keep_the_first_salts, "damaged", 0),
        (verify_nothing, "damaged", 0),
    ],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_a_planted_bug_is_found(
    plant: Callable[[pytest.MonkeyPatch], None], mode: str, first: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`first` only saves time: a seed shortly before one that finds the bug."""
    plant(monkeypatch)
    found = None
    for seed in range(first, first + MOST_SEEDS):
        try:
            simulate(mode, seed)
        except Violation as violation:
            found = violation
            break
    assert found is not None


def test_a_seed_repeats_itself() -> None:
    assert simulate("failing", 3) == simulate("failing", 3)
