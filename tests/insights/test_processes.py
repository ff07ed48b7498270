"""Several processes see one table: here, several regions on one store. A restart is a new region on the old store."""

from __future__ import annotations

import asyncio
from typing import Any

from atoll.clock import ManualClock
from atoll.database import documents
from atoll.database.region import Region
from atoll.insights import minutes, reports, settings
from atoll.insights.observing import Insights
from atoll.insights.upkeep import InsightsUpkeep
from atoll.storage.memory import MemoryEngine
from tests import desk

START_MS = 1_800_000_000_000
MINUTE_MS = 60_000


class Processes:
    """Regions on one store, with one clock."""

    def __init__(self, count: int) -> None:
        self.clock = ManualClock(START_MS)
        self.engine = MemoryEngine()
        self.regions = [self.start() for _ in range(count)]

    def start(self) -> Region:
        return Region("us-east-1", self.engine, self.clock)

    def request(self, process: int, operation: str, **body: Any) -> Any:
        return asyncio.run(desk.call(self.regions[process], operation, body))

    def settle(self) -> None:
        for region in self.regions:
            asyncio.run(region.state(Insights).settle())

    def create(self) -> None:
        self.request(
            0, "CreateTable", TableName="Things", BillingMode="PAY_PER_REQUEST",
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        )  # fmt: skip

    def switch(self, action: str) -> None:
        self.request(0, "UpdateContributorInsights", TableName="Things", ContributorInsightsAction=action)

    def put(self, process: int, pk: str) -> None:
        self.request(process, "PutItem", TableName="Things", Item={"pk": {"S": pk}})

    def accessed(self, process: int) -> list[tuple[str, float]]:
        end_ms = self.clock.now_ms() + 1
        found = asyncio.run(reports.overview(self.regions[process], "Things", START_MS - MINUTE_MS, end_ms, 10))
        return [(row["key"]["pk"]["S"], row["units"]) for one in found for row in one["accessed"]]

    def stored(self, kind: str) -> int:
        """The number of documents of a kind."""
        return len(asyncio.run(self.engine.read(lambda snapshot: list(documents.listed(snapshot, kind)))))


def test_another_process_learns_of_it_and_adds_to_the_same_minute() -> None:
    world = Processes(2)
    world.create()
    world.switch("ENABLE")
    world.put(1, "unseen")
    world.settle()
    for process, pk in ((0, "a"), (1, "a"), (1, "b")):
        world.put(process, pk)
    world.clock.advance(MINUTE_MS)
    world.settle()
    assert world.accessed(0) == world.accessed(1) == [("a", 6), ("b", 3)]
    assert world.stored(minutes.KIND) == 1
    world.switch("DISABLE")
    world.settle()
    assert world.regions[1].observer is None
    assert world.regions[1].key_ranges is None


def test_a_restart_keeps_settings_and_minutes() -> None:
    world = Processes(1)
    world.create()
    world.switch("ENABLE")
    world.put(0, "a")
    asyncio.run(world.regions[0].state(Insights).flush())  # as the end of a process does
    world.regions[0] = world.start()
    world.settle()
    world.put(0, "b")
    assert world.accessed(0) == [("a", 3), ("b", 3)]


def test_nothing_is_left_of_a_deleted_table() -> None:
    world = Processes(1)
    world.create()
    world.switch("ENABLE")
    for _ in range(5):
        world.put(0, "a")
        world.clock.advance(MINUTE_MS)
        world.settle()
    assert world.stored(minutes.KIND) == 5
    world.request(0, "DeleteTable", TableName="Things")
    world.create()
    world.settle()
    asyncio.run(InsightsUpkeep(world.regions[0]).settle(world.clock.now_ms()))
    assert world.stored(minutes.KIND) == world.stored(settings.KIND) == 0
    assert world.regions[0].observer is None


def test_stored_insights_of_a_table_are_bounded() -> None:
    world = Processes(1)
    world.create()
    world.switch("ENABLE")
    for number in range(3_000):
        world.put(0, str(number))
    (part,) = world.regions[0].state(Insights)._parts.values()
    assert all(len(sketch.weights) < 1_100 for sketch in part.sketches.values())
    assert len(part.examples) <= 4_100
    for _ in range(200):
        world.clock.advance(MINUTE_MS)
        world.settle()
        world.put(0, "a")
    world.clock.advance(MINUTE_MS)
    world.settle()
    assert world.stored(minutes.KIND) == 181
