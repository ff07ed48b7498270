"""A region in memory, a clock that the test moves, and functions that are plain Python in this process."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from atoll.api import functions as api
from atoll.clock import ManualClock
from atoll.database import background
from atoll.database.log import maintenance
from atoll.database.region import Region, Settings
from atoll.storage.memory import MemoryEngine
from atoll.triggers.batches import BatchOutcome
from atoll.triggers.functions import Functions
from atoll.triggers.poller import Triggers
from atoll.triggers.registry import Destination, Function, Registry, Trigger
from tests import desk
from tests.engines import findings

START_MS = 1_800_000_000_000

Event = dict[str, Any]
Behaviour = Callable[[Event], Any]


class PlainFunctions(Functions):
    """`behaviours[name](event)` stands in for a function: it returns the response, or raises. A gate, if there is one,
    holds invocations until it is set."""

    def __init__(self, registry: Registry, region: Region) -> None:
        super().__init__(registry, region)
        self.behaviours: dict[str, Behaviour] = defaultdict(lambda: lambda event: None)
        self.events: dict[str, list[Any]] = defaultdict(list)
        self.gate: asyncio.Event | None = None

    async def invoke(self, function: Function, event: bytes, request_id: str) -> BatchOutcome:
        if self.gate is not None:
            await self.gate.wait()
        parsed = orjson.loads(event)
        self.events[function.name].append(parsed)
        try:
            return BatchOutcome(orjson.dumps(self.behaviours[function.name](parsed)))
        except Exception as error:
            return BatchOutcome(orjson.dumps({"errorMessage": str(error)}), "Unhandled")

    def given(self, name: str = "f") -> list[str]:
        """The partition keys of all records that the function was given."""
        return [key(r) for event in self.events[name] for r in event.get("Records", ())]


def key(record: dict[str, Any]) -> str:
    return str(record["dynamodb"]["Keys"]["pk"]["S"])


class World:
    def __init__(self, directory: Path, triggers: tuple[Trigger, ...] = ()) -> None:
        self.clock = ManualClock(START_MS)
        self.region = Region("us-east-1", MemoryEngine(), self.clock, Settings())
        names = ("f", "g")
        self.registry = Registry(
            {name: Function(name, directory, python="none:none") for name in names},
            {"failures": Destination("failures", directory / "failures")},
            triggers,
        )
        self.functions = PlainFunctions(self.registry, self.region)
        self.triggers = Triggers(self.region, self.functions)

    def restart(self) -> None:
        """As after a crash: what was only in memory is gone."""
        self.region.catalog.forget()
        behaviours = self.functions.behaviours
        self.functions = PlainFunctions(self.registry, self.region)
        self.functions.behaviours = behaviours
        self.triggers = Triggers(self.region, self.functions)

    async def request(self, operation: str, service: str = "DynamoDB_20120810", **body: Any) -> Any:
        answer = await desk.call(self.region, operation, orjson.loads(orjson.dumps(body)), service)
        return orjson.loads(orjson.dumps(answer))

    async def table(self, name: str = "users", view: str = "NEW_AND_OLD_IMAGES", *, stream: bool = True) -> str:
        """Make a table of one shard; returns the ARN of its stream."""
        settings: dict[str, Any] = {}
        if stream:
            settings["StreamSpecification"] = {"StreamEnabled": True, "StreamViewType": view}
        description = await self.request(
            "CreateTable",
            TableName=name,
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
            ProvisionedThroughput={"ReadCapacityUnits": 5, "WriteCapacityUnits": 5},
            **settings,
        )
        return str(description["TableDescription"].get("LatestStreamArn", ""))

    async def put(self, *keys: str, table: str = "users", **attributes: Any) -> None:
        for one in keys:
            await self.request("PutItem", TableName=table, Item={"pk": {"S": one}, **attributes})

    async def map(self, arn: str, function: str = "f", **members: Any) -> str:
        body = {"EventSourceArn": arn, "FunctionName": function, "StartingPosition": "TRIM_HORIZON", **members}
        answer = await api.create_event_source_mapping(self.triggers, body)
        assert isinstance(answer, dict)
        return str(answer["UUID"])

    async def split(self, table: str = "users") -> None:
        await self.region.transact(lambda tx: maintenance.force_split(tx, self.region, table, self.clock.now_ms()))

    async def rotate(self, table: str = "users") -> None:
        await self.region.transact(lambda tx: maintenance.force_rotate(tx, self.region, table, self.clock.now_ms()))

    async def advance(self, ms: int) -> None:
        """Let time pass, stopping whenever something is due."""
        until_ms = self.clock.now_ms() + ms
        while True:
            due = [await background.run(self.region), await self.triggers.settle()]
            due_ms = min((d for d in due if d is not None), default=until_ms)
            if self.clock.now_ms() >= until_ms:
                return
            self.clock.set(max(self.clock.now_ms() + 1, min(due_ms, until_ms)))

    def story(self, tell: Callable[[], Awaitable[None]]) -> None:
        asyncio.run(asyncio.wait_for(_awaited(tell), 30))


async def _awaited(tell: Callable[[], Awaitable[None]]) -> None:
    await tell()


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path)
    yield world
    assert not findings(world.region)


@pytest.fixture
def worlds(tmp_path: Path) -> Iterator[Callable[..., World]]:
    """Worlds whose file declares triggers."""
    made: list[World] = []

    def make(*triggers: Trigger) -> World:
        made.append(World(tmp_path, triggers))
        return made[-1]

    yield make
    assert not any(findings(world.region) for world in made)
