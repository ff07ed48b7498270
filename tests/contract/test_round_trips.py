"""The number of round trips that an operation may take over a network, with a warm catalog. The database works over any
engine, so this is part of its contract with them."""

from __future__ import annotations

from typing import Any

import pytest

from atoll.api import items, multi, queries, tables
from atoll.database import background
from atoll.database import format as fmt
from atoll.storage.counting import CountingEngine
from atoll.storage.memory import MemoryEngine
from tests.database.conftest import ManualRegion
from tests.engines import finish

NAMES = ("One", "Two", "Three")

READ = 2
WRITE = 3
MANY = 4


class Measured(ManualRegion):
    """Tables with everything that a write maintains: a stream, TTL, a local index, two global ones of which one is
    being backfilled."""

    def __init__(self, *names: str) -> None:
        super().__init__(engine=CountingEngine(MemoryEngine(), ride_along=[fmt.GENERATION]))
        for name in names:
            self.create_full(name)

    def create_full(self, name: str) -> None:
        self.call(
            tables.create_table,
            TableName=name,
            BillingMode="PAY_PER_REQUEST",
            KeySchema=keys("pk", "sk"),
            AttributeDefinitions=types(pk="S", sk="N", l="N", g="S"),
            LocalSecondaryIndexes=[index("Local", "pk", "l")],
            GlobalSecondaryIndexes=[index("Global", "g")],
            StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
        )
        self.set_ttl(name)
        for number in range(30):
            self.call(items.put_item, TableName=name, Item=item(number))
        self.call(
            tables.update_table,
            TableName=name,
            AttributeDefinitions=types(h="S"),
            GlobalSecondaryIndexUpdates=[{"Create": index("Backfilled", "h")}],
        )
        assert self.get("p1", 1, table=name) == item(1)

    def trips(self, function: Any, **body: Any) -> int:
        """Those of an operation that succeeds, with a warm catalog."""
        engine = self.engine
        for _ in range(2):
            self.read(lambda snapshot: self.region.catalog.tables(snapshot))
        assert self.region.catalog.misses == 0
        engine.trips = 0
        self.call(function, **body)
        return engine.trips

    @property
    def engine(self) -> CountingEngine:
        assert isinstance(self.region.engine, CountingEngine)
        return self.region.engine


def keys(*names: str) -> list[Any]:
    return [{"AttributeName": n, "KeyType": kind} for n, kind in zip(names, ("HASH", "RANGE"), strict=False)]


def types(**attributes: str) -> list[Any]:
    return [{"AttributeName": name, "AttributeType": kind} for name, kind in attributes.items()]


def index(name: str, *attributes: str) -> Any:
    return {"IndexName": name, "KeySchema": keys(*attributes), "Projection": {"ProjectionType": "ALL"}}


def key(number: int) -> Any:
    return {"pk": {"S": f"p{number}"}, "sk": {"N": str(number)}}


def item(number: int, value: int = 0, expires: int = 2_000_000_000) -> Any:
    more = {"l": {"N": str(value)}, "g": {"S": f"g{value}"}, "h": {"S": f"h{value}"}, "expires": {"N": str(expires)}}
    return {**key(number), **more}


def table_of(number: int) -> str:
    return NAMES[number % len(NAMES)]


def update(number: int) -> Any:
    """Changes the keys of all indexes."""
    return {
        "Key": key(number),
        "UpdateExpression": "SET g = :s, h = :s, l = :n, expires = :later",
        "ExpressionAttributeValues": {":s": {"S": "new"}, ":n": {"N": "9"}, ":later": {"N": "2100000000"}},
    }


@pytest.fixture
def one() -> Measured:
    return Measured("One")


@pytest.fixture
def three() -> Measured:
    return Measured(*NAMES)


def test_get_item(one: Measured) -> None:
    assert one.trips(items.get_item, TableName="One", Key=key(1)) <= READ
    assert one.trips(items.get_item, TableName="One", Key=key(99)) <= READ


@pytest.mark.parametrize(
    ("attribute", "value", "more"),
    [("pk", "p1", {}), ("pk", "p1", {"IndexName": "Local"}), ("g", "g0", {"IndexName": "Global"})],
    ids=["table", "local", "global"],
)
def test_query(one: Measured, attribute: str, value: str, more: dict[str, str]) -> None:
    condition = {
        "KeyConditionExpression": f"{attribute} = :v",
        "ExpressionAttributeValues": {":v": {"S": value}},
    }
    assert one.trips(queries.query, TableName="One", **condition, **more) <= READ


