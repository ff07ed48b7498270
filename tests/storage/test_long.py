"""Functions that take long, and large commits, run in a thread of the SQLite engine."""

from __future__ import annotations

import asyncio
import threading
from itertools import pairwise
from pathlib import Path
from typing import Any

import apsw
import pytest

from atoll.storage import pending
from atoll.storage.engine import Full
from atoll.storage.sqlite import SQLiteEngine


@pytest.fixture(params=["one worker", "several workers", "relaxed"])
def options(request: pytest.FixtureRequest) -> dict[str, Any]:
    kinds: dict[str, dict[str, Any]] = {
        "one worker": {},
        "several workers": {"workers": 2},
        "relaxed": {"durability": "relaxed"},
    }
    return kinds[request.param]


def played(directory: Path, scenario: Any, options: dict[str, Any]) -> Any:
    async def play() -> Any:
        engine = SQLiteEngine.open(directory, **options)
        try:
            return await scenario(engine)
        finally:
            await engine.close()

    return asyncio.run(play())


def appended(key: bytes, value: bytes, threads: list[threading.Thread] | None = None) -> Any:
    def run(tx: Any) -> bytes:
        if threads is not None:
            tx.announce_long()
            threads.append(threading.current_thread())
        now: bytes = (tx.get(key) or b"") + value
        tx.put(key, now)
        tx.add_number(b"n", 1)
        return now

    return run


def test_functions_of_all_kinds_are_serial(tmp_path: Path, options: dict[str, Any]) -> None:
    threads: list[threading.Thread] = []

    async def scenario(engine: SQLiteEngine) -> list[bytes]:
        functions = []
        for number in range(30):
            part = b"%02d" % number
            functions.append(appended(b"k", part, threads if number % 3 == 1 else None))
        results = await asyncio.gather(*map(engine.transact, functions))
        assert await engine.read(lambda s: (s.get(b"k"), s.number(b"n"))) == (max(results, key=len), 30)
        return results

    results = sorted(played(tmp_path, scenario, options), key=len)
    assert [len(result) for result in results] == [2 * count for count in range(1, 31)]
    assert all(later.startswith(earlier) for earlier, later in pairwise(results))
    assert len(threads) == 10 and threading.main_thread() not in threads
    assert played(tmp_path, lambda engine: engine.read(lambda s: s.get(b"k")), options) == results[-1]


def test_a_large_commit_is_written_in_a_thread(
    tmp_path: Path, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pending, "INLINE_BYTES", 100)

    async def scenario(engine: SQLiteEngine) -> None:
        writers: list[tuple[threading.Thread, int]] = []
        apply = engine._writer.apply

        def noted(writes: Any) -> bool:
            writers.append((threading.current_thread(), writes.size))
            return apply(writes)

        monkeypatch.setattr(engine._writer, "apply", noted)
        await asyncio.gather(*(engine.transact(appended(b"%d" % size, bytes(size))) for size in (1, 200, 2, 300, 3)))
        assert [size for _, size in writers] == [1, 200, 2, 300, 3]
        assert [thread is threading.main_thread() for thread, _ in writers] == [True, False, True, False, True]

    played(tmp_path, scenario, options)


def test_reads_continue_meanwhile_and_see_the_previous_state(tmp_path: Path) -> None:
    async def scenario(engine: SQLiteEngine) -> None:
        runs, ends = threading.Event(), threading.Event()

        def long(tx: Any) -> None:
            tx.announce_long()
            tx.put(b"k", b"new")
            runs.set()
            assert ends.wait(10)

        await engine.transact(lambda tx: tx.put(b"k", b"old"))
        writing = asyncio.ensure_future(engine.transact(long))
        await asyncio.to_thread(runs.wait)
        assert await engine.read(lambda s: s.get(b"k")) == b"old"
        ends.set()
        await writing
        assert await engine.read(lambda s: s.get(b"k")) == b"new"

    played(tmp_path, scenario, {})


def test_long_function_that_writes_nothing_or_fails_leaves_nothing(tmp_path: Path, options: dict[str, Any]) -> None:
    def refused(tx: Any) -> None:
        tx.announce_long()
        tx.put(b"k", b"v")
        raise LookupError

    def seen(tx: Any) -> bytes | None:
        tx.announce_long()
        found: bytes | None = tx.get(b"k")
        return found

    async def scenario(engine: SQLiteEngine) -> None:
        with pytest.raises(LookupError):
            await engine.transact(refused)
        assert await engine.transact(seen) is None
        assert await engine.transact(appended(b"k", b"v")) == b"v"
        assert await engine.transact(seen) == b"v"
        assert await engine.read(lambda s: s.get(b"k")) == b"v"

    played(tmp_path, scenario, options)


def test_a_full_disk_fails_it_and_nothing_else(
    tmp_path: Path, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario(engine: SQLiteEngine) -> None:
        with monkeypatch.context() as broken:

            def fail() -> None:
                raise apsw.FullError("no room")

            broken.setattr(engine._writer, "write_counters", fail)
            with pytest.raises(Full):
                await engine.transact(appended(b"k", b"lost", []))
        assert await engine.transact(appended(b"k", b"v", [])) == b"v"
        assert await engine.read(lambda s: s.get(b"k")) == b"v"

    played(tmp_path, scenario, options)
