"""One node: its regions."""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, cast

import orjson
import pytest

from atoll import node as node_module
from atoll import region_work as region_work_module
from atoll import regions as regions_module
from atoll.clock import ManualClock, SkewedClock, SystemClock
from atoll.config import Config
from atoll.data_directory import DataDirectory
from atoll.database import background, due
from atoll.database import format as fmt
from atoll.database.health import Health
from atoll.database.region import DEFAULT_ACCOUNT, Region, Settings
from atoll.errors import ApiError
from atoll.node import Node
from atoll.security.credentials import Credentials
from atoll.storage.engine import Corrupt, NoFiles, Transaction
from atoll.storage.memory import MemoryEngine
from atoll.triggers.registry import Function, Registry
from atoll.versions import Stamp
from atoll.wire.server import Server
from tests import desk

START_MS = 1_800_000_000_000


def test_a_step_that_fails_does_not_keep_the_others_from_their_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = []

    def bad(tx: Transaction, region: Region, stamp: Stamp, subject: bytes) -> int | None:
        raise RuntimeError("a bad row")

    def good(tx: Transaction, region: Region, stamp: Stamp, subject: bytes) -> int | None:
        done.append(subject)
        return None

    def schedule(tx: Transaction) -> None:
        for ms, (kind, subject) in enumerate([(b"B", b"1"), (b"G", b"2"), (b"B", b"3"), (b"G", b"4")]):
            due.schedule(tx, START_MS - 4 + ms, kind, subject)

    async def scenario() -> None:
        region = Region("us-east-1", MemoryEngine(), ManualClock(START_MS))
        await region.transact(schedule)
        with pytest.raises(ExceptionGroup, match="background work") as caught:
            await background.run(region, {b"B": bad, b"G": good})
        assert len(caught.value.exceptions) == 2
        assert done == [b"2", b"4"]
        assert await background.run(region, {b"B": good}) is None  # failed jobs stay due
        assert done == [b"2", b"4", b"1", b"3"]

    asyncio.run(scenario())


def call(node: Node, region: str, operation: str, **body: Any) -> Any:
    return desk.call(node.region(region), operation, body)


async def make_table(node: Node, region: str) -> None:
    await call(
        node, region, "CreateTable", TableName="Things", KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}], BillingMode="PAY_PER_REQUEST",
    )  # fmt: skip


def test_a_region_opened_while_the_node_stops_does_not_block_the_stop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    functions = Registry({"f": Function("f", tmp_path, command=("true",))}, {}, ())
    drain = Server.drain

    async def tell() -> None:
        node = Node(Config(data=None, port=0, functions=functions), ManualClock(START_MS))

        async def drain_a_last_request(server: Server) -> None:
            await make_table(node, "eu-west-1")
            await drain(server)

        monkeypatch.setattr(Server, "drain", drain_a_last_request)
        await node.start()
        await asyncio.wait_for(node.stop(), 30)
        assert node.regions.keys() == {"us-east-1", "eu-west-1"}

    asyncio.run(tell())


