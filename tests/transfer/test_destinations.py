"""Changes of tables reach Kinesis streams at least once, whatever fails meanwhile."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from atoll.clock import ManualClock
from atoll.config import Config
from atoll.database import destination_positions, health
from atoll.errors import ApiError
from atoll.errors import kinesis as errors
from atoll.node import Node
from atoll.replication.http import Answer, HttpClient
from atoll.transfer import destinations
from atoll.transfer.kinesis import Data, Endpoint, Unsent
from atoll.transfer.runner import runner_of
from tests.engines import findings
from tests.recovery.test_server import call
from tests.recovery.worlds import KEYS, START_MS, World

STREAM = "arn:aws:kinesis:us-east-1:000000000000:stream/changes"
OTHER = STREAM.replace("changes", "others")
ON = {"TableName": "Things", "StreamArn": STREAM}


class Recorded:
    """Streams in memory, which refuse what a test wants."""

    def __init__(self) -> None:
        self.sent: list[Data] = []
        self.refused: str | None = None
        self.failures = 0
        self.throttled: list[int] = []
        """How many records of each call."""

    async def refusal(self, stream: str) -> str | None:
        return self.refused

    async def put(self, stream: str, records: Sequence[Data]) -> list[Data]:
        if self.failures:
            self.failures -= 1
            raise Unsent("down")
        count = self.throttled.pop() if self.throttled else 0
        self.sent += records[count:]
        return list(records[:count])

    @property
    def records(self) -> list[Any]:
        return [json.loads(one.json) for one in self.sent]


async def world_with(streams: Recorded, seed: int = 0) -> World:
    world = World(seed)
    world.runner = runner_of(world.region, world.buckets, streams)
    await world.create()
    return world


async def enable(world: World, stream: str = STREAM, **body: Any) -> Any:
    answer = await world.call("EnableKinesisStreamingDestination", TableName="Things", StreamArn=stream, **body)
    await world.runner.settle()
    return answer


async def described(world: World) -> list[Any]:
    answer = await world.call("DescribeKinesisStreamingDestination", TableName="Things")
    found: list[Any] = answer["KinesisDataStreamDestinations"]
    return found


def item(name: str, **members: Any) -> Any:
    return {"pk": {"S": name}, "sk": {"N": "1"}, **members}


def test_records_have_the_form_of_the_service() -> None:
    async def scenario() -> None:
        streams = Recorded()
        world = await world_with(streams)
        await world.call("PutItem", TableName="Things", Item=item("before"))
        answer = await enable(world)
        assert answer == {
            "TableName": "Things", "StreamArn": STREAM, "DestinationStatus": "ENABLING",
            "EnableKinesisStreamingConfiguration": {},
        }  # fmt: skip
        assert await described(world) == [{"StreamArn": STREAM, "DestinationStatus": "ACTIVE"}]
        await world.call("PutItem", TableName="Things", Item=item("a", b={"B": "aGk="}))
        await world.call("PutItem", TableName="Things", Item=item("a", v={"N": "1"}))
        await world.call("DeleteItem", TableName="Things", Key=item("a"))
        await world.runner.settle()
        assert [record["eventName"] for record in streams.records] == ["INSERT", "MODIFY", "REMOVE"]
        first, second, _ = streams.records
        assert list(first) == [
            "awsRegion", "eventID", "eventName", "userIdentity", "recordFormat", "tableName", "dynamodb", "eventSource"
        ]  # fmt: skip
        assert (first["awsRegion"], first["userIdentity"], first["recordFormat"], first["tableName"]) == (
            "us-east-1", None, "application/json", "Things",
        )  # fmt: skip
        assert first["dynamodb"] == {
            "ApproximateCreationDateTime": START_MS, "Keys": item("a"), "NewImage": item("a", b={"B": "aGk="}),
            "SizeBytes": 17,
        }  # fmt: skip
        assert list(second["dynamodb"]) == [
            "ApproximateCreationDateTime", "Keys", "NewImage", "OldImage", "SizeBytes"
        ]  # fmt: skip
        assert len({one.partition for one in streams.sent}) == 1
        assert len(streams.sent[0].partition) == 32
        assert streams.sent[0].json == json.dumps(first, separators=(",", ":")).encode()
        assert findings(world.region) == []

    asyncio.run(scenario())


def test_precision_and_expiry() -> None:
    async def scenario() -> None:
        streams = Recorded()
        world = await world_with(streams)
        micro = {"ApproximateCreationDateTimePrecision": "MICROSECOND"}
        await enable(world, EnableKinesisStreamingConfiguration=micro)
        assert await described(world) == [{"StreamArn": STREAM, "DestinationStatus": "ACTIVE", **micro}]
        specification = {"Enabled": True, "AttributeName": "expires"}
        await world.call("UpdateTimeToLive", TableName="Things", TimeToLiveSpecification=specification)
        await world.call("PutItem", TableName="Things", Item=item("a", expires={"N": str(START_MS // 1000 + 60)}))
        await world.pass_time(3_600_000)
        await world.runner.settle()
        written, expired = streams.records
        assert written["dynamodb"]["ApproximateCreationDateTime"] == START_MS * 1000
        assert list(written["dynamodb"])[-2:] == ["SizeBytes", "ApproximateCreationDateTimePrecision"]
        assert expired["userIdentity"] == {"type": "Service", "principalId": "dynamodb.amazonaws.com"}
        update = {"UpdateKinesisStreamingConfiguration": {"ApproximateCreationDateTimePrecision": "MILLISECOND"}}
        answer = await world.call("UpdateKinesisStreamingDestination", **ON, **update)
        assert answer["DestinationStatus"] == "UPDATING"
        await world.runner.settle()
        await world.call("PutItem", TableName="Things", Item=item("b"))
        await world.runner.settle()
        assert "ApproximateCreationDateTimePrecision" not in streams.records[-1]["dynamodb"]

    asyncio.run(scenario())


@pytest.mark.parametrize("seed", range(4))
def test_every_change_is_sent_although_sending_fails(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(destinations, "RECORDS", 5)
    monkeypatch.setattr(destinations, "WAIT_S", 0.0)

    async def scenario() -> None:
        streams = Recorded()
        world = await world_with(streams, seed)
        await enable(world)
        world.note()
        for _ in range(100):
            await world.change()
            await world.pass_time(50)
            if world.rng.random() < 0.2:
                streams.failures = world.rng.randrange(3)
                streams.throttled = [world.rng.randrange(5) for _ in range(3)]
                try:
                    await world.runner.settle()
                except ExceptionGroup:
                    world.runner = runner_of(world.region, world.buckets, streams)
        streams.failures = 0
        await world.runner.settle()
        state: dict[str, Any] = {}
        for record in sorted(streams.records, key=lambda one: one["dynamodb"]["ApproximateCreationDateTime"]):
            keys = record["dynamodb"]["Keys"]
            state[f"{keys['pk']['S']} {keys['sk']['N']}"] = record["dynamodb"].get("NewImage")
        assert {name: image for name, image in state.items() if image is not None} == world.items
        assert findings(world.region) == []

    asyncio.run(scenario())


def test_records_of_more_than_a_megabyte_are_left_out() -> None:
    async def scenario() -> None:
        streams = Recorded()
        world = await world_with(streams)
        await enable(world)
        for value in ('"' * 300_000, "\\" * 300_000, "x"):
            await world.call("PutItem", TableName="Things", Item=item("a", v={"S": value}))
        await world.runner.settle()
        assert [record["eventName"] for record in streams.records] == ["INSERT", "MODIFY"]

    asyncio.run(scenario())


def test_a_disabled_destination_gets_no_more_and_can_be_enabled_again() -> None:
    async def scenario() -> None:
        streams = Recorded()
        world = await world_with(streams)
        await enable(world)
        await world.call("PutItem", TableName="Things", Item=item("a"))
        answer = await world.call("DisableKinesisStreamingDestination", **ON)
        assert answer == {**ON, "DestinationStatus": "DISABLING"}
        await world.runner.settle()
        await world.call("PutItem", TableName="Things", Item=item("b"))
        await world.runner.settle()
        assert await described(world) == [{"StreamArn": STREAM, "DestinationStatus": "DISABLED"}]
        assert await world.region.read(lambda snapshot: list(destination_positions.listed(snapshot))) == []
        await enable(world, OTHER)
        await world.call("PutItem", TableName="Things", Item=item("c"))
        await world.runner.settle()
        assert [one["DestinationStatus"] for one in await described(world)] == ["DISABLED", "ACTIVE"]
        assert [record["dynamodb"]["Keys"]["pk"]["S"] for record in streams.records] == ["a", "c"]
        await world.call("DeleteTable", TableName="Things")
        await world.runner.settle()
        assert await world.region.read(lambda snapshot: list(destination_positions.listed(snapshot))) == []
        assert findings(world.region) == []

    asyncio.run(scenario())


class Hanging(Recorded):
    """A stream of this name never answers."""

    def __init__(self, stream: str) -> None:
        super().__init__()
        self.stream = stream
        self.released = asyncio.Event()

    async def put(self, stream: str, records: Sequence[Data]) -> list[Data]:
        if stream == self.stream:
            await self.released.wait()
        return await super().put(stream, records)


def test_a_stream_that_does_not_answer_delays_no_other_stream_and_no_job(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(destinations, "SETTLE_S", 0.01)

    async def scenario() -> None:
        streams = Hanging(STREAM)
        world = await world_with(streams)
        await world.create("Others")
        await enable(world)
        await world.call("EnableKinesisStreamingDestination", TableName="Others", StreamArn=OTHER)
        for name in ("Things", "Others"):
            await world.call("PutItem", TableName=name, Item=item(name))
        backup = await world.call("CreateBackup", TableName="Things", BackupName="nightly")
        await world.runner.settle()
        await world.runner.settle()
        arn = backup["BackupDetails"]["BackupArn"]
        described = await world.call("DescribeBackup", BackupArn=arn)
        assert described["BackupDescription"]["BackupDetails"]["BackupStatus"] == "AVAILABLE"
        assert [record["tableName"] for record in streams.records] == ["Others"]
        await world.call("PutItem", TableName="Others", Item=item("more"))
        await world.runner.settle()
        assert len(streams.records) == 2
        streams.released.set()
        await world.runner.settle()
        assert [record["tableName"] for record in streams.records] == ["Others", "Others", "Things"]
        await world.runner.stop()

    asyncio.run(scenario())


def test_an_endpoint_that_accepts_and_never_answers_delays_nothing() -> None:
    """Neither jobs nor requests nor the end of the server wait for it."""

    async def scenario() -> None:
        connected = asyncio.Event()

        async def never(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            connected.set()
            await reader.read()
            writer.close()

        silent = await asyncio.start_server(never, "127.0.0.1", 0)
        port = silent.sockets[0].getsockname()[1]
        node = Node(Config(data=None, port=0, kinesis=f"http://127.0.0.1:{port}"))
        await node.start()
        try:
            await call(node, "us-east-1", "CreateTable", TableName="Things", BillingMode="PAY_PER_REQUEST", **KEYS)
            await call(node, "us-east-1", "EnableKinesisStreamingDestination", **ON)
            await connected.wait()
            backup = await call(node, "us-east-1", "CreateBackup", TableName="Things", BackupName="nightly")
            arn = backup["BackupDetails"]["BackupArn"]
            while True:
                found = await call(node, "us-east-1", "DescribeBackup", BackupArn=arn)
                if found["BackupDescription"]["BackupDetails"]["BackupStatus"] == "AVAILABLE":
                    break
                await asyncio.sleep(0)
        finally:
            await asyncio.wait_for(node.stop(), 10)
            silent.close()

    asyncio.run(asyncio.wait_for(scenario(), 20))


FAILURES: list[tuple[str, str, str | None, str]] = [
    ("missing", STREAM, errors.NO_PERMISSION, errors.NO_PERMISSION),
    ("no stream", STREAM.replace("stream/", "table/"), None, errors.NO_PERMISSION),
    ("no ARN", "x" * 40, None, errors.NO_PERMISSION),
    ("another region", STREAM.replace("us-east-1", "eu-west-1"), None, errors.ELSEWHERE),
    ("another account", STREAM.replace("000000000000", "999999999999"), None, errors.INACTIVE),
    ("a name that leads elsewhere", STREAM.replace("changes", "../../x"), None, errors.NO_PERMISSION),
]


@pytest.mark.parametrize(("stream", "refused", "text"), [row[1:] for row in FAILURES], ids=[row[0] for row in FAILURES])
def test_a_stream_that_cannot_be_used_fails_the_enabling(stream: str, refused: str | None, text: str) -> None:
    async def scenario() -> None:
        streams = Recorded()
        streams.refused = refused
        world = await world_with(streams)
        await enable(world, stream)
        assert await described(world) == [
            {"StreamArn": stream, "DestinationStatus": "ENABLE_FAILED", "DestinationStatusDescription": text}
        ]
        await enable(world, OTHER)

    asyncio.run(scenario())


def test_without_kinesis_nothing_can_be_enabled() -> None:
    async def scenario() -> None:
        world = World()
        await world.create()
        await enable(world)
        (one,) = await described(world)
        assert (one["DestinationStatus"], one["DestinationStatusDescription"]) == ("ENABLE_FAILED", errors.NO_ENDPOINT)

    asyncio.run(scenario())


INVALID = "Table is not in a valid state to {} Kinesis Streaming Destination: "
UPDATE = "UpdateKinesisStreamingConfiguration"
REFUSALS: list[tuple[str, str, dict[str, Any], str]] = [
    ("enabled already", "Enable", {"StreamArn": OTHER}, INVALID.format("enable")
     + "EnableKinesisStreamingDestination must be DISABLED or ENABLE_FAILED to perform ENABLE operation."),
    ("never enabled", "Disable", {"StreamArn": OTHER}, INVALID.format("disable")
     + "KinesisStreamingDestination must be ACTIVE to perform DISABLE operation."),
    ("a configuration", "Disable", {"EnableKinesisStreamingConfiguration": {}},
     "Stream cannot be disabled using EnableKinesisStreamingConfiguration parameters"),
    ("an unknown stream", "Update",
     {"StreamArn": OTHER, UPDATE: {"ApproximateCreationDateTimePrecision": "MICROSECOND"}},
     f"No streaming destination with streamArn: {OTHER} found for table with tableName: Things"),
    ("no change", "Update", {UPDATE: {}}, "Streaming destination cannot be updated with given parameters: "
     "UpdateKinesisStreamingConfiguration cannot be null or contain only null values"),
    ("the same value", "Update", {UPDATE: {"ApproximateCreationDateTimePrecision": "MILLISECOND"}},
     "Invalid Request: Precision is already set to the desired value of MILLISECOND for tableId: "),
]  # fmt: skip


@pytest.mark.parametrize(("operation", "body", "text"), [row[1:] for row in REFUSALS], ids=[row[0] for row in REFUSALS])
def test_refused_requests_change_nothing(operation: str, body: dict[str, Any], text: str) -> None:
    async def scenario() -> None:
        world = await world_with(Recorded())
        await enable(world)
        with pytest.raises(ApiError) as refused:
            await world.call(f"{operation}KinesisStreamingDestination", **ON | body)
        assert refused.value.code == "ValidationException"
        assert (refused.value.message or "").startswith(text)
        assert await described(world) == [{"StreamArn": STREAM, "DestinationStatus": "ACTIVE"}]

    asyncio.run(scenario())


def test_a_server_writes_to_files_and_continues_after_a_restart(tmp_path: Path) -> None:
    config = Config(data=tmp_path / "data", port=0, kinesis=f"file://{tmp_path}/streams")

    async def life(number: int) -> None:
        node = Node(config, ManualClock(START_MS))
        await node.start()
        try:
            if not number:
                await call(node, "us-east-1", "CreateTable", TableName="Things", BillingMode="PAY_PER_REQUEST", **KEYS)
                await call(node, "us-east-1", "EnableKinesisStreamingDestination", **ON)
            await call(node, "us-east-1", "PutItem", TableName="Things", Item=item(f"{number}"))
            await node.settle()
        finally:
            await node.stop()

    for number in range(3):
        asyncio.run(life(number))
    lines = (tmp_path / "streams" / "us-east-1" / "changes.jsonl").read_text().splitlines()
    assert [json.loads(line)["dynamodb"]["Keys"]["pk"]["S"] for line in lines] == ["0", "1", "2"]


def test_the_requests_to_an_endpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, Any]] = []
    answers = [
        Answer(200, b'{"StreamDescriptionSummary":{"StreamStatus":"ACTIVE"}}'),
        Answer(400, b'{"__type":"ResourceNotFoundException"}'),
        Answer(200, b'{"FailedRecordCount":1,"Records":[{"SequenceNumber":"1"},{"ErrorCode":"x"}]}'),
        Answer(500, b"broken"),
        Answer(200, b'{"Records":[{"SequenceNumber":"1"}]}'),
        Answer(200, b"{}"),
    ]

    async def post(self: HttpClient, target: str, headers: dict[str, str], body: bytes, timeout_s: float) -> Answer:
        assert headers["authorization"].startswith("AWS4-HMAC-SHA256 Credential=")
        assert "/us-east-1/kinesis/aws4_request" in headers["authorization"]
        asked.append((headers["x-amz-target"], json.loads(body)))
        return answers.pop(0)

    monkeypatch.setattr(HttpClient, "post", post)

    async def scenario() -> None:
        endpoint = Endpoint("http://127.0.0.1:1", ManualClock(START_MS))
        assert await endpoint.refusal(STREAM) is None
        assert await endpoint.refusal(STREAM) == errors.NO_PERMISSION
        records = [Data("A", b"{}"), Data("B", b"[]")]
        assert await endpoint.put(STREAM, records) == records[1:]
        for _ in ("broken", "a result is missing", "all are missing"):
            with pytest.raises(Unsent):
                await endpoint.put(STREAM, records)

    asyncio.run(scenario())
    assert answers == []
    assert asked[2] == (
        "Kinesis_20131202.PutRecords",
        {
            "StreamName": "changes",
            "Records": [
                {"Data": base64.b64encode(b"{}").decode(), "PartitionKey": "A"},
                {"Data": base64.b64encode(b"[]").decode(), "PartitionKey": "B"},
            ],
        },
    )


def test_a_stream_that_stays_away_is_one_fault(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The log said every five seconds that changes were sent again, and that they were not, with a traceback."""
    monkeypatch.setattr(destinations, "RETRY_S", 0)
    monkeypatch.setattr(destinations, "FOLLOW_S", 0)

    async def scenario() -> None:
        streams = Recorded()
        world = await world_with(streams)
        await enable(world)
        await world.call("PutItem", TableName="Things", Item=item("a"))
        streams.failures = 5
        running = asyncio.create_task(world.runner.run())
        async with asyncio.timeout(20):
            while not streams.sent or world.region.health.status().problems:
                await world.region.committed.wait(0.01)
        await world.runner.stop()
        await running

    asyncio.run(scenario())
    said = [record.message for record in caplog.records if record.name == health.__name__]
    assert [text.partition(" (")[0] for text in said] == [health.DESTINATIONS.text, health.DESTINATIONS.over]


def test_a_fault_is_over_here_when_another_process_sends(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that lost the lease after a failure said for ever that changes cannot be sent."""
    monkeypatch.setattr(destinations, "FOLLOW_S", 0)

    async def scenario() -> None:
        streams, holds = Recorded(), True

        async def lease() -> bool:
            return holds

        world = await world_with(streams)
        await enable(world)
        monkeypatch.setattr(world.region.engine, "lease", lease)
        await world.call("PutItem", TableName="Things", Item=item("a"))
        streams.failures = 1
        running = asyncio.create_task(world.runner.run())
        async with asyncio.timeout(20):
            while not world.region.health.status().problems:
                await world.region.committed.wait(0.01)
            holds = False
            while world.region.health.status().problems:
                await world.region.committed.wait(0.01)
        await world.runner.stop()
        await running
        assert not streams.sent

    asyncio.run(scenario())
