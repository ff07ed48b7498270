"""The budgets of round trips on tables that have everything at once: replicas with tombstones, a vector index, a point
in time to restore to, a Kinesis stream, contributor insights, throttling of partition keys."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

pytest.importorskip("numpy")

from atoll.api.partiql.statement import execute_statement
from atoll.capacity.buckets import LocalBuckets
from atoll.capacity.key_ranges import KeyRanges
from atoll.database import background
from atoll.database import format as fmt
from atoll.database.region import Settings
from atoll.storage.counting import CountingEngine
from atoll.storage.memory import MemoryEngine
from tests.contract.test_round_trips import (
    MANY,
    NAMES,
    READ,
    WRITE,
    Measured,
    index,
    item,
    key,
    keys,
    table_of,
    types,
    update,
)
from tests.database.conftest import ManualRegion
from tests.global_tables.conftest import EU, US, World

VECTORS = {
    "IndexName": "near",
    "VectorAttribute": {"AttributeName": "embedding"},
    "Projection": {"ProjectionType": "ALL"},
    "Dimensions": 3,
    "DistanceFunction": "EUCLIDEAN",
}
EXISTS = {"ConditionExpression": "attribute_exists(pk)"}
EVERYTHING = {"ReturnConsumedCapacity": "INDEXES", "ReturnItemCollectionMetrics": "SIZE"}


def note(number: int, value: int = 0, expires: int = 2_000_000_000) -> Any:
    return {**item(number, value, expires), "embedding": {"L": [{"N": str(n)} for n in (1, value, 3)]}}


class Full(World):
    def __init__(self) -> None:
        super().__init__(Settings())
        self.region = self.regions[US]
        self.engine = CountingEngine(MemoryEngine(), ride_along=[fmt.GENERATION])
        self.region.engine = self.engine
        self.region.buckets = LocalBuckets(self.clock)
        self.region.key_ranges = KeyRanges(self.clock)
        for name in NAMES:
            self.create(name)

    def create(self, name: str) -> None:
        indexes: Any = {
            "LocalSecondaryIndexes": [{**index("Local", "pk", "l"), "Projection": {"ProjectionType": "KEYS_ONLY"}}],
            "GlobalSecondaryIndexes": [index("Global", "g"), index("Other", "h")],
            "VectorIndexes": [VECTORS],
        }
        self.request(
            US, "CreateTable", TableName=name, BillingMode="PAY_PER_REQUEST", KeySchema=keys("pk", "sk"),
            AttributeDefinitions=types(pk="S", sk="N", l="N", g="S", h="S"),
            StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}, **indexes,
        )  # fmt: skip
        expires = {"Enabled": True, "AttributeName": "expires"}
        self.request(US, "UpdateTimeToLive", TableName=name, TimeToLiveSpecification=expires)
        self.settle()
        self.add(EU, name=name)
        self.settle()
        enabled = {"PointInTimeRecoveryEnabled": True}
        self.request(US, "UpdateContinuousBackups", TableName=name, PointInTimeRecoverySpecification=enabled)
        stream = "arn:aws:kinesis:us-east-1:000000000000:stream/changes"
        self.request(US, "EnableKinesisStreamingDestination", TableName=name, StreamArn=stream)
        self.request(US, "UpdateContributorInsights", TableName=name, ContributorInsightsAction="ENABLE")
        for number in range(12):
            self.request(US, "PutItem", TableName=name, Item=note(number))
        self.settle()

    def trips(self, operation: str, **body: Any) -> int:
        """Those of an operation that succeeds, with a warm catalog."""
        for _ in range(2):
            asyncio.run(self.region.read(lambda snapshot: self.region.catalog.tables(snapshot)))
        assert self.region.catalog.misses == 0
        self.engine.trips = 0
        self.request(US, operation, **body)
        return self.engine.trips


@pytest.fixture(scope="module")
def full() -> Full:
    world = Full()
    table = asyncio.run(world.region.read(lambda snapshot: world.region.catalog.find(snapshot, "One")))
    assert table is not None
    assert (table.tombstone_space, table.group, table.recovery, table.ttl) != (None, None, None, None)
    assert len(table.indexes) == 3 and table.vector_indexes and table.destinations and table.stream
    return world


def test_reads(full: Full) -> None:
    assert full.trips("GetItem", TableName="One", Key=key(1), ConsistentRead=True) <= READ
    of_p1 = {"KeyConditionExpression": "pk = :v", "ExpressionAttributeValues": {":v": {"S": "p1"}}}
    for more in ({}, {"IndexName": "Local"}, {"IndexName": "Local", "Select": "ALL_ATTRIBUTES"}):
        assert full.trips("Query", TableName="One", **of_p1, **more) <= READ
    assert full.trips("Scan", TableName="One", IndexName="Global") <= READ
    assert full.trips("ExecuteStatement", Statement="SELECT * FROM One WHERE pk = 'p1'") <= READ
    assert full.trips("BatchGetItem", RequestItems={n: {"Keys": [key(i) for i in range(33)]} for n in NAMES}) <= MANY
    gets = [{"Get": {"TableName": table_of(n), "Key": key(n)}} for n in range(100)]
    assert full.trips("TransactGetItems", TransactItems=gets) <= MANY
    reads = [{"Statement": f"SELECT * FROM {table_of(n)} WHERE pk = 'p{n}' AND sk = {n}"} for n in range(25)]
    assert full.trips("BatchExecuteStatement", Statements=reads) <= MANY


def test_single_writes(full: Full) -> None:
    for body in (
        {"Item": note(50)},
        {"Item": note(1, 5)},
        {"Item": note(1, 6), **EXISTS},
        {"Item": note(2), **EVERYTHING},
    ):
        assert full.trips("PutItem", TableName="One", **body) <= WRITE
    for number in (1, 51):
        assert full.trips("UpdateItem", TableName="One", **update(number)) <= WRITE
    for _ in range(2):
        assert full.trips("DeleteItem", TableName="One", Key=key(3), **EVERYTHING) <= WRITE
    assert full.trips("PutItem", TableName="One", Item=note(3)) <= WRITE  # it has left a tombstone
    full.clock.advance(5_000)
    assert full.trips("PutItem", TableName="One", Item=note(4, 1)) <= WRITE  # it stores the greatest time
    assert full.trips("ExecuteStatement", Statement="INSERT INTO One VALUE {'pk': 'new', 'sk': 1, 'g': 'a'}") <= WRITE


def test_many_writes(full: Full) -> None:
    requests: dict[str, list[Any]] = {name: [] for name in NAMES}
    for number in range(25):
        put, delete = {"PutRequest": {"Item": note(number, 7)}}, {"DeleteRequest": {"Key": key(number)}}
        requests[table_of(number)].append(delete if number % 4 == 0 else put)
    assert full.trips("BatchWriteItem", RequestItems=requests, **EVERYTHING) <= MANY
    actions: list[Any] = []
    for number in range(99):
        name = table_of(number)
        actions.append([
            {"Put": {"TableName": name, "Item": note(number, 8)}},
            {"Update": {"TableName": name, **update(number)}},
            {"Delete": {"TableName": name, "Key": key(number)}},
        ][number // 3 % 3])  # fmt: skip
    for _ in range(2):  # the second time, the token is known
        assert full.trips("TransactWriteItems", TransactItems=actions, ClientRequestToken="t", **EVERYTHING) <= MANY
    inserts = [
        {"Statement": f"INSERT INTO {table_of(n)} VALUE {{'pk': 'b{n}', 'sk': 1, 'g': 'x'}}"} for n in range(100)
    ]
    assert full.trips("ExecuteTransaction", TransactStatements=inserts) <= MANY


def test_the_statements_of_a_batch_do_not_wait_for_each_other(full: Full) -> None:
    """Each has a transaction of its own. They are sent together, and a networked engine commits them together."""
    inserts = [{"Statement": f"INSERT INTO {table_of(n)} VALUE {{'pk': 'c{n}', 'sk': 1, 'g': 'x'}}"} for n in range(25)]
    assert full.trips("BatchExecuteStatement", Statements=inserts) <= 1 + len(inserts) * (WRITE - 1)


def test_time_to_live_and_idle_work(full: Full) -> None:
    over = full.clock.now_ms() // 1000 - 10
    for number in range(200, 300):
        full.request(US, "PutItem", TableName="One", Item=note(number, expires=over))
    asyncio.run(full.region.read(lambda snapshot: full.region.catalog.tables(snapshot)))
    full.engine.trips = 0
    asyncio.run(background.run(full.region))
    assert full.engine.trips <= MANY + 1
    assert "Item" not in full.request(US, "GetItem", TableName="One", Key=key(200))
    full.engine.trips = 0
    asyncio.run(background.run(full.region))
    assert full.engine.trips == 1


KEYS_OF_STATEMENTS = {
    "all": "pk IN ['p5', 'p1', 'p7', 'nothing'] AND sk IN [5, 1, 7, 9]",
    "one sort key": "pk IN ['p5', 'p1', 'p7'] AND sk = 1",
    "sorted": "pk IN ['p5', 'p1', 'p7'] AND sk >= 0 AND sk = 7 ORDER BY pk DESC, sk DESC",
    "contradiction": "pk IN ['p5', 'p1'] AND sk > 5 AND sk = 5",
}


@pytest.mark.parametrize("name", KEYS_OF_STATEMENTS)
def test_items_that_a_statement_names_by_their_keys_are_read_together(name: str) -> None:
    """And in the same pages as on an engine that is not behind a network."""
    near, far = ManualRegion(engine=MemoryEngine()), Measured()
    for world in (near, far):
        world.create(view=None)
        for number in range(10):
            world.put(f"p{number}", number, text={"S": "x" * 100_000 * (number % 4)})
    statement = f"SELECT * FROM Things WHERE {KEYS_OF_STATEMENTS[name]}"
    for limit in (1, 2, 10):
        token: dict[str, str] = {}
        while True:
            body = {"Statement": statement, "Limit": limit, **token}
            expected = near.call(execute_statement, **body)
            assert far.call(execute_statement, **body) == expected
            if "NextToken" not in expected:
                break
            token = {"NextToken": expected["NextToken"]}
    if "sk =" in statement:
        assert far.trips(execute_statement, Statement=statement) <= READ
