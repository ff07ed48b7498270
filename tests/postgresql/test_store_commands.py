"""`atoll store copy` and `check --store`: a store moves to PostgreSQL and back unchanged, and is repaired."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import shutil
from collections.abc import Callable, Coroutine, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import apsw
import asyncpg
import pytest

from atoll.check.file import open_file
from atoll.cli import main
from atoll.copying import database, directory
from atoll.database import format as fmt
from atoll.options import INTERRUPTED
from atoll.shared_store import SharedStore
from atoll.storage import sqlitefile
from atoll.storage.locks import FileLock
from atoll.storage.postgresql.longkeys import PREFIX_BYTES
from atoll.storage.postgresql.url import BadStore
from atoll.storage.sqlite import FILE_NAME
from tests import postgres
from tests.check.worlds import full_world, save
from tests.database.conftest import START_MS

REGION, OTHER = "eu-west-1", "123456789012/us-east-1"
KEY = "ab" * 32

_numbers = itertools.count()


def sql(url: str, *statements: str) -> list[Any]:
    async def run() -> list[Any]:
        connection = await asyncpg.connect(url)
        rows = [await connection.fetch(statement) for statement in statements][-1]
        await connection.close()
        return list(rows)

    return asyncio.run(run())


@pytest.fixture
def url() -> Iterator[str]:
    """A separate database."""
    name = f"copy_{os.getpid()}_{next(_numbers)}"
    sql(postgres.URL, f"create database {name}")
    yield f"{postgres.URL.rpartition('/')[0]}/{name}"
    sql(postgres.URL, f"drop database {name} with (force)")


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory with two regions, credentials, and keys that are longer than PostgreSQL's index takes."""
    data = tmp_path_factory.mktemp("saved")
    save(full_world(), data / REGION)
    path = save(full_world(2, 30), data / OTHER)
    with closing(sqlitefile.connect(path, synced=False)) as connection:
        rows = sqlitefile.Rows(connection)
        rows.begin("BEGIN IMMEDIATE")
        for number in range(20):
            rows.put(b"\xf0" + b"k" * PREFIX_BYTES + b"%d" % number, b"long %d" % number)
        rows.commit()
        connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, False)
    (data / "session.key").write_text(KEY + "\n")
    assert main(["credentials", "create", "--data", str(data)]) == 0
    assert main(["users", "create", "ann", "--data", str(data)]) == 0
    (data / "principals.lock").unlink()
    return data


@pytest.fixture
def data(saved: Path, tmp_path: Path) -> Path:
    shutil.copytree(saved, tmp_path / "data")
    return tmp_path / "data"


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("atoll.clock.SystemClock.now_ms", lambda self: START_MS)


def stored(data: Path) -> dict[str, Any]:
    content: dict[str, Any] = {}
    for region in (REGION, OTHER):
        with closing(open_file(data / region / FILE_NAME)) as connection:
            content[region] = (
                set(connection.execute("SELECT k, v, c FROM kv")),
                set(connection.execute("SELECT kind, k, n, c FROM counters")),
            )
    for name in ("credentials.json", "session.key", "principals.json"):
        content[name] = (data / name).read_bytes()
    return content


EXPECTED = [{"orphan": 1}, {}]
"""What a check finds in the two regions: the long keys belong to no table."""


def found(option: str, place: str, capsys: pytest.CaptureFixture[str]) -> list[Any]:
    capsys.readouterr()
    assert main(["store", "check", option, place, "--json"]) == 1
    stores = json.loads(capsys.readouterr().out)["stores"]
    return [stores[name]["counts"] for name in sorted(stores)]


def copy(source: str | Path, target: str | Path) -> int:
    return main(
        ["store", "copy", "--data" if isinstance(source, Path) else "--store", str(source), "--to", str(target)]
    )


