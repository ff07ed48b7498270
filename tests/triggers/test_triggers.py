"""From writes to invocations, while streams, mappings and servers begin and end."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import socket
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atoll.api import functions as api
from atoll.database.log import maintenance, retention
from atoll.database.log.retention import Retention
from atoll.errors import ApiError
from atoll.triggers.batches import BatchOutcome
from atoll.triggers.functions import Functions
from atoll.triggers.registry import Destination, Function, Registry, Trigger
from tests.triggers.conftest import START_MS, Event, World, key

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS


def fail(event: Event) -> None:
    raise RuntimeError("no")


def refuse(*keys: str) -> Callable[[Event], None]:
    def behave(event: Event) -> None:
        if any(key(r) in keys for r in event["Records"]):
            raise RuntimeError("no")

    return behave


class TestDelivery:
    def test_the_event_is_lambdas(self, world: World) -> None:
        async def tell() -> None:
            arn = await world.table()
            await world.map(arn)
            await world.put("ann", age={"N": "5"})
            await world.triggers.settle()
            (event,) = world.functions.events["f"]
            (record,) = event["Records"]
            assert len(record.pop("eventID")) == 32
            assert record == {
                "eventName": "INSERT",
                "eventVersion": "1.1",
                "eventSource": "aws:dynamodb",
                "awsRegion": "us-east-1",
                "dynamodb": {
                    "ApproximateCreationDateTime": START_MS // 1000,
                    "Keys": {"pk": {"S": "ann"}},
                    "NewImage": {"pk": {"S": "ann"}, "age": {"N": "5"}},
                    "SequenceNumber": "1000000000000010000000",
                    "SizeBytes": 5 + 5 + 5,
                    "StreamViewType": "NEW_AND_OLD_IMAGES",
                },
                "eventSourceARN": arn,
            }

        world.story(tell)

    def test_an_expired_item_is_the_services_deletion(self, world: World) -> None:
        async def tell() -> None:
            arn = await world.table()
            await world.request("UpdateTimeToLive", TableName="users",
                                TimeToLiveSpecification={"AttributeName": "ttl", "Enabled": True})  # fmt: skip
            pattern = {"userIdentity": {"type": ["Service"], "principalId": ["dynamodb.amazonaws.com"]}}
            await world.map(arn, FilterCriteria={"Filters": [{"Pattern": json.dumps(pattern)}]})
            await world.put("ann", ttl={"N": str(START_MS // 1000 + 60)})
            await world.advance(2 * HOUR_MS)
            (record,) = world.functions.events["f"][0]["Records"]
            assert record["eventName"] == "REMOVE"
            assert record["userIdentity"] == {"type": "Service", "principalId": "dynamodb.amazonaws.com"}

        world.story(tell)

    def test_every_change_of_an_item_comes_once_and_in_order(self, world: World) -> None:
        async def tell() -> None:
            await world.map(await world.table(), BatchSize=3)
            for n in range(10):
                await world.put("ann", n={"N": str(n)})
            await world.triggers.settle()
            records = [r for e in world.functions.events["f"] for r in e["Records"]]
            assert [r["dynamodb"]["NewImage"]["n"]["N"] for r in records] == [str(n) for n in range(10)]
            assert [len(e["Records"]) for e in world.functions.events["f"]] == [3, 3, 3, 1]

        world.story(tell)

    def test_filtered_records_are_passed_over(self, world: World) -> None:
        async def tell() -> None:
            pattern = {"dynamodb": {"NewImage": {"kind": {"S": ["user"]}}}}
            await world.map(await world.table(), FilterCriteria={"Filters": [{"Pattern": json.dumps(pattern)}]})
            for n in range(300):
                await world.put(f"other{n}", kind={"S": "other"})
            await world.put("ann", kind={"S": "user"})
            await world.triggers.settle()
            assert world.functions.given() == ["ann"]

        world.story(tell)

    def test_latest_begins_with_the_first_change_after_it(self, world: World) -> None:
        async def tell() -> None:
            arn = await world.table()
            await world.put("before")
            await world.rotate()
            await world.put("also before")
            await world.map(arn, StartingPosition="LATEST")
            await world.put("after")
            await world.triggers.settle()
            assert world.functions.given() == ["after"]

        world.story(tell)

    def test_trim_horizon_begins_with_the_oldest_record(self, world: World, caplog: pytest.LogCaptureFixture) -> None:
        async def tell() -> None:
            arn = await world.table()
            await world.put("trimmed")
            await world.region.transact(lambda tx: maintenance.force_trim(tx, world.region, "users", START_MS))
            await world.put("there")
            await world.map(arn)
            await world.triggers.settle()
            assert world.functions.given() == ["there"]
            assert "trimmed before" not in caplog.text

        world.story(tell)

    def test_trim_horizon_is_a_day_ago_where_the_log_is_kept_longer(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        longer = (*retention.READERS, lambda table: Retention(keep_ms=10 * DAY_MS))
        monkeypatch.setattr(retention, "READERS", longer)

        async def tell() -> None:
            arn = await world.table()
            await world.put("old")
            await world.advance(DAY_MS)
            await world.put("new")
            await world.map(arn)
            await world.triggers.settle()
            assert world.functions.given() == ["new"]

        world.story(tell)

    def test_a_batching_window_collects(self, world: World) -> None:
        async def tell() -> None:
            await world.map(await world.table(), MaximumBatchingWindowInSeconds=10)
            await world.put("a")
            await world.advance(6_000)
            await world.put("b")
            await world.advance(3_999)
            assert world.functions.given() == []
            await world.advance(1)
            assert [len(e["Records"]) for e in world.functions.events["f"]] == [2]

        world.story(tell)

    def test_a_tumbling_window_counts(self, world: World) -> None:
        def count(event: Event) -> Any:
            return {"state": {"n": event["state"].get("n", 0) + len(event["Records"])}}

        async def tell() -> None:
            world.functions.behaviours["f"] = count
            await world.map(await world.table(), TumblingWindowInSeconds=60)
            await world.put("a", "b")
            await world.advance(30_000)
            await world.put("c")
            await world.advance(HOUR_MS)
            first, second, final = world.functions.events["f"]
            assert first["window"] == {"start": "2027-01-15T08:00:00Z", "end": "2027-01-15T08:01:00Z"}
            assert (second["state"], second["isFinalInvokeForWindow"]) == ({"n": 2}, False)
            assert (final["state"], final["isFinalInvokeForWindow"], final["Records"]) == ({"n": 3}, True, [])

        world.story(tell)


class TestShards:
    def test_a_parent_is_finished_before_its_children(self, world: World) -> None:
        async def tell() -> None:
            await world.map(await world.table())
            world.functions.behaviours["f"] = refuse("parent")
            await world.put("parent")
            await world.split()
            await world.put("child")
            await world.advance(5_000)
            assert "child" not in world.functions.given()
            world.functions.behaviours["f"] = lambda event: None
            await world.advance(60_000)
            assert world.functions.given()[-1] == "child"

        world.story(tell)

    def test_a_rotation_while_a_function_runs_loses_nothing(self, world: World) -> None:
        async def tell() -> None:
            await world.map(await world.table())
            world.functions.gate = asyncio.Event()
            await world.put("a")
            settling = asyncio.create_task(world.triggers.settle())
            await asyncio.sleep(0.01)
            await world.put("b")
            await world.rotate()
            await world.put("c")
            await asyncio.sleep(0.01)
            world.functions.gate.set()
            await settling
            assert world.functions.given() == ["a", "b", "c"]

        world.story(tell)

    def test_a_slow_shard_keeps_no_other_waiting(self, world: World) -> None:
        async def tell() -> None:
            arn = await world.table()
            await world.split()
            await world.map(arn)
            names = [f"k{n}" for n in range(20)]
            world.functions.behaviours["f"] = refuse(names[0])
            await world.put(*names)
            await world.advance(5_000)
            stuck = next(e for e in world.functions.events["f"] if names[0] in map(key, e["Records"]))
            assert set(names) - set(map(key, stuck["Records"])) <= set(world.functions.given())
            assert set(names) != set(map(key, stuck["Records"]))

        world.story(tell)

    def test_a_stream_that_ends_is_followed_to_its_end(self, world: World) -> None:
        async def tell() -> None:
            await world.map(await world.table())
            await world.put("last")
            await world.request("DeleteTable", TableName="users")
            await world.triggers.settle()
            assert world.functions.given() == ["last"]

        world.story(tell)

    def test_trimmed_records_do_not_stop_later_ones(self, world: World, caplog: pytest.LogCaptureFixture) -> None:
        async def tell() -> None:
            await world.map(await world.table())
            await world.put("a")
            await world.triggers.settle()
            world.functions.behaviours["f"] = fail
            await world.put("b")
            await world.triggers.settle()
            await world.region.transact(lambda tx: maintenance.force_trim(tx, world.region, "users", START_MS))
            world.functions.behaviours["f"] = lambda event: None
            world.restart()
            await world.put("c")
            await world.advance(60_000)
            assert world.functions.given() == ["c"]

        with caplog.at_level(logging.WARNING):
            world.story(tell)
        assert "1 records of" in caplog.text

    def test_a_shard_trimmed_before_its_end_is_reported(self, world: World, caplog: pytest.LogCaptureFixture) -> None:
        """Its records were counted as long as it was there; when it was gone, those that were left went silently."""

        async def tell() -> None:
            uuid = await world.map(await world.table())
            await world.put("a")
            await world.triggers.settle()
            await api.update_event_source_mapping(world.triggers, {"UUID": uuid, "Enabled": False})
            await world.put("b")
            await world.advance(60 * HOUR_MS)

        with caplog.at_level(logging.WARNING):
            world.story(tell)
        told = [record.message for record in caplog.records if record.message.startswith("the rest of a shard")]
        assert len(told) == 1 and told[0].endswith("was trimmed before f got it")

    def test_rows_of_trimmed_shards_do_not_stay(self, world: World) -> None:
        async def tell() -> None:
            await world.map(await world.table())
            await world.put("a")
            await world.advance(60 * HOUR_MS)
            rows = await world.region.engine.read(lambda s: list(s.scan(b"\0\0\0\0P", b"\0\0\0\0Q")))
            assert len(rows) < 10  # a day's rotations

        world.story(tell)


class TestLanes:
    def test_lanes_keep_the_order_of_each_item(self, world: World) -> None:
        async def tell() -> None:
            uuid = await world.map(await world.table(), ParallelizationFactor=4, BatchSize=5)
            expected: dict[str, list[str]] = {}
            for n in range(120):
                name = f"k{n % 7}"
                expected.setdefault(name, []).append(str(n))
                await world.put(name, n={"N": str(n)})
                if n == 40:
                    await world.triggers.settle()
                    await api.update_event_source_mapping(world.triggers, {"UUID": uuid, "ParallelizationFactor": 2})
                if n == 80:
                    await api.update_event_source_mapping(world.triggers, {"UUID": uuid, "ParallelizationFactor": 10})
                    await world.split()
            await world.triggers.settle()
            seen: dict[str, list[str]] = {}
            for event in world.functions.events["f"]:
                for r in event["Records"]:
                    seen.setdefault(key(r), []).append(r["dynamodb"]["NewImage"]["n"]["N"])
            assert seen == expected

        world.story(tell)

    def test_a_batch_in_retry_is_not_skipped_when_the_lanes_change(self, world: World) -> None:
        """The lanes used to be exchanged at the greatest position, though the batch there was still to be tried again:
        nothing could be read of it up to that place, so it was taken for trimmed, and lost."""

        async def tell() -> None:
            uuid = await world.map(await world.table(), BatchSize=1)
            world.functions.behaviours["f"] = refuse("b")
            await world.put("a", "b", "c")
            await world.triggers.settle()
            await api.update_event_source_mapping(world.triggers, {"UUID": uuid, "ParallelizationFactor": 2})
            await world.triggers.settle()
            world.functions.behaviours["f"] = lambda event: None
            await world.advance(60_000)
            assert world.functions.given() == ["a", "b", "b", "c"]  # the first b failed

        world.story(tell)

    def test_lanes_change_though_the_end_of_a_window_had_failed(self, world: World) -> None:
        """The lanes were not taken for idle, and nothing was left to be done in them: so they stood still for good."""

        async def tell() -> None:
            world.functions.behaviours["f"] = lambda event: fail(event) if event["isFinalInvokeForWindow"] else None
            uuid = await world.map(await world.table(), TumblingWindowInSeconds=60)
            await world.put("a")
            await world.advance(180_000)
            world.functions.behaviours["f"] = lambda event: None
            members = {"TumblingWindowInSeconds": 0, "ParallelizationFactor": 2}
            await api.update_event_source_mapping(world.triggers, {"UUID": uuid, **members})
            await world.put("b")
            await world.advance(180_000)
            assert world.functions.given() == ["a", "b"]

        world.story(tell)

    def test_lanes_run_side_by_side(self, world: World) -> None:
        async def tell() -> None:
            await world.map(await world.table(), ParallelizationFactor=10)
            world.functions.behaviours["f"] = refuse("k0")
            await world.put(*(f"k{n}" for n in range(30)))
            await world.triggers.settle()
            refused = {
                key(r) for e in world.functions.events["f"] for r in e["Records"] if "k0" in map(key, e["Records"])
            }
            assert 0 < len(refused) < 30
            assert set(world.functions.given()) == {f"k{n}" for n in range(30)}

        world.story(tell)


class TestFailures:
    def test_it_is_tried_until_it_succeeds(self, world: World) -> None:
        async def tell() -> None:
            await world.map(await world.table())
            world.functions.behaviours["f"] = fail
            await world.put("a")
            await world.advance(10_000)
            assert len(world.functions.given()) > 3
            world.functions.behaviours["f"] = lambda event: None
            await world.put("b")
            await world.advance(120_000)
            assert world.functions.given()[-2:] == ["a", "b"]

        world.story(tell)

    def test_the_destination_gets_a_report_of_discarded_records(self, world: World, tmp_path: Path) -> None:
        async def tell() -> None:
            arn = await world.table()
            world.functions.behaviours["f"] = refuse("bad")
            destination = "arn:aws:sqs:us-east-1:000000000000:failures"
            await world.map(arn, MaximumRetryAttempts=2, BisectBatchOnFunctionError=True,
                            DestinationConfig={"OnFailure": {"Destination": destination}})  # fmt: skip
            await world.put("good", "bad", "fine")
            await world.advance(60_000)
            assert world.functions.given().count("fine") >= 1
            (path,) = (tmp_path / "failures").iterdir()
            report = json.loads(path.read_text())
            assert report["requestContext"]["condition"] == "RetryAttemptsExhausted"
            assert report["requestContext"]["approximateInvokeCount"] == 3
            assert report["responseContext"]["functionError"] == "Unhandled"
            assert report["DDBStreamBatchInfo"] == {
                "shardId": report["DDBStreamBatchInfo"]["shardId"],
                "startSequenceNumber": "1000000000000020000000",
                "endSequenceNumber": "1000000000000020000000",
                "approximateArrivalOfFirstRecord": "2027-01-15T08:00:00.000Z",
                "approximateArrivalOfLastRecord": "2027-01-15T08:00:00.000Z",
                "batchSize": 1,
                "streamArn": arn,
            }

        world.story(tell)

    def test_a_reported_failure_is_logged_and_is_not_an_error_of_the_function(
        self, world: World, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        async def tell() -> None:
            arn = await world.table()
            failures = {"batchItemFailures": [{"itemIdentifier": "1000000000000010000000"}]}
            world.functions.behaviours["f"] = lambda event: failures if "Records" in event else None
            destination = "arn:aws:sqs:us-east-1:000000000000:failures"
            await world.map(arn, MaximumRetryAttempts=1, FunctionResponseTypes=["ReportBatchItemFailures"],
                            DestinationConfig={"OnFailure": {"Destination": destination}})  # fmt: skip
            await world.put("a")
            with caplog.at_level(logging.WARNING):
                await world.advance(60_000)
            assert caplog.text.count('function f failed: {"batchItemFailures":') == 1  # the second is the same
            (path,) = (tmp_path / "failures").iterdir()
            report = json.loads(path.read_text())
            assert report["responseContext"] == {"statusCode": 200, "executedVersion": "$LATEST"}

        world.story(tell)

    def test_only_discarded_records_are_logged_as_discarded(
        self, world: World, caplog: pytest.LogCaptureFixture
    ) -> None:
        async def tell() -> None:
            failures = {"batchItemFailures": [{"itemIdentifier": "1000000000000030000000"}]}
            world.functions.behaviours["f"] = lambda event: failures
            await world.map(await world.table(), MaximumRetryAttempts=0,
                            FunctionResponseTypes=["ReportBatchItemFailures"])  # fmt: skip
            await world.put("a", "b", "c")
            await world.triggers.settle()

        with caplog.at_level(logging.ERROR):
            world.story(tell)
        assert [record.message for record in caplog.records if "discarding" in record.message] == [
            "f: discarding 1 records from 1000000000000030000000 on: RetryAttemptsExhausted"
        ]

    def test_a_destination_function_gets_the_report_until_it_succeeds(self, world: World) -> None:
        async def tell() -> None:
            arn = await world.table()
            world.functions.behaviours.update({"f": fail, "g": fail})
            destination = "arn:aws:lambda:us-east-1:000000000000:function:g"
            await world.map(arn, MaximumRetryAttempts=0, DestinationConfig={"OnFailure": {"Destination": destination}})
            await world.put("a")
            await world.advance(3_000)
            assert len(world.functions.events["f"]) == 1
            assert len(world.functions.events["g"]) > 1
            world.functions.behaviours.clear()
            await world.put("b")
            await world.advance(3_000)
            assert world.functions.given() == ["a", "b"]

        world.story(tell)

    def test_records_that_are_too_old_are_not_sent(self, world: World) -> None:
        async def tell() -> None:
            await world.map(await world.table(), MaximumRecordAgeInSeconds=60)
            world.functions.behaviours["f"] = fail
            await world.put("old")
            await world.advance(50_000)
            await world.put("young")
            await world.advance(30_000)
            world.functions.behaviours["f"] = lambda event: None
            await world.advance(60_000)
            assert world.functions.given()[-1] == "young"
            assert "old" not in map(key, world.functions.events["f"][-1]["Records"])

        world.story(tell)


class TestMappings:
    def test_a_disabled_mapping_resumes_where_it_was(self, world: World) -> None:
        async def tell() -> None:
            uuid = await world.map(await world.table())
            await world.put("a")
            await world.triggers.settle()
            await api.update_event_source_mapping(world.triggers, {"UUID": uuid, "Enabled": False})
            await world.put("b")
            await world.triggers.settle()
            assert world.functions.given() == ["a"]
            await api.update_event_source_mapping(world.triggers, {"UUID": uuid, "Enabled": True})
            await world.triggers.settle()
            assert world.functions.given() == ["a", "b"]

        world.story(tell)

    def test_a_mapping_that_is_deleted_while_its_function_runs_leaves_nothing(self, world: World) -> None:
        async def tell() -> None:
            uuid = await world.map(await world.table())
            world.functions.gate = asyncio.Event()
            await world.put("a")
            settling = asyncio.create_task(world.triggers.settle())
            await asyncio.sleep(0.01)
            await api.delete_event_source_mapping(world.triggers, {"UUID": uuid})
            world.functions.gate.set()
            await settling
            rows = await world.region.engine.read(lambda s: list(s.scan(b"\0\0\0\0M", b"\0\0\0\0Q")))
            assert rows == []
            with pytest.raises(ApiError):
                await api.get_event_source_mapping(world.triggers, {"UUID": uuid})

        world.story(tell)

    def test_two_functions_are_given_the_same_changes(self, world: World) -> None:
        async def tell() -> None:
            arn = await world.table()
            await world.map(arn, "f")
            await world.map(arn, "g")
            world.functions.behaviours["f"] = fail
            await world.put("a")
            await world.triggers.settle()
            assert world.functions.given("g") == ["a"]

        world.story(tell)

    def test_a_restored_state_is_followed_anew(self, world: World) -> None:
        async def tell() -> None:
            engine: Any = world.region.engine
            await world.map(await world.table())
            await world.put("a")
            await world.triggers.settle()
            state = engine.snapshot()
            await world.put("b")
            await world.triggers.settle()
            engine.restore(state)
            world.region.catalog.forget()
            world.triggers.forget()
            await world.put("c")
            await world.triggers.settle()
            assert world.functions.given() == ["a", "b", "c"]

        world.story(tell)


class TestDeclaredTriggers:
    def test_a_table_is_followed_as_soon_as_it_has_a_stream(self, worlds: Callable[..., World]) -> None:
        world = worlds(Trigger("users", "f", "failures", {"BatchSize": 7}))

        async def tell() -> None:
            await world.triggers.settle()
            await world.table(stream=False)
            await world.triggers.settle()
            specification = {"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"}
            await world.request("UpdateTable", TableName="users", StreamSpecification=specification)
            await world.put("a")
            await world.triggers.settle()
            assert world.functions.given() == ["a"]
            (one,) = (await api.list_event_source_mappings(world.triggers, {}))["EventSourceMappings"]
            assert (one["BatchSize"], one["LastProcessingResult"]) == (7, "OK")
            assert one["DestinationConfig"]["OnFailure"]["Destination"].endswith(":failures")

        world.story(tell)

    def test_a_trigger_without_a_stream_is_reported_once(
        self, worlds: Callable[..., World], caplog: pytest.LogCaptureFixture
    ) -> None:
        world = worlds(Trigger("users", "f", None, {}))
        waits = "the trigger of users for f waits: "

        async def warnings() -> list[str]:
            caplog.clear()
            await world.triggers.settle()
            return [record.message for record in caplog.records if record.levelno == logging.WARNING]

        async def tell() -> None:
            assert await warnings() == [waits + "there is no such table in us-east-1"]
            await world.table("others", stream=False)
            assert await warnings() == []
            await world.table(stream=False)
            assert await warnings() == [waits + "the table has no stream in us-east-1"]
            for enabled in (True, False):
                specification = {"StreamEnabled": enabled} | ({"StreamViewType": "KEYS_ONLY"} if enabled else {})
                await world.request("UpdateTable", TableName="users", StreamSpecification=specification)
                assert await warnings() == ([] if enabled else [waits + "the table has no stream in us-east-1"])

        world.story(tell)

    def test_the_next_stream_is_followed_too(self, worlds: Callable[..., World]) -> None:
        world = worlds(Trigger("users", "f", None, {}))

        async def tell() -> None:
            await world.table()
            await world.put("a")
            await world.request("DeleteTable", TableName="users")
            await world.table()
            await world.put("b")
            await world.triggers.settle()
            assert sorted(world.functions.given()) == ["a", "b"]

        world.story(tell)

    def test_latest_follows_a_later_stream_from_its_beginning(self, worlds: Callable[..., World]) -> None:
        """Changes between the stream's beginning and the next read of the tables were skipped."""
        world = worlds(Trigger("users", "f", None, {"StartingPosition": "LATEST"}))

        async def tell() -> None:
            await world.table()
            await world.put("a")
            await world.triggers.settle()
            await world.request("DeleteTable", TableName="users")
            await world.table()
            await world.put("b")
            await world.triggers.settle()
            assert world.functions.given() == ["a", "b"]

        world.story(tell)

    def test_latest_follows_an_existing_stream_from_now_on(self, worlds: Callable[..., World]) -> None:
        world = worlds(Trigger("users", "f", None, {"StartingPosition": "LATEST"}))

        async def tell() -> None:
            await world.table()
            await world.put("a")
            world.clock.set(world.clock.now_ms() + 1)
            world.restart()
            await world.triggers.settle()
            await world.put("b")
            await world.triggers.settle()
            assert world.functions.given() == ["b"]

        world.story(tell)

    def test_a_restart_resumes_where_it_was(self, worlds: Callable[..., World]) -> None:
        world = worlds(Trigger("users", "f", None, {}))

        async def tell() -> None:
            await world.table()
            await world.put("a")
            await world.triggers.settle()
            world.restart()
            await world.put("b")
            await world.triggers.settle()
            assert world.functions.given() == ["b"]

        world.story(tell)

    def test_a_trigger_removed_from_the_file_ends(self, worlds: Callable[..., World]) -> None:
        world = worlds(Trigger("users", "f", None, {}))

        async def tell() -> None:
            await world.table()
            await world.triggers.settle()
            world.registry = type(world.registry)(world.registry.functions, {}, (Trigger("users", "g", None, {}),))
            world.restart()
            await world.put("a")
            await world.triggers.settle()
            assert (world.functions.given("f"), world.functions.given("g")) == ([], ["a"])

        world.story(tell)

    def test_a_start_without_the_file_loses_no_place(self, worlds: Callable[..., World]) -> None:
        world = worlds(Trigger("users", "f", None, {}))
        registry = world.registry

        async def tell() -> None:
            await world.table()
            await world.put("a")
            await world.triggers.settle()
            world.registry = type(registry)({}, {}, ())
            world.restart()
            await world.put("b")
            await world.triggers.settle()
            world.registry = registry
            world.restart()
            await world.triggers.settle()
            assert world.functions.given() == ["b"]

        world.story(tell)


