"""The part of the page of indexes that lists, adds and deletes vector indexes."""

from __future__ import annotations

from typing import Any

from atoll.console.pages.creation import Key, number
from atoll.console.pages.index_changes import create_index, delete_index, deletion_cell, status_cell
from atoll.console.shell import View
from atoll.console.sizes import count, size
from atoll.console.widgets import Cell, Field, Grid, box, button, link, section, text

COLUMNS = ("Vector index", "Attribute", ("Dimensions", "right"), "Distance", "Searched by", "Projection", "Status",
           ("Items", "right"), ("Size", "right"), "")  # fmt: skip
DISTANCES = {"COSINE": "Cosine", "EUCLIDEAN": "Euclidean", "DOT_PRODUCT": "Dot product"}
PROJECTIONS = {"ALL": "All attributes", "KEYS_ONLY": "Keys only"}


def vector_indexes(view: View, table: dict[str, Any]) -> None:
    found = table.get("VectorIndexes", [])

    async def delete(row: int, act: str) -> None:
        await delete_index(view, "VectorIndexUpdates", found[row])

    if found:
        with section("Vector indexes", "flush"):
            Grid("Vector indexes", COLUMNS, [_row(view, one) for one in found], acted=delete)
    if view.writable and (found or view.connection.has_everything) and _on_demand(table):
        _creation(view, table)


def _on_demand(table: dict[str, Any]) -> bool:
    """Whether the table is on demand: only such tables may have vector indexes."""
    return bool(table.get("BillingModeSummary", {}).get("BillingMode") == "PAY_PER_REQUEST")


def _row(view: View, one: dict[str, Any]) -> list[Cell]:
    projection = one.get("Projection", {})
    named = projection.get("NonKeyAttributes", [])
    return [
        {"text": one["IndexName"], "href": view.table_url(view.table, "nearest", index=one["IndexName"])},
        {"text": one["VectorAttribute"]["AttributeName"], "kind": "mono"},
        count(one["Dimensions"]),
        DISTANCES.get(one["DistanceFunction"], one["DistanceFunction"]),
        {"text": ", ".join(each["AttributeName"] for each in one.get("SearchSchema", ())), "kind": "mono"},
        PROJECTIONS.get(projection.get("ProjectionType", ""), ", ".join(named)),
        status_cell(one),
        count(one.get("ItemCount", 0)),
        size(one.get("IndexSizeBytes", 0)),
        deletion_cell(view, one),
    ]


def _creation(view: View, table: dict[str, Any]) -> None:
    async def create() -> None:
        keys = [(key, kind) for key, kind in ((hash_, "HASH"), (filter_, "INLINE_FILTER")) if key.name.text]
        schema = [{"AttributeName": key.name.text, "SearchSchemaElementType": kind} for key, kind in keys]
        index = {
            "IndexName": name.text,
            "VectorAttribute": {"AttributeName": attribute.text},
            "Dimensions": number(dimensions),
            "DistanceFunction": distance.value,
            "Projection": {"ProjectionType": projection.value},
            **({"SearchSchema": schema} if schema else {}),
        }
        await create_index(view, table, "VectorIndexUpdates", index, [key for key, _ in keys])

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
