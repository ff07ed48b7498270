"""INSIGHT_RULE_METRIC in the expressions of GetMetricData: reports of contributor insights, read before the expressions
are evaluated."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from atoll import limits
from atoll.database.region import Region
from atoll.errors import metric_math
from atoll.errors import metrics as errors
from atoll.insights import reports
from atoll.metrics.math import tree
from atoll.metrics.math.evaluation import InsightRule
from atoll.metrics.math.parser import parse
from atoll.metrics.math.series import Grid, Series

Body = dict[str, Any]


async def insight_rules(region: Region, body: Body, grid: Grid) -> InsightRule | None:
    """The reports of rules that the expressions of a request ask for; None if they ask for none. The evaluation reports
    faulty expressions."""
    asked = sorted({one for query in body["MetricDataQueries"] for one in _asked(query.get("Expression") or "")})
    if not asked:
        return None
    if len({rule for rule, _ in asked}) > limits.INSIGHT_RULES_OF_REQUEST:
        raise errors.too_many("INSIGHT_RULE_METRIC", limits.INSIGHT_RULES_OF_REQUEST)
    known = {rule.name: rule for rule in await reports.find_rules(region)}
    start_ms = max(grid.start_ms, grid.end_ms - limits.INSIGHT_REPORT_MS)
    found: dict[tuple[str, str], Series] = {}
    for name, metric in asked:
        if metric not in reports.METRICS:
            raise errors.unknown_choice("INSIGHT_RULE_METRIC", reports.METRICS)
        if name not in known:
            raise errors.unknown_insight_rule(name)
        report = await reports.report(
            region,
            known[name],
            start_ms,
            grid.end_ms,
            grid.period_s * 1_000,
            most=1,
            metrics=[metric],
            by_maximum=False,
        )
        points = {point["Timestamp"]: point[metric] for point in report["MetricDatapoints"]}
        found[name, metric] = Series(points, grid.period_s, f"{name} {metric}")
    return lambda rule, metric: found[rule, metric]


def _asked(expression: str) -> Iterator[tuple[str, str]]:
    try:
        nodes = list(tree.parts(parse(expression))) if expression else []
    except metric_math.Fault:
        return
    for node in nodes:
        match node:
            case tree.Call("INSIGHT_RULE_METRIC", (tree.Text(rule), tree.Text(metric) | tree.Word(metric))):
                yield rule, metric
