"""The catalog's cache under functions that run in threads, on snapshots of different ages, some of them twice."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from atoll.api import items
from atoll.clock import ManualClock
from atoll.database.region import Region, Settings
from atoll.errors import ApiError
from atoll.storage.hostile import HostileEngine
from tests import desk

START_MS = 1_800_000_000_000


@pytest.mark.parametrize("seed", range(10))
def test_acknowledged_change_of_a_table_is_seen_by_every_later_operation(seed: int) -> None:
    region = Region("eu-west-1", HostileEngine(seed), ManualClock(START_MS), Settings(quotas=False))

    over = asyncio.Event()

    async def call(name: str, **body: Any) -> Any:
        return await desk.call(region, name, body)

    async def come_and_go(name: str) -> None:
        """A table that is created, changed and deleted repeatedly; each life is known by its id."""
        for life in range(12):
            created = await call(
                "CreateTable",
                TableName=name,
                KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
                AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
                BillingMode="PAY_PER_REQUEST",
            )
            described = (await call("DescribeTable", TableName=name))["Table"]
            assert described["TableId"] == created["TableDescription"]["TableId"]
            await call("PutItem", TableName=name, Item={"pk": {"S": str(life)}})
            await call("UpdateTable", TableName=name, DeletionProtectionEnabled=True)
            assert (await call("DescribeTable", TableName=name))["Table"]["DeletionProtectionEnabled"]
            await call("UpdateTable", TableName=name, DeletionProtectionEnabled=False)
            assert await items.get_item(region, {"TableName": name, "Key": {"pk": {"S": str(life)}}})
            assert name in (await call("ListTables"))["TableNames"]
            await call("DeleteTable", TableName=name)
            assert name not in (await call("ListTables"))["TableNames"]
            with pytest.raises(ApiError, match="not found"):
                await call("PutItem", TableName=name, Item={"pk": {"S": "late"}})

    async def look() -> None:
        """Keeps the cache busy with everybody's tables."""
        while not over.is_set():
            for number in range(4):
                try:
                    await call("PutItem", TableName=f"Table{number}", Item={"pk": {"S": "other"}})
                    await call("DescribeTable", TableName=f"Table{number}")
                except ApiError:
                    await asyncio.sleep(0)

    async def scenario() -> None:
        lookers = [asyncio.create_task(look()) for _ in range(4)]
        try:
            await asyncio.gather(*(come_and_go(f"Table{number}") for number in range(4)))
        finally:
            over.set()
            await asyncio.wait(lookers)
        for looker in lookers:
            looker.result()

    asyncio.run(scenario())
