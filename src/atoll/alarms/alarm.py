"""An alarm: its configuration, as PutMetricAlarm gave it, and its state.

The configuration keeps the members of the request, because DescribeAlarms returns those that were set and no others.
Properties give the defaults that apply where a member is absent.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import astuple, dataclass, replace
from functools import cached_property
from typing import Any

OK = "OK"
ALARM = "ALARM"
INSUFFICIENT_DATA = "INSUFFICIENT_DATA"

INITIAL = "Unchecked: Initial alarm creation"
"""The reason of the state of a new alarm."""

METRIC, COMPOSITE = "MetricAlarm", "CompositeAlarm"
"""The types of alarms."""

ACTIONS = {OK: "OKActions", ALARM: "AlarmActions", INSUFFICIENT_DATA: "InsufficientDataActions"}
"""The member with the actions to run when an alarm enters a state."""

DYNAMODB = "AWS/DynamoDB"
SHORT_PERIODS_S = (10, 20, 30)


@dataclass(frozen=True)
class AlarmState:
    value: str
    reason: str
    data: str | None
    """StateReasonData: JSON."""
    updated_ms: int
    transitioned_ms: int


@dataclass(frozen=True)
class Suppression:
    """Why the actions of a composite alarm do not run now (`suppression`)."""

    by: str
    until_ms: int | None
    before: AlarmState | None = None
    """The state before the first change whose actions were held back; None if there was no change."""


def name_of(reference: str) -> str:
    """The name of the alarm with this name or ARN."""
    return reference.partition(":alarm:")[2] if reference.startswith("arn:") else reference


@dataclass(frozen=True)
class Alarm:
    configuration: Mapping[str, Any]
    configured_ms: int
    state: AlarmState
    suppression: Suppression | None = None

    @property
    def name(self) -> str:
        return str(self.configuration["AlarmName"])

    @property
    def resource(self) -> str:
        """The resource part of its ARN."""
        return f"alarm:{self.name}"

    @property
    def rule(self) -> str:
        """The rule of a composite alarm; empty for an alarm on metrics."""
        return str(self.configuration.get("AlarmRule") or "")

    @property
    def suppressor(self) -> str | None:
        """The name of the alarm that suppresses the actions of a composite alarm."""
        reference = self.configuration.get("ActionsSuppressor")
        return None if reference is None else name_of(reference)

    @property
    def type(self) -> str:
        return COMPOSITE if self.rule else METRIC

    @property
    def periods(self) -> int:
        """N: the number of periods that decide."""
        return int(self.configuration["EvaluationPeriods"])

    @cached_property
    def to_alarm(self) -> int:
        """M: the number of breaching periods among them that raise the alarm."""
        return int(self.configuration.get("DatapointsToAlarm") or self.periods)

    @cached_property
    def metrics(self) -> list[dict[str, Any]]:
        """The queries of an alarm on metric math; empty for an alarm on one metric."""
        return list(self.configuration.get("Metrics") or ())

    @cached_property
    def period_s(self) -> int:
        for query in self.metrics:
            period = query.get("Period") or (query.get("MetricStat") or {}).get("Period")
            if period:
                return int(period)
        return int(self.configuration.get("Period") or 60)

    @cached_property
    def statistic(self) -> str:
        """Sum, p99, ...; empty for metric math."""
        return str(self.configuration.get("Statistic") or self.configuration.get("ExtendedStatistic") or "")

    @cached_property
    def missing(self) -> str:
        """How missing data is treated. An alarm on DynamoDB's metrics ignores it unless it says otherwise."""
        chosen = self.configuration.get("TreatMissingData")
        if chosen:
            return str(chosen)
        return "ignore" if self.configuration.get("Namespace") == DYNAMODB else "missing"

    @cached_property
    def interval_ms(self) -> int:
        """How often it is evaluated."""
        return 10_000 if self.period_s in SHORT_PERIODS_S else 60_000

    def actions(self, state: str) -> list[str]:
        return list(self.configuration.get(ACTIONS[state]) or ()) if self.configuration["ActionsEnabled"] else []

    def in_state(self, value: str, reason: str, data: str | None, now_ms: int) -> Alarm:
        transitioned = now_ms if value != self.state.value else self.state.transitioned_ms
        return replace(self, state=AlarmState(value, reason, data, now_ms, transitioned))


def created(configuration: Mapping[str, Any], now_ms: int) -> Alarm:
    state = AlarmState(INSUFFICIENT_DATA, INITIAL, None, now_ms, now_ms)
    return Alarm(configuration, now_ms, state)


def document(alarm: Alarm) -> dict[str, Any]:
    found: dict[str, Any] = {
        "configuration": dict(alarm.configuration),
        "configured_ms": alarm.configured_ms,
        "state": astuple(alarm.state),
    }
    if alarm.suppression is not None:
        found["suppression"] = astuple(alarm.suppression)
    return found


def parse(stored: Mapping[str, Any]) -> Alarm:
    suppression = None
    if "suppression" in stored:
        by, until_ms, before = stored["suppression"]
        suppression = Suppression(by, until_ms, None if before is None else AlarmState(*before))
    return Alarm(stored["configuration"], stored["configured_ms"], AlarmState(*stored["state"]), suppression)
