"""The page that creates, changes, copies and deletes one item. It saves only if the item has not changed meanwhile."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from nicegui import ui
from nicegui.element import Element

from atoll.console import samples, saving
from atoll.console.endpoint import CallFailed
from atoll.console.images import SAME, compared
from atoll.console.pages.search_form import key_names
from atoll.console.shell import View, page
from atoll.console.sizes import size
from atoll.console.values import TYPES, BadValue, Item, as_json, from_json, read, typed
from atoll.console.widgets import Field, box, button, callout, code, confirmed, link, put, say, section, text
from atoll.console.widgets_diff import diff

ATTRIBUTES = 150
"""An item with more attributes is edited as JSON."""
WHOLE = 900_000
"""The most characters of JSON: a message of the browser holds a little more."""
LONG = 60_000
"""A value with more characters can be edited only as JSON."""
MOST_LINES = 6


class _Attribute:
    """The controls of one attribute."""

    def __init__(self, editor: Editor, name: str, type_: str, content: str, *, is_key: bool) -> None:
        self.element = box("row upper")
        with self.element:
            self.name = Field("Name", name, bare=True, readonly=is_key, width="220px")
            self.type = Field(
                "Type",
                type_,
                "select",
                TYPES,
                bare=True,
                disabled=is_key and not editor.is_new,
                width="130px",
                change=self._fit,
            )
            self._holder = box("grow")
            self._draw(type_, content, readonly=is_key and not editor.is_new)
            if not is_key and editor.writable:
                button("Remove", lambda: editor.remove(self), "small", name=f"Remove the attribute {name}")

    def _draw(self, type_: str, content: str, *, readonly: bool = False) -> None:
        self._holder.clear()
        lines = min(MOST_LINES, content.count("\n") + 1 + len(content) // 120)
        with self._holder:
            if type_ == "BOOL":
                self.value = Field("Value", content or "false", "select", ("true", "false"), bare=True)
            elif type_ == "NULL":
                self.value = Field("Value", "null", bare=True, readonly=True)
            elif lines > 1 or type_ in ("M", "L", "SS", "NS", "BS"):
                self.value = Field("Value", content, "textarea", bare=True, rows=max(2, lines), readonly=readonly)
            else:
                self.value = Field("Value", content, bare=True, readonly=readonly)

    def _fit(self) -> None:
        if hasattr(self, "value"):
            self._draw(self.type.value, str(self.value.value or ""))

    def read(self) -> tuple[str, dict[str, Any]]:
        name = str(self.name.value or "")
        return name, read(self.type.value, str(self.value.value if self.value.value is not None else ""), name)


class Editor:
    """`seen` is the item as it was read; None for a new one."""

    def __init__(
        self, place: Element, view: View, key: list[str], types: dict[str, str], seen: Item | None, draft: Item
    ) -> None:
        self._place = place
        self._view = view
        self._key, self._types = key, types
        self._seen = seen
        self._draft = draft
        self._rows: list[_Attribute] = []
        self.is_new = seen is None
        self.writable = view.writable
        place.clear()
        with place:
            self._build()
        self._draw()

    def _build(self) -> None:
        draft = self._draft
        characters = len(as_json(draft, indent=None))
        self.writable = self._view.writable and characters <= WHOLE
        ways = {"typed": "Attributes", "json": "JSON"}
        if len(draft) > ATTRIBUTES or characters > LONG:
            del ways["typed"]
        self._alerts = box()
        if characters > WHOLE:
            callout(
                f"The item is {size(characters)} as JSON: too long to be edited here. Its beginning is shown.", "warn"
            )
        with section("New item" if self.is_new else "Item"):
            with box("row between"):
                self._way = Field("Edit as", next(iter(ways)), "choice", ways, change=self._switch)
                text(f"{len(draft)} attributes, {size(characters)} as JSON" if draft else "", kind="soft")
            self._body = box("stack")
            if self.writable:
                self._buttons()

    def _buttons(self) -> None:
        with box("actions"):
            button("Create item" if self.is_new else "Save", self._save, "primary")
            self._add_button = button("Add attribute", lambda: self._add("", "S", ""))
            if not self.is_new:
                button("Copy to a new item", self._copy)
                button("Delete item", self._delete, "danger")

    def _draw(self) -> None:
        self._body.clear()
        self._rows = []
        self._form = self._way.value
        as_rows = self._form == "typed"
        with self._body:
            if as_rows:
                for name in [*self._key, *(name for name in self._draft if name not in self._key)]:
                    value = self._draft.get(name)
                    type_ = next(iter(value)) if value else self._types.get(name, "S")
                    self._add(name, type_, typed(value) if value else "", is_key=name in self._key)
            else:
                self._json = Field(
                    "DynamoDB JSON", self._as_json(), "textarea", bare=True, rows=24, readonly=not self.writable
                )
        if self.writable:
            self._add_button.set_visibility(as_rows)

    def _as_json(self) -> str:
        found = as_json(self._draft)
        return (found if len(found) <= WHOLE else as_json(self._draft, indent=None))[:WHOLE]

    def _add(self, name: str, type_: str, content: str, *, is_key: bool = False) -> None:
        with self._body:
            self._rows.append(_Attribute(self, name, type_, content, is_key=is_key))

    def remove(self, row: _Attribute) -> None:
        self._rows.remove(row)
        row.element.delete()

    def _switch(self) -> None:
        """Switch between fields and JSON. If the draft cannot be read, stay in the present form."""
        if self._way.value == self._form:
            return
        try:
            self._draft = self._wanted()
        except BadValue as error:
            if not (self.is_new and self._form == "typed"):
                say(str(error), "warning")
                self._way.show(self._form)
                return
            self._draft = self._readable()
        self._draw()

    def _readable(self) -> Item:
        """The attributes of the draft that are complete."""
        found: Item = {}
        for row in self._rows:
            with suppress(BadValue):
                found.update([row.read()])
        return found

    def _wanted(self) -> Item:
        if self._form == "json":
            return from_json(str(self._json.value))
        found: Item = {}
        for row in self._rows:
            name, value = row.read()
            if not name:
                raise BadValue("an attribute has no name")
            if name in found:
                raise BadValue(f"the attribute {name} occurs twice")
            found[name] = value
        return found

    async def _save(self) -> None:
        try:
            wanted = self._wanted()
            if self._seen is None:
                change: tuple[str, dict[str, Any]] | None = saving.creation(self._view.table, wanted, self._key)
            else:
                change = saving.change(self._view.table, self._seen, wanted, self._key)
        except BadValue as error:
            self._alert(str(error))
            return
        if change is None:
            say("Nothing changed", "info")
            return
        if not await self._sent(*change, wanted):
            return
        say("Saved")  # while this button still exists
        if self._seen is None:
            self._open(wanted)
        else:
            await self._read_again()

    async def _read_again(self) -> None:
        """Show the item as it is stored now."""
        assert self._seen is not None
        key = {name: self._seen[name] for name in self._key}
        answer = await self._view.connection.call("get_item", TableName=self._view.table, Key=key, ConsistentRead=True)
        if (item := answer.get("Item")) is not None:
            Editor(self._place, self._view, self._key, self._types, item, item)

    def _copy(self) -> None:
        try:
            wanted = self._wanted()
        except BadValue as error:
            self._alert(str(error))
            return
        say("Change the key, then create the item", "info")  # while this button still exists
        Editor(self._place, self._view, self._key, self._types, None, wanted)

    async def _delete(self) -> None:
        assert self._seen is not None
        if not await confirmed(
            "Delete item", "The item is deleted if nobody changed it since you opened it.", "Delete item"
        ):
            return
        if await self._sent(*saving.deletion(self._view.table, self._seen, self._key), self._seen):
            ui.navigate.to(self._view.table_url(self._view.table))

    async def _sent(self, operation: str, request: dict[str, Any], wanted: Item) -> bool:
        self._alerts.clear()
        try:
            await self._view.connection.call(operation, **request)
        except CallFailed as failure:
            if failure.code != saving.CONFLICT:
                self._alert(str(failure))
                return False
            self._conflict(failure.answer.get("Item"), wanted)
            return False
        return True

    def _alert(self, message: str) -> None:
        self._alerts.clear()
        with self._alerts:
            callout(message, "bad")

    def _conflict(self, now: Item | None, wanted: Item) -> None:
        """Another client has changed the item: show its changes, and let the user decide."""
        self._alerts.clear()
        with self._alerts, section("This item was changed by someone else"):
            if self._seen is None:
                callout("An item with this key exists. Nothing was written.", "warn")
            else:
                what = "deleted the item" if now is None else "changed the item"
                callout(f"Another client {what} after you opened it. Nothing was written.", "warn")
                diff([line for line in compared(self._seen, now) if line.kind != SAME], "Their change")
            with box("actions"):
                if now is not None:
                    button("Open the item as it is now", lambda: self._open(now), "primary")
                if self._seen is not None and now is not None:
                    button("Keep my edit, on top of theirs", lambda: self._rebase(now, wanted))

    def _rebase(self, now: Item, wanted: Item) -> None:
        """The stored item with the user's changes applied."""
        seen = self._seen or {}
        mine = {name for name in {**seen, **wanted} if seen.get(name) != wanted.get(name)}
        merged = {name: value for name, value in now.items() if name not in mine or name in wanted}
        self._draft = merged | {name: wanted[name] for name in mine if name in wanted}
        self._seen = now
        self._draw()
        say("Check the item and save again", "info")
        self._alerts.clear()  # this also removes the pressed button

    def _open(self, item: Item) -> None:
        key = as_json({name: item[name] for name in self._key}, indent=None)
        ui.navigate.to(self._view.table_url(self._view.table, "item", key=key))


