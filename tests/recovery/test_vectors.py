"""Restored tables have vector indexes with their entries: those of the source, or those that the request chooses."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from atoll.errors import ApiError
from tests.engines import findings
from tests.recovery.worlds import World

INDEX: dict[str, Any] = {
    "IndexName": "near",
    "VectorAttribute": {"AttributeName": "e"},
    "SearchSchema": [{"AttributeName": "kind", "SearchSchemaElementType": "INLINE_FILTER"}],
    "Projection": {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["a", "b"]},
    "Dimensions": 2,
    "DistanceFunction": "EUCLIDEAN",
}


def vector(*numbers: int) -> list[dict[str, str]]:
    return [{"N": str(number)} for number in numbers]


async def found(world: World, table: str, name: str) -> list[str]:
    answer = await world.call("SearchVectors", TableName=table, IndexName=name, SearchVector=vector(0, 0), TopK=9)
    return [one["Item"]["pk"]["S"] for one in answer["SearchResults"]]


def test_backups_and_points_in_time_restore_vector_indexes() -> None:
    world = World()

    async def scenario() -> None:
        await world.call(
            "CreateTable",
            TableName="Notes",
            BillingMode="PAY_PER_REQUEST",
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "kind")],
            VectorIndexes=[INDEX],
        )
        await world.recover("Notes")
        for number in range(5):
            await world.call("PutItem", TableName="Notes", Item={
                "pk": {"S": f"n{number}"}, "e": {"L": vector(number, 0)},
            })  # fmt: skip
        made = await world.call("CreateBackup", TableName="Notes", BackupName="nightly")
        arn = made["BackupDetails"]["BackupArn"]
        await world.runner.settle()
        features = (await world.call("DescribeBackup", BackupArn=arn))["BackupDescription"]
        assert features["SourceTableFeatureDetails"]["VectorIndexes"] == [INDEX]
        await world.call("DeleteItem", TableName="Notes", Key={"pk": {"S": "n0"}})
        renamed = {**INDEX, "IndexName": "other"}
        for target, more, name in (
            ("Same", {}, "near"),
            ("Renamed", {"VectorIndexOverride": [renamed]}, "other"),
        ):
            await world.call("RestoreTableFromBackup", BackupArn=arn, TargetTableName=target, **more)
            await world.runner.settle()
            assert await found(world, target, name) == ["n0", "n1", "n2", "n3", "n4"]
        await world.call("RestoreTableFromBackup", BackupArn=arn, TargetTableName="Without", VectorIndexOverride=[])
        await world.runner.settle()
        assert "VectorIndexes" not in (await world.call("DescribeTable", TableName="Without"))["Table"]
        unknown = {**INDEX, "Dimensions": 3}
        with pytest.raises(ApiError):
            await world.call(
                "RestoreTableFromBackup", BackupArn=arn, TargetTableName="None", VectorIndexOverride=[unknown]
            )
        await world.call(
            "RestoreTableToPointInTime", SourceTableName="Notes", TargetTableName="Now", UseLatestRestorableTime=True
        )
        await world.runner.settle()
        assert await found(world, "Now", "near") == ["n1", "n2", "n3", "n4"]

    asyncio.run(scenario())
    assert not findings(world.region)
