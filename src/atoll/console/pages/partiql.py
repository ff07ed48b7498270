"""The page of PartiQL: an editor of statements, with a history."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any
from weakref import WeakKeyDictionary

from atoll.clock import monotonic_ns
from atoll.console import samples
from atoll.console.endpoint import Endpoint, Key
from atoll.console.shell import View, page
from atoll.console.values import Item, columns, shown
from atoll.console.widgets import Field, Grid, box, button, code, put, section, text

LIMIT = 100
KEPT = 50
MOST_COLUMNS = 20

_histories: WeakKeyDictionary[Endpoint, dict[Key, OrderedDict[str, None]]] = WeakKeyDictionary()
"""The last statements of each credential, in memory: they may hold secrets."""


class Console:
    def __init__(self, view: View) -> None:
        self._view = view
        self._next: str | None = None
        self._statement = ""
        self._history = _histories.setdefault(view.connection.endpoint, {}).setdefault(
            view.connection.key, OrderedDict()
        )
        with section("Statement"):
            self._text = Field(
                "PartiQL (Ctrl+Enter runs it)", view.query.get("statement", ""), "textarea", rows=5, enter=self._run
            )
            with box("row"):
                button("Run", self._run, "primary")
                self._consistent = Field("Consistent read", False, "checkbox")
                self._past = Field("History", "", "select", self._choices(), change=self._recall, width="420px")
        with section("Result", "flush") as result:
            result.default_slot.children[0].classes("hidden")
            with box("row between").style("padding:8px 16px"):
                self._summary = text("Nothing was run yet", kind="soft")
                self._summary.props["role"] = "status"
                self._more = button("More", self._continue, "small", disabled=True)
            self._grid = Grid("Result", [], empty="No items")
        with section("Request"):
            self._way = Field(
                "Shown as", "boto3", "choice", {"boto3": "boto3", "cli": "AWS CLI"}, change=self._show_code
            )
            self._code = code("", "the request")
        self._show_code()

    def _choices(self) -> dict[str, str]:
        return {"": "earlier statements"} | {one: " ".join(one.split())[:90] for one in reversed(self._history)}

    def _recall(self) -> None:
        if self._past.value:
            self._text.show(self._past.value)
            self._show_code()

    def _request(self) -> dict[str, Any]:
        found: dict[str, Any] = {"Statement": self._statement or self._text.text}
        return found | ({"ConsistentRead": True} if self._consistent.value else {})

    async def _run(self) -> None:
        self._statement = self._text.text
        self._next = None
        self._history.pop(self._statement, None)
        self._history[self._statement] = None
        while len(self._history) > KEPT:
            self._history.popitem(last=False)
        self._past.offer(self._choices())
        self._show_code()
        await self._read()

    async def _continue(self) -> None:
        if self._next:
            await self._read()

    async def _read(self) -> None:
        more = {"NextToken": self._next} if self._next else {}
        begun = monotonic_ns()
        parameters: dict[str, Any] = {**self._request(), **more, "Limit": LIMIT, "ReturnConsumedCapacity": "TOTAL"}
        answer = await self._view.connection.call("execute_statement", **parameters)
        took_ms = (monotonic_ns() - begun) / 1e6
        items: list[Item] = answer.get("Items", [])
        self._next = answer.get("NextToken")
        names = columns(items, [], MOST_COLUMNS)
        self._grid.fill([[shown(item[name]) if name in item else "" for name in names] for item in items], names)
        units = answer.get("ConsumedCapacity", {}).get("CapacityUnits", 0)
        put(
            self._summary,
            f"{len(items)} items · {units:g} units · {took_ms:.0f} ms{' · more follow' if self._next else ''}",
        )
        self._more.props["disabled"] = self._next is None
        self._more.update()

    def _show_code(self) -> None:
        connection = self._view.connection
        place = samples.SampleEndpoint(connection.endpoint.address.url, connection.region)
        way = samples.boto3 if self._way.value == "boto3" else samples.cli
        put(self._code, way(place, "execute_statement", self._request()))


@page("/partiql", "PartiQL")
async def partiql(view: View) -> None:
    Console(view)