@page("/table/{table}/item", "{table}")
async def editor(view: View) -> None:
    table = await view.connection.describe(view.table)
    key = key_names(table)
    types = {one["AttributeName"]: one["AttributeType"] for one in table["AttributeDefinitions"]}
    try:
        given = from_json(view.query["key"]) if "key" in view.query else None
    except BadValue as error:
        callout(f"The address of this item is damaged: {error}", "bad")
        return
    if given is None:
        if not view.writable:
            callout("This console only reads.", "warn")
            return
        Editor(box(), view, key, types, None, {})
        return
    request: dict[str, Any] = {"TableName": view.table, "Key": given, "ConsistentRead": True}
    item = (await view.connection.call("get_item", **request)).get("Item")
    if item is None:
        callout("There is no item with this key.", "warn")
        return
    Editor(box(), view, key, types, item, item)
    with box("row").style("margin-bottom:14px"):
        for one in table.get("VectorIndexes", ()):
            if one["VectorAttribute"]["AttributeName"] in item:
                query = {"key": view.query["key"], "index": one["IndexName"]}
                link(
                    f"Similar items ({one['IndexName']})",
                    view.table_url(view.table, "nearest", **query),
                    "button small",
                )
    place = samples.SampleEndpoint(view.connection.endpoint.address.url, view.connection.region)
    with section("Request"):
        way = Field("Shown as", "boto3", "choice", {"boto3": "boto3", "cli": "AWS CLI"}, change=lambda: show())
        shown = code("", "the request")

    def show() -> None:
        put(shown, (samples.boto3 if way.value == "boto3" else samples.cli)(place, "get_item", request))

    show()
