"""A restore of any second in the window has the items of that second, whatever was written since then and during the
restore."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from atoll.database import documents, moment, past_definitions
from atoll.errors import ApiError
from atoll.recovery import long_jobs
from atoll.recovery.copies import STEPS
from tests.engines import findings
from tests.recovery.worlds import START_MS, World

HOUR_MS = 3_600_000


async def written_for_weeks(world: World, days: int = 20) -> None:
    await world.create()
    await world.recover(RecoveryPeriodInDays=14)
    world.note()
    for _ in range(days):
        for _ in range(12):
            for _ in range(world.rng.randrange(4)):
                await world.change()
            await world.pass_time(world.rng.randrange(4 * HOUR_MS))


async def step_while_writing(world: World) -> None:
    """Run the jobs step by step, with writes before each step."""
    while waiting := await world.region.read(long_jobs.listed):
        for job in waiting:
            for _ in range(world.rng.randrange(3)):
                await world.change()
            await world.pass_time(world.rng.randrange(500))
            await STEPS[job["kind"]](world.region, job)


@pytest.mark.parametrize("seed", range(4))
def test_random_seconds_of_two_weeks_are_restored(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(moment, "ITEMS", 5)
    monkeypatch.setattr(moment, "CHANGES", 20)

    async def scenario() -> None:
        world = World(seed)
        await written_for_weeks(world)
        for number in range(6):
            described = await world.call("DescribeContinuousBackups", TableName="Things")
            window = described["ContinuousBackupsDescription"]["PointInTimeRecoveryDescription"]
            second = world.rng.randint(window["EarliestRestorableDateTime"], window["LatestRestorableDateTime"])
            expected = world.state_at(second * 1000)
            target = f"Restored{number}"
            answer = await world.call(
                "RestoreTableToPointInTime", SourceTableName="Things", TargetTableName=target, RestoreDateTime=second
            )
            assert answer["TableDescription"]["RestoreSummary"]["RestoreDateTime"] == second
            with pytest.raises(ApiError, match="not found"):
                await world.scan(target)
            await step_while_writing(world)
            assert await world.scan(target) == expected
            by_g = {name: item for name, item in expected.items() if "g" in item}
            assert await world.scan(target, "by-g") == by_g
            assert await world.status(target) == "ACTIVE"
        assert await world.scan("Things") == world.items
        assert findings(world.region) == []

    asyncio.run(scenario())


def test_a_transaction_is_restored_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(moment, "ITEMS", 3)

    async def scenario() -> None:
        world = World(9)
        await world.create()
        await world.recover()
        for number in range(30):
            await world.pass_time(1000)
            puts = [
                {
                    "Put": {
                        "TableName": "Things",
                        "Item": {"pk": {"S": f"p{n}"}, "sk": {"N": "0"}, "v": {"N": str(number)}},
                    }
                }
                for n in range(10)
            ]
            await world.call("TransactWriteItems", TransactItems=puts)
        await world.call(
            "RestoreTableToPointInTime", SourceTableName="Things", TargetTableName="Restored",
            RestoreDateTime=START_MS // 1000 + 12,
        )  # fmt: skip
        await world.runner.settle()
        assert {item["v"]["N"] for item in (await world.scan("Restored")).values()} == {"11"}

    asyncio.run(scenario())


def test_deletions_by_time_to_live_are_undone_and_redone() -> None:
    async def scenario() -> None:
        world = World()
        await world.create()
        await world.recover()
        await world.call(
            "UpdateTimeToLive", TableName="Things",
            TimeToLiveSpecification={"Enabled": True, "AttributeName": "expires"},
        )  # fmt: skip
        item = {"pk": {"S": "a"}, "sk": {"N": "1"}, "expires": {"N": str(START_MS // 1000 + 60)}}
        await world.call("PutItem", TableName="Things", Item=item)
        await world.pass_time(10 * 60_000)
        assert await world.scan("Things") == {}
        await world.pass_time(10 * 60_000)
        for second, count in ((30, 1), (900, 0)):
            await world.call(
                "RestoreTableToPointInTime", SourceTableName="Things", TargetTableName=f"At{second}",
                RestoreDateTime=START_MS // 1000 + second,
            )  # fmt: skip
            await world.runner.settle()
            assert len(await world.scan(f"At{second}")) == count

    asyncio.run(scenario())


def test_a_source_that_is_deleted_meanwhile_is_still_restored(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its items and its log stay until the copy is complete, then they go."""
    monkeypatch.setattr(moment, "ITEMS", 3)

    async def scenario() -> None:
        world = World(3)
        await world.create()
        await world.recover()
        for _ in range(40):
            await world.change()
            await world.pass_time(500)
        expected = world.items
        await world.call(
            "RestoreTableToPointInTime", SourceTableName="Things", TargetTableName="Restored",
            UseLatestRestorableTime=True,
        )  # fmt: skip
        (job,) = await world.region.read(long_jobs.listed)
        for _ in range(3):
            await STEPS[job["kind"]](world.region, job)
            (job,) = await world.region.read(long_jobs.listed)
        await world.call("DeleteTable", TableName="Things")
        await world.pass_time(26 * HOUR_MS)
        await world.runner.settle()
        assert await world.scan("Restored") == expected
        await world.pass_time(40 * 24 * HOUR_MS)
        await world.call("DeleteTable", TableName="Restored")
        await world.pass_time(40 * 24 * HOUR_MS)
        assert (await world.call("ListBackups", BackupType="ALL"))["BackupSummaries"] == []
        assert findings(world.region) == []

    asyncio.run(scenario())


