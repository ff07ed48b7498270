"""GetMetricData: the datapoints of many metrics, and expressions of metric math over them.

A page ends when it has `MaxDatapoints`; its token names the result and the point with which the next page begins.
Metrics are read a few at a time until the page is full. If there are expressions, all are read.
"""

from __future__ import annotations

import base64
import re
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from atoll import limits
from atoll.api.insight_metrics import insight_rules
from atoll.api.metric_search import searched
from atoll.api.metrics import check_period, metric, milliseconds, shown_time, span
from atoll.aside import aside
from atoll.database.region import Region
from atoll.errors import metric_math
from atoll.errors import metrics as errors
from atoll.metrics import reading
from atoll.metrics.implied import quota
from atoll.metrics.math.evaluation import InsightRule, Queries, Search
from atoll.metrics.math.series import Grid, Series
from atoll.metrics.reading import Query, Units, folded
from atoll.metrics.series import Metric, aligned
from atoll.metrics.statistics import is_statistic, statistic

Body = dict[str, Any]

_ID = re.compile("[a-z][a-zA-Z0-9_]*").fullmatch
_TIMEZONE = re.compile(r"[+-](0\d|1[0-4])[0-5]\d").fullmatch
ASCENDING = "TimestampAscending"
READ_POINTS = 20_000
"""The most datapoints that are read together."""


class Stat(NamedTuple):
    """The MetricStat of a query for one metric."""

    metric: Metric
    period_s: int
    name: str
    unit: str | None


class Asked(NamedTuple):
    """The range of datapoints to read for a query."""

    stat: Stat
    label: str
    start_ms: int
    end_ms: int

    @property
    def most_points(self) -> int:
        return (self.end_ms - self.start_ms) // (self.stat.period_s * 1_000) + 1


class Math(NamedTuple):
    """The context that expressions are evaluated in."""

    grid: Grid
    search: Search | None
    insight_rule: InsightRule | None


class Found(NamedTuple):
    """One result: its points by time."""

    id: str
    label: str
    points: Mapping[int, float]
    messages: Sequence[Body]


async def get_metric_data(region: Region, body: Body) -> Body:
    queries = body["MetricDataQueries"]
    _check(queries)
    page = Page(body, *_token(body.get("NextToken")))
    timezone = (body.get("LabelOptions") or {}).get("Timezone")
    if timezone is not None and _TIMEZONE(timezone) is None:
        raise errors.bad_timezone()
    stats = {one["Id"]: _stat(one, number) for number, one in enumerate(queries, 1) if one.get("MetricStat")}
    now_ms = region.clock.now_ms()
    labels = dict(zip(stats, _labels(stats), strict=True))
    asked = {id: _asked(stat, labels[id], body, now_ms) for id, stat in stats.items()}
    if not asked:
        span(body, 60, now_ms)
    if all(one.get("Expression") is None for one in queries):
        returned = [one for one in queries if one.get("ReturnData") is not False][page.first :]
        async for some in _read(region, {one["Id"]: asked[one["Id"]] for one in returned}):
            await aside(page.add, _evaluated(returned, some, {}, None))
            if page.is_full:
                break
        return page.answer()
    found: dict[str, Found] = {}
    async for some in _read(region, asked):
        found |= some
        if sum(len(one.points) for one in found.values()) > limits.MATH_POINTS:
            raise errors.invalid(metric_math.too_many_points().args[0])
    grid = _grid(body, stats, now_ms)
    search = await searched(region, body, grid, now_ms)
    math = Math(grid, search, await insight_rules(region, body, grid))
    results = await aside(_evaluated, queries, found, stats, math)
    await aside(page.add, results[page.first :])
    return page.answer()


async def _read(region: Region, asked: Mapping[str, Asked]) -> AsyncIterator[dict[str, Found]]:
    """Read the metrics of queries, a few at a time."""
    group: dict[str, Asked] = {}
    points = 0
    for id, one in asked.items():
        group[id] = one
        points += one.most_points
        if points >= READ_POINTS:
            yield await _read_together(region, group)
            group, points = {}, 0
    if group:
        yield await _read_together(region, group)


async def _read_together(region: Region, group: Mapping[str, Asked]) -> dict[str, Found]:
    asked = list(group.items())
    queries = [
        Query(one.stat.metric, one.stat.period_s, one.start_ms, one.end_ms, one.stat.unit) for one in group.values()
    ]
    found = await folded(
        region, queries, lambda place, units: _of_stat(asked[place][0], asked[place][1], units), from_start=True
    )
    return {one.id: one for one in found}


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


def _asked(stat: Stat, label: str, body: Body, now_ms: int) -> Asked:
    """A period finer than the datapoints at the start of the request finds nothing."""
    start_ms, end_ms = span(body, stat.period_s, now_ms)
    age_ms = now_ms - milliseconds(body["StartTime"], "StartTime")
    finest_ms = 1_000 if age_ms <= limits.METRIC_SECONDS_MS else reading.grain_ms(age_ms - 1)
    return Asked(stat, label, start_ms, end_ms if stat.period_s * 1_000 % finest_ms == 0 else start_ms)


