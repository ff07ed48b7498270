"""Health: how faults appear to operators and probes, in answers and in the log."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.config import Config as ClientConfig
from botocore.exceptions import ClientError

from atoll import data_directory, testing
from atoll.clock import ManualClock
from atoll.config import Config
from atoll.database import background
from atoll.database import health as health_module
from atoll.database.health import BACKGROUND, DAMAGED, FULL, GONE, LITTLE_ROOM, Health
from atoll.database.region import Region
from atoll.errors import ApiError
from atoll.migration import store as migration
from atoll.node import Node
from atoll.replication.follower import Replication
from atoll.storage.engine import Corrupt, Full
from atoll.storage.memory import MemoryEngine
from atoll.testing.local import LocalServer

HEALTHY = {"store": "ok", "writable": True, "problems": []}
opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def get(server: LocalServer, path: str, **headers: str) -> tuple[int, str]:
    request = urllib.request.Request(server.endpoint_url + path, headers=headers)
    try:
        with opener.open(request) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def health(server: LocalServer) -> tuple[int, str, dict[str, Any]]:
    status, body = get(server, "/_atoll/health")
    shown = json.loads(body)
    return status, shown["status"], shown["regions"]


def put(server: LocalServer) -> None:
    server.client(config=ClientConfig(retries={"total_max_attempts": 1})).put_item(
        TableName="Things", Item={"pk": {"S": "a"}}
    )


def lines(caplog: pytest.LogCaptureFixture) -> list[tuple[str, Any]]:
    records = [record for record in caplog.records if record.name == health_module.__name__]
    return [(record.message, record.__dict__.get("failures")) for record in records]


async def nothing(of: object) -> None:
    """In place of background work."""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalServer]:
    """Without background work, which would meet the faults too."""
    monkeypatch.setattr(background, "run", nothing)
    monkeypatch.setattr(Replication, "run", nothing)
    with testing.serve() as running:
        yield running


@pytest.fixture
def stored(tmp_path: Path) -> Iterator[LocalServer]:
    with LocalServer(Config(port=0, data=tmp_path / "data")) as running:
        yield running


def restore(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    monkeypatch.setattr(background, "run", nothing)


def break_writes(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    async def transact(engine: MemoryEngine, fn: Any) -> Any:
        raise error

    monkeypatch.setattr(MemoryEngine, "transact", transact)


def replace_look(monkeypatch: pytest.MonkeyPatch, read: Any) -> None:
    """Replace the read by which health looks at a store in memory, and no other."""
    original = MemoryEngine.read

    async def chosen(engine: MemoryEngine, fn: Any) -> Any:
        return await (read if fn.__module__ == health_module.__name__ else original)(engine, fn)

    monkeypatch.setattr(MemoryEngine, "read", chosen)


class TestAnswers:
    def test_a_sound_server_is_ok(self, server: LocalServer) -> None:
        assert health(server) == (200, "ok", {"us-east-1": HEALTHY})
        assert get(server, "/") == (200, f"healthy: {urlsplit(server.endpoint_url).netloc} ")
        assert get(server, "/_atoll/health/live") == (200, '{"status":"live"}')

    def test_every_open_region_is_shown(self, server: LocalServer) -> None:
        server.client(region_name="eu-west-1").create_table(
            TableName="Things",
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
        assert health(server)[2] == {"eu-west-1": HEALTHY, "us-east-1": HEALTHY}

    def test_a_full_disk_fails_until_a_write_succeeds(
        self, server: LocalServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Each refused write had a line in the log."""
        break_writes(monkeypatch, Full("no space left on /secret"))
        for _ in range(3):
            with pytest.raises(ClientError, match="InternalServerError"):
                put(server)
        for _ in range(2):
            status, overall, regions = health(server)
            assert (status, overall) == (503, "failing")
            assert regions == {"us-east-1": {"store": "ok", "writable": False, "problems": [FULL.text]}}
        assert get(server, "/") == (503, f"failing: us-east-1: {FULL.text}\n")
        assert get(server, "/_atoll/health/live")[0] == 200
        assert lines(caplog) == [(f"{FULL.text} (no space left on /secret)", None)]
        restore(monkeypatch)
        assert health(server) == (200, "ok", {"us-east-1": HEALTHY})
        assert lines(caplog)[1:] == [(FULL.over, 3)]

    def test_the_line_of_a_fault_has_the_id_of_the_request_that_met_it(
        self, server: LocalServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        break_writes(monkeypatch, Full("no room"))
        with pytest.raises(ClientError) as caught:
            put(server)
        (record,) = [record for record in caplog.records if record.name == health_module.__name__]
        assert record.__dict__["request_id"] == caught.value.response["ResponseMetadata"]["RequestId"]
        assert record.__dict__["region"] == "us-east-1"

    def test_a_damaged_store_stays_damaged(
        self, server: LocalServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        break_writes(monkeypatch, Corrupt("page 7"))
        for _ in range(2):
            with pytest.raises(ClientError, match="InternalServerError"):
                put(server)
        restore(monkeypatch)
        expected = {"us-east-1": {"store": "damaged", "writable": False, "problems": [DAMAGED.text]}}
        assert health(server) == (503, "failing", expected)
        assert lines(caplog) == [(f"{DAMAGED.text} (page 7)", None)]

    def test_a_store_that_cannot_be_read_fails(self, server: LocalServer, monkeypatch: pytest.MonkeyPatch) -> None:
        async def read(engine: MemoryEngine, fn: Any) -> Any:
            raise ZeroDivisionError

        replace_look(monkeypatch, read)
        assert health(server)[:2] == (503, "failing")
        restore(monkeypatch)
        assert health(server)[:2] == (200, "ok")

    def test_a_store_that_does_not_answer_fails(self, server: LocalServer, monkeypatch: pytest.MonkeyPatch) -> None:
        reads = []

        async def read(engine: MemoryEngine, fn: Any) -> Any:
            reads.append(asyncio.get_running_loop().create_future())
            await reads[-1]

        monkeypatch.setattr(health_module, "ANSWER_S", 0)
        replace_look(monkeypatch, read)
        for _ in range(2):
            status, overall, regions = health(server)
            assert (status, overall, regions["us-east-1"]["store"]) == (503, "failing", "failing")
        assert len(reads) == 1
        restore(monkeypatch)
        reads[0].get_loop().call_soon_threadsafe(reads[0].set_result, None)
        assert health(server)[:2] == (200, "ok")

    def test_a_removed_store_is_gone_until_it_is_back(
        self,
        stored: LocalServer,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        monkeypatch.setattr(data_directory, "LITTLE_ROOM_BYTES", 1 << 80)
        health(stored)
        (tmp_path / "data").rename(tmp_path / "moved")
        status, overall, regions = health(stored)
        assert (status, overall, regions["us-east-1"]["store"]) == (503, "failing", "gone")
        assert not regions["us-east-1"]["writable"]
        (tmp_path / "moved").rename(tmp_path / "data")
        assert health(stored)[:2] == (200, "degraded")
        told = [(message.partition(" (")[0], failures) for message, failures in lines(caplog)]
        assert told == [(LITTLE_ROOM.text, None), (GONE.text, None), (GONE.over, None)]

    def test_a_replaced_store_is_gone(self, stored: LocalServer, tmp_path: Path) -> None:
        file = tmp_path / "data" / "us-east-1" / "atoll.db"
        file.rename(file.with_suffix(".old"))
        file.write_bytes(b"")
        assert health(stored)[2]["us-east-1"]["store"] == "gone"

    def test_a_nearly_full_disk_degrades_a_server_that_still_writes(
        self, stored: LocalServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(data_directory, "LITTLE_ROOM_BYTES", 1 << 80)
        expected = {"us-east-1": {**HEALTHY, "problems": ["the disk is nearly full"]}}
        assert health(stored) == (200, "degraded", expected)
        assert get(stored, "/") == (200, f"healthy: {urlsplit(stored.endpoint_url).netloc} ")

    def test_a_migration_shows_its_progress(self, server: LocalServer) -> None:
        (one,) = server._node.health.values()
        one.migrating(0.25)
        expected = {"store": "migrating", "writable": False, "problems": [], "progress": 0.25}
        assert health(server) == (503, "failing", {"us-east-1": expected})
        assert get(server, "/") == (503, "failing: us-east-1: migrating\n")
        one.migrating(1)
        assert health(server) == (200, "ok", {"us-east-1": HEALTHY})


@pytest.mark.parametrize("name", ["atoll.db", "atoll.db.new"], ids=["migrating", "between the renames"])
def test_a_store_that_is_migrated_at_start_shows_its_progress(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reported, go_on = threading.Event(), threading.Event()

    def migrate(source: Path, target: Path, report: migration.Report) -> None:
        report(1, 4)
        reported.set()
        assert go_on.wait(60)
        report(4, 4)

    async def scenario() -> None:
        starting = asyncio.create_task(node.start())
        await asyncio.to_thread(reported.wait, 60)
        (found,) = (await node.examine()).values()
        assert (found.store, found.writable, found.progress) == ("migrating", False, 0.25)
        with pytest.raises(ApiError, match="InternalServerError"):
            await node.region().read(lambda snapshot: snapshot.get(b"k"))
        with pytest.raises(ApiError, match="InternalServerError"):
            await node.region().write(lambda tx, stamp: tx.put(b"k", b"v"))
        go_on.set()
        await starting
        (found,) = (await node.examine()).values()
        assert (found.store, found.writable, found.progress) == ("ok", True, None)
        await node.stop()

    node = Node(Config(data=tmp_path, port=0))
    (tmp_path / "us-east-1").mkdir()
    (tmp_path / "us-east-1" / name).touch()
    monkeypatch.setattr(migration, "needed", lambda directory: True)
    monkeypatch.setattr(migration, "migrate", migrate)
    asyncio.run(scenario())


class TestRights:
    @pytest.mark.parametrize("path", ["/", "/_atoll/health", "/_atoll/health/live"])
    def test_health_needs_none(self, tmp_path: Path, path: str) -> None:
        config = Config(host="0.0.0.0", port=0, data=tmp_path, auth="sigv4")
        with LocalServer(config) as server:
            assert get(server, path)[0] == 200
            assert get(server, path, Origin="http://localhost:3000")[0] == 200
            assert get(server, "/_atoll/clock")[0] == 400

    def test_only_reading_is_free(self, server: LocalServer) -> None:
        request = urllib.request.Request(server.endpoint_url + "/_atoll/health", b"{}")
        with pytest.raises(urllib.error.HTTPError, match="404"):
            opener.open(request)


class TestBackground:
    def test_failing_steps_degrade_the_server_and_are_logged_once(
        self, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        runs, fails = [], True

        async def run(region: Region) -> None:
            runs.append(region)
            if fails:
                raise ZeroDivisionError

        async def until(times: int) -> None:
            """Wake the steps until they have run so often more."""
            end = len(runs) + times
            while len(runs) < end:
                node.region().wake()
                await asyncio.sleep(0)

        async def tell() -> None:
            nonlocal fails
            await node.start()
            await until(3)
            degraded = await node.examine()
            assert degraded["us-east-1"].problems == (BACKGROUND.text,)
            assert degraded["us-east-1"].writable
            fails = False
            await until(2)
            assert (await node.examine())["us-east-1"].problems == ()
            await node.stop()

        monkeypatch.setattr(background, "run", run)
        node = Node(Config(data=None, port=0), ManualClock(1_800_000_000_000))
        asyncio.run(tell())
        first, second = caplog.records
        assert (first.message, first.levelno, second.message) == (BACKGROUND.text, logging.ERROR, BACKGROUND.over)
        assert first.exc_info is not None
        assert second.__dict__["failures"] >= 3

    def test_a_full_disk_is_no_failure_of_the_steps(self) -> None:
        health = Health("us-east-1")
        health.failing(BACKGROUND, ExceptionGroup("steps", [Full("a"), ExceptionGroup("more", [Full("b")])]))
        assert health.status().problems == (FULL.text,)
        health.failing(BACKGROUND, ExceptionGroup("steps", [Full("a"), ZeroDivisionError()]))
        assert health.status().problems == (FULL.text, BACKGROUND.text)

    def test_the_end_of_a_full_disk_is_found_without_a_request(
        self, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        async def tell() -> None:
            await node.start()
            health = node.region().health
            health.report(FULL, "no room")
            while health.suspicious:
                node.region().wake()
                await asyncio.sleep(0)
            await node.stop()

        node = Node(Config(data=None, port=0), ManualClock(1_800_000_000_000))
        asyncio.run(tell())
        assert [record.message for record in caplog.records] == [f"{FULL.text} (no room)", FULL.over]


def test_a_store_that_cannot_be_opened_is_damaged_and_the_others_serve(tmp_path: Path) -> None:
    with LocalServer(Config(port=0, data=tmp_path)) as server:
        (tmp_path / "eu-west-2").mkdir()
        (tmp_path / "eu-west-2" / "atoll.db").write_bytes(b"no database" * 1_000)
        with pytest.raises(ClientError):
            server.client(region_name="eu-west-2", config=ClientConfig(retries={"total_max_attempts": 1})).list_tables()
        status, overall, regions = health(server)
        assert (status, overall, regions["eu-west-2"]["store"]) == (503, "failing", "damaged")
        assert regions["us-east-1"] == HEALTHY
        server.client().list_tables()
        (tmp_path / "eu-west-2" / "atoll.db").unlink()
        server.client(region_name="eu-west-2").list_tables()
        assert health(server) == (200, "ok", {"us-east-1": HEALTHY})
