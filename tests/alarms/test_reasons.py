"""The texts of states, as the service writes them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from atoll.alarms import alarm as alarms
from atoll.alarms import reasons
from atoll.alarms.deciding import COMPARISONS, decide
from atoll.alarms.reasons import Point, number

NOW = int(datetime(2026, 11, 28, 21, 46, tzinfo=UTC).timestamp() * 1000)


def decided(values, threshold, comparison, **configuration):
    """`values` oldest first; None is a missing point. Returns the reason and its data."""
    configuration = {
        "AlarmName": "a",
        "ActionsEnabled": True,
        "Threshold": threshold,
        "ComparisonOperator": comparison,
        "Statistic": "Sum",
        "Period": 60,
        "EvaluationPeriods": 1,
        **configuration,
    }
    alarm = alarms.created(configuration, NOW)
    times = [NOW - 60_000 * (place + 1) for place in range(len(values))]
    points = [
        None if value is None else Point(time, value, 1.0) for time, value in zip(times, reversed(values), strict=True)
    ]
    breaches = [None if point is None else COMPARISONS[comparison](point.value, threshold) for point in points]
    decision = decide(breaches, alarm.periods, alarm.to_alarm, alarm.missing)
    return reasons.reason(alarm, decision, points, breaches), reasons.data(alarm, decision, points, times, NOW)


GREATER, AT_LEAST, LESS = "GreaterThanThreshold", "GreaterThanOrEqualToThreshold", "LessThanThreshold"


@pytest.mark.parametrize(
    ("values", "threshold", "comparison", "more", "text"),
    [
        ([None, None, 21.5], 21, GREATER, {},
         "Threshold Crossed: 1 datapoint [21.5 (28/11/26 21:45:00)] was greater than the threshold (21.0)."),
        ([None, None, 0], 1, AT_LEAST, {},
         "Threshold Crossed: 1 datapoint [0.0 (28/11/26 21:45:00)] was not greater than or equal to the threshold "
         "(1.0)."),
        ([None, None, 3, 2], 1, GREATER, {"EvaluationPeriods": 2},
         "Threshold Crossed: 2 datapoints [2.0 (28/11/26 21:45:00), 3.0 (28/11/26 21:44:00)] were greater than the "
         "threshold (1.0)."),
        ([*[None] * 2, 1, 2, 3, 4, 5, 6, 7], 150, LESS, {"EvaluationPeriods": 7},
         "Threshold Crossed: 7 datapoints were less than the threshold (150.0). The most recent datapoints which "
         "crossed the threshold: [7.0 (28/11/26 21:45:00), 6.0 (28/11/26 21:44:00), 5.0 (28/11/26 21:43:00), "
         "4.0 (28/11/26 21:42:00), 3.0 (28/11/26 21:41:00)]."),
        ([*[None] * 25, 613], 1, AT_LEAST,
         {"EvaluationPeriods": 20, "DatapointsToAlarm": 1, "TreatMissingData": "notBreaching"},
         "Threshold Crossed: 1 out of the last 20 datapoints [613.0 (28/11/26 21:45:00)] was greater than or equal to "
         "the threshold (1.0) and 19 missing datapoints were treated as [NonBreaching] (minimum 1 datapoint for OK -> "
         "ALARM transition)."),
        ([None, None, 0], 1, AT_LEAST, {"DatapointsToAlarm": 1},
         "Threshold Crossed: 1 out of the last 1 datapoints [0.0 (28/11/26 21:45:00)] was not greater than or equal to "
         "the threshold (1.0) (minimum 1 datapoint for ALARM -> OK transition)."),
        ([None, None, None, 5], 1, GREATER, {"EvaluationPeriods": 2, "TreatMissingData": "breaching"},
         "Threshold Crossed: 1 datapoint [5.0 (28/11/26 21:45:00)] was greater than the threshold (1.0) and 1 missing "
         "datapoint was treated as [Breaching]."),
        ([None] * 4, 1, GREATER, {"EvaluationPeriods": 2, "TreatMissingData": "breaching"},
         "Threshold Crossed: no datapoints were received for 2 periods and 2 missing datapoints were treated as "
         "[Breaching]."),
        ([None] * 3, 1, GREATER, {"TreatMissingData": "notBreaching"},
         "Threshold Crossed: no datapoints were received for 1 period and 1 missing datapoint was treated as "
         "[NonBreaching]."),
        ([None] * 3, 1, GREATER, {}, "Insufficient Data: 1 datapoint was unknown."),
        ([None] * 5, 1, GREATER, {"EvaluationPeriods": 3}, "Insufficient Data: 3 datapoints were unknown."),
    ],
)  # fmt: skip
def test_reasons(values, threshold, comparison, more, text):
    assert decided(values, threshold, comparison, **more)[0] == text


def test_the_data_of_a_reason_has_the_points_in_the_services_order():
    _, data = decided([None, None, 7], 1, GREATER, Unit="Count", EvaluationPeriods=2, TreatMissingData="breaching")
    assert list(data.items()) == [
        ("version", "1.0"),
        ("queryDate", "2026-11-28T21:46:00.000+0000"),
        ("startDate", "2026-11-28T21:45:00.000+0000"),
        ("unit", "Count"),
        ("statistic", "Sum"),
        ("period", 60),
        ("recentDatapoints", [7]),
        ("threshold", 1.0),
        ("evaluatedDatapoints", [
            {"timestamp": "2026-11-28T21:45:00.000+0000", "sampleCount": 1.0, "value": 7},
            {"timestamp": "2026-11-28T21:44:00.000+0000"},
        ]),
    ]  # fmt: skip


def test_without_data_there_is_no_start():
    assert "startDate" not in decided([None] * 3, 1, GREATER)[1]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0.0"),
        (21, "21.0"),
        (0.001, "0.001"),
        (0.0001, "1.0E-4"),
        (9999999.5, "9999999.5"),
        (1e7, "1.0E7"),
        (12345678.9, "1.23456789E7"),
        (-2.5e-9, "-2.5E-9"),
        (1e300, "1.0E300"),
    ],
)
def test_numbers_as_java_writes_them(value, text):
    assert number(value) == text
