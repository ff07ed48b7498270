"""A replica's throughput changes in another region: its buckets save at the old rate until then."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from atoll import testing
from atoll.testing.local import LocalServer

US, EU = "us-east-1", "eu-west-1"
TABLE = "Orders"
ONCE = Config(retries={"total_max_attempts": 1})
WAITED = 100

Use = Callable[[Any], Any]


def maxima(units: int) -> dict[str, int]:
    return {"MaxReadRequestUnits": units, "MaxWriteRequestUnits": units}


def write(client: Any) -> None:
    client.put_item(TableName=TABLE, Item={"pk": {"S": "a"}})


def read(client: Any) -> None:
    client.get_item(TableName=TABLE, Key={"pk": {"S": "a"}}, ConsistentRead=True)


NUMBERS = count()


def write_entry(client: Any) -> None:
    """Write an item whose index entry is new: one unit of the index."""
    client.put_item(TableName=TABLE, Item={"pk": {"S": str(next(NUMBERS))}, "g": {"S": "g"}})


def admitted(client: Any, use: Use) -> int:
    """How many requests are admitted until one is throttled."""
    for number in range(5_000):
        try:
            use(client)
        except ClientError as error:
            assert error.response["Error"]["Code"] == "ThrottlingException"
            return number
    raise AssertionError("not throttled")


@pytest.fixture
def server() -> Iterator[LocalServer]:
    with testing.serve(regions=[US, EU], throttling="on") as running:
        home = running.client(region_name=US)
        keys = [{"AttributeName": "pk", "KeyType": "HASH"}]
        index = {
            "IndexName": "by-g",
            "KeySchema": [{"AttributeName": "g", "KeyType": "HASH"}],
            "Projection": {"ProjectionType": "KEYS_ONLY"},
            "OnDemandThroughput": maxima(3),
        }
        home.create_table(
            TableName=TABLE,
            KeySchema=keys,
            AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "g")],
            BillingMode="PAY_PER_REQUEST",
            OnDemandThroughput=maxima(4),
            GlobalSecondaryIndexes=[index],
        )
        home.update_table(TableName=TABLE, ReplicaUpdates=[{"Create": {"RegionName": EU}}])
        running.settle()
        yield running


def of_all(units: int) -> dict[str, Any]:
    return {"OnDemandThroughput": maxima(units)}


def of_index(units: int) -> dict[str, Any]:
    update = {"IndexName": "by-g", "OnDemandThroughput": maxima(units)}
    return {"GlobalSecondaryIndexUpdates": [{"Update": update}]}


def of_replica(units: int) -> dict[str, Any]:
    override = {"MaxReadRequestUnits": units}
    return {"ReplicaUpdates": [{"Update": {"RegionName": EU, "OnDemandThroughputOverride": override}}]}


@pytest.mark.parametrize("factor", [10, 0.25])
@pytest.mark.parametrize(
    ("use", "rate", "change", "by"),
    [
        (write, 4, of_all, US),
        (read, 4, of_all, US),
        (write_entry, 3, of_index, US),
        (read, 4, of_replica, US),
        (read, 4, of_replica, EU),
    ],
)
def test_a_bucket_saves_at_the_old_rate_until_the_new_one_arrives(
    server: LocalServer, use: Use, rate: int, change: Callable[[int], dict[str, Any]], by: str, factor: float
) -> None:
    client = server.client(region_name=EU, config=ONCE)
    assert admitted(client, use) == 300 * rate
    server.clock.advance(WAITED)
    new = max(1, int(rate * factor))
    server.client(region_name=by).update_table(TableName=TABLE, **change(new))
    server.settle()
    assert admitted(client, use) == min(WAITED * rate, 300 * new)
    server.clock.advance(1)
    assert admitted(client, use) == new
