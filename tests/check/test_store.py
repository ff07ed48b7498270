"""`atoll store check` over files: damage is found, repaired and reported; servers are not disturbed."""

from __future__ import annotations

import json
import random
import re
import shutil
import tarfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import apsw
import pytest

from atoll.check import repair
from atoll.check.file import FileSnapshot, open_file
from atoll.check.report import Report
from atoll.check.store import check
from atoll.cli import main
from atoll.database import format as fmt
from atoll.database.schema import Table
from atoll.options import INTERRUPTED
from atoll.storage.locks import FileLock
from atoll.storage.sqlite import FILE_NAME
from atoll.storage.sqlitefile import PAGE_BYTES
from tests.check.worlds import full_world, save
from tests.database.conftest import START_MS, ManualRegion

FORMAT1 = Path(__file__).parents[1] / "migration" / "format1" / "store.tar.gz"
REGION = "eu-west-1"


@pytest.fixture(scope="module")
def world() -> ManualRegion:
    return full_world()


@pytest.fixture(scope="module")
def saved(world: ManualRegion, tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("saved")
    save(world, directory / REGION)
    return directory


@pytest.fixture
def data(saved: Path, tmp_path: Path) -> Path:
    shutil.copytree(saved, tmp_path / "data")
    return tmp_path / "data"


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """The command reads the time of the store's world."""
    monkeypatch.setattr("atoll.clock.SystemClock.now_ms", lambda self: START_MS)


Run = Callable[..., tuple[int, str]]


@pytest.fixture
def run(data: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs the command; returns its code and what it prints, errors last."""

    def run(*options: str) -> tuple[int, str]:
        code = main(["store", "check", "--data", str(data), *options])
        printed = capsys.readouterr()
        return code, printed.out + ("" if code != 2 else printed.err)

    return run


def change(data: Path, sql: str, *values: Any) -> None:
    with closing(apsw.Connection(str(data / REGION / FILE_NAME))) as connection:
        connection.execute(sql, values).fetchall()
        assert connection.changes() >= 1


def dump(data: Path) -> dict[str, set[Any]]:
    with closing(apsw.Connection(str(data / REGION / FILE_NAME))) as connection:
        return {
            "kv": set(connection.execute("SELECT k, v, c FROM kv")),
            "counters": set(connection.execute("SELECT k, n, c, kind FROM counters")),
        }


def first_key(world: ManualRegion, space: int) -> bytes:
    rows = world.read(lambda snapshot: list(snapshot.scan(*fmt.space_range(space), limit=1)))
    key: bytes = rows[0][0]
    return key


def table_of(world: ManualRegion) -> Table:
    table: Table = world.table()
    return table


def test_clean_store(run: Run, data: Path) -> None:
    before = dump(data)
    code, printed = run()
    assert code == 0
    assert re.fullmatch(rf"{data}/{REGION}: clean; [\d,]+ rows\n", printed)
    assert run("--repair") == (code, printed)
    assert dump(data) == before
    assert not list((data / REGION).glob("*repair*"))


def test_report_as_json(run: Run, data: Path, world: ManualRegion) -> None:
    code, printed = run("--json")
    report = json.loads(printed)
    assert code == 0 and report["clean"] is True
    assert report["stores"][f"{data}/{REGION}"]["findings"] == []
    change(data, "DELETE FROM kv WHERE k = ?", first_key(world, table_of(world).indexes[0].space))
    code, printed = run("--json")
    report = json.loads(printed)
    assert code == 1 and report["clean"] is False
    store = report["stores"][f"{data}/{REGION}"]
    assert store["counts"] == {"index": 1}
    (finding,) = store["findings"]
    assert finding["kind"] == "index" and finding["table"] == "Things" and finding["repairable"] and not finding["lost"]
    assert set(finding["key"]) == {"pk", "sk"}
    code, printed = run("--json", "--repair")
    store = json.loads(printed)["stores"][f"{data}/{REGION}"]
    assert code == 0 and store["clean"] and store["repaired"] == {"index": 1} and store["lost"] == []
    assert (data / REGION / store["kept_file"]).is_file()


FLIPS = ["v", "k", "c"]


@pytest.mark.parametrize("column", FLIPS)
def test_a_flipped_bit_of_any_row_is_found(saved: Path, tmp_path: Path, column: str) -> None:
    """And the store is clean after its repair, unless the definition of a table is damaged."""
    rng = random.Random(column)
    with closing(open_file(saved / REGION / FILE_NAME)) as connection:
        rows = list(connection.execute(f"SELECT id, k, {column} FROM kv"))
    definitions = [row for row in rows if fmt.TABLES[0] <= row[1] < fmt.TABLES[1]]
    for number, (id_, key, old) in enumerate([*rng.sample(rows, 20), *definitions]):
        data = tmp_path / str(number)
        shutil.copytree(saved, data)
        change(data, f"UPDATE kv SET {column} = ? WHERE id = ?", old + 1 if column == "c" else flipped(old, rng), id_)
        assert main(["store", "check", "--data", str(data)]) == 1
        lasts = column != "k" and fmt.TABLES[0] <= key < fmt.TABLES[1]
        assert main(["store", "check", "--data", str(data), "--repair"]) == lasts
        assert main(["store", "check", "--data", str(data)]) == lasts
        with closing(open_file(data / REGION / FILE_NAME)) as connection:
            kept = {row[0] for row in connection.execute("SELECT k FROM kv")}
        assert {row[1] for row in definitions} <= kept


TEXTS = [
    ("kv", "v = CAST(v AS TEXT)", True),
    ("kv", "k = CAST(k AS TEXT)", True),
    ("kv", "v = CAST(x'ff' || v AS TEXT)", False),
    ("kv", "c = CAST(x'ff' AS TEXT)", False),
    ("counters", "n = CAST(x'ff' AS TEXT)", True),
    ("counters", "k = CAST(x'ff' AS TEXT)", True),
    ("counters", "c = CAST(x'ff' AS TEXT)", True),
]


@pytest.mark.parametrize(("rows", "change_to", "is_kept"), TEXTS)
def test_bytes_that_became_a_text(
    run: Run, data: Path, world: ManualRegion, rows: str, change_to: str, is_kept: bool
) -> None:
    """SQLite's own bytes say that a value is a text. If it was not valid UTF-8, the check ended with a traceback."""
    before = dump(data)
    first = f"(SELECT min(k) FROM {rows} WHERE k >= ?)"
    key = first_key(world, table_of(world).space) if rows == "kv" else b"n"
    change(data, f"UPDATE {rows} SET {change_to} WHERE k = {first}", key)
    assert run()[0] == 1
    assert run("--repair")[0] == 0
    assert run()[0] == 0
    assert (dump(data)["kv"] == before["kv"]) is is_kept


INDEX_LEAF = 10


def test_a_row_that_the_index_of_keys_hides_is_found(data: Path, run: Run) -> None:
    """SQLite's own pages have no checksums: reads do not find a row whose key is damaged in the index of keys."""
    file = data / REGION / FILE_NAME
    with closing(open_file(file)) as connection:
        keys = [key for (key,) in connection.execute("SELECT k FROM kv ORDER BY k")]
    content, hidden = file.read_bytes(), 0
    for start in range(PAGE_BYTES, len(content), PAGE_BYTES):
        page = content[start : start + PAGE_BYTES]
        key = next((key for key in keys if page[0] == INDEX_LEAF and key in page), None)
        if key is None:
            continue
        changed = bytearray(content)
        changed[start + page.index(key)] ^= 0x80
        file.write_bytes(changed)
        with closing(open_file(file)) as connection:
            hidden += connection.execute("SELECT v FROM kv WHERE k = ?", (key,)).get is None
        assert run()[0] == 1
        file.write_bytes(content)
    assert hidden


def flipped(old: bytes, rng: random.Random) -> bytes:
    if not old:
        return b"x"
    position = rng.randrange(len(old))
    return old[:position] + bytes([old[position] ^ 1 << rng.randrange(8)]) + old[position + 1 :]


def test_lost_item_is_named_and_its_traces_are_removed(run: Run, data: Path, world: ManualRegion) -> None:
    table = table_of(world)
    key = first_key(world, table.space)
    change(data, "UPDATE kv SET v = substr(v, 2) WHERE k = ?", key)
    code, printed = run()
    assert code == 1
    assert "checksum: 1 found. The stored bytes of a row have changed since Atoll wrote them." in printed
    contents = fmt.key_contents(key, "SN")
    named = rf"Things pk={re.escape(contents[0])} sk={contents[1]}: the item does not match its checksum"
    assert re.search(named, printed)
    assert "an entry of an item that does not exist" in printed
    code, printed = run("--repair")
    assert code == 0
    assert f"{data}/{REGION}: lost: 1\n" in printed and re.search(named, printed.partition("lost: 1")[2])
    assert f"{data}/{REGION}: clean now; the file before the repair is kept as atoll-before-repair.db" in printed
    assert run()[0] == 0
    with closing(open_file(data / REGION / FILE_NAME)) as connection:
        assert FileSnapshot(connection).get(key) is None


DERIVED = [
    ("UPDATE kv SET v = x'00' WHERE k > x'00000001' AND k = (SELECT max(k) FROM kv WHERE k < ?)", "by-h"),
    ("UPDATE counters SET n = n + 1 WHERE kind = 1 AND k = (SELECT min(k) FROM counters WHERE k > x'6e')", None),
    ("UPDATE counters SET c = c + 1 WHERE kind = 1", None),
]  # fmt: skip


@pytest.mark.parametrize(("sql", "index"), DERIVED)
def test_derived_rows_are_restored(run: Run, data: Path, world: ManualRegion, sql: str, index: str | None) -> None:
    before = dump(data)
    found = None if index is None else table_of(world).index(index)
    change(data, sql, *(() if found is None else (fmt.space_range(found.space)[1],)))
    assert dump(data) != before
    code, printed = run("--repair")
    assert code == 0 and "lost: nothing" in printed
    discarded = {key[5:9] for key, *_ in before["kv"] if key.startswith(fmt.GARBAGE[0])}
    assert [{row for row in rows if row[0][1:5] not in discarded} for rows in dump(data).values()] == [
        {row for row in rows if row[0][1:5] not in discarded} for rows in before.values()
    ]


def test_second_repair_keeps_the_file_of_the_first(run: Run, data: Path) -> None:
    for name in ("atoll-before-repair.db", "atoll-before-repair-2.db"):
        change(data, "UPDATE counters SET c = c + 1 WHERE kind = 1")
        assert name in run("--repair")[1]
    assert len(list((data / REGION).glob("atoll-before-repair*.db"))) == 2
    assert not list((data / REGION).glob("*.new*"))


def test_lost_counter_of_a_log_skips_numbers(run: Run, data: Path, world: ManualRegion) -> None:
    """A number that may have been given already is not given again, even if no record is left."""
    table = table_of(world)
    shard = table.shards[0]
    counter = fmt.sequence_counter(table.log_space, shard.number)
    prefix = shard.change_prefix(table.log_space)
    with closing(apsw.Connection(str(data / REGION / FILE_NAME))) as connection:
        connection.execute("DELETE FROM kv WHERE k >= ? AND k < ?", (prefix, prefix + b"\xff" * 8)).fetchall()
        given = connection.execute("SELECT n FROM counters WHERE kind = 0 AND k = ?", (counter,)).get
    change(data, "UPDATE counters SET n = 1 WHERE kind = 0 AND k = ?", counter)
    assert run("--repair")[0] == 0
    with closing(open_file(data / REGION / FILE_NAME)) as connection:
        assert FileSnapshot(connection).number(counter) > given


def test_damaged_definition_is_reported_and_its_items_stay(run: Run, data: Path, world: ManualRegion) -> None:
    before = dump(data)
    change(data, "UPDATE kv SET v = substr(v, 2) WHERE k = ?", fmt.table_key("Things"))
    code, printed = run("--repair")
    assert code == 1
    assert "the definition of table does not match its checksum; it cannot be repaired" in printed
    prefix = table_of(world).prefix
    assert {row for row in dump(data)["kv"] if row[0].startswith(prefix)} == {
        row for row in before["kv"] if row[0].startswith(prefix)
    }


def overwrite_page(path: Path, number: int) -> None:
    content = bytearray(path.read_bytes())
    content[number * PAGE_BYTES : (number + 1) * PAGE_BYTES] = b"\xa5" * PAGE_BYTES
    path.write_bytes(content)


def test_damaged_pages_cost_only_the_rows_on_them(saved: Path, tmp_path: Path, world: ManualRegion) -> None:
    """Any page but the first, which names the file's format. Rows on a page that is lost cannot be named."""
    pages = (saved / REGION / FILE_NAME).stat().st_size // PAGE_BYTES
    with closing(open_file(saved / REGION / FILE_NAME)) as connection:
        total = connection.execute("SELECT count(*) FROM kv").get
        roots = {page - 1 for (page,) in connection.execute("SELECT rootpage FROM sqlite_schema")}
    assert pages > 20
    repaired = 0
    for number in random.Random(3).sample([n for n in range(1, pages) if n not in roots], 12):
        data = tmp_path / str(number)
        shutil.copytree(saved, data)
        overwrite_page(data / REGION / FILE_NAME, number)
        assert main(["store", "check", "--data", str(data)]) == 1
        code = main(["store", "check", "--data", str(data), "--repair"])
        with closing(open_file(data / REGION / FILE_NAME)) as connection:
            snapshot = FileSnapshot(connection)
            left = connection.execute("SELECT count(*) FROM kv").get
            assert left > total * 0.7
            if all(snapshot.get(fmt.table_key(name)) for name in ("Things", "Plain")):
                repaired += 1
                # If the row of a discarded space is lost, the first repair does not know that its rows are no table's.
                assert code == 0 or main(["store", "check", "--data", str(data), "--repair"]) == 0
                assert main(["store", "check", "--data", str(data)]) == 0
            else:
                assert code == 1 and snapshot.get(fmt.garbage_key(table_of(world).space)) is None
    assert repaired > 6


def test_stores_in_use_are_refused(run: Run, data: Path) -> None:
    with closing(FileLock(data / REGION / "owner.lock")) as lock:
        assert lock.try_acquire(shared=True)
        code, printed = run()
    assert code == 2
    assert "is in use by a server; ask the server itself: POST /_atoll/store/check" in printed
    assert run()[0] == 0


def test_files_that_are_not_stores_of_this_format_are_refused(run: Run, data: Path) -> None:
    (data / REGION / FILE_NAME).write_bytes(b"no database" * 1000)
    assert run()[0] == 2
    (data / REGION / FILE_NAME).unlink()
    with tarfile.open(FORMAT1) as archive:
        archive.extractall(data)
    code, printed = run()
    assert code == 2 and "has format version 1; run `atoll store upgrade` first" in printed


def test_migrated_store_is_clean(data: Path, tmp_path: Path) -> None:
    with tarfile.open(FORMAT1) as archive:
        archive.extractall(tmp_path / "old")
    assert main(["store", "upgrade", "--data", str(tmp_path / "old")]) == 0
    assert main(["store", "check", "--data", str(tmp_path / "old")]) == 0


def test_without_room_nothing_is_repaired(run: Run, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    change(data, "UPDATE counters SET c = c + 1 WHERE kind = 1")
    before = dump(data)
    usage = shutil.disk_usage(data)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=1_000))
    code, printed = run("--repair")
    assert code == 2 and "MB of free disk space, but only 0.0 MB are free" in printed
    assert dump(data) == before


def test_interrupted_repair_leaves_the_store_as_it_was(run: Run, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    change(data, "UPDATE counters SET c = c + 1 WHERE kind = 1")
    before = dump(data)

    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(repair, "_derive", interrupt)
        assert run("--repair")[0] == INTERRUPTED
    assert dump(data) == before
    assert run("--repair")[0] == 0
    assert dump(data) != before


def test_progress_goes_up_to_all_rows(data: Path) -> None:
    told: list[tuple[str, int, int]] = []
    with closing(open_file(data / REGION / FILE_NAME)) as connection:
        report = Report()
        check(connection, START_MS, lambda *one: told.append(one), report)
    assert report.is_clean and report.rows > 300
    done = [done for _, done, total in told if total]
    assert done == sorted(done) and done[-1] > report.rows
    assert {"checksums", "catalog", "table Things", "orphans"} <= {section for section, _, _ in told}


@pytest.mark.parametrize("command", ["check", "compact", "upgrade"])
def test_directory_without_stores_is_taken_for_a_mistake(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    assert main(["store", command, "--data", str(tmp_path / "typo")]) == 2
    assert f"atoll: there are no stores in {tmp_path / 'typo'}: " in capsys.readouterr().err
