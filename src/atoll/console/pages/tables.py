"""The first page of the console: all tables."""

from __future__ import annotations

from typing import Any

from atoll.console.endpoint import CallFailed
from atoll.console.shell import View, page
from atoll.console.sizes import count, size
from atoll.console.widgets import Cell, Field, Grid, box, later, link, put, section, text, together

SHOWN = 200
"""The most rows on the page; the filter finds the others."""
AT_A_TIME = 25
COLUMNS = ("Table", "Status", ("Items", "right"), ("Size", "right"), "Keys", "Capacity", ("Indexes", "right"), "Stream")


@page("/", "Tables")
async def tables(view: View) -> None:
    names = await view.connection.table_names()
    known: dict[str, dict[str, Any] | CallFailed] = {}
    with box("row between").style("margin-bottom:12px"):
        wanted = Field("Filter", placeholder="part of a name", bare=True, change=lambda: show(), width="280px")
        with box("actions"):
            if view.writable:
                link("Create table", view.url("/create-table"), "button")
    with section("Tables", "flush") as found:
        heading = found.default_slot.children[0].classes("hidden")
        grid = Grid("Tables", COLUMNS, empty="This region has no table")
    hint = text("", kind="soft")

    def matching() -> list[str]:
        return [name for name in names if wanted.text.lower() in name.lower()]

    async def show() -> None:
        draw()
        missing = [name for name in matching()[:SHOWN] if name not in known]
        for first in range(0, len(missing), AT_A_TIME):
            some = missing[first : first + AT_A_TIME]
            answers = await together(*map(view.connection.describe, some))
            known.update(zip(some, answers, strict=True))
            draw()

    def draw() -> None:
        matches = matching()
        grid.fill(_row(view, name, known.get(name)) for name in matches[:SHOWN])
        left = len(matches) - SHOWN
        put(hint, f"{count(left)} more: filter by a part of the name" if left > 0 else "")

    put(heading, f"{count(len(names))} tables")
    draw()
    later(show)


def _row(view: View, name: str, table: dict[str, Any] | CallFailed | None) -> list[Cell]:
    first: Cell = {"text": name, "href": view.table_url(name)}
    if table is None:
        return [first, *[""] * (len(COLUMNS) - 1)]
    if isinstance(table, CallFailed):
        return [first, {"text": table.code, "kind": "bad"}, *[""] * (len(COLUMNS) - 2)]
    status = table["TableStatus"]
    indexes = len(table.get("GlobalSecondaryIndexes", ())) + len(table.get("LocalSecondaryIndexes", ()))
    stream = table.get("StreamSpecification", {})
    return [
        first,
        {"text": status.capitalize(), "kind": "good" if status == "ACTIVE" else "warn"},
        count(table.get("ItemCount", 0)),
        size(table.get("TableSizeBytes", 0)),
        {"text": ", ".join(key["AttributeName"] for key in table["KeySchema"]), "kind": "mono"},
        capacity(table),
        str(indexes or ""),
        stream.get("StreamViewType", "").replace("_", " ").lower(),
    ]


def capacity(table: dict[str, Any]) -> str:
    if table.get("BillingModeSummary", {}).get("BillingMode") == "PAY_PER_REQUEST":
        return "On demand"
    units = table.get("ProvisionedThroughput", {})
    return f"{count(units.get('ReadCapacityUnits', 0))} read, {count(units.get('WriteCapacityUnits', 0))} write"
