"""Check the configuration of an alarm: the rules of PutMetricAlarm beyond the shapes of its members. Pure."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from typing import Any

from atoll import arns, limits
from atoll.alarms import rules
from atoll.alarms.alarm import ACTIONS, SHORT_PERIODS_S, name_of
from atoll.alarms.deciding import BREACHING, COMPARISONS, IGNORE, MISSING, NOT_BREACHING
from atoll.errors import alarms as errors
from atoll.errors import metric_math
from atoll.errors import metrics as metric_errors
from atoll.metrics.math import tree
from atoll.metrics.math.evaluation import check
from atoll.metrics.statistics import is_statistic

MEMBERS = (
    "AlarmName", "AlarmDescription", "ActionsEnabled", "OKActions", "AlarmActions", "InsufficientDataActions",
    "MetricName", "Namespace", "Statistic", "ExtendedStatistic", "Dimensions", "Period", "Unit", "EvaluationPeriods",
    "DatapointsToAlarm", "Threshold", "ComparisonOperator", "TreatMissingData", "EvaluateLowSampleCountPercentile",
    "Metrics",
)  # fmt: skip
"""The members of a request that the configuration keeps, in the order of descriptions."""

OF_ONE_METRIC = (
    "MetricName", "Namespace", "Statistic", "ExtendedStatistic", "Dimensions", "Period", "Unit",
)  # fmt: skip

SUPPRESSOR_PERIODS = ("ActionsSuppressorWaitPeriod", "ActionsSuppressorExtensionPeriod")

OF_COMPOSITES = (
    "AlarmName", "AlarmDescription", "ActionsEnabled", "OKActions", "AlarmActions", "InsufficientDataActions",
    "AlarmRule", "ActionsSuppressor", *SUPPRESSOR_PERIODS,
)  # fmt: skip

UNSUPPORTED_OF_COMPOSITES = ("ActionConfiguration",)

UNSUPPORTED = (
    "ThresholdMetricId", "EvaluationWindow", "WarmUpConfiguration", "EvaluationCriteria", "EvaluationInterval",
    "ActionConfiguration",
)  # fmt: skip

_is_id = re.compile(r"[a-z][A-Za-z0-9_]*").fullmatch


def checked(body: Mapping[str, Any], region: str) -> dict[str, Any]:
    """The configuration that a request makes."""
    for name in UNSUPPORTED:
        if body.get(name) is not None:
            raise errors.unsupported(f"the parameter {name}")
    found = _with_actions(body, MEMBERS, region)
    _check_comparison(found)
    if found.get("Metrics"):
        period_s = _check_metrics(found)
    else:
        found.pop("Metrics", None)
        found.setdefault("Dimensions", [])
        period_s = _check_metric(found)
    _check_periods(found, period_s)
    _check_options(found)
    return found


def checked_composite(body: Mapping[str, Any], region: str) -> dict[str, Any]:
    """The configuration that PutCompositeAlarm makes."""
    for name in UNSUPPORTED_OF_COMPOSITES:
        if body.get(name) is not None:
            raise errors.unsupported(f"the parameter {name}")
    found = _with_actions(body, OF_COMPOSITES, region)
    for name in ACTIONS.values():
        for arn in found[name]:
            if (parsed := arns.parse(arn)) is not None and parsed.service == "autoscaling":
                raise errors.scales(arn)
    rules.parse(found["AlarmRule"])
    _check_suppressor(found)
    return found


def _check_suppressor(found: Mapping[str, Any]) -> None:
    for period in SUPPRESSOR_PERIODS:
        if "ActionsSuppressor" not in found and period in found:
            raise errors.period_without_suppressor(period)
        if "ActionsSuppressor" in found and period not in found:
            raise metric_errors.missing(period)
        if found.get(period, 0) < 0:
            raise errors.suppressor_period_negative(period)
    if "ActionsSuppressor" in found and name_of(found["ActionsSuppressor"]) == found["AlarmName"]:
        raise errors.suppressor_of_itself()


def _with_actions(body: Mapping[str, Any], members: Iterable[str], region: str) -> dict[str, Any]:
    found = {name: body[name] for name in members if body.get(name) is not None}
    found.setdefault("ActionsEnabled", True)
    for name in ACTIONS.values():
        found.setdefault(name, [])
        for arn in found[name]:
            _check_arn(arn, region)
    return found


def _check_arn(text: str, region: str) -> None:
    arn = arns.parse(text)
    if arn is None:
        raise errors.invalid_arn(text)
    if arn.region and arn.region != region:
        raise errors.foreign_region(arn.region, region)


def _check_comparison(found: dict[str, Any]) -> None:
    for name in ("EvaluationPeriods", "ComparisonOperator", "Threshold"):
        if name not in found:
            raise metric_errors.missing(name)
    if found["ComparisonOperator"] not in COMPARISONS:
        raise errors.unsupported(f"the comparison {found['ComparisonOperator']} (anomaly detection)")
    found["Threshold"] = float(found["Threshold"])
    if not math.isfinite(found["Threshold"]):
        raise errors.threshold_not_finite()


def _check_metric(found: Mapping[str, Any]) -> int:
    for name in ("MetricName", "Namespace", "Period"):
        if name not in found:
            raise metric_errors.missing(name)
    if "Statistic" in found and "ExtendedStatistic" in found:
        raise metric_errors.exclusive("Statistic", "ExtendedStatistic")
    if "Statistic" not in found:
        if "ExtendedStatistic" not in found:
            raise metric_errors.missing("Statistic")
        if not is_statistic(found["ExtendedStatistic"]):
            raise errors.statistic_unsupported(found["ExtendedStatistic"])
    _check_dimensions(found["Dimensions"])
    return int(found["Period"])


def _check_dimensions(dimensions: list[dict[str, str]]) -> None:
    names = [one["Name"] for one in dimensions]
    for name in names:
        if names.count(name) > 1:
            raise metric_errors.duplicate_dimension(name)


def _check_metrics(found: Mapping[str, Any]) -> int:
    """The queries of an alarm on metric math. Returns their period."""
    for name in OF_ONE_METRIC:
        if found.get(name):
            raise metric_errors.exclusive(name, "Metrics")
    queries = found["Metrics"]
    ids = [query["Id"] for query in queries]
    periods = set()
    for query in queries:
        id = query["Id"]
        if _is_id(id) is None:
            raise errors.id_invalid(id)
        if ids.count(id) > 1:
            raise errors.id_repeated(id)
        if ("MetricStat" in query) == ("Expression" in query):
            raise errors.neither_metric_nor_expression(id)
        if "MetricStat" in query:
            stat = query["MetricStat"]
            periods.add(int(stat["Period"]))
            _check_stat(stat)
        elif query.get("Period") is not None:
            periods.add(int(query["Period"]))
    if sum("MetricStat" in query for query in queries) > limits.ALARM_METRICS:
        raise errors.too_many_metrics()
    if sum(query.get("ReturnData", True) for query in queries) != 1:
        raise errors.not_one_returned()
    if len(periods) > 1:
        raise errors.different_periods()
    if not periods:
        raise metric_errors.missing("Period")
    _check_expressions({query["Id"]: query["Expression"] for query in queries if "Expression" in query}, set(ids))
    return periods.pop()


def _check_stat(stat: Mapping[str, Any]) -> None:
    metric = stat["Metric"]
    for name in ("MetricName", "Namespace"):
        if not metric.get(name):
            raise metric_errors.missing(f"Metrics.member.MetricStat.Metric.{name}")
    if not is_statistic(stat["Stat"]):
        raise errors.statistic_unsupported(stat["Stat"], "Stat")
    _check_dimensions(metric.get("Dimensions") or [])


def _check_expressions(expressions: Mapping[str, str], ids: set[str]) -> None:
    needs: dict[str, set[str]] = {}
    for id, text in expressions.items():
        try:
            parsed = check(text)
            if "SEARCH" in tree.functions(parsed):
                raise errors.search_unsupported()
            for name in sorted(tree.ids(parsed)):
                if name not in ids:
                    raise metric_math.unknown_id(name)
        except metric_math.Fault as fault:
            raise errors.metrics_invalid(metric_math.in_expression(id, fault)) from None
        needs[id] = tree.ids(parsed) & expressions.keys()
    while ready := [id for id, others in needs.items() if not others & needs.keys()]:
        for id in ready:
            del needs[id]
    for id in needs:
        raise errors.metrics_invalid(metric_math.in_expression(id, metric_math.circular()))


def _check_periods(found: Mapping[str, Any], period_s: int) -> None:
    if period_s not in SHORT_PERIODS_S and (period_s % 60 or period_s <= 0):
        raise errors.period_invalid()
    longest = limits.ALARM_LONG_SPAN_SECONDS if period_s >= 3600 else limits.ALARM_SPAN_SECONDS
    if period_s * found["EvaluationPeriods"] > longest:
        raise errors.span_too_long(period_s)
    if found.get("DatapointsToAlarm", 1) > found["EvaluationPeriods"]:
        raise errors.too_many_datapoints_to_alarm()


def _check_options(found: Mapping[str, Any]) -> None:
    treatment = found.get("TreatMissingData", MISSING)
    if treatment not in (BREACHING, NOT_BREACHING, MISSING, IGNORE):
        raise errors.missing_data_treatment(treatment)
    option = found.get("EvaluateLowSampleCountPercentile")
    if option is not None:
        if option not in ("evaluate", "ignore"):
            raise errors.low_sample_count_option(option)
        if not str(found.get("ExtendedStatistic", "")).startswith("p"):
            raise errors.low_sample_count_without_percentile()
