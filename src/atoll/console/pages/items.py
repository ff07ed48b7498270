"""The page of a table's items: a query or scan, its request as code, and the items that it finds."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

from fastapi import Request
from nicegui import app
from nicegui.element import Element
from starlette.responses import PlainTextResponse, Response, StreamingResponse

from atoll.console import samples, saving
from atoll.console.endpoint import CallFailed, Connection
from atoll.console.guard import Visit
from atoll.console.pages.search_form import SearchForm, key_names
from atoll.console.pages.vector_indexes import search_link
from atoll.console.search import Search
from atoll.console.shell import View, page
from atoll.console.sizes import count
from atoll.console.spreadsheet import Spreadsheet
from atoll.console.values import BadValue, Item, as_json, columns, key_of, kind, shown
from atoll.console.widgets import (
    Cell,
    Field,
    Grid,
    box,
    button,
    code,
    confirmed,
    link,
    put,
    say,
    section,
    text,
    together,
)  # fmt: skip

MOST_COLUMNS = 12
CSV_PAGE = 1_000
EMPTY_PAGES = 20
"""The pages to read before the user must ask for more: a filter may leave pages empty."""


class Items:
    def __init__(self, view: View, table: dict[str, Any]) -> None:
        self._view = view
        self._key = key_names(table)
        self._starts: list[Item | None] = [None]
        """Where the pages begin, up to the one shown."""
        self._next: Item | None = None
        self._search: Search | None = None
        self._shown: list[Item] = []
        self._chosen: list[Item] = []
        self._form = SearchForm(view, table, self.run)
        with section("Items", "flush") as shown_section:
            shown_section.default_slot.children[0].classes("hidden")
            with box("row between").style("padding:8px 16px"):
                self._summary = text("", kind="soft")
                self._summary.props["role"] = "status"
                with box("actions"):
                    self._back = button("Previous", self._go_back, "small", disabled=True)
                    self._forward = button("Next", self._go_on, "small", disabled=True)
                    search_link(view, table)
                    self._csv = link("Download CSV", "#", "button small")
                    if view.writable:
                        self._deletion = button("Delete selected", self._delete, "danger small", disabled=True)
                        link("New item", view.table_url(view.table, "item"), "button primary small")
            self._grid = Grid("Items", [], empty="No items", chosen=self._choose if view.writable else None)
        self._codes()

    def _codes(self) -> None:
        with section("Request"):
            self._way = Field(
                "Shown as",
                "boto3",
                "choice",
                {"boto3": "boto3", "cli": "AWS CLI", "partiql": "PartiQL", "json": "JSON"},
                change=self._show_code,
            )
            self._code = code("", "the request")

    async def run(self, search: Search) -> None:
        self._search, self._starts = search, [None]
        await self._read()

    async def _go_on(self) -> None:
        if self._next is not None:
            self._starts.append(self._next)
            await self._read()

    async def _go_back(self) -> None:
        if len(self._starts) > 1:
            self._starts.pop()
            await self._read()

    async def _read(self) -> None:
        search = self._search
        assert search is not None
        try:
            request = search.request()
        except BadValue as error:
            say(str(error), "warning")
            return
        items, self._next, scanned, units = await _page(self._view.connection, search, request, self._starts[-1])
        self._show(items, scanned, units)
        self._show_code()

    def _choose(self, rows: list[int]) -> None:
        self._chosen = [self._shown[row] for row in rows if 0 <= row < len(self._shown)]
        _enable(self._deletion, bool(self._chosen))

    async def _delete(self) -> None:
        """Delete the chosen items, each if it still has the values that the user saw."""
        wanted = self._chosen
        message = f"{count(len(wanted))} items are deleted, each if nobody changed it since it was shown."
        if not await confirmed("Delete items", message, "Delete items"):
            return
        requests = [saving.deletion(self._view.table, item, self._key) for item in wanted]
        answers = await together(*(self._view.connection.call(name, **request) for name, request in requests))
        failures = [one for one in answers if isinstance(one, CallFailed)]
        kept = sum(one.code == saving.CONFLICT for one in failures)
        say(f"{count(len(answers) - len(failures))} items deleted")
        if kept:
            say(f"{count(kept)} items were changed by another client, and are kept", "warning")
        await self._read()
        for failure in failures:
            if failure.code != saving.CONFLICT:
                raise failure

    def _show(self, items: list[Item], scanned: int, units: float) -> None:
        names = columns(items, self._key, MOST_COLUMNS)
        self._shown = items
        if self._view.writable:
            self._choose([])
        self._grid.fill([self._row(item, names) for item in items], names)
        more = " · more follow" if self._next is not None else ""
        number = f"page {len(self._starts)} · " if len(self._starts) > 1 else ""
        put(self._summary, f"{number}{count(len(items))} items of {count(scanned)} read · {units:g} read units{more}")
        for one, off in ((self._back, len(self._starts) == 1), (self._forward, self._next is None)):
            _enable(one, not off)
        assert self._search is not None
        self._csv.props["href"] = self._view.table_url(self._view.table, "items.csv", search=self._search.as_text())
        self._csv.update()

    def _row(self, item: Item, names: list[str]) -> list[Cell]:
        key = as_json(key_of(item, self._key), indent=None)
        cells: list[Cell] = [_cell(item, name) for name in names]
        first = {
            "text": shown(item[names[0]]) or "(empty)",
            "href": self._view.table_url(self._view.table, "item", key=key),
        }
        return [first, *cells[1:]]

    def _show_code(self) -> None:
        search = self._search
        if search is None:
            return
        connection = self._view.connection
        place = samples.SampleEndpoint(connection.endpoint.address.url, connection.region)
        try:
            request = search.request()
            match self._way.value:
                case "boto3":
                    shown_code = samples.boto3(place, search.operation, request)
                case "cli":
                    shown_code = samples.cli(place, search.operation, request)
                case "json":
                    shown_code = as_json(request)
                case _:
                    shown_code = search.statement()
        except BadValue as error:
            shown_code = str(error)
        put(self._code, shown_code)


def _enable(one: Element, enabled: bool) -> None:
    one.props["disabled"] = not enabled
    one.update()


async def _page(
    connection: Connection, search: Search, request: dict[str, Any], start: Item | None
) -> tuple[list[Item], Item | None, int, float]:
    """The items, the start of the next page, the number of items read, and the read units."""
    items: list[Item] = []
    scanned, units = 0, 0.0
    for _ in range(EMPTY_PAGES if search.filters else 1):
        more = {"ExclusiveStartKey": start} if start is not None else {}
        parameters = {**request, **more, "ReturnConsumedCapacity": "TOTAL"}
        answer = await connection.call(search.operation, **parameters)
        items += answer["Items"]
        scanned += answer["ScannedCount"]
        units += answer.get("ConsumedCapacity", {}).get("CapacityUnits", 0)
        start = answer.get("LastEvaluatedKey")
        if items or start is None:
            break
    return items, start, scanned, units


def _cell(item: Item, name: str) -> Cell:
    value = item.get(name)
    if value is None:
        return ""
    return {"text": shown(value), "kind": {"N": "mono", "NULL": "null", "B": "mono"}.get(kind(value), "")}


@page("/table/{table}/items", "{table}")
async def items(view: View) -> None:
    table = await view.connection.describe(view.table)
    shown_items = Items(view, table)
    try:
        given = view.query.get("search")
        search = Search.from_text(view.table, given) if given else Search(view.table)
    except BadValue as error:
        say(str(error), "warning")
        search = Search(view.table)
    shown_items._form.show(search)
    await shown_items.run(search)


@app.get("/table/{table}/items.csv")
async def download(table: str, request: Request) -> Response:
    """All that a search finds, page by page."""
    visit: Visit = request.scope["visit"]
    connection = visit.connection(request.query_params.get("region", ""))
    try:
        search = Search.from_text(table, request.query_params.get("search", "{}"))
        parameters = search.request() | {"Limit": CSV_PAGE}
        key = key_names(await connection.describe(table))
        first = await connection.call(search.operation, **parameters)
    except (BadValue, CallFailed) as error:
        return PlainTextResponse(f"{error}\n", 400)

    async def lines() -> AsyncIterator[str]:
        answer = first
        spreadsheet = Spreadsheet(answer["Items"], key)
        yield spreadsheet.head()
        while True:
            yield spreadsheet.rows(answer["Items"])
            if "LastEvaluatedKey" not in answer:
                return
            parameters["ExclusiveStartKey"] = answer["LastEvaluatedKey"]
            answer = await connection.call(search.operation, **parameters)

    name = quote(f"{table}.csv")
    return StreamingResponse(
        lines(), media_type="text/csv", headers={"content-disposition": f"attachment; filename={name}"}
    )