async def turns() -> None:
    """As many turns of the loop as everything takes that waits for nothing."""
    for _ in range(100):
        await asyncio.sleep(0)


class TestStop:
    async def invoke(self, world: World, payload: bytes = b"{}") -> None:
        await api.invoke(world.triggers, {"FunctionName": "f", "InvocationType": "Event", "Payload": payload})
        await turns()

    def test_an_asynchronous_invocation_is_finished_first(self, world: World) -> None:
        async def tell() -> None:
            world.functions.gate = asyncio.Event()
            await self.invoke(world, b"7")
            stopping = asyncio.create_task(world.triggers.stop())
            await turns()
            assert not world.functions.closed
            world.functions.gate.set()
            await stopping
            assert world.functions.closed
            assert world.functions.events["f"] == [7]

        world.story(tell)

    def test_an_invocation_requested_meanwhile_is_ended_first_too(self, world: World) -> None:
        async def tell() -> None:
            earlier = world.functions.gate = asyncio.Event()
            await self.invoke(world, b"7")
            stopping = asyncio.create_task(world.triggers.stop())
            await turns()
            later = world.functions.gate = asyncio.Event()
            await self.invoke(world, b"8")
            earlier.set()
            await turns()
            assert world.functions.events["f"] == [7]
            assert not world.functions.closed
            later.set()
            await stopping
            assert world.functions.events["f"] == [7, 8]

        world.story(tell)

    def test_a_stopped_server_accepts_no_invocation(self, world: World) -> None:
        async def tell() -> None:
            await world.triggers.stop()
            with pytest.raises(ApiError) as caught:
                await self.invoke(world)
            assert (caught.value.code, caught.value.status) == ("ServiceException", 500)

        world.story(tell)

    def test_a_call_waiting_for_a_thread_is_not_started_after_closing(self, world: World, tmp_path: Path) -> None:
        command = ("sh", "-c", "echo >> began; echo > pipe; exec sleep 60")
        function = Function("slow", tmp_path, command=command, concurrency=1)
        os.mkfifo(tmp_path / "pipe")

        async def tell() -> None:
            functions = Functions(Registry({"slow": function}, {}, ()), world.region)
            running = [asyncio.create_task(functions.invoke(function, b"{}", str(number))) for number in range(2)]
            await asyncio.to_thread((tmp_path / "pipe").read_bytes)
            functions.close()
            running.append(asyncio.create_task(functions.invoke(function, b"{}", "2")))
            killed, *not_begun = await asyncio.gather(*running, return_exceptions=True)
            assert isinstance(killed, BatchOutcome) and killed.error == "Unhandled"
            assert [one.code for one in not_begun if isinstance(one, ApiError)] == ["ServiceException"] * 2
            assert (tmp_path / "began").read_text() == "\n"

        world.story(tell)

    def test_a_destination_that_does_not_answer_is_not_waited_for(self, world: World) -> None:
        """Its connection was not closed at the stop, so the server took half a minute to stop."""

        async def tell() -> None:
            with socket.create_server(("127.0.0.1", 0)) as site:
                url = f"http://127.0.0.1:{site.getsockname()[1]}/"
                functions = Functions(Registry({}, {"site": Destination("site", webhook=url)}, ()), world.region)
                telling = asyncio.create_task(functions.report("arn:aws:sqs:us-east-1:000000000000:site", {}, "name"))
                connection, _ = await asyncio.to_thread(site.accept)
                with connection:
                    await asyncio.to_thread(connection.recv, 1)
                    functions.close()
                    assert not await asyncio.wait_for(telling, 20)

        world.story(tell)

    @pytest.mark.parametrize(("most", "value"), [("INVOCATIONS", 3), ("BYTES", 3 * 10)])
    def test_few_invocations_of_a_slow_function_wait(
        self, world: World, monkeypatch: pytest.MonkeyPatch, most: str, value: int
    ) -> None:
        """A client does not wait for its invocations: it could fill the memory with their events."""
        monkeypatch.setattr(f"atoll.triggers.waiting.{most}", value)
        request = {"FunctionName": "f", "InvocationType": "Event", "Payload": b'"8 bytes."'}

        async def tell() -> None:
            world.functions.gate = asyncio.Event()
            for _ in range(3):
                await api.invoke(world.triggers, request)
            with pytest.raises(ApiError) as caught:
                await api.invoke(world.triggers, request)
            assert (caught.value.code, caught.value.status) == ("TooManyRequestsException", 429)
            await api.invoke(world.triggers, {**request, "FunctionName": "g"})
            world.functions.gate.set()
            await turns()
            await api.invoke(world.triggers, request)

        world.story(tell)

    def test_one_that_does_not_end_is_not_waited_for(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("STOP_S", "KILLED_S"):
            monkeypatch.setattr(f"atoll.triggers.poller.{name}", 0.01)

        async def tell() -> None:
            world.functions.gate = asyncio.Event()
            await api.invoke(world.triggers, {"FunctionName": "f", "InvocationType": "Event"})
            await world.triggers.stop()
            assert not world.functions.events

        world.story(tell)


@settings(max_examples=60)
@given(data=st.data())
def test_no_change_is_missed_over_crashes_splits_and_failures(tmp_path_factory: Any, data: st.DataObject) -> None:
    """Functions that fail at random, servers that crash at random: in the end each change was given at least once, and
    the first time that each was given is in the order of its item's changes."""
    world = World(tmp_path_factory.mktemp("world"))
    draw, chance = data.draw, Random(data.draw(st.integers(0, 2**32)))
    first_seen: dict[str, list[int]] = {}
    written: Counter[str] = Counter()

    def note(event: Event) -> None:
        for r in event["Records"]:
            n = int(r["dynamodb"]["NewImage"]["n"]["N"])
            seen = first_seen.setdefault(key(r), [])
            if n not in seen:
                seen.append(n)

    def fail_or_note(event: Event) -> None:
        if chance.random() < 0.3:
            raise RuntimeError("at random")
        note(event)

    async def tell() -> None:
        world.functions.behaviours["f"] = fail_or_note
        factor = st.integers(1, 4)
        members: dict[str, Any] = {
            "BatchSize": draw(st.integers(1, 5)),
            "ParallelizationFactor": draw(factor),
            "BisectBatchOnFunctionError": draw(st.booleans()),
        }
        uuid = await world.map(await world.table(), **members)
        for _ in range(draw(st.integers(1, 25))):
            match draw(st.sampled_from(["put", "put", "put", "settle", "crash", "split", "rotate", "factor", "wait"])):
                case "put":
                    for _ in range(draw(st.integers(1, 5))):
                        name = draw(st.sampled_from("abcdef"))
                        written[name] += 1
                        await world.put(name, n={"N": str(written[name])})
                case "settle":
                    await world.triggers.settle()
                case "crash":
                    world.restart()
                case "split":
                    await world.split()
                case "rotate":
                    await world.rotate()
                case "factor":
                    await api.update_event_source_mapping(
                        world.triggers, {"UUID": uuid, "ParallelizationFactor": draw(factor)}
                    )
                case "wait":
                    await world.advance(draw(st.integers(1, 2_000)))
        world.functions.behaviours["f"] = note
        await world.advance(10 * 60_000)

    world.story(tell)
    assert first_seen == {name: list(range(1, count + 1)) for name, count in written.items()}
