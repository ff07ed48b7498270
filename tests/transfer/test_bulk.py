"""Bulk operations put items into a table, report what failed, keep to their rate, and resume after an interruption."""

from __future__ import annotations

import asyncio
import gzip
import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import zstandard

from atoll.database import documents
from atoll.database.region import Settings
from atoll.errors import ApiError
from atoll.recovery import long_jobs
from atoll.transfer import bulk, bulk_puts, sources
from atoll.transfer.buckets import Directories, Memory, Unreachable
from atoll.transfer.runner import runner_of
from tests import desk
from tests.engines import findings
from tests.recovery.worlds import World

BUCKET, RESULTS = "files-to-put", "results"
OUTPUT = {"S3Bucket": RESULTS, "OutputType": ["ERROR", "CONDITION_CHECK_FAILURE"]}
ONLY_NEW = {"ConditionExpression": "attribute_not_exists(pk)"}
COMPRESSIONS = {"NONE": bytes, "GZIP": gzip.compress, "ZSTD": zstandard.compress}


def lines(*records: Any) -> bytes:
    return b"".join(json.dumps(record).encode() + b"\n" for record in records)


def thing(name: Any, **members: Any) -> Any:
    return {"pk": {"S": str(name)}, "sk": {"N": "1"}, **members}


def put(name: Any, **members: Any) -> Any:
    return {"Item": thing(name), **members}


async def new_world(seed: int = 0, settings: Settings | None = None) -> World:
    world = World(seed, settings)
    await world.create()
    return world


async def begin(world: World, objects: dict[str, bytes] | None = None, **body: Any) -> Any:
    if objects is not None:
        world.buckets.buckets[BUCKET] = objects
    request = {
        "TableName": "Things",
        "InputS3Configuration": {"S3Bucket": BUCKET, "InputFormat": "DYNAMODB_JSON"},
        "OutputS3Configuration": OUTPUT,
    }
    return (await world.call("StartBulkPutItems", **request | body))["BulkOperationDescription"]


async def described(world: World, begun: Any) -> Any:
    found = await world.call("DescribeBulkOperation", BulkOperationArn=begun["BulkOperationArn"])
    return found["BulkOperationDescription"]


async def done(world: World, objects: dict[str, bytes], **body: Any) -> Any:
    begun = await begin(world, objects, **body)
    assert begun["BulkOperationStatus"] == "IN_PROGRESS"
    await world.runner.settle()
    return await described(world, begun)


def counts(description: Any) -> tuple[str, int, int]:
    return description["BulkOperationStatus"], description["ProcessedItemCount"], description["FailedItemCount"]


def output(world: World, kind: str, prefix: str = "AWSDynamoDB/") -> list[Any]:
    found: list[Any] = []
    for key, body in world.buckets.buckets.get(RESULTS, {}).items():
        if key.startswith(prefix) and f"/{kind}/" in key:
            found += map(json.loads, gzip.decompress(body).splitlines())
    return found


async def streamed(world: World) -> list[str]:
    """The names of all events in the table's stream."""
    target, table = "DynamoDBStreams_20120810", await world.call("DescribeTable", TableName="Things")
    arn, names = table["Table"]["LatestStreamArn"], []
    shards = await desk.call(world.region, "DescribeStream", {"StreamArn": arn}, target)
    for shard in shards["StreamDescription"]["Shards"]:
        start = {"StreamArn": arn, "ShardId": shard["ShardId"], "ShardIteratorType": "TRIM_HORIZON"}
        body = await desk.call(world.region, "GetShardIterator", start, target)
        page = await desk.call(world.region, "GetRecords", body, target)
        names += [record["eventName"] for record in page["Records"]]
    return names


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_items_are_put_with_their_index_entries_and_change_records(compression: str) -> None:
    async def scenario() -> None:
        world = await new_world()
        stream = {"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"}
        await world.call("UpdateTable", TableName="Things", StreamSpecification=stream)
        await world.call("PutItem", TableName="Things", Item=thing("0-0", old={"S": "x"}))
        pack: Any = COMPRESSIONS[compression]
        objects = {
            f"a/{n}": pack(lines(*({"Item": thing(f"{n}-{i}", g={"S": "g"})} for i in range(150)))) for n in (0, 1)
        }
        source = {"S3Bucket": BUCKET, "S3KeyPrefix": "a/", "InputFormat": "DYNAMODB_JSON"}
        source["InputCompressionType"] = compression
        ended = await done(world, {**objects, "b": b"no item"}, InputS3Configuration=source)
        assert counts(ended) == ("COMPLETED", 300, 0)
        assert ended["ProcessedInputBytes"] == ended["TotalInputBytes"] == sum(map(len, objects.values()))
        items = await world.scan("Things")
        assert len(items) == 300
        assert "old" not in items["0-0 1"]
        assert len(await world.scan("Things", "by-g")) == 300
        names = await streamed(world)
        assert (names.count("INSERT"), names.count("MODIFY")) == (300, 1)
        assert findings(world.region) == []

    asyncio.run(scenario())


