"""Alarms on tables: metrics that were measured, and those that follow from the table's definition."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from botocore.config import Config

from atoll.testing import LocalServer, serve
from tests.metrics.conftest import START_S

NONE, ALARM, OK = "INSUFFICIENT_DATA", "ALARM", "OK"


@pytest.fixture
def server() -> Iterator[LocalServer]:
    with serve(throttling=True) as server:
        server.clock.set(START_S)
        yield server


@pytest.fixture
def cloudwatch(server: LocalServer) -> Any:
    return server.client("cloudwatch")


def table(server: LocalServer, units: int = 5) -> Any:
    return server.resource(config=Config(retries={"total_max_attempts": 1})).create_table(
        TableName="Things",
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        ProvisionedThroughput={"ReadCapacityUnits": units, "WriteCapacityUnits": units},
    )


def put(cloudwatch: Any, metric: str, **more: Any) -> None:
    body = {
        "AlarmName": metric,
        "Namespace": "AWS/DynamoDB",
        "MetricName": metric,
        "Dimensions": [{"Name": "TableName", "Value": "Things"}],
        "Statistic": "Sum",
        "Period": 60,
        "EvaluationPeriods": 1,
        "Threshold": 1,
        "ComparisonOperator": "GreaterThanThreshold",
        **more,
    }
    cloudwatch.put_metric_alarm(**body)


def states(server: LocalServer, cloudwatch: Any, *moves: str) -> list[str]:
    found = []
    for move in moves:
        server.clock.advance(move)
        found += [alarm["StateValue"] for alarm in cloudwatch.describe_alarms()["MetricAlarms"]]
    return found


def test_an_idle_table_consumes_nothing(server: LocalServer, cloudwatch: Any) -> None:
    """So that the low alarm of a scaling policy is raised after 15 minutes."""
    table(server)
    put(cloudwatch, "ConsumedReadCapacityUnits", EvaluationPeriods=15, ComparisonOperator="LessThanThreshold")
    assert states(server, cloudwatch, "14m", "1m", "10h") == [NONE, ALARM, ALARM]


def test_a_table_that_is_used_now_and_then(server: LocalServer, cloudwatch: Any) -> None:
    things = table(server)
    put(cloudwatch, "ConsumedWriteCapacityUnits")
    assert states(server, cloudwatch, "5m") == [OK]
    for _ in range(3):
        things.put_item(Item={"pk": "a"})
    assert states(server, cloudwatch, "1m", "1m", "1h") == [ALARM, OK, OK]
    things.put_item(Item={"pk": "a"})
    things.put_item(Item={"pk": "b"})
    server.clock.advance("2h")
    summaries = [item["HistorySummary"] for item in cloudwatch.describe_alarm_history()["AlarmHistoryItems"]]
    assert summaries[:2] == ["Alarm updated from ALARM to OK", "Alarm updated from OK to ALARM"]


def test_an_alarm_on_throttling(server: LocalServer, cloudwatch: Any) -> None:
    things = table(server, units=1)
    put(cloudwatch, "WriteThrottleEvents", Threshold=0, TreatMissingData="notBreaching")
    assert states(server, cloudwatch, "1m") == [OK]
    big = {"pk": "a", "data": "x" * 350_000}  # more than the 300 units that are saved up
    things.put_item(Item=big)
    with pytest.raises(things.meta.client.exceptions.ProvisionedThroughputExceededException):
        things.put_item(Item=big)
    assert states(server, cloudwatch, "1m", "5m") == [ALARM, OK]


def test_provisioned_capacity(server: LocalServer, cloudwatch: Any) -> None:
    things = table(server)
    more = {"Statistic": "Average", "Period": 300, "EvaluationPeriods": 3, "Threshold": 5}
    put(cloudwatch, "ProvisionedReadCapacityUnits", **more)
    assert states(server, cloudwatch, "20m") == [OK]
    things.update(ProvisionedThroughput={"ReadCapacityUnits": 8, "WriteCapacityUnits": 5})
    assert states(server, cloudwatch, "5m", "15m", "1h") == [OK, ALARM, ALARM]
    things.update(ProvisionedThroughput={"ReadCapacityUnits": 5, "WriteCapacityUnits": 5})
    assert states(server, cloudwatch, "30m") == [OK]


def test_a_deleted_table_has_no_data(server: LocalServer, cloudwatch: Any) -> None:
    things = table(server)
    put(cloudwatch, "ConsumedReadCapacityUnits", TreatMissingData="missing")
    assert states(server, cloudwatch, "5m") == [OK]
    things.delete()
    assert states(server, cloudwatch, "1h") == [NONE]
