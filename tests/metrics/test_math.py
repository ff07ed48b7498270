"""Metric math: the published rules, one case each. A series is written as a list; None is a missing point."""

from __future__ import annotations

import math
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atoll.errors.metric_math import Fault
from atoll.metrics.math.evaluation import Queries
from atoll.metrics.math.series import Grid, Series

MINUTE = 60_000
START = 1_800_000_000_000 - 1_800_000_000_000 % MINUTE


def series(values, label=""):
    points = {START + i * MINUTE: float(v) for i, v in enumerate(values) if v is not None}
    return Series(points, 60, label)


def evaluated(expression, metrics=None, length=5, **more):
    """A list for a series, a tuple of lists for a list of series, a number for a scalar."""
    metrics = {id: series(values, id) for id, values in (metrics or {}).items()}
    grid = Grid(START, START + length * MINUTE, 60)
    found = Queries(grid, metrics, {"e": expression, **more.pop("others", {})}, **more).value("e")
    if isinstance(found, tuple):
        return tuple(shown(one, length) for one in found)
    return shown(found, length)


def shown(value, length):
    if isinstance(value, float):
        return value
    return [value.points.get(START + i * MINUTE) for i in range(length)]


def labels(expression, metrics):
    metrics = {id: series(values, id) for id, values in metrics.items()}
    found = Queries(Grid(START, START + 5 * MINUTE, 60), metrics, {"e": expression}).value("e")
    assert isinstance(found, tuple)
    return [one.label for one in found if isinstance(one, Series)]


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("1 + 2 * 3", 7.0),
        ("(1 + 2) * 3", 9.0),
        ("10 - 2 - 3", 5.0),
        ("12 / 2 / 3", 2.0),
        ("2 ^ 3 ^ 2", 512.0),
        ("-2 ^ 2", -4.0),
        ("2 ^ -1", 0.5),
        ("--3", 3.0),
        ("1 + 1 == 2", 1.0),
        ("1 < 2 AND 2 < 1", 0.0),
        ("1 < 2 && 2 > 1", 1.0),
        ("0 OR 3", 1.0),
        ("0 || 0", 0.0),
        ("1 OR 0 AND 0", 1.0),
        ("5 != 5", 0.0),
        ("5 >= 5", 1.0),
        ("5 <= 4", 0.0),
        (".5 + 1.5e1", 15.5),
        ("ABS(-3)", 3.0),
        ("CEIL(1.2)", 2.0),
        ("FLOOR(-1.2)", -2.0),
        ("LOG10(1000)", 3.0),
        ("LOG(1)", 0.0),
        ("IF(1, 2, 3)", 2.0),
        ("IF(0, 2, 3)", 3.0),
    ],
)
def test_scalars_and_the_order_of_operators(expression, expected):
    assert evaluated(expression) == expected


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("a + b", [50.0, 20.0, 20.0, 0.0, None]),
        ("a - b", [10.0, 20.0, -20.0, 0.0, None]),
        ("a * 2", [60.0, 40.0, 0.0, 0.0, None]),
        ("60 / a", [2.0, 3.0, None, None, None]),
        ("b / a", [20 / 30, 0.0, None, None, None]),
        ("-a", [-30.0, -20.0, 0.0, 0.0, None]),
        ("a < b", [0.0, 0.0, 1.0, 0.0, None]),
        ("a == b", [0.0, 0.0, 0.0, 1.0, None]),
        ("a >= 20", [1.0, 1.0, 0.0, 0.0, None]),
        ("a AND b", [1.0, 0.0, 0.0, 0.0, None]),
        ("a OR b", [1.0, 1.0, 1.0, 0.0, None]),
        ("(a - 25) ^ 0.5", [5**0.5, None, None, None, None]),
        ("0 / 0 + a", [None] * 5),
    ],
)
def test_a_missing_point_is_0_in_arithmetic_and_comparison(expression, expected):
    assert evaluated(expression, {"a": [30, 20, 0, 0], "b": [20, None, 20, None]}) == expected


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("IF(c, a, b)", [30.0, 0.0, 20.0, None, None]),
        ("IF(c, a)", [30.0, 0.0, None, None, None]),
        ("IF(c, 7, 8)", [7.0, 7.0, 8.0, 8.0, None]),
        ("IF(1, a, b)", [30.0, 0.0, 0.0, 0.0, 30.0]),
        ("IF(0, a, b)", [0.0, 0.0, 20.0, None, 20.0]),
        ("IF(c, a, 5)", [30.0, 0.0, 5.0, 5.0, None]),
        ("IF(a > 10, 1)", [1.0, None, None, None, 1.0]),
    ],
)
def test_if(expression, expected):
    metrics = {"c": [1, 1, 0, 0, None], "a": [30, None, 0, 0, 30], "b": [0, 0, 20, None, 20]}
    assert evaluated(expression, metrics) == expected


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("ABS(-a)", [1.0, 4.0, None, 10.0, None]),
        ("LOG10(a - 1)", [None, math.log10(3), None, math.log10(9), None]),
        ("DIFF(a)", [None, 3.0, None, 6.0, None]),
        ("DIFF_TIME(a)", [None, 60.0, None, 120.0, None]),
        ("RATE(a)", [None, 3 / 60, None, 6 / 120, None]),
        ("RUNNING_SUM(a)", [1.0, 5.0, None, 15.0, None]),
        ("FILL(a, 0)", [1.0, 4.0, 0.0, 10.0, 0.0]),
        ("FILL(a, REPEAT)", [1.0, 4.0, 4.0, 10.0, 10.0]),
        ("FILL(a, LINEAR)", [1.0, 4.0, 7.0, 10.0, None]),
        ("FILL(a, b)", [1.0, 4.0, 6.0, 10.0, 6.0]),
        ("FILL(none, 3)", [3.0, 3.0, 3.0, 3.0, 3.0]),
        ("FILL(late, REPEAT)", [None, None, 2.0, 2.0, 2.0]),
        ("TIME_SERIES(4)", [4.0, 4.0, 4.0, 4.0, 4.0]),
        ("MIN(a)", 1.0),
        ("MAX(a)", 10.0),
        ("SUM(a)", 15.0),
        ("AVG(a)", 5.0),
        ("STDDEV([a, b])", [2.5, 1.0, 0.0, 2.0, 0.0]),
        ("STDDEV(b)", 0.0),
        ("a / MAX(a)", [0.1, 0.4, None, 1.0, None]),
        ("SUM([a, b])", [7.0, 10.0, 6.0, 16.0, 6.0]),
        ("AVG([a, b])", [3.5, 5.0, 3.0, 8.0, 3.0]),
        ("MIN([a, b])", [1.0, 4.0, 6.0, 6.0, 6.0]),
        ("MAX([a, b])", [6.0, 6.0, 6.0, 10.0, 6.0]),
        ("SUM([a, 1])", [2.0, 5.0, None, 11.0, None]),
        ("METRIC_COUNT([a, b])", 2.0),
        ("METRIC_COUNT(METRICS())", 4.0),
        ("DATAPOINT_COUNT(a)", 3.0),
        ("DATAPOINT_COUNT([a, b])", [2.0, 2.0, 1.0, 2.0, 1.0]),
        ("FIRST([a, b])", [1.0, 4.0, None, 10.0, None]),
        ("LAST([a, b])", [6.0] * 5),
        ("PERIOD(a)", 60.0),
        ("a / PERIOD(a) * 60", [1.0, 4.0, None, 10.0, None]),
        ("SUM(none)", None),
    ],
)
def test_functions(expression, expected):
    metrics = {"a": [1, 4, None, 10], "b": [6] * 5, "none": [], "late": [None, None, 2]}
    found = evaluated(expression, metrics)
    if expected is None:
        assert math.isnan(found)
    elif isinstance(expected, list):
        assert found == [None if one is None else pytest.approx(one) for one in expected]
    else:
        assert found == pytest.approx(expected)


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        ("EPOCH", START / 1000),
        ("MINUTE", 0),
        ("HOUR", 8),
        ("DAY", 5),
        ("DATE", 15),
        ("MONTH", 1),
        ("YEAR", 2027),
    ],
)
def test_time_in_utc(function, expected):
    assert evaluated(f"{function}(a)", {"a": [1]})[0] == expected


