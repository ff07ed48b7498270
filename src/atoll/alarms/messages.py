"""The messages that an alarm sends: to a topic (SNS), and the event of a function (Lambda), as CloudWatch writes
them."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import orjson

from atoll import botocore_models
from atoll.alarms.alarm import Alarm
from atoll.alarms.reasons import instant
from atoll.database.region import Region


def notification(alarm: Alarm, old: Alarm, region: Region) -> dict[str, Any]:
    """The message of an SNS topic."""
    configuration, state = alarm.configuration, alarm.state
    return {
        "AlarmName": alarm.name,
        "AlarmDescription": configuration.get("AlarmDescription"),
        "AWSAccountId": region.settings.account,
        "AlarmConfigurationUpdatedTimestamp": instant(alarm.configured_ms),
        "NewStateValue": state.value,
        "NewStateReason": state.reason,
        "StateChangeTime": instant(state.updated_ms),
        "Region": long_name(region.name),
        "AlarmArn": region.arn(alarm.resource, "cloudwatch"),
        "OldStateValue": old.state.value,
        "OKActions": configuration["OKActions"],
        "AlarmActions": configuration["AlarmActions"],
        "InsufficientDataActions": configuration["InsufficientDataActions"],
        **(_composite_trigger(alarm) if alarm.rule else {"Trigger": _trigger(alarm)}),
    }


def _composite_trigger(alarm: Alarm) -> dict[str, Any]:
    """The rule of a composite alarm, and the alarms whose changes have changed its state."""
    children = [] if alarm.state.data is None else orjson.loads(alarm.state.data).get("triggeringAlarms") or []
    shown = [
        {"Arn": child["arn"], "State": {"Value": child["state"]["value"], "Timestamp": child["state"]["timestamp"]}}
        for child in children
    ]
    return {"AlarmRule": alarm.rule, "TriggeringChildren": shown}


def _trigger(alarm: Alarm) -> dict[str, Any]:
    configuration = alarm.configuration
    found: dict[str, Any] = {}
    if alarm.metrics:
        found["Metrics"] = [_query(query) for query in alarm.metrics]
    else:
        extended = configuration.get("ExtendedStatistic")
        found["MetricName"] = configuration["MetricName"]
        found["Namespace"] = configuration["Namespace"]
        found["StatisticType"] = "ExtendedStatistic" if extended else "Statistic"
        if extended:
            found["ExtendedStatistic"] = extended
        else:
            found["Statistic"] = _STATISTICS[alarm.statistic]
        found["Unit"] = configuration.get("Unit")
        found["Dimensions"] = [_dimension(one) for one in configuration.get("Dimensions") or ()]
        found["Period"] = configuration["Period"]
    found["EvaluationPeriods"] = alarm.periods
    if "DatapointsToAlarm" in configuration:
        found["DatapointsToAlarm"] = alarm.to_alarm
    found["ComparisonOperator"] = configuration["ComparisonOperator"]
    found["Threshold"] = configuration["Threshold"]
    found["TreatMissingData"] = configuration.get("TreatMissingData", "")
    found["EvaluateLowSampleCountPercentile"] = configuration.get("EvaluateLowSampleCountPercentile", "")
    return found


_STATISTICS = {
    "SampleCount": "SAMPLE_COUNT",
    "Average": "AVERAGE",
    "Sum": "SUM",
    "Minimum": "MINIMUM",
    "Maximum": "MAXIMUM",
}


def _dimension(one: dict[str, Any]) -> dict[str, Any]:
    return {"value": one["Value"], "name": one["Name"]}


def _query(query: dict[str, Any]) -> dict[str, Any]:
    """A query of metric math. All members but Id, Expression and Label begin in upper case."""
    found: dict[str, Any] = {}
    for member in ("Id", "Expression", "Label"):
        if member in query:
            found[member] = query[member]
    if "MetricStat" in query:
        stat = query["MetricStat"]
        named = stat["Metric"]
        metric = {
            "Dimensions": [_dimension(one) for one in named.get("Dimensions") or ()],
            "MetricName": named["MetricName"],
            "Namespace": named["Namespace"],
        }
        found["MetricStat"] = {"Metric": metric, "Period": stat["Period"], "Stat": stat["Stat"]}
    found["ReturnData"] = query.get("ReturnData", True)
    return found


def function_event(alarm: Alarm, old: Alarm, region: Region) -> dict[str, Any]:
    """The event of a Lambda function."""
    data: dict[str, Any] = {
        "alarmName": alarm.name,
        "state": _state(alarm),
        "previousState": _state(old),
        "configuration": {"alarmRule": alarm.rule} if alarm.rule else {"metrics": _metrics(alarm)},
    }
    if alarm.configuration.get("AlarmDescription"):
        data["configuration"]["description"] = alarm.configuration["AlarmDescription"]
    return {
        "source": "aws.cloudwatch",
        "alarmArn": region.arn(alarm.resource, "cloudwatch"),
        "accountId": region.settings.account,
        "time": instant(alarm.state.updated_ms),
        "region": region.name,
        "alarmData": data,
    }


def _state(alarm: Alarm) -> dict[str, Any]:
    state = alarm.state
    found = {"value": state.value, "reason": state.reason, "timestamp": instant(state.updated_ms)}
    return found if state.data is None else {**found, "reasonData": state.data}


def _metrics(alarm: Alarm) -> list[dict[str, Any]]:
    if not alarm.metrics:
        return [{"id": "m1", "metricStat": _stat(alarm.configuration, alarm.period_s, alarm.statistic),
                 "returnData": True}]  # fmt: skip
    found = []
    for query in alarm.metrics:
        one: dict[str, Any] = {"id": query["Id"]}
        if "Expression" in query:
            one["expression"] = query["Expression"]
        if "Label" in query:
            one["label"] = query["Label"]
        if "MetricStat" in query:
            stat = query["MetricStat"]
            one["metricStat"] = _stat(stat["Metric"] | {"Unit": stat.get("Unit")}, stat["Period"], stat["Stat"])
        found.append({**one, "returnData": query.get("ReturnData", True)})
    return found


def _stat(named: Any, period_s: int, statistic: str) -> dict[str, Any]:
    metric = {
        "namespace": named["Namespace"],
        "name": named["MetricName"],
        "dimensions": {one["Name"]: one["Value"] for one in named.get("Dimensions") or ()},
    }
    found = {"metric": metric, "period": period_s, "stat": statistic}
    return found | {"unit": named["Unit"]} if named.get("Unit") else found


@lru_cache
def _long_names() -> dict[str, str]:
    names: dict[str, str] = botocore_models.read("regions")
    return names


def long_name(region: str) -> str:
    """The name of a region as people write it: US East (N. Virginia)."""
    return _long_names().get(region, region)
