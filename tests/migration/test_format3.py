"""Stores of format 3 with the replicas of a table get the new version in place, and the replicas go on.

`store.tar.gz` has the stores of two regions, whose server was killed; `answers.json.gz` is what the server answered.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import tarfile
from pathlib import Path
from typing import Any

import orjson
import pytest

from atoll.clock import ManualClock
from atoll.config import Config
from atoll.database.region import Region
from atoll.node import Node
from atoll.replication import conflicts
from atoll.storage.sqlitefile import FORMAT_VERSION, format_of
from tests import desk

FORMAT3 = Path(__file__).with_name("format3")
ANSWERS: dict[str, Any] = json.loads(gzip.decompress((FORMAT3 / "answers.json.gz").read_bytes()))
REGIONS = ("us-east-1", "eu-west-1")
NOW_MS = 1_795_986_400_000


@pytest.fixture
def data(tmp_path: Path) -> Path:
    with tarfile.open(FORMAT3 / "store.tar.gz") as archive:
        archive.extractall(tmp_path)
    return tmp_path


async def answers(region: Region) -> dict[str, Any]:
    async def call(operation: str) -> Any:
        return orjson.loads(orjson.dumps(await desk.call(region, operation, {"TableName": "Global"})))

    table = (await call("DescribeTable"))["Table"]
    return {
        "items": sorted((await call("Scan"))["Items"], key=str),
        "replicas": sorted([one["RegionName"], one["ReplicaStatus"]] for one in table["Replicas"]),
        "count": table["ItemCount"],
        "arn": table["TableArn"],
        "id": table["TableId"],
        "stream": table["LatestStreamLabel"],
    }


def test_replicas_answer_as_before_and_continue(data: Path) -> None:
    async def scenario() -> None:
        node = Node(Config(data=data, port=0, region=REGIONS[0], more_regions=REGIONS[1:]), ManualClock(NOW_MS))
        await node.start()
        try:
            for name in REGIONS:
                region = node.region(name)
                assert await answers(region) == ANSWERS[name]
                reported = await region.engine.read(conflicts.listed)
                assert [one["key"] for one in reported] == [one["key"] for one in ANSWERS["conflicts"]["conflicts"][:1]]
                assert format_of(data / name / "atoll.db")[1] == FORMAT_VERSION
            for at in REGIONS:
                item = {"pk": {"S": f"new in {at}"}}
                await desk.call(node.region(at), "PutItem", {"TableName": "Global", "Item": item})
                await node.settle()
                for name in REGIONS:
                    assert item in (await answers(node.region(name)))["items"]
        finally:
            await node.stop()

    asyncio.run(scenario())
