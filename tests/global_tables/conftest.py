"""Several regions in one process, without sockets or background tasks: `settle` does the due work of all regions."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import orjson
import pytest

from atoll import errors
from atoll.clock import ManualClock
from atoll.database import background
from atoll.database.region import Region, Settings
from atoll.replication import answers
from atoll.replication.checked import CheckedAnswers
from atoll.replication.exchange import Delivery, LocalExchange, Neighbourhood, Unreachable
from atoll.replication.follower import Replication
from atoll.replication.messages import Message, dump, load
from tests import desk
from tests.engines import findings, fresh_engine

START_MS = 1_800_000_000_000
US, EU, AP = NAMES = ("us-east-1", "eu-west-1", "ap-south-1")


class Wires:
    """An exchange that encodes every message. It reaches no region that is `down`. One that is `mad` has one answer."""

    def __init__(self, local: LocalExchange) -> None:
        self._local = local
        self.down: set[str] = set()
        self.mad: dict[str, Message] = {}

    async def ask(self, source: str, target: str, message: Message) -> Message:
        if {source, target} & self.down:
            raise Unreachable(f"{target} is down")
        if target in self.mad:
            return self.mad[target]
        return load(dump(await self._local.ask(source, target, load(dump(message)))))

    async def deliver(self, source: str, target: str, message: Message) -> Delivery:
        return Delivery(await self.ask(source, target, message), 1)


class World:
    def __init__(self, settings: Settings) -> None:
        self.clock = ManualClock(START_MS)
        self.regions = {name: Region(name, fresh_engine(), self.clock, settings) for name in NAMES}
        self.wires = Wires(LocalExchange(answers.HANDLERS, self.regions.__getitem__, NAMES))
        self.replications = {name: Replication(region, self.wires) for name, region in self.regions.items()}
        for region in self.regions.values():
            region.neighbours = Neighbourhood(
                CheckedAnswers(self.wires, self.regions.__getitem__), self.regions.__contains__
            )

    def request(self, region: str, operation: str, target: str = "DynamoDB_20120810", **body: Any) -> Any:
        body = orjson.loads(orjson.dumps(body))
        answer = orjson.dumps(asyncio.run(desk.call(self.regions[region], operation, body, target)))
        return orjson.loads(answer) if answer else None

    def refused(self, region: str, operation: str, **body: Any) -> errors.ApiError:
        with pytest.raises(errors.ApiError) as caught:
            self.request(region, operation, **body)
        return caught.value

    def settle(self, *regions: str) -> None:
        """Run background work and replication until nothing changes; of these regions only, if any are named."""
        asyncio.run(self._settle(regions or NAMES))

    async def _settle(self, names: tuple[str, ...]) -> None:
        idle = 0
        for _ in range(50):
            done = False
            for name in names:
                await background.run(self.regions[name])
                done = await self.replications[name].settle() or done
            # What a question tells is not counted as done, nor are jobs that it makes due.
            idle = 0 if done else idle + 1
            if idle == 3:
                return
        raise AssertionError("it does not settle")

    def step(self, region: str) -> None:
        """Run the background work that is due in one region, then its replication once."""

        async def run() -> None:
            await background.run(self.regions[region])
            await self.replications[region].settle()

        asyncio.run(run())

    def advance(self, ms: int) -> None:
        self.clock.advance(ms)
        self.settle()

    # Tables

    def table(self, region: str = US, name: str = "Things", **more: Any) -> None:
        """An on-demand table with the partition key `pk`."""
        keys = [{"AttributeName": "pk", "KeyType": "HASH"}]
        types = {"pk": "S", **more.pop("types", {})}
        definitions = [{"AttributeName": n, "AttributeType": t} for n, t in types.items()]
        body = {"TableName": name, "KeySchema": keys, "AttributeDefinitions": definitions, **more}
        self.request(region, "CreateTable", **{"BillingMode": "PAY_PER_REQUEST", **body})

    def add(self, target: str, region: str = US, name: str = "Things", **more: Any) -> Any:
        return self.change(region, name, Create={"RegionName": target, **more})

    def remove(self, target: str, region: str = US, name: str = "Things") -> Any:
        return self.change(region, name, Delete={"RegionName": target})

    def change(self, region: str, name: str = "Things", **action: Any) -> Any:
        return self.request(region, "UpdateTable", TableName=name, ReplicaUpdates=[action])

    def update(self, region: str, **body: Any) -> Any:
        return self.request(region, "UpdateTable", TableName="Things", **body)

    def describe(self, region: str, name: str = "Things") -> Any:
        return self.request(region, "DescribeTable", TableName=name)["Table"]

    def replicas(self, region: str, name: str = "Things") -> dict[str, str]:
        """The states of the others, as the region describes them."""
        return {one["RegionName"]: one["ReplicaStatus"] for one in self.describe(region, name).get("Replicas", [])}

    def global_table(self, *regions: str, **more: Any) -> None:
        """A table in the first region, with replicas in the others."""
        self.table(regions[0], **more)
        for region in regions[1:]:
            self.add(region, regions[0])
            self.settle()

    # Items

    def put(self, region: str, pk: str, name: str = "Things", **attributes: Any) -> None:
        self.request(region, "PutItem", TableName=name, Item={"pk": {"S": pk}, **attributes})

    def delete(self, region: str, pk: str, name: str = "Things") -> None:
        self.request(region, "DeleteItem", TableName=name, Key={"pk": {"S": pk}})

    def items(self, region: str, name: str = "Things", **more: Any) -> dict[str, Any]:
        """By partition key, without it."""
        found = self.request(region, "Scan", TableName=name, **more)["Items"]
        return {item.pop("pk")["S"]: item for item in found}

    def records(self, region: str, name: str = "Things") -> list[Any]:
        """All records of the table's stream."""
        of_streams = "DynamoDBStreams_20120810"
        arn = self.describe(region, name)["LatestStreamArn"]
        shards = self.request(region, "DescribeStream", of_streams, StreamArn=arn)["StreamDescription"]["Shards"]
        found: list[Any] = []
        for shard in shards:
            iterator = self.request(
                region, "GetShardIterator", of_streams,
                StreamArn=arn, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON",
            )["ShardIterator"]  # fmt: skip
            found += self.request(region, "GetRecords", of_streams, ShardIterator=iterator)["Records"]
        return found


def administer(world: World, operation: Any, **body: Any) -> Any:
    """The answer of an operation of the administration."""
    links = SimpleNamespace(regions=list(world.regions), progress=lambda *regions: [])
    server = SimpleNamespace(region=world.regions.__getitem__, links=links)
    return asyncio.run(operation(server, body))


def _world(settings: Settings) -> Iterator[World]:
    world = World(settings)
    yield world
    for region in world.regions.values():
        assert not findings(region)


@pytest.fixture
def world() -> Iterator[World]:
    yield from _world(Settings())


@pytest.fixture
def slow_world() -> Iterator[World]:
    """Changes of tables take ten seconds."""
    yield from _world(Settings(control_plane_delay_ms=10_000))
