"""From the operations of a server to the metrics of its tables."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from atoll.clock import ManualClock
from atoll.database.region import Region, Settings
from atoll.metrics.collection import Collection
from atoll.metrics.store import Metrics
from atoll.storage.engine import Unavailable
from atoll.storage.memory import MemoryEngine
from atoll.testing import LocalServer, serve
from tests.metrics.conftest import MINUTE, START, START_S, client, statistics, table

UNITS = {"ReadCapacityUnits": 5, "WriteCapacityUnits": 7}
PROVISIONED: dict[str, Any] = {"BillingMode": "PROVISIONED", "ProvisionedThroughput": UNITS}


LEAST = {"ReadCapacityUnits": 1, "WriteCapacityUnits": 1}
ONCE = Config(retries={"total_max_attempts": 1})


def index(**more: Any) -> dict[str, Any]:
    keys = [{"AttributeName": "g", "KeyType": "HASH"}]
    return {
        "AttributeDefinitions": [{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "g")],
        "GlobalSecondaryIndexes": [
            {"IndexName": "by-g", "KeySchema": keys, "Projection": {"ProjectionType": "ALL"}, **more}
        ],
    }


def refuse(call: Any, **body: Any) -> None:
    with pytest.raises(ClientError):
        call(**body)


@pytest.fixture
def metrics(server: LocalServer) -> Any:
    return client(server)


def test_units_count_in_the_minute_in_which_they_were_consumed(server: LocalServer, metrics: Any) -> None:
    things = table(server)
    things.put_item(Item={"pk": "a", "b": "x" * 3000})
    server.clock.advance(timedelta(minutes=2, seconds=30))
    things.put_item(Item={"pk": "b"})
    things.put_item(Item={"pk": "c", "b": "x" * 3000})
    for statistic, minutes in [
        ("Sum", [3, 0, 4]),
        ("SampleCount", [1, 1, 2]),
        ("Minimum", [3, 0, 1]),
        ("Maximum", [3, 0, 3]),
    ]:
        found = statistics(metrics, "ConsumedWriteCapacityUnits", statistic, TableName="Things")
        assert found == list(enumerate(minutes))


def test_an_idle_table_has_consumed_nothing_in_each_full_minute(server: LocalServer, metrics: Any) -> None:
    table(server)
    assert statistics(metrics, "ConsumedReadCapacityUnits", TableName="Things") == []
    server.clock.advance("3m")
    assert statistics(metrics, "ConsumedReadCapacityUnits", TableName="Things") == [(0, 0), (1, 0), (2, 0)]
    assert statistics(metrics, "ConsumedReadCapacityUnits", TableName="Others") == []
    assert statistics(metrics, "ConsumedReadCapacityUnits", TableName="Things", GlobalSecondaryIndexName="x") == []


def test_a_table_and_its_indexes_count_apart(server: LocalServer, metrics: Any) -> None:
    things = table(server, **index())
    things.put_item(Item={"pk": "a", "g": "g"})
    things.scan(IndexName="by-g")
    part: Any = {"TableName": "Things", "GlobalSecondaryIndexName": "by-g"}
    assert statistics(metrics, "ConsumedWriteCapacityUnits", TableName="Things") == [(0, 1)]
    assert statistics(metrics, "ConsumedWriteCapacityUnits", **part) == [(0, 1)]
    assert statistics(metrics, "ConsumedReadCapacityUnits", **part) == [(0, 2)]
    assert statistics(metrics, "ReturnedItemCount", TableName="Things", Operation="Scan") == [(0, 1)]


def test_local_indexes_count_on_their_table(server: LocalServer, metrics: Any) -> None:
    keys = [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "g", "KeyType": "RANGE"}]
    local = {"IndexName": "local", "KeySchema": keys, "Projection": {"ProjectionType": "ALL"}}
    things = table(
        server,
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk", "g")],
        LocalSecondaryIndexes=[local],
    )
    things.put_item(Item={"pk": "a", "sk": "s", "g": "g"})
    assert statistics(metrics, "ConsumedWriteCapacityUnits", TableName="Things") == [(0, 2)]


def test_failures_have_metrics_of_their_own_and_only_when_they_happen(server: LocalServer, metrics: Any) -> None:
    things = table(server)
    never = {"ConditionExpression": "attribute_exists(nothing)"}
    refuse(things.put_item, Item={"pk": "a"}, **never)
    refuse(things.put_item, Item={"pk": "a"}, **never)
    refuse(things.put_item, Item={"pk": 1})
    refuse(server.client().describe_table, TableName="Absent")
    server.clock.advance("5m")
    assert statistics(metrics, "ConditionalCheckFailedRequests", TableName="Things") == [(0, 2)]
    assert statistics(metrics, "UserErrors") == [(0, 2)]
    assert statistics(metrics, "SystemErrors", TableName="Things", Operation="PutItem") == []


def test_faults_on_demand_count_as_system_errors_and_as_faults(server: LocalServer, metrics: Any) -> None:
    things = table(server)
    with server.fault("internal_server_error", table="Things", count=2):
        for _ in range(3):
            try:
                server.client(config=ONCE).put_item(TableName="Things", Item={"pk": {"S": "a"}})
            except ClientError as error:
                assert error.response["Error"]["Code"] == "InternalServerError"
    things.put_item(Item={"pk": "b"})
    server.clock.advance("5m")
    for name in ("SystemErrors", "FaultInjectionServiceInducedErrors"):
        assert statistics(metrics, name, TableName="Things", Operation="PutItem") == [(0, 2)]


def test_throttling_counts_by_its_reason() -> None:
    with serve(throttling=True) as server:
        server.clock.set(START_S)
        own = client(server)
        table(server, BillingMode="PROVISIONED", ProvisionedThroughput=LEAST)
        calls = server.client(config=ONCE)
        throttled = 0
        for _ in range(400):
            try:
                calls.put_item(TableName="Things", Item={"pk": {"S": "a"}})
            except ClientError:
                throttled += 1
        assert throttled > 0
        for name in ("WriteThrottleEvents", "WriteProvisionedThroughputThrottleEvents"):
            assert statistics(own, name, TableName="Things") == [(0, throttled)]
        assert statistics(own, "ThrottledRequests", TableName="Things", Operation="PutItem") == [(0, throttled)]
        assert statistics(own, "ReadThrottleEvents", TableName="Things") == []


def test_throttled_parts_of_a_batch_are_events_but_no_throttled_request() -> None:
    with serve(throttling=True) as server:
        server.clock.set(START_S)
        own, calls = client(server), server.client(config=ONCE)
        table(server, BillingMode="PROVISIONED", ProvisionedThroughput=LEAST)
        puts = [{"PutRequest": {"Item": {"pk": {"S": str(n)}, "b": {"S": "x" * 50_000}}}} for n in range(25)]
        refused = len(calls.batch_write_item(RequestItems={"Things": puts})["UnprocessedItems"]["Things"])
        assert 0 < refused < 25
        assert statistics(own, "WriteThrottleEvents", TableName="Things") == [(0, refused)]
        assert statistics(own, "ThrottledRequests", TableName="Things", Operation="BatchWriteItem") == []
        keys = [{"pk": {"S": str(n)}} for n in range(25)]
        calls.get_item(TableName="Things", Key=keys[0], ConsistentRead=True)
        asked = {"Things": {"Keys": keys, "ConsistentRead": True}}
        refused = 0
        for _ in range(40):
            try:
                left = calls.batch_get_item(RequestItems=asked)["UnprocessedKeys"]
                refused += len(left["Things"]["Keys"]) if left else 0
            except ClientError:
                refused += 25
                break
        assert statistics(own, "ReadThrottleEvents", TableName="Things") == [(0, refused)]


def test_latency_has_percentiles(server: LocalServer, metrics: Any) -> None:
    things = table(server)
    for _ in range(20):
        things.get_item(Key={"pk": "a"})
    found = metrics.get_metric_statistics(
        Namespace="AWS/DynamoDB", MetricName="SuccessfulRequestLatency", Period=60,
        StartTime=START, EndTime=START + MINUTE,
        Statistics=["SampleCount", "Minimum", "Maximum"], ExtendedStatistics=["p50", "p99", "tm90"],
        Dimensions=[{"Name": "TableName", "Value": "Things"}, {"Name": "Operation", "Value": "GetItem"}],
    )["Datapoints"]  # fmt: skip
    (one,) = found
    assert (one["SampleCount"], one["Unit"]) == (20, "Milliseconds")
    assert 0 < one["Minimum"] <= one["ExtendedStatistics"]["p50"] <= one["ExtendedStatistics"]["p99"] <= one["Maximum"]
    assert one["Minimum"] <= one["ExtendedStatistics"]["tm90"] <= one["Maximum"]


def test_capacity_is_known_for_each_minute_from_its_changes(server: LocalServer, metrics: Any) -> None:
    things = table(server, **{**PROVISIONED, **index(ProvisionedThroughput=UNITS)})
    server.clock.advance("2m")
    things.update(ProvisionedThroughput={"ReadCapacityUnits": 9, "WriteCapacityUnits": 7})
    server.clock.advance("2m")
    things.update(BillingMode="PAY_PER_REQUEST")
    server.clock.advance("2m")
    name = "ProvisionedReadCapacityUnits"
    part: Any = {"TableName": "Things", "GlobalSecondaryIndexName": "by-g"}
    assert statistics(metrics, name, "Average", TableName="Things") == [(0, 5), (1, 5), (2, 9), (3, 9)]
    assert statistics(metrics, name, "Average", **part) == [(n, 5) for n in range(4)]
    assert statistics(metrics, name, "SampleCount", period=300, TableName="Things") == [(0, 4)]
    utilization = statistics(metrics, "AccountProvisionedReadCapacityUtilization", "Maximum")
    assert utilization == [
        (0, 100 * 10 / 80_000),
        (1, 100 * 10 / 80_000),
        (2, 100 * 14 / 80_000),
        (3, 100 * 14 / 80_000),
    ]


def test_maxima_of_on_demand_tables_and_quotas_are_metrics(server: LocalServer, metrics: Any) -> None:
    table(server, OnDemandThroughput={"MaxReadRequestUnits": 40})
    server.clock.advance("1m")
    assert statistics(metrics, "OnDemandMaxReadRequestUnits", "Maximum", TableName="Things") == [(0, 40)]
    assert statistics(metrics, "OnDemandMaxWriteRequestUnits", "Maximum", TableName="Things") == []
    assert dict(statistics(metrics, "AccountMaxReads", "Maximum"))[0] == 80_000


def test_capacity_ends_with_the_table(server: LocalServer, metrics: Any) -> None:
    things = table(server, **PROVISIONED)
    server.clock.advance("1m")
    things.delete()
    server.clock.advance("3m")
    assert statistics(metrics, "ProvisionedWriteCapacityUnits", "Maximum", TableName="Things") == [(0, 7)]


def test_expired_items_count_when_they_are_deleted(server: LocalServer, metrics: Any) -> None:
    things = table(server)
    server.client().update_time_to_live(
        TableName="Things", TimeToLiveSpecification={"Enabled": True, "AttributeName": "until"}
    )
    for name in "abc":
        things.put_item(Item={"pk": name, "until": START_S + 90})
    server.clock.advance("10m")
    assert things.scan()["Count"] == 0
    assert sum(value for _, value in statistics(metrics, "TimeToLiveDeletedItemCount", TableName="Things")) == 3


def test_streams_have_metrics_by_their_label(server: LocalServer, metrics: Any) -> None:
    things = table(server, StreamSpecification={"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"})
    things.put_item(Item={"pk": "a"})
    streams = server.client("dynamodbstreams")
    arn = things.latest_stream_arn
    for shard in streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]:
        place = {"ShardId": shard["ShardId"], "ShardIteratorType": "TRIM_HORIZON"}
        iterator = streams.get_shard_iterator(StreamArn=arn, **place)["ShardIterator"]
        streams.get_records(ShardIterator=iterator)
    of: Any = {"TableName": "Things", "Operation": "GetRecords", "StreamLabel": things.latest_stream_label}
    assert statistics(metrics, "ReturnedRecordsCount", **of) == [(0, 1)]
    assert statistics(metrics, "ReturnedBytes", **of) == [(0, 3)]


def test_replicas_measure_how_late_changes_arrive() -> None:
    with serve(regions=["us-east-1", "eu-west-1"]) as server:
        server.clock.set(START_S)
        things = table(server, StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"})
        things.meta.client.update_table(TableName="Things", ReplicaUpdates=[{"Create": {"RegionName": "eu-west-1"}}])
        server.settle()
        things.put_item(Item={"pk": "a"})
        server.settle()
        server.clock.advance("1m")
        to: Any = {"TableName": "Things", "ReceivingRegion": "eu-west-1"}
        found = statistics(client(server), "ReplicationLatency", "SampleCount", **to)
        assert sum(value for _, value in found) == 1
        receiving = server.client("cloudwatch", region_name="eu-west-1")
        assert statistics(receiving, "ReplicationLatency", "SampleCount", **to) == []


def test_a_minute_without_requests_stores_nothing(server: LocalServer, metrics: Any) -> None:
    things = table(server)
    things.put_item(Item={"pk": "a"})
    server.clock.advance("1h")
    rows = rows_of(server)
    server.clock.advance("2h")
    assert rows_of(server) == rows


def rows_of(server: LocalServer) -> list[Any]:
    async def read() -> list[Any]:
        return await server._node.region().read(lambda snapshot: list(snapshot.scan(b"\0\0\0\0", b"\0\0\0\1")))

    return server._do(read())


def test_all_metrics_of_a_table_are_listed(server: LocalServer, metrics: Any) -> None:
    things = table(server, **PROVISIONED)
    things.get_item(Key={"pk": "a"})
    found = {
        (one["MetricName"], json.dumps([pair["Value"] for pair in one["Dimensions"]]))
        for one in metrics.list_metrics(Namespace="AWS/DynamoDB")["Metrics"]
    }
    of_table = '["Things"]'
    assert found >= {
        ("ConsumedReadCapacityUnits", of_table), ("ConsumedWriteCapacityUnits", of_table),
        ("ProvisionedReadCapacityUnits", of_table), ("ProvisionedWriteCapacityUnits", of_table),
        ("SuccessfulRequestLatency", '["GetItem", "Things"]'), ("AccountMaxReads", "[]"),
        ("AccountProvisionedReadCapacityUtilization", "[]"),
    }  # fmt: skip


def test_alarms_see_the_zeros_of_an_idle_table_and_its_capacity(server: LocalServer, metrics: Any) -> None:
    things = table(server, **PROVISIONED)
    of: Any = {"Namespace": "AWS/DynamoDB", "Dimensions": [{"Name": "TableName", "Value": "Things"}]}
    idle = {"MetricName": "ConsumedReadCapacityUnits", "Statistic": "Sum", "Period": 60, "Threshold": 30}
    low = {"ComparisonOperator": "LessThanThreshold", "EvaluationPeriods": 15}
    metrics.put_metric_alarm(AlarmName="idle", **of, **idle, **low)
    changed = {"MetricName": "ProvisionedReadCapacityUnits", "Statistic": "Average", "Period": 300, "Threshold": 5}
    high = {"ComparisonOperator": "GreaterThanThreshold", "EvaluationPeriods": 1}
    metrics.put_metric_alarm(AlarmName="changed", **of, **changed, **high)

    def states() -> dict[str, str]:
        return {one["AlarmName"]: one["StateValue"] for one in metrics.describe_alarms()["MetricAlarms"]}

    server.clock.advance("10m")
    assert states() == {"idle": "INSUFFICIENT_DATA", "changed": "OK"}
    server.clock.advance("10m")
    assert states() == {"idle": "ALARM", "changed": "OK"}
    things.update(ProvisionedThroughput={"ReadCapacityUnits": 9, "WriteCapacityUnits": 7})
    things.scan(ConsistentRead=True)
    for n in range(40):
        things.get_item(Key={"pk": str(n)}, ConsistentRead=True)
    server.clock.advance("6m")
    assert states() == {"idle": "OK", "changed": "ALARM"}
    server.clock.advance("30m")
    assert states() == {"idle": "ALARM", "changed": "ALARM"}


def test_counts_of_minutes_without_a_store_are_stored_later(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        clock = ManualClock(START_S * 1000)
        region = Region("us-east-1", MemoryEngine(), clock, Settings())
        collection, append = region.state(Collection), Metrics.append
        for _ in range(2):
            region.meter.tally("Things", None, "PutItem").user_errors += 1
            clock.set(clock.now_ms() + 60_000)
            monkeypatch.setattr(Metrics, "append", refused)
            with pytest.raises(Unavailable):
                await collection.settle()
        monkeypatch.setattr(Metrics, "append", append)
        await collection.settle()
        minutes = [await region.state(Metrics).minute("AWS/DynamoDB", START_S * 1000 + m * 60_000) for m in range(3)]
        assert [[point.sum for point in one.values()] for one in minutes] == [[1], [1], []]

    async def refused(self: Metrics, batch: Any) -> None:
        raise Unavailable("away")

    asyncio.run(scenario())


def test_utilization_of_the_account(server: LocalServer, metrics: Any) -> None:
    def used(resource: str, expression: str = "m") -> list[float]:
        dimensions = {"Type": "Resource", "Service": "DynamoDB", "Class": "None", "Resource": resource}
        pairs = [{"Name": name, "Value": value} for name, value in dimensions.items()]
        metric = {"Namespace": "AWS/Usage", "MetricName": "ResourceCount", "Dimensions": pairs}
        stat = {"Metric": metric, "Period": 300, "Stat": "Maximum"}
        queries = [
            {"Id": "m", "MetricStat": stat, "ReturnData": False},
            {"Id": "e", "Expression": expression},
        ]
        span = {"StartTime": START, "EndTime": START + 60 * MINUTE, "ScanBy": "TimestampAscending"}
        return list(metrics.get_metric_data(MetricDataQueries=queries, **span)["MetricDataResults"][0]["Values"])

    table(server, "One", **PROVISIONED)
    server.clock.advance("5m")
    second = table(server, "Two")
    server.clock.advance("5m")
    second.delete()
    server.clock.advance("5m")
    assert used("TableCount") == [1, 2, 1]
    assert used("AccountProvisionedReadCapacityUnits") == [5, 5, 5]
    assert used("AccountProvisionedWriteCapacityUnits", "100 * m / SERVICE_QUOTA(m)") == [100 * 7 / 80_000] * 3
    assert used("TableCount", "SERVICE_QUOTA(m)") == [2_500] * 3
    assert used("Nothing") == []


def test_an_alarm_on_a_quota(server: LocalServer, metrics: Any) -> None:
    dimensions = {"Type": "Resource", "Service": "DynamoDB", "Class": "None", "Resource": "TableCount"}
    pairs = [{"Name": name, "Value": value} for name, value in dimensions.items()]
    metric = {"Namespace": "AWS/Usage", "MetricName": "ResourceCount", "Dimensions": pairs}
    metrics.put_metric_alarm(
        AlarmName="tables", EvaluationPeriods=1, Threshold=0.1, ComparisonOperator="GreaterThanThreshold",
        Metrics=[
            {"Id": "m", "MetricStat": {"Metric": metric, "Period": 300, "Stat": "Maximum"}, "ReturnData": False},
            {"Id": "e", "Expression": "100 * m / SERVICE_QUOTA(m)"},
        ],
    )  # fmt: skip
    states = []
    for number in range(4):
        table(server, f"Table{number}")
        server.clock.advance("6m")
        states.append(metrics.describe_alarms()["MetricAlarms"][0]["StateValue"])
    assert states == ["OK", "OK", "ALARM", "ALARM"]
