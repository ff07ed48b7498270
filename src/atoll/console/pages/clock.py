"""The page of the server's clock: the time, the work due next, and controls that move the clock."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from typing import Any

from nicegui import ui

from atoll.console import features
from atoll.console.shell import View, page
from atoll.console.sizes import count, duration, time
from atoll.console.widgets import Cell, Field, Grid, box, button, callout, facts, put, say, section, text

STEPS = ("1m", "1h", "4h", "25h", "7d")
SHOWN = 200
COLUMNS = ("Due (UTC)", "In", "Work", "Table")


@page("/clock", "Clock")
async def clock(view: View) -> None:
    now = await view.connection.ask("clock")
    manual = now["clock"] == "manual"
    with section("Time"):
        facts([
            ("Clock", "Manual: it moves only on request" if manual else "The system's"),
            ("Now (UTC)", time(now["now_ms"] / 1000)),
            ("Shift of signatures' time", duration(now["skew_ms"] / 1000) if now["skew_ms"] else None),
        ])  # fmt: skip
        if not manual:
            text("Start the server with --clock manual to move its clock.", kind="soft")
    rows = (
        (await view.connection.ask("due", region=view.connection.region, limit=SHOWN))["due"]
        if features.DUE in view.features
        else []
    )
    if manual and view.writable:
        _moves(view, now["now_ms"], rows)
    if features.DUE in view.features:
        with section("Due next", "flush"):
            Grid("Due next", COLUMNS, [_row(view, one, now["now_ms"]) for one in rows], empty="Nothing is due")


def _row(view: View, one: dict[str, Any], now_ms: int) -> list[Cell]:
    table = one.get("table")
    link: Cell = {"text": table, "href": view.table_url(table)} if table else ""
    return [time(one["due_ms"] / 1000), duration((one["due_ms"] - now_ms) / 1000), one["work"].capitalize(), link]


def _moves(view: View, now_ms: int, rows: list[dict[str, Any]]) -> None:
    async def advance(step: str) -> None:
        await _moved({"advance": step})

    async def advance_given() -> None:
        await _moved({"advance": given.text})

    async def set_time() -> None:
        await _moved({"set": wanted.text})

    async def _moved(how: dict[str, str]) -> None:
        answer = await view.connection.tell("clock", **how)
        say(f"It is {answer['now']}")
        ui.navigate.reload()

    def show_due() -> None:
        """Show the work that becomes due until the time in the field."""
        try:
            until_ms = datetime.fromisoformat(wanted.text).astimezone(UTC).timestamp() * 1000
        except (ValueError, OverflowError):
            put(forecast, "Write the time as in 2030-01-02T03:04:05Z")
            return
        due = [one for one in rows if one["due_ms"] <= until_ms]
        by_work: dict[str, int] = {}
        for one in due:
            by_work[one["work"]] = by_work.get(one["work"], 0) + 1
        told = ", ".join(f"{work} ({count(number)})" for work, number in by_work.items())
        more = " or more" if len(due) == SHOWN else ""
        put(forecast, f"Due until then{more}: {told or 'nothing'}. Work that becomes due on the way runs, too.")

    with section("Move"):
        callout("The clock moves forward for all regions, and all work that becomes due on the way runs.")
        with box("actions"):
            for step in STEPS:
                button(f"Advance {step}", partial(advance, step))
        with box("row"):
            given = Field("Advance by", "30m", hint="as in 90s, 1h30m or 2d", width="160px", enter=advance_given)
            button("Advance", advance_given)
        with box("row"):
            begin = datetime.fromtimestamp(now_ms / 1000 + 3600, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
            wanted = Field("Set to (UTC)", begin, width="240px", change=show_due, enter=set_time)
            button("Set", set_time)
        forecast = text("", kind="soft")
        forecast.props["role"] = "status"
    show_due()
