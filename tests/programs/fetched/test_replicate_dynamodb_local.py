"""`atoll replicate` from DynamoDB Local to Atoll and back."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import boto3
import pytest

from benchmarks import servers
from tests.programs.endpoint import Endpoint

REGION = "us-east-1"


@pytest.fixture(scope="module")
def local() -> Iterator[Endpoint]:
    with servers.dynamodb_local(None) as server:
        yield Endpoint(f"http://{servers.HOST}:{server.port}")


@pytest.fixture
def atoll() -> Iterator[Endpoint]:
    with servers.atoll(None) as server:
        yield Endpoint(f"http://{servers.HOST}:{server.port}")


def client(endpoint: Endpoint) -> Any:
    return boto3.client("dynamodb", **endpoint.client_options(REGION))


def replicate(source: Endpoint, target: Endpoint, table: str, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "atoll", "replicate", "--from", source.url, "--to", target.url, "--table", table]
    variables = source.environment(REGION) | {"PYTHONPATH": str(servers.ROOT / "src"), "NO_PROXY": "*"}
    return subprocess.run([*command, *options], env=variables, capture_output=True, text=True, timeout=300)


@pytest.mark.parametrize("direction", ["in", "out"])
def test_a_table_is_migrated(direction: str, local: Endpoint, atoll: Endpoint) -> None:
    source, target = (local, atoll) if direction == "in" else (atoll, local)
    here, there, table = client(source), client(target), f"Moved-{direction}"
    here.create_table(
        TableName=table, BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
        AttributeDefinitions=[
            {"AttributeName": "pk", "AttributeType": "S"}, {"AttributeName": "sk", "AttributeType": "N"},
            {"AttributeName": "owner", "AttributeType": "B"},
        ],
        GlobalSecondaryIndexes=[{
            "IndexName": "by-owner", "Projection": {"ProjectionType": "KEYS_ONLY"},
            "KeySchema": [{"AttributeName": "owner", "KeyType": "HASH"}],
        }],
    )  # fmt: skip

    def put(number: int, **more: Any) -> None:
        item = {"pk": {"S": f"p{number % 7}"}, "sk": {"N": str(number / 8)}, "owner": {"B": b"%d" % (number % 3)}}
        here.put_item(TableName=table, Item=item | {"numbers": {"NS": ["1.50", "-2E-3"]}} | more)

    for number in range(200):
        put(number)
    failed = replicate(source, target, table, "--once")
    assert failed.returncode == 1 and "has no stream: enable one, or give --enable-stream" in failed.stderr
    first = replicate(source, target, table, "--once", "--enable-stream", "--verify")
    assert first.returncode == 0, first.stderr
    assert "copied 200 items" in first.stderr and "differences: 0" in first.stderr
    for number in range(0, 300, 3):
        put(number, changed={"BOOL": True})
        put(number, changed={"N": "2"})
    here.delete_item(TableName=table, Key={"pk": {"S": "p0"}, "sk": {"N": "0"}})
    different = replicate(source, target, table, "--verify")
    assert different.returncode == 1 and len(different.stdout.splitlines()) == 100
    again = replicate(source, target, table, "--once", "--verify")
    assert again.returncode == 0, again.stderr
    assert "gap" not in again.stderr and "copied" not in again.stderr
    assert there.query(
        TableName=table, IndexName="by-owner", Select="COUNT", KeyConditionExpression="#o = :o",
        ExpressionAttributeNames={"#o": "owner"}, ExpressionAttributeValues={":o": {"B": b"1"}},
    )["Count"] == here.query(
        TableName=table, IndexName="by-owner", Select="COUNT", KeyConditionExpression="#o = :o",
        ExpressionAttributeNames={"#o": "owner"}, ExpressionAttributeValues={":o": {"B": b"1"}},
    )["Count"]  # fmt: skip
