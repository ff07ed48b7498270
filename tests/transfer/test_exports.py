"""Exports have the items of a moment or the net changes of a window, in files laid out as the service's are."""

from __future__ import annotations

import asyncio
import base64
import gzip
import hashlib
import json
import re
from pathlib import Path
from typing import Any

import pytest

from atoll.database import moment
from atoll.errors import ApiError
from atoll.recovery import long_jobs
from atoll.transfer import changes, exports
from atoll.transfer.buckets import Directories, NoSuchBucket, Unreachable
from atoll.transfer.runner import runner_of
from tests.engines import findings
from tests.recovery.worlds import START_MS, State, World

MINUTE_MS = 60_000
DAY_MS = 24 * 60 * MINUTE_MS
ARN = "arn:aws:dynamodb:us-east-1:000000000000:table/Things"
BUCKET = "exported-things"
OPERATION = "ExportTableToPointInTime"


async def export(world: World, *, meanwhile: bool = False, **body: Any) -> Any:
    """The description of a completed export."""
    begun = (await world.call(OPERATION, TableArn=ARN, S3Bucket=BUCKET, **body))["ExportDescription"]
    assert begun["ExportStatus"] == "IN_PROGRESS"
    if meanwhile:
        step = exports.Exporter(world.buckets).step
        while waiting := await world.region.read(long_jobs.listed):
            await world.change()
            await world.pass_time(10)
            await step(world.region, waiting[0])
    else:
        await world.runner.settle()
    return (await world.call("DescribeExport", ExportArn=begun["ExportArn"]))["ExportDescription"]


def records(world: World, description: Any) -> list[Any]:
    """All lines of the data files, found and verified as a reader of the manifests would."""
    objects = world.buckets.buckets[BUCKET]
    summary_key = description["ExportManifest"]
    summary = verified(objects, summary_key)
    found: list[Any] = []
    for line in objects[json.loads(summary)["manifestFilesS3Key"]].splitlines():
        entry = json.loads(line)
        assert list(entry) == ["itemCount", "md5Checksum", "etag", "dataFileS3Key"]
        body = objects[entry["dataFileS3Key"]]
        assert base64.b64encode(hashlib.md5(body).digest()).decode() == entry["md5Checksum"]
        lines = gzip.decompress(body).splitlines()
        assert len(lines) == entry["itemCount"]
        found += [json.loads(one) for one in lines]
    verified(objects, json.loads(summary)["manifestFilesS3Key"])
    assert json.loads(summary)["itemCount"] == len(found) == description["ItemCount"]
    return found


def verified(objects: dict[str, bytes], key: str) -> bytes:
    body = objects[key]
    assert base64.b64encode(hashlib.md5(body).digest()) == objects[key.removesuffix(".json") + ".md5"]
    return body


def by_key(items: list[Any]) -> State:
    return {f"{item['pk']['S']} {item['sk']['N']}": item for item in items}


async def written(seed: int, minutes: int = 60) -> World:
    world = World(seed)
    await world.create()
    await world.recover()
    world.note()
    for _ in range(minutes):
        for _ in range(world.rng.randrange(4)):
            await world.change()
        await world.pass_time(MINUTE_MS)
    return world