WRITES: dict[str, tuple[Any, Any]] = {
    "put": (items.put_item, {"Item": item(99)}),
    "replace": (items.put_item, {"Item": item(1, 5)}),
    "unchanged": (items.put_item, {"Item": item(1)}),
    "update": (items.update_item, update(1)),
    "create by update": (items.update_item, update(99)),
    "delete": (items.delete_item, {"Key": key(1)}),
    "delete nothing": (items.delete_item, {"Key": key(99)}),
    "conditional put": (items.put_item, {"Item": item(1, 5), "ConditionExpression": "attribute_exists(pk)"}),
    "conditional update": (items.update_item, {**update(1), "ConditionExpression": "attribute_exists(pk)"}),
    "conditional delete": (items.delete_item, {"Key": key(1), "ConditionExpression": "attribute_exists(pk)"}),
}


@pytest.mark.parametrize("write", WRITES)
def test_single_write(one: Measured, write: str) -> None:
    function, body = WRITES[write]
    assert one.trips(function, TableName="One", **body) <= WRITE


def test_single_write_that_returns_everything(one: Measured) -> None:
    returned = {"ReturnValues": "ALL_OLD", "ReturnConsumedCapacity": "INDEXES", "ReturnItemCollectionMetrics": "SIZE"}
    assert one.trips(items.put_item, TableName="One", Item=item(1, 5), **returned) <= WRITE


def test_batch_get_item(three: Measured) -> None:
    requests = {name: {"Keys": [key(number) for number in range(33)]} for name in NAMES}
    assert three.trips(multi.batch_get_item, RequestItems=requests) <= MANY


def test_batch_write_item(three: Measured) -> None:
    requests: dict[str, list[Any]] = {name: [] for name in NAMES}
    for number in range(25):
        put = {"PutRequest": {"Item": item(number if number % 2 else number + 500, 5)}}
        delete = {"DeleteRequest": {"Key": key(number)}}
        requests[table_of(number)].append(delete if number % 4 == 0 else put)
    assert three.trips(multi.batch_write_item, RequestItems=requests) <= MANY


def test_transact_write_items(three: Measured) -> None:
    kinds: list[Any] = [
        lambda n: {"Put": {"TableName": table_of(n), "Item": item(n, 5)}},
        lambda n: {"Update": {"TableName": table_of(n), **update(n)}},
        lambda n: {"Delete": {"TableName": table_of(n), "Key": key(n)}},
        lambda n: {
            "ConditionCheck": {
                "TableName": table_of(n),
                "Key": key(n + 1000),
                "ConditionExpression": "attribute_not_exists(pk)",
            }
        },
    ]
    writes = [kinds[number % len(kinds)](number) for number in range(100)]
    assert three.trips(multi.transact_write_items, TransactItems=writes, ClientRequestToken="token") <= MANY


def test_transact_get_items(three: Measured) -> None:
    gets = [{"Get": {"TableName": table_of(number), "Key": key(number)}} for number in range(100)]
    assert three.trips(multi.transact_get_items, TransactItems=gets) <= MANY


def test_ttl_deletes_a_hundred_items(one: Measured) -> None:
    one.settle()
    over = one.clock.now_ms() // 1000 - 10
    for number in range(100, 200):
        one.call(items.put_item, TableName="One", Item=item(number, expires=over))
    one.read(lambda snapshot: one.region.catalog.tables(snapshot))
    one.engine.trips = 0
    one.settle()
    assert one.engine.trips <= MANY + 1  # and a look that finds nothing else due
    assert one.get("p100", 100, table="One") is None


@pytest.mark.parametrize("busy", [False, True], ids=["bare", "streams and ttl"])
def test_idle_steps_do_not_depend_on_the_number_of_tables(busy: bool) -> None:
    def idle(count: int) -> int:
        world = Measured()
        for number in range(count):
            name = f"Table{number}"
            world.create(name, view="KEYS_ONLY" if busy else None, units=None)
            if busy:
                world.set_ttl(name)
                world.put("p", table=name, expires={"N": "2000000000"})
        for _ in range(4):
            finish(background.run(world.region))
            world.read(lambda snapshot: world.region.catalog.tables(snapshot))
        assert world.region.catalog.misses == 0
        world.engine.trips = 0
        finish(background.run(world.region))
        return world.engine.trips

    assert idle(2) == idle(302)
