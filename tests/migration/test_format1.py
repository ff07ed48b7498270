"""A store that the version before wrote, with everything that a store can hold, is migrated and answers the same.

`store.tar.gz` is the data directory of a server that was killed, so its last commits are in the WAL only;
`answers.json.gz` is what that server answered.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import shutil
import signal
import subprocess
import sys
import tarfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import apsw
import orjson
import pytest

from atoll.cli import main
from atoll.clock import ManualClock
from atoll.config import Config
from atoll.database.region import Region, Settings
from atoll.migration import store
from atoll.model.sets import ordered
from atoll.node import Node
from atoll.storage import sqlitefile
from atoll.storage.engine import Corrupt, Full, Locked
from atoll.storage.locks import FileLock
from atoll.storage.sqlitefile import FORMAT_VERSION, format_of
from tests import desk

FORMAT1 = Path(__file__).with_name("format1")
NOW_MS = 1_795_955_400_667
ANSWERS: dict[str, Any] = json.loads(gzip.decompress((FORMAT1 / "answers.json.gz").read_bytes()))
REGION = "us-east-1"
STREAMS = "DynamoDBStreams_20120810"
SETS = ("SS", "NS", "BS")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    with tarfile.open(FORMAT1 / "store.tar.gz") as archive:
        archive.extractall(tmp_path)
    return tmp_path


def rows(directory: Path) -> list[Any]:
    with_checksums = "SELECT 2, k, v, c FROM kv UNION ALL SELECT kind, k, n, c FROM counters"
    connection = apsw.Connection(str(directory / "atoll.db"))
    try:
        return sorted(connection.execute(with_checksums).fetchall(), key=repr)
    finally:
        connection.close()


def plain(value: Any) -> Any:
    """Without the order of sets."""
    if isinstance(value, dict):
        return {k: sorted(v) if k in SETS else plain(v) for k, v in value.items()}
    if isinstance(value, list):
        return [plain(member) for member in value]
    return value


def answers(data: Path) -> dict[str, Any]:
    """As the fixture was made."""

    async def scenario() -> dict[str, Any]:
        node = Node(Config(data=data, port=0), ManualClock(NOW_MS))
        await node.start()
        try:
            return await ask_all(node.region())
        finally:
            await node.stop()

    return asyncio.run(scenario())


async def ask_all(region: Region) -> dict[str, Any]:
    async def call(operation: str, target: str = "DynamoDB_20120810", **body: Any) -> Any:
        return orjson.loads(orjson.dumps(await desk.call(region, operation, body, target)))

    found: dict[str, Any] = {"tables": (await call("ListTables"))["TableNames"], "records": {}}
    for name in found["tables"]:
        found[f"describe {name}"] = await call("DescribeTable", TableName=name)
        found[f"scan {name}"] = await call("Scan", TableName=name)
        found[f"ttl {name}"] = await call("DescribeTimeToLive", TableName=name)
    for index in ("local", "global"):
        found[index] = await call("Scan", TableName="orders", IndexName=index)
    for stream in (await call("ListStreams", STREAMS))["Streams"]:
        arn = stream["StreamArn"]
        for shard in (await call("DescribeStream", STREAMS, StreamArn=arn))["StreamDescription"]["Shards"]:
            start = {"StreamArn": arn, "ShardId": shard["ShardId"], "ShardIteratorType": "TRIM_HORIZON"}
            iterator = (await call("GetShardIterator", STREAMS, **start))["ShardIterator"]
            records = (await call("GetRecords", STREAMS, ShardIterator=iterator))["Records"]
            found["records"][f"{stream['StreamLabel']} {shard['ShardId']}"] = records
    return found


def sets_of(value: Any) -> list[tuple[str, list[str]]]:
    if isinstance(value, list):
        return [one for member in value for one in sets_of(member)]
    if not isinstance(value, dict):
        return []
    return [one for k, v in value.items() for one in ([(k, v)] if k in SETS else sets_of(v))]


def test_migrated_store_answers_as_before(data: Path) -> None:
    found = answers(data)
    assert plain(found) == plain(ANSWERS)
    sets = sets_of(found)
    assert sets and all(members == ordered(kind, members) for kind, members in sets)
    assert format_of(data / REGION / "atoll.db")[1] == FORMAT_VERSION
    assert format_of(data / REGION / store.KEPT_NAME)[1] == 1


def test_migrated_store_continues(data: Path) -> None:
    """Later writes, deletions by time to live and rotations find their places."""

    async def scenario() -> None:
        clock = ManualClock(NOW_MS)
        node = Node(Config(data=data, port=0), clock)
        await node.start()
        region = node.region()
        key = {"pk": {"S": "customer 0"}, "sk": {"N": "0"}}
        update = {"UpdateExpression": "ADD tags :t", "ExpressionAttributeValues": {":t": {"SS": ["beta"]}}}
        answer = await desk.call(region, "UpdateItem", {"TableName": "orders", "Key": key, **update,
                                                        "ReturnValues": "ALL_NEW"})  # fmt: skip
        assert orjson.loads(orjson.dumps(answer))["Attributes"]["tags"] == {"SS": ["alpha", "beta", "t0", "zeta"]}
        before = (await ask_all(region))["scan orders"]["Count"]
        await node.move_clock(lambda now_ms: now_ms + 5 * 3_600_000)
        after = await ask_all(region)
        assert 0 < after["scan orders"]["Count"] < before
        assert after["scan orders"]["Count"] == after["local"]["Count"] == after["global"]["Count"]
        assert len(after["records"]) > len(ANSWERS["records"])
        names = [record["eventName"] for records in after["records"].values() for record in records]
        assert names.count("REMOVE") == 1 + before - after["scan orders"]["Count"]
        await node.move_clock(lambda now_ms: now_ms + 48 * 3_600_000)
        assert (await ask_all(region))["scan orders"]["Count"] == 0
        await node.stop()

    asyncio.run(scenario())


def test_interrupted_migration_resumes(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "BATCH_ROWS", 20)
    whole = data / "whole"
    shutil.copytree(data / REGION, whole)
    told: list[int] = []
    store.migrate(whole, report=lambda done, total: told.append(done))
    assert len(told) > 10 and told == sorted(told)
    starts = []
    for _ in told[:-1]:
        reports: list[int] = []

        def interrupt(done: int, total: int, reports: list[int] = reports) -> None:
            reports.append(done)
            if len(reports) == 2:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            store.migrate(data / REGION, report=interrupt)
        assert store.needed(data / REGION)
        starts.append(reports[0])
    assert starts == told[:-1]
    store.migrate(data / REGION)
    assert rows(data / REGION) == rows(whole)


def test_killed_migration_is_repeated(data: Path) -> None:
    whole = data / "whole"
    shutil.copytree(data / REGION, whole)
    store.migrate(whole)
    program = (
        "import os, pathlib, sys\n"
        "from atoll.migration import store\n"
        "store.BATCH_ROWS = 40\n"
        "def report(done, total):\n"
        "    if done > int(sys.argv[2]): os.kill(os.getpid(), 9)\n"
        "store.migrate(pathlib.Path(sys.argv[1]), report=report)\n"
    )
    for done in (100, 200):
        command = [sys.executable, "-c", program, str(data / REGION), str(done)]
        assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    store.migrate(data / REGION)
    assert rows(data / REGION) == rows(whole)


@pytest.mark.parametrize("done", [0, 1])
def test_migration_that_ended_between_its_renames_is_completed(
    data: Path, monkeypatch: pytest.MonkeyPatch, done: int
) -> None:
    rename, calls = Path.rename, []

    def fail_later(self: Path, target: Path) -> Path:
        calls.append(self)
        if len(calls) > done:
            raise OSError("the machine stopped")
        return rename(self, target)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "rename", fail_later)
        with pytest.raises(OSError, match="the machine stopped"):
            store.migrate(data / REGION)
    assert store.needed(data / REGION)
    store.migrate(data / REGION)
    assert not store.needed(data / REGION)
    assert plain(answers(data)) == plain(ANSWERS)


def test_without_room_nothing_changes(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(data)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=100_000))
    with pytest.raises(Full, match=r"needs [0-9.]+ MB of free disk space, but only 0.1 MB are free"):
        store.migrate(data / REGION)
    assert format_of(data / REGION / "atoll.db")[1] == 1
    assert not (data / REGION / store.NEW_NAME).exists()


def test_store_that_a_server_has_open_is_left_alone(data: Path) -> None:
    lock = FileLock(data / REGION / "owner.lock")
    assert lock.try_acquire(shared=True)
    with pytest.raises(Locked):
        store.migrate(data / REGION)
    lock.close()


def test_several_workers_migrate_once(data: Path) -> None:
    told: list[int] = []
    with ThreadPoolExecutor(4) as pool:
        for done in [
            pool.submit(store.migrate, data / REGION, report=lambda done, _: told.append(done)) for _ in range(4)
        ]:
            done.result()
    assert told.count(0) == 1
    assert plain(answers(data)) == plain(ANSWERS)


def test_store_of_another_account_moves_to_its_own_directory(data: Path) -> None:
    target = data / "123456789012" / REGION
    store.migrate(data / REGION, target)
    assert format_of(target / "atoll.db")[1] == FORMAT_VERSION
    assert not store.needed(data / REGION) and store.kept(data / REGION) is not None


def test_older_version_refuses_a_newer_store(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store.migrate(data / REGION)
    monkeypatch.setattr(sqlitefile, "FORMAT_VERSION", 1)
    with pytest.raises(Corrupt, match="has format version 4; this Atoll reads version 1"):
        sqlitefile.connect(data / REGION / "atoll.db", synced=True)


def test_command_migrates_and_later_deletes_the_old_file(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["store", "upgrade", "--data", str(data)]) == 0
    kept = data / REGION / store.KEPT_NAME
    assert kept.exists() and not store.needed(data / REGION)
    assert f"{data / REGION}: migrated" in capsys.readouterr().out
    assert main(["store", "upgrade", "--data", str(data), "--finish"]) == 0
    assert not kept.exists()
    assert f"{kept}: deleted" in capsys.readouterr().out
    assert plain(answers(data)) == plain(ANSWERS)


@pytest.mark.parametrize("done", [None, 0, 1])
def test_server_of_another_account_takes_the_store(
    data: Path, monkeypatch: pytest.MonkeyPatch, done: int | None
) -> None:
    """Also after an end between the two renames, when the store is in neither place."""
    target = data / "123456789012" / REGION
    rename, calls = Path.rename, []

    def fail_later(self: Path, to: Path) -> Path:
        calls.append(self)
        if len(calls) > (done or 0):
            raise OSError("the machine stopped")
        return rename(self, to)

    if done is not None:
        with monkeypatch.context() as patched:
            patched.setattr(Path, "rename", fail_later)
            with pytest.raises(OSError, match="the machine stopped"):
                store.migrate(data / REGION, target)

    async def scenario() -> Any:
        node = Node(Config(data=data, port=0, settings=Settings(account="123456789012")), ManualClock(NOW_MS))
        await node.start()
        try:
            return await desk.call(node.region(), "ListTables", {})
        finally:
            await node.stop()

    assert asyncio.run(scenario()) == {"TableNames": ANSWERS["tables"]}
    assert format_of(target / "atoll.db")[1] == FORMAT_VERSION
