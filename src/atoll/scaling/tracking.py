"""The alarms of a target-tracking policy, and the units that the policy sets when one of them is in breach.

A policy with a predefined metric has two pairs of alarms. AlarmHigh and AlarmLow watch the consumption of a minute:
High is in breach above the target for two minutes, Low twenty percentage points below it for fifteen. The thresholds
are units, so they follow the capacity. ProvisionedCapacityHigh and -Low watch for changes by users.

A policy with a metric of the user has AlarmHigh above the target for three minutes, and AlarmLow below nine tenths of
it for fifteen. These numbers are not published, nor that a policy uses the greatest datapoint of its alarm.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

import orjson

from atoll import limits
from atoll.scaling import decision
from atoll.scaling.targets import Id, Policy

HIGH, LOW = "AlarmHigh", "AlarmLow"
PROVISIONED_HIGH, PROVISIONED_LOW = "ProvisionedCapacityHigh", "ProvisionedCapacityLow"
KINDS = (HIGH, LOW, PROVISIONED_HIGH, PROVISIONED_LOW)
CUSTOMIZED_KINDS = (HIGH, LOW)

PERIOD_S = 60
PROVISIONED_PERIOD_S = 300
PERIODS = {HIGH: 2, LOW: 15, PROVISIONED_HIGH: 3, PROVISIONED_LOW: 3}
CUSTOMIZED_PERIODS = {HIGH: 3, LOW: 15}
CUSTOMIZED_LOW = Fraction(9, 10)

Configuration = dict[str, Any]
"""The members of PutMetricAlarm."""


def alarm_name(id_: Id, kind: str, number: str) -> str:
    return f"TargetTracking-{id_.resource}-{kind}-{number}"


def alarms(policy: Policy, arn: str, units: int) -> list[Configuration]:
    """The alarms of a policy whose target has these units."""
    return [_alarm(policy, kind, arn, units) for kind in policy.alarms]


def _alarm(policy: Policy, kind: str, arn: str, units: int) -> Configuration:
    watched = _predefined(policy, kind, units) if policy.customized is None else _customized(policy, kind)
    return {
        "AlarmName": policy.alarms[kind],
        "AlarmDescription": f"DO NOT EDIT OR DELETE. For TargetTrackingScaling policy {arn}.",
        "ActionsEnabled": True,
        "OKActions": [],
        "AlarmActions": [arn],
        "InsufficientDataActions": [],
        **watched,
        "ComparisonOperator": "GreaterThanThreshold" if kind in (HIGH, PROVISIONED_HIGH) else "LessThanThreshold",
    }


def _predefined(policy: Policy, kind: str, units: int) -> Configuration:
    id_ = policy.id
    dimensions = [{"Name": "TableName", "Value": id_.table_name}]
    if id_.index_name is not None:
        dimensions.append({"Name": "GlobalSecondaryIndexName", "Value": id_.index_name})
    consumed = kind in (HIGH, LOW)
    return {
        "MetricName": f"{'Consumed' if consumed else 'Provisioned'}{id_.kind}CapacityUnits",
        "Namespace": "AWS/DynamoDB",
        "Statistic": "Sum" if consumed else "Average",
        "Dimensions": dimensions,
        "Period": PERIOD_S if consumed else PROVISIONED_PERIOD_S,
        "EvaluationPeriods": PERIODS[kind],
        "Threshold": threshold(kind, policy.target_value, units),
    }


def _customized(policy: Policy, kind: str) -> Configuration:
    metric = policy.customized or {}
    target = Fraction(str(policy.target_value))
    watched: Configuration = {
        "MetricName": metric["MetricName"],
        "Namespace": metric["Namespace"],
        "Statistic": metric["Statistic"],
        "Dimensions": [dict(one) for one in metric.get("Dimensions") or ()],
        "Period": PERIOD_S,
        "EvaluationPeriods": CUSTOMIZED_PERIODS[kind],
        "Threshold": float(target if kind == HIGH else target * CUSTOMIZED_LOW),
    }
    if metric.get("Unit") is not None:
        watched["Unit"] = metric["Unit"]
    return watched


def threshold(kind: str, target_percent: float, units: int) -> float:
    """The threshold of an alarm on a predefined metric, for a target with these units."""
    if kind in (PROVISIONED_HIGH, PROVISIONED_LOW):
        return float(units)
    share = Fraction(str(target_percent))
    if kind == LOW:
        margin = Fraction(str(limits.SCALE_IN_MARGIN_PERCENT))
        # Half of the target, if the margin would leave nothing; not published.
        share = share - margin if share > margin else share / 2
    return float(units * PERIOD_S * share / 100)


# The units that a policy wants


def values(data: str | Mapping[str, Any] | None) -> list[float]:
    """The datapoints that an alarm was evaluated on, from its StateReasonData."""
    if isinstance(data, str):
        try:
            data = orjson.loads(data)
        except orjson.JSONDecodeError:
            return []
    if not isinstance(data, Mapping):
        return []
    points = data.get("evaluatedDatapoints")
    if isinstance(points, Sequence) and not isinstance(points, str):
        found = [point.get("value") for point in points if isinstance(point, Mapping)]
    else:
        recent = data.get("recentDatapoints")
        found = list(recent) if isinstance(recent, Sequence) and not isinstance(recent, str) else []
    return [float(value) for value in found if isinstance(value, int | float) and not isinstance(value, bool)]


def wanted(policy: Policy, data: str | Mapping[str, Any] | None, units: int) -> int | None:
    """The units that the policy wants, from an alarm's datapoints; None without datapoints. `units` are the present
    ones, or those at the beginning of a scale-out cooldown."""
    found = [value for value in values(data) if 0 <= value < MOST]
    if not found:
        return None
    if policy.customized is not None:
        return decision.wanted_of_metric(max(found), policy.target_value, units)
    return decision.wanted(max(found), PERIOD_S, policy.target_value)


MOST = 2.0**360
"""The greatest value that a metric may have."""