def test_members_of_described_operations() -> None:
    async def scenario() -> None:
        world = await new_world()
        table = (await world.call("DescribeTable", TableName="Things"))["Table"]
        begun = await begin(world, {"x": lines({"Item": thing("a", g={"S": "g"}, l={"N": "1"})})},
                            ClientToken="t", TableName=table["TableArn"], PerformanceTier="ACCELERATED",
                            MaxWriteRequestUnits=2048)  # fmt: skip
        assert begun == {
            "BulkOperationArn": begun["BulkOperationArn"],
            "BulkOperationStatus": "IN_PROGRESS",
            "StartTime": 1_800_000_000.0,
            "TableDetails": [{"TableName": table["TableArn"], "TableId": table["TableId"]}],
            "ClientToken": "t",
            "InputS3Configuration": {"S3BucketOwner": "000000000000", "S3Bucket": BUCKET,
                                     "InputFormat": "DYNAMODB_JSON", "InputCompressionType": "NONE"},
            "OutputS3Configuration": {"S3BucketOwner": "000000000000", **OUTPUT},
            "ProcessedItemCount": 0, "FailedItemCount": 0, "ProcessedInputBytes": 0,
            "BulkOperationUsage": [
                {"TableName": table["TableArn"], "BulkPutBytes": 0, "Table": {"BulkPutBytes": 0}}
            ],
            "PerformanceTier": "ACCELERATED", "MaxWriteRequestUnits": 2048,
        }  # fmt: skip
        assert begun["BulkOperationArn"].startswith(table["TableArn"] + "/bulk-operation/")
        await world.runner.settle()
        ended = await described(world, begun)
        assert (ended["EndTime"], ended["TotalInputBytes"]) == (1_800_000_000.0, ended["ProcessedInputBytes"])
        (usage,) = ended["BulkOperationUsage"]
        size = 3 + 4 + 2 + 3  # pk, sk, g and l, by the published formula
        assert usage["Table"]["BulkPutBytes"] == size
        assert usage["GlobalSecondaryIndexes"] == {"by-g": {"BulkPutBytes": size}}
        local = usage["LocalSecondaryIndexes"]["by-l"]["BulkPutBytes"]
        assert 0 < local < size
        assert usage["BulkPutBytes"] == 2 * size + local
        table = (await world.call("DescribeTable", TableName="Things"))["Table"]
        assert table["TableSizeBytes"] == size

    asyncio.run(scenario())


