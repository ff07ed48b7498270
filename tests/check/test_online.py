"""A running server checks its stores on request, and a killed one's at the next start."""

from __future__ import annotations

import asyncio
import logging
import random
import shutil
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import apsw
import orjson
import pytest

from atoll import testing
from atoll.api import admin
from atoll.check import online
from atoll.cli import main
from atoll.clock import ManualClock
from atoll.config import Config
from atoll.database import format as fmt
from atoll.database.health import CHECKED
from atoll.errors import ApiError
from atoll.node import Node
from atoll.storage.locks import FileLock
from atoll.storage.sqlite import FILE_NAME
from tests import desk
from tests.check.worlds import full_world, random_item, save
from tests.database.conftest import START_MS
from tests.testing.test_admin import ask

REGION = "eu-west-1"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    save(full_world(), tmp_path / "data" / REGION)
    return tmp_path / "data"


def with_node(data: Path, story: Callable[[Node], Awaitable[None]]) -> None:
    async def run() -> None:
        node = Node(Config(data=data, port=0, region=REGION), ManualClock(START_MS))
        await node.start()
        try:
            await story(node)
        finally:
            await node.stop()

    asyncio.run(run())


def change(data: Path, sql: str, *values: Any) -> None:
    with closing(apsw.Connection(str(data / REGION / FILE_NAME))) as connection:
        connection.set_busy_timeout(10_000)
        connection.execute(sql, values).fetchall()
        assert connection.changes() >= 1


async def state(node: Node) -> Any:
    return (await admin.show_checks(node, {}))["regions"][REGION]


def test_check_of_a_running_server(data: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def story(node: Node) -> None:
        assert await state(node) == {"state": "never", "report": None}
        started = await admin.start_check(node, {})
        assert started["regions"][REGION]["state"] in ("running", "done")
        await node._checks.wait()
        shown = await state(node)
        assert shown["state"] == "done"
        report = shown["report"]
        assert report["clean"] and report["findings"] == [] and report["rows"] > 200
        assert report["started_ms"] <= report["finished_ms"]
        change(data, "UPDATE counters SET c = c + 1 WHERE kind = 1 AND k = ?", fmt.count_counter(1))
        await admin.start_check(node, {"region": REGION})
        await node._checks.wait()
        shown = await state(node)
        assert not shown["report"]["clean"]
        assert shown["report"]["counts"] == {"checksum": 1, "counter": 1}
        texts = [finding["text"] for finding in shown["report"]["findings"]]
        assert texts[0] == "a tally does not match its checksum"
        assert node.region().health.status().problems == (CHECKED.text,)
        assert node.region().health.writable
        change(data, "UPDATE counters SET c = c - 1 WHERE kind = 1 AND k = ?", fmt.count_counter(1))
        await admin.start_check(node, {})
        await node._checks.wait()
        assert node.region().health.status().problems == ()

    with_node(data, story)
    found = f"{CHECKED.text} (1 checksum, 1 counter; GET /_atoll/store/check shows them)"
    assert [record.message for record in caplog.records if record.levelno > logging.INFO] == [found, CHECKED.over]


def test_writes_during_a_check_are_not_damage(data: Path) -> None:
    async def story(node: Node) -> None:
        rng = random.Random(5)
        await admin.start_check(node, {})
        ended = asyncio.create_task(node._checks.wait())
        written = 0
        while not ended.done():
            item = random_item(rng, START_MS)
            await desk.call(node.region(), "PutItem", {"TableName": "Things", "Item": item})
            written += 1
        await ended
        shown = await state(node)
        assert shown["state"] == "done" and shown["report"]["clean"], shown["report"]
        assert written > 0

    with_node(data, story)


def test_second_check_does_not_start_while_one_runs(data: Path) -> None:
    async def story(node: Node) -> None:
        progress = {"section": "catalog", "rows_done": 3, "rows": 9}
        with closing(FileLock(data / REGION / online.LOCK)) as lock:
            assert lock.try_acquire()
            (data / REGION / online.PROGRESS).write_bytes(orjson.dumps(progress))
            shown = (await admin.start_check(node, {}))["regions"][REGION]
            assert shown == {"state": "running", "progress": progress, "report": None}
            assert not node._checks._processes
        assert (await state(node))["state"] == "interrupted"

    with_node(data, story)


def test_stopping_the_server_ends_its_checks(data: Path) -> None:
    processes: list[asyncio.subprocess.Process] = []

    async def story(node: Node) -> None:
        await admin.start_check(node, {})
        processes.extend(node._checks._processes)

    with_node(data, story)
    assert all(process.returncode is not None for process in processes)
    assert not (data / REGION / f"{FILE_NAME}-wal").exists()


def test_a_failed_check_has_a_reason(data: Path) -> None:
    directory = data / REGION
    (directory / FILE_NAME).write_bytes(b"no database" * 1000)
    assert "error" in online._checked(directory)


@pytest.mark.parametrize("body", [{"region": 5}, {"store": "x"}, {"region": "us-east-1"}])
def test_requests_for_other_things_are_refused(data: Path, body: Any) -> None:
    async def story(node: Node) -> None:
        with pytest.raises(ApiError) as refused:
            await admin.start_check(node, body)
        assert refused.value.status == 400
        assert list(node.regions) == [REGION]

    with_node(data, story)


def test_server_in_memory_checks_itself_over_http() -> None:
    with testing.serve(region=REGION) as server:
        client = server.client()
        client.create_table(
            TableName="Things", KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}], BillingMode="PAY_PER_REQUEST",
        )  # fmt: skip
        client.put_item(TableName="Things", Item={"pk": {"S": "a"}})
        assert ask(server, "GET", "/_atoll/store/check") == (
            200, {"regions": {REGION: {"state": "never", "report": None}}}
        )  # fmt: skip
        status, answer = ask(server, "POST", "/_atoll/store/check", {})
        assert status == 200 and answer["regions"][REGION]["state"] == "done"
        assert answer["regions"][REGION]["report"]["clean"]
        assert ask(server, "GET", "/_atoll/store/check") == (200, answer)
        assert ask(server, "POST", "/_atoll/store/check", {}, origin="http://a.example")[0] == 403