def test_the_latest_state_is_the_present_one_when_the_clock_was_set_back() -> None:
    async def scenario() -> None:
        world = World(5)
        await world.create()
        await world.recover()
        for _ in range(20):
            await world.change()
            await world.pass_time(60_000)
        world.clock.set(world.clock.now_ms() - 5 * HOUR_MS)
        for _ in range(10):
            await world.change()
        expected = dict(world.items)
        await world.call(
            "RestoreTableToPointInTime", SourceTableName="Things", TargetTableName="Restored",
            UseLatestRestorableTime=True,
        )  # fmt: skip
        await world.change()
        await world.runner.settle()
        assert await world.scan("Restored") == expected
        assert findings(world.region) == []

    asyncio.run(scenario())


TABLE_ARN = "arn:aws:dynamodb:us-east-1:000000000000:table/Things"

REFUSALS: list[tuple[str, dict[str, Any], str, str]] = [
    ("both times", {"RestoreDateTime": 1, "UseLatestRestorableTime": True}, "ValidationException",
     "Invalid Request: Both RestoreDateTime and UseLatestRestorableTime cannot be set"),
    ("no time", {}, "ValidationException", "Invalid Request: Either one of RestoreDateTime or UseLatestRestorableTime"),
    ("no time, said twice", {"UseLatestRestorableTime": False}, "ValidationException", "Either one of"),
    ("before the window", {"RestoreDateTime": START_MS // 1000 - 10}, "InvalidRestoreTimeException",
     "RestoreDateTime '2027-01-15T07:59:50Z' must be within EarliestRestorableDateTime '2027-01-15T08:00:00Z' and "
     "LatestRestorableDateTime '2027-01-15T09:00:00Z'"),
    ("after the window", {"RestoreDateTime": START_MS // 1000 + 3601}, "InvalidRestoreTimeException", "must be within"),
    ("unknown table", {"UseLatestRestorableTime": True, "SourceTableName": "None"}, "TableNotFoundException",
     "Table not found: None"),
    ("its own name", {"UseLatestRestorableTime": True, "TargetTableName": "Things"}, "TableAlreadyExistsException",
     "Table already exists: Things"),
    ("two sources", {"UseLatestRestorableTime": True, "SourceTableArn": TABLE_ARN}, "ValidationException",
     "Must provide exactly one of: sourceTableArn, sourceTableName"),
    ("recovery off", {"UseLatestRestorableTime": True, "SourceTableName": "Other"},
     "PointInTimeRecoveryUnavailableException", "Point in time recovery is not enabled for table 'Other'"),
    ("no such index", {"UseLatestRestorableTime": True, "GlobalSecondaryIndexOverride": [
        {"IndexName": "other", "KeySchema": [{"AttributeName": "v", "KeyType": "HASH"}],
         "Projection": {"ProjectionType": "ALL"}}]}, "ValidationException",
     "Index other does not match a secondary index that existed in the source table"),
    ("units on demand", {"UseLatestRestorableTime": True,
                         "ProvisionedThroughputOverride": {"ReadCapacityUnits": 1, "WriteCapacityUnits": 1}},
     "ValidationException", "Cannot override ProvisionedThroughput unless BillingMode is PROVISIONED"),
    ("provisioned without units", {"UseLatestRestorableTime": True, "BillingModeOverride": "PROVISIONED"},
     "ValidationException", "Must override ProvisionedThroughput if BillingMode is overridden to PROVISIONED"),
]  # fmt: skip


@pytest.mark.parametrize(("body", "code", "text"), [row[1:] for row in REFUSALS], ids=[row[0] for row in REFUSALS])
def test_a_refused_restore_creates_nothing(body: dict[str, Any], code: str, text: str) -> None:
    async def scenario() -> None:
        world = World()
        await world.create()
        await world.create("Other")
        await world.recover()
        await world.pass_time(HOUR_MS)
        request = {"SourceTableName": "Things", "TargetTableName": "Restored"} | body
        with pytest.raises(ApiError) as refused:
            await world.call("RestoreTableToPointInTime", **request)
        assert refused.value.code == code and text in str(refused.value.message)
        assert await world.region.read(long_jobs.listed) == []
        assert (await world.call("ListTables"))["TableNames"] == ["Other", "Things"]

    asyncio.run(scenario())


def test_the_window_follows_the_period_and_begins_anew() -> None:
    async def scenario() -> None:
        world = World()
        await world.create()
        start = START_MS // 1000

        async def window(call: str = "DescribeContinuousBackups", **body: Any) -> Any:
            answer = await world.call(call, TableName="Things", **body)
            return answer["ContinuousBackupsDescription"]["PointInTimeRecoveryDescription"]

        assert await window() == {"PointInTimeRecoveryStatus": "DISABLED"}
        await world.recover()
        await world.pass_time(40 * 24 * HOUR_MS)
        now = start + 40 * 86_400
        on = {"PointInTimeRecoveryStatus": "ENABLED", "LatestRestorableDateTime": now}
        assert await window() == on | {"RecoveryPeriodInDays": 35, "EarliestRestorableDateTime": now - 35 * 86_400}
        await world.recover(RecoveryPeriodInDays=2)
        assert await window() == on | {"RecoveryPeriodInDays": 2, "EarliestRestorableDateTime": now - 2 * 86_400}
        off = {"PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": False}}
        assert await window("UpdateContinuousBackups", **off) == {"PointInTimeRecoveryStatus": "DISABLED"}
        await world.recover()
        assert await window() == on | {"RecoveryPeriodInDays": 35, "EarliestRestorableDateTime": now}

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"PointInTimeRecoveryEnabled": True, "RecoveryPeriodInDays": 36},
         "1 validation error detected: Value '36' at 'pointInTimeRecoverySpecification.recoveryPeriodInDays' failed to "
         "satisfy constraint: Member must have value less than or equal to 35"),
        ({"PointInTimeRecoveryEnabled": False, "RecoveryPeriodInDays": 3},
         "Invalid Request: Cannot specify RecoveryPeriodInDays when disabling point-in-time recovery."),
    ],
)  # fmt: skip
def test_an_impossible_period_is_refused(given: dict[str, Any], text: str) -> None:
    async def scenario() -> None:
        world = World()
        await world.create()
        with pytest.raises(ApiError) as refused:
            await world.call("UpdateContinuousBackups", TableName="Things", PointInTimeRecoverySpecification=given)
        assert refused.value.message == text

    asyncio.run(scenario())


