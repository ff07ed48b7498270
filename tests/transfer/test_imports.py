"""Imports create a table from files, count invalid records, and continue after an interruption."""

from __future__ import annotations

import asyncio
import gzip
import json
import logging
from typing import Any

import pytest
import zstandard

from atoll.errors import ApiError
from atoll.recovery import long_jobs
from atoll.transfer import imports, sources
from atoll.transfer.buckets import Unreachable
from atoll.transfer.runner import runner_of
from tests.engines import findings
from tests.recovery.worlds import START_MS, World

BUCKET = "files-to-import"
ARN = "arn:aws:dynamodb:us-east-1:000000000000:table/New"
TABLE = {
    "TableName": "New",
    "AttributeDefinitions": [
        {"AttributeName": "pk", "AttributeType": "S"},
        {"AttributeName": "n", "AttributeType": "N"},
    ],
    "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
    "BillingMode": "PAY_PER_REQUEST",
    "GlobalSecondaryIndexes": [
        {
            "IndexName": "by-n",
            "KeySchema": [{"AttributeName": "n", "KeyType": "HASH"}],
            "Projection": {"ProjectionType": "ALL"},
        }
    ],
}
FAILED_TEXT = (
    "Some of the items failed validation checks and were not imported. Please check CloudWatch error logs for more "
    "details."
)
COMPRESSIONS = {"NONE": bytes, "GZIP": gzip.compress, "ZSTD": zstandard.compress}


def lines(*items: Any) -> bytes:
    return b"".join(json.dumps({"Item": item}).encode() + b"\n" for item in items)


def thing(name: Any, **members: Any) -> Any:
    return {"pk": {"S": str(name)}, **members}


async def begin(world: World, objects: dict[str, bytes] | None = None, **body: Any) -> Any:
    if objects is not None:
        world.buckets.buckets[BUCKET] = objects
    request = {
        "S3BucketSource": {"S3Bucket": BUCKET},
        "InputFormat": "DYNAMODB_JSON",
        "TableCreationParameters": TABLE,
    }
    return (await world.call("ImportTable", **request | body))["ImportTableDescription"]


async def imported(world: World, objects: dict[str, bytes], **body: Any) -> Any:
    """The description of an import that has ended."""
    begun = await begin(world, objects, **body)
    assert begun["ImportStatus"] == "IN_PROGRESS"
    await world.runner.settle()
    return (await world.call("DescribeImport", ImportArn=begun["ImportArn"]))["ImportTableDescription"]


def counts(description: Any) -> tuple[str, int, int, int]:
    return (
        description["ImportStatus"],
        description["ProcessedItemCount"],
        description["ImportedItemCount"],
        description["ErrorCount"],
    )


async def names(world: World) -> list[str]:
    page = await world.call("Scan", TableName="New")
    return sorted(item["pk"]["S"] for item in page["Items"])


def run(objects: dict[str, bytes], **body: Any) -> tuple[Any, list[Any]]:
    """The description and the items of an import."""

    async def scenario() -> tuple[Any, list[Any]]:
        world = World()
        done = await imported(world, objects, **body)
        page = await world.call("Scan", TableName="New")
        assert findings(world.region) == []
        return done, sorted(page["Items"], key=lambda item: str(item["pk"]))

    return asyncio.run(scenario())


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_an_import_makes_the_table_with_its_index(compression: str) -> None:
    async def scenario() -> None:
        world = World()
        pack: Any = COMPRESSIONS[compression]
        objects = {f"a/{n}": pack(lines(*(thing(f"{n}-{i}", n={"N": str(i)}) for i in range(300)))) for n in range(3)}
        objects["b/other"] = b"no item at all"
        objects["a/empty"] = b""
        done = await imported(
            world,
            objects,
            S3BucketSource={"S3Bucket": BUCKET, "S3KeyPrefix": "a/"},
            InputCompressionType=compression,
        )
        assert counts(done) == ("COMPLETED", 900, 900, 0)
        assert done["ProcessedSizeBytes"] == sum(
            len(lines(thing(f"{n}-{i}", n={"N": str(i)}))) for n in range(3) for i in range(300)
        )
        table = (await world.call("DescribeTable", TableName="New"))["Table"]
        assert (table["TableStatus"], table["ItemCount"], table["TableId"]) == ("ACTIVE", 900, done["TableId"])
        page = await world.call(
            "Query", TableName="New", IndexName="by-n", KeyConditionExpression="n = :n",
            ExpressionAttributeValues={":n": {"N": "7"}},
        )  # fmt: skip
        assert sorted(item["pk"]["S"] for item in page["Items"]) == ["0-7", "1-7", "2-7"]
        assert findings(world.region) == []

    asyncio.run(scenario())