def test_failed_records_and_conditions_are_reported() -> None:
    async def scenario() -> None:
        world = await new_world()
        await world.call("PutItem", TableName="Things", Item=thing("there", v={"S": "old"}))
        newer = {
            "ConditionExpression": "#v < :v", "ExpressionAttributeNames": {"#v": "v"},
            "ExpressionAttributeValues": {":v": {"S": "p"}},
        }  # fmt: skip
        body = lines(
            put("a", **ONLY_NEW),
            put("there", **ONLY_NEW),
            put("there", **newer),
            put("there", **newer),  # now it has no v
            put("absent", ConditionExpression="attribute_exists(pk)"),
            {"Item": {"pk": {"S": "no sort key"}}},
            put("b", ConditionExpression="nonsense"),
            put("b", ConditionExpression=5),
            put("b", ExpressionAttributeValues={":v": {"S": "p"}}),
            {"Item": thing("b", g={"N": "5"})},
        )
        ended = await done(world, {"x": body})
        assert counts(ended) == ("COMPLETED_WITH_ERRORS", 10, 5)
        assert "FailureCode" not in ended
        assert (await world.scan("Things")).keys() == {"a 1", "there 1"}
        pointer = {"bucket": BUCKET, "key": "x"}
        arn = ended["BulkOperationArn"]
        assert output(world, "condition-check-failure") == [
            {"itemS3Pointer": {**pointer, "itemIndex": number}, "bulkOperationArn": arn, "item": thing(name), **more}
            for number, name, more in (
                (1, "there", {"existingItem": thing("there", v={"S": "old"})}),
                (3, "there", {"existingItem": thing("there")}),
                (4, "absent", {}),
            )
        ]
        errors = output(world, "error")
        assert [one["itemS3Pointer"]["itemIndex"] for one in errors] == [5, 6, 7, 8, 9]
        assert [one["errorMessages"][0] for one in errors] == [
            "One or more parameter values were invalid: Missing the key sk in the item",
            'Invalid ConditionExpression: Syntax error; token: "<EOF>", near: "nonsense"',
            "The record's condition is malformed",
            "ExpressionAttributeValues can only be specified when using expressions: ConditionExpression is null",
            "One or more parameter values were invalid: Type mismatch for Index Key g Expected: S Actual: N "
            "IndexName: by-g",
        ]

    asyncio.run(scenario())


def test_failed_conditions_alone_complete_the_operation() -> None:
    async def scenario() -> None:
        world = await new_world()
        chosen = {"S3Bucket": RESULTS, "S3KeyPrefix": "logs/of", "OutputType": ["CONDITION_CHECK_FAILURE"]}
        body = lines(put("a"), put("a", **ONLY_NEW)) + b"{oops\n" + lines(put("never read"))
        ended = await done(world, {"x": body}, OutputS3Configuration=chosen)
        assert counts(ended) == ("COMPLETED_WITH_ERRORS", 3, 1)
        id_ = ended["BulkOperationArn"].rpartition("/")[2]
        root = f"logs/of/AWSDynamoDB/{id_}/"
        started, file = sorted(world.buckets.buckets[RESULTS], key=len)
        assert started == f"{root}_started"
        assert file.startswith(f"{root}condition-check-failure/")
        assert file.endswith(".json.gz")
        ended = await done(world, {"x": lines(put("a", **ONLY_NEW))})
        assert counts(ended) == ("COMPLETED", 1, 0)

    asyncio.run(scenario())


def test_ion() -> None:
    async def scenario() -> None:
        world = await new_world()
        body = b"""$ion_1_0 {Item:{pk:"a",sk:1,v:5}}
{Item:{pk:"a",sk:1,v:6},ConditionExpression:"#v < :v",ExpressionAttributeNames:{'#v':"v"},\
ExpressionAttributeValues:{':v':7}}
{Item:{pk:"a",sk:1,v:8},ConditionExpression:"#v < :v",ExpressionAttributeNames:{'#v':"v"},\
ExpressionAttributeValues:{':v':1d0}}
"""
        source = {"S3Bucket": BUCKET, "InputFormat": "ION"}
        assert counts(await done(world, {"x": body}, InputS3Configuration=source)) == ("COMPLETED", 3, 0)
        assert await world.scan("Things") == {"a 1": thing("a", v={"N": "6"})}
        (failed,) = output(world, "condition-check-failure")
        assert failed["item"] == thing("a", v={"N": "8"})

    asyncio.run(scenario())


