"""The administration over HTTP: `/_atoll/...`."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

import botocore.auth
import pytest
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as Keys
from botocore.exceptions import ClientError

from atoll import testing
from atoll.clock import ManualClock
from atoll.config import Config
from atoll.database import background, due
from atoll.node import Node
from atoll.security.credentials import FILE_NAME, Credential, Credentials
from atoll.testing.local import LocalServer
from atoll.triggers.poller import Triggers

Answer = tuple[int, Any]


def ask(
    server: LocalServer,
    method: str,
    path: str,
    body: Any = None,
    signed_by: Credential | None = None,
    origin: str | None = None,
) -> Answer:
    data = None if body is None else json.dumps(body).encode()
    headers = {} if origin is None else {"Origin": origin, "Content-Type": "text/plain"}
    if signed_by is not None:
        request = AWSRequest(method, server.endpoint_url + path, data=data or b"")
        keys = Keys(signed_by.access_key, signed_by.secret)
        botocore.auth.SigV4Auth(keys, "dynamodb", "us-east-1").add_auth(request)
        headers = dict(request.headers.items())
    sent = urllib.request.Request(server.endpoint_url + path, data, headers, method=method)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(sent) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


@pytest.fixture
def server() -> Iterator[LocalServer]:
    with testing.serve() as running:
        yield running


def make_table(client: Any) -> None:
    client.create_table(
        TableName="Things",
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"},
    )


def stream_shards(server: LocalServer) -> list[dict[str, Any]]:
    streams = server.client("dynamodbstreams")
    (stream,) = streams.list_streams()["Streams"]
    shards: list[dict[str, Any]] = streams.describe_stream(StreamArn=stream["StreamArn"])["StreamDescription"]["Shards"]
    return shards


def expiring_over_weeks(moves: list[timedelta]) -> tuple[list[tuple[str, int]], list[tuple[int, int]]]:
    """Items expire after some hours while the clock moves. Returns the records that the stream shows then, as key and
    hour, and the shards, as hour and their parent's hour."""
    with testing.serve() as server:
        client, streams = server.client(), server.client("dynamodbstreams")
        server.clock.set("2030-01-01T00:00:00Z")
        start = int(server.clock.time())
        make_table(client)
        setting = {"Enabled": True, "AttributeName": "until"}
        client.update_time_to_live(TableName="Things", TimeToLiveSpecification=setting)
        for name, hours in zip("abcdef", (1, 30, 12 * 24, 20 * 24 - 26, 20 * 24 - 23, 20 * 24 - 1), strict=True):
            item = {"pk": {"S": name}, "until": {"N": str(start + hours * 3600 - 1)}}
            client.put_item(TableName="Things", Item=item)
        for move in moves:
            server.clock.advance(move)
        (stream,) = streams.list_streams()["Streams"]
        records, shards = [], []
        for shard in stream_shards(server):
            opened, parent = (int(shard[name][8:28]) for name in ("ShardId", "ParentShardId"))
            shards.append(((opened // 1000 - start) // 3600, (parent // 1000 - start) // 3600))
            found = {"StreamArn": stream["StreamArn"], "ShardId": shard["ShardId"]}
            iterator = streams.get_shard_iterator(**found, ShardIteratorType="TRIM_HORIZON")["ShardIterator"]
            for record in streams.get_records(ShardIterator=iterator)["Records"]:
                body = record["dynamodb"]
                hour = round((body["ApproximateCreationDateTime"].timestamp() - start) / 3600)
                records.append((body["Keys"]["pk"]["S"], hour))
        return sorted(records), sorted(shards)


class TestClock:
    def test_it_is_shown_and_moved(self, server: LocalServer) -> None:
        status, shown = ask(server, "GET", "/_atoll/clock")
        assert (status, shown["clock"], shown["skew_ms"]) == (200, "manual", 0)
        status, moved = ask(server, "POST", "/_atoll/clock", {"advance": "25h"})
        assert status == 200
        assert moved["now_ms"] - shown["now_ms"] == 25 * 3600 * 1000
        status, moved = ask(server, "POST", "/_atoll/clock", {"set": "2040-01-02T03:04:05Z"})
        assert moved == {
            "clock": "manual", "now": "2040-01-02T03:04:05.000Z", "now_ms": 2_209_086_245_000, "skew_ms": 0
        }  # fmt: skip

    def test_work_that_became_due_is_done_before_the_answer(self, server: LocalServer) -> None:
        client = server.client()
        make_table(client)
        client.update_time_to_live(
            TableName="Things", TimeToLiveSpecification={"Enabled": True, "AttributeName": "until"}
        )
        until = str(int(server.clock.time()) + 3600)
        client.put_item(TableName="Things", Item={"pk": {"S": "a"}, "until": {"N": until}})
        ask(server, "POST", "/_atoll/clock", {"advance": "3601s"})
        assert client.scan(TableName="Things")["Count"] == 0

    @pytest.mark.parametrize(
        "body",
        [None, {}, [], {"advance": "1h", "set": 5}, {"forward": "1h"}, {"advance": "yesterday"}, {"advance": "-1h"},
         {"advance": None}, {"set": "noon"}, {"set": None}, {"set": -1}, {"set": 1e300}, {"skew": "a lot"}],
    )  # fmt: skip
    def test_an_invalid_request_changes_nothing(self, server: LocalServer, body: Any) -> None:
        before = server.clock.now
        status, answer = ask(server, "POST", "/_atoll/clock", body)
        assert status == 400
        assert answer["__type"].endswith(("#ValidationException", "#SerializationException"))
        assert server.clock.now == before

    def test_the_systems_clock_is_shown_but_not_moved(self) -> None:
        with testing.serve(clock="system") as server:
            assert ask(server, "GET", "/_atoll/clock")[1]["clock"] == "system"
            status, answer = ask(server, "POST", "/_atoll/clock", {"advance": "1h"})
            assert status == 400
            assert answer["message"].startswith("The clock is the system's; only a manual one can be moved: ")
            assert "--clock manual" in answer["message"]

    def test_no_page_in_a_browser_moves_it(self, server: LocalServer) -> None:
        before = ask(server, "GET", "/_atoll/clock")
        status, answer = ask(server, "POST", "/_atoll/clock", {"advance": "1d"}, origin="http://somewhere.example")
        assert (status, answer["__type"]) == (403, "com.amazon.coral.service#AccessDeniedException")
        assert ask(server, "GET", "/_atoll/clock") == before

    @pytest.mark.parametrize(("method", "path"), [("PUT", "/_atoll/clock"), ("GET", "/_atoll/"), ("POST", "/_atoll/x")])
    def test_other_paths_are_unknown(self, server: LocalServer, method: str, path: str) -> None:
        status, answer = ask(server, method, path, {})
        assert (status, answer["__type"]) == (404, "com.amazon.coral.service#UnknownOperationException")


class TestStreams:
    def test_shards_rotate_and_split_by_table_or_stream(self, server: LocalServer) -> None:
        client = server.client()
        make_table(client)
        arn = client.describe_table(TableName="Things")["Table"]["LatestStreamArn"]
        _, rotated = ask(server, "POST", "/_atoll/streams/rotate", {"stream": "Things"})
        status, split = ask(server, "POST", "/_atoll/streams/split", {"stream": arn})
        assert status == 200
        assert len(split["open_shards"]) == 2 * len(rotated["open_shards"])
        shards = server.client("dynamodbstreams").describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]
        parents = {shard["ShardId"]: shard.get("ParentShardId") for shard in shards}
        assert {parents[shard] for shard in split["open_shards"]} == set(rotated["open_shards"])

    def test_records_are_trimmed(self, server: LocalServer) -> None:
        client = server.client()
        make_table(client)
        client.put_item(TableName="Things", Item={"pk": {"S": "a"}})
        assert ask(server, "POST", "/_atoll/streams/trim", {"stream": "Things"}) == (200, {})

    def test_the_region_is_the_streams_or_is_named(self, server: LocalServer) -> None:
        client = server.client(region_name="eu-west-1")
        make_table(client)
        arn = client.describe_table(TableName="Things")["Table"]["LatestStreamArn"]
        assert ask(server, "POST", "/_atoll/streams/rotate", {"stream": "Things"})[0] == 400
        assert ask(server, "POST", "/_atoll/streams/rotate", {"stream": "Things", "region": "eu-west-1"})[0] == 200
        assert ask(server, "POST", "/_atoll/streams/rotate", {"stream": arn})[0] == 200

    @pytest.mark.parametrize("body", [{}, {"stream": ""}, {"stream": 5}, {"stream": "T", "region": 5}, {"table": "T"}])
    def test_a_request_must_name_a_stream(self, server: LocalServer, body: Any) -> None:
        status, answer = ask(server, "POST", "/_atoll/streams/rotate", body)
        assert status == 400
        assert "name of a table" in answer["message"]


class TestAuthority:
    @pytest.fixture
    def credentials(self, tmp_path: Path) -> Credentials:
        return Credentials(tmp_path / FILE_NAME)

    @pytest.fixture
    def signed(self, credentials: Credentials, tmp_path: Path) -> Iterator[LocalServer]:
        with LocalServer(Config(port=0, data=tmp_path, auth="sigv4", clock="manual")) as running:
            yield running

    @pytest.fixture
    def admin(self, credentials: Credentials) -> Credential:
        return credentials.create(0, admin=True)

    @pytest.fixture
    def user(self, credentials: Credentials) -> Credential:
        return credentials.create(0)

    @pytest.fixture
    def client(self, user: Credential, signed: LocalServer) -> Any:
        return signed.client(aws_access_key_id=user.access_key, aws_secret_access_key=user.secret)

    def test_admins_may(self, admin: Credential, signed: LocalServer) -> None:
        assert ask(signed, "GET", "/_atoll/clock", signed_by=admin)[0] == 200
        assert ask(signed, "POST", "/_atoll/clock", {"advance": "1h"}, signed_by=admin)[0] == 200

    def test_others_may_not(self, user: Credential, signed: LocalServer) -> None:
        status, answer = ask(signed, "GET", "/_atoll/clock", signed_by=user)
        assert (status, answer["__type"]) == (403, "com.amazon.coral.service#AccessDeniedException")

    def test_strangers_are_not_even_asked(self, signed: LocalServer) -> None:
        status, answer = ask(signed, "GET", "/_atoll/clock")
        assert (status, answer["message"]) == (400, "Request is missing Authentication Token")

    def test_clients_sign_by_the_real_time_whatever_the_clock_says(
        self, admin: Credential, client: Any, signed: LocalServer
    ) -> None:
        make_table(client)
        status, _ = ask(signed, "POST", "/_atoll/clock", {"advance": "25h"}, signed_by=admin)
        assert status == 200
        client.put_item(TableName="Things", Item={"pk": {"S": "a"}})

    @pytest.mark.parametrize(("skew", "text"), [("16m", "Signature expired"), ("-16m", "Signature not yet current")])
    def test_clock_skew_makes_signatures_too_old_or_too_new_until_it_is_removed(
        self, admin: Credential, client: Any, signed: LocalServer, skew: str, text: str
    ) -> None:
        status, shown = ask(signed, "POST", "/_atoll/clock", {"skew": skew}, signed_by=admin)
        assert (status, abs(shown["skew_ms"])) == (200, 16 * 60 * 1000)
        with pytest.raises(ClientError, match=text) as caught:
            client.list_tables()
        assert caught.value.response["Error"]["Code"] == "InvalidSignatureException"
        ask(signed, "POST", "/_atoll/clock", {"skew": 0}, signed_by=admin)
        assert client.list_tables()["TableNames"] == []

    def test_without_signatures_it_is_for_this_machine_only(self) -> None:
        with LocalServer(Config(host="0.0.0.0", port=0, data=None, clock="manual")) as reachable:
            status, answer = ask(reachable, "POST", "/_atoll/clock", {"advance": "1h"})
        assert (status, answer["__type"]) == (403, "com.amazon.coral.service#AccessDeniedException")

    @pytest.mark.parametrize(
        ("host", "loopback"),
        [("127.0.0.1", True), ("localhost", True), ("::1", True), ("0.0.0.0", False), ("::", False), ("", False),
         ("192.168.1.5", False), ("example", False)],
    )  # fmt: skip
    def test_loopback_addresses(self, host: str, loopback: bool) -> None:
        assert Config(host=host).loopback is loopback


def due_from_now_on(server: LocalServer, monkeypatch: pytest.MonkeyPatch, job: background.Job) -> None:
    """Run the job, and no other work, from now on."""
    monkeypatch.setitem(cast(dict[bytes, background.Job], background.JOBS), b"?", job)
    region = server._node.region()
    server._do(region.transact(lambda tx: due.schedule(tx, region.clock.now_ms(), b"?", b"")))


class TestStepByStep:
    def test_the_clock_stops_wherever_a_step_is_due(self, server: LocalServer, monkeypatch: pytest.MonkeyPatch) -> None:
        start_ms = round(server.clock.time() * 1000)
        seen: list[int] = []

        def every_four_hours(tx: Any, region: Any, stamp: Any, subject: bytes) -> int:
            now_ms: int = stamp.now_ms
            hours, rest = divmod(now_ms - start_ms, 4 * 3600 * 1000)
            if rest == 0 and (not seen or seen[-1] != 4 * hours):
                seen.append(4 * hours)
            return start_ms + (hours + 1) * 4 * 3600 * 1000

        due_from_now_on(server, monkeypatch, every_four_hours)
        server.clock.advance("25h")
        assert seen == [0, 4, 8, 12, 16, 20, 24]
        assert server.clock.time() * 1000 == pytest.approx(start_ms + 25 * 3600 * 1000)

    def test_overdue_work_neither_sets_the_clock_back_nor_skips_a_step(
        self, server: LocalServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        start_ms = round(server.clock.time() * 1000)
        stops: list[float] = [0]

        def every_20_minutes(tx: Any, region: Any, stamp: Any, subject: bytes) -> int:
            return stamp.now_ms + 20 * 60_000

        async def overdue(triggers: Triggers) -> int:
            minutes = (triggers.region.clock.now_ms() - start_ms) / 60_000
            if minutes != stops[-1]:
                stops.append(minutes)
            return start_ms - 5_000

        due_from_now_on(server, monkeypatch, every_20_minutes)
        monkeypatch.setattr(Triggers, "settle", overdue)
        server.clock.advance("70m")
        assert stops == [0, 20, 40, 60, 70]

    def test_a_move_over_thousands_of_years_rotates_shards_only_near_its_end(self, server: LocalServer) -> None:
        """A table with a stream kept the server busy for minutes: 17 million rotations."""
        make_table(server.client())
        server.clock.set("6399-12-31T23:00:00Z")
        shards = stream_shards(server)
        newest = max(int(shard["ShardId"][-8:], 16) for shard in shards)
        assert newest < 4 * 6 * 10
        opened = sorted({int(shard["ShardId"][8:28]) for shard in shards})
        assert len(opened) == 7
        assert {later - earlier for earlier, later in pairwise(opened)} == {4 * 3600 * 1000}
        ids = {shard["ShardId"] for shard in shards}
        orphans = [shard for shard in shards if shard["ParentShardId"] not in ids]
        assert {int(shard["ShardId"][8:28]) for shard in orphans} == {opened[0]}

    def test_stores_accept_writes_at_the_latest_time(self, tmp_path: Path) -> None:
        """A store keeps times as 64-bit numbers. A later time failed every write, even once the clock was set back."""
        with LocalServer(Config(port=0, data=tmp_path, clock="manual")) as running:
            make_table(running.client())
            with pytest.raises(ValueError, match="is not a time"):
                running.clock.set("6400-01-01T00:00:00Z")
            running.clock.set("6399-12-31T23:59:59Z")
            item = {"pk": {"S": "a"}}
            running.client().put_item(TableName="Things", Item=item)
            assert running.client().get_item(TableName="Things", Key=item)["Item"] == item

    def test_a_manual_clock_continues_after_a_restart(self, tmp_path: Path) -> None:
        config = Config(port=0, data=tmp_path, clock="manual")
        with LocalServer(config) as running:
            make_table(running.client())
            running.clock.set("2150-06-01T00:00:00Z")
            running.client().put_item(TableName="Things", Item={"pk": {"S": "a"}})
        with LocalServer(config) as running:
            assert timedelta(0) <= running.clock.now - datetime(2150, 6, 1, tzinfo=UTC) <= timedelta(seconds=1)

    def test_a_far_move_has_the_same_effect_as_many_short_ones(self) -> None:
        far, short = expiring_over_weeks([timedelta(days=20)]), expiring_over_weeks([timedelta(days=1)] * 20)
        assert far == short
        records, shards = far
        assert records == [("e", 20 * 24 - 23), ("f", 20 * 24 - 1)]
        assert len(shards) > 6

    def test_two_concurrent_moves_of_the_clock_both_apply(self, server: LocalServer) -> None:
        before = server.clock.now
        make_table(server.client())
        with ThreadPoolExecutor(4) as pool:
            for _ in range(4):
                pool.submit(ask, server, "POST", "/_atoll/clock", {"advance": "1d"})
        assert server.clock.now - before == timedelta(days=4)

    def test_a_manual_clock_of_ones_own_can_be_given(self) -> None:
        assert Node(Config(data=None), ManualClock(5)).clock.now_ms() == 5
