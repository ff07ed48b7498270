"""The page of capacity: charts of consumed, provisioned and throttled units; hot keys; auto scaling's activities."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from nicegui import ui

from atoll.clock import SystemClock
from atoll.console import features
from atoll.console.drawing import Line, chart, marks
from atoll.console.endpoint import METRICS, SCALING, CallFailed
from atoll.console.shell import View, page
from atoll.console.sizes import count, time
from atoll.console.values import shown
from atoll.console.widgets import Cell, Field, Grid, box, button, callout, drawing, facts, section, text, together

SPANS = {"3600": "1 hour", "10800": "3 hours", "86400": "1 day", "604800": "1 week"}
POINTS = 180
NAMED_TIMES = 6
KINDS = ("Read", "Write")
MOST_TABLES = 100
COLUMNS = (
    "Table",
    ("Read", "right"),
    ("Written", "right"),
    ("Reads throttled", "right"),
    ("Writes throttled", "right"),
)
RANKINGS = (("accessed", "Partition keys that consume most"), ("accessed_items", "Items that consume most"),
            ("throttled", "Partition keys throttled most"), ("throttled_items", "Items throttled most"),
            ("conflicts", "Items whose conditions fail most"))  # fmt: skip


@page("/capacity", "Capacity")
async def overview(view: View) -> None:
    names = (await view.connection.table_names())[:MOST_TABLES]
    now = await _now(view)
    sums = await _sums(view, names, now - 3600, now)
    with section("Units of the last hour", "flush"):
        rows: list[list[Cell]] = [
            [
                {"text": name, "href": view.table_url(name, "capacity")},
                *(_measure(value, bad=at > 1) for at, value in enumerate(sums[name])),
            ]
            for name in names
        ]
        Grid("Units of the last hour", COLUMNS, rows, empty="No tables")


def _measure(value: float, *, bad: bool) -> Cell:
    return {"text": f"{value:,.4g}" if value else "0", "kind": "bad" if bad and value else ""}


async def _sums(view: View, names: Sequence[str], start: float, end: float) -> dict[str, list[float]]:
    metrics = ("ConsumedReadCapacityUnits", "ConsumedWriteCapacityUnits", "ReadThrottleEvents", "WriteThrottleEvents")
    found = await _series(view, [(name, metric, "Sum") for name in names for metric in metrics], start, end, 3600)
    return {name: [sum(value for _, value in found[name, metric]) for metric in metrics] for name in names}


@page("/table/{table}/capacity", "{table}")
async def of_table(view: View) -> None:
    async def show() -> None:
        now = await _now(view)
        pictures = await _charts(view, now - int(span.value), now)
        holder.clear()
        with holder, box("columns"):
            for title, picture in pictures:
                with section(title):
                    drawing(picture)

    with box("row").style("margin-bottom:12px"):
        span = Field("Span", "10800", "choice", SPANS, change=show)
        button("Refresh", show)
    holder = box()
    await show()
    await _hot_keys(view)
    if features.TARGETS in view.features:
        await _scaling(view)


async def _now(view: View) -> float:
    """The endpoint's time, in seconds since 1970."""
    if features.CLOCK in view.features:
        return float((await view.connection.ask("clock"))["now_ms"]) / 1000
    return SystemClock().now_ms() / 1000


async def _charts(view: View, start: float, end: float) -> list[tuple[str, Any]]:
    period = max(60, int((end - start) / POINTS / 60) * 60)
    wanted = [
        (view.table, f"{name.format(kind)}", statistic)
        for kind in KINDS
        for name, statistic in (
            ("Consumed{}CapacityUnits", "Sum"),
            ("Provisioned{}CapacityUnits", "Average"),
            ("{}ThrottleEvents", "Sum"),
        )
    ]
    found = await _series(view, wanted, start, end, period)
    clock = [
        (at, datetime.fromtimestamp(at, UTC).strftime("%H:%M" if end - start <= 86_400 else "%d %b"))
        for at in marks(start, end, NAMED_TIMES)
    ]
    pictures = []
    for kind in KINDS:
        consumed = [(at, value / period) for at, value in found[view.table, f"Consumed{kind}CapacityUnits"]]
        lines = [Line("consumed", "a", consumed)]
        if provisioned := found[view.table, f"Provisioned{kind}CapacityUnits"]:
            lines.append(Line("provisioned", "b", provisioned))
        title = f"{kind} units a second"
        pictures.append((title, chart(title, lines, start, end, clock)))
    throttled = [
        Line(f"{kind.lower()}s", look, found[view.table, f"{kind}ThrottleEvents"])
        for kind, look in zip(KINDS, "cb", strict=True)
    ]
    title = f"Throttled, in {period // 60} min"
    return [*pictures, (title, chart(title, throttled, start, end, clock))]


