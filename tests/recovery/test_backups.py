"""Backups have the items of one moment, although writes continue, and stay when their table is deleted."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from atoll.database import moment
from atoll.errors import ApiError
from atoll.recovery import long_jobs
from atoll.recovery.copies import STEPS
from tests.engines import findings
from tests.recovery.worlds import START_MS, World

HOUR_MS = 3_600_000
DAY_S = 86_400


async def back_up(world: World, name: str = "nightly") -> str:
    arn: str = (await world.call("CreateBackup", TableName="Things", BackupName=name))["BackupDetails"]["BackupArn"]
    return arn


async def restore(world: World, arn: str, target: str = "Restored", **overrides: Any) -> Any:
    answer = await world.call("RestoreTableFromBackup", BackupArn=arn, TargetTableName=target, **overrides)
    await world.runner.settle()
    return answer["TableDescription"]


async def step_while_writing(world: World) -> None:
    while waiting := await world.region.read(long_jobs.listed):
        for job in waiting:
            for _ in range(4):
                await world.change()
            await world.pass_time(10)
            await STEPS[job["kind"]](world.region, job)


@pytest.mark.parametrize("seed", range(4))
def test_backup_under_writes_has_the_items_of_its_moment(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also those changed, deleted or added between the steps, and although point-in-time recovery is off."""
    monkeypatch.setattr(moment, "ITEMS", 3)
    monkeypatch.setattr(moment, "CHANGES", 50)

    async def scenario() -> None:
        world = World(seed)
        await world.create()
        for _ in range(40):
            await world.change()
        expected = [world.items]
        arns = [await back_up(world)]
        for _ in range(5):
            await world.change()
        expected.append(world.items)
        arns.append(await back_up(world))
        await step_while_writing(world)
        await world.call("DeleteTable", TableName="Things")
        await world.pass_time(40 * 24 * HOUR_MS)
        for number, (arn, items) in enumerate(zip(arns, expected, strict=True)):
            described = (await world.call("DescribeBackup", BackupArn=arn))["BackupDescription"]
            assert described["BackupDetails"]["BackupStatus"] == "AVAILABLE"
            assert described["SourceTableDetails"]["ItemCount"] == len(items)
            await restore(world, arn, f"Restored{number}")
            assert await world.scan(f"Restored{number}") == items
        assert findings(world.region) == []

    asyncio.run(scenario())


def test_backup_that_is_deleted_gives_its_room_back() -> None:
    async def scenario() -> None:
        world = World()
        await world.create()
        await world.change()
        arn = await back_up(world)
        await world.runner.settle()
        deleted = (await world.call("DeleteBackup", BackupArn=arn))["BackupDescription"]
        assert deleted["BackupDetails"]["BackupStatus"] == "DELETED"
        for operation in ("DescribeBackup", "DeleteBackup"):
            with pytest.raises(ApiError) as refused:
                await world.call(operation, BackupArn=arn)
            assert refused.value.code == "BackupNotFoundException"
            assert refused.value.message == f"Backup not found: {arn}"
        assert (await world.call("ListBackups"))["BackupSummaries"] == []
        await world.pass_time(1)
        assert findings(world.region) == []

    asyncio.run(scenario())


def test_description_is_frozen() -> None:
    async def scenario() -> None:
        world = World()
        await world.create(StreamSpecification={"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"})
        await world.call("PutItem", TableName="Things", Item={"pk": {"S": "a"}, "sk": {"N": "1"}})
        created = await world.call("CreateBackup", TableName="Things", BackupName="nightly")
        details = created["BackupDetails"]
        assert details["BackupStatus"] == "CREATING" and details["BackupSizeBytes"] == 7
        assert details["BackupCreationDateTime"] == START_MS / 1000
        await world.runner.settle()
        await world.call("DeleteTable", TableName="Things")
        described = (await world.call("DescribeBackup", BackupArn=details["BackupArn"]))["BackupDescription"]
        assert described["BackupDetails"] == details | {"BackupStatus": "AVAILABLE"}
        source = described["SourceTableDetails"]
        assert (source["TableName"], source["ItemCount"], source["BillingMode"]) == ("Things", 1, "PAY_PER_REQUEST")
        assert source["ProvisionedThroughput"] == {"ReadCapacityUnits": 0, "WriteCapacityUnits": 0}
        features = described["SourceTableFeatureDetails"]
        assert set(features) == {"GlobalSecondaryIndexes", "LocalSecondaryIndexes", "StreamDescription"}
        assert features["GlobalSecondaryIndexes"][0]["IndexName"] == "by-g"
        assert features["StreamDescription"] == {"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"}

    asyncio.run(scenario())


