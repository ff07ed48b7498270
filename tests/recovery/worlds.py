"""A region whose tables are written at random, and a model that knows each of their states."""

from __future__ import annotations

import random
from typing import Any

import orjson

from atoll.clock import ManualClock
from atoll.database import background
from atoll.database.region import Region, Settings
from atoll.transfer.buckets import Memory
from atoll.transfer.runner import runner_of
from tests import desk
from tests.engines import fresh_engine

START_MS = 1_800_000_000_000
REGION = "us-east-1"
KEYS = {
    "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
    "AttributeDefinitions": [
        {"AttributeName": "pk", "AttributeType": "S"},
        {"AttributeName": "sk", "AttributeType": "N"},
        {"AttributeName": "g", "AttributeType": "S"},
        {"AttributeName": "l", "AttributeType": "N"},
    ],
    "GlobalSecondaryIndexes": [
        {
            "IndexName": "by-g",
            "KeySchema": [{"AttributeName": "g", "KeyType": "HASH"}],
            "Projection": {"ProjectionType": "ALL"},
        }
    ],
    "LocalSecondaryIndexes": [
        {
            "IndexName": "by-l",
            "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "l", "KeyType": "RANGE"}],
            "Projection": {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["v"]},
        }
    ],
}

Item = dict[str, Any]
State = dict[str, Item]
"""Items by their keys, as JSON."""


class World:
    def __init__(self, seed: int = 0, settings: Settings | None = None) -> None:
        self.rng = random.Random(seed)
        self.clock = ManualClock(START_MS)
        self.region = Region(REGION, fresh_engine(), self.clock, settings or Settings())
        self.buckets = Memory()
        self.runner = runner_of(self.region, self.buckets)
        self.items: State = {}
        self.states: list[tuple[int, State]] = []
        """After each change: its time, and the state since."""

    async def call(self, operation: str, **body: Any) -> Any:
        answer = await desk.call(self.region, operation, orjson.loads(orjson.dumps(body)))
        return orjson.loads(orjson.dumps(answer))

    async def create(self, name: str = "Things", **settings: Any) -> None:
        await self.call("CreateTable", TableName=name, BillingMode="PAY_PER_REQUEST", **KEYS, **settings)

    async def recover(self, name: str = "Things", **settings: Any) -> None:
        specification = {"PointInTimeRecoveryEnabled": True, **settings}
        await self.call("UpdateContinuousBackups", TableName=name, PointInTimeRecoverySpecification=specification)

    # Changes

    def _key(self) -> Item:
        return {"pk": {"S": f"p{self.rng.randrange(12)}"}, "sk": {"N": str(self.rng.randrange(4))}}

    def _item(self) -> Item:
        item = self._key() | {"v": {"N": str(self.rng.randrange(1_000_000))}}
        if self.rng.random() < 0.6:
            item["g"] = {"S": f"g{self.rng.randrange(3)}"}
        if self.rng.random() < 0.6:
            item["l"] = {"N": str(self.rng.randrange(5))}
        if self.rng.random() < 0.1:
            item["expires"] = {"N": str(self.clock.now_ms() // 1000 + self.rng.randrange(100_000))}
        return item

    async def change(self, name: str = "Things") -> None:
        """One request that changes one or more items."""
        kind = self.rng.randrange(10)
        if kind < 4:
            item = self._item()
            await self.call("PutItem", TableName=name, Item=item)
            self._put(item)
        elif kind < 6:
            key = self._key()
            await self.call("DeleteItem", TableName=name, Key=key)
            self.items = {name: item for name, item in self.items.items() if name != _name(key)}
        elif kind < 8:
            key = self._key()
            await self.call(
                "UpdateItem", TableName=name, Key=key, UpdateExpression="SET n = if_not_exists(n, :0) + :1",
                ExpressionAttributeValues={":0": {"N": "0"}, ":1": {"N": "1"}},
            )  # fmt: skip
            item = dict(self.items.get(_name(key), key))
            item["n"] = {"N": str(int(item.get("n", {"N": "0"})["N"]) + 1)}
            self._put(item)
        else:
            items = {_name(item): item for item in (self._item() for _ in range(5))}
            puts = [{"Put": {"TableName": name, "Item": item}} for item in items.values()]
            await self.call("TransactWriteItems", TransactItems=puts)
            for item in items.values():
                self._put(item)
        self.note()

    def _put(self, item: Item) -> None:
        self.items = self.items | {_name(item): item}

    def note(self) -> None:
        self.states.append((self.clock.now_ms(), self.items))

    async def pass_time(self, ms: int) -> None:
        self.clock.advance(ms)
        await background.run(self.region)

    def state_at(self, ms: int) -> State:
        found: State = {}
        for at_ms, state in self.states:
            if at_ms > ms:
                break
            found = state
        return found

    # Observations

    async def scan(self, name: str, index: str | None = None) -> State:
        found: State = {}
        start: dict[str, Any] = {}
        while True:
            chosen = {} if index is None else {"IndexName": index}
            page = await self.call("Scan", TableName=name, **chosen, **start)
            found |= {_name(item): item for item in page["Items"]}
            if "LastEvaluatedKey" not in page:
                return found
            start = {"ExclusiveStartKey": page["LastEvaluatedKey"]}

    async def status(self, name: str) -> str:
        status: str = (await self.call("DescribeTable", TableName=name))["Table"]["TableStatus"]
        return status


def _name(item: Item) -> str:
    return f"{item['pk']['S']} {item['sk']['N']}"