def test_the_table_is_creating_until_the_import_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "RECORDS", 2)

    async def scenario() -> None:
        world = World()
        begun = await begin(world, {"x": lines(*map(thing, range(9)))})
        with pytest.raises(ApiError) as refused:
            await world.call("DescribeTable", TableName="New")
        assert refused.value.code == "ResourceNotFoundException"
        step = world.runner._steps["import"]
        (job,) = await world.region.read(long_jobs.listed)
        for _ in range(3):
            await step(world.region, job)
        assert await world.status("New") == "CREATING"
        assert findings(world.region) == []
        for operation, body, code in (
            ("PutItem", {"Item": thing("x")}, "ResourceNotFoundException"),
            ("UpdateTable", {"BillingMode": "PAY_PER_REQUEST"}, "ResourceInUseException"),
            ("DeleteTable", {}, "ResourceInUseException"),
        ):
            with pytest.raises(ApiError) as refused:
                await world.call(operation, TableName="New", **body)
            assert (operation, refused.value.code) == (operation, code)
        described = (await world.call("DescribeImport", ImportArn=begun["ImportArn"]))["ImportTableDescription"]
        assert counts(described) == ("IN_PROGRESS", 4, 4, 0)
        await world.runner.settle()
        assert await world.status("New") == "ACTIVE"
        await world.call("PutItem", TableName="New", Item=thing("x"))

    asyncio.run(scenario())


@pytest.mark.parametrize("format_", ["DYNAMODB_JSON", "ION"])
def test_exports_can_be_imported(format_: str) -> None:
    async def scenario() -> None:
        world = World(7)
        await world.create()
        await world.recover()
        for _ in range(50):
            await world.change()
        every_type = {
            "pk": {"S": "all \u20ac \"'\\ \n"}, "sk": {"N": "-1.5E-7"}, "b": {"B": "aGk="}, "t": {"BOOL": True},
            "z": {"NULL": True}, "l": {"L": [{"N": "103"}, {"M": {"null": {"S": ""}, "a b": {"N": "6E+2"}}}]},
            "ss": {"SS": ["a", "b"]}, "ns": {"NS": ["1", "20"]}, "bs": {"BS": ["aGk="]}, "m": {"M": {}},
        }  # fmt: skip
        del every_type["l"]
        every_type["list"] = {"L": [{"N": "103"}, {"M": {"null": {"S": ""}, "a b": {"N": "6E+2"}}}]}
        await world.call("PutItem", TableName="Things", Item=every_type)
        expected = await world.scan("Things")
        arn = ARN.replace("New", "Things")
        await world.call("ExportTableToPointInTime", TableArn=arn, S3Bucket=BUCKET, ExportFormat=format_)
        await world.runner.settle()
        root = next(key for key in world.buckets.buckets[BUCKET] if key.endswith("_started")).removesuffix("_started")
        keys = {"AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"},
                                         {"AttributeName": "sk", "AttributeType": "N"}],
                "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"},
                              {"AttributeName": "sk", "KeyType": "RANGE"}]}  # fmt: skip
        table = {"TableName": "New", "BillingMode": "PAY_PER_REQUEST", **keys}
        source = {"S3Bucket": BUCKET, "S3KeyPrefix": root + "data/"}
        begun = await begin(
            world, S3BucketSource=source, InputFormat=format_, InputCompressionType="GZIP",
            TableCreationParameters=table,
        )  # fmt: skip
        await world.runner.settle()
        done = (await world.call("DescribeImport", ImportArn=begun["ImportArn"]))["ImportTableDescription"]
        assert counts(done) == ("COMPLETED", len(expected), len(expected), 0)
        assert await world.scan("New") == expected

    asyncio.run(scenario())