def test_pages_of_the_list_and_its_filters() -> None:
    async def scenario() -> None:
        world = World()
        await world.create()
        await world.create("Other")
        arns = []
        for _ in range(5):
            arns.append(await back_up(world))
            await world.pass_time(1000)
        await world.call("CreateBackup", TableName="Other", BackupName="nightly")
        await world.runner.settle()

        async def listed(**body: Any) -> list[str]:
            answer = await world.call("ListBackups", **body)
            return [one["BackupArn"] for one in answer["BackupSummaries"]]

        assert (await listed())[:5] == arns
        assert await listed(TableName="Things") == arns
        assert await listed(TableName="None") == []
        page = await world.call("ListBackups", TableName="Things", Limit=2)
        assert page["LastEvaluatedBackupArn"] == arns[1]
        assert await listed(TableName="Things", Limit=2, ExclusiveStartBackupArn=arns[1]) == arns[2:4]
        assert "LastEvaluatedBackupArn" not in await world.call("ListBackups", TableName="Things", Limit=5)
        start = START_MS // 1000
        assert await listed(TimeRangeLowerBound=start + 1, TimeRangeUpperBound=start + 3) == arns[1:3]
        assert await listed(BackupType="SYSTEM") == []
        await world.call("DeleteBackup", BackupArn=arns[1])
        assert await listed(ExclusiveStartBackupArn=arns[1], TableName="Things") == arns[2:]

    asyncio.run(scenario())


def test_table_with_recovery_leaves_a_backup_when_it_is_deleted() -> None:
    async def scenario() -> None:
        world = World(5)
        await world.create()
        await world.recover()
        for _ in range(30):
            await world.change()
        expected = world.items
        await world.call("DeleteTable", TableName="Things")
        assert (await world.call("ListBackups"))["BackupSummaries"] == []
        (summary,) = (await world.call("ListBackups", BackupType="SYSTEM"))["BackupSummaries"]
        assert (summary["BackupName"], summary["BackupStatus"]) == ("Things$DeletedTableBackup", "AVAILABLE")
        assert summary["BackupArn"].endswith("-00000000")
        assert summary["BackupExpiryDateTime"] == summary["BackupCreationDateTime"] + 35 * DAY_S
        with pytest.raises(ApiError, match="User is not allowed to delete the system backup with arn"):
            await world.call("DeleteBackup", BackupArn=summary["BackupArn"])
        await world.create()
        await world.pass_time(34 * 24 * HOUR_MS)
        await restore(world, summary["BackupArn"])
        assert await world.scan("Restored") == expected
        await world.pass_time(2 * 24 * HOUR_MS)
        assert (await world.call("ListBackups", BackupType="ALL"))["BackupSummaries"] == []
        assert findings(world.region) == []

    asyncio.run(scenario())


def test_restored_table_drops_and_keeps_the_same_settings_as_the_service() -> None:
    async def scenario() -> None:
        world = World()
        await world.create(
            StreamSpecification={"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"},
            Tags=[{"Key": "a", "Value": "b"}],
            DeletionProtectionEnabled=True,
            TableClass="STANDARD_INFREQUENT_ACCESS",
            OnDemandThroughput={"MaxReadRequestUnits": 50, "MaxWriteRequestUnits": 60},
        )
        await world.recover()
        arn = await back_up(world)
        await world.runner.settle()
        during = await world.call("RestoreTableFromBackup", BackupArn=arn, TargetTableName="Restored")
        summary = during["TableDescription"]["RestoreSummary"]
        table_arn = "arn:aws:dynamodb:us-east-1:000000000000:table/Things"
        assert summary == {
            "SourceBackupArn": arn, "SourceTableArn": table_arn, "RestoreDateTime": START_MS / 1000,
            "RestoreInProgress": True,
        }  # fmt: skip
        assert "IndexStatus" not in during["TableDescription"]["GlobalSecondaryIndexes"][0]
        await world.runner.settle()
        table = (await world.call("DescribeTable", TableName="Restored"))["Table"]
        assert not table.keys() & {"RestoreSummary", "StreamSpecification", "TableClassSummary", "LatestStreamArn"}
        assert table["DeletionProtectionEnabled"] is False
        assert table["OnDemandThroughput"] == {"MaxReadRequestUnits": 50, "MaxWriteRequestUnits": 60}
        assert [index["IndexName"] for index in table["GlobalSecondaryIndexes"]] == ["by-g"]
        assert (await world.call("ListTagsOfResource", ResourceArn=table["TableArn"]))["Tags"] == []
        backups = await world.call("DescribeContinuousBackups", TableName="Restored")
        status = backups["ContinuousBackupsDescription"]["PointInTimeRecoveryDescription"]
        assert status == {"PointInTimeRecoveryStatus": "DISABLED"}

    asyncio.run(scenario())


