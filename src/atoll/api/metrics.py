"""CloudWatch's operations on metrics: ListMetrics, GetMetricStatistics and PutMetricData.

PutMetricData stores one batch. Datapoints are kept by the minute, even those with a resolution of a second.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Iterator, Mapping, Sequence, Set
from heapq import nsmallest
from itertools import pairwise
from typing import Any

import orjson

from atoll import limits
from atoll.aside import aside
from atoll.database.region import Region
from atoll.errors import metrics as errors
from atoll.metrics import reading
from atoll.metrics.reading import Query, by_unit
from atoll.metrics.series import MINUTE_MS, Datapoint, Metric, Series, of_values
from atoll.metrics.statistics import extended, statistic
from atoll.metrics.store import Metrics

Body = dict[str, Any]

SHORT_PERIODS_S = (1, 5, 10, 20, 30)
UNITLESS = "None"
FEW_DATA = 20
"""A request with more data than this is read in a thread."""


def metric(namespace: str, name: str, dimensions: Sequence[Mapping[str, str]] | None) -> Metric:
    found = sorted((one["Name"], one["Value"]) for one in dimensions or ())
    for (first, _), (second, _) in pairwise(found):
        if first == second:
            raise errors.duplicate_dimension(first)
    return Metric(namespace, name, tuple(found))


def milliseconds(seconds: float, name: str) -> int:
    """A time of a request, in milliseconds since 1970."""
    if not -limits.LATEST_SECOND <= seconds <= limits.LATEST_SECOND:  # NaN too
        raise errors.time_out_of_range(name)
    return int(seconds * 1_000)


def shown_time(time_ms: int) -> float:
    return time_ms // 1_000 if time_ms % 1_000 == 0 else time_ms / 1_000


def span(body: Body, period_s: int, now_ms: int) -> tuple[int, int]:
    """Start and end of a request, the start rounded down as CloudWatch does."""
    start_ms, end_ms = milliseconds(body["StartTime"], "StartTime"), milliseconds(body["EndTime"], "EndTime")
    if start_ms >= end_ms:
        raise errors.start_not_before_end()
    grain_ms = reading.grain_ms(now_ms - start_ms)
    if period_s < 60:
        grain_ms = period_s * 1_000
    return start_ms - start_ms % grain_ms, end_ms


def check_period(period_s: int, name: str = "Period") -> None:
    if period_s not in SHORT_PERIODS_S and period_s % 60:
        raise errors.invalid_period(name)


# ListMetrics


async def list_metrics(region: Region, body: Body) -> Body:
    after = _token(body.get("NextToken"))
    since_ms = limits.METRICS_LISTED_MS if body.get("RecentlyActive") is None else limits.METRICS_RECENT_MS
    found = await reading.listed(region, region.clock.now_ms() - since_ms)
    page = await aside(_page, found, body, after) if len(found) > limits.METRICS_PAGE else _page(found, body, after)
    answer: Body = {"Metrics": [_shown(one) for one in page[: limits.METRICS_PAGE]]}
    if len(page) > limits.METRICS_PAGE:
        answer["NextToken"] = _as_token(page[limits.METRICS_PAGE - 1])
    if body.get("IncludeLinkedAccounts"):
        answer["OwningAccounts"] = [region.settings.account] * len(answer["Metrics"])
    return answer


def _page(found: Set[Metric], body: Body, after: tuple[Any, ...] | None) -> list[Metric]:
    """The requested page, with one metric more if there is another page."""
    chosen = (one for one in found if _is_chosen(one, body) and (after is None or _order(one) > after))
    return nsmallest(limits.METRICS_PAGE + 1, chosen, key=_order)


def _is_chosen(one: Metric, body: Body) -> bool:
    own = dict(one.dimensions)
    return (
        body.get("Namespace") in (None, one.namespace)
        and body.get("MetricName") in (None, one.name)
        and all(
            asked["Name"] in own and asked.get("Value") in (None, own[asked["Name"]])
            for asked in body.get("Dimensions") or ()
        )
    )


def _order(one: Metric) -> tuple[Any, ...]:
    return one.namespace, one.name, one.dimensions


def _shown(one: Metric) -> Body:
    return {
        "Namespace": one.namespace,
        "MetricName": one.name,
        "Dimensions": [{"Name": name, "Value": value} for name, value in one.dimensions],
    }


def _as_token(last: Metric) -> str:
    return base64.b64encode(orjson.dumps(_order(last))).decode()


def _token(text: str | None) -> tuple[Any, ...] | None:
    if text is None:
        return None
    try:
        namespace, name, dimensions = orjson.loads(base64.b64decode(text, validate=True))
        found = str(namespace), str(name), tuple([(str(key), str(value)) for key, value in dimensions])
    except (ValueError, TypeError):
        raise errors.invalid_token() from None
    return found


# GetMetricStatistics


async def get_metric_statistics(region: Region, body: Body) -> Body:
    period_s, now_ms = body["Period"], region.clock.now_ms()
    check_period(period_s)
    simple, other = body.get("Statistics") or [], body.get("ExtendedStatistics") or []
    if not simple and not other:
        raise errors.no_statistics()
    for name in other:
        if extended(name) is None:
            raise errors.unknown_statistic(name, "ExtendedStatistics")
    start_ms, end_ms = span(body, period_s, now_ms)
    asked = -(-(end_ms - start_ms) // (period_s * 1_000))
    if asked > limits.STATISTICS_POINTS:
        raise errors.too_many_datapoints(asked, limits.STATISTICS_POINTS)
    of = metric(body["Namespace"], body["MetricName"], body.get("Dimensions"))
    found = (await by_unit(region, [Query(of, period_s, start_ms, end_ms, body.get("Unit"))], from_start=True))[0]
    datapoints = [_statistics(point, unit, simple, other) for unit, points in found.items() for point in points]
    return {"Label": of.name, "Datapoints": datapoints}


def _statistics(point: Datapoint, unit: str, simple: Sequence[str], other: Sequence[str]) -> Body:
    shown: Body = {"Timestamp": shown_time(point.time_ms)}
    shown |= {name: statistic(point, name) for name in simple}
    more = {name: value for name in other if (value := statistic(point, name)) is not None}
    if more:
        shown["ExtendedStatistics"] = more
    return shown | {"Unit": unit}


# PutMetricData


async def put_metric_data(region: Region, body: Body) -> Body:
    now_ms = region.clock.now_ms()
    is_large = len(body.get("MetricData") or ()) > FEW_DATA or "EntityMetricData" in body
    batch = await aside(_batch, body, now_ms) if is_large else _batch(body, now_ms)
    await region.state(Metrics).append(batch)
    return {}


def _batch(body: Body, now_ms: int) -> dict[Series, list[Datapoint]]:
    namespace = body["Namespace"]
    if namespace.startswith("AWS/"):
        raise errors.reserved_namespace(namespace)
    batch: dict[Series, list[Datapoint]] = {}
    data = list(_data(body))
    if not data:
        raise errors.missing("MetricData")
    if len(data) > limits.METRIC_DATA:
        raise errors.too_many("MetricData", limits.METRIC_DATA)
    for place, datum in data:
        of = metric(namespace, datum["MetricName"], datum.get("Dimensions"))
        batch.setdefault(Series(of, datum.get("Unit") or UNITLESS), []).extend(_points(datum, place, now_ms))
    return batch


def _data(body: Body) -> Iterator[tuple[str, Body]]:
    """Each datum with its place in the request."""
    for number, datum in enumerate(body.get("MetricData") or (), 1):
        yield f"MetricData.member.{number}", datum
    for outer, entity in enumerate(body.get("EntityMetricData") or (), 1):
        for number, datum in enumerate(entity.get("MetricData") or (), 1):
            yield f"EntityMetricData.member.{outer}.MetricData.member.{number}", datum


def _points(datum: Body, place: str, now_ms: int) -> list[Datapoint]:
    """The points of a datum; values with a count of zero give none."""
    value, values, summary = datum.get("Value"), datum.get("Values"), datum.get("StatisticValues")
    if datum.get("StorageResolution") not in (None, 1, 60):
        raise errors.resolution(f"{place}.StorageResolution")
    time_ms = _time(datum, place, now_ms)
    if value is not None and values:
        raise errors.exclusive(f"{place}.Value", f"{place}.Values")
    if value is not None and summary is not None:
        raise errors.exclusive(f"{place}.Value", f"{place}.StatisticValues")
    found = []
    if summary is not None:
        found += _summarized(summary, f"{place}.StatisticValues", time_ms)
    if values:
        found += _counted(values, datum.get("Counts"), place, time_ms)
    elif value is not None:
        found.append(of_values(time_ms, {_number(value, f"{place}.Value"): 1.0}))
    elif summary is None:
        raise errors.no_value(place)
    return found


def _time(datum: Body, place: str, now_ms: int) -> int:
    name = f"{place}.Timestamp"
    time_ms = now_ms if datum.get("Timestamp") is None else milliseconds(datum["Timestamp"], name)
    if time_ms < now_ms - limits.METRICS_LISTED_MS:
        raise errors.timestamp_too_old(name)
    if time_ms > now_ms + limits.METRIC_AHEAD_MS:
        raise errors.timestamp_in_future(name)
    return time_ms - time_ms % MINUTE_MS


def _number(value: float, name: str) -> float:
    if not math.isfinite(value):
        raise errors.not_finite(name)
    if abs(value) > limits.METRIC_VALUE:
        raise errors.value_out_of_range(name)
    return float(value) + 0.0  # no negative zero


def _counted(values: Sequence[float], counts: Sequence[float] | None, place: str, time_ms: int) -> list[Datapoint]:
    if len(values) > limits.METRIC_VALUES:
        raise errors.too_many(f"{place}.Values", limits.METRIC_VALUES)
    counts = [1.0] * len(values) if counts is None else counts
    if len(counts) != len(values):
        raise errors.unequal_counts(f"{place}.Values", f"{place}.Counts")
    found: dict[float, float] = {}
    for number, (value, count) in enumerate(zip(values, counts, strict=True), 1):
        known = _number(value, f"{place}.Values.member.{number}")
        often = _count(count, f"{place}.Counts.member.{number}")
        if often:
            found[known] = found.get(known, 0) + often
    return [of_values(time_ms, found)] if found else []


def _count(count: float, name: str) -> float:
    found = _number(count, name)
    if found < 0:
        raise errors.negative_count(name)
    return found


def _summarized(summary: Body, place: str, time_ms: int) -> list[Datapoint]:
    count = _count(summary["SampleCount"], f"{place}.SampleCount")
    low, high = _number(summary["Minimum"], f"{place}.Minimum"), _number(summary["Maximum"], f"{place}.Maximum")
    total = _number(summary["Sum"], f"{place}.Sum")
    if low > high:
        raise errors.minimum_above_maximum(place)
    # A percentile needs the values, which follow only from a summary of equal samples.
    values = {low: count} if low == high and total == low * count else None
    return [Datapoint(time_ms, total, count, low, high, values)] if count else []