METRICS = {"errors1": [1, 2], "errors2": [5, 5], "calls": [3, 3], "empty": []}


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ('METRICS("errors")', ["errors1", "errors2"]),
        ("METRICS()", ["errors1", "errors2", "calls", "empty"]),
        ("SORT(METRICS(), SUM, DESC)", ["errors2", "calls", "errors1", "empty"]),
        ("SORT(METRICS(), MAX, ASC, 2)", ["errors1", "calls"]),
        ("SLICE(METRICS(), 1, 3)", ["errors2", "calls"]),
        ("SLICE(METRICS(), 2)", ["calls", "empty"]),
        ("SLICE(SORT(METRICS(), AVG, DESC), 0, 1)", ["errors2"]),
        ("REMOVE_EMPTY(METRICS())", ["errors1", "errors2", "calls"]),
        ("[calls, METRICS('errors')]", ["calls", "errors1", "errors2"]),
        ("METRICS() * 2", ["errors1", "errors2", "calls", "empty"]),
        ("calls - METRICS()", ["calls"] * 4),
        ("RATE(METRICS())", ["errors1", "errors2", "calls", "empty"]),
    ],
)
def test_lists_of_series(expression, expected):
    assert labels(expression, METRICS) == expected


def test_arithmetic_applies_to_each_series_of_a_list():
    assert evaluated("METRICS() * 2 + b", {"a": [1, 2], "b": [10, 20]}, length=2) == ([12.0, 24.0], [30.0, 60.0])