def test_overrides_of_a_restore() -> None:
    async def scenario() -> None:
        world = World(2)
        await world.create()
        for _ in range(20):
            await world.change()
        arn = await back_up(world)
        await world.runner.settle()
        units = {"ReadCapacityUnits": 5, "WriteCapacityUnits": 6}
        renamed = {
            "IndexName": "renamed",
            "KeySchema": [{"AttributeName": "g", "KeyType": "HASH"}],
            "Projection": {"ProjectionType": "ALL"},
            "ProvisionedThroughput": units,
        }
        made = await restore(
            world, arn, BillingModeOverride="PROVISIONED", ProvisionedThroughputOverride=units,
            GlobalSecondaryIndexOverride=[renamed], LocalSecondaryIndexOverride=[],
            SSESpecificationOverride={"Enabled": True},
        )  # fmt: skip
        assert made["SSEDescription"]["SSEType"] == "KMS"
        assert made["ProvisionedThroughput"]["WriteCapacityUnits"] == 6
        assert "LocalSecondaryIndexes" not in made
        with_g = {name: item for name, item in world.items.items() if "g" in item}
        assert await world.scan("Restored", "renamed") == with_g
        await restore(world, arn, "Bare", GlobalSecondaryIndexOverride=[], LocalSecondaryIndexOverride=[])
        bare = (await world.call("DescribeTable", TableName="Bare"))["Table"]
        assert not bare.keys() & {"GlobalSecondaryIndexes", "LocalSecondaryIndexes"}
        assert await world.scan("Bare") == world.items
        assert findings(world.region) == []

    asyncio.run(scenario())


def test_table_that_is_being_restored_is_found_by_few_operations() -> None:
    async def scenario() -> None:
        world = World()
        await world.create()
        arn = await back_up(world)
        await world.runner.settle()
        await world.call("RestoreTableFromBackup", BackupArn=arn, TargetTableName="Restored")
        name = {"TableName": "Restored"}
        assert await world.status("Restored") == "CREATING"
        for operation, body, code in (
            ("RestoreTableFromBackup", {"BackupArn": arn, "TargetTableName": "Another"}, "BackupInUseException"),
            ("DeleteBackup", {"BackupArn": arn}, "BackupInUseException"),
            ("DeleteTable", name, "ResourceInUseException"),
            ("UpdateTable", name | {"DeletionProtectionEnabled": True}, "ResourceNotFoundException"),
            ("PutItem", name | {"Item": {"pk": {"S": "a"}, "sk": {"N": "1"}}}, "ResourceNotFoundException"),
            ("CreateBackup", name | {"BackupName": "nightly"}, "TableNotFoundException"),
            ("DescribeContinuousBackups", name, "TableNotFoundException"),
        ):
            with pytest.raises(ApiError) as refused:
                await world.call(operation, **body)
            assert refused.value.code == code, operation
        with pytest.raises(ApiError, match="Table is being used: Restored"):
            await world.create("Restored")
        await world.runner.settle()
        await world.call("UpdateTable", TableName="Restored", DeletionProtectionEnabled=True)

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("arn", "code", "text"),
    [
        ("arn:aws:dynamodb:us-east-1:000000000000:table/Things/backup/01791504762511-2779fadd",
         "BackupNotFoundException", "Backup not found: arn:"),
        ("arn:aws:dynamodb:us-east-1:000000000000:table/Things-with-a-long-name", "ValidationException",
         "Invalid Backup ARN"),
        ("arn:aws:dynamodb:nowhere:000000000000:table/Things/backup/01791504762511-2779fadd", "ValidationException",
         "BackupArn is not valid"),
        ("arn:aws:dynamodb:us-east-1:999999999999:table/Things/backup/01791504762511-2779fadd",
         "AccessDeniedException", "Access is denied"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("operation", ["DescribeBackup", "DeleteBackup", "RestoreTableFromBackup"])
def test_unknown_backup_is_refused(operation: str, arn: str, code: str, text: str) -> None:
    async def scenario() -> None:
        world = World()
        await world.create()
        target = {"TargetTableName": "Restored"} if operation.startswith("Restore") else {}
        with pytest.raises(ApiError) as refused:
            await world.call(operation, BackupArn=arn, **target)
        assert refused.value.code == code and str(refused.value.message).startswith(text)

    asyncio.run(scenario())
