"""Alarms through clients of each protocol that CloudWatch speaks."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from atoll.testing import LocalServer, serve
from tests.metrics.conftest import PROTOCOLS, START, START_S, client

MINUTE = timedelta(minutes=1)
ALARM: dict[str, Any] = {
    "AlarmName": "a",
    "AlarmDescription": "é & <b>",
    "Namespace": "App",
    "MetricName": "Errors",
    "Dimensions": [{"Name": "Host", "Value": "h"}],
    "Statistic": "Sum",
    "Period": 60,
    "EvaluationPeriods": 2,
    "DatapointsToAlarm": 1,
    "Threshold": 1.5,
    "ComparisonOperator": "GreaterThanThreshold",
    "AlarmActions": ["arn:aws:sns:us-east-1:000000000000:ops"],
}


@pytest.fixture
def server() -> Iterator[LocalServer]:
    with serve() as server:
        server.clock.set(START_S)
        yield server


@pytest.fixture(params=PROTOCOLS)
def cloudwatch(request: pytest.FixtureRequest, server: LocalServer) -> Any:
    return client(server, request.param)


def test_an_alarm_is_created_changes_state_and_is_deleted(server: LocalServer, cloudwatch: Any) -> None:
    cloudwatch.put_metric_alarm(**ALARM)
    cloudwatch.put_metric_data(
        Namespace="App", MetricData=[{"MetricName": "Errors", "Dimensions": ALARM["Dimensions"], "Value": 2}]
    )
    server.clock.advance("1m")
    (alarm,) = cloudwatch.describe_alarms(AlarmNames=["a", "none"])["MetricAlarms"]
    assert alarm.items() >= ALARM.items()
    assert alarm["StateValue"] == "ALARM"
    assert alarm["StateReason"] == (
        "Threshold Crossed: 1 out of the last 2 datapoints [2.0 (15/01/27 08:00:00)] was greater than the threshold "
        "(1.5) (minimum 1 datapoint for OK -> ALARM transition)."
    )
    assert alarm["AlarmConfigurationUpdatedTimestamp"] == START
    assert alarm["StateTransitionedTimestamp"] == START + MINUTE
    metric = {name: ALARM[name] for name in ("Namespace", "MetricName", "Dimensions")}
    assert len(cloudwatch.describe_alarms_for_metric(**metric)["MetricAlarms"]) == 1
    (item,) = cloudwatch.describe_alarm_history(
        AlarmName="a", HistoryItemType="StateUpdate", StartDate=START, EndDate=START + 2 * MINUTE
    )["AlarmHistoryItems"]
    assert (item["HistorySummary"], item["Timestamp"]) == (
        "Alarm updated from INSUFFICIENT_DATA to ALARM", START + MINUTE,
    )  # fmt: skip
    cloudwatch.disable_alarm_actions(AlarmNames=["a"])
    assert cloudwatch.describe_alarms()["MetricAlarms"][0]["ActionsEnabled"] is False
    cloudwatch.tag_resource(ResourceARN=alarm["AlarmArn"], Tags=[{"Key": "k", "Value": "v"}])
    assert cloudwatch.list_tags_for_resource(ResourceARN=alarm["AlarmArn"])["Tags"] == [{"Key": "k", "Value": "v"}]
    cloudwatch.set_alarm_state(AlarmName="a", StateValue="OK", StateReason="tested")
    assert cloudwatch.describe_alarms(StateValue="OK")["MetricAlarms"][0]["StateReason"] == "tested"
    cloudwatch.delete_alarms(AlarmNames=["a"])
    assert cloudwatch.describe_alarms()["MetricAlarms"] == []


def test_an_alarm_on_an_expression(server: LocalServer, cloudwatch: Any) -> None:
    metric = {"Namespace": "App", "MetricName": "Errors"}
    metrics = [
        {"Id": "m", "MetricStat": {"Metric": metric, "Period": 60, "Stat": "Sum"}, "ReturnData": False},
        {"Id": "e", "Expression": "FILL(m, 0) * 2", "Label": "twice", "ReturnData": True},
    ]
    cloudwatch.put_metric_alarm(
        AlarmName="e", Metrics=metrics, EvaluationPeriods=1, Threshold=3, ComparisonOperator="LessThanThreshold"
    )
    server.clock.advance("2m")
    (alarm,) = cloudwatch.describe_alarms()["MetricAlarms"]
    assert alarm["StateValue"] == "ALARM"
    found = [{key: value for key, value in query.items() if key != "Dimensions"} for query in alarm["Metrics"]]
    found[0]["MetricStat"]["Metric"].pop("Dimensions", None)
    assert found == metrics


def test_a_composite_alarm(server: LocalServer, cloudwatch: Any) -> None:
    cloudwatch.put_metric_alarm(**ALARM)
    cloudwatch.put_composite_alarm(AlarmName="c", AlarmRule='ALARM("a") OR FALSE', AlarmDescription="d")
    cloudwatch.set_alarm_state(AlarmName="a", StateValue="ALARM", StateReason="x")
    server.clock.advance("1s")
    (found,) = cloudwatch.describe_alarms(AlarmTypes=["CompositeAlarm"])["CompositeAlarms"]
    assert (found["AlarmName"], found["StateValue"], found["AlarmDescription"]) == ("c", "ALARM", "d")
    assert found["StateTransitionedTimestamp"] == START
    items = cloudwatch.describe_alarm_history(AlarmName="c", HistoryItemType="StateUpdate")["AlarmHistoryItems"]
    assert {item["AlarmType"] for item in items} == {"CompositeAlarm"}
    assert items[0]["HistorySummary"].endswith(" to ALARM")
    cloudwatch.delete_alarms(AlarmNames=["c"])
    assert cloudwatch.describe_alarms(AlarmTypes=["CompositeAlarm"])["CompositeAlarms"] == []


@pytest.mark.parametrize(
    ("operation", "body", "code"),
    [
        ("put_metric_alarm", {**ALARM, "Period": 61}, "InvalidParameterValue"),
        ("put_metric_alarm", {**ALARM, "EvaluationPeriods": 2000}, "ValidationError"),
        ("set_alarm_state", {"AlarmName": "none", "StateValue": "OK", "StateReason": "x"}, "ResourceNotFound"),
        ("set_alarm_state", {"AlarmName": "none", "StateValue": "NO", "StateReason": "x"}, "ValidationError"),
        ("describe_alarms", {"NextToken": "x"}, "InvalidNextToken"),
        ("put_composite_alarm", {"AlarmName": "c", "AlarmRule": "ALARM(none)"}, "ValidationError"),
    ],
)
def test_refusals(cloudwatch: Any, operation: str, body: dict[str, Any], code: str) -> None:
    with pytest.raises(ClientError) as caught:
        getattr(cloudwatch, operation)(**body)
    assert caught.value.response["Error"]["Code"] == code