def test_the_rate_is_kept_and_the_table_is_not_charged() -> None:
    async def scenario() -> None:
        world = await new_world()
        units = {"ReadCapacityUnits": 1, "WriteCapacityUnits": 1}
        index = {"Update": {"IndexName": "by-g", "ProvisionedThroughput": units}}
        await world.call(
            "UpdateTable", TableName="Things", BillingMode="PROVISIONED", ProvisionedThroughput=units,
            GlobalSecondaryIndexUpdates=[index],
        )  # fmt: skip
        body = lines(*({"Item": thing(n, g={"S": "g"})} for n in range(5000)))
        begun = await begin(world, {"x": body}, MaxWriteRequestUnits=1024)
        seconds = 0.0
        while (wake_ms := await world.runner.settle()) is not None:
            ended = await described(world, begun)
            assert 2 * ended["ProcessedItemCount"] <= 1024 * seconds + 2 * sources.RECORDS
            seconds += (wake_ms - world.clock.now_ms()) / 1000
            world.clock.set(wake_ms)
        assert counts(await described(world, begun)) == ("COMPLETED", 5000, 0)
        assert 9.5 <= seconds <= 10.5  # 10,000 units with those of the index
        await world.call("PutItem", TableName="Things", Item=thing("x"))

    asyncio.run(scenario())


def test_the_standard_tier_rests_as_long_as_it_works(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "RECORDS", 1)

    async def waits(tier: str, step_ms: int = 700) -> list[int | None]:
        world = await new_world()
        put_object = world.buckets.put

        async def slow_put(bucket: str, key: str, body: bytes) -> str:
            world.clock.advance(step_ms)
            return await put_object(bucket, key, body)

        world.buckets.put = slow_put  # type: ignore[method-assign]
        await begin(world, {"x": lines(put("a"))}, PerformanceTier=tier)
        wake_ms = await world.runner.settle()
        return [None if wake_ms is None else wake_ms - world.clock.now_ms(), len(await world.scan("Things"))]

    assert asyncio.run(waits("STANDARD")) == [700, 0]
    assert asyncio.run(waits("STANDARD", 365 * 86_400_000)) == [bulk_puts.REST_MS, 0]  # the clock was moved
    assert asyncio.run(waits("ACCELERATED")) == [None, 1]


def test_records_that_are_nested_too_deeply() -> None:
    async def scenario() -> None:
        world = await new_world()
        deep = b"[" * 600 + b"]" * 600
        source = {"S3Bucket": BUCKET, "InputFormat": "ION"}
        objects = {"x": b'{Item:{pk:"a",sk:1,x:%s}}\n{Item:{pk:"b",sk:1}}' % deep}
        ended = await done(world, objects, InputS3Configuration=source)
        assert counts(ended) == ("COMPLETED_WITH_ERRORS", 2, 1)
        (line,) = output(world, "error")
        assert line["errorMessages"][0].startswith("Nesting Levels have exceeded supported limits")

    asyncio.run(scenario())


@pytest.mark.parametrize("fault", ["a loop", "a name", "a link out of the bucket"])
def test_files_that_cannot_be_read_end_the_operation(tmp_path: Path, fault: str) -> None:
    bucket = tmp_path / BUCKET
    if fault == "a loop":
        bucket.symlink_to(bucket)
    else:
        bucket.mkdir()
        (tmp_path / "secret").write_bytes(lines(put("a")))
    if fault == "a name":
        (Path(os.fsdecode(os.fsencode(bucket) + b"/\xff"))).write_bytes(lines(put("a")))
    elif fault == "a link out of the bucket":
        (bucket / "x").symlink_to(tmp_path / "secret")

    async def scenario() -> None:
        world = await new_world()
        world.runner = runner_of(world.region, Directories(tmp_path))
        begun = await begin(world)
        for _ in range(bulk_puts.ATTEMPTS):
            with suppress(ExceptionGroup):
                await world.runner.settle()
        found = await described(world, begun)
        assert found["BulkOperationStatus"] == "FAILED"
        assert found["FailureCode"] in ("S3AccessDenied", "S3NoSuchBucket")  # Python says of a loop what it likes
        assert await world.scan("Things") == {}

    asyncio.run(scenario())


class Bursting(Memory):
    """A bucket that cannot be reached when its turn comes."""

    def __init__(self, failures: int) -> None:
        super().__init__()
        self.failures = failures

    async def put(self, bucket: str, key: str, body: bytes) -> str:
        if self.failures and "/error/" in key:
            self.failures -= 1
            raise Unreachable("reset")
        return await super().put(bucket, key, body)


