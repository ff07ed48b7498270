"""Unused pages of a store's file go back to the disk while there are no writes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import apsw
import pytest

from atoll.storage import shrinking
from atoll.storage.sqlite import SQLiteEngine
from atoll.storage.sqlitefile import PAGE_BYTES

ROWS = 300
KEPT_BYTES = 100_000


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shrinking, "KEPT_BYTES", KEPT_BYTES)
    monkeypatch.setattr(shrinking, "IDLE_S", 0.0)


def fill(engine: SQLiteEngine) -> Awaitable[None]:
    """Some 3 MB."""

    def put(tx: Any) -> None:
        for number in range(ROWS):
            tx.put(b"row %04d" % number, bytes([number % 256]) * 10_000)

    return engine.transact(put)


def empty(engine: SQLiteEngine, most: int = ROWS) -> Awaitable[None]:
    return engine.transact(lambda tx: tx.delete_range(b"row", b"row %04d" % most))


async def give_back_all(engine: SQLiteEngine) -> int:
    """Returns the number of steps, among which others read in transactions, as background work does."""
    await engine.give_back()  # which sees that the store was used
    steps = 1
    while await engine.give_back():
        await engine.transact(lambda tx: tx.get(b"row"))
        steps += 1
    return steps


def run(directory: Path, scenario: Callable[[SQLiteEngine], Awaitable[Any]], **options: Any) -> Any:
    async def play() -> Any:
        engine = SQLiteEngine.open(directory, **options)
        try:
            return await scenario(engine)
        finally:
            await engine.close()

    return asyncio.run(play())


@pytest.mark.parametrize("options", [{}, {"durability": "relaxed"}, {"workers": 2}])
def test_the_file_is_shorter_after_a_large_deletion(tmp_path: Path, options: Any) -> None:
    async def scenario(engine: SQLiteEngine) -> None:
        await fill(engine)
        await engine.transact(lambda tx: tx.put(b"kept", b"value"))
        await empty(engine)
        before = await engine.size()
        assert before is not None and before.unused is not None and before.unused > 2_500_000
        assert await give_back_all(engine) > 2
        after = await engine.size()
        assert after is not None and after.unused is not None
        assert after.unused < KEPT_BYTES + PAGE_BYTES
        assert after.total < before.total - 2_000_000
        await engine.transact(lambda tx: tx.get(b"kept"))  # it waits for the checkpoint
        assert (tmp_path / "atoll.db").stat().st_size == after.total
        assert await engine.read(lambda s: list(s.scan(b"", b"\xff"))) == [(b"kept", b"value")]

    run(tmp_path, scenario, **options)


def test_rows_that_a_step_moves_stay_as_they_are(tmp_path: Path) -> None:
    async def scenario(engine: SQLiteEngine) -> None:
        await fill(engine)
        await empty(engine, ROWS - 20)
        rows = await engine.read(lambda s: list(s.scan(b"row", b"rox")))
        await give_back_all(engine)
        assert await engine.read(lambda s: list(s.scan(b"row", b"rox"))) == rows
        assert len(rows) == 20

    run(tmp_path, scenario)
    with closing(apsw.Connection(str(tmp_path / "atoll.db"))) as connection:
        assert connection.execute("PRAGMA integrity_check").get == "ok"


def test_reads_continue_and_writes_are_kept_during_a_step(tmp_path: Path) -> None:
    async def scenario(engine: SQLiteEngine) -> None:
        await fill(engine)
        await empty(engine, ROWS - 5)
        await engine.give_back()
        step = asyncio.create_task(engine.give_back())
        write = asyncio.create_task(engine.transact(lambda tx: tx.put(b"new", b"1")))
        while not step.done():
            assert await engine.read(lambda s: len(list(s.scan(b"row", b"rox")))) == 5
            await asyncio.sleep(0)
        await write
        assert await engine.read(lambda s: s.get(b"new")) == b"1"

    run(tmp_path, scenario)


def test_no_space_is_given_back_during_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(engine: SQLiteEngine) -> None:
        await fill(engine)
        await empty(engine)
        before = await engine.size()
        monkeypatch.setattr(shrinking, "IDLE_S", 1_000.0)
        for _ in range(3):
            await engine.transact(lambda tx: tx.put(b"new", b"1"))
            assert not await engine.give_back()
        after = await engine.size()
        assert before is not None and after is not None and after.total == before.total

    run(tmp_path, scenario)


def test_another_worker_that_writes_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(engine: SQLiteEngine) -> None:
        other = SQLiteEngine.open(tmp_path, workers=2)
        try:
            await fill(engine)
            await empty(engine)
            await engine.give_back()
            monkeypatch.setattr(shrinking, "IDLE_S", 1_000.0)
            await other.transact(lambda tx: tx.put(b"new", b"1"))
            assert not await engine.give_back()
            assert engine._idle._since > 0
        finally:
            await other.close()

    run(tmp_path, scenario, workers=2)


def test_a_file_of_an_older_version_is_left_alone(tmp_path: Path) -> None:
    run(tmp_path, fill)
    with closing(apsw.Connection(str(tmp_path / "atoll.db"))) as connection:
        connection.execute("PRAGMA auto_vacuum = NONE; VACUUM").fetchall()
        assert connection.pragma("auto_vacuum") == 0

    async def scenario(engine: SQLiteEngine) -> None:
        await empty(engine)
        before = await engine.size()
        assert await give_back_all(engine) == 1
        assert await engine.size() == before

    run(tmp_path, scenario)