def test_an_expression_refers_to_others():
    others = {"rate": "errors / calls", "errors": "a + b"}
    metrics = {"a": [1], "b": [2], "calls": [6]}
    assert evaluated("rate * 100", metrics, length=1, others=others) == [50.0]


def test_metrics_are_without_expressions():
    assert evaluated("METRIC_COUNT(METRICS())", {"a": [1]}, others={"x": "a * 2"}) == 1.0


def test_search_asks_for_series():
    asked = []

    def search(text, statistic, period):
        asked.append((text, statistic, period))
        return [series([1, 2], "found")]

    assert evaluated("SUM(SEARCH('{AWS/DynamoDB,TableName} Throttle', 'Sum', 300))", search=search)[:2] == [1.0, 2.0]
    assert evaluated("SEARCH('x', 'Sum')", search=search)[0][:2] == [1.0, 2.0]
    assert asked == [("{AWS/DynamoDB,TableName} Throttle", "Sum", 300), ("x", "Sum", 60)]


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        ("", "Unexpected end of expression"),
        ("a +", "Unexpected end of expression"),
        ("a b", "Unexpected token 'b'"),
        ("a $ b", "Unexpected token '$'"),
        ("(a", "Unexpected end of expression"),
        ("a)", "Unexpected token ')'"),
        ("[a, ]", "Unexpected token ']'"),
        ("1 = 1", "Unexpected token '='"),
        ("'text'", "Unexpected token '\"text\"'"),
        ("REPEAT", "Unexpected token 'REPEAT'"),
        ("missing", "Unknown identifier 'missing'"),
        ("e + 1", "The expression refers to itself"),
        ("FOO(a)", "Unknown function 'FOO'"),
        ("sum(a)", "Unknown function 'sum'"),
        ("SEARCH('x', 'Sum')", "SEARCH is not supported"),
        ("ANOMALY_DETECTION_BAND(a)", "ANOMALY_DETECTION_BAND is not supported"),
        ("SUM(a, a)", "Unsupported argument type(s) for SUM: '[TimeSeries, TimeSeries]'"),
        ("METRICS() + METRICS()", "Unsupported operand type(s) for +: '[Array[TimeSeries], Array[TimeSeries]]'"),
        ("RATE(1)", "Unsupported argument type(s) for RATE: '[Scalar]'"),
        ("FILL(a)", "Unsupported argument type(s) for FILL: '[TimeSeries]'"),
        ("FILL(a, DESC)", "Unsupported argument type(s) for FILL: '[TimeSeries, String]'"),
        ("FILL(a, 'x')", "Unsupported argument type(s) for FILL: '[TimeSeries, String]'"),
        ("SLICE(a, a)", "Unsupported argument type(s) for SLICE: '[TimeSeries, TimeSeries]'"),
        ("SORT(METRICS(), DESC, AVG)", "Unsupported argument type(s) for SORT: '[Array[TimeSeries], String, String]'"),
        ("IF(a)", "Unsupported argument type(s) for IF: '[TimeSeries]'"),
        ("IF()", "Unsupported argument type(s) for IF: '[]'"),
        ("TIME_SERIES(a)", "Unsupported argument type(s) for TIME_SERIES: '[TimeSeries]'"),
        ("PERIOD(1)", "Unsupported argument type(s) for PERIOD: '[Scalar]'"),
        ("METRICS(a)", "Unsupported argument type(s) for METRICS: '[TimeSeries]'"),
        ("FIRST([])", "Unsupported argument type(s) for FIRST: '[Array[TimeSeries]]'"),
        ("FIRST(1)", "Unsupported argument type(s) for FIRST: '[Scalar]'"),
        ("METRIC_COUNT()", "Unsupported argument type(s) for METRIC_COUNT: '[]'"),
        ("(" * 41 + "1" + ")" * 41, "The expression is nested too deeply"),
        ("-" * 50 + "1", "The expression is nested too deeply"),
        ("1" * 2049, "The expression exceeds the maximum length of 2048 characters"),
    ],
)
def test_wrong_expressions(expression, reason):
    with pytest.raises(Fault) as caught:
        evaluated(expression, {"a": [1]})
    assert caught.value.args == (reason,)