async def restored(world: World, second: int | None, **overrides: Any) -> Any:
    """The description of a table restored as it was at a second after the start."""
    name = f"R{world.rng.randrange(10**9)}"
    chosen = {"UseLatestRestorableTime": True} if second is None else {"RestoreDateTime": START_MS // 1000 + second}
    await world.call("RestoreTableToPointInTime", SourceTableName="Things", TargetTableName=name, **chosen, **overrides)
    await world.runner.settle()
    return (await world.call("DescribeTable", TableName=name))["Table"]


def shape(table: Any) -> Any:
    """Billing, units and indexes with theirs."""
    units = table["ProvisionedThroughput"]
    indexes = [*table.get("GlobalSecondaryIndexes", ()), *table.get("LocalSecondaryIndexes", ())]
    return (
        table.get("BillingModeSummary", {}).get("BillingMode", "PROVISIONED"),
        (units["ReadCapacityUnits"], units["WriteCapacityUnits"]),
        {one["IndexName"]: one.get("ProvisionedThroughput", {}).get("ReadCapacityUnits") for one in indexes},
    )


async def changed_each_minute(world: World) -> None:
    """At 60 s the table is PROVISIONED, at 120 s it has other units, at 180 s its index is gone, at 240 s another."""
    await world.create()
    await world.recover()
    one, three = ({"ReadCapacityUnits": n, "WriteCapacityUnits": n} for n in (1, 3))
    steps: list[dict[str, Any]] = [
        {"BillingMode": "PROVISIONED", "ProvisionedThroughput": one,
         "GlobalSecondaryIndexUpdates": [{"Update": {"IndexName": "by-g", "ProvisionedThroughput": one}}]},
        {"ProvisionedThroughput": three},
        {"GlobalSecondaryIndexUpdates": [{"Delete": {"IndexName": "by-g"}}]},
        {"AttributeDefinitions": [{"AttributeName": "h", "AttributeType": "S"}],
         "GlobalSecondaryIndexUpdates": [{"Create": {
             "IndexName": "by-h", "KeySchema": [{"AttributeName": "h", "KeyType": "HASH"}],
             "Projection": {"ProjectionType": "ALL"}, "ProvisionedThroughput": three}}]},
    ]  # fmt: skip
    for step in steps:
        await world.pass_time(60_000)
        await world.call("PutItem", TableName="Things", Item={"pk": {"S": "a"}, "sk": {"N": "1"}, "g": {"S": "g"}})
        await world.call("UpdateTable", TableName="Things", **step)
    await world.pass_time(60_000)


def test_a_table_is_restored_with_the_definition_of_the_moment() -> None:
    async def scenario() -> None:
        world = World()
        await changed_each_minute(world)
        on_demand = ("PAY_PER_REQUEST", (0, 0), {"by-g": 0, "by-l": None})
        provisioned = ("PROVISIONED", (1, 1), {"by-g": 1, "by-l": None})
        expected = [
            (30, on_demand), (59, on_demand), (60, provisioned), (100, provisioned),
            (150, ("PROVISIONED", (3, 3), {"by-g": 1, "by-l": None})),
            (200, ("PROVISIONED", (3, 3), {"by-l": None})),
            (270, ("PROVISIONED", (3, 3), {"by-h": 3, "by-l": None})),
            (None, ("PROVISIONED", (3, 3), {"by-h": 3, "by-l": None})),
        ]  # fmt: skip
        for second, wanted in expected:
            assert (second, shape(await restored(world, second))) == (second, wanted)
        table = await restored(world, 100)
        assert table["ItemCount"] == len(await world.scan(table["TableName"], "by-g")) == 1
        assert findings(world.region) == []
        # Overrides go by the definition of the moment, too.
        renamed = {"IndexName": "renamed", "KeySchema": [{"AttributeName": "g", "KeyType": "HASH"}],
                   "Projection": {"ProjectionType": "ALL"}}  # fmt: skip
        assert shape(await restored(world, 100, GlobalSecondaryIndexOverride=[renamed]))[2] == {
            "renamed": 1, "by-l": None,
        }  # fmt: skip
        with pytest.raises(ApiError, match="does not match a secondary index that existed"):
            await restored(world, 200, GlobalSecondaryIndexOverride=[renamed])
        units = {"ReadCapacityUnits": 8, "WriteCapacityUnits": 8}
        with pytest.raises(ApiError, match="unless BillingMode is PROVISIONED"):
            await restored(world, 30, ProvisionedThroughputOverride=units)
        assert shape(await restored(world, 100, ProvisionedThroughputOverride=units))[1] == (8, 8)

    asyncio.run(scenario())


def test_definitions_are_kept_as_long_as_a_moment_needs_them() -> None:
    async def kept(world: World) -> int:
        return len(await world.region.read(lambda snapshot: list(documents.listed(snapshot, past_definitions.KIND))))

    async def scenario() -> None:
        world = World()
        await changed_each_minute(world)
        assert await kept(world) == 5
        await world.call("UpdateTable", TableName="Things", DeletionProtectionEnabled=True)
        assert await kept(world) == 5
        await world.pass_time(20_000)
        await world.call("UpdateTable", TableName="Things", DeletionProtectionEnabled=False)
        await world.pass_time(40 * 24 * HOUR_MS)
        units = {"ReadCapacityUnits": 9, "WriteCapacityUnits": 9}
        await world.call("UpdateTable", TableName="Things", ProvisionedThroughput=units)
        assert await kept(world) == 2
        second = world.clock.now_ms() // 1000 - START_MS // 1000
        assert shape(await restored(world, second - 24 * 3600))[1] == (3, 3)
        off = {"PointInTimeRecoveryEnabled": False}
        await world.call("UpdateContinuousBackups", TableName="Things", PointInTimeRecoverySpecification=off)
        assert await kept(world) == 0
        await world.recover()
        assert await kept(world) == 1
        await world.call("DeleteTable", TableName="Things")
        await world.pass_time(1000)
        assert await kept(world) == 0

    asyncio.run(scenario())
