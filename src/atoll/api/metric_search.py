"""SEARCH in the expressions of GetMetricData: find the metrics and read them, before the expressions are evaluated."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from atoll import limits
from atoll.api.metrics import check_period, span
from atoll.aside import aside
from atoll.database.region import Region
from atoll.errors import metric_math
from atoll.errors import metrics as errors
from atoll.metrics.math import tree
from atoll.metrics.math.evaluation import Search
from atoll.metrics.math.parser import parse
from atoll.metrics.math.search import Candidate, Matcher, candidate, matcher
from atoll.metrics.math.series import Grid, Series
from atoll.metrics.reading import Query, folded, listed
from atoll.metrics.series import Datapoint, Metric, aligned
from atoll.metrics.statistics import is_statistic, statistic

Body = dict[str, Any]

MATCHED_TOGETHER = 1_000
"""The metrics that one piece of work in the thread looks at."""


class Asked(NamedTuple):
    """The arguments of a SEARCH."""

    text: str
    statistic: str
    period_s: int


async def searched(region: Region, body: Body, grid: Grid, now_ms: int) -> Search | None:
    """The results of all searches of a request; None if it has none. The evaluation reports faulty expressions."""
    found: dict[Asked, list[Series]] = {}
    asked = {one for query in body["MetricDataQueries"] for one in _asked(query.get("Expression") or "", grid)}
    if not asked:
        return None
    if len(asked) > limits.METRIC_SEARCHES:
        raise errors.too_many("SEARCH", limits.METRIC_SEARCHES)
    metrics = await aside(_candidates, await listed(region, now_ms - limits.METRIC_SEARCHED_MS))
    left = limits.METRIC_QUERIES
    for one in sorted(asked):
        found[one] = await _found(region, one, metrics, body, now_ms, left)
        left -= len(found[one])

    def search(text: str, statistic: str, period_s: int) -> Sequence[Series]:
        asked = Asked(text, statistic, period_s)
        if asked not in found:  # its period was computed
            raise metric_math.arguments("SEARCH", ["String", "String", "Scalar"])
        return found[asked]

    return search


def _asked(expression: str, grid: Grid) -> list[Asked]:
    try:
        nodes = list(tree.parts(parse(expression))) if expression else []
    except metric_math.Fault:
        return []
    found = []
    for node in nodes:
        match node:
            case tree.Call("SEARCH", (tree.Text(text), tree.Text(statistic))):
                found.append(Asked(text, statistic, grid.period_s))
            case tree.Call("SEARCH", (tree.Text(text), tree.Text(statistic), tree.Number(period_s))):
                found.append(Asked(text, statistic, int(period_s)))
    return found


def _candidates(metrics: Iterable[Metric]) -> list[Candidate]:
    ordered = sorted(metrics, key=_order)
    return [candidate(one) for one in ordered]


def _order(metric: Metric) -> str:
    """The sort key of a metric, as one text: sorting holds the GIL, and comparing texts is fast."""
    return "\0".join([metric.namespace, metric.name, *[text for pair in metric.dimensions for text in pair]])


async def _matching(matches: Matcher, candidates: Sequence[Candidate], most: int) -> list[Metric]:
    """The first metrics that match."""
    found: list[Metric] = []
    for start in range(0, len(candidates), MATCHED_TOGETHER):
        if len(found) >= most:
            break
        found += await aside(_those, matches, candidates[start : start + MATCHED_TOGETHER])
    return found[:most]


def _those(matches: Matcher, candidates: Sequence[Candidate]) -> list[Metric]:
    return [one.metric for one in candidates if matches(one)]


async def _found(
    region: Region, asked: Asked, candidates: Sequence[Candidate], body: Body, now_ms: int, most: int
) -> list[Series]:
    if len(asked.text) > limits.METRIC_SEARCH_CHARS:
        raise errors.search_too_long(limits.METRIC_SEARCH_CHARS)
    try:
        matches = matcher(asked.text)
    except metric_math.Fault as fault:
        raise errors.invalid(f"SEARCH: {fault.args[0]}") from None
    if not is_statistic(asked.statistic):
        raise errors.unknown_statistic(asked.statistic, "SEARCH")
    check_period(asked.period_s, "SEARCH")
    start_ms, end_ms = span(body, asked.period_s, now_ms)
    chosen = await _matching(matches, candidates, most)
    queries = [Query(metric, asked.period_s, start_ms, end_ms) for metric in chosen]
    points = await folded(region, queries, lambda _, units: _values(units, asked.statistic), from_start=True)
    names = {metric.name for metric in chosen}
    return [
        Series(values, asked.period_s, _label(metric, len(names) > 1))
        for metric, values in zip(chosen, points, strict=True)
    ]


def _values(units: Mapping[str, Sequence[Datapoint]], name: str) -> dict[int, float]:
    points = aligned([point for points in units.values() for point in points], 1)
    return {point.time_ms: value for point in points if (value := statistic(point, name)) is not None}


def _label(metric: Metric, with_name: bool) -> str:
    """The label of a metric: its dimensions, after its name if the search found several names."""
    values = [value for _, value in metric.dimensions]
    return " ".join([*values, metric.name] if with_name or not values else values)
