"""The page of a table's indexes, which adds and deletes global ones."""

from __future__ import annotations

from typing import Any

from atoll.console.pages.creation import Key, units
from atoll.console.pages.index_changes import create_index, delete_index, deletion_cell, status_cell
from atoll.console.pages.search_form import key_names
from atoll.console.pages.vector_indexes import vector_indexes
from atoll.console.search import Search
from atoll.console.shell import View, page
from atoll.console.sizes import count, size
from atoll.console.widgets import Cell, Field, Grid, box, button, section, text

COLUMNS = ("Index", "Kind", "Status", "Key", "Projection", ("Items", "right"), ("Size", "right"), "Capacity", "")
PROJECTIONS = {"ALL": "All attributes", "KEYS_ONLY": "Keys only", "INCLUDE": "Named attributes"}


@page("/table/{table}/indexes", "{table}")
async def indexes(view: View) -> None:
    table = await view.connection.describe(view.table)
    global_, local = table.get("GlobalSecondaryIndexes", []), table.get("LocalSecondaryIndexes", [])

    async def delete(row: int, act: str) -> None:
        await delete_index(view, "GlobalSecondaryIndexUpdates", global_[row])

    with section("Indexes", "flush"):
        rows = [_row(view, table, one, "Global") for one in global_] + [
            _row(view, table, one, "Local") for one in local
        ]
        Grid("Indexes", COLUMNS, rows, empty="This table has no indexes", acted=delete)
    if view.writable:
        _creation(view, table)
    vector_indexes(view, table)


def _row(view: View, table: dict[str, Any], one: dict[str, Any], kind: str) -> list[Cell]:
    name, keys = one["IndexName"], key_names(one)
    projection = one.get("Projection", {})
    named = projection.get("NonKeyAttributes", [])
    return [
        {"text": name, "href": view.table_url(view.table, search=Search(view.table, name).as_text())},
        kind,
        status_cell(one),
        {"text": ", ".join(keys), "kind": "mono"},
        PROJECTIONS.get(projection.get("ProjectionType", ""), "") + (f": {', '.join(named)}" if named else ""),
        count(one.get("ItemCount", 0)),
        size(one.get("IndexSizeBytes", 0)),
        _capacity(table, one) if kind == "Global" else "the table's",
        deletion_cell(view, one) if kind == "Global" else "",
    ]


def _capacity(table: dict[str, Any], one: dict[str, Any]) -> str:
    if table.get("BillingModeSummary", {}).get("BillingMode") == "PAY_PER_REQUEST":
        return "On demand"
    now = one.get("ProvisionedThroughput", {})
    return f"{count(now.get('ReadCapacityUnits', 0))} read, {count(now.get('WriteCapacityUnits', 0))} write"


def _creation(view: View, table: dict[str, Any]) -> None:
    provisioned = table.get("BillingModeSummary", {}).get("BillingMode", "PROVISIONED") == "PROVISIONED"

    async def create() -> None:
        keys = [hash_, *([range_] if range_.name.text else [])]
        schema = [
            {"AttributeName": key.name.text, "KeyType": kind}
            for key, kind in zip(keys, ("HASH", "RANGE"), strict=False)
        ]
        index: dict[str, Any] = {
            "IndexName": name.text,
            "KeySchema": schema,
            "Projection": {"ProjectionType": projection.value},
        }
        if projection.value == "INCLUDE":
            index["Projection"]["NonKeyAttributes"] = [one.strip() for one in named.text.split(",") if one.strip()]
        if provisioned:
            index["ProvisionedThroughput"] = units(read, write)
        await create_index(view, table, "GlobalSecondaryIndexUpdates", index, keys)

    def fit() -> None:
        named.set_visibility(projection.value == "INCLUDE")

    with section("Add a global index"):
        with box("row"):
            name = Field("Index name", width="240px")
            projection = Field("Projection", "ALL", "select", PROJECTIONS, change=fit, width="180px")
            named = Field("Attributes, separated by commas", width="300px")
        with box("row"):
            hash_ = Key("Partition key", "", None)
            range_ = Key("Sort key, if it has one", "", None)
        if provisioned:
            with box("row"):
                read = Field("Read units", "5", "number", least="1", width="120px")
                write = Field("Write units", "5", "number", least="1", width="120px")
        text("The index is built in the background from the items that are there.", kind="soft")
        with box("actions"):
            button("Add index", create)
    fit()
