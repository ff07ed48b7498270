"""Faults on demand, with boto3 against a server in this process."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectionClosedError

from atoll import testing
from atoll.errors import ApiError
from atoll.faults.injection import Faults
from atoll.faults.rule import REASONS

ONCE = Config(retries={"total_max_attempts": 1})
ARN = "arn:aws:dynamodb:us-east-1:000000000000:table/"


@pytest.fixture(scope="module")
def running() -> Iterator[testing.LocalServer]:
    with testing.serve() as server:
        client = server.client()
        for name in ("Things", "Others"):
            client.create_table(
                TableName=name, BillingMode="PAY_PER_REQUEST",
                KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
                AttributeDefinitions=[{"AttributeName": n, "AttributeType": "S"} for n in ("pk", "g")],
                GlobalSecondaryIndexes=[{
                    "IndexName": "by-g", "KeySchema": [{"AttributeName": "g", "KeyType": "HASH"}],
                    "Projection": {"ProjectionType": "ALL"},
                }],
            )  # fmt: skip
        yield server


@pytest.fixture
def server(running: testing.LocalServer) -> Iterator[testing.LocalServer]:
    before = running.snapshot()
    yield running
    running.restore(before)
    assert running.show_faults() == []


@pytest.fixture
def client(server: testing.LocalServer) -> Any:
    return server.client(config=ONCE)


def key(pk: str = "a") -> dict[str, Any]:
    return {"pk": {"S": pk}}


def item(pk: str = "a", **more: str) -> dict[str, Any]:
    return {"pk": {"S": pk}, **{name: {"S": value} for name, value in more.items()}}


def put(client: Any, pk: str = "a", table: str = "Things", **more: str) -> Any:
    return client.put_item(TableName=table, Item=item(pk, **more))


def get(client: Any, pk: str = "a", table: str = "Things", **more: Any) -> Any:
    return client.get_item(TableName=table, Key=key(pk), **more).get("Item")


def refused(call: Any, *args: Any, **more: Any) -> Any:
    with pytest.raises(ClientError) as caught:
        call(*args, **more)
    return caught.value.response


def code(call: Any, *args: Any, **more: Any) -> str:
    """The code of the error; empty if there is none."""
    try:
        call(*args, **more)
    except ClientError as error:
        return str(error.response["Error"]["Code"])
    return ""


class TestThrottling:
    @pytest.mark.parametrize("reason", REASONS)
    def test_it_has_the_requested_reason(self, server: testing.LocalServer, client: Any, reason: str) -> None:
        with server.fault("throttling", table="Things", reason=reason):
            response = refused(put, client)
        (told,) = response.get("ThrottlingReasons") or response["throttlingReasons"]
        index = "/index/by-g" if reason.startswith("Index") else ""
        assert told == {"reason": reason, "resource": f"{ARN}Things{index}"}
        assert response["ResponseMetadata"]["HTTPStatusCode"] == 400

    def test_without_a_reason_it_is_that_of_a_hot_key(self, server: testing.LocalServer, client: Any) -> None:
        with server.fault("throttling", table="Things"):
            assert refused(get, client)["throttlingReasons"][0]["reason"] == "TableReadKeyRangeThroughputExceeded"
            assert refused(put, client)["throttlingReasons"][0]["reason"] == "TableWriteKeyRangeThroughputExceeded"
            statement = {"Statement": "SELECT * FROM Things WHERE pk = 'a'"}
            response = refused(client.execute_statement, **statement)
            assert response["throttlingReasons"][0]["reason"] == "TableReadKeyRangeThroughputExceeded"
        put(client)

    def test_a_refused_write_changes_nothing(self, server: testing.LocalServer, client: Any) -> None:
        with server.fault("throttling", operation="PutItem"):
            refused(put, client)
            assert get(client) is None

    def test_it_ends_after_its_count(self, server: testing.LocalServer, client: Any) -> None:
        with server.fault("throttling", table="Things", count=2) as fault:
            assert [code(put, client) for _ in range(4)] == ["ThrottlingException", "ThrottlingException", "", ""]
            assert fault.injected == 2
        assert fault.injected == 2

    def test_boto3_retries_it(self, server: testing.LocalServer) -> None:
        with server.fault("throttling", table="Things", count=1) as fault:
            put(server.client())
        assert fault.injected == 1

    def test_a_transaction_is_cancelled_at_the_items_that_it_concerns(
        self, server: testing.LocalServer, client: Any
    ) -> None:
        puts = [{"Put": {"TableName": "Things", "Item": item(pk)}} for pk in ("a", "b")]
        with server.fault("throttling", key=key("b")):
            response = refused(client.transact_write_items, TransactItems=puts)
        assert [reason["Code"] for reason in response["CancellationReasons"]] == ["None", "ThrottlingError"]

    def test_an_operation_on_tables_is_throttled_if_it_is_named(self, server: testing.LocalServer, client: Any) -> None:
        with server.fault("throttling", operation=["DescribeTable", "ListTables"]):
            assert code(client.describe_table, TableName="Things") == "ThrottlingException"
            assert code(client.list_tables) == "ThrottlingException"
        with server.fault("throttling", table="Things"):
            client.describe_table(TableName="Things")


class TestMatching:
    def test_a_table(self, server: testing.LocalServer, client: Any) -> None:
        with server.fault("internal_server_error", table="Things"):
            assert code(get, client) == "InternalServerError"
            assert code(client.get_item, TableName=ARN + "Things", Key=key()) == "InternalServerError"
            assert code(get, client, table="Others") == ""

    def test_a_key(self, server: testing.LocalServer, client: Any) -> None:
        with server.fault("internal_server_error", key=key("a")):
            assert [code(put, client, pk) for pk in ("a", "b")] == ["InternalServerError", ""]
            assert [code(get, client, pk) for pk in ("a", "b")] == ["InternalServerError", ""]
            update = {"TableName": "Things", "UpdateExpression": "SET x = pk"}
            assert code(client.update_item, Key=key("a"), **update) == "InternalServerError"
            assert code(client.scan, TableName="Things") == ""

    def test_an_index(self, server: testing.LocalServer, client: Any) -> None:
        query = {"TableName": "Things", "KeyConditionExpression": "g = :g", "IndexName": "by-g"}
        with server.fault("throttling", index="by-g"):
            response = refused(client.query, **query, ExpressionAttributeValues={":g": {"S": "g"}})
            assert response["throttlingReasons"] == [
                {"reason": "IndexReadKeyRangeThroughputExceeded", "resource": ARN + "Things/index/by-g"}
            ]
            assert code(get, client) == code(client.scan, TableName="Things") == ""

    def test_a_region(self) -> None:
        with testing.serve(regions=["us-east-1", "eu-west-1"]) as server:
            clients = [server.client(region_name=name, config=ONCE) for name in server.regions]
            with server.fault("internal_server_error", region="eu-west-1", operation="ListTables"):
                assert [code(client.list_tables) for client in clients] == ["", "InternalServerError"]

    def test_a_probability_is_the_same_sequence_for_the_same_seed(
        self, server: testing.LocalServer, client: Any
    ) -> None:
        rounds = []
        for seed in (1, 1, 2):
            with server.fault("throttling", probability=0.3, seed=seed):
                rounds.append([code(get, client) for _ in range(40)])
        assert rounds[0] == rounds[1] != rounds[2]
        assert 4 <= rounds[0].count("ThrottlingException") <= 20

    def test_the_first_of_two_rules_decides(self, server: testing.LocalServer, client: Any) -> None:
        with server.fault("throttling", count=1), server.fault("internal_server_error", count=1):
            assert [code(get, client) for _ in range(3)] == ["ThrottlingException", "InternalServerError", ""]


class TestTransactions:
    def test_a_write_and_a_transaction_meet_a_conflict(self, server: testing.LocalServer, client: Any) -> None:
        gets = [{"Get": {"TableName": name, "Key": key()}} for name in ("Others", "Things")]
        with server.fault("transaction_conflict", table="Things"):
            assert code(put, client) == "TransactionConflictException"
            assert code(get, client) == ""
            response = refused(client.transact_get_items, TransactItems=gets)
        reasons = response["CancellationReasons"]
        assert [reason["Code"] for reason in reasons] == ["None", "TransactionConflict"]
        assert reasons[1]["Message"] == "Transaction is ongoing for the item"

    def test_a_transaction_is_still_in_progress(self, server: testing.LocalServer, client: Any) -> None:
        puts = {"TransactItems": [{"Put": {"TableName": "Things", "Item": item()}}], "ClientRequestToken": "token"}
        with server.fault("transaction_in_progress", count=1):
            assert code(client.transact_write_items, **puts) == "TransactionInProgressException"
        client.transact_write_items(**puts)
        assert get(client) == item()


class TestUnprocessed:
    def test_items_and_keys_of_batches(self, server: testing.LocalServer, client: Any) -> None:
        puts = [{"PutRequest": {"Item": item(pk)}} for pk in "abc"]
        deletes = [{"DeleteRequest": {"Key": key("c")}}]
        with server.fault("unprocessed", table="Things", key=key("b")):
            answer = client.batch_write_item(RequestItems={"Things": puts, "Others": deletes})
            assert answer["UnprocessedItems"] == {"Things": [puts[1]]}
            answer = client.batch_get_item(RequestItems={"Things": {"Keys": [key("a"), key("b")]}})
            assert answer["Responses"] == {"Things": [item("a")]}
            assert answer["UnprocessedKeys"] == {"Things": {"Keys": [key("b")]}}
        assert get(client, "b") is None

    def test_all_of_a_batch_and_then_the_rest(self, server: testing.LocalServer, client: Any) -> None:
        puts = {"Things": [{"PutRequest": {"Item": item(pk)}} for pk in "abc"]}
        with server.fault("unprocessed", count=4):
            assert client.batch_write_item(RequestItems=puts)["UnprocessedItems"] == puts
            left = client.batch_write_item(RequestItems=puts)["UnprocessedItems"]
            assert left == {"Things": puts["Things"][:1]}

    def test_the_resource_s_batch_writer_sends_them_again(self, server: testing.LocalServer) -> None:
        with (
            server.fault("unprocessed", probability=0.5, seed=3) as fault,
            server.resource().Table("Things").batch_writer() as batch,
        ):
            for number in range(60):
                batch.put_item(Item={"pk": str(number)})
        assert fault.injected > 10
        assert server.client().scan(TableName="Things", Select="COUNT")["Count"] == 60


class TestLostAnswers:
    def test_an_internal_error_may_come_after_the_write(self, server: testing.LocalServer, client: Any) -> None:
        with server.fault("internal_server_error", operation="PutItem", applied=True):
            response = refused(put, client)
        assert response["ResponseMetadata"]["HTTPStatusCode"] == 500
        assert get(client) == item()

    @pytest.mark.parametrize("applied", [False, True])
    def test_a_connection_is_dropped_before_or_after_the_write(
        self, server: testing.LocalServer, client: Any, applied: bool
    ) -> None:
        with server.fault("dropped_connection", count=1, applied=applied), pytest.raises(ConnectionClosedError):
            put(client)
        assert get(client) == (item() if applied else None)

    def test_a_client_that_retries_an_increment_counts_twice(self, server: testing.LocalServer) -> None:
        """An application must notice this; dropped answers are made to test it."""
        increment = {"TableName": "Things", "Key": key(), "UpdateExpression": "ADD n :one"}
        with server.fault("dropped_connection", count=1, applied=True):
            server.client().update_item(**increment, ExpressionAttributeValues={":one": {"N": "1"}})
        assert get(server.client())["n"] == {"N": "2"}

    def test_latency_is_real_time(self, server: testing.LocalServer, client: Any) -> None:
        with server.fault("latency", delay="20ms", jitter=timedelta(milliseconds=5), seed=7) as fault:
            get(client)
        assert fault.injected == 1


class TestStaleReads:
    def test_an_eventually_consistent_read_sees_the_state_a_while_ago(
        self, server: testing.LocalServer, client: Any
    ) -> None:
        put(client, n="1")
        server.clock.advance(10)
        with server.fault("stale_reads", table="Things", lag="2s"):
            put(client, n="2")
            assert get(client) == item(n="1")
            assert get(client, ConsistentRead=True) == item(n="2")
            server.clock.advance(1)
            put(client, n="3")
            server.clock.advance(1)
            assert get(client) == item(n="2")
            client.delete_item(TableName="Things", Key=key())
            server.clock.advance(1)
            assert get(client) == item(n="3")
            server.clock.advance(1)
            assert get(client) is None

    def test_scans_and_batches_too(self, server: testing.LocalServer, client: Any) -> None:
        for pk in "abc":
            put(client, pk, n="old")
        server.clock.advance(10)
        scan = {"TableName": "Things"}
        with server.fault("stale_reads", lag=5):
            client.delete_item(TableName="Things", Key=key("a"))
            put(client, "b", n="new")
            put(client, "d", n="new")
            old = sorted(one["pk"]["S"] + one["n"]["S"] for one in client.scan(**scan)["Items"])
            assert old == ["aold", "bold", "cold"]
            assert client.scan(**scan, Limit=2)["Count"] == 2
            assert client.scan(**scan, ConsistentRead=True)["Count"] == 3
            asked = {"Things": {"Keys": [key(pk) for pk in "abcd"]}}
            assert len(client.batch_get_item(RequestItems=asked)["Responses"]["Things"]) == 3
            count = client.execute_statement(Statement="SELECT * FROM Things")["Items"]
            assert len(count) == 3

    def test_an_index_lags_behind_its_table(self, server: testing.LocalServer, client: Any) -> None:
        query = {
            "TableName": "Things", "IndexName": "by-g", "KeyConditionExpression": "g = :g",
            "ExpressionAttributeValues": {":g": {"S": "x"}},
        }  # fmt: skip
        put(client, "a", g="x")
        server.clock.advance(10)
        with server.fault("stale_reads", index="by-g", lag="3s"):
            put(client, "a", g="y")
            put(client, "b", g="x")
            assert client.query(**query)["Items"] == [item("a", g="x")]
            assert get(client, "b") == item("b", g="x")
            server.clock.advance(3)
            assert client.query(**query)["Items"] == [item("b", g="x")]

    def test_nothing_is_stale_after_the_fault(self, server: testing.LocalServer, client: Any) -> None:
        with server.fault("stale_reads", lag=100):
            put(client, n="1")
            assert get(client) is None
        assert get(client) == item(n="1")


class TestAdministration:
    def test_rules_are_listed_added_and_removed(self, server: testing.LocalServer) -> None:
        rule = {"fault": "throttling", "table": "Things", "count": 3}
        added = self.post(server, rule)
        assert self.list(server) == [{"id": added["added"], **rule, "injected": 0}]
        assert self.post(server, {"remove": added["added"]}) == {"faults": []}
        self.post(server, rule)
        self.post(server, {"fault": "latency", "delay": "1s", "operation": "GetItem"})
        assert len(self.list(server)) == 2
        assert self.post(server, {"remove": "all"}) == {"faults": []}

    def post(self, server: testing.LocalServer, body: Any) -> Any:
        data = json.dumps(body).encode()
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(
            urllib.request.Request(server.endpoint_url + "/_atoll/faults", data)
        ) as answer:
            return json.load(answer)

    def list(self, server: testing.LocalServer) -> Any:
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(server.endpoint_url + "/_atoll/faults") as answer:
            return json.load(answer)["faults"]

    @pytest.mark.parametrize(
        "rule",
        [
            {"fault": "fire"}, {}, {"fault": ["throttling"]}, {"fault": None},
            {"fault": "throttling", "operation": {"a": 1}},
            {"fault": "throttling", "tabel": "Things"}, {"fault": "throttling", "table": 7},
            {"fault": "throttling", "operation": "GetThing"}, {"fault": "throttling", "operation": [7]},
            {"fault": "throttling", "probability": 0}, {"fault": "throttling", "probability": "half"},
            {"fault": "throttling", "count": 0}, {"fault": "throttling", "count": True},
            {"fault": "throttling", "reason": "Hot"}, {"fault": "throttling", "seed": -1},
            {"fault": "throttling", "key": {"pk": "a"}}, {"fault": "throttling", "key": {"pk": {"S": 7}}},
            {"fault": "throttling", "delay": "1s"}, {"fault": "throttling", "applied": True},
            {"fault": "latency"}, {"fault": "latency", "delay": "-1s"}, {"fault": "latency", "delay": "soon"},
            {"fault": "stale_reads"}, {"fault": "stale_reads", "lag": "1s", "key": {"pk": {"S": "a"}}},
            {"fault": "unprocessed", "operation": "GetItem"}, {"fault": "internal_server_error", "reason": REASONS[0]},
            {"remove": "17"}, {"remove": None},
        ],
    )  # fmt: skip
    def test_a_rule_that_would_do_nothing_is_refused(self, server: testing.LocalServer, rule: Any) -> None:
        with pytest.raises(ValueError, match=r"."):
            server.change_faults(rule)
        assert server.show_faults() == []

    def test_several_workers_refuse_it(self) -> None:
        with pytest.raises(ApiError, match="--workers 1"):
            Faults(shared=True).add({"fault": "throttling"}, ["GetItem"])

    def test_restoring_a_state_restores_its_rules(self, server: testing.LocalServer, client: Any) -> None:
        before = server.snapshot()
        server.fault("throttling").start()
        assert code(get, client) == "ThrottlingException"
        server.restore(before)
        assert code(get, client) == ""

    def test_faults_are_measured(self, server: testing.LocalServer, client: Any) -> None:
        meter = server._node.region().meter
        before = sum(one.injected for one in meter.snapshot())
        with server.fault("throttling", table="Things", count=2):
            for _ in range(3):
                code(get, client)
        assert sum(one.injected for one in meter.snapshot()) == before + 2


def test_operations_of_other_services_are_not_struck(server: testing.LocalServer, client: Any) -> None:
    """TagResource is an operation of CloudWatch, too. A rule is about DynamoDB."""
    cloudwatch = server.client("cloudwatch", config=ONCE)
    alarm = {"AlarmName": "Things", "MetricName": "m", "Namespace": "n", "Period": 60, "EvaluationPeriods": 1}
    cloudwatch.put_metric_alarm(**alarm, Threshold=1, Statistic="Sum", ComparisonOperator="LessThanThreshold")
    (known,) = cloudwatch.describe_alarms(AlarmNames=["Things"])["MetricAlarms"]
    tags = [{"Key": "a", "Value": "b"}]
    with server.fault("internal_server_error", operation="TagResource"):
        with pytest.raises(ClientError):
            client.tag_resource(ResourceArn=ARN + "Things", Tags=tags)
        cloudwatch.tag_resource(ResourceARN=known["AlarmArn"], Tags=tags)
    assert cloudwatch.list_tags_for_resource(ResourceARN=known["AlarmArn"])["Tags"] == tags
