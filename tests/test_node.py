"""One node: its regions."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from atoll.clock import ManualClock, Stamp
from atoll.database import background, due
from atoll.database.region import Region
from atoll.errors import ApiError
from atoll.node import Config, Node
from atoll.storage.engine import Transaction
from atoll.storage.memory import MemoryEngine
from atoll.triggers.registry import Function, Registry
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


def test_a_region_that_is_opened_while_the_node_stops_does_not_keep_it_from_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    functions = Registry({"f": Function("f", tmp_path, command=("true",))}, {}, ())
    drain = Server.drain

    async def tell() -> None:
        node = Node(Config(data=None, port=0, functions=functions), ManualClock(START_MS))

        async def drain_a_last_request(server: Server) -> None:
            await call(node, "eu-west-1", "ListTables")
            await drain(server)

        monkeypatch.setattr(Server, "drain", drain_a_last_request)
        await node.start()
        await asyncio.wait_for(node.stop(), 30)
        assert node.regions.keys() == {"us-east-1", "eu-west-1"}

    asyncio.run(tell())


def test_stored_regions_go_on_by_themselves(tmp_path: Path) -> None:
    """Items expire in every region that has a store, also before anybody asks for it."""
    key = {"AttributeName": "pk", "KeyType": "HASH"}
    definition = {"AttributeName": "pk", "AttributeType": "S"}

    async def before() -> None:
        node = Node(Config(data=tmp_path, port=0), ManualClock(START_MS))
        await node.start()
        await call(
            node, "eu-west-1", "CreateTable", TableName="Things", KeySchema=[key], AttributeDefinitions=[definition],
            BillingMode="PAY_PER_REQUEST",
        )  # fmt: skip
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
def test_a_region_is_made_when_it_is_first_named(tmp_path: Path, name: str) -> None:
    async def tell() -> None:
        node = Node(Config(data=tmp_path, port=0), ManualClock(START_MS))
        await node.start()
        assert await call(node, name, "ListTables") == {"TableNames": []}
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


def test_a_copy_of_a_store_is_no_region(tmp_path: Path) -> None:
    """Whoever copied us-east-1 to us-east-1.bak could not start the server again."""
    (tmp_path / "us-east-1.bak").mkdir()
    (tmp_path / "us-east-1.bak" / "atoll.db").touch()

    async def started() -> set[str]:
        node = Node(Config(data=tmp_path, port=0), ManualClock(START_MS))
        await node.start()
        regions = set(node.regions)
        await node.stop()
        return regions

    assert asyncio.run(started()) == {"us-east-1"}
