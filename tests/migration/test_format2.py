"""A store of format 2 gets the new version in place, also if the server that wrote it was killed.

`store.tar.gz` and `answers.json.gz` are as those of format 1, see `test_format1`.
"""

from __future__ import annotations

import gzip
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

from atoll.cli import main
from atoll.migration import store
from atoll.storage.engine import Locked
from atoll.storage.locks import FileLock
from atoll.storage.sqlitefile import FORMAT_VERSION, format_of
from tests.migration.test_format1 import REGION, answers, rows

FORMAT2 = Path(__file__).with_name("format2")
ANSWERS: dict[str, Any] = json.loads(gzip.decompress((FORMAT2 / "answers.json.gz").read_bytes()))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    with tarfile.open(FORMAT2 / "store.tar.gz") as archive:
        archive.extractall(tmp_path)
    return tmp_path


def test_store_answers_as_before(data: Path) -> None:
    assert answers(data) == ANSWERS
    assert format_of(data / REGION / "atoll.db")[1] == FORMAT_VERSION
    assert not (data / REGION / store.KEPT_NAME).exists()


def test_rows_stay_as_they_are(data: Path) -> None:
    directory = data / REGION
    store.migrate(directory)
    migrated = rows(directory)
    with tarfile.open(FORMAT2 / "store.tar.gz") as archive:
        archive.extractall(data / "before")
    assert migrated == rows(data / "before" / REGION)


def test_command_upgrades_a_store_once(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["store", "upgrade", "--data", str(data)]) == 0
    assert "migrated" in capsys.readouterr().out
    assert main(["store", "upgrade", "--data", str(data)]) == 0
    assert "migrated" not in capsys.readouterr().out
    assert main(["store", "check", "--data", str(data)]) == 0


def test_store_that_is_open_is_left_alone(data: Path) -> None:
    lock = FileLock(data / REGION / "owner.lock")
    assert lock.try_acquire()
    with pytest.raises(Locked):
        store.migrate(data / REGION)
    lock.close()
    assert format_of(data / REGION / "atoll.db")[1] == 2


def test_store_of_the_default_account_goes_to_no_other_account(data: Path) -> None:
    """Only format 1 knew no accounts."""
    assert not store.has_old_rows(data / REGION)
    assert store.needed(data / REGION)
