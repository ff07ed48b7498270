"""Streams over a store that is closed and opened again."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from atoll.api import items, streams, tables
from atoll.clock import ManualClock
from atoll.database.log import maintenance
from atoll.database.region import Region
from atoll.storage.sqlite import SQLiteEngine

TABLE = {
    "TableName": "Things",
    "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
    "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
    "ProvisionedThroughput": {"ReadCapacityUnits": 1, "WriteCapacityUnits": 1},
    "StreamSpecification": {"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"},
}


async def open_region(directory: Path) -> Region:
    return Region("us-east-1", SQLiteEngine.open(directory, durability="relaxed"), ManualClock(1_800_000_000_000))


async def put(region: Region, *names: str) -> None:
    for name in names:
        await items.put_item(region, {"TableName": "Things", "Item": {"pk": {"S": name}}})


def test_numbers_and_iterators_survive(tmp_path: Path) -> None:
    async def before() -> tuple[str, Any, str]:
        region = await open_region(tmp_path)
        await tables.create_table(region, TABLE)
        await put(region, "a", "b")
        [stream] = (await streams.list_streams(region, {}))["Streams"]
        arn = stream["StreamArn"]
        [shard] = (await streams.describe_stream(region, {"StreamArn": arn}))["StreamDescription"]["Shards"]
        asked = {"StreamArn": arn, "ShardId": shard["ShardId"], "ShardIteratorType": "TRIM_HORIZON"}
        iterator = (await streams.get_shard_iterator(region, asked))["ShardIterator"]
        page = await streams.get_records(region, {"ShardIterator": iterator})
        now_ms = region.clock.now_ms()
        await region.transact(lambda tx: maintenance.force_rotate(tx, region, arn, now_ms))
        await region.engine.close()
        return arn, page["Records"], page["NextShardIterator"]

    async def after(arn: str, seen: Any, iterator: str) -> None:
        region = await open_region(tmp_path)
        await put(region, "c")
        assert await streams.get_records(region, {"ShardIterator": iterator}) == {"Records": []}
        _, child = (await streams.describe_stream(region, {"StreamArn": arn}))["StreamDescription"]["Shards"]
        asked = {"StreamArn": arn, "ShardId": child["ShardId"], "ShardIteratorType": "TRIM_HORIZON"}
        following = (await streams.get_shard_iterator(region, asked))["ShardIterator"]
        [record] = (await streams.get_records(region, {"ShardIterator": following}))["Records"]
        number = int(record["dynamodb"]["SequenceNumber"])
        assert all(int(earlier["dynamodb"]["SequenceNumber"]) < number for earlier in seen)
        await region.engine.close()

    with asyncio.Runner() as runner:
        state = runner.run(before())
    with asyncio.Runner() as runner:
        runner.run(after(*state))
