"""The names, dimensions and units of CloudWatch's metrics: each exists when its event happens, and no other does."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from atoll.api import items, tables
from atoll.clock import ManualClock
from atoll.database.region import Region
from atoll.metrics.collection import Collection
from atoll.metrics.series import united
from atoll.metrics.steps import Steps
from atoll.metrics.store import Metrics
from atoll.storage.memory import MemoryEngine
from atoll.testing import LocalServer, serve
from atoll.transfer import destinations
from tests.metrics.conftest import MINUTE, START, START_S, table
from tests.metrics.test_collection import index
from tests.metrics.test_steps import KEYS
from tests.transfer.test_destinations import Recorded, enable, item, world_with

T, G = "TableName", "GlobalSecondaryIndexName"
OPERATION, STREAM = f"Operation {T}", f"Operation StreamLabel {T}"
VERB, KIND = f"Operation {T} Verb", f"Operation OperationType {T}"
TABLE, INDEX = T, f"{G} {T}"
TO_KINESIS, TO_REGION = f"DelegatedOperation {T}", f"ReceivingRegion {T}"
USAGE = "Class Resource Service Type"
ACCOUNT = ""

REASONS = ("ProvisionedThroughput", "KeyRangeThroughput", "AccountLimit", "MaxOnDemandThroughput")
UNITS = {"ReadCapacityUnits": 5, "WriteCapacityUnits": 5}

LISTED: Mapping[str, tuple[str, set[str]]] = {
    "ConsumedReadCapacityUnits": ("Count", {TABLE, INDEX}),
    "ConsumedWriteCapacityUnits": ("Count", {TABLE, INDEX, f"Source {T}", f"{G} Source {T}"}),
    "ReadThrottleEvents": ("Count", {TABLE, INDEX}),
    "WriteThrottleEvents": ("Count", {TABLE, INDEX}),
    **{f"{kind}{reason}ThrottleEvents": ("Count", {TABLE, INDEX}) for kind in ("Read", "Write") for reason in REASONS},
    "WriteAccountLimitThrottleEvents": ("Count", {TABLE}),
    "ThrottledRequests": ("Count", {OPERATION, VERB, KIND}),
    "ConditionalCheckFailedRequests": ("Count", {TABLE}),
    "TransactionConflict": ("Count", {TABLE}),
    "UserErrors": ("Count", {ACCOUNT}),
    "SystemErrors": ("Count", {OPERATION, VERB, KIND}),
    "SuccessfulRequestLatency": ("Milliseconds", {OPERATION, STREAM, VERB, KIND}),
    "ReturnedItemCount": ("Count", {OPERATION, VERB}),
    "ReturnedBytes": ("Bytes", {STREAM}),
    "ReturnedRecordsCount": ("Count", {STREAM}),
    "TimeToLiveDeletedItemCount": ("Count", {TABLE}),
    **{f"Provisioned{kind}CapacityUnits": ("Count", {TABLE, INDEX}) for kind in ("Read", "Write")},
    **{f"OnDemandMax{kind}RequestUnits": ("Count", {TABLE, INDEX}) for kind in ("Read", "Write")},
    "ReplicationLatency": ("Milliseconds", {TO_REGION}),
    "PendingReplicationCount": ("Count", {TO_REGION}),
    "AgeOfOldestUnreplicatedRecord": ("Milliseconds", {TO_KINESIS}),
    "ConsumedChangeDataCaptureUnits": ("Count", {TO_KINESIS}),
    "FailedToReplicateRecordCount": ("Count", {TO_KINESIS}),
    "ThrottledPutRecordCount": ("Count", {TO_KINESIS}),
    "OnlineIndexPercentageProgress": ("Percent", {INDEX}),
    "OnlineIndexConsumedWriteCapacity": ("Count", {INDEX}),
    "OnlineIndexThrottleEvents": ("Count", {INDEX}),
    **{f"AccountMax{part}{kind}": ("Count", {ACCOUNT}) for part in ("", "TableLevel") for kind in ("Reads", "Writes")},
    **{
        f"{of}{kind}CapacityUtilization": ("Percent", {ACCOUNT})
        for of in ("AccountProvisioned", "MaxProvisionedTable")
        for kind in ("Read", "Write")
    },
    "FaultInjectionServiceInducedErrors": ("Count", {OPERATION}),
    "ResourceCount": ("Count", {USAGE}),
}
"""All of them: unit, and the dimensions of each metric of the name."""

Found = dict[tuple[str, str], str]
"""Units by name and dimensions."""

ONCE = Config(retries={"total_max_attempts": 1})


def published(server: LocalServer, region: str = "us-east-1") -> Found:
    server.clock.advance("10m")
    cloudwatch = server.client("cloudwatch", region_name=region)
    found: Found = {}
    for page in cloudwatch.get_paginator("list_metrics").paginate():
        for one in page["Metrics"]:
            key = one["MetricName"], " ".join(sorted(pair["Name"] for pair in one["Dimensions"]))
            points = cloudwatch.get_metric_statistics(
                Namespace=one["Namespace"], MetricName=one["MetricName"], Dimensions=one["Dimensions"], Period=60,
                Statistics=["SampleCount"], StartTime=START - MINUTE, EndTime=START + 1_400 * MINUTE,
            )["Datapoints"]  # fmt: skip
            assert one["Namespace"] == ("AWS/Usage" if one["MetricName"] == "ResourceCount" else "AWS/DynamoDB")
            assert points, f"{one} has no datapoint"
            (found[key],) = {point["Unit"] for point in points}
    return found


@pytest.fixture
def server() -> Iterator[LocalServer]:
    with serve(regions=["us-east-1", "eu-west-1"]) as server:
        server.clock.set(START_S)
        yield server


def tried(call: Any, **body: Any) -> None:
    with suppress(ClientError):
        call(**body)


STATEMENTS = (
    "select * from Things where pk = 'a'",
    "UPDATE Things SET v = 1 WHERE pk = 'a'",
    "DELETE FROM Things WHERE pk = 'a'",
    "INSERT INTO Things VALUE {'pk': 'a'}",
)


def statements(server: LocalServer) -> None:
    calls = server.client(config=ONCE)
    for text in STATEMENTS:
        tried(calls.execute_statement, Statement=text)
        tried(calls.batch_execute_statement, Statements=[{"Statement": text}])
        tried(calls.execute_transaction, TransactStatements=[{"Statement": text}])


def use(server: LocalServer) -> None:
    things = table(server, **index())
    things.put_item(Item={"pk": "a", "g": "g"})
    things.scan()
    things.query(IndexName="by-g", KeyConditionExpression="g = :g", ExpressionAttributeValues={":g": "g"})
    statements(server)


def refuse(server: LocalServer) -> None:
    things = table(server)
    things.put_item(Item={"pk": "a"})
    tried(things.put_item, Item={"pk": "a"}, ConditionExpression="attribute_not_exists(pk)")
    tried(things.put_item, Item={"pk": 1})
    with server.fault("transaction_conflict"):
        tried(things.put_item, Item={"pk": "a"})
    with server.fault("internal_server_error"):
        tried(server.client(config=ONCE).get_item, TableName="Things", Key={"pk": {"S": "a"}})
        statements(server)


def throttle(server: LocalServer) -> None:
    table(server, **index())
    calls = server.client(config=ONCE)
    calls.put_item(TableName="Things", Item={"pk": {"S": "a"}})
    for limit in ("Provisioned", "KeyRange", "MaxOnDemand"):
        for reason in (f"IndexRead{limit}ThroughputExceeded", "IndexReadAccountLimitExceeded"):
            with server.fault("throttling", table="Things", index="by-g", reason=reason):
                tried(calls.scan, TableName="Things", IndexName="by-g")
        with server.fault("throttling", reason=f"TableRead{limit}ThroughputExceeded"):
            tried(calls.get_item, TableName="Things", Key={"pk": {"S": "a"}})
        with server.fault("throttling", table="Things", index="by-g", reason=f"IndexWrite{limit}ThroughputExceeded"):
            tried(calls.put_item, TableName="Things", Item={"pk": {"S": "a"}})
        with server.fault("throttling", reason=f"TableWrite{limit}ThroughputExceeded"):
            tried(calls.put_item, TableName="Things", Item={"pk": {"S": "a"}})
            statements(server)
    with server.fault("throttling", reason="TableReadAccountLimitExceeded"):
        tried(calls.get_item, TableName="Things", Key={"pk": {"S": "a"}})
    with server.fault("throttling", table="Things", index="by-g", reason="IndexWriteAccountLimitExceeded"):
        tried(calls.put_item, TableName="Things", Item={"pk": {"S": "a"}})


def read_stream(server: LocalServer) -> None:
    things = table(server, StreamSpecification={"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"})
    things.put_item(Item={"pk": "a"})
    streams, arn = server.client("dynamodbstreams"), things.latest_stream_arn
    for shard in streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]:
        place = {"ShardId": shard["ShardId"], "ShardIteratorType": "TRIM_HORIZON"}
        streams.get_records(ShardIterator=streams.get_shard_iterator(StreamArn=arn, **place)["ShardIterator"])


def expire(server: LocalServer) -> None:
    things = table(server)
    spec = {"Enabled": True, "AttributeName": "until"}
    server.client().update_time_to_live(TableName="Things", TimeToLiveSpecification=spec)
    things.put_item(Item={"pk": "a", "until": START_S + 90})


def provision(server: LocalServer) -> None:
    table(server, BillingMode="PROVISIONED", ProvisionedThroughput=UNITS, **index(ProvisionedThroughput=UNITS))


def bound(server: LocalServer) -> None:
    most = {"MaxReadRequestUnits": 5, "MaxWriteRequestUnits": 5}
    table(server, OnDemandThroughput=most, **index(OnDemandThroughput=most))


def replicate(server: LocalServer) -> None:
    stream = {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}
    things = table(server, StreamSpecification=stream, **index())
    things.meta.client.update_table(TableName="Things", ReplicaUpdates=[{"Create": {"RegionName": "eu-west-1"}}])
    server.settle()
    things.put_item(Item={"pk": "a", "g": "g"})
    server.settle()


def replicate_as_in_2017(server: LocalServer) -> None:
    for region in ("us-east-1", "eu-west-1"):
        server.client(region_name=region).create_table(
            TableName="Things", BillingMode="PAY_PER_REQUEST", KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
            StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
        )  # fmt: skip
    group = [{"RegionName": region} for region in ("us-east-1", "eu-west-1")]
    server.client().create_global_table(GlobalTableName="Things", ReplicationGroup=group)
    server.settle()
    server.client().put_item(TableName="Things", Item={"pk": {"S": "a"}})
    server.settle()


ANY_TABLE = {
    ("ConsumedReadCapacityUnits", TABLE), ("ConsumedWriteCapacityUnits", TABLE), ("ResourceCount", USAGE),
    *((name, ACCOUNT) for name in LISTED if name.startswith("AccountMax")),
}  # fmt: skip
OF_INDEX = {("ConsumedReadCapacityUnits", INDEX), ("ConsumedWriteCapacityUnits", INDEX)}
LATENCY = "SuccessfulRequestLatency"


def several(names: str, *dimensions: str) -> set[tuple[str, str]]:
    return {(name, one) for name in names.split() for one in dimensions}


EVENTS: Mapping[Callable[[LocalServer], None], set[tuple[str, str]]] = {
    use: OF_INDEX
    | several("UserErrors", ACCOUNT)
    | several(LATENCY, OPERATION, VERB, KIND)
    | several("ReturnedItemCount", OPERATION, VERB),
    refuse: several("ConditionalCheckFailedRequests TransactionConflict", TABLE)
    | several("UserErrors", ACCOUNT)
    | several("SystemErrors", OPERATION, VERB, KIND)
    | several("FaultInjectionServiceInducedErrors", OPERATION)
    | several(LATENCY, OPERATION),
    throttle: OF_INDEX
    | {(name, one) for name in LISTED if name.endswith("ThrottleEvents") for one in LISTED[name][1]}
    - several("OnlineIndexThrottleEvents", INDEX)
    | several("ThrottledRequests", OPERATION, VERB, KIND)
    | several("FaultInjectionServiceInducedErrors", OPERATION)
    | several(LATENCY, OPERATION),
    read_stream: several(f"{LATENCY} ReturnedBytes ReturnedRecordsCount", STREAM) | several(LATENCY, OPERATION),
    expire: several("TimeToLiveDeletedItemCount", TABLE) | several(LATENCY, OPERATION),
    provision: OF_INDEX
    | several("ProvisionedReadCapacityUnits ProvisionedWriteCapacityUnits", TABLE, INDEX)
    | {(name, ACCOUNT) for name in LISTED if name.endswith("Utilization")},
    bound: OF_INDEX | several("OnDemandMaxReadRequestUnits OnDemandMaxWriteRequestUnits", TABLE, INDEX),
    replicate: OF_INDEX
    | several("ReplicationLatency", TO_REGION)
    | several("ConsumedWriteCapacityUnits", f"Source {T}", f"{G} Source {T}")
    | several(LATENCY, OPERATION),
    replicate_as_in_2017: several("ReplicationLatency PendingReplicationCount", TO_REGION)
    | several("ConsumedWriteCapacityUnits", f"Source {T}")
    | several(LATENCY, OPERATION),
}


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.__name__)
def test_metrics_of_each_event(server: LocalServer, event: Callable[[LocalServer], None]) -> None:
    event(server)
    found = published(server)
    assert found.keys() == EVENTS[event] | ANY_TABLE
    assert found == {key: LISTED[key[0]][0] for key in found}


def points(region: Region) -> dict[tuple[str, str], tuple[str, float, float]]:
    """Units, sums and numbers of samples of what was measured."""

    async def read() -> dict[tuple[str, str], tuple[str, float, float]]:
        await region.state(Collection).flush()
        await region.state(Metrics).learn()
        found = {}
        for metric, known in region.state(Metrics).recent.items():
            point = united(0, [one.point for one in known])
            found[metric.name, " ".join(name for name, _ in metric.dimensions)] = known[0].unit, point.sum, point.count
        return found

    return asyncio.run(read())


def test_changes_for_kinesis(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(destinations, "WAIT_S", 0.0)
    monkeypatch.setattr(destinations, "RECORD_BYTES", 2_000)
    streams = Recorded()

    async def scenario() -> Region:
        world = await world_with(streams)
        await enable(world)
        streams.throttled = [1, 2]
        for name, length in (("a", 1), ("b", 1_500), ("c", 3_000)):
            await world.call("PutItem", TableName="Things", Item=item(name, v={"S": "x" * length}))
        world.clock.advance(250)
        await world.runner.settle()
        return world.region

    found = {name: point for (name, of), point in points(asyncio.run(scenario())).items() if of == TO_KINESIS}
    assert found == {
        "ConsumedChangeDataCaptureUnits": ("Count", 3, 2),
        "FailedToReplicateRecordCount": ("Count", 1, 1),
        "ThrottledPutRecordCount": ("Count", 3, 3),
        "AgeOfOldestUnreplicatedRecord": ("Milliseconds", 250, 1),
    }
    assert found.keys() == {name for name, (_, of) in LISTED.items() if of == {TO_KINESIS}}


def test_an_index_that_is_being_built() -> None:
    clock = ManualClock(START_S * 1000)
    region = Region("us-east-1", MemoryEngine(), clock)
    create = {"Create": index()["GlobalSecondaryIndexes"][0]}

    async def scenario() -> None:
        await tables.create_table(region, {"TableName": "Things", "BillingMode": "PAY_PER_REQUEST", **KEYS})
        await items.put_item(region, {"TableName": "Things", "Item": {"pk": {"S": "a"}, "g": {"S": "g"}}})
        more = {"AttributeDefinitions": index()["AttributeDefinitions"], "GlobalSecondaryIndexUpdates": [create]}
        await tables.update_table(region, {"TableName": "Things", **more})
        region.meter.take()
        await Steps(region).settle(clock.now_ms())

    asyncio.run(scenario())
    assert points(region) == {
        ("OnlineIndexPercentageProgress", INDEX): ("Percent", 0, 1),
        ("OnlineIndexConsumedWriteCapacity", INDEX): ("Count", 0, 1),
        ("OnlineIndexThrottleEvents", INDEX): ("Count", 0, 1),
    }


def test_every_metric_has_an_event() -> None:
    happen = ANY_TABLE.union(*EVENTS.values())
    left = {(name, of) for name, (_, dimensions) in LISTED.items() for of in dimensions} - happen
    assert {of for _, of in left} == {TO_KINESIS, INDEX}
    assert {name for name, of in left if of == INDEX} == {name for name in LISTED if name.startswith("OnlineIndex")}
    assert all(of in LISTED[name][1] for name, of in happen)


def test_the_values_of_verb_operation_type_and_source(server: LocalServer) -> None:
    replicate(server)
    statements(server)
    found: dict[str, set[tuple[str, str]]] = {}
    for region in ("us-east-1", "eu-west-1"):
        cloudwatch = server.client("cloudwatch", region_name=region)
        for one in cloudwatch.list_metrics(Namespace="AWS/DynamoDB")["Metrics"]:
            of = {pair["Name"]: pair["Value"] for pair in one["Dimensions"]}
            for name in of.keys() & {"Verb", "OperationType", "Source"}:
                found.setdefault(name, set()).add((of.get("Operation", region), of[name]))
    assert found == {
        "Verb": {("ExecuteStatement", f"PartiQL{verb}") for verb in ("Select", "Update", "Delete", "Insert")},
        "OperationType": {
            (operation, kind)
            for operation in ("BatchExecuteStatement", "ExecuteTransaction")
            for kind in ("Read", "Write")
        },
        "Source": {("us-east-1", "Customer"), ("eu-west-1", "GlobalTable")},
    }
