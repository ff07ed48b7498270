"""The page of SearchVectors: the items whose vectors are nearest to a given vector or to that of an item."""

from __future__ import annotations

from typing import Any

from atoll.console.pages.creation import number
from atoll.console.pages.search_form import key_names
from atoll.console.shell import View, page
from atoll.console.values import BadValue, Item, as_json, columns, from_json, key_of, read, shown, vector_of
from atoll.console.widgets import Cell, Field, Grid, box, button, callout, put, say, section, text

MOST_COLUMNS = 10


@page("/table/{table}/nearest", "{table}")
async def nearest(view: View) -> None:
    table = await view.connection.describe(view.table)
    indexes = {one["IndexName"]: one for one in table.get("VectorIndexes", ())}
    if not indexes:
        callout("This table has no vector index.", "warn")
        return
    search = Nearest(view, table, indexes)
    if "key" in view.query:
        try:
            await search.near(from_json(view.query["key"]))
        except BadValue as error:
            callout(f"The address of this item is damaged: {error}", "bad")


class Nearest:
    def __init__(self, view: View, table: dict[str, Any], indexes: dict[str, Any]) -> None:
        self._view, self._indexes, self._key = view, indexes, key_names(table)
        self._types = {one["AttributeName"]: one["AttributeType"] for one in table["AttributeDefinitions"]}
        self._found: list[Item] = []
        asked = view.query.get("index", "")
        with section("Search vectors"):
            with box("row"):
                first = asked if asked in indexes else next(iter(indexes))
                self._index = Field("Vector index", first, "select", list(indexes), change=self._fit, width="240px")
                self._most = Field("Items at most", "10", "number", least="1", most="100", width="120px")
            self._vector = Field("Vector, as a JSON list of numbers", "", "textarea", rows=4, enter=self.run)
            self._filters = box("row")
            with box("actions"):
                button("Search", self.run, "primary")
        with section("Nearest items", "flush"):
            with box().style("padding:8px 16px"):
                self._summary = text("Nothing was searched yet", kind="soft")
                self._summary.props["role"] = "status"
            self._grid = Grid("Nearest items", [], empty="No items", acted=self._similar)
        self._fit()

    def _fit(self) -> None:
        """Show a field for each attribute that searches of the index can filter by."""
        self._filters.clear()
        with self._filters:
            self._given = {
                one["AttributeName"]: Field(f"{one['AttributeName']} is", width="200px", enter=self.run)
                for one in self._indexes[self._index.value].get("SearchSchema", ())
            }

    async def near(self, key: Item) -> None:
        """Search with the vector of an item."""
        name = self._indexes[self._index.value]["VectorAttribute"]["AttributeName"]
        answer = await self._view.connection.call("get_item", TableName=self._view.table, Key=key)
        vector = answer.get("Item", {}).get(name, {}).get("L", [])
        self._vector.show(f"[{', '.join(one['N'] for one in vector)}]" if vector else "")
        if vector:
            await self.run()
        else:
            say(f"The item has no vector in {name}", "warning")

    async def _similar(self, row: int, act: str) -> None:
        await self.near(key_of(self._found[row], self._key))

    async def run(self) -> None:
        try:
            vector = vector_of(self._vector.text)
            given = {name: read(self._types.get(name, "S"), field.text, name)
                     for name, field in self._given.items() if field.text}  # fmt: skip
        except BadValue as error:
            say(str(error), "warning")
            return
        request: dict[str, Any] = {"SearchVector": vector, "TopK": number(self._most)}
        if given:
            names = {f"#n{place}": name for place, name in enumerate(given)}
            request["SearchConditionExpression"] = " AND ".join(f"{word} = :v{word[2:]}" for word in names)
            request["ExpressionAttributeNames"] = names
            request["ExpressionAttributeValues"] = {f":v{word[2:]}": given[name] for word, name in names.items()}
        answer = await self._view.connection.call(
            "search_vectors", TableName=self._view.table, IndexName=self._index.value, **request
        )
        self._show(answer["SearchResults"])

    def _show(self, results: list[dict[str, Any]]) -> None:
        self._found = [one["Item"] for one in results]
        names = columns(self._found, self._key, MOST_COLUMNS)
        self._grid.fill(
            [self._row(one["Item"], one["Score"], names) for one in results],
            [names[0], ("Score", "right"), *names[1:], ""],
        )
        put(self._summary, f"{len(results)} items, the nearest first")

    def _row(self, item: Item, score: float, names: list[str]) -> list[Cell]:
        key = as_json(key_of(item, self._key), indent=None)
        label = ", ".join(shown(item[name]) for name in self._key)
        return [
            {
                "text": shown(item[names[0]]) or "(empty)",
                "href": self._view.table_url(self._view.table, "item", key=key),
            },
            {"text": f"{score:.6g}", "kind": "mono"},
            *(shown(item[name]) if name in item else "" for name in names[1:]),
            {"text": "Similar", "act": "similar", "label": f"Items similar to {label}"},
        ]