@contextmanager
def killed(data: Path, tmp_path: Path) -> Iterator[Path]:
    """The data as a killed server leaves it: its last writes are in the write-ahead log."""
    copy = tmp_path / "killed"

    async def story(node: Node) -> None:
        for number in range(3):
            item = {"pk": {"S": "k"}, "sk": {"N": str(number)}}
            await desk.call(node.region(), "PutItem", {"TableName": "Things", "Item": item})
        shutil.copytree(data, copy)

    with_node(data, story)
    yield copy


def logged(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [r.getMessage() for r in caplog.records if r.name == "atoll.check.start"]


async def nothing(node: Node) -> None:
    pass


def test_start_after_an_unclean_end_checks_the_definitions(
    data: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    with killed(data, tmp_path) as copy:
        assert logged(caplog) == []
        with_node(copy, nothing)
        assert logged(caplog) == ["the store was not closed; its definitions are consistent"]
        caplog.clear()
        with_node(copy, nothing)
        assert logged(caplog) == []


def test_start_after_an_unclean_end_logs_damage(data: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with killed(data, tmp_path) as copy:
        with closing(apsw.Connection(str(copy / REGION / FILE_NAME))) as connection:
            connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, True)
            connection.execute("DELETE FROM kv WHERE k >= ? AND k < ?", fmt.SHARDS).fetchall()
        with_node(copy, nothing)
    found = logged(caplog)
    assert any("the row of an open shard is missing" in one for one in found)
    assert found[-1] == "stop the server and run `atoll store check`"


@pytest.mark.parametrize("is_repaired", [False, True])
def test_check_and_repair_after_a_killed_server(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_repaired: bool
) -> None:
    """The check leaves the write-ahead log, which the next start expects. A repair moves it into the old file."""
    monkeypatch.setattr("atoll.clock.SystemClock.now_ms", lambda self: START_MS)
    with killed(data, tmp_path) as copy:
        log = copy / REGION / f"{FILE_NAME}-wal"
        before = log.read_bytes()
        assert main(["store", "check", "--data", str(copy)]) == 0
        assert log.read_bytes() == before
        if is_repaired:
            with closing(apsw.Connection(str(copy / REGION / FILE_NAME))) as connection:
                connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, True)
                connection.execute("UPDATE counters SET c = c + 1 WHERE kind = 1").fetchall()
            assert main(["store", "check", "--data", str(copy), "--repair"]) == 0
            assert not log.exists()

        async def story(node: Node) -> None:
            key = {"pk": {"S": "k"}, "sk": {"N": "2"}}
            answer = await desk.call(node.region(), "GetItem", {"TableName": "Things", "Key": key})
            assert answer["Item"] is not None

        with_node(copy, story)
        assert main(["store", "check", "--data", str(copy)]) == 0


def test_missing_log_of_answered_commits_is_found(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with killed(data, tmp_path) as copy:
        (copy / REGION / f"{FILE_NAME}-wal").unlink()
        assert main(["store", "check", "--data", str(copy)]) == 1
        assert "-wal is missing, but it held acknowledged commits" in capsys.readouterr().out
