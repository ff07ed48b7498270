"""The page of a table's time to live: its settings, and the items that expire next."""

from __future__ import annotations

from typing import Any

from nicegui import ui

from atoll.clock import SystemClock
from atoll.console import features
from atoll.console.pages.search_form import key_names
from atoll.console.shell import View, page
from atoll.console.sizes import count, duration, time
from atoll.console.values import Item, as_json, key_of, shown
from atoll.console.widgets import Cell, Field, Grid, box, button, facts, put, section, text

SHOWN = 100
PAGES = 10
"""The items that a scan for expiring items examines."""


@page("/table/{table}/ttl", "{table}")
async def expiry(view: View) -> None:
    table = await view.connection.describe(view.table)
    answer = await view.connection.call("describe_time_to_live", TableName=view.table)
    now = answer["TimeToLiveDescription"]
    status, attribute = now["TimeToLiveStatus"], now.get("AttributeName", "")
    with section("Time to live"):
        facts([("Status", status.capitalize()), ("Attribute", attribute or None)])
        if view.writable and status in ("ENABLED", "DISABLED"):
            _switch(view, status == "ENABLED", attribute)
    if status != "ENABLED":
        return
    with section("Expires next", "flush"):
        if features.DUE in view.features:
            found = await view.connection.ask("due", region=view.connection.region, table=view.table, limit=SHOWN)
            rows = [_row(view, one["key"], one["expires"], found["now_ms"] / 1000) for one in found["items"]]
            Grid("Expires next", ("Key", "Expires (UTC)", "In"), rows, empty="No item has a time")
        else:
            _scan(view, key_names(table), attribute)


def _switch(view: View, enabled: bool, attribute: str) -> None:
    async def change() -> None:
        wanted = {"Enabled": not enabled, "AttributeName": name.text}
        await view.connection.call("update_time_to_live", TableName=view.table, TimeToLiveSpecification=wanted)
        ui.navigate.reload()

    with box("row"):
        name = Field("Attribute with seconds since 1970", attribute or "expires", readonly=enabled, width="260px")
        button("Turn off" if enabled else "Turn on", change, "danger" if enabled else "primary")


def _row(view: View, key: Item, expires: float, now: float) -> list[Cell]:
    left = expires - now
    return [
        {
            "text": ", ".join(map(shown, key.values())),
            "href": view.table_url(view.table, "item", key=as_json(key, indent=None)),
        },
        time(expires),
        {"text": duration(left) if left > 0 else f"expired {duration(-left)} ago", "kind": "" if left > 0 else "warn"},
    ]


def _scan(view: View, key: list[str], attribute: str) -> None:
    """Find expiring items among the first ones of a scan, for an endpoint without the list."""

    async def look() -> None:
        now = SystemClock().now_ms() / 1000
        found: list[Item] = []
        start: dict[str, Any] = {}
        read = 0
        for _ in range(PAGES):
            answer = await view.connection.call(
                "scan", TableName=view.table, FilterExpression="attribute_type(#t, :n)",
                ExpressionAttributeNames={"#t": attribute}, ExpressionAttributeValues={":n": {"S": "N"}}, **start,
            )  # fmt: skip
            found += answer["Items"]
            read += answer["ScannedCount"]
            if "LastEvaluatedKey" not in answer:
                break
            start = {"ExclusiveStartKey": answer["LastEvaluatedKey"]}
        found.sort(key=lambda item: float(item[attribute]["N"]))
        grid.fill(_row(view, key_of(item, key), float(item[attribute]["N"]), now) for item in found[:SHOWN])
        put(note, f"The next of {count(read)} items")

    with box("row").style("padding:10px 16px"):
        button("Look for items", look)
        note = text(f"This scans the table, up to {PAGES} MB.", kind="soft")
    grid = Grid("Expires next", ("Key", "Expires (UTC)", "In"), empty="Not looked yet")
