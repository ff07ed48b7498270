"""The part of the page of indexes that lists, adds and deletes vector indexes."""

from __future__ import annotations

from typing import Any

from nicegui import ui

from atoll.console.pages.creation import Key, number
from atoll.console.shell import View
from atoll.console.sizes import count, size
from atoll.console.widgets import Cell, Field, Grid, box, button, confirmed, link, section, text

COLUMNS = ("Vector index", "Attribute", ("Dimensions", "right"), "Distance", "Searched by", "Projection", "Status",
           ("Items", "right"), ("Size", "right"), "")  # fmt: skip
DISTANCES = {"COSINE": "Cosine", "EUCLIDEAN": "Euclidean", "DOT_PRODUCT": "Dot product"}
PROJECTIONS = {"ALL": "All attributes", "KEYS_ONLY": "Keys only"}


def vector_indexes(view: View, table: dict[str, Any]) -> None:
    found = table.get("VectorIndexes", [])

    async def delete(row: int, act: str) -> None:
        name = found[row]["IndexName"]
        if await confirmed(
            "Delete index", f"The index {name} is deleted. The items of the table stay.", "Delete index", name
        ):
            change = [{"Delete": {"IndexName": name}}]
            await view.connection.call("update_table", TableName=view.table, VectorIndexUpdates=change)
            ui.navigate.reload()

    if found:
        with section("Vector indexes", "flush"):
            Grid("Vector indexes", COLUMNS, [_row(view, one) for one in found], acted=delete)
    if view.writable and (found or view.connection.has_everything) and _on_demand(table):
        _creation(view, table)


def _on_demand(table: dict[str, Any]) -> bool:
    """Whether the table is on demand: only such tables may have vector indexes."""
    return bool(table.get("BillingModeSummary", {}).get("BillingMode") == "PAY_PER_REQUEST")


def _row(view: View, one: dict[str, Any]) -> list[Cell]:
    name, status = one["IndexName"], one.get("IndexStatus", "ACTIVE")
    projection = one.get("Projection", {})
    named = projection.get("NonKeyAttributes", [])
    return [
        {"text": name, "href": view.table_url(view.table, "nearest", index=name)},
        {"text": one["VectorAttribute"]["AttributeName"], "kind": "mono"},
        count(one["Dimensions"]),
        DISTANCES.get(one["DistanceFunction"], one["DistanceFunction"]),
        {"text": ", ".join(each["AttributeName"] for each in one.get("SearchSchema", ())), "kind": "mono"},
        PROJECTIONS.get(projection.get("ProjectionType", ""), ", ".join(named)),
        {"text": status.capitalize(), "kind": "good" if status == "ACTIVE" else "warn"},
        count(one.get("ItemCount", 0)),
        size(one.get("IndexSizeBytes", 0)),
        {"text": "Delete", "act": "delete", "label": f"Delete the index {name}"} if view.writable else "",
    ]


def _creation(view: View, table: dict[str, Any]) -> None:
    async def create() -> None:
        keys = [(hash_, "HASH"), (filter_, "INLINE_FILTER")]
        schema = [
            {"AttributeName": key.name.text, "SearchSchemaElementType": kind} for key, kind in keys if key.name.text
        ]
        index = {
            "IndexName": name.text,
            "VectorAttribute": {"AttributeName": attribute.text},
            "Dimensions": number(dimensions),
            "DistanceFunction": distance.value,
            "Projection": {"ProjectionType": projection.value},
            **({"SearchSchema": schema} if schema else {}),
        }
        definitions = {one["AttributeName"]: one for one in table["AttributeDefinitions"]}
        for key, _ in keys:
            if key.name.text:
                definitions.setdefault(key.name.text, key.definition())
        await view.connection.call(
            "update_table", TableName=view.table, AttributeDefinitions=list(definitions.values()),
            VectorIndexUpdates=[{"Create": index}],
        )  # fmt: skip
        ui.navigate.reload()

    with section("Add a vector index"):
        with box("row"):
            name = Field("Vector index name", width="240px")
            attribute = Field("Attribute with the vector", width="200px")
            dimensions = Field("Dimensions", "384", "number", least="1", most="4096", width="120px")
            distance = Field("Distance", "COSINE", "select", DISTANCES, width="140px")
            projection = Field("Projection", "ALL", "select", PROJECTIONS, width="160px")
        with box("row"):
            hash_ = Key("Partition attribute, if any", "", None)
            filter_ = Key("Filter attribute, if any", "", None)
        text("Every search gives the partition attribute, and may give the filter attribute. The index is built in the "
             "background from the items that are there.", kind="soft")  # fmt: skip
        with box("actions"):
            button("Add vector index", create)


def search_link(view: View, table: dict[str, Any], **query: Any) -> None:
    """A link to the search of vectors, if the table has an index for it."""
    if table.get("VectorIndexes"):
        link("Search vectors", view.table_url(view.table, "nearest", **query), "button small")
