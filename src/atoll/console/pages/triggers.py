"""The page of triggers: event source mappings, their progress and their failures."""

from __future__ import annotations

from typing import Any

from nicegui import ui

from atoll.console import features
from atoll.console.endpoint import TRIGGERS
from atoll.console.shell import View, page
from atoll.console.sizes import count, duration, time
from atoll.console.widgets import Cell, Grid, box, button, section, text

COLUMNS = ("Function", "Table", "State", "Last result", ("Backlog", "right"), ("Lag", "right"),
           ("Failed attempts", "right"), "Next retry (UTC)", ("Batch", "right"), "")  # fmt: skip
PAGES = 20


@page("/triggers", "Triggers")
async def triggers(view: View) -> None:
    mappings = await _mappings(view)
    progress: dict[str, dict[str, Any]] = {}
    if features.DUE in view.features:
        found = await view.connection.ask("triggers", region=view.connection.region)
        progress = {one["uuid"]: one for one in found["triggers"]}

    async def switch(row: int, act: str) -> None:
        one = mappings[row]
        await view.connection.call("update_event_source_mapping", TRIGGERS, UUID=one["UUID"], Enabled=act == "enable")
        ui.navigate.reload()

    with box("row between").style("margin-bottom:12px"):
        text("Each reads the stream of a table and calls a function.", kind="soft")
        button("Refresh", ui.navigate.reload, "small")
    with section("Triggers", "flush"):
        rows = [_row(view, one, progress.get(one["UUID"])) for one in mappings]
        Grid("Triggers", COLUMNS, rows, empty="No table has a trigger", acted=switch)


async def _mappings(view: View) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    more: dict[str, Any] = {}
    for _ in range(PAGES):
        answer = await view.connection.call("list_event_source_mappings", TRIGGERS, **more)
        found += [one for one in answer["EventSourceMappings"] if ":dynamodb:" in one.get("EventSourceArn", "")]
        if not answer.get("NextMarker"):
            break
        more = {"Marker": answer["NextMarker"]}
    return found


def _row(view: View, one: dict[str, Any], progress: dict[str, Any] | None) -> list[Cell]:
    table = one["EventSourceArn"].partition("/")[2].partition("/")[0]
    function = one["FunctionArn"].rpartition(":")[2]
    result = one.get("LastProcessingResult", "")
    enabled = one["State"] in ("Enabled", "Enabling", "Updating")
    act = "disable" if enabled else "enable"
    measures: list[Cell] = ["", "", "", ""]
    if progress is not None:
        attempts, retry_ms = progress["attempts"], progress["retry_ms"]
        measures = [
            count(progress["backlog"]),
            duration(progress["lag_ms"] / 1000) if progress["lag_ms"] else "",
            {"text": count(attempts), "kind": "bad" if attempts else ""},
            "" if retry_ms is None else time(retry_ms / 1000),
        ]
    return [
        function,
        {"text": table, "href": view.table_url(table, "stream")},
        {"text": one["State"], "kind": "good" if enabled else "warn"},
        {"text": result, "kind": "bad" if result.startswith("PROBLEM") else ""},
        *measures,
        count(one["BatchSize"]),
        {"text": act.capitalize(), "act": act, "label": f"{act.capitalize()} the trigger of {table} for {function}"}
        if view.writable
        else "",
    ]