@pytest.mark.parametrize("seed", range(3))
def test_a_full_export_has_the_items_of_its_moment(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(moment, "ITEMS", 5)
    monkeypatch.setattr(moment, "CHANGES", 50)
    monkeypatch.setattr(exports, "FILE_BYTES", 700)

    async def scenario() -> None:
        world = await written(seed)
        for meanwhile in (True, False):
            second = world.rng.randrange(START_MS // 1000, world.clock.now_ms() // 1000)
            done = await export(world, meanwhile=meanwhile, ExportTime=second)
            assert (done["ExportStatus"], done["ExportTime"]) == ("COMPLETED", second)
            lines = records(world, done)
            assert all(list(line) == ["Item"] for line in lines)
            assert by_key([line["Item"] for line in lines]) == world.state_at(second * 1000)
        assert findings(world.region) == []

    asyncio.run(scenario())


@pytest.mark.parametrize("seed", range(3))
def test_an_export_of_the_present_excludes_later_writes_of_the_same_millisecond(seed: int) -> None:
    """The clock stands still from the writes before the request until the export is complete."""

    async def scenario() -> None:
        world = await written(seed)
        for _ in range(5):
            await world.change()
        now_ms = world.clock.now_ms()
        before = world.state_at(now_ms)
        begun = (await world.call(OPERATION, TableArn=ARN, S3Bucket=BUCKET))["ExportDescription"]
        for _ in range(20):
            await world.change()
        assert world.clock.now_ms() == now_ms and world.state_at(now_ms) != before
        await world.runner.settle()
        done = (await world.call("DescribeExport", ExportArn=begun["ExportArn"]))["ExportDescription"]
        assert by_key([line["Item"] for line in records(world, done)]) == before

    asyncio.run(scenario())


@pytest.mark.parametrize("seed", range(4))
def test_an_incremental_export_has_the_net_effect_of_its_window(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(changes, "ITEMS", 5)
    monkeypatch.setattr(changes, "CHANGES", 50)
    monkeypatch.setattr(exports, "FILE_BYTES", 700)

    async def scenario() -> None:
        world = await written(seed)
        for view in ("NEW_AND_OLD_IMAGES", "NEW_IMAGE"):
            first = START_MS // 1000 + world.rng.randrange(40 * 60)
            last = first + 15 * 60 + world.rng.randrange(200)
            window = {"ExportFromTime": first, "ExportToTime": last, "ExportViewType": view}
            done = await export(
                world, meanwhile=True, ExportType="INCREMENTAL_EXPORT", IncrementalExportSpecification=window
            )
            before, after = world.state_at(first * 1000 - 1), world.state_at(last * 1000 - 1)
            expected = {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}
            lines = records(world, done)
            assert by_key([line["Keys"] for line in lines]).keys() == expected
            for line in lines:
                name = f"{line['Keys']['pk']['S']} {line['Keys']['sk']['N']}"
                assert line.get("NewImage") == after.get(name)
                assert line.get("OldImage") == (before.get(name) if view == "NEW_AND_OLD_IMAGES" else None)
                micros = int(line["Metadata"]["WriteTimestampMicros"]["N"])
                assert first * 1_000_000 <= micros < last * 1_000_000
            summary = json.loads(world.buckets.buckets[BUCKET][done["ExportManifest"]])
            assert (summary["version"], summary["outputView"]) == ("2023-08-01", view)
        assert findings(world.region) == []

    asyncio.run(scenario())


def test_layout_of_the_files() -> None:
    async def scenario() -> None:
        world = World()
        await world.create()
        await world.recover()
        done = await export(world, S3Prefix="a/b", ExportFormat="ION")
        objects = world.buckets.buckets[BUCKET]
        root = f"a/b/AWSDynamoDB/{done['ExportArn'].rpartition('/')[2]}/"
        assert done["ExportManifest"] == root + "manifest-summary.json"
        data = [key for key in objects if key.startswith(root + "data/")]
        assert len(data) == 4  # one for each partition of a new table on demand
        assert all(re.fullmatch(r"[a-z2-7]{26}\.ion\.gz", key.rpartition("/")[2]) for key in data)
        assert all(gzip.decompress(objects[key]) == b"" for key in data)
        names = {
            "_started",
            "manifest-files.json",
            "manifest-files.md5",
            "manifest-summary.json",
            "manifest-summary.md5",
        }
        assert objects.keys() == {root + name for name in names} | set(data)
        assert objects[root + "_started"] == b""
        summary = json.loads(objects[done["ExportManifest"]])
        assert list(summary) == [
            "version", "exportArn", "startTime", "endTime", "tableArn", "tableId", "exportTime", "s3Bucket", "s3Prefix",
            "s3SseAlgorithm", "s3SseKmsKeyId", "manifestFilesS3Key", "billedSizeBytes", "itemCount", "outputFormat",
        ]  # fmt: skip
        assert (summary["s3Prefix"], summary["s3SseKmsKeyId"], summary["outputFormat"]) == ("a/b", None, "ION")
        assert summary["exportTime"] == "2027-01-15T08:00:00.000Z"

    asyncio.run(scenario())


def test_a_filter_chooses_items_and_attributes() -> None:
    async def scenario() -> None:
        world = World()
        await world.create()
        await world.recover()
        for number in range(10):
            item = {"pk": {"S": f"p{number % 2}"}, "sk": {"N": str(number)}, "v": {"N": str(number)}, "x": {"S": "y"}}
            await world.call("PutItem", TableName="Things", Item=item)
        specification = {
            "KeyConditionExpression": "pk = :p", "FilterExpression": "#v > :v", "ProjectionExpression": "pk, #v",
            "ExpressionAttributeNames": {"#v": "v"}, "ExpressionAttributeValues": {":p": {"S": "p1"}, ":v": {"N": "3"}},
        }  # fmt: skip
        done = await export(world, FilterSpecification=specification)
        assert done["FilterSpecification"] == specification
        found = sorted(line["Item"]["v"]["N"] for line in records(world, done))
        assert found == ["5", "7", "9"]
        assert records(world, done)[0]["Item"].keys() == {"pk", "v"}

    asyncio.run(scenario())


def test_a_token_begins_one_export() -> None:
    async def scenario() -> None:
        world = await written(0, 1)
        request = {"TableArn": ARN, "S3Bucket": BUCKET, "ClientToken": "t"}
        first, again = [(await world.call(OPERATION, **request))["ExportDescription"] for _ in range(2)]
        assert first == again
        with pytest.raises(ApiError) as refused:
            await world.call(OPERATION, **request, S3Prefix="other")
        assert refused.value.code == "ExportConflictException"
        await world.runner.settle()
        repeated = (await world.call(OPERATION, **request))["ExportDescription"]
        assert (repeated["ExportArn"], repeated["ExportStatus"]) == (first["ExportArn"], "COMPLETED")
        await world.pass_time(9 * 3600 * 1000)
        assert (await world.call(OPERATION, **request))["ExportDescription"]["ExportArn"] != first["ExportArn"]

    asyncio.run(scenario())


def test_lists_are_paged_newest_first_and_know_the_table() -> None:
    async def scenario() -> None:
        world = await written(0, 1)
        made = []
        for _ in range(5):
            made.append((await export(world))["ExportArn"])
            await world.pass_time(1000)

        async def listed(**body: Any) -> list[str]:
            found: list[str] = []
            while True:
                page = await world.call("ListExports", **body)
                found += [one["ExportArn"] for one in page["ExportSummaries"]]
                if "NextToken" not in page:
                    return found
                body["NextToken"] = page["NextToken"]

        assert await listed(MaxResults=2) == made[::-1]
        assert await listed(TableArn=ARN) == made[::-1]
        page = await world.call("ListExports", MaxResults=1)
        assert page["ExportSummaries"] == [
            {"ExportArn": made[-1], "ExportStatus": "COMPLETED", "ExportType": "FULL_EXPORT"}
        ]
        await world.call("DeleteTable", TableName="Things")
        assert await listed(TableArn=ARN) == []
        assert (await world.call("DescribeExport", ExportArn=made[0]))["ExportDescription"]["ExportArn"] == made[0]

    asyncio.run(scenario())


class Failing:
    """A store without the bucket, or that refuses."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    async def put(self, bucket: str, key: str, body: bytes) -> str:
        raise self._error


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        (NoSuchBucket(), "S3NoSuchBucket", "The specified bucket does not exist (Service: Amazon S3;"),
        (Unreachable("no rights"), "S3AccessDenied", "no rights"),
    ],
)
def test_an_export_that_cannot_write_fails(error: Exception, code: str, text: str) -> None:
    async def scenario() -> None:
        world = await written(0, 1)
        begun = (await world.call(OPERATION, TableArn=ARN, S3Bucket=BUCKET))["ExportDescription"]
        (job,) = await world.region.read(long_jobs.listed)
        await exports.Exporter(Failing(error)).step(world.region, job)  # type: ignore[arg-type]
        failed = (await world.call("DescribeExport", ExportArn=begun["ExportArn"]))["ExportDescription"]
        assert (failed["ExportStatus"], failed["FailureCode"]) == ("FAILED", code)
        assert failed["FailureMessage"].startswith(text)
        assert await world.region.read(long_jobs.listed) == []
        assert findings(world.region) == []

    asyncio.run(scenario())


@pytest.mark.parametrize("prefix", ["a\0b", "../..", "x" * 300])
def test_export_to_a_name_that_no_file_can_have_fails(prefix: str, tmp_path: Path) -> None:
    async def scenario() -> None:
        world = await written(0, 1)
        world.runner = runner_of(world.region, Directories(tmp_path / "s3"))
        described = await export(world, S3Prefix=prefix)
        assert described["ExportStatus"] == "FAILED"
        assert described["FailureCode"] == "S3AccessDenied"
        assert await world.region.read(long_jobs.listed) == []

    asyncio.run(scenario())


@pytest.mark.parametrize("prefix", ["", "x"])
def test_objects_of_a_name_that_no_directory_can_have(prefix: str, tmp_path: Path) -> None:
    with pytest.raises(Unreachable):
        asyncio.run(Directories(tmp_path).objects("a\0b", prefix))


NOW = START_MS // 1000 + 3600
INCREMENTAL = {"ExportType": "INCREMENTAL_EXPORT"}
REFUSALS: list[tuple[str, dict[str, Any], str, str]] = [
    ("bare name", {"TableArn": "Things"}, "ValidationException",
     "One or more parameter values were invalid: tableArn is not a valid ARN"),
    ("index", {"TableArn": ARN + "/index/by-g"}, "ValidationException", "Invalid Request: Table ARN is invalid."),
    ("another account", {"TableArn": ARN.replace("000000000000", "999999999999")}, "AccessDeniedException",
     "Access is denied"),
    ("unknown table", {"TableArn": ARN + "-not"}, "TableNotFoundException", f"Table not found: {ARN}-not"),
    ("recovery off", {"TableArn": ARN.replace("Things", "Other")}, "PointInTimeRecoveryUnavailableException",
     "Point in time recovery is not enabled for table 'Other'"),
    ("future", {"ExportTime": NOW + 60}, "InvalidExportTimeException", "Export Time is invalid"),
    ("before the window", {"ExportTime": NOW - 7200}, "InvalidExportTimeException", "Export Time is invalid"),
    ("key without KMS", {"S3SseKmsKeyId": "k"}, "ValidationException",
     "Invalid Request: KMS Key Id is not supported for this encryption type"),
    ("empty filter", {"FilterSpecification": {}}, "ValidationException",
     "Invalid Request: Invalid FilterSpecification: The specification can not be empty"),
    ("window without type", {"IncrementalExportSpecification": {}}, "ValidationException",
     "Invalid Request: Export Type expected to be Incremental Export when incremental export specification is "
     "provided"),
    ("window of a full export", {"ExportType": "FULL_EXPORT", "IncrementalExportSpecification": {}},
     "ValidationException",
     "Invalid Request: When Export Type is Full Export , Incremental Export Specification should not be provided"),
    ("no window", INCREMENTAL, "ValidationException",
     "Invalid Request: Incremental Export Specification expected when export type is set as Incremental Export"),
    ("no beginning", INCREMENTAL | {"IncrementalExportSpecification": {}}, "ValidationException",
     "Invalid Request: ExportFromTime must be provided in IncrementalExportSpecification"),
    ("before the table", INCREMENTAL | {"IncrementalExportSpecification": {"ExportFromTime": NOW - 3601}},
     "InvalidExportTimeException",
     "Incremental export period from time cannot be less than the table creation time : 2027-01-15T08:00:00Z"),
    ("after now", INCREMENTAL | {"IncrementalExportSpecification": {"ExportFromTime": NOW - 3000,
                                                                    "ExportToTime": NOW + 1}},
     "InvalidExportTimeException",
     "Incremental export period to time cannot be greater than the current time : 2027-01-15T09:00:00Z"),
    ("too short", INCREMENTAL | {"IncrementalExportSpecification": {"ExportFromTime": NOW - 899}},
     "InvalidExportTimeException",
     "Difference between export period from time and export period to time is less than 15 minutes"),
]  # fmt: skip


@pytest.mark.parametrize(("body", "code", "text"), [row[1:] for row in REFUSALS], ids=[row[0] for row in REFUSALS])
def test_a_refused_export_begins_nothing(body: dict[str, Any], code: str, text: str) -> None:
    async def scenario() -> None:
        world = World()
        await world.create()
        await world.create("Other")
        await world.recover()
        await world.pass_time(3_600_000)
        with pytest.raises(ApiError) as refused:
            await world.call(OPERATION, **{"TableArn": ARN, "S3Bucket": BUCKET} | body)
        assert (refused.value.code, refused.value.message) == (code, text)
        assert await world.region.read(long_jobs.listed) == []

    asyncio.run(scenario())


def counted_reads(world: World) -> list[int]:
    """Counts the reads and transactions of the region, from now on."""
    count = [0]
    engine = world.region.engine
    read, transact = engine.read, engine.transact

    def counting(run: Any) -> Any:
        def counted(fn: Any) -> Any:
            count[0] += 1
            return run(fn)

        return counted

    engine.read, engine.transact = counting(read), counting(transact)  # type: ignore[method-assign]
    return count


@pytest.mark.parametrize("kind", ["FULL_EXPORT", "INCREMENTAL_EXPORT"])
def test_a_step_reads_a_bounded_amount_whatever_its_filter_selects(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(moment, "ITEMS", 5)
    monkeypatch.setattr(moment, "CHANGES", 5)
    monkeypatch.setattr(changes, "ITEMS", 5)
    monkeypatch.setattr(changes, "CHANGES", 5)
    monkeypatch.setattr(exports, "STEP_ROWS", 20)
    monkeypatch.setattr(exports, "FILE_ROWS", 300)

    async def scenario() -> None:
        world = World()
        await world.create()
        await world.recover()
        for number in range(1000):
            item = {"pk": {"S": f"p{number}"}, "sk": {"N": "1"}, "v": {"N": str(number)}}
            await world.call("PutItem", TableName="Things", Item=item)
        await world.pass_time(20 * 60_000)
        chosen = {
            "FilterExpression": "v IN (:a, :b)",
            "ExpressionAttributeValues": {":a": {"N": "7"}, ":b": {"N": "8"}},
        }
        window = {"ExportFromTime": START_MS // 1000, "ExportToTime": START_MS // 1000 + 1000}
        more: dict[str, Any] = {"IncrementalExportSpecification": window} if kind != "FULL_EXPORT" else {}
        begun = await world.call(
            "ExportTableToPointInTime",
            TableArn=ARN,
            S3Bucket=BUCKET,
            ExportType=kind,
            FilterSpecification=chosen,
            **more,
        )
        count = counted_reads(world)
        steps = 0
        while waiting := await world.region.read(long_jobs.listed):
            count[0] = 0
            if world.rng.random() < 0.02:
                world.runner = runner_of(world.region, world.buckets)
            await world.runner._steps["export"](world.region, waiting[0])
            assert count[0] <= 15
            steps += 1
        assert steps > 40
        found = await world.call("DescribeExport", ExportArn=begun["ExportDescription"]["ExportArn"])
        done = found["ExportDescription"]
        assert (done["ExportStatus"], done["ItemCount"]) == ("COMPLETED", 2)
        lines = [
            line
            for key, body in world.buckets.buckets[BUCKET].items()
            if "/data/" in key
            for line in gzip.decompress(body).splitlines()
        ]
        assert len(lines) == 2

    asyncio.run(scenario())


def test_documents_of_exports_are_deleted_after_90_days() -> None:
    async def scenario() -> None:
        world = await written(0, minutes=3)
        description = await export(world)
        await world.pass_time(89 * DAY_MS)
        assert await world.region.read(lambda snapshot: len(list(exports.listed(snapshot)))) == 1
        assert (await world.call("ListExports"))["ExportSummaries"]
        await world.pass_time(2 * DAY_MS)
        assert await world.region.read(lambda snapshot: list(exports.listed(snapshot))) == []
        with pytest.raises(ApiError):
            await world.call("DescribeExport", ExportArn=description["ExportArn"])

    asyncio.run(scenario())


def test_an_export_that_begins_a_file_again_has_the_items_of_its_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Items that it had read into the file have changed since, and the log with their old images was read on."""
    monkeypatch.setattr(moment, "ITEMS", 5)
    monkeypatch.setattr(exports, "STEP_ROWS", 20)
    monkeypatch.setattr(exports, "FILE_ROWS", 100)

    async def scenario() -> None:
        world = World()
        await world.create()
        await world.recover()

        async def put(number: int, value: int) -> None:
            item = {"pk": {"S": f"p{number}"}, "sk": {"N": "1"}, "v": {"N": str(value)}}
            await world.call("PutItem", TableName="Things", Item=item)

        for number in range(200):
            await put(number, 0)
        await world.pass_time(1_000)
        begun = await world.call(OPERATION, TableArn=ARN, S3Bucket=BUCKET)
        value = 0
        while waiting := await world.region.read(long_jobs.listed):
            if world.rng.random() < 0.3:
                world.runner = runner_of(world.region, world.buckets)
            for _ in range(5):
                value += 1
                await world.pass_time(10)
                await put(world.rng.randrange(400), value)
            await world.runner._steps["export"](world.region, waiting[0])
        found = await world.call("DescribeExport", ExportArn=begun["ExportDescription"]["ExportArn"])
        exported = [one["Item"] for one in records(world, found["ExportDescription"])]
        assert sorted(int(item["pk"]["S"][1:]) for item in exported) == list(range(200))
        assert {item["v"]["N"] for item in exported} == {"0"}

    asyncio.run(scenario())
