"""Acknowledged commits that are missing after a kill are noticed; the torn end of a commit is not taken for one."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest

from atoll.storage import sqlite
from atoll.storage.acknowledged import Acknowledged
from atoll.storage.engine import Corrupt, Full, Gone, Transaction
from atoll.storage.locks import FileLock
from atoll.storage.sqlite import SQLiteEngine

FRAME = 24 + 4096
HEADER = 32


def killed(directory: Path, *, commits: int = 20, durability: str = "full", workers: int = 1) -> Path:
    """The files of a server that was killed after so many acknowledged commits."""
    copy = directory / "killed"

    async def scenario() -> None:
        engine = SQLiteEngine.open(directory / "running", durability=durability, workers=workers)
        for number in range(commits):
            await engine.transact(partial(put, number))
        shutil.copytree(directory / "running", copy)
        await engine.close()

    asyncio.run(scenario())
    return copy


def put(number: int, tx: Transaction) -> None:
    tx.put(b"k%d" % number, b"v" * 5000)


def keys(directory: Path, **options: str) -> int:
    async def scenario() -> int:
        engine = SQLiteEngine.open(directory, **options)  # type: ignore[arg-type]
        try:
            return await engine.read(lambda s: len(list(s.scan(b"k", b"l"))))
        finally:
            await engine.close()

    return asyncio.run(scenario())


def wal(directory: Path) -> Path:
    return directory / "atoll.db-wal"


def flip(path: Path, position: int) -> None:
    data = bytearray(path.read_bytes())
    data[position] ^= 4
    path.write_bytes(data)


def frames(directory: Path) -> int:
    return (wal(directory).stat().st_size - HEADER) // FRAME


@pytest.mark.parametrize("workers", [1, 2])
def test_killed_store_opens(tmp_path: Path, workers: int) -> None:
    assert keys(killed(tmp_path, workers=workers)) == 20


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("frame", [0, 5, -1])
@pytest.mark.parametrize("place", [0, 8, 16, 24 + 1000])
def test_damaged_frame_is_reported_with_the_lost_commits(tmp_path: Path, frame: int, place: int, workers: int) -> None:
    store = killed(tmp_path, workers=workers)
    number = frame % frames(store)
    flip(wal(store), HEADER + number * FRAME + place)
    before = wal(store).read_bytes()
    with pytest.raises(Corrupt, match=rf"atoll.db-wal is damaged in frame {number + 1}: .* up to {frames(store)} are"):
        keys(store)
    assert wal(store).read_bytes() == before
    assert keys(store, on_damage="serve") < 20
    keys(store)


def test_the_torn_end_of_an_unacknowledged_commit_is_not_damage(tmp_path: Path) -> None:
    store = killed(tmp_path)
    log = wal(store).read_bytes()
    wal(store).write_bytes(log + log[HEADER : HEADER + FRAME // 2])
    assert keys(store) == 20


def test_cut_log_is_reported(tmp_path: Path) -> None:
    store = killed(tmp_path)
    log = wal(store).read_bytes()
    wal(store).write_bytes(log[: -FRAME // 2])
    with pytest.raises(Corrupt, match="acknowledged commits"):
        keys(store)


@pytest.mark.parametrize("place", [0, 8, 17, 26])
def test_damaged_header_of_the_log_is_reported(tmp_path: Path, place: int) -> None:
    store = killed(tmp_path)
    flip(wal(store), place)
    with pytest.raises(Corrupt, match="damaged header"):
        keys(store)


@pytest.mark.parametrize(
    ("spoil", "text"),
    [
        (lambda store: (store / "atoll.db").unlink(), r"atoll\.db is missing"),
        (lambda store: (store / "atoll.db").write_bytes(b""), r"atoll\.db is empty"),
        (lambda store: wal(store).unlink(), r"atoll\.db-wal is missing"),
        (lambda store: wal(store).write_bytes(b""), r"atoll\.db-wal is empty"),
    ],
)
def test_missing_or_empty_file_is_named(tmp_path: Path, spoil: Callable[[Path], None], text: str) -> None:
    store = killed(tmp_path)
    spoil(store)
    with pytest.raises(Corrupt, match=text):
        keys(store)


def test_a_log_restarted_after_a_checkpoint_is_not_damaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("atoll.storage.checkpoints.CHECKPOINT_PAGES", 10)
    store = killed(tmp_path, commits=200)
    assert frames(store) < 400
    assert keys(store) == 200


def test_the_mark_follows_a_restarted_log(tmp_path: Path) -> None:
    """The new log may be longer than the old one at once, and another worker may have begun it."""
    log = tmp_path / "log"
    mark = Acknowledged(tmp_path, log)
    log.write_bytes(bytes(16) + b"old salt" + bytes(8))
    mark.move(5)
    log.write_bytes(bytes(16) + b"new salt" + bytes(8))
    mark.move(9)
    assert mark.read() == (b"new salt", 9)
    assert not mark.follow()
    assert mark.read() == (b"new salt", 9)
    log.write_bytes(bytes(16) + b"newest s" + bytes(8))
    assert mark.follow()
    assert mark.read() == (b"cleared\0", 0)
    mark.close()


def test_mark_of_a_log_that_was_cut_stays(tmp_path: Path) -> None:
    log = tmp_path / "log"
    mark = Acknowledged(tmp_path, log)
    log.write_bytes(bytes(16) + b"old salt" + bytes(8))
    mark.move(5)
    log.write_bytes(bytes(20))
    assert not mark.follow()
    assert mark.read() == (b"old salt", 5)
    mark.close()


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("spoil", [Path.unlink, lambda path: path.write_bytes(b"")])
def test_missing_or_empty_file_of_a_closed_store_is_named(
    tmp_path: Path, spoil: Callable[[Path], None], workers: int
) -> None:
    """It was taken for a new store."""

    async def scenario(*, serves: bool = False) -> None:
        engine = SQLiteEngine.open(tmp_path, workers=workers, on_damage="serve" if serves else "stop")
        await engine.transact(lambda tx: tx.put(b"k", b"v"))
        await engine.close()

    asyncio.run(scenario())
    assert not wal(tmp_path).exists()
    spoil(tmp_path / "atoll.db")
    with pytest.raises(Corrupt, match=r"atoll\.db is (missing|empty), but the store has commits"):
        asyncio.run(scenario())
    asyncio.run(scenario(serves=True))


@pytest.mark.parametrize("workers", [1, 2])
def test_log_that_was_cut_while_it_was_open_is_reported_after_a_clean_end(tmp_path: Path, workers: int) -> None:
    """A write that failed cleared the mark, and so did the end, though not all of the log was in the file."""

    async def scenario() -> None:
        engine = SQLiteEngine.open(tmp_path, workers=workers)
        for number in range(20):
            await engine.transact(partial(put, number))
        os.truncate(wal(tmp_path), 0)
        with suppress(Full):
            await engine.transact(partial(put, 20))
        await engine.close()

    asyncio.run(scenario())
    with pytest.raises(Corrupt, match=r"atoll\.db(-wal is empty, but it held|: database disk image is malformed)"):
        keys(tmp_path)


@pytest.mark.parametrize("workers", [1, 2])
def test_log_of_a_damaged_file_is_kept(tmp_path: Path, workers: int) -> None:
    keys(tmp_path)

    async def scenario() -> None:
        engine = SQLiteEngine.open(tmp_path, workers=workers)
        await engine.transact(partial(put, 1))
        with (tmp_path / "atoll.db").open("r+b") as file:
            file.write(bytes(file.seek(0, os.SEEK_END) - file.seek(4096)))
        with pytest.raises(Corrupt):
            await engine.read(lambda s: s.number(b"n"))
        await engine.close()

    asyncio.run(scenario())
    assert frames(tmp_path) > 0
    (tmp_path / "atoll.db").unlink()
    with pytest.raises(Corrupt, match=r"atoll\.db is missing"):
        keys(tmp_path)


@pytest.mark.parametrize("workers", [1, 2])
def test_log_that_was_removed_while_it_was_open_stops_writes_and_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers: int
) -> None:
    monkeypatch.setattr(sqlite, "LOOK_SECONDS", -1)

    async def scenario() -> None:
        engine = SQLiteEngine.open(tmp_path, workers=workers)
        await engine.transact(lambda tx: tx.put(b"k", b"v"))
        wal(tmp_path).unlink()
        with pytest.raises(Gone, match=r"atoll\.db-wal was removed or replaced"):
            await engine.transact(lambda tx: tx.put(b"k2", b"v"))
        await engine.close()

    asyncio.run(scenario())
    assert keys(tmp_path) == 1


@pytest.mark.parametrize("step", ["sync_again", "FileLock"])
def test_open_that_fails_loses_nothing(tmp_path: Path, step: str) -> None:
    """It closed the last connection, which removed the log, and the next open missed its acknowledged commits."""
    store = killed(tmp_path)

    def fail(path: Path) -> FileLock:
        if step == "FileLock" and path.name != "lease.lock":
            return FileLock(path)
        raise OSError(5, "Input/output error")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sqlite, step, fail)
        with pytest.raises(OSError, match="Input/output error"):
            SQLiteEngine.open(store)
    assert keys(store) == 20


def test_closed_store_without_a_log_opens(tmp_path: Path) -> None:
    killed(tmp_path)
    assert not wal(tmp_path / "running").exists()
    assert keys(tmp_path / "running") == 20


def test_relaxed_durability_promises_nothing(tmp_path: Path) -> None:
    store = killed(tmp_path, durability="relaxed")
    wal(store).write_bytes(wal(store).read_bytes()[: -FRAME // 2])
    assert keys(store, durability="relaxed") == 19


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("replaced", [False, True])
def test_a_store_without_its_directory_acknowledges_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, replaced: bool, workers: int
) -> None:
    monkeypatch.setattr(sqlite, "LOOK_SECONDS", -1)

    async def scenario() -> None:
        engine = SQLiteEngine.open(tmp_path / "store", workers=workers)
        await engine.transact(lambda tx: tx.put(b"k", b"v"))
        (tmp_path / "store").rename(tmp_path / "moved")
        if replaced:
            await SQLiteEngine.open(tmp_path / "store").close()
        for _ in range(2):
            with pytest.raises(Corrupt, match=r"atoll\.db was removed or replaced"):
                await engine.transact(lambda tx: tx.put(b"k2", b"v"))
        assert await engine.read(lambda s: s.get(b"k")) == b"v"
        await engine.close()

    asyncio.run(scenario())
    assert keys(tmp_path / "moved") == 1
