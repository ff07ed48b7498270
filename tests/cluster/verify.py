"""The checks after the drill."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import boto3

from atoll.testing.histories import check
from benchmarks.servers import ROOT
from tests.cluster.load import INDEX, Result, connect
from tests.cluster.world import World
from tests.processes.world import TABLE

Item = dict[str, Any]
EMPTY_PAGES = 3
"""A shard is read to its end after so many."""


def verify(world: World, results: list[Result]) -> Iterator[str]:
    """Yields what was found to be right; raises AssertionError."""
    client = connect(world.endpoints[0])
    items = {item["pk"]["S"]: item for item in _scan(client, ConsistentRead=True)}
    puts = {item: value for result in results for item, value in result.puts.items()}
    missing = [item for item, value in puts.items() if items.get(item, {}).get("v") != {"S": value}]
    assert not missing, f"{len(missing)} acknowledged puts are missing: {missing[:5]}"
    yield f"{len(puts):,} acknowledged puts are there"
    found = sum(int(item["n"]["N"]) for item in items.values() if "n" in item)
    added, unknown = sum(one.added for one in results), sum(one.unknown for one in results)
    assert added <= found <= added + unknown, f"counters: {found}, acknowledged {added}, unknown {unknown}"
    yield f"{added:,} acknowledged additions are there, and {found - added} of {unknown} unanswered ones"
    indexed = {item["pk"]["S"]: item for item in _scan(client, IndexName=INDEX)}
    assert indexed == {pk: item for pk, item in items.items() if "owner" in item}, "the index differs from its table"
    yield f"the index agrees with the table: {len(indexed):,} items"
    yield f"the stream has each change once and in order: {_check_stream(world, items):,} records"
    history = [operation for result in results for operation in result.history]
    assert not (anomalies := check(history)), f"{anomalies[0]}"
    yield f"the history is serializable: {len(history):,} operations"
    command = [sys.executable, "-m", "atoll.cli", "store", "check", "--store", world.url]
    done = subprocess.run(command, env={"PYTHONPATH": str(ROOT / "src")}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    yield f"store check: {done.stdout.strip().splitlines()[-1]}"


def _scan(client: Any, **more: Any) -> Iterator[Item]:
    for page in client.get_paginator("scan").paginate(TableName=TABLE, **more):
        yield from page["Items"]


def _check_stream(world: World, items: dict[str, Item]) -> int:
    """Each record begins with the image with which the one before of its item has ended."""
    client = boto3.client(
        "dynamodbstreams",
        region_name="us-east-1",
        endpoint_url=world.endpoints[0],
        aws_access_key_id="drill",
        aws_secret_access_key="drill",
    )
    images: dict[str, Item | None] = {}
    seen: set[str] = set()
    for shard in _shards(client):
        before = -1
        for record in _records(client, *shard):
            change = record["dynamodb"]
            number = int(change["SequenceNumber"])
            assert number > before, f"{number} comes after {before}"
            before = number
            assert record["eventID"] not in seen, f"{record['eventID']} comes twice"
            seen.add(record["eventID"])
            pk = change["Keys"]["pk"]["S"]
            assert change.get("OldImage") == images.get(pk), f"the stream misses a change of {pk}"
            images[pk] = change.get("NewImage")
    assert {pk: image for pk, image in images.items() if image is not None} == items, (
        "the stream misses the last changes"
    )
    return len(seen)


def _shards(client: Any) -> list[tuple[str, str]]:
    """Stream and shard, parents first."""
    (stream,) = client.list_streams(TableName=TABLE)["Streams"]
    found: dict[str, str | None] = {}
    more: dict[str, str] = {}
    while True:
        page = client.describe_stream(StreamArn=stream["StreamArn"], **more)["StreamDescription"]
        found |= {shard["ShardId"]: shard.get("ParentShardId") for shard in page["Shards"]}
        if "LastEvaluatedShardId" not in page:
            break
        more = {"ExclusiveStartShardId": page["LastEvaluatedShardId"]}

    def depth(shard: str | None) -> int:
        return 0 if shard not in found else 1 + depth(found[shard])

    return [(stream["StreamArn"], shard) for shard in sorted(found, key=depth)]


def _records(client: Any, stream: str, shard: str) -> Iterator[Item]:
    iterator = client.get_shard_iterator(StreamArn=stream, ShardId=shard, ShardIteratorType="TRIM_HORIZON")
    following, empty = iterator["ShardIterator"], 0
    while following and empty < EMPTY_PAGES:
        page = client.get_records(ShardIterator=following)
        yield from page["Records"]
        empty = 0 if page["Records"] else empty + 1
        following = page.get("NextShardIterator")
