"""Several regions in one process, without a server. Links between them can be cut."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import orjson

from atoll.clock import ManualClock
from atoll.database import background
from atoll.database import format as fmt
from atoll.database.region import Region, Settings
from atoll.database.schema import Table
from atoll.replication import answers, membership, steps
from atoll.replication.exchange import Delivery, LocalExchange, Unreachable
from atoll.replication.follower import Replication
from atoll.replication.messages import Message
from atoll.storage.engine import Transaction
from atoll.versions import Stamp
from tests import desk
from tests.engines import fresh_engine

START_MS = 1_800_000_000_000
KEYS = {
    "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
    "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
}


class Regions:
    """`call` runs an operation in a region; `settle` runs all work until nothing changes."""

    def __init__(self, *names: str) -> None:
        self.clock = ManualClock(START_MS)
        self.regions = {name: Region(name, fresh_engine(), self.clock, Settings(quotas=False)) for name in names}
        self._local = LocalExchange(answers.HANDLERS, self.regions.__getitem__, names)
        self.replication = {name: Replication(region, self) for name, region in self.regions.items()}
        self.cut: set[tuple[str, str]] = set()
        """Pairs of regions of which the first cannot ask the second."""

    async def ask(self, source: str, target: str, message: Message) -> Message:
        if (source, target) in self.cut:
            raise Unreachable("the link is cut")
        return await self._local.ask(source, target, message)

    async def deliver(self, source: str, target: str, message: Message) -> Delivery:
        return Delivery(await self.ask(source, target, message), 1)

    def isolate(self, name: str) -> None:
        for other in self.regions:
            self.cut |= {(name, other), (other, name)}

    def heal(self) -> None:
        self.cut.clear()

    def run(self, coroutine: Any) -> Any:
        return asyncio.run(coroutine)

    def call(self, name: str, operation: str, **body: Any) -> Any:
        async def ask() -> Any:
            return orjson.loads(orjson.dumps(await desk.call(self.regions[name], operation, body)))

        return self.run(ask())

    def write(self, name: str, function: Callable[[Transaction, Stamp], Any]) -> Any:
        return self.run(self.regions[name].write(function))

    def settle(self) -> None:
        async def settle() -> None:
            again = True
            while again:
                again = False
                for name, region in self.regions.items():
                    await background.run(region)
                    again = await self.replication[name].settle() or again

        self.run(settle())

    def question(self, name: str, other: str) -> Message | None:
        """The next question of a region's replica to another one."""
        region = self.regions[name]
        return self.run(region.read(lambda snapshot: steps.question(snapshot, region, "Things", other, 0)))

    def learn(self, name: str, other: str) -> None:
        """Ask another region once."""
        question = self.question(name, other)
        assert question is not None
        self.run(steps.take(self.regions[name], "Things", other, self.run(self.ask(name, other, question))))

    def replicate_all(self) -> None:
        """Read all changes everywhere, but run no other background work."""

        async def settle() -> None:
            while any([await replication.settle() for replication in self.replication.values()]):
                pass

        self.run(settle())

    def tombstones(self, name: str, table: str = "Things") -> list[bytes]:
        found = self.table(name, table)
        assert found is not None and found.tombstone_space is not None
        bounds = fmt.space_range(found.tombstone_space)
        return [key for key, _ in self.run(self.regions[name].read(lambda snapshot: list(snapshot.scan(*bounds))))]

    def create(self, name: str, table: str = "Things") -> None:
        self.call(name, "CreateTable", TableName=table, BillingMode="PAY_PER_REQUEST", **KEYS)

    def replicate(self, first: str, *others: str, kind: str, table: str = "Things") -> None:
        """Make the table of one region a replica, and add others."""

        def begin(tx: Transaction, stamp: Stamp) -> None:
            found = self.regions[first].catalog.find(tx, table)
            assert found is not None
            replica = membership.create_group(tx, self.regions[first], stamp, found, "group", kind)
            for other in others:
                replica = membership.invite(tx, stamp, replica, other)

        self.write(first, begin)
        self.settle()

    def table(self, name: str, table: str = "Things") -> Table | None:
        return self.run(self.regions[name].read(lambda snapshot: self.regions[name].catalog.find(snapshot, table)))

    def put(self, name: str, pk: str, value: str) -> None:
        self.call(name, "PutItem", TableName="Things", Item={"pk": {"S": pk}, "value": {"S": value}})

    def values(self, name: str) -> dict[str, str]:
        items = self.call(name, "Scan", TableName="Things")["Items"]
        return {item["pk"]["S"]: item["value"]["S"] for item in items}

    def rows(self, name: str) -> list[Any]:
        """The items with their versions, without the number of the space."""
        table = self.table(name)
        assert table is not None
        bounds = fmt.space_range(table.space)
        found = self.run(self.regions[name].read(lambda snapshot: list(snapshot.scan(*bounds))))
        return [(fmt.in_space(key), row) for key, row in found]
