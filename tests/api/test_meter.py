"""The meter's counts of a region's operations."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any, cast

import pytest

from atoll.api.call import Desk
from atoll.api.services import (
    CLOUDWATCH,
    DYNAMODB,
    LAMBDA,
    OPERATIONS,
    REGION,
    SCALING,
    STREAMS,
    TRIGGERS,
    Operation,
)
from atoll.capacity.meter import Measured, Meter
from atoll.errors import ApiError, resource_not_found
from atoll.metrics.measured import measured
from atoll.triggers.functions import Functions
from atoll.triggers.poller import Triggers
from atoll.triggers.registry import Registry
from tests.api.conftest import Service
from tests.desk import NOBODY
from tests.engines import run

KEY = {"pk": {"S": "a"}}
BIG = {"S": "x" * 5000}
Of = Callable[..., Measured | None]


@pytest.fixture
def of(service: Service) -> Of:
    """The tally of an operation, on the table Things if no other is named."""

    def find(operation: str, table: str = "Things", index: str | None = None) -> Measured | None:
        key = table, index, operation
        return next((m for m in service.region.meter.snapshot() if (m.table, m.index, m.operation) == key), None)

    return find


def figures(one: Measured | None) -> tuple[int, float, float, int]:
    assert one is not None
    return one.calls, one.read_units, one.write_units, one.items


def index(name: str, kind: str = "Global", projection: str = "ALL") -> dict[str, Any]:
    keys = [("pk", "HASH"), ("g", "RANGE")] if kind == "Local" else [("g", "HASH")]
    schema = [{"AttributeName": one, "KeyType": role} for one, role in keys]
    found = {"IndexName": name, "KeySchema": schema, "Projection": {"ProjectionType": projection}}
    return {f"{kind}SecondaryIndexes": [found], "types": {"g": "S"}}


def test_reads_and_writes_are_measured_without_a_request_for_capacity(service: Service, of: Of) -> None:
    name = service.table()
    service.put_item(TableName=name, Item={**KEY, "a": BIG})
    service.get_item(TableName=name, Key=KEY)
    service.get_item(TableName=name, Key=KEY, ConsistentRead=True)
    service.get_item(TableName=service.region.arn("table/Things"), Key={"pk": {"S": "absent"}})
    service.update_item(TableName=name, Key=KEY, UpdateExpression="SET b = :b", ExpressionAttributeValues={":b": BIG})
    service.delete_item(TableName=name, Key=KEY)
    assert figures(of("PutItem")) == (1, 0, 5, 0)
    assert figures(of("GetItem")) == (3, 1 + 2 + 0.5, 0, 2)
    assert figures(of("UpdateItem")) == (1, 0, 10, 0)
    assert figures(of("DeleteItem")) == (1, 0, 10, 0)
    assert figures(of("CreateTable")) == (1, 0, 0, 0)


@pytest.mark.parametrize("asked", ["NONE", "TOTAL", "INDEXES"])
def test_the_same_is_measured_with_a_request_for_capacity(service: Service, of: Of, asked: str) -> None:
    name = service.table(**index("by-g"))
    service.put_item(TableName=name, Item={**KEY, "g": {"S": "g"}}, ReturnConsumedCapacity=asked)
    service.get_item(TableName=name, Key=KEY, ReturnConsumedCapacity=asked)
    service.scan(TableName=name, IndexName="by-g", ReturnConsumedCapacity=asked)
    assert figures(of("PutItem")) == (1, 0, 1, 0)
    assert figures(of("PutItem", index="by-g")) == (0, 0, 1, 0)
    assert figures(of("GetItem")) == (1, 0.5, 0, 1)
    assert figures(of("Scan")) == (1, 0, 0, 0)
    assert figures(of("Scan", index="by-g")) == (0, 2.0, 0, 1)


def test_queries_are_measured_on_their_index_and_on_fetched_items(service: Service, of: Of) -> None:
    name = service.table(sort="S", **index("by-l", "Local", "KEYS_ONLY"))
    service.put_item(TableName=name, Item={**KEY, "sk": {"S": "s"}, "g": {"S": "g"}, "a": BIG})
    query = {"TableName": name, "KeyConditionExpression": "pk = :p", "ExpressionAttributeValues": {":p": {"S": "a"}}}
    service.query(**query)
    service.query(**query, Select="COUNT")
    service.query(**query, IndexName="by-l", Select="ALL_ATTRIBUTES")
    assert figures(of("Query")) == (3, 1 + 1 + 1, 0, 1)
    assert figures(of("Query", index="by-l")) == (0, 0.5, 0, 1)


def test_batches_and_transactions_count_on_each_table(service: Service, of: Of) -> None:
    for name in ("Things", "Others"):
        service.table(name)
    put = {"PutRequest": {"Item": KEY}}
    service.batch_write_item(RequestItems={"Things": [put], "Others": [put]})
    service.batch_get_item(RequestItems={name: {"Keys": [KEY]} for name in ("Things", "Others")})
    puts = [{"Put": {"TableName": name, "Item": KEY}} for name in ("Things", "Others")]
    for _ in range(2):
        service.transact_write_items(TransactItems=puts, ClientRequestToken="t")
    service.transact_get_items(TransactItems=[{"Get": {"TableName": "Others", "Key": KEY}}])
    for name in ("Things", "Others"):
        assert figures(of("BatchWriteItem", name)) == (1, 0, 1, 0)
        assert figures(of("BatchGetItem", name)) == (1, 0.5, 0, 1)
        assert figures(of("TransactWriteItems", name)) == (2, 2, 2, 0)
    assert figures(of("TransactGetItems", "Others")) == (1, 2, 0, 1)
    assert of("TransactGetItems") is None


def test_statements_are_measured(service: Service, of: Of) -> None:
    service.table()
    service.execute_statement(Statement="INSERT INTO Things VALUE {'pk': 'a'}")
    service.execute_statement(Statement="SELECT * FROM Things")
    service.batch_execute_statement(Statements=[{"Statement": "SELECT * FROM Things WHERE pk = 'a'"}])
    service.batch_execute_statement(Statements=[{"Statement": "DELETE FROM Things WHERE pk = 'b'"}])
    insert = [{"Statement": "INSERT INTO Things VALUE {'pk': 'c'}"}]
    service.execute_transaction(TransactStatements=insert)
    service.execute_transaction(TransactStatements=[{"Statement": "SELECT * FROM Things WHERE pk = 'a'"}])
    assert figures(of("ExecuteStatement")) == (2, 2.0, 1, 1)
    assert figures(of("BatchExecuteStatement")) == (2, 0.5, 1, 1)
    assert figures(of("ExecuteTransaction")) == (2, 2, 2, 1)


def test_refusals_are_counted_by_kind(service: Service, of: Of) -> None:
    name = service.table()
    never = {"ConditionExpression": "attribute_exists(nothing)"}
    service.refused("PutItem", TableName=name, Item={**KEY, "a": BIG}, **never)
    service.put_item(TableName=name, Item=KEY)
    service.refused("PutItem", TableName=name, Item=KEY, **never)
    service.refused("PutItem", TableName=name, Item={"pk": {"N": "1"}})
    service.refused("PutItem", TableName=name)
    service.refused("TransactWriteItems", TransactItems=[{"Put": {"TableName": name, "Item": KEY, **never}}])
    one = of("PutItem")
    assert one is not None
    assert (one.calls, one.failed_conditions, one.user_errors, one.write_units) == (4, 2, 1, 3)
    nowhere = of("PutItem", "")
    assert nowhere is not None
    assert (nowhere.calls, nowhere.user_errors) == (1, 1)
    transaction = of("TransactWriteItems")
    assert transaction is not None
    assert (transaction.calls, transaction.failed_conditions, transaction.write_units) == (1, 1, 2)


def test_throttled_requests_count_on_the_exhausted_table_or_index(service: Service, of: Of) -> None:
    throughput = {"ReadCapacityUnits": 1, "WriteCapacityUnits": 1}
    indexes = index("by-g")
    indexes["GlobalSecondaryIndexes"][0]["ProvisionedThroughput"] = throughput
    more = {"BillingMode": "PROVISIONED", "ProvisionedThroughput": {**throughput, "WriteCapacityUnits": 100}}
    name = service.table(**cast(Any, indexes | more))
    refusal: ApiError | None = None
    count = 0
    while refusal is None:
        count += 1
        try:
            service.put_item(TableName=name, Item={"pk": {"S": str(count)}, "g": BIG | {"S": "x" * 1000}, "a": BIG})
        except ApiError as error:
            refusal = error
    one, entry = of("PutItem"), of("PutItem", index="by-g")
    assert one is not None
    assert entry is not None
    assert (one.calls, one.throttled, one.user_errors, entry.throttled) == (count, 1, 0, 1)


def test_a_full_store_is_a_system_error(service: Service, of: Of, monkeypatch: pytest.MonkeyPatch) -> None:
    name = service.table()
    service.get_item(TableName=name, Key=KEY)

    async def fail(_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(service.region.engine, "read", fail)
    assert service.refused("GetItem", TableName=name, Key=KEY).code == "InternalServerError"
    one = of("GetItem")
    assert one is not None
    assert (one.calls, one.system_errors, one.user_errors) == (2, 1, 0)


def test_latency_is_that_of_answers(service: Service, of: Of) -> None:
    times = iter([5_000_000, 12_500_000, 20_000_000, 20_500_000, 90_000_000])
    service.region.meter = Meter(lambda: next(times))
    service.request("ListTables", {})
    service.request("ListTables", {})
    service.refused("ListTables", Limit=0)
    one = of("ListTables", "")
    assert one is not None
    assert (one.calls, one.latency_ms) == (3, 8.0)


def test_a_meter_is_bounded() -> None:
    meter = Meter(lambda: 0, most=3)
    for number in range(5):
        meter.tally(f"t{number}", None, "GetItem").refused += 1
    for number in range(5):
        meter.failed("GetItem", [f"absent{number}"], resource_not_found())
    assert [(one.table, one.calls) for one in meter.snapshot()] == [("t3", 1), ("t4", 1), ("", 5)]


def test_operations_of_all_services_with_a_region_are_counted(service: Service, of: Of) -> None:
    """Also those with the names of others: three services have TagResource."""

    triggers = Triggers(service.region, Functions(Registry({}), service.region))
    desk = Desk({REGION: lambda _: service.region, TRIGGERS: lambda _: triggers})

    def call(row: Operation, **body: Any) -> None:
        with contextlib.suppress(ApiError):
            run(desk.call(row, "us-east-1", NOBODY, body, service.clock.now_ms()))

    rows = [row for row in OPERATIONS if row.subject in (REGION, TRIGGERS)]
    assert {row.service for row in rows} == {DYNAMODB, STREAMS, LAMBDA, CLOUDWATCH, SCALING}
    for row in rows:
        before = of(row.counted_as, "")
        call(row, unknown=[])
        after = of(row.counted_as, "")
        assert after is not None
        assert after.calls == (0 if before is None else before.calls) + 1
    assert len({row.counted_as for row in rows}) == len(rows)

    call(next(row for row in rows if row.name == "GetFunction"), FunctionName="Things")
    assert of("Lambda.GetFunction", "Things") is None
    one = of("Lambda.GetFunction", "")
    assert one is not None
    assert one.user_errors > 0


def test_metrics_of_dynamodb_count_no_errors_of_other_services() -> None:
    meter = Meter()
    meter.failed("CloudWatch.PutMetricAlarm", [""], ApiError("ValidationError", "no"))
    assert measured(meter.take(), {}, 0) == {}
    meter.failed("PutItem", [""], ApiError("ValidationException", "no"))
    assert [series.metric.name for series in measured(meter.take(), {}, 0)] == ["UserErrors"]
