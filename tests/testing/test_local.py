"""The server inside of a test process."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from boto3.dynamodb.conditions import Key
from botocore.config import Config
from botocore.exceptions import ClientError

from atoll import testing
from atoll.clock import SystemClock

HOUR = timedelta(hours=1)


@pytest.fixture
def server() -> Iterator[testing.LocalServer]:
    with testing.serve() as running:
        yield running


def make_table(server: testing.LocalServer, name: str = "Things", **more: Any) -> Any:
    return server.resource(region_name=more.pop("region", server.region)).create_table(
        TableName=name,
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
        **more,
    )


STREAM: dict[str, Any] = {"StreamSpecification": {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}}


class TestServing:
    def test_client_and_resource_reach_it(self, server: testing.LocalServer) -> None:
        make_table(server).put_item(Item={"pk": "a", "n": 1})
        assert server.client().get_item(TableName="Things", Key={"pk": {"S": "a"}})["Item"]["n"] == {"N": "1"}
        table = server.resource().Table("Things")
        assert table.query(KeyConditionExpression=Key("pk").eq("a"))["Count"] == 1

    def test_it_starts_in_less_than_a_tenth_of_a_second(self) -> None:
        clock = SystemClock()
        durations_ms = []
        for _ in range(5):
            before_ms = clock.now_ms()
            with testing.serve():
                durations_ms.append(clock.now_ms() - before_ms)
        assert min(durations_ms) < 100

    def test_two_servers_share_nothing(self, server: testing.LocalServer) -> None:
        make_table(server)
        with testing.serve() as other:
            assert other.endpoint_url != server.endpoint_url
            assert other.client().list_tables()["TableNames"] == []
            other.clock.advance("1h")
        assert server.client().list_tables()["TableNames"] == ["Things"]

    def test_it_leaves_no_file_behind(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        with testing.serve() as server:
            make_table(server).put_item(Item={"pk": "a"})
        assert list(tmp_path.iterdir()) == []

    def test_a_stopped_server_is_gone(self) -> None:
        server = testing.serve().start()
        server.stop()
        server.stop()
        with pytest.raises(RuntimeError, match="is not running"):
            server.snapshot()
        with pytest.raises(RuntimeError, match="started already"):
            server.start()

    def test_profiles_and_proxies_of_the_user_do_not_matter(
        self, server: testing.LocalServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("AWS_PROFILE", "there-is-none")
        monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
        monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
        make_table(server)
        assert ":us-east-1:" in server.client().describe_table(TableName="Things")["Table"]["TableArn"]

    def test_settings_are_those_of_a_region(self) -> None:
        with testing.serve(region="eu-west-1", account="123456789012", control_plane_delay_ms=10_000) as server:
            make_table(server)
            described = server.client().describe_table(TableName="Things")["Table"]
            assert described["TableArn"] == "arn:aws:dynamodb:eu-west-1:123456789012:table/Things"
            assert described["TableStatus"] == "CREATING"
            server.clock.advance(10)
            assert server.client().describe_table(TableName="Things")["Table"]["TableStatus"] == "ACTIVE"

    def test_it_starts_once(self) -> None:
        with testing.serve() as server, pytest.raises(RuntimeError, match="has been started already"):
            server.start()

    def test_without_boto3_only_clients_are_missing(self) -> None:
        program = (
            "import sys\n"
            "sys.modules['boto3'] = None\n"
            "from atoll import testing\n"
            "with testing.serve() as server:\n"
            "    server.clock.advance('1h')\n"
            "    try:\n"
            "        server.client()\n"
            "    except ImportError as error:\n"
            "        print(error)\n"
        )
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
        assert "need boto3, which is not installed: pip install boto3" in done.stdout


class TestClock:
    def test_it_starts_at_the_real_time_and_does_not_move(self, server: testing.LocalServer) -> None:
        before = server.clock.now
        assert abs(before - datetime.fromtimestamp(SystemClock().now_ms() / 1000, UTC)) < timedelta(seconds=30)
        server.client().list_tables()
        assert server.clock.now == before
        assert server.clock.time() == before.timestamp()

    @pytest.mark.parametrize("hour", ["1h", "60m", "0.5h30m", "3600s", "3600000ms", 3600, 3600.0, HOUR])
    def test_durations_are_text_seconds_or_timedeltas(self, server: testing.LocalServer, hour: Any) -> None:
        before = server.clock.now
        assert server.clock.advance(hour) == before + HOUR == server.clock.now

    @pytest.mark.parametrize("duration", ["", "1", "soon", "1h 5m", "-1h", -1, True, "9999999d", float("nan")])
    def test_an_invalid_duration_is_refused(self, server: testing.LocalServer, duration: Any) -> None:
        before = server.clock.now
        with pytest.raises(ValueError, match=r"is not a duration|is not a time|positive duration"):
            server.clock.advance(duration)
        assert server.clock.now == before

    @pytest.mark.parametrize(
        "time", ["2030-01-02T03:04:05Z", "2030-01-02 04:04:05+01:00", 1893553445, datetime(2030, 1, 2, 3, 4, 5)]
    )
    def test_it_can_be_set(self, server: testing.LocalServer, time: Any) -> None:
        assert server.clock.set(time) == datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)

    def test_a_system_clock_cannot_be_moved(self) -> None:
        with testing.serve(clock="system") as server, pytest.raises(ValueError, match="clock is the system's"):
            server.clock.advance("1h")

    def test_items_expire_in_time(self, server: testing.LocalServer) -> None:
        table = make_table(server, **STREAM)
        server.client().update_time_to_live(
            TableName="Things", TimeToLiveSpecification={"Enabled": True, "AttributeName": "until"}
        )
        for hours in (1, 24, 26):
            table.put_item(Item={"pk": f"{hours} hours", "until": int(server.clock.time()) + hours * 3600})
        server.clock.advance("25h")
        assert [item["pk"] for item in table.scan()["Items"]] == ["26 hours"]

    def test_a_day_and_an_hour_rotate_six_times(self, server: testing.LocalServer) -> None:
        table = make_table(server, **STREAM)
        streams = server.client("dynamodbstreams")
        arn = table.latest_stream_arn
        before = streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]
        server.clock.advance("25h")
        after = streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]
        assert len(after) == 7 * len(before)

    def test_iterators_expire_and_records_are_trimmed(self, server: testing.LocalServer) -> None:
        table = make_table(server, **STREAM)
        streams = server.client("dynamodbstreams")
        table.put_item(Item={"pk": "a"})
        arn = table.latest_stream_arn

        def iterators() -> list[str]:
            shards = streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]
            return [
                streams.get_shard_iterator(StreamArn=arn, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON")[
                    "ShardIterator"
                ]
                for shard in shards
            ]

        old = iterators()
        assert sum(len(streams.get_records(ShardIterator=i)["Records"]) for i in old) == 1
        server.clock.advance("16m")
        with pytest.raises(streams.exceptions.ExpiredIteratorException):
            streams.get_records(ShardIterator=old[0])
        server.clock.advance("25h")
        assert sum(len(streams.get_records(ShardIterator=i)["Records"]) for i in iterators()) == 0

    def test_a_token_of_a_transaction_is_over_after_ten_minutes(self, server: testing.LocalServer) -> None:
        make_table(server)
        client = server.client()

        def write(value: str) -> None:
            item = {"pk": {"S": "a"}, "v": {"S": value}}
            client.transact_write_items(
                TransactItems=[{"Put": {"TableName": "Things", "Item": item}}], ClientRequestToken="token"
            )

        write("first")
        with pytest.raises(client.exceptions.IdempotentParameterMismatchException):
            write("second")
        server.clock.advance("10m")
        write("second")

    def test_a_month_passes_quickly(self, server: testing.LocalServer) -> None:
        make_table(server, **STREAM)
        clock = SystemClock()
        before_ms = clock.now_ms()
        server.clock.advance("35d")
        assert clock.now_ms() - before_ms < 10_000

    def test_records_have_the_time_to_which_the_clock_was_set_back(self, server: testing.LocalServer) -> None:
        table = make_table(server, **STREAM)
        monday, sunday = server.clock.now + timedelta(days=1), server.clock.now + timedelta(days=7)
        server.clock.set(sunday)
        table.put_item(Item={"pk": "a"})
        server.clock.set(monday)
        table.put_item(Item={"pk": "b"})
        times = [record["dynamodb"]["ApproximateCreationDateTime"] for record in records(server, table)]
        assert sorted(times) == [monday.replace(microsecond=0), sunday.replace(microsecond=0)]


def records(server: testing.LocalServer, table: Any) -> list[Any]:
    streams = server.client("dynamodbstreams")
    arn = table.latest_stream_arn
    found = []
    for shard in streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]:
        iterator = streams.get_shard_iterator(
            StreamArn=arn, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
        )["ShardIterator"]
        found += streams.get_records(ShardIterator=iterator)["Records"]
    return found


def make_limited_table(server: testing.LocalServer, units: int = 1) -> Any:
    return server.resource().create_table(
        TableName="Limited",
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        ProvisionedThroughput={"ReadCapacityUnits": units, "WriteCapacityUnits": units},
    )


def exhaust(server: testing.LocalServer) -> None:
    """Write 400 units, and see that the table takes no more."""
    client = server.client(config=Config(retries={"max_attempts": 0}))
    client.put_item(TableName="Limited", Item={"pk": {"S": "a"}, "x": {"S": "x" * 409_000}})
    with pytest.raises(client.exceptions.ProvisionedThroughputExceededException) as caught:
        client.delete_item(TableName="Limited", Key={"pk": {"S": "a"}})
    assert caught.value.response["ThrottlingReasons"] == [
        {
            "reason": "TableWriteProvisionedThroughputExceeded",
            "resource": "arn:aws:dynamodb:us-east-1:000000000000:table/Limited",
        }
    ]


class TestThrottling:
    @pytest.fixture
    def server(self) -> Iterator[testing.LocalServer]:
        with testing.serve(throttling=True) as running:
            yield running

    def test_a_table_is_refilled_as_the_clock_moves(self, server: testing.LocalServer) -> None:
        table = make_limited_table(server)
        exhaust(server)
        server.clock.advance("101s")
        table.delete_item(Key={"pk": "a"})

    def test_an_on_demand_maximum_has_its_own_code_and_member(self, server: testing.LocalServer) -> None:
        make_table(server, OnDemandThroughput={"MaxWriteRequestUnits": 1})
        client = server.client(config=Config(retries={"max_attempts": 0}))
        client.put_item(TableName="Things", Item={"pk": {"S": "a"}, "x": {"S": "x" * 409_000}})
        with pytest.raises(ClientError) as caught:
            client.delete_item(TableName="Things", Key={"pk": {"S": "a"}})
        assert caught.value.response["Error"]["Code"] == "ThrottlingException"
        (reason,) = caught.value.response["throttlingReasons"]
        assert reason["reason"] == "TableWriteMaxOnDemandThroughputExceeded"

    def test_a_batch_writer_continues_until_all_is_written(self, server: testing.LocalServer) -> None:
        table = make_limited_table(server)
        unprocessed = []

        def while_an_answer_is_read(parsed: Any, **_: Any) -> None:
            unprocessed.append(len(parsed["UnprocessedItems"].get("Limited", ())))
            server.clock.advance(5)

        table.meta.client.meta.events.register("after-call.dynamodb.BatchWriteItem", while_an_answer_is_read)
        with table.batch_writer() as batch:
            for number in range(500):
                batch.put_item(Item={"pk": str(number)})
        assert sum(unprocessed) > 100
        assert unprocessed[-1] == 0
        server.clock.advance("5m")
        assert table.scan(Select="COUNT")["Count"] == 500

    def test_a_state_that_is_restored_has_full_tables(self, server: testing.LocalServer) -> None:
        make_limited_table(server)
        state = server.snapshot()
        for _ in range(2):
            exhaust(server)
            server.restore(state)

    def test_nothing_is_throttled_unless_requested(self, atoll_server: testing.LocalServer) -> None:
        table = make_limited_table(atoll_server)
        for _ in range(5):
            table.put_item(Item={"pk": "a", "x": "x" * 409_000})


class TestStreams:
    def test_shards_rotate_and_split_on_demand(self, server: testing.LocalServer) -> None:
        table = make_table(server, **STREAM)
        first = server.rotate("Things")
        assert len(server.split("Things")) == 2 * len(first)
        assert len(server.rotate(table.latest_stream_arn)) == 2 * len(first)

    def test_records_are_trimmed_on_demand(self, server: testing.LocalServer) -> None:
        table = make_table(server, **STREAM)
        table.put_item(Item={"pk": "a"})
        assert len(records(server, table)) == 1
        server.trim("Things")
        assert records(server, table) == []
        table.put_item(Item={"pk": "b"})
        assert len(records(server, table)) == 1

    def test_a_missing_table_is_refused(self, server: testing.LocalServer) -> None:
        with pytest.raises(ValueError, match="Nothing"):
            server.rotate("Nothing")


class TestState:
    def test_a_snapshot_brings_everything_back(self, server: testing.LocalServer) -> None:
        table = make_table(server)
        table.put_item(Item={"pk": "a", "v": 1})
        before, state = server.clock.now, server.snapshot()
        for _ in range(2):
            table.put_item(Item={"pk": "a", "v": 2})
            table.put_item(Item={"pk": "b"})
            make_table(server, "More")
            server.clock.advance("2d")
            server.restore(state)
            assert table.scan()["Items"] == [{"pk": "a", "v": 1}]
            assert server.client().list_tables()["TableNames"] == ["Things"]
            assert server.clock.now == before

    def test_a_deleted_table_comes_back(self, server: testing.LocalServer) -> None:
        table = make_table(server)
        table.put_item(Item={"pk": "a"})
        state = server.snapshot()
        table.delete()
        make_table(server, "Things", Tags=[{"Key": "new", "Value": "yes"}])
        server.restore(state)
        assert table.scan()["Count"] == 1
        assert server.client().list_tags_of_resource(ResourceArn=table.table_arn)["Tags"] == []

    def test_the_same_changes_after_a_restore_have_the_same_records(self, server: testing.LocalServer) -> None:
        table = make_table(server, **STREAM)
        state = server.snapshot()
        seen = []
        for _ in range(2):
            table.put_item(Item={"pk": "a"})
            seen.append(records(server, table))
            server.clock.advance("1d")
            server.restore(state)
        assert seen[0] == seen[1] != []

    def test_all_regions_are_in_it(self, server: testing.LocalServer) -> None:
        make_table(server, "East", region="us-east-1")
        make_table(server, "West", region="us-west-2")
        state = server.snapshot()
        make_table(server, "North", region="eu-north-1")
        server.client(region_name="us-west-2").delete_table(TableName="West")
        server.restore(state)
        tables = {
            region: server.client(region_name=region).list_tables()["TableNames"]
            for region in ("us-east-1", "us-west-2", "eu-north-1")
        }
        assert tables == {"us-east-1": ["East"], "us-west-2": ["West"], "eu-north-1": []}

    def test_readers_of_a_later_time_do_not_hold_back_those_of_an_earlier_one(self) -> None:
        with testing.serve(strict_stream_readers=True) as server:
            table = make_table(server, **STREAM)
            state = server.snapshot()
            server.clock.advance("1h")
            for _ in range(2):
                records(server, table)
            server.restore(state)
            for _ in range(2):
                records(server, table)
            server.clock.advance("1h")
            for _ in range(2):
                records(server, table)
            server.clock.set(server.clock.time() - 3600)
            for _ in range(2):
                records(server, table)


class TestExamples:
    def test_no_seat_is_sold_twice(self, server: testing.LocalServer) -> None:
        variables = {
            "AWS_ENDPOINT_URL": server.endpoint_url,
            "AWS_DEFAULT_REGION": server.region,
            "AWS_ACCESS_KEY_ID": "x",
            "AWS_SECRET_ACCESS_KEY": "y",
            "NO_PROXY": "127.0.0.1",
        }
        program = Path(__file__).parents[2] / "examples" / "optimistic_locking.py"
        own = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        done = subprocess.run([sys.executable, program], env=own | variables, capture_output=True, text=True)
        *told, last = done.stdout.splitlines()
        assert last == "20 seats sold, 0 left, version 21", done.stderr
        assert sorted(int(line.split()[-2]) for line in told if "sold a seat" in line) == list(range(20))
        assert server.client().list_tables()["TableNames"] == []

    def test_notes_are_found_by_meaning(self, server: testing.LocalServer) -> None:
        variables = {
            "AWS_ENDPOINT_URL": server.endpoint_url,
            "AWS_DEFAULT_REGION": server.region,
            "AWS_ACCESS_KEY_ID": "x",
            "AWS_SECRET_ACCESS_KEY": "y",
            "NO_PROXY": "127.0.0.1",
        }
        program = Path(__file__).parents[2] / "examples" / "nearest_notes" / "nearest_notes.py"
        own = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        command = [sys.executable, str(program), "when is my dental visit?"]
        done = subprocess.run(command, env=own | variables, capture_output=True, text=True)
        assert done.stdout.splitlines()[0] == "0.370  The dentist moved my appointment to Monday at nine.", done.stderr
        assert server.client().list_tables()["TableNames"] == []

    def test_a_region_that_was_cut_off_ends_with_what_the_others_have(self) -> None:
        program = Path(__file__).parents[2] / "examples" / "global_table.py"
        own = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        done = subprocess.run([sys.executable, program], env=own | {"NO_PROXY": "*"}, capture_output=True, text=True)
        *told, last = done.stdout.splitlines()
        assert last == "seat 2A: Ann has it, sold in us-east-1; Akira lost it, sold in ap-northeast-1", done.stderr
        shown = [line.partition(": ")[2] for line in told[-3:]]
        assert shown == [shown[0]] * 3
        assert shown[0].count("a guest of") == 3 and shown[0].endswith("2A Ann, 2B Aoife")


@pytest.mark.parametrize(
    "options",
    [
        {"clock": "maunal"}, {"region": "Frankfurt"}, {"account": "1"}, {"error_style": "2025"}, {"throttling": "half"},
        {"quotas": None}, {"ttl_delay_ms": -1}, {"control_plane_delay_ms": "1s"}, {"ttl_rate": 0.5},
    ],
)  # fmt: skip
def test_an_option_that_nothing_understands_is_refused(options: dict[str, Any]) -> None:
    """A misspelt clock was the system's."""
    [name] = options
    with pytest.raises(ValueError, match=f"^{name} must be "):
        testing.serve(**options)
