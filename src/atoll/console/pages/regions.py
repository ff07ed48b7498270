"""The page of regions: a map of the links between them, lag and backlog, conflicts, and switches that cut and heal
links."""

from __future__ import annotations

from typing import Any

from nicegui import ui

from atoll.console.endpoint import CallFailed, checked_answers
from atoll.console.images import compared
from atoll.console.places import Link, drawn
from atoll.console.shell import View, page
from atoll.console.sizes import count, duration, time
from atoll.console.values import checked, shown
from atoll.console.widgets import Cell, Grid, box, drawing, facts, section, text
from atoll.console.widgets_diff import diff

REFRESH_S = 2.0
LINKS = ("From", "To", "State", "Tables", ("Backlog", "right"), ("Lag", "right"), "Fault", "")
TABLES = ("Table", "From", "To", "State", ("Backlog", "right"), ("Lag", "right"), "Last error")
CONFLICTS = ("Found (UTC)", "Table", "Key", "Seen in", "Winner", "Loser")
LISTED = 100


@page("/regions", "Regions")
async def regions(view: View) -> None:
    page_ = Regions(view)
    await page_.refresh()
    ui.timer(REFRESH_S, page_.refresh)


class Regions:
    def __init__(self, view: View) -> None:
        self._view = view
        self._links: list[dict[str, Any]] = []
        self._conflicts: list[dict[str, Any]] = []
        self._drawn: Any = None
        with section("Map"):
            self._map = box()
            self._numbers = box()
        with section("Links", "flush"):
            self._grid = Grid("Links", LINKS, empty="One region has no links", acted=self._switch)
        with section("Replicated tables", "flush"):
            self._tables = Grid("Replicated tables", TABLES, empty="No table has replicas")
        with section("Conflicts", "flush"):
            self._found = Grid("Conflicts, the latest first", CONFLICTS, empty="No conflicts", acted=self._open)
        self._detail = box()

    async def refresh(self) -> None:
        try:
            with checked_answers():
                self._links = (await self._view.connection.ask("replication/links"))["links"]
                answer = await self._view.connection.ask("replication/conflicts", limit=LISTED)
                self._conflicts = answer["conflicts"]
        except CallFailed:  # the server restarts: the next refresh asks again
            return
        state = (self._links, answer)
        if state == self._drawn:
            return
        self._drawn = state
        self._draw(answer["seen"])

    def _draw(self, seen: dict[str, int]) -> None:
        names = list(dict.fromkeys([*(one["from"] for one in self._links), *seen]))
        links = [
            Link(one["from"], one["to"], _is_cut(one), f", {count(_backlog(one))} changes behind")
            for one in self._links
        ]
        troubled = [name for name in names if any(one["to"] == name and _errors(one) for one in self._links)]
        self._map.clear()
        with self._map:
            drawing(drawn(names, links, troubled))
        self._numbers.clear()
        with self._numbers:
            facts([
                ("Links cut", count(sum(map(_is_cut, self._links)))),
                ("Backlog, all links", count(sum(map(_backlog, self._links)))),
                ("Greatest lag", duration(max(map(_lag_ms, self._links), default=0) / 1000)),
                ("Conflicts ever seen", ", ".join(f"{count(one)} in {name}" for name, one in seen.items()) or "0"),
            ])  # fmt: skip
        self._grid.fill(self._link_row(one) for one in self._links)
        self._tables.fill(_table_row(self._view, one, each) for one in self._links for each in one["tables"])
        self._found.fill(map(_conflict_row, self._conflicts))

    def _link_row(self, one: dict[str, Any]) -> list[Cell]:
        cut = _is_cut(one)
        act = "heal" if cut else "cut"
        switch: Cell = {
            "text": act.capitalize(),
            "act": act,
            "label": f"{act.capitalize()} the link {one['from']} to {one['to']}",
        }
        return [
            {"text": one["from"], "kind": "mono"},
            {"text": one["to"], "kind": "mono"},
            {"text": "Cut" if cut else "Paused" if one.get("paused") else "Open", "kind": "bad" if cut else "good"},
            count(len(one["tables"])),
            count(_backlog(one)),
            duration(_lag_ms(one) / 1000) if one["tables"] else "",
            _fault(one),
            switch if self._view.writable else "",
        ]

    async def _switch(self, row: int, act: str) -> None:
        one = self._links[row]
        await self._view.connection.tell(
            "replication/links", **{"from": one["from"], "to": one["to"], "partition": act == "cut"}
        )
        await self.refresh()

    def _open(self, row: int, act: str) -> None:
        one = self._conflicts[row]
        loser, winner = _image(one["loser"]), _image(one["winner"])
        self._detail.clear()
        with self._detail, section(f"Conflict in {one['table']}"):
            ends = one["loser"]["region"], one["winner"]["region"]
            text("The losing image, of {}, is left; the winning one, of {}, right.".format(*ends), kind="soft")
            diff(compared(loser, winner), "Losing and winning image")


def _image(side: dict[str, Any]) -> dict[str, Any] | None:
    image = side.get("image") or side.get("item")
    return {name: checked(value, name) for name, value in image.items()} if isinstance(image, dict) else None


def _is_cut(one: dict[str, Any]) -> bool:
    return bool(one["partition"])


def _backlog(one: dict[str, Any]) -> int:
    return sum(each.get("backlog") or 0 for each in one["tables"])


def _lag_ms(one: dict[str, Any]) -> int:
    return max((each.get("lag_ms") or 0 for each in one["tables"]), default=0)


def _errors(one: dict[str, Any]) -> list[str]:
    return [each["last_error"] for each in one["tables"] if each.get("last_error")]


def _fault(one: dict[str, Any]) -> str:
    parts = [f"delay {one['delay_ms']} ms"] if one.get("delay_ms") else []
    parts += [f"{name} {one[name]:.0%}" for name in ("loss", "duplicate") if one.get(name)]
    return ", ".join(parts)


def _table_row(view: View, one: dict[str, Any], each: dict[str, Any]) -> list[Cell]:
    return [
        {"text": each["table"], "href": view.table_url(each["table"], "settings")},
        {"text": one["from"], "kind": "mono"},
        {"text": one["to"], "kind": "mono"},
        str(each.get("state", "")).capitalize(),
        count(each.get("backlog") or 0),
        "" if each.get("lag_ms") is None else duration(each["lag_ms"] / 1000),
        {"text": each.get("last_error") or "", "kind": "bad wrap"},
    ]


def _conflict_row(one: dict[str, Any]) -> list[Cell]:
    key = {name: checked(value, name) for name, value in one["key"].items()}
    return [
        {"text": time(one["found_ms"] / 1000), "act": "open", "label": f"Compare both images of {one['table']}"},
        one["table"],
        {"text": ", ".join(map(shown, key.values())), "kind": "mono"},
        one["seen_in"],
        one["winner"]["region"],
        one["loser"]["region"],
    ]