def _labels(stats: Mapping[str, Stat]) -> list[str]:
    """The default labels: the metric's name, then the statistic and the period if queries differ in them."""
    with_stat = len({one.name for one in stats.values()}) > 1
    with_period = len({one.period_s for one in stats.values()}) > 1
    return [
        " ".join([one.metric.name, *([one.name] if with_stat else ()), *([str(one.period_s)] if with_period else ())])
        for one in stats.values()
    ]


def _of_stat(id: str, asked: Asked, units: Units) -> Found:
    messages = []
    if len(units) > 1:
        text = f"Multiple units returned: '[{', '.join(units)}]'"
        messages.append({"Code": "MultipleUnits", "Value": text})
    points = [point for points in units.values() for point in points]
    if len(units) > 1:
        points = aligned(points, 1)
    name = asked.stat.name
    values = {point.time_ms: value for point in points if (value := statistic(point, name)) is not None}
    return Found(id, asked.label, values, messages)


def _grid(body: Body, stats: Mapping[str, Stat], now_ms: int) -> Grid:
    period_s = min((one.period_s for one in stats.values()), default=0)
    given = [one["Period"] for one in body["MetricDataQueries"] if one.get("Expression") and one.get("Period")]
    period_s = period_s or (min(given) if given else 60)
    start_ms, end_ms = span(body, period_s, now_ms)
    return Grid(start_ms, min(end_ms, start_ms + limits.METRIC_DATAPOINTS * period_s * 1_000), period_s)


def _evaluated(
    queries: Sequence[Body],
    found: Mapping[str, Found],
    stats: Mapping[str, Stat],
    given: Math | None,
) -> list[Found]:
    """The results of queries that were read or have an expression, in the order of the queries. A query whose
    expression gives a list of series has several results."""
    math, texts = None, {one["Id"]: one["Expression"] for one in queries if one.get("Expression") is not None}
    if given is not None:
        series = {
            id: Series(dict(sorted(one.points.items())), stats[id].period_s, one.label) for id, one in found.items()
        }
        quotas = {id: known for id, one in stats.items() if (known := quota(one.metric)) is not None}
        math = Queries(given.grid, series, texts, given.search, given.insight_rule, quotas)
    results = []
    for one in queries:
        id, label = one["Id"], one.get("Label")
        if one.get("ReturnData") is False:
            if math is not None and id in texts:
                _value(math, id, scalar=True)
        elif id in found:
            results.append(found[id] if label is None else found[id]._replace(label=label))
        elif math is not None:
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


class Page:
    """Results up to `MaxDatapoints`, from a point of one of them on."""

    def __init__(self, body: Body, first: int, skipped: int) -> None:
        self.first = first
        """The number of the first result of the page."""
        self._skipped = skipped
        self._left: int = body.get("MaxDatapoints") or limits.METRIC_DATAPOINTS
        self._ascending = body.get("ScanBy") == ASCENDING
        self._shown: list[Body] = []
        self._next: tuple[int, int] | None = None
        """Where the next page begins."""

    @property
    def is_full(self) -> bool:
        return self._next is not None

    def add(self, results: Iterable[Found]) -> None:
        """Add the next results."""
        for one in results:
            if self.is_full:
                return
            points = sorted(one.points.items(), reverse=not self._ascending)
            start, self._skipped = self._skipped, 0
            if points and not self._left:
                self._next = self.first, start
                return
            self._add(one, points, start)

    def _add(self, one: Found, points: Sequence[tuple[int, float]], start: int) -> None:
        page = points[start : start + self._left]
        self._left -= len(page)
        end = start + len(page)
        result: Body = {
            "Id": one.id,
            "Label": one.label,
            "Timestamps": [shown_time(time_ms) for time_ms, _ in page],
            "Values": [value for _, value in page],
            "StatusCode": "Complete" if end >= len(points) else "PartialData",
        }
        self._shown.append(result | ({"Messages": list(one.messages)} if one.messages else {}))
        if end < len(points):
            self._next = self.first, end
        else:
            self.first += 1

    def answer(self) -> Body:
        answer: Body = {"MetricDataResults": self._shown, "Messages": []}
        if self._next is not None:
            answer["NextToken"] = base64.b64encode("{}.{}".format(*self._next).encode()).decode()
        return answer


_TOKEN = re.compile(rb"(\d{1,9})\.(\d{1,9})").fullmatch


def _token(text: str | None) -> tuple[int, int]:
    """The number of the first result of the page, and of the first of its points."""
    if text is None:
        return 0, 0
    try:
        found = _TOKEN(base64.b64decode(text, validate=True))
    except ValueError:
        found = None
    if found is None:
        raise errors.invalid_token()
    return int(found[1]), int(found[2])
