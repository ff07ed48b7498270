"""Backups and restores of a server: between its regions, and over a restart in the middle."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import orjson
import pytest

from atoll.clock import ManualClock
from atoll.config import Config
from atoll.database import moment
from atoll.node import Node
from atoll.recovery.long_jobs import Runner
from tests import desk
from tests.recovery.worlds import KEYS, START_MS

ITEMS = [{"pk": {"S": f"p{n % 7}"}, "sk": {"N": str(n)}, "g": {"S": "x"}} for n in range(100)]


async def call(node: Node, region: str, operation: str, **body: Any) -> Any:
    answer = await desk.call(node.region(region), operation, orjson.loads(orjson.dumps(body)))
    return orjson.loads(orjson.dumps(answer))


async def filled(node: Node) -> str:
    """A table with recovery; returns the ARN of a backup of it."""
    await call(node, "us-east-1", "CreateTable", TableName="Things", BillingMode="PAY_PER_REQUEST", **KEYS)
    on = {"PointInTimeRecoveryEnabled": True}
    await call(node, "us-east-1", "UpdateContinuousBackups", TableName="Things", PointInTimeRecoverySpecification=on)
    for item in ITEMS:
        await call(node, "us-east-1", "PutItem", TableName="Things", Item=item)
    backup = await call(node, "us-east-1", "CreateBackup", TableName="Things", BackupName="nightly")
    arn: str = backup["BackupDetails"]["BackupArn"]
    return arn


def items_of(page: Any) -> list[Any]:
    return sorted(page["Items"], key=lambda item: int(item["sk"]["N"]))


def test_restores_into_another_region() -> None:
    async def scenario() -> None:
        node = Node(Config(data=None, port=0, more_regions=("eu-west-1",)), ManualClock(START_MS))
        await node.start()
        try:
            arn = await filled(node)
            await node.settle()
            source = {"SourceTableArn": "arn:aws:dynamodb:us-east-1:000000000000:table/Things"}
            for operation, target, body in (
                ("RestoreTableFromBackup", "FromBackup", {"BackupArn": arn}),
                ("RestoreTableToPointInTime", "FromTable", source | {"UseLatestRestorableTime": True}),
            ):
                request = {"TargetTableName": target, **body}
                with pytest.raises(Exception, match="sseSpecificationOverride must be provided for cross-region"):
                    await call(node, "eu-west-1", operation, **request)
                await call(node, "eu-west-1", operation, SSESpecificationOverride={}, **request)
                await node.settle()
                assert items_of(await call(node, "eu-west-1", "Scan", TableName=target)) == ITEMS
            await call(node, "us-east-1", "DeleteBackup", BackupArn=arn)
            assert (await call(node, "us-east-1", "ListTables"))["TableNames"] == ["Things"]
        finally:
            await node.stop()

    asyncio.run(scenario())


def test_restart_in_the_middle_of_all_of_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(moment, "ITEMS", 10)

    async def start() -> Node:
        node = Node(Config(data=tmp_path, port=0), ManualClock(START_MS))
        await node.start()
        return node

    async def scenario() -> None:
        with monkeypatch.context() as idle:
            idle.setattr(Runner, "run", lambda self: asyncio.sleep(0))
            node = await start()
            arn = await filled(node)
            source = {"SourceTableName": "Things", "UseLatestRestorableTime": True}
            await call(node, "us-east-1", "RestoreTableToPointInTime", TargetTableName="Restored", **source)
            await node.stop()
        node = await start()
        try:
            await node.settle()
            assert items_of(await call(node, "us-east-1", "Scan", TableName="Restored")) == ITEMS
            described = await call(node, "us-east-1", "DescribeBackup", BackupArn=arn)
            assert described["BackupDescription"]["BackupDetails"]["BackupStatus"] == "AVAILABLE"
            assert described["BackupDescription"]["SourceTableDetails"]["ItemCount"] == len(ITEMS)
        finally:
            await node.stop()

    asyncio.run(scenario())
