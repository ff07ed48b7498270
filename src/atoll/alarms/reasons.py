"""The texts that explain an alarm's state, in the service's words: StateReason, and StateReasonData as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from atoll.alarms.alarm import ALARM, INSUFFICIENT_DATA, Alarm
from atoll.alarms.deciding import BREACHING, Decision

SHOWN = 5
"""The number of points that a reason shows."""

RECENT, EVALUATED = 50, 20
"""The number of points and of periods that StateReasonData shows, the newest ones: it may have 4,000 characters."""

_COMPARED = {
    "GreaterThanOrEqualToThreshold": "greater than or equal to",
    "GreaterThanThreshold": "greater than",
    "LessThanThreshold": "less than",
    "LessThanOrEqualToThreshold": "less than or equal to",
}


class Point(NamedTuple):
    time_ms: int
    value: float
    samples: float | None = None
    """The number of samples; None for metric math."""


def reason(alarm: Alarm, decision: Decision, points: Sequence[Point | None], breaches: Sequence[bool | None]) -> str:
    """`points` and `breaches` of the evaluation range, newest first."""
    if decision.state == INSUFFICIENT_DATA:
        return f"Insufficient Data: {_datapoints(alarm.periods)} unknown."
    raised = decision.state == ALARM
    crossing = [point for place in decision.used if breaches[place] == raised and (point := points[place]) is not None]
    wanted = ""
    if "DatapointsToAlarm" in alarm.configuration:
        direction = "OK -> ALARM" if raised else "ALARM -> OK"
        wanted = f" (minimum {_plural(alarm.to_alarm, 'datapoint')} for {direction} transition)"
    treated = _treated(alarm, decision)
    if not crossing:
        if decision.used:
            return f"Threshold Crossed: {treated}{wanted}."
        received = f"no datapoints were received for {_plural(alarm.periods, 'period')}"
        return f"Threshold Crossed: {received} and {treated}{wanted}."
    return f"Threshold Crossed: {_crossed(alarm, crossing, raised, treated)}{wanted}."


def _crossed(alarm: Alarm, crossing: Sequence[Point], raised: bool, treated: str) -> str:
    many = len(crossing) > SHOWN
    count = _plural(len(crossing), "datapoint")
    if "DatapointsToAlarm" in alarm.configuration:
        count = f"{len(crossing)} out of the last {alarm.periods} datapoints"
    shown = ", ".join(f"{number(point.value)} ({_day_first(point.time_ms)})" for point in crossing[:SHOWN])
    were = "was" if len(crossing) == 1 else "were"
    compared = _COMPARED[alarm.configuration["ComparisonOperator"]]
    text = f"{count}{'' if many else f' [{shown}]'} {were} {'' if raised else 'not '}{compared} the threshold"
    text += f" ({number(float(alarm.configuration['Threshold']))})"
    if many:
        text += f". The most recent datapoints which crossed the threshold: [{shown}]"
    return f"{text} and {treated}" if treated else text


def _treated(alarm: Alarm, decision: Decision) -> str:
    if not decision.filled:
        return ""
    were = "was" if decision.filled == 1 else "were"
    kind = "Breaching" if alarm.missing == BREACHING else "NonBreaching"
    return f"{_plural(decision.filled, 'missing datapoint')} {were} treated as [{kind}]"


def _datapoints(count: int) -> str:
    return f"{_plural(count, 'datapoint')} {'was' if count == 1 else 'were'}"


def _plural(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def number(value: float) -> str:
    """The number as Java prints a double."""
    if value == 0 or 1e-3 <= abs(value) < 1e7:
        return repr(float(value))
    digits, _, exponent = _scientific(value).partition("e")
    return f"{digits if '.' in digits else f'{digits}.0'}E{int(exponent)}"


def _scientific(value: float) -> str:
    """The number in scientific notation, with the fewest digits that parse to the same double."""
    return next(text for precision in range(17) if float(text := f"{value:.{precision}e}") == value)


def _day_first(time_ms: int) -> str:
    return datetime.fromtimestamp(time_ms // 1000, UTC).strftime("%d/%m/%y %H:%M:%S")


def instant(time_ms: int) -> str:
    time = datetime.fromtimestamp(time_ms // 1000, UTC)
    return f"{time:%Y-%m-%dT%H:%M:%S}.{time_ms % 1000:03}+0000"


def data(
    alarm: Alarm, decision: Decision, points: Sequence[Point | None], times: Sequence[int], now_ms: int
) -> dict[str, Any]:
    """`points` of the evaluation range and the starts of its periods, newest first."""
    configuration = alarm.configuration
    found: dict[str, Any] = {"version": "1.0", "queryDate": instant(now_ms)}
    complete = len(decision.used) == alarm.periods
    looked = decision.used if complete else sorted({*decision.used, *range(alarm.periods)})
    known = [point for place in looked if (point := points[place]) is not None]
    if known:
        found["startDate"] = instant(known[-1].time_ms)
    if configuration.get("Unit"):
        found["unit"] = configuration["Unit"]
    if alarm.statistic:
        found["statistic"] = alarm.statistic
    found["period"] = alarm.period_s
    found["recentDatapoints"] = [point.value for point in reversed(known[:RECENT])]
    found["threshold"] = float(configuration["Threshold"])
    evaluated = []
    for place in looked[:EVALUATED]:
        point = points[place]
        shown: dict[str, Any] = {"timestamp": instant(times[place])}
        if point is not None:
            if point.samples is not None:
                shown["sampleCount"] = point.samples
            shown["value"] = point.value
        evaluated.append(shown)
    found["evaluatedDatapoints"] = evaluated
    return found
