"""A full disk leaves room for deletions."""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path

import pytest

from atoll.storage import reserve as reserve_module
from atoll.storage import sqlite
from atoll.storage.engine import Full, Transaction
from atoll.storage.reserve import Reserve
from atoll.storage.sqlite import SQLiteEngine

PAGES = 300


def put(tx: Transaction, number: int) -> None:
    tx.put(b"k%d" % number, b"v" * 10_000)


def delete(tx: Transaction, number: int) -> None:
    tx.delete(b"k%d" % number)
    tx.put(b"log%d" % number, b"deleted")


async def fill(engine: SQLiteEngine) -> int:
    """Put rows until the disk is full; the number of rows."""
    for number in range(PAGES):
        try:
            await engine.transact(partial(put, number=number))
        except Full:
            return number
    raise AssertionError("it has room")


def test_full_store_accepts_only_deletions_until_there_is_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite, "LOOK_SECONDS", -1)
    file = tmp_path / "reserve"

    async def scenario() -> None:
        engine = SQLiteEngine.open(tmp_path / "store")
        engine.reserve = reserve = Reserve(file, 500_000)
        assert file.stat().st_blocks * 512 >= 500_000
        for connection in engine._connections:
            connection.pragma("max_page_count", PAGES)
        count = await fill(engine)
        assert not file.exists() and reserve.is_spent
        monkeypatch.setattr(reserve, "refill", lambda: None)  # the disk has no room meanwhile
        for write in (lambda tx: put(tx, 0), lambda tx: tx.put(b"new", b""), lambda tx: tx.add_number(b"n", 1)):
            with pytest.raises(Full, match="only deletions"):
                await engine.transact(write)
        assert await engine.transact(lambda tx: tx.get(b"k0")) is not None  # it writes nothing
        for number in range(count // 4):
            await engine.transact(partial(delete, number=number))
        with pytest.raises(Full, match="only deletions"):
            await engine.transact(lambda tx: put(tx, 0))
        for number in range(count // 4, count):
            await engine.transact(partial(delete, number=number))
        await engine.transact(lambda tx: put(tx, 0))  # there is room in the file
        monkeypatch.undo()
        monkeypatch.setattr(sqlite, "LOOK_SECONDS", -1)
        await engine.transact(lambda tx: put(tx, 1))
        assert file.exists() and not reserve.is_spent
        await engine.close()

    asyncio.run(scenario())


def test_reserve_waits_for_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reserve = Reserve(tmp_path / "reserve", 1 << 60)
    assert reserve.is_spent and not (tmp_path / "reserve").exists()
    assert reserve_module.BYTES == 64 * 1024**2


def test_processes_share_a_reserve(tmp_path: Path) -> None:
    one, other = Reserve(tmp_path / "reserve", 1_000), Reserve(tmp_path / "reserve", 1_000)
    assert one.spend() and not other.spend()
    one.refill()
    other.refill()
    assert not one.is_spent and not other.is_spent
    assert [path.name for path in tmp_path.iterdir()] == ["reserve"]