def test_the_root_of_an_export_counts_its_manifests_as_errors() -> None:
    files = {
        "_started": b"", "data/a.json.gz": gzip.compress(lines(thing(1), thing(2), thing(3))),
        "data/b.json.gz": gzip.compress(b""), "manifest-files.json": b"{}", "manifest-files.md5": b"abcd",
        "manifest-summary.json": b"{}", "manifest-summary.md5": b"abcd",
    }  # fmt: skip
    done, items = run(files, InputCompressionType="GZIP")
    assert counts(done) == ("FAILED", 7, 3, 4)
    assert (done["FailureCode"], done["FailureMessage"]) == ("ItemValidationError", FAILED_TEXT)
    assert len(items) == 3


GOOD = lines(*map(thing, range(10))).splitlines(keepends=True)
FAULTS: list[tuple[str, bytes, str, tuple[int, int, int]]] = [
    ("an unparsable line ends its object", b"".join([*GOOD[:5], b"{oops\n", *GOOD[6:]]), "NONE", (6, 5, 1)),
    ("a missing key", b"".join([*GOOD[:5], lines({"a": {"S": "b"}}), *GOOD[6:]]), "NONE", (10, 9, 1)),
    ("a key of another type", b"".join([*GOOD[:5], lines({"pk": {"N": "1"}}), *GOOD[6:]]), "NONE", (10, 9, 1)),
    ("an index key of another type", b"".join([*GOOD[:5], lines(thing(1, n={"S": "1"})), *GOOD[6:]]), "NONE",
     (10, 9, 1)),
    ("no record", b"".join([*GOOD[:5], b'{"Keys":{}}\n[]\n5\n', *GOOD[6:]]), "NONE", (12, 9, 3)),
    ("values of no type", b"".join([*GOOD[:5], lines({"pk": 5}, {"pk": {"S": 5}}, {"pk": {}}), *GOOD[6:]]), "NONE",
     (12, 9, 3)),
    ("empty lines", b"\n\n" + b"\n \r\n".join(GOOD), "NONE", (10, 10, 0)),
    ("no line end", b"".join(GOOD)[:-1], "NONE", (10, 10, 0)),
    ("no UTF-8", b"".join([*GOOD[:5], lines(thing("xyz")).replace(b"xyz", b"x\xff"), *GOOD[6:]]), "NONE", (6, 5, 1)),
    ("an item that is too large", b"".join([*GOOD[:5], lines(thing(1, v={"S": "x" * 500_000})), *GOOD[6:]]), "NONE",
     (10, 9, 1)),
    ("a line of 10 MB", b"".join([*GOOD[:5], lines(thing(1, v={"S": "x" * 10_000_000})), *GOOD[6:]]), "NONE",
     (10, 9, 1)),
    ("deep nesting", b"".join([*GOOD[:5], b'{"Item":' + b'{"M":{"a":' * 5000, b"\n", *GOOD[6:]]), "NONE", (6, 5, 1)),
    ("nesting beyond DynamoDB's",
     b"".join([*GOOD[:5], b'{"Item":{"pk":{"S":"1"},"a":' + b'{"L":[' * 100 + b"]}" * 100 + b"}}\n", *GOOD[6:]]),
     "NONE", (10, 9, 1)),
    ("the same key again", b"".join([*GOOD, *GOOD]), "NONE", (20, 20, 0)),
    ("compressed, though not announced", gzip.compress(b"".join(GOOD)), "NONE", (1, 0, 1)),
    ("not compressed, though announced", b"".join(GOOD), "GZIP", (1, 0, 1)),
    ("not compressed, though announced as ZSTD", b"".join(GOOD), "ZSTD", (1, 0, 1)),
    ("a truncated file", gzip.compress(b"".join(GOOD))[:-9], "GZIP", (11, 10, 1)),
    ("a truncated header", gzip.compress(b"".join(GOOD))[:5], "GZIP", (1, 0, 1)),
    ("a truncated frame", zstandard.compress(b"".join(GOOD))[:-3], "ZSTD", (1, 0, 1)),
    ("several members", b"".join(map(gzip.compress, GOOD)) + b"\0" * 9, "GZIP", (10, 10, 0)),
    ("several frames", b"".join(map(zstandard.compress, GOOD)), "ZSTD", (10, 10, 0)),
    ("a bomb", gzip.compress(b"x" * 50_000_000 + b"\n" + b"".join(GOOD)), "GZIP", (11, 10, 1)),
    ("a bomb of frames", zstandard.compress(b" " * 50_000_000 + b"\n" + b"".join(GOOD)), "ZSTD", (11, 10, 1)),
]  # fmt: skip