@pytest.mark.parametrize("seed", range(6))
def test_an_interrupted_operation_continues_and_counts_nothing_twice(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At each step the process may lose everything but the store. Each condition would fail a second time."""
    monkeypatch.setattr(sources, "RECORDS", 7)
    monkeypatch.setattr(bulk_puts, "FILE_BYTES", 2000)
    monkeypatch.setattr(bulk, "CHUNK_BYTES", 300)

    async def scenario() -> None:
        world = await new_world(seed)
        world.buckets = Bursting(2)
        body = gzip.compress(lines(*(put(n, **ONLY_NEW) for n in [*range(40), *range(10)]), {"Item": {}}))
        begun = await begin(world, dict.fromkeys("abc", body), InputS3Configuration={
            "S3Bucket": BUCKET, "InputFormat": "DYNAMODB_JSON", "InputCompressionType": "GZIP"})  # fmt: skip
        world.runner = runner_of(world.region, world.buckets)
        while waiting := await world.region.read(long_jobs.listed):
            if world.rng.random() < 0.4:
                world.runner = runner_of(world.region, world.buckets)
            try:
                await world.runner._steps[bulk.JOB](world.region, waiting[0])
            except Unreachable:
                continue
        assert counts(await described(world, begun)) == ("COMPLETED_WITH_ERRORS", 153, 3)
        assert len(await world.scan("Things")) == 40
        pointers = [one["itemS3Pointer"] for one in output(world, "condition-check-failure")]
        failed = [(one["key"], one["itemIndex"]) for one in pointers]
        assert sorted(failed) == [("a", n) for n in range(40, 50)] + [(key, n) for key in "bc" for n in range(50)]
        assert len(output(world, "error")) == 3
        assert len([key for key in world.buckets.buckets[RESULTS] if "condition" in key]) > 5
        assert findings(world.region) == []

    asyncio.run(scenario())


@pytest.mark.parametrize("steps", range(8))
def test_an_operation_can_be_cancelled_at_any_step(steps: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "RECORDS", 3)

    async def scenario() -> None:
        world = await new_world()
        begun = await begin(world, {"x": lines(*map(put, range(6)), {"Item": {}})}, MaxWriteRequestUnits=1024)
        (job,) = await world.region.read(long_jobs.listed)
        for _ in range(steps):
            world.clock.advance(60_000)
            await world.runner._steps[bulk.JOB](world.region, job)
        if not await world.region.read(long_jobs.listed):
            with pytest.raises(ApiError) as refused:
                await world.call("CancelBulkOperation", BulkOperationArn=begun["BulkOperationArn"])
            assert refused.value.code == "ValidationException"
            return
        put_before = await world.scan("Things")
        for _ in range(2):
            answer = await world.call("CancelBulkOperation", BulkOperationArn=begun["BulkOperationArn"])
            assert answer == {"BulkOperationArn": begun["BulkOperationArn"], "BulkOperationStatus": "CANCELLING"}
        assert (await described(world, begun))["BulkOperationStatus"] == "CANCELLING"
        await world.runner.settle()
        ended = await described(world, begun)
        assert (ended["BulkOperationStatus"], ended["FailureCode"]) == ("CANCELLED", "CANCELLED")
        assert await world.scan("Things") == put_before
        assert len(output(world, "error")) == ended["FailedItemCount"]
        assert list(await world.region.read(lambda snapshot: list(documents.listed(snapshot, bulk.OUTPUT)))) == []

    asyncio.run(scenario())


def test_a_cancel_during_a_step_wins() -> None:
    async def scenario() -> None:
        world = await new_world()
        begun = await begin(world, {"x": lines(*map(put, range(5)))})
        read = world.buckets.read

        async def cancelling(bucket: str, key: str) -> Any:
            await world.call("CancelBulkOperation", BulkOperationArn=begun["BulkOperationArn"])
            async for piece in read(bucket, key):
                yield piece

        world.buckets.read = cancelling  # type: ignore[method-assign]
        await world.runner.settle()
        assert counts(await described(world, begun)) == ("CANCELLED", 0, 0)
        assert await world.scan("Things") == {}

    asyncio.run(scenario())


def test_failures_of_the_whole_operation() -> None:
    async def ended(change: Any, **body: Any) -> tuple[str, str, str]:
        world = await new_world()
        begun = await begin(world, {"x": lines(put("a"))}, **body)
        await change(world)
        await world.runner.settle()
        found = await described(world, begun)
        return found["BulkOperationStatus"], found["FailureCode"], found["FailureMessage"]

    async def nothing(world: World) -> None:
        pass

    async def drop(world: World) -> None:
        await world.call("DeleteTable", TableName="Things")
        await world.create()

    absent = {"S3Bucket": "absent", "InputFormat": "DYNAMODB_JSON"}
    status, code, text = asyncio.run(ended(nothing, InputS3Configuration=absent))
    assert (status, code) == ("FAILED", "S3NoSuchBucket")
    assert text.startswith("The specified bucket does not exist")
    assert asyncio.run(ended(drop)) == ("FAILED", "TableNotFoundException", "Table not found: Things")


def test_requests_that_are_refused() -> None:
    async def scenario() -> None:
        world = await new_world()
        first = await begin(world, {"x": b""}, ClientToken="t")
        assert (await begin(world, ClientToken="t"))["BulkOperationArn"] == first["BulkOperationArn"]
        arn = first["BulkOperationArn"]
        csv, other = {"S3Bucket": BUCKET, "InputFormat": "CSV"}, arn.replace("bulk-operation", "import")
        mismatch = "IdempotentParameterMismatchException"
        cases: list[tuple[str, dict[str, Any], str]] = [
            ("StartBulkPutItems", {"TableName": "Absent"}, "ResourceNotFoundException"),
            ("StartBulkPutItems", {"ClientToken": "t", "MaxWriteRequestUnits": 5000}, mismatch),
            ("StartBulkPutItems", {"MaxWriteRequestUnits": 1023}, "ValidationException"),
            ("StartBulkPutItems", {"PerformanceTier": "FAST"}, "ValidationException"),
            ("StartBulkPutItems", {"OutputS3Configuration": {"OutputType": ["ERROR"]}}, "ValidationException"),
            ("StartBulkPutItems", {"OutputS3Configuration": {**OUTPUT, "S3SseKmsKeyId": "k"}}, "ValidationException"),
            ("StartBulkPutItems", {"InputS3Configuration": csv}, "ValidationException"),
            ("DescribeBulkOperation", {"BulkOperationArn": arn[:-1] + "x"}, "ResourceNotFoundException"),
            ("DescribeBulkOperation", {"BulkOperationArn": other}, "ValidationException"),
            ("CancelBulkOperation", {"BulkOperationArn": arn[:-1] + "x"}, "ResourceNotFoundException"),
            ("ListBulkOperations", {"NextToken": "0" * 112}, "ValidationException"),
            ("ListBulkOperations", {"MaxResults": 26}, "ValidationException"),
        ]  # fmt: skip
        for operation, body, code in cases:
            with pytest.raises(ApiError) as refused:
                if operation == "StartBulkPutItems":
                    await begin(world, **body)
                else:
                    await world.call(operation, **body)
            assert (operation, refused.value.code) == (operation, code), body
        for _ in range(49):
            await begin(world)
        with pytest.raises(ApiError) as refused:
            await begin(world)
        assert refused.value.code == "LimitExceededException"

    asyncio.run(scenario())


def test_lists_are_paged_newest_first_for_90_days() -> None:
    async def scenario() -> None:
        world = await new_world()
        made = []
        for _ in range(5):
            made.append((await done(world, {}))["BulkOperationArn"])
            await world.pass_time(1000)
        found: list[str] = []
        body: dict[str, Any] = {"MaxResults": 2}
        while True:
            page = await world.call("ListBulkOperations", **body)
            found += [one["BulkOperationArn"] for one in page["BulkOperationsSummaryList"]]
            if "NextToken" not in page:
                break
            body["NextToken"] = page["NextToken"]
        assert found == made[::-1]
        assert page["BulkOperationsSummaryList"][0].keys() == {
            "BulkOperationArn", "BulkOperationStatus", "StartTime", "EndTime",
        }  # fmt: skip
        await world.pass_time(91 * 24 * 3600 * 1000)
        assert (await world.call("ListBulkOperations"))["BulkOperationsSummaryList"] == []

    asyncio.run(scenario())
