"""The space that the parts of a store take: estimates compared with true sizes."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from atoll.config import Config
from atoll.database import footprint
from atoll.database import format as fmt
from atoll.database.footprint import ROW_BYTES, Amount, Footprint
from atoll.database.region import Region, Settings
from atoll.testing.local import LocalServer

ITEMS = 1_500
INDEX = {"IndexName": "by-g", "KeySchema": [{"AttributeName": "g", "KeyType": "HASH"}]}


@pytest.fixture
def server(tmp_path: Path) -> Any:
    with LocalServer(Config(port=0, data=tmp_path, settings=Settings(quotas=False, throttling="off"))) as running:
        yield running


def fill(server: LocalServer, items: int = ITEMS) -> Any:
    client = server.client("dynamodb")
    client.create_table(
        TableName="Things",
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "g")],
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        GlobalSecondaryIndexes=[{**INDEX, "Projection": {"ProjectionType": "ALL"}}],
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
    )
    client.update_time_to_live(
        TableName="Things", TimeToLiveSpecification={"Enabled": True, "AttributeName": "expires"}
    )
    for start in range(0, items, 25):
        numbers = range(start, min(start + 25, items))
        client.batch_write_item(RequestItems={"Things": [put(number) for number in numbers]})
    return client


def put(number: int) -> Any:
    item = {
        "pk": {"S": f"thing {number}"},
        "g": {"S": f"group {number % 7}"},
        "x": {"S": "x" * (300 + number % 100)},
        "expires": {"N": str(4_000_000_000 + number)},
    }
    return {"PutRequest": {"Item": item}}


def region_of(server: LocalServer) -> Region:
    return server._node.region()


def truth(server: LocalServer, space: int) -> Amount:
    async def read() -> Amount:
        rows = await region_of(server).read(lambda snapshot: list(snapshot.scan(*fmt.space_range(space))))
        return Amount(len(rows), sum(2 * len(key) + len(value) + ROW_BYTES for key, value in rows))

    return server._do(read())


def measured(server: LocalServer) -> Footprint:
    return server._do(footprint.measure(region_of(server)))


def assert_near(found: Amount, expected: Amount) -> None:
    assert abs(found.rows - expected.rows) <= expected.rows / 10
    assert abs(found.bytes - expected.bytes) <= expected.bytes / 10
    assert expected.rows > 0


def test_each_part_of_a_table_is_near_the_truth(server: LocalServer) -> None:
    client = fill(server)
    client.create_backup(TableName="Things", BackupName="one")
    server.settle()
    room = measured(server).tables["Things"]
    region = region_of(server)
    (table,) = server._do(region.read(region.catalog.tables))
    assert room.items.rows == ITEMS
    assert_near(room.items, truth(server, table.space))
    assert_near(room.indexes["by-g"], truth(server, table.indexes[0].space))
    assert_near(room.log, truth(server, table.log_space))
    assert table.ttl is not None
    assert_near(room.further["ttl"], truth(server, table.ttl.space))
    assert_near(room.backups, truth(server, table.space))


def test_the_parts_and_the_rest_make_up_the_store(server: LocalServer) -> None:
    fill(server)
    found = measured(server)
    assert found.store is not None
    assert found.store.unused is not None
    assert found.other_bytes is not None
    parts = found.tables["Things"].bytes + found.other_bytes + found.store.unused
    assert parts == found.store.total
    assert found.other_bytes < found.store.total / 3


def test_backups_of_a_deleted_table_are_shown_under_its_name(server: LocalServer) -> None:
    client = fill(server, 100)
    client.create_backup(TableName="Things", BackupName="one")
    server.settle()
    client.delete_table(TableName="Things")
    server.settle()
    room = measured(server).tables["Things"]
    assert room.items == Amount()
    assert room.backups.rows == 100


def test_a_measurement_is_shown_again_while_it_is_fresh(server: LocalServer) -> None:
    fill(server, 50)

    def ask(query: str = "") -> Any:
        with urllib.request.urlopen(f"{server.endpoint_url}/_atoll/storage{query}") as answer:
            return json.loads(answer.read())

    first = ask()
    assert first["region"] == "us-east-1"
    (table,) = first["tables"]
    assert table["table"] == "Things"
    assert table["items"]["rows"] == table["indexes"]["by-g"]["rows"] == table["log"]["rows"] == 50
    assert table["bytes"] == sum(
        part["bytes"]
        for part in (table["items"], table["indexes"]["by-g"], table["log"], table["backups"], table["ttl"])
    )
    assert first["store"]["bytes"] > table["bytes"]
    server.client("dynamodb").put_item(TableName="Things", Item={"pk": {"S": "more"}})
    assert ask() == first
    assert ask("?region=eu-west-1") == {**ask("?region=eu-west-1"), "store": None, "tables": [], "other_bytes": None}
    with pytest.raises(urllib.error.HTTPError):
        ask("?table=Things")


def test_vector_indexes_are_indexes(server: LocalServer) -> None:
    pytest.importorskip("numpy")

    def call(operation: str, **body: Any) -> None:  # boto3 does not know the parameter yet
        headers = {"X-Amz-Target": f"DynamoDB_20120810.{operation}", "Content-Type": "application/x-amz-json-1.0"}
        urllib.request.urlopen(urllib.request.Request(server.endpoint_url, json.dumps(body).encode(), headers)).close()

    call(
        "CreateTable",
        TableName="Notes",
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        VectorIndexes=[
            {
                "IndexName": "near",
                "VectorAttribute": {"AttributeName": "embedding"},
                "Projection": {"ProjectionType": "ALL"},
                "Dimensions": 3,
                "DistanceFunction": "EUCLIDEAN",
            }
        ],
    )
    for number in range(60):
        embedding = {"L": [{"N": str(number + place)} for place in range(3)]}
        call("PutItem", TableName="Notes", Item={"pk": {"S": str(number)}, "embedding": embedding})
    room = measured(server).tables["Notes"]
    region = region_of(server)
    (table,) = server._do(region.read(region.catalog.tables))
    (index,) = table.vector_indexes
    entries, log = truth(server, index.space), truth(server, index.log_space)
    assert room.indexes["near"].rows == entries.rows == 60
    assert_near(room.indexes["near"], Amount(60, entries.bytes + log.bytes))
    assert room.further == {}