def test_a_store_moves_to_postgresql_and_back_unchanged(
    data: Path, url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert copy(data, url) == 0
    printed = capsys.readouterr()
    assert f"{REGION}: " in printed.out and "verified" in printed.out and "rows" in printed.err
    assert found("--store", url, capsys) == EXPECTED
    assert copy(url, tmp_path / "back") == 0
    assert {path.name for path in (tmp_path / "back").glob("**/*") if path.is_file()} == {
        FILE_NAME, "credentials.json", "session.key", "principals.json",
    }  # fmt: skip
    assert stored(tmp_path / "back") == stored(data)
    assert found("--data", str(tmp_path / "back"), capsys) == EXPECTED


@pytest.mark.parametrize("written", range(0, 7, 2))
def test_an_interrupted_copy_continues(
    data: Path, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: int
) -> None:
    for module, target in ((database, database.TargetDatabase), (directory, directory.TargetDirectory)):
        monkeypatch.setattr(module, "BATCH_BYTES", 4_000)
        monkeypatch.setattr(target, "write", interrupted(target.write, written))
    monkeypatch.setattr(database, "BATCH_ROWS", 100)
    assert copy(data, url) == INTERRUPTED
    with pytest.raises(BadStore, match="not complete"):
        asyncio.run(open_store(url))
    assert copy(data, url) == 0
    assert copy(url, tmp_path / "back") == INTERRUPTED
    assert not [*(tmp_path / "back").glob(f"**/{FILE_NAME}")]
    assert copy(url, tmp_path / "back") == 0
    assert stored(tmp_path / "back") == stored(data)


def interrupted(write: Callable[..., None], written: int) -> Callable[..., None]:
    """Ends the first copy after so many batches."""
    calls = itertools.count()

    def first(*arguments: Any) -> None:
        if next(calls) == written:
            raise KeyboardInterrupt
        write(*arguments)

    return first


async def open_store(url: str, use: Callable[[], Coroutine[Any, Any, None]] | None = None) -> None:
    store = SharedStore(url)
    await store.start()
    if use is not None:
        await use()
    await store.close()


@pytest.mark.parametrize("phase", ["before", "after"])
def test_a_copy_interrupted_at_its_completion_continues(
    data: Path, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, phase: str
) -> None:
    assert copy(data, url) == 0
    rename, calls = Path.rename, itertools.count()

    def renamed(path: Path, target: Path) -> Path:
        if target.name == FILE_NAME and next(calls) == 1:
            if phase == "after":
                rename(path, target)
            raise KeyboardInterrupt
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", renamed)
    assert copy(url, tmp_path / "back") == INTERRUPTED
    assert copy(url, tmp_path / "back") == 0
    assert stored(tmp_path / "back") == stored(data)


def test_a_target_with_tables_is_refused(data: Path, url: str, capsys: pytest.CaptureFixture[str]) -> None:
    before = stored(data)
    assert copy(data, url) == 0
    assert copy(data, url) == 2
    assert "not empty" in capsys.readouterr().err
    assert copy(url, data) == 2
    assert "not empty" in capsys.readouterr().err
    assert stored(data) == before and found("--store", url, capsys) == EXPECTED


def test_a_copy_of_a_source_that_changed_meanwhile_is_refused(
    data: Path, url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write = database.TargetDatabase.write
    monkeypatch.setattr(directory, "BATCH_BYTES", 4_000)
    monkeypatch.setattr(database.TargetDatabase, "write", interrupted(write, 2))
    assert copy(data, url) == INTERRUPTED
    with closing(apsw.Connection(str(data / OTHER / FILE_NAME))) as connection:
        connection.execute("DELETE FROM kv WHERE id = 1").fetchall()
    assert copy(data, url) == 2
    assert "has changed" in capsys.readouterr().err
    with pytest.raises(BadStore, match="not complete"):
        asyncio.run(open_store(url))


def test_a_store_in_use_is_neither_copied_nor_written(
    data: Path, url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with closing(FileLock(data / REGION / "owner.lock")) as lock:
        assert lock.try_acquire()
        assert copy(data, url) == 2
        assert "in use" in capsys.readouterr().err
    assert copy(data, url) == 0

    async def use() -> None:
        assert await asyncio.to_thread(copy, url, tmp_path / "back") == 2
        assert await asyncio.to_thread(copy, data, url) == 2
        assert await asyncio.to_thread(main, ["store", "check", "--store", url, "--repair"]) == 2

    asyncio.run(open_store(url, use))
    assert capsys.readouterr().err.count("in use by a front end") == 3
    assert not (tmp_path / "back").exists()


def test_damage_is_reported_and_repaired(data: Path, url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert copy(data, url) == 0
    capsys.readouterr()
    table = full_world().table()
    start, _ = fmt.space_range(table.indexes[0].space)
    (row,) = sql(url, f"delete from \"{REGION}\".rows where key = (select key from \"{REGION}\".rows"
                 f" where key >= '\\x{start.hex()}' order by key limit 1) returning key, value")  # fmt: skip
    sql(url, f'update "{REGION}".tallies set value = value + 1')
    assert main(["store", "check", "--store", url, "--json"]) == 1
    report = json.loads(capsys.readouterr().out)["stores"][REGION]
    assert report["counts"]["index"] == 1 and report["counts"]["counter"] >= 1
    assert main(["store", "check", "--store", url, "--repair", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)["stores"][REGION]
    assert report["clean"] and report["repaired"]["index"] == 1
    (again,) = sql(url, f"select value from \"{REGION}\".rows where key = '\\x{row['key'].hex()}'")
    assert again["value"] == row["value"]
    assert main(["store", "check", "--store", url]) == 0


def test_rows_that_a_repair_drops_are_kept(data: Path, url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert copy(data, url) == 0
    start, _ = fmt.space_range(full_world().table().space)
    sql(url, f"update \"{REGION}\".rows set value = 'no item' where key = (select key from \"{REGION}\".rows"
        f" where key >= '\\x{start.hex()}' order by key limit 1)")  # fmt: skip
    assert main(["store", "check", "--store", url, "--repair"]) == 0
    assert "before_repair" in capsys.readouterr().out
    kept = sql(url, f'select value from "{REGION}".before_repair')
    assert b"no item" in [one["value"] for one in kept]


@pytest.mark.parametrize(
    "wrong",
    ["postgresql://127.0.0.1:1/none", "nowhere", "without-a-store"],
    ids=["no server", "no database", "no store"],
)
def test_a_store_that_cannot_be_checked(url: str, wrong: str, capsys: pytest.CaptureFixture[str]) -> None:
    text = {"nowhere": url + "x", "without-a-store": url}.get(wrong, wrong)
    assert main(["store", "check", "--store", text]) == 2
    printed = capsys.readouterr()
    assert printed.err.startswith("atoll: postgresql://") and not printed.out


def test_a_backup_moves_between_a_directory_and_postgresql(data: Path, url: str, tmp_path: Path) -> None:
    file, again = tmp_path / "all.backup", tmp_path / "again.backup"
    assert main(["backup", "--data", str(data), "--to", str(file)]) == 0
    assert main(["restore", str(file), "--store", url]) == 0
    assert main(["backup", "--store", url, "--to", str(again)]) == 0
    size = again.stat().st_size
    assert main(["backup", "--store", url, "--to", str(again)]) == 0
    assert again.stat().st_size < size * 1.2
    assert main(["restore", str(again), "--data", str(tmp_path / "new")]) == 0
    assert stored(tmp_path / "new") == stored(data)
    assert main(["restore", str(file), "--store", url]) == 2  # it is not empty


def test_compacting_names_the_sizes_of_each_region(data: Path, url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert copy(data, url) == 0
    capsys.readouterr()
    assert main(["store", "compact", "--store", url]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition(":")[0] for line in lines] == [OTHER, REGION]
    assert all("MB before" in line and "MB now" in line for line in lines)
    assert main(["store", "check", "--store", url]) == 1