@pytest.mark.parametrize(
    ("body", "compression", "expected"), [row[1:] for row in FAULTS], ids=[row[0] for row in FAULTS]
)
def test_faults_are_counted(body: bytes, compression: str, expected: tuple[int, int, int]) -> None:
    done, items = run({"x": body}, InputCompressionType=compression)
    status = "FAILED" if expected[2] else "COMPLETED"
    assert counts(done) == (status, *expected)
    if expected[2]:
        assert (done["FailureCode"], done["FailureMessage"]) == ("ItemValidationError", FAILED_TEXT)
    assert len(items) == min(expected[1], 10)


ION_FAULTS: list[tuple[str, bytes, tuple[int, int, int]]] = [
    ("numbers", b"$ion_1_0 {Item:{pk:\"a\",x:5,y:1.50,z:1e3}}\n", (1, 1, 0)),
    ("no version marker", b"{Item:{pk:\"a\"}}\n", (1, 1, 0)),
    ("a version marker on its own line", b"$ion_1_0\n{Item:{pk:\"a\"}}\n", (1, 1, 0)),
    ("a timestamp", b"{Item:{pk:\"a\",t:2020-01-01T}}\n{Item:{pk:\"b\"}}\n", (2, 1, 1)),
    ("a symbol", b"{Item:{pk:\"a\",t:abc}}\n{Item:{pk:\"b\"}}\n", (2, 1, 1)),
    ("a set of mixed types", b"{Item:{pk:\"a\",t:$dynamodb_SS::[1]}}\n{Item:{pk:\"b\"}}\n", (2, 1, 1)),
    ("an unknown annotation", b"{Item:{pk:\"a\",t:x::[1]}}\n{Item:{pk:\"b\"}}\n", (2, 1, 1)),
    ("an infinite number", b"{Item:{pk:\"a\",t:+inf}}\n{Item:{pk:\"b\"}}\n", (2, 1, 1)),
    ("half of a pair", b"{Item:{pk:\"a\",t:\"\\ud800\"}}\n{Item:{pk:\"b\"}}\n", (1, 0, 1)),
    ("not closed", b"{Item:{pk:\"a\"\n{Item:{pk:\"b\"}}\n", (1, 0, 1)),
    ("deep nesting", b"[" * 100_000 + b"\n{Item:{pk:\"b\"}}\n", (1, 0, 1)),
    ("a long number", b"{Item:{pk:\"a\",t:" + b"1" * 100_000 + b"}}\n{Item:{pk:\"b\"}}\n", (1, 0, 1)),
]  # fmt: skip


@pytest.mark.parametrize(("body", "expected"), [row[1:] for row in ION_FAULTS], ids=[row[0] for row in ION_FAULTS])
def test_faults_of_ion_are_counted(body: bytes, expected: tuple[int, int, int]) -> None:
    done, items = run({"x": body}, InputFormat="ION")
    assert counts(done)[1:] == expected
    assert len(items) == expected[1]


