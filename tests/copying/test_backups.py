"""`atoll backup` and `atoll restore`: whole data directories into one file and back."""

from __future__ import annotations

import itertools
import os
import random
import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import apsw
import pytest

from atoll.check.file import open_file
from atoll.cli import main
from atoll.config import Config
from atoll.copying import backing_up, backup_file
from atoll.copying.backup_file import BackupFile
from atoll.database.region import Settings
from atoll.node import Node
from atoll.storage.engine import Corrupt
from atoll.storage.sqlite import FILE_NAME
from atoll.storage.sqlitefile import PAGE_BYTES
from atoll.testing.local import LocalServer
from tests.check.worlds import full_world, save

REGION, OTHER = "eu-west-1", "123456789012/us-east-1"
DOCUMENTS = ("credentials.json", "session.key", "policies.toml", "principals.json")


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    data = tmp_path_factory.mktemp("saved")
    save(full_world(), data / REGION)
    save(full_world(2, 30), data / OTHER)
    (data / "session.key").write_text("ab" * 32 + "\n")
    (data / "policies.toml").write_text("# none\n")
    (data / "principals.json").write_text("{}")
    assert main(["credentials", "create", "--data", str(data)]) == 0
    return data


@pytest.fixture
def data(saved: Path, tmp_path: Path) -> Path:
    shutil.copytree(saved, tmp_path / "data")
    return tmp_path / "data"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "all.backup"


def back_up(data: Path, file: Path, *options: str) -> int:
    return main(["backup", "--data", str(data), "--to", str(file), *options])


def restore(file: Path, data: Path, *options: str) -> int:
    return main(["restore", str(file), "--data", str(data), *options])


def verify(file: Path, *options: str) -> int:
    return main(["backup", "verify", str(file), *options])


def stored(data: Path, *regions: str) -> dict[str, Any]:
    content: dict[str, Any] = {}
    for region in regions or (REGION, OTHER):
        with closing(open_file(data / region / FILE_NAME)) as connection:
            content[region] = (
                set(connection.execute("SELECT k, v, c FROM kv")),
                set(connection.execute("SELECT kind, k, n, c FROM counters")),
            )
    return content


def change(data: Path, statement: str) -> None:
    with closing(apsw.Connection(str(data / REGION / FILE_NAME))) as connection:
        connection.execute(statement).fetchall()


def some_key(data: Path) -> bytes:
    with closing(open_file(data / REGION / FILE_NAME)) as connection:
        key: bytes = connection.execute("SELECT k FROM kv ORDER BY id LIMIT 1 OFFSET 40").get
        return key


def test_a_restored_directory_has_all_rows_counters_and_documents(data: Path, file: Path, tmp_path: Path) -> None:
    assert back_up(data, file) == 0
    assert verify(file) == 0
    assert restore(file, tmp_path / "new") == 0
    assert stored(tmp_path / "new") == stored(data)
    for name in DOCUMENTS:
        assert (tmp_path / "new" / name).read_bytes() == (data / name).read_bytes()
        assert (tmp_path / "new" / name).stat().st_mode & 0o077 == 0
    assert file.stat().st_mode & 0o077 == 0
    assert main(["store", "check", "--data", str(tmp_path / "new")]) == 0