async def _series(
    view: View, wanted: Sequence[tuple[str, str, str]], start: float, end: float, period: int
) -> dict[tuple[str, str], list[tuple[float, float]]]:
    """The points of metrics, each given as (table, metric, statistic), by table and metric."""
    found: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for first in range(0, len(wanted), 400):
        some = wanted[first : first + 400]
        queries = [
            {"Id": f"m{number}", "ReturnData": True, "MetricStat": {
                "Metric": {"Namespace": "AWS/DynamoDB", "MetricName": metric,
                           "Dimensions": [{"Name": "TableName", "Value": table}]},
                "Period": period, "Stat": statistic}}
            for number, (table, metric, statistic) in enumerate(some)
        ]  # fmt: skip
        times = {"StartTime": datetime.fromtimestamp(start, UTC), "EndTime": datetime.fromtimestamp(end, UTC)}
        answer = await view.connection.call(
            "get_metric_data", METRICS, MetricDataQueries=queries, ScanBy="TimestampAscending", **times
        )
        for one in answer["MetricDataResults"]:
            table, metric, _ = some[int(one["Id"][1:])]
            points = zip((at.timestamp() for at in one["Timestamps"]), one["Values"], strict=True)
            found.setdefault((table, metric), []).extend(points)
    for table, metric, _ in wanted:
        found.setdefault((table, metric), [])
    return found


async def _hot_keys(view: View) -> None:
    """Show contributor insights."""
    try:
        state = await view.connection.call("describe_contributor_insights", TableName=view.table)
    except CallFailed:  # the endpoint has none
        return
    status = state["ContributorInsightsStatus"]

    async def switch(action: str) -> None:
        await view.connection.call(
            "update_contributor_insights", TableName=view.table, ContributorInsightsAction=action
        )
        ui.navigate.reload()

    with section("Hot keys"):
        on = status in ("ENABLED", "ENABLING")
        with box("row between"):
            text("The heaviest keys of the last hour." if on else "Contributor insights are off.", kind="soft")
            if view.writable:
                button("Turn off" if on else "Turn on", lambda: switch("DISABLE" if on else "ENABLE"), "small")
        if on and view.connection.is_atoll:
            (answer,) = await together(view.connection.ask("insights", table=view.table, region=view.connection.region))
            if isinstance(answer, CallFailed):
                callout(str(answer), "warn")
            else:
                _rankings(answer)


def _rankings(answer: dict[str, Any]) -> None:
    """The table's own rankings, then those of its indexes."""
    ranked = 0
    with box("columns"):
        for one in answer["insights"]:
            where = f", index {one['index']}" if one.get("index") else ""
            for member, title in RANKINGS:
                if one.get(member):
                    ranked += 1
                    with box():
                        Grid(title + where, ("Key", ("", "right")), map(_ranked, one[member]), shown=True)
    if not ranked:
        text("No key was used in this time.", kind="soft")


def _ranked(row: dict[str, Any]) -> list[Cell]:
    key = ", ".join(map(shown, row["key"].values()))
    measures = (f"{value:,.6g} {name}" for name, value in row.items() if name != "key")
    return [{"text": key, "kind": "mono"}, ", ".join(measures)]


async def _scaling(view: View) -> None:
    resource = f"table/{view.table}"
    targets, activities = await asyncio.gather(
        view.connection.call("describe_scalable_targets", SCALING, ServiceNamespace="dynamodb", ResourceIds=[resource]),
        view.connection.call(
            "describe_scaling_activities", SCALING, ServiceNamespace="dynamodb", ResourceId=resource, MaxResults=50
        ),
    )
    with section("Auto scaling"):
        found = targets["ScalableTargets"]
        if found:
            facts(
                (
                    one["ScalableDimension"].rpartition(":")[2],
                    f"{count(one['MinCapacity'])} to {count(one['MaxCapacity'])}",
                )
                for one in found
            )
        else:
            text("The table has no scalable targets.", kind="soft")
        rows = list(map(_activity, activities["ScalingActivities"]))
        Grid("Scaling activities", ("Begun (UTC)", "What", "Status", "Cause"), rows, empty="No activities", shown=True)


def _activity(one: dict[str, Any]) -> list[Cell]:
    status = {"text": one["StatusCode"], "kind": "good" if one["StatusCode"] == "Successful" else "warn"}
    return [
        time(one["StartTime"]),
        one["Description"],
        status,
        {"text": one.get("Cause", ""), "title": one.get("Cause", "")},
    ]