def test_a_result_must_be_series():
    queries = Queries(Grid(START, START + MINUTE, 60), {}, {"e": "1 + 1", "s": "TIME_SERIES(2)", "l": "[1]"})
    assert len(queries.series("s")) == 1
    for id in ("e", "l"):
        with pytest.raises(Fault, match="must return a time series"):
            queries.series(id)


@pytest.mark.parametrize("expression", ["+".join(["1"] * 1000), "a" + "+a" * 1000, "(" * 39 + "1" + "+1)" * 39])
def test_long_expressions_need_no_deep_stack(expression):
    assert evaluated(expression, {"a": [1]}) is not None


def test_work_is_bounded():
    metrics = {"a": [1] * 20_000}
    with pytest.raises(Fault, match="too many data points"):
        evaluated("+".join(["a"] * 900), metrics, length=1)


WORDS = [
    *("a", "b", "e", "x", "1", "0", "2.5", "1e300", "+", "-", "*", "/", "^", "==", "<", "&&", "OR", "(", ")", "[", "]"),
    *(",", "SUM", "AVG", "STDDEV", "IF", "FILL", "REPEAT", "LINEAR", "METRICS", "'a'", "SLICE", "SORT", "DESC", "RATE"),
    *("SEARCH", "TIME_SERIES", "PERIOD", "FIRST", "LOG", "REMOVE_EMPTY", "DATAPOINT_COUNT", "HOUR", "TRUE", "$"),
]


@given(st.lists(st.sampled_from(WORDS), max_size=25).map(" ".join))
def test_any_text_has_a_value_or_a_fault(text):
    with suppress(Fault):
        evaluated(text, {"a": [1, None, 1e300], "b": [-1, 0, 2]}, search=lambda *_: [series([1])])


CALLS = [
    *(
        f"{name}({{}})"
        for name in ("SUM", "AVG", "MIN", "STDDEV", "ABS", "LOG", "LOG10", "RATE", "DIFF", "RUNNING_SUM")
    ),
    *(
        f"{name}({{}})"
        for name in ("DATAPOINT_COUNT", "METRIC_COUNT", "FIRST", "LAST", "REMOVE_EMPTY", "PERIOD", "DAY")
    ),
    *("IF({}, {}, {})", "IF({}, {})", "FILL({}, {})", "FILL({}, LINEAR)", "FILL({}, REPEAT)", "TIME_SERIES({})"),
    *("SLICE({}, {}, {})", "SORT({}, AVG, DESC, {})", "[{}, {}]", "({} ^ {})", "({} / {})", "({} - {})", "({} OR {})"),
]


@given(st.recursive(
    st.sampled_from(["a", "b", "METRICS()", "0", "3", "-1", "1e300", "none"]),
    lambda parts: st.tuples(st.sampled_from(CALLS), st.lists(parts, min_size=3, max_size=3)).map(
        lambda call: call[0].format(*call[1])
    ),
    max_leaves=12,
))  # fmt: skip
def test_any_expression_has_a_value_or_a_fault(text):
    with suppress(Fault):
        evaluated(text, {"a": [1, None, 1e300], "b": [-1, 0, 2], "none": []})


def test_service_quota():
    others = {"quotas": {"a": 80.0}}
    assert evaluated("SERVICE_QUOTA(a)", {"a": [1, None, 4], "b": [1]}, **others) == [80.0, None, 80.0, None, None]
    assert evaluated("100 * a / SERVICE_QUOTA(a)", {"a": [40]}, **others)[0] == 50.0
    for expression in ("SERVICE_QUOTA(b)", "SERVICE_QUOTA(a, b)", "SERVICE_QUOTA(a + 1)", "SERVICE_QUOTA(3)"):
        with pytest.raises(Fault, match="Unsupported argument"):
            evaluated(expression, {"a": [1], "b": [1]}, **others)