def test_stored_regions_go_on_by_themselves(tmp_path: Path) -> None:
    """Items expire in every region that has a store, also before anybody asks for it."""

    async def before() -> None:
        node = Node(Config(data=tmp_path, port=0), ManualClock(START_MS))
        await node.start()
        await make_table(node, "eu-west-1")
        specification = {"Enabled": True, "AttributeName": "until"}
        await call(node, "eu-west-1", "UpdateTimeToLive", TableName="Things", TimeToLiveSpecification=specification)
        item = {"pk": {"S": "a"}, "until": {"N": str(START_MS // 1000 + 60)}}
        await call(node, "eu-west-1", "PutItem", TableName="Things", Item=item)
        await node.settle()
        await node.stop()

    async def after() -> set[str]:
        node = Node(Config(data=tmp_path, port=0), ManualClock(START_MS + 3_600_000))
        await node.start()
        await node.settle()
        regions = set(node.regions)
        found = await call(node, "eu-west-1", "GetItem", TableName="Things", Key={"pk": {"S": "a"}})
        await node.stop()
        assert found == {}
        return regions

    asyncio.run(before())
    assert asyncio.run(after()) == {"us-east-1", "eu-west-1"}


REGIONS = ["us-east-1", "us-gov-west-1", "mars-north-1", "local", "localhost"]
NO_REGIONS = ["us", "Us-East-1", "us-east-1.bak", "../us-east-1", "us-east-1/x", "us-east-1\n", "us-" + "x" * 61]


@pytest.mark.parametrize("name", REGIONS)
def test_a_region_is_made_by_its_first_table(tmp_path: Path, name: str) -> None:
    async def tell() -> None:
        node = Node(Config(data=tmp_path, port=0, region="ap-south-1"), ManualClock(START_MS))
        await node.start()
        assert await call(node, name, "ListTables") == {"TableNames": []}
        assert not (tmp_path / name).exists()
        await make_table(node, name)
        assert await call(node, name, "ListTables") == {"TableNames": ["Things"]}
        await node.stop()

    asyncio.run(tell())
    assert (tmp_path / name).is_dir()


@pytest.mark.parametrize("name", NO_REGIONS)
def test_an_invalid_region_name_creates_no_store(tmp_path: Path, name: str) -> None:
    async def tell() -> None:
        node = Node(Config(data=tmp_path / "data", port=0), ManualClock(START_MS))
        await node.start()
        with pytest.raises(ApiError, match="Invalid region"):
            node.region(name)
        await node.stop()

    asyncio.run(tell())
    assert [path.name for path in tmp_path.rglob("*") if path.is_dir()] == ["data", "us-east-1"]


def test_a_copy_of_a_store_is_not_a_region(tmp_path: Path) -> None:
    """After a copy of us-east-1 to us-east-1.bak the server did not start again."""
    (tmp_path / "us-east-1.bak").mkdir()
    (tmp_path / "us-east-1.bak" / "atoll.db").touch()

    async def started() -> set[str]:
        node = Node(Config(data=tmp_path, port=0), ManualClock(START_MS))
        await node.start()
        regions = set(node.regions)
        await node.stop()
        return regions

    assert asyncio.run(started()) == {"us-east-1"}


# Regions that are opened and closed


def run(tmp_path: Path, tell: Callable[[Node], Coroutine[Any, Any, None]], clock: Any = None, **options: Any) -> None:
    options = {"data": tmp_path, "port": 0, **options}

    async def main() -> None:
        node = Node(Config(**options), clock or ManualClock(START_MS))
        await node.start()
        try:
            await tell(node)
        finally:
            await node.stop()

    asyncio.run(main())


def names(count: int) -> list[str]:
    return [f"mars-north-{n}" for n in range(count)]


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def is_resting(node: Node, name: str) -> bool:
    """Whether the background work of an open region waits."""
    return name in node.work and node.work[name].is_resting


async def until(true: Callable[[], bool]) -> None:
    """Let the background work run, at most until something is wrong."""
    for _ in range(2_000):
        if true():
            return
        await asyncio.sleep(0.005)
    raise AssertionError("it never came")


READS: list[tuple[str, dict[str, Any], str | None]] = [
    ("ListTables", {}, None),
    ("DescribeLimits", {}, None),
    ("DescribeTable", {"TableName": "Things"}, "ResourceNotFoundException"),
    ("GetItem", {"TableName": "Things", "Key": {"pk": {"S": "a"}}}, "ResourceNotFoundException"),
    ("PutItem", {"TableName": "Things", "Item": {"pk": {"S": "a"}}}, "ResourceNotFoundException"),
    ("Query", {"TableName": "Things", "KeyConditionExpression": "pk = :a", "ExpressionAttributeValues":
        {":a": {"S": "a"}}}, "ResourceNotFoundException"),
    ("Scan", {"TableName": "Things"}, "ResourceNotFoundException"),
    ("DeleteTable", {"TableName": "Things"}, "ResourceNotFoundException"),
    ("UpdateTimeToLive", {"TableName": "Things", "TimeToLiveSpecification":
        {"Enabled": True, "AttributeName": "x"}}, "ResourceNotFoundException"),
    ("TransactWriteItems", {"ClientRequestToken": "t", "TransactItems":
        [{"Put": {"TableName": "Things", "Item": {"pk": {"S": "a"}}}}]}, "ResourceNotFoundException"),
    ("CreateTable", {"TableName": "T", "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
        "AttributeDefinitions": []}, "ValidationException"),
]  # fmt: skip


def test_requests_to_unknown_regions_open_nothing(tmp_path: Path) -> None:
    """Each region that a request named opened eleven files for ever: 90 names ended the server."""

    async def tell(node: Node) -> None:
        before = open_files()
        for name in names(200):
            for operation, body, code in READS:
                try:
                    await call(node, name, operation, **body)
                    assert code is None, operation
                except ApiError as error:
                    assert error.code == code, operation
        assert open_files() <= before
        assert node.regions.keys() == {"us-east-1"}
        assert len(node._regions._unopened) < 50

    run(tmp_path, tell)
    assert [path.name for path in tmp_path.iterdir()] == ["us-east-1"]


@pytest.mark.parametrize("memory", [False, True])
def test_a_region_beyond_those_that_must_stay_open_is_refused_and_the_others_work(tmp_path: Path, memory: bool) -> None:
    """Those in memory would be lost, and a manual clock would not run the work of closed ones."""

    async def tell(node: Node) -> None:
        *several, last = names(4)
        for name in several:
            await make_table(node, name)
            await call(node, name, "PutItem", TableName="Things", Item={"pk": {"S": "a"}})
            await until(lambda name=name: node._regions._wakes[name] != 0)  # type: ignore[misc]
        with pytest.raises(ApiError, match="--max-regions") as caught:
            await make_table(node, last)
        assert caught.value.code == "LimitExceededException"
        for name in several:
            assert await call(node, name, "ListTables") == {"TableNames": ["Things"]}
        assert await call(node, last, "ListTables") == {"TableNames": []}

    run(tmp_path, tell, max_regions=4, data=None if memory else tmp_path)


def test_an_unused_region_makes_room_and_its_tables_are_there_again(tmp_path: Path) -> None:
    async def tell(node: Node) -> None:
        for name in names(12):
            await make_table(node, name)
            await call(node, name, "PutItem", TableName="Things", Item={"pk": {"S": name}})
            await until(lambda name=name: is_resting(node, name))  # type: ignore[misc]
            assert len(node.regions) <= 4
        for name in names(12):
            found = await call(node, name, "GetItem", TableName="Things", Key={"pk": {"S": name}})
            assert orjson.loads(orjson.dumps(found)) == {"Item": {"pk": {"S": name}}}
            await until(lambda name=name: name not in node.regions or is_resting(node, name))  # type: ignore[misc]

    run(tmp_path, tell, SystemClock(), max_regions=4)


def test_a_region_is_closed_when_it_was_not_used_for_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def tell(node: Node) -> None:
        before = open_files()
        await make_table(node, "eu-west-1")
        await call(node, "eu-west-1", "PutItem", TableName="Things", Item={"pk": {"S": "a"}})
        monkeypatch.setattr(regions_module, "IDLE_MS", 0)
        held = node.region("eu-west-1")
        await until(lambda: node.regions.keys() == {"us-east-1"})
        await until(lambda: open_files() <= before)
        # An operation that has begun may still hold the region.
        assert await desk.call(held, "Scan", {"TableName": "Things", "Select": "COUNT"}) == {
            "Count": 1, "ScannedCount": 1,
        }  # fmt: skip

    run(tmp_path, tell, SystemClock())


def test_named_regions_are_opened_at_start_and_stay_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(regions_module, "IDLE_MS", 0)

    async def tell(node: Node) -> None:
        assert set(node.regions) == {"us-east-1", "eu-west-1", "sa-east-1"}
        assert (tmp_path / "sa-east-1").exists()
        await make_table(node, "eu-central-1")  # crowded: the others make no room
        for region in list(node.regions.values()):
            await node._regions.looked(region, None)
        assert {"us-east-1", "eu-west-1", "sa-east-1"} <= set(node.regions)
        for name in ("eu-west-1", "sa-east-1", "mars-north-1"):
            assert node.config.replicable(name) is (name != "mars-north-1")

    run(tmp_path, tell, SystemClock(), max_regions=4, more_regions=["eu-west-1", "sa-east-1"])


def test_a_store_of_a_region_that_is_no_longer_served_stays_closed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """This node once served it; now a peer does, or no option names it."""
    Credentials(tmp_path / "keys.json").create(0, peer=True)

    async def before(node: Node) -> None:
        await make_table(node, "eu-west-1")
        await make_table(node, "sa-east-1")

    async def after(node: Node) -> None:
        assert set(node.regions) == {"us-east-1"}
        for name in ("eu-west-1", "sa-east-1"):
            with pytest.raises(ApiError, match=f"not '{name}'"):
                await call(node, name, "ListTables")
            assert f"the store of {name} is not opened" in caplog.text

    run(tmp_path, before)
    run(tmp_path, after, only_regions=True, peers={"eu-west-1": "http://localhost:1"},
        peer_credentials=tmp_path / "keys.json")  # fmt: skip


def test_many_stored_regions_are_worked_on_a_few_at_a_time(tmp_path: Path) -> None:
    """Items expire in all of them, though only a few may be open, and no request names them."""
    clock = SkewedClock(SystemClock())

    async def fill(node: Node) -> None:
        for name in names(20):
            await make_table(node, name)
            specification = {"Enabled": True, "AttributeName": "until"}
            await call(node, name, "UpdateTimeToLive", TableName="Things", TimeToLiveSpecification=specification)
            item = {"pk": {"S": "a"}, "until": {"N": str(clock.now_ms() // 1000 + 3_000)}}
            await call(node, name, "PutItem", TableName="Things", Item=item)

    async def watch(node: Node) -> None:
        seen.update(node.regions)
        before = open_files()
        start_region = node._regions._stores.start_region

        def start(region: Region) -> None:
            seen.add(region.name)
            assert len(node.regions) < 4
            start_region(region)

        monkeypatch.setattr(node, "start_region", start)
        await until(lambda: len(seen) == 21 and 0 not in node._regions._wakes.values())
        assert open_files() <= before + 4 * 16
        for name in names(20):
            found = await call(node, name, "Scan", TableName="Things")
            assert found["ScannedCount"] == 0  # deleted, not only expired
            await until(lambda name=name: name not in node.regions or is_resting(node, name))  # type: ignore[misc]

    seen: set[str] = set()
    with pytest.MonkeyPatch.context() as monkeypatch:
        run(tmp_path, fill, clock)
        clock.skew_ms = 3_600_000
        monkeypatch.setattr(node_module, "LOOK_AGAIN_MS", 20)
        run(tmp_path, watch, clock, max_regions=4)


def test_a_region_with_work_that_is_due_soon_stays_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def tell(node: Node) -> None:
        for name in ("eu-west-1", "eu-west-2"):
            await make_table(node, name)
            await node.region(name).transact(lambda tx: due.schedule(tx, 0, b"?", b""))
            node.region(name).wake()
        monkeypatch.setattr(regions_module, "IDLE_MS", 0)
        await until(lambda: ran >= {"eu-west-1", "eu-west-2"} and all(is_resting(node, name) for name in ran))
        monkeypatch.setitem(jobs, b"?", lambda tx, region, stamp, subject: None)
        await node.region("eu-west-2").transact(lambda tx: tx.delete_range(*fmt.DUE))
        node.regions["eu-west-2"].wake()
        await until(lambda: "eu-west-2" not in node.regions)
        assert "eu-west-1" in node.regions

    def every_second(tx: Transaction, region: Region, stamp: Stamp, subject: bytes) -> int:
        ran.add(region.name)
        return stamp.now_ms + 1_000

    ran: set[str] = set()
    jobs = cast(dict[bytes, background.Job], background.JOBS)
    monkeypatch.setitem(jobs, b"?", every_second)
    monkeypatch.setattr(region_work_module, "LOOK_AGAIN_MS", 10_000)
    run(tmp_path, tell, SystemClock())


def test_regions_opened_from_all_sides_are_opened_once(tmp_path: Path) -> None:
    async def tell(node: Node) -> None:
        tables = [make_table(node, "eu-west-1") for _ in range(10)]
        outcomes = await asyncio.gather(*tables, return_exceptions=True)
        assert [type(one) for one in outcomes if one is not None] == [ApiError] * 9
        items = [call(node, "eu-west-1", "PutItem", TableName="Things", Item={"pk": {"S": str(n)}}) for n in range(10)]
        closing = node._regions._rest(node.regions["eu-west-1"], crowded=True)
        await asyncio.gather(closing, *items)
        assert (await call(node, "eu-west-1", "Scan", TableName="Things", Select="COUNT"))["Count"] == 10

    run(tmp_path, tell, SystemClock())


def test_a_job_that_schedules_the_same_work_again_runs_again() -> None:
    """Of two indexes that are changed at the same time, the end of one schedules the work on the other."""
    runs = []

    def job(tx: Transaction, region: Region, stamp: Stamp, subject: bytes) -> int | None:
        runs.append(subject)
        if len(runs) < 3:
            due.schedule(tx, START_MS, b"B", subject)
        return None

    async def scenario() -> None:
        region = Region("us-east-1", MemoryEngine(), ManualClock(START_MS))
        await region.transact(lambda tx: due.schedule(tx, START_MS, b"B", b"1"))
        assert await background.run(region, {b"B": job}) is None
        assert runs == [b"1"] * 3

    asyncio.run(scenario())


def test_a_damaged_store_ends_the_server_before_clients_can_connect(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    accepted: list[bool] = []
    accept = Server.accept

    async def noted(server: Server) -> None:
        accepted.append(True)
        await accept(server)

    async def start() -> None:
        node = Node(Config(port=0, data=tmp_path))
        await node.start()
        await node.stop()

    monkeypatch.setattr(Server, "accept", noted)
    asyncio.run(start())
    assert accepted.pop()
    (tmp_path / "us-east-1" / "atoll.db").write_bytes(b"no database " * 1_000)
    with pytest.raises(Corrupt, match=r"atoll\.db"):
        asyncio.run(start())
    assert not accepted


@pytest.mark.parametrize("account", ["", "123456789012"])
def test_a_region_with_a_missing_file_is_not_taken_for_an_empty_one(tmp_path: Path, account: str) -> None:
    async def start(*, writes: bool = False) -> None:
        settings = Settings(account=account) if account else Settings()
        node = Node(Config(port=0, data=tmp_path, settings=settings))
        try:
            await node.start()
            if writes:
                await node.region("eu-west-1").transact(lambda tx: tx.put(b"k", b"v"))
        finally:
            await node.stop()

    asyncio.run(start(writes=True))
    (tmp_path / account / "eu-west-1" / "atoll.db").unlink()
    with pytest.raises(Corrupt, match=r"eu-west-1/atoll\.db is missing, but the store has commits"):
        asyncio.run(start())


def test_a_process_that_cannot_open_files_reports_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It said that the disk was full."""

    def fail(path: object, *_: object, **__: object) -> int:
        raise OSError(errno.EMFILE, "Too many open files", str(path))

    data = DataDirectory(tmp_path, DEFAULT_ACCOUNT)
    with monkeypatch.context() as exhausted:
        exhausted.setattr(os, "open", fail)
        with pytest.raises(NoFiles, match="ulimit -n") as raised:
            data.open("us-east-1", durability="full", workers=1, on_damage="stop")
    health = Health("us-east-1")
    assert health.failed(raised.value)
    assert health.status().problems == ("the server cannot open more files",)


def test_a_store_that_does_not_end_does_not_keep_the_node_from_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(regions_module, "STOP_S", 0.05)

    async def tell(node: Node) -> None:
        async def never() -> None:
            await asyncio.Event().wait()

        monkeypatch.setattr(node.region().engine, "close", never)

    run(tmp_path, tell)
    assert "the stores did not end" in caplog.text


def test_tables_with_replicas_in_unreachable_regions_are_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def before(node: Node) -> None:
        await make_table(node, "us-east-1")
        create = {"Create": {"RegionName": "eu-west-1"}}
        await call(node, "us-east-1", "UpdateTable", TableName="Things", ReplicaUpdates=[create])

    async def after(node: Node) -> None:
        (told,) = [record.getMessage() for record in caplog.records if "not replicated" in record.getMessage()]
        assert "us-east-1 are not replicated to eu-west-1" in told
        assert told.endswith("tables: Things")

    run(tmp_path, before, more_regions=["eu-west-1"])
    assert "not replicated" not in caplog.text
    run(tmp_path, after, only_regions=True)
