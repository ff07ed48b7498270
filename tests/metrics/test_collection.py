"""From the operations of a server to the datapoints of its metrics."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest

from atoll.database.region import Region
from atoll.metrics.reading import datapoints
from atoll.metrics.series import MINUTE_MS, Datapoint, Metric
from atoll.testing import LocalServer, serve

START = 1_800_000_000_000  # the start of a minute
KEY = {"pk": {"S": "a"}}


@pytest.fixture
def server() -> Iterator[LocalServer]:
    with serve() as server:
        server.clock.set(START / 1_000)
        yield server


def of(server: LocalServer, name: str, period_s: int = 60, **dimensions: str) -> list[Datapoint]:
    metric = Metric("AWS/DynamoDB", name, tuple(sorted(dimensions.items())))
    region: Region = server._node.region()

    async def read() -> list[Datapoint]:
        return await datapoints(region, metric, period_s, START - 60 * MINUTE_MS, START + 60 * MINUTE_MS)

    return server._do(read())


def test_units_count_in_the_minute_in_which_they_were_consumed(server: LocalServer) -> None:
    table = server.resource().create_table(
        TableName="Things",
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    table.put_item(Item={"pk": "a", "b": "x" * 3000})
    server.clock.advance(timedelta(minutes=2, seconds=30))
    table.put_item(Item={"pk": "a"})
    table.put_item(Item={"pk": "b"})
    found = of(server, "ConsumedWriteCapacityUnits", TableName="Things")
    assert [(one.time_ms - START, one.sum, one.count, one.minimum, one.maximum) for one in found] == [
        (0, 3, 1, 3, 3),
        (2 * MINUTE_MS, 4, 2, 1, 3),
    ]