def test_chosen_regions(data: Path, file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert back_up(data, file, "--region", REGION) == 0
    assert back_up(data, file) == 0
    assert restore(file, tmp_path / "one", "--number", "1") == 0
    assert restore(file, tmp_path / "other", "--region", OTHER) == 0
    assert stored(tmp_path / "one", REGION) == stored(data, REGION)
    assert not (tmp_path / "one" / OTHER).exists()
    assert stored(tmp_path / "other", OTHER) == stored(data, OTHER)
    assert not (tmp_path / "other" / REGION).exists()
    assert back_up(data, file, "--region", "mars-1") == 2
    assert "has no region mars-1: it has 123456789012/us-east-1, eu-west-1" in capsys.readouterr().err


def test_a_second_backup_adds_only_changes(data: Path, file: Path, tmp_path: Path) -> None:
    assert back_up(data, file) == 0
    first, rows = file.read_bytes(), stored(data)
    change(data, f"DELETE FROM kv WHERE k = x'{some_key(data).hex()}'")
    assert back_up(data, file) == 0
    assert file.read_bytes()[: len(first)] == first
    with closing(BackupFile.open(file)) as opened:
        before, after = opened.backups
        old, new = ({one.digest for one in backup.regions[REGION][0].blocks} for backup in (before, after))
        assert len(new - old) == 1
        assert len(old - new) == 1
    assert verify(file, "--number", "1") == verify(file, "--number", "2") == verify(file) == 0
    assert restore(file, tmp_path / "before", "--number", "1") == 0
    assert stored(tmp_path / "before") == rows
    assert restore(file, tmp_path / "after") == 0
    assert stored(tmp_path / "after") == stored(data) != rows


def test_a_flipped_bit_anywhere_is_found_or_changes_nothing(data: Path, file: Path, tmp_path: Path) -> None:
    assert back_up(data, file) == 0
    whole, chance = file.read_bytes(), random.Random(1)
    unused = range(len(backup_file.MAGIC), backup_file.HEADER_BYTES)  # random bytes
    for number in range(12):
        at = chance.choice([place for place in (number, chance.randrange(len(whole))) if place not in unused])
        damaged = bytearray(whole)
        damaged[at] ^= 1 << chance.randrange(8)
        file.write_bytes(damaged)
        target = tmp_path / f"new-{number}"
        if verify(file) == 0:  # a few bits of compressed bytes have no meaning
            assert restore(file, target) == 0, at
            assert stored(target) == stored(data), at
            continue
        assert restore(file, target) == 2, at
        assert not [*target.glob(f"**/{FILE_NAME}")]


def blocks(file: Path) -> Any:
    with closing(BackupFile.open(file)) as opened:
        return opened.backups[-1].regions


def test_a_truncated_file_is_refused(data: Path, file: Path, tmp_path: Path) -> None:
    assert back_up(data, file) == 0
    whole, places, chance = file.read_bytes(), blocks(file), random.Random(2)
    for length in (0, 7, len(whole) - 1, *(chance.randrange(len(whole)) for _ in range(20))):
        file.write_bytes(whole[:length])
        assert verify(file) == 2
        assert restore(file, tmp_path / "new") == 2
        assert not (tmp_path / "new").exists()
        assert back_up(data, file) == 0  # it goes on with the blocks that are whole
        assert blocks(file) == places
        assert verify(file) == 0


def test_an_interrupted_second_backup_leaves_the_first_one_usable(
    data: Path, file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert back_up(data, file) == 0
    first, rows = file.stat().st_size, stored(data)
    change(data, "DELETE FROM kv WHERE id % 3 = 0")
    assert back_up(data, file) == 0
    os.truncate(file, (first + file.stat().st_size) // 2)
    assert verify(file) == restore(file, tmp_path / "new") == 2
    assert "the same `atoll backup` completes it, and --number 1 names the one before it" in capsys.readouterr().err
    assert restore(file, tmp_path / "new", "--number", "1") == 0
    assert stored(tmp_path / "new") == rows


def test_a_backup_never_overwrites_data_after_damage(data: Path, file: Path) -> None:
    assert back_up(data, file) == 0
    damaged = bytearray(file.read_bytes())
    damaged[backup_file.HEADER_BYTES + 3] ^= 1
    file.write_bytes(damaged)
    assert back_up(data, file) == 2
    assert file.read_bytes() == damaged
    for other in (b"short", b"something else that is longer than the header"):
        file.write_bytes(other)
        assert back_up(data, file) == 2
        assert file.read_bytes() == other


DAMAGES = [
    "UPDATE kv SET v = v || x'00' WHERE k = x'{key}'",
    "UPDATE kv SET v = CAST(x'ff' AS TEXT) WHERE k = x'{key}'",
    "UPDATE counters SET n = n + 1 WHERE k = (SELECT max(k) FROM counters)",
    "UPDATE counters SET kind = 7 WHERE k = (SELECT max(k) FROM counters)",
    "UPDATE counters SET n = CAST(x'ff' AS TEXT) WHERE k = (SELECT max(k) FROM counters)",
]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_row_or_counter_ends_the_backup(
    data: Path, file: Path, capsys: pytest.CaptureFixture[str], damage: str
) -> None:
    """Counters were once copied unverified, and got a new checksum."""
    change(data, damage.format(key=some_key(data).hex()))
    assert back_up(data, file) == 2
    assert f"{REGION}/{FILE_NAME}: the row with the key" in (printed := capsys.readouterr().err)
    assert "does not match its checksum" in printed
    assert verify(file) == 2


TABLE_LEAF, INDEX_LEAF = 13, 10


@pytest.mark.parametrize("leaf", [TABLE_LEAF, INDEX_LEAF])
def test_missing_rows_end_the_backup(data: Path, file: Path, capsys: pytest.CaptureFixture[str], leaf: int) -> None:
    """Damage of a page can hide rows of the table, or of its index. A backup once had only the others."""
    hide_a_row(data / REGION / FILE_NAME, leaf)
    assert back_up(data, file) == 2
    assert f"{REGION}/{FILE_NAME}: rows are missing; run `atoll store check`" in capsys.readouterr().err
    assert verify(file) == 2


def hide_a_row(path: Path, leaf: int) -> None:
    content = path.read_bytes()
    numbers = row_numbers(path)
    for start in range(PAGE_BYTES, len(content), PAGE_BYTES):
        cells = int.from_bytes(content[start + 3 : start + 5], "big")
        if content[start] == leaf and cells > 1:
            path.write_bytes(content[: start + 3] + (cells - 1).to_bytes(2, "big") + content[start + 5 :])
            if row_numbers(path) != numbers:
                return
    raise AssertionError("no page has a row that can be hidden")


def row_numbers(path: Path) -> list[int]:
    """As the table and its index have them."""
    with closing(open_file(path)) as connection:
        sources = ("kv NOT INDEXED", "kv INDEXED BY sqlite_autoindex_kv_1")
        return [connection.execute(f"SELECT count(*) FROM {source}").get for source in sources]


def test_only_an_empty_directory_is_restored_to(data: Path, file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert back_up(data, file) == 0
    rows = stored(data)
    assert restore(file, data) == 2
    assert "is not empty" in capsys.readouterr().err
    assert stored(data) == rows


class Stopped(Exception):
    """Instead of a signal."""


def test_an_interrupted_restore_is_not_served_and_continues(
    data: Path, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert back_up(data, file) == 0
    target = tmp_path / "new"
    read = BackupFile.read
    for most in itertools.count():
        reads = itertools.count()

        def read_some(self: BackupFile, place: Any, most: int = most, reads: Iterator[int] = reads) -> bytes:
            if next(reads) == most:
                raise Stopped
            return read(self, place)

        monkeypatch.setattr(BackupFile, "read", read_some)
        try:
            assert restore(file, target) == 0
            break
        except Stopped:
            assert not [*target.glob(f"**/{FILE_NAME}")]
            with pytest.raises(Corrupt, match="is incomplete"):
                Node(Config(port=0, data=target))
    assert most > 3
    assert stored(target) == stored(data)


def test_two_backups_into_one_file_at_a_time_are_refused(
    data: Path, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with closing(backing_up._open(file)):
        assert back_up(data, file) == 2
    assert "another command is writing" in capsys.readouterr().err
    assert back_up(data, file) == 0


def test_a_server_continues_while_its_directory_is_backed_up(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(quotas=False, throttling="off")
    data, new = tmp_path / "data", tmp_path / "new"
    with LocalServer(Config(port=0, data=data, settings=settings)) as server:
        client = server.client("dynamodb")
        client.create_table(
            TableName="Things",
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        )
        for number in range(40):
            client.put_item(TableName="Things", Item={"pk": {"S": str(number)}, "n": {"N": "1"}})
        rows = backing_up._rows

        def rows_while_writing(*given: Any) -> Iterator[Any]:
            for number in range(40):
                client.put_item(TableName="Things", Item={"pk": {"S": str(number)}, "n": {"N": "2"}})
            yield from rows(*given)

        monkeypatch.setattr(backing_up, "_rows", rows_while_writing)
        assert back_up(data, file) == 0
        assert client.get_item(TableName="Things", Key={"pk": {"S": "7"}})["Item"]["n"] == {"N": "2"}
    assert restore(file, new) == 0
    assert main(["store", "check", "--data", str(new)]) == 0
    with LocalServer(Config(port=0, data=new, settings=settings)) as server:
        found = server.client("dynamodb").scan(TableName="Things")["Items"]
        assert sorted(int(item["pk"]["S"]) for item in found) == [*range(40)]
        assert {item["n"]["N"] for item in found} == {"1"}  # as when the backup began


def test_a_file_without_a_name_and_a_directory_without_stores(tmp_path: Path, file: Path) -> None:
    assert main(["backup"]) == 2
    assert back_up(tmp_path, file) == 2
    assert not file.exists()
    assert verify(file) == restore(file, tmp_path / "new") == 2