CSV_FILES: list[tuple[str, bytes, dict[str, Any], list[Any]]] = [
    ("header, types and empty columns", b"pk,n,v\na,5,x\nb,,\nc,6,7\n", {},
     [thing("a", n={"N": "5"}, v={"S": "x"}), thing("b"), thing("c", n={"N": "6"}, v={"S": "7"})]),
    ("a given header", b"a,5\r\nb,6\r\n", {"HeaderList": ["pk", "n"]},
     [thing("a", n={"N": "5"}), thing("b", n={"N": "6"})]),
    ("another delimiter", b"pk;n\na;5", {"Delimiter": ";"}, [thing("a", n={"N": "5"})]),
    ("a tab", b"pk\tn\na\t5", {"Delimiter": "\t"}, [thing("a", n={"N": "5"})]),
    ("quotes", b'pk,"v"\na,"x ""y"", z"\n"b",""\n', {}, [thing("a", v={"S": 'x "y", z'}), thing("b")]),
    ("a line end in quotes", b'pk,v\na,"x\ny"\nb,z\n', {}, [thing("a", v={"S": "x\ny"}), thing("b", v={"S": "z"})]),
    ("a byte order mark", b"\xef\xbb\xbfpk\na\n", {}, [thing("a")]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("body", "options", "items"), [row[1:] for row in CSV_FILES], ids=[row[0] for row in CSV_FILES]
)
def test_csv(body: bytes, options: dict[str, Any], items: list[Any]) -> None:
    chosen = {"InputFormatOptions": {"Csv": options}} if options else {}
    done, found = run({"x": body}, InputFormat="CSV", **chosen)
    assert counts(done) == ("COMPLETED", len(items), len(items), 0)
    assert found == items
    assert done.get("InputFormatOptions") == chosen.get("InputFormatOptions")


CSV_FAULTS: list[tuple[str, bytes, tuple[int, int, int]]] = [
    ("a quote that is not escaped", b'pk,v\na,b "c" d\nb,x\n', (1, 0, 1)),
    ("a quote that is not closed", b'pk,v\na,"x\nb,x\n', (1, 0, 1)),
    ("a name twice", b"pk,v,v\na,b,c\n", (1, 0, 1)),
    ("a number that is none", b"pk,n\na,x\nb,5\n", (2, 1, 1)),
    ("too many columns", b"pk,v\na,b,c\nb,c\n", (2, 1, 1)),
    ("no key", b"pk,v\n,b\nb,c\n", (2, 1, 1)),
    ("no UTF-8", b"pk\n\xff\nb\n", (1, 0, 1)),
]  # fmt: skip


@pytest.mark.parametrize(("body", "expected"), [row[1:] for row in CSV_FAULTS], ids=[row[0] for row in CSV_FAULTS])
def test_faults_of_csv_are_counted(body: bytes, expected: tuple[int, int, int]) -> None:
    done, items = run({"x": body}, InputFormat="CSV")
    assert counts(done)[1:] == expected
    assert len(items) == expected[1]


def test_faults_are_logged_as_the_service_logs_them(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "atoll"):
        done, _ = run({"x/y": b"".join([*GOOD[:3], lines({"a": {"S": "b"}})])})
    logged = [json.loads(record.getMessage()) for record in caplog.records if "itemS3Pointer" in record.getMessage()]
    assert logged == [
        {
            "itemS3Pointer": {"bucket": BUCKET, "key": "x/y", "itemIndex": 3},
            "importArn": done["ImportArn"],
            "errorMessages": ["One or more parameter values were invalid: Missing the key pk in the item"],
        }
    ]


class Interrupted(Exception):
    pass


@pytest.mark.parametrize("seed", range(6))
def test_an_interrupted_import_continues_and_counts_nothing_twice(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """At each step the process may lose everything but the store."""
    monkeypatch.setattr(sources, "RECORDS", 7)

    async def scenario() -> None:
        world = World(seed)
        csv = b"pk,v\n" + b"".join(b'%d,"a\nb"\n' % n for n in range(40))
        texts = {"DYNAMODB_JSON": lines(*map(thing, range(40))), "CSV": csv}
        format_ = world.rng.choice(list(texts))
        broken = texts[format_] + {"CSV": b'x,"\n', "DYNAMODB_JSON": b"{oops\n" + lines(thing("y"))}[format_]
        objects = {"a": gzip.compress(texts[format_]), "b": gzip.compress(broken), "c": gzip.compress(texts[format_])}
        begun = await begin(world, objects, InputFormat=format_, InputCompressionType="GZIP")
        while waiting := await world.region.read(long_jobs.listed):
            assert findings(world.region) == []
            if world.rng.random() < 0.4:
                world.runner = runner_of(world.region, world.buckets)
            await world.runner._steps["import"](world.region, waiting[0])
        done = (await world.call("DescribeImport", ImportArn=begun["ImportArn"]))["ImportTableDescription"]
        assert counts(done) == ("FAILED", 121, 120, 1)
        assert await names(world) == sorted(map(str, range(40)))
        assert findings(world.region) == []

    asyncio.run(scenario())


def test_a_missing_bucket_fails_the_import_and_makes_no_table() -> None:
    async def scenario() -> None:
        world = World()
        begun = await begin(world)
        await world.runner.settle()
        done = (await world.call("DescribeImport", ImportArn=begun["ImportArn"]))["ImportTableDescription"]
        assert (done["ImportStatus"], done["FailureCode"]) == ("FAILED", "S3NoSuchBucket")
        assert done["FailureMessage"].startswith("The specified bucket does not exist (Service: Amazon S3;")
        assert (await world.call("ListTables"))["TableNames"] == []

    asyncio.run(scenario())


def test_an_import_without_objects_makes_an_empty_table() -> None:
    done, items = run({"other": b"x"}, S3BucketSource={"S3Bucket": BUCKET, "S3KeyPrefix": "data"})
    assert counts(done) == ("COMPLETED", 0, 0, 0)
    assert items == []


def test_a_table_made_meanwhile_fails_the_import() -> None:
    async def scenario() -> None:
        world = World()
        begun = await begin(world, {"x": GOOD[0]})
        await world.create("New")
        await world.runner.settle()
        done = (await world.call("DescribeImport", ImportArn=begun["ImportArn"]))["ImportTableDescription"]
        assert (done["ImportStatus"], done["FailureCode"]) == ("FAILED", "TableAlreadyExists")
        assert await world.scan("New") == {}

    asyncio.run(scenario())


def test_a_store_that_fails_now_and_then_is_asked_again() -> None:
    async def scenario() -> None:
        world = World()
        begun = await begin(world, {"x": b"".join(GOOD)})
        failures = [Unreachable("reset"), Unreachable("reset")]
        listed = world.buckets.objects

        async def objects(bucket: str, prefix: str) -> Any:
            if failures:
                raise failures.pop()
            return await listed(bucket, prefix)

        world.buckets.objects = objects  # type: ignore[method-assign]
        for _ in range(2):
            with pytest.raises(ExceptionGroup):
                await world.runner.settle()
        await world.runner.settle()
        done = (await world.call("DescribeImport", ImportArn=begun["ImportArn"]))["ImportTableDescription"]
        assert counts(done) == ("COMPLETED", 10, 10, 0)

    asyncio.run(scenario())


def test_tokens() -> None:
    async def scenario() -> None:
        world = World()
        first = await begin(world, {"x": GOOD[0]}, ClientToken="t")
        again = await begin(world, ClientToken="t", S3BucketSource={"S3Bucket": BUCKET, "S3KeyPrefix": "other"})
        assert again == first
        with pytest.raises(ApiError) as refused:
            await begin(world, ClientToken="t", TableCreationParameters=TABLE | {"TableName": "Else"})
        assert refused.value.code == "ImportConflictException"
        await world.runner.settle()
        with pytest.raises(ApiError) as refused:
            await begin(world, ClientToken="t")
        assert (refused.value.code, refused.value.message) == ("ResourceInUseException", "Table already exists: New")
        await world.call("DeleteTable", TableName="New")
        repeated = await begin(world, ClientToken="t")
        assert (repeated["ImportArn"], repeated["ImportStatus"]) == (first["ImportArn"], "COMPLETED")

    asyncio.run(scenario())


def test_lists_are_paged_newest_first_and_outlive_the_table() -> None:
    async def scenario() -> None:
        world = World()
        made = []
        for number in range(5):
            table = TABLE | {"TableName": f"New{number % 2}"}
            made.append((await imported(world, {"x": GOOD[0]}, TableCreationParameters=table))["ImportArn"])
            await world.call("DeleteTable", TableName=f"New{number % 2}")
            await world.pass_time(1000)

        async def listed(**body: Any) -> list[str]:
            found: list[str] = []
            while True:
                page = await world.call("ListImports", **body)
                found += [one["ImportArn"] for one in page["ImportSummaryList"]]
                if "NextToken" not in page:
                    return found
                body["NextToken"] = page["NextToken"]

        assert await listed(PageSize=2) == made[::-1]
        assert await listed(TableArn=ARN + "1") == [made[3], made[1]]
        page = await world.call("ListImports", PageSize=1)
        assert page["ImportSummaryList"][0].keys() == {
            "ImportArn", "ImportStatus", "TableArn", "S3BucketSource", "CloudWatchLogGroupArn", "InputFormat",
            "StartTime", "EndTime",
        }  # fmt: skip

    asyncio.run(scenario())


def test_description() -> None:
    async def scenario() -> None:
        world = World()
        begun = await begin(world, {"x": GOOD[0]})
        assert begun == {
            "ImportArn": begun["ImportArn"], "ImportStatus": "IN_PROGRESS", "TableArn": ARN,
            "TableId": begun["TableId"], "ClientToken": begun["ClientToken"],
            "S3BucketSource": {"S3BucketOwner": "000000000000", "S3Bucket": BUCKET},
            "CloudWatchLogGroupArn": "arn:aws:logs:us-east-1:000000000000:log-group:/aws-dynamodb/imports:*",
            "InputFormat": "DYNAMODB_JSON", "InputCompressionType": "NONE", "TableCreationParameters": TABLE,
            "StartTime": START_MS / 1000, "ProcessedSizeBytes": 0, "ProcessedItemCount": 0, "ImportedItemCount": 0,
            "ErrorCount": 0,
        }  # fmt: skip

    asyncio.run(scenario())


PROVISIONED = {name: value for name, value in TABLE.items() if name not in ("BillingMode", "GlobalSecondaryIndexes")}
ONE_KEY = [{"AttributeName": "pk", "AttributeType": "S"}]
REFUSALS: list[tuple[str, dict[str, Any], str, str]] = [
    ("options of another format", {"InputFormatOptions": {"Csv": {"Delimiter": ","}}}, "ValidationException",
     "Invalid Request: Unsupported InputFormatOptions for the given input format: DYNAMODB_JSON."),
    ("no capacity", {"TableCreationParameters": PROVISIONED | {"AttributeDefinitions": ONE_KEY}}, "ValidationException",
     "One or more parameter values were invalid: ReadCapacityUnits and WriteCapacityUnits must both be specified when "
     "BillingMode is PROVISIONED"),
    ("an existing table", {"TableCreationParameters": TABLE | {"TableName": "Things"}}, "ResourceInUseException",
     "Table already exists: Things"),
]  # fmt: skip


@pytest.mark.parametrize(("body", "code", "text"), [row[1:] for row in REFUSALS], ids=[row[0] for row in REFUSALS])
def test_a_refused_import_begins_nothing(body: dict[str, Any], code: str, text: str) -> None:
    async def scenario() -> None:
        world = World()
        await world.create()
        with pytest.raises(ApiError) as refused:
            await begin(world, {"x": GOOD[0]}, **body)
        assert (refused.value.code, refused.value.message) == (code, text)
        assert await world.region.read(long_jobs.listed) == []

    asyncio.run(scenario())


@pytest.mark.parametrize("kind", ["empty objects", "empty lines", "a bomb without a line end", "lines that were read"])
def test_a_step_reads_a_bounded_amount(kind: str) -> None:
    """Whatever its objects contain, an import lets the other jobs run after some of them."""

    async def scenario() -> None:
        world = World()
        objects = {
            "empty objects": {f"{number:04d}": b"" for number in range(1000)},
            "empty lines": {"x": b"\n" * 100_000},
            "a bomb without a line end": {"x": gzip.compress(b"x" * 30_000_000)},
            "lines that were read": {"x": lines(*(thing(number, v={"S": "x" * 400}) for number in range(3000)))},
        }[kind]
        compression = {"InputCompressionType": "GZIP"} if "bomb" in kind else {}
        begun = await begin(world, objects, **compression)
        (job,) = await world.region.read(long_jobs.listed)
        steps = 0
        while await world.region.read(long_jobs.listed):
            if kind == "lines that were read" and steps == 28:
                world.runner = runner_of(world.region, world.buckets)
            await world.runner._steps["import"](world.region, job)
            steps += 1
        assert steps > {"lines that were read": 32}.get(kind, 10)
        done = (await world.call("DescribeImport", ImportArn=begun["ImportArn"]))["ImportTableDescription"]
        assert done["ImportedItemCount"] == (3000 if kind == "lines that were read" else 0)

    asyncio.run(scenario())


def test_documents_of_imports_are_deleted_after_90_days() -> None:
    async def scenario() -> None:
        world = World()
        await begin(world, {"x": lines(*map(thing, range(9)))})
        await world.runner.settle()
        await world.pass_time(89 * 24 * 3_600_000)
        assert (await world.call("ListImports"))["ImportSummaryList"]
        await world.pass_time(2 * 24 * 3_600_000)
        assert await world.region.read(lambda snapshot: list(imports.listed(snapshot))) == []
        assert await world.status("New") == "ACTIVE"

    asyncio.run(scenario())
