"""GetMetricData: the datapoints of many metrics, and expressions of metric math over them.

All metrics are read together. A page ends when it has `MaxDatapoints`; the token says how many points were returned
before it, in the order of the queries.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

from atoll import limits
from atoll.api import large
from atoll.api.metric_search import searched
from atoll.api.metrics import check_period, metric, shown_time, span
from atoll.database.region import Region
from atoll.errors import metric_math
from atoll.errors import metrics as errors
from atoll.metrics.math.evaluation import Queries, Search
from atoll.metrics.math.series import Grid, Series
from atoll.metrics.reading import Query, by_unit
from atoll.metrics.series import Datapoint, Metric, aligned
from atoll.metrics.statistics import is_statistic, statistic

Body = dict[str, Any]

_ID = re.compile("[a-z][a-zA-Z0-9_]*").fullmatch
_TIMEZONE = re.compile(r"[+-](0\d|1[0-4])[0-5]\d").fullmatch
ASCENDING = "TimestampAscending"


class Stat(NamedTuple):
    """What a query for one metric asks for."""

    metric: Metric
    period_s: int
    name: str
    unit: str | None


class Found(NamedTuple):
    """One result: its points by time."""

    id: str
    label: str
    points: Mapping[int, float]
    messages: Sequence[Body]


async def get_metric_data(region: Region, body: Body) -> Body:
    queries = body["MetricDataQueries"]
    _check(queries)
    offset = _token(body.get("NextToken"))
    timezone = (body.get("LabelOptions") or {}).get("Timezone")
    if timezone is not None and _TIMEZONE(timezone) is None:
        raise errors.bad_timezone()
    stats = {one["Id"]: _stat(one, number) for number, one in enumerate(queries, 1) if one.get("MetricStat")}
    now_ms = region.clock.now_ms()
    asked = []
    for stat in stats.values():
        start_ms, end_ms = span(body, stat.period_s, now_ms)
        asked.append(Query(stat.metric, stat.period_s, start_ms, end_ms, stat.unit))
    if not asked:
        span(body, 60, now_ms)
    units = dict(zip(stats, await by_unit(region, asked, from_start=True), strict=True))
    found = {
        id: _of_stat(id, stat, units[id], label)
        for (id, stat), label in zip(stats.items(), _labels(stats), strict=True)
    }
    grid = _grid(body, stats, now_ms)
    search = await searched(region, body, grid, now_ms)
    work = partial(_evaluated, queries, stats, found, grid, search)
    if all(one.get("Expression") is None for one in queries):
        return _page(work(), body, offset)
    # An expression may take a second of work.
    return _page(await large.aside(work), body, offset)


def _check(queries: Sequence[Body]) -> None:
    if len(queries) > limits.METRIC_QUERIES:
        raise errors.too_many("MetricDataQueries", limits.METRIC_QUERIES)
    for number, one in enumerate(queries, 1):
        if _ID(one["Id"]) is None:
            raise errors.invalid_id(one["Id"], f"MetricDataQueries.member.{number}.Id")
        if (one.get("MetricStat") is None) == (one.get("Expression") is None):
            place = f"MetricDataQueries.member.{number}"
            raise errors.not_one_of(f"{place}.MetricStat", f"{place}.Expression")
        if one.get("Period") is not None:
            check_period(one["Period"], f"MetricDataQueries.member.{number}.Period")
    if len({one["Id"] for one in queries}) < len(queries):
        raise errors.ids_not_unique()
    if all(one.get("ReturnData") is False for one in queries):
        raise errors.nothing_to_return()


def _stat(query: Body, number: int) -> Stat:
    given, place = query["MetricStat"], f"MetricDataQueries.member.{number}.MetricStat"
    check_period(given["Period"], f"{place}.Period")
    if not is_statistic(given["Stat"]):
        raise errors.unknown_statistic(given["Stat"], f"{place}.Stat")
    of = given["Metric"]
    for name in ("Namespace", "MetricName"):
        if not of.get(name):
            raise errors.missing(f"{place}.Metric.{name}")
    return Stat(
        metric(of["Namespace"], of["MetricName"], of.get("Dimensions")),
        given["Period"],
        given["Stat"],
        given.get("Unit"),
    )


def _labels(stats: Mapping[str, Stat]) -> list[str]:
    """The default labels: the metric, with the statistic and the period as far as queries differ in them."""
    with_stat = len({one.name for one in stats.values()}) > 1
    with_period = len({one.period_s for one in stats.values()}) > 1
    return [
        " ".join([one.metric.name, *([one.name] if with_stat else ()), *([str(one.period_s)] if with_period else ())])
        for one in stats.values()
    ]


def _of_stat(id: str, stat: Stat, units: Mapping[str, Sequence[Datapoint]], label: str) -> Found:
    messages = []
    if len(units) > 1:
        text = f"Multiple units returned: '[{', '.join(units)}]'"
        messages.append({"Code": "MultipleUnits", "Value": text})
    points = [point for points in units.values() for point in points]
    if len(units) > 1:
        points = aligned(points, 1)
    values = {point.time_ms: value for point in points if (value := statistic(point, stat.name)) is not None}
    return Found(id, label, values, messages)


def _grid(body: Body, stats: Mapping[str, Stat], now_ms: int) -> Grid:
    period_s = min((one.period_s for one in stats.values()), default=0)
    given = [one["Period"] for one in body["MetricDataQueries"] if one.get("Expression") and one.get("Period")]
    period_s = period_s or (min(given) if given else 60)
    start_ms, end_ms = span(body, period_s, now_ms)
    return Grid(start_ms, min(end_ms, start_ms + limits.METRIC_DATAPOINTS * period_s * 1_000), period_s)


def _evaluated(
    queries: Sequence[Body], stats: Mapping[str, Stat], found: Mapping[str, Found], grid: Grid, search: Search | None
) -> list[Found]:
    """The results in the order of the queries. A query for a list of series has several."""
    series = {id: Series(dict(sorted(one.points.items())), stats[id].period_s, one.label) for id, one in found.items()}
    texts = {one["Id"]: one["Expression"] for one in queries if one.get("Expression") is not None}
    math, results = Queries(grid, series, texts, search), []
    for one in queries:
        id, label = one["Id"], one.get("Label")
        if one.get("ReturnData") is False:
            if id in texts:
                _value(math, id, scalar=True)
            continue
        if id in found:
            results.append(found[id] if label is None else found[id]._replace(label=label))
            continue
        several = _value(math, id)
        for part in several:
            own = label if label is not None else (part.label if len(several) > 1 and part.label else id)
            results.append(Found(id, own, part.points, ()))
    return results


def _value(math: Queries, id: str, *, scalar: bool = False) -> tuple[Series, ...]:
    try:
        if scalar:
            math.value(id)
            return ()
        return math.series(id)
    except metric_math.Fault as fault:
        raise errors.invalid(metric_math.in_expression(id, fault)) from None


def _page(results: Sequence[Found], body: Body, offset: int) -> Body:
    most = body.get("MaxDatapoints") or limits.METRIC_DATAPOINTS
    ascending = body.get("ScanBy") == ASCENDING
    shown: list[Body] = []
    position, left = 0, most
    for one in results:
        points = sorted(one.points.items(), reverse=not ascending)
        skipped = min(len(points), max(0, offset - position))
        page = points[skipped : skipped + left]
        is_over = skipped == len(points) > 0
        position += len(points)
        left -= len(page)
        is_whole = skipped + len(page) == len(points)
        if is_over or (not page and points):
            continue
        result: Body = {
            "Id": one.id,
            "Label": one.label,
            "Timestamps": [shown_time(time_ms) for time_ms, _ in page],
            "Values": [value for _, value in page],
            "StatusCode": "Complete" if is_whole else "PartialData",
        }
        shown.append(result | ({"Messages": list(one.messages)} if one.messages else {}))
    answer: Body = {"MetricDataResults": shown, "Messages": []}
    if offset + most < position:
        answer["NextToken"] = base64.b64encode(str(offset + most).encode()).decode()
    return answer


def _token(text: str | None) -> int:
    if text is None:
        return 0
    try:
        found = base64.b64decode(text, validate=True)
        if not found.isdigit() or len(found) > 9:
            raise ValueError
    except ValueError:
        raise errors.invalid_token() from None
    return int(found)
