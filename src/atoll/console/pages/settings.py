"""The page of a table: its description, its settings, its deletion."""

from __future__ import annotations

import json
from typing import Any

from nicegui import ui

from atoll.console.pages.creation import BILLING, units
from atoll.console.pages.tables import capacity
from atoll.console.shell import View, page
from atoll.console.sizes import count, size, time
from atoll.console.widgets import Field, Grid, box, button, code, confirmed, facts, say, section, text, together

CLASSES = {"STANDARD": "Standard", "STANDARD_INFREQUENT_ACCESS": "Standard, infrequent access"}


@page("/table/{table}/settings", "{table}")
async def settings(view: View) -> None:
    table = await view.connection.describe(view.table)
    _facts(table)
    if view.writable:
        with box("columns"):
            _capacity(view, table)
            _protection(view, table)
    await _tags(view, table)
    with section("Description"):
        code(json.dumps(table, indent=2, ensure_ascii=False, default=time), "DescribeTable")
    if view.writable:
        with section("Delete"):
            text("Deletes the table with all items and indexes. Backups stay.", kind="soft")
            with box("actions"):
                button("Delete table", lambda: _delete(view, table), "danger")


def _facts(table: dict[str, Any]) -> None:
    with section("Table"):
        facts([
            ("Status", table["TableStatus"].capitalize()),
            ("Items", count(table.get("ItemCount", 0))),
            ("Size", size(table.get("TableSizeBytes", 0))),
            ("Partition key", _key(table, "HASH")),
            ("Sort key", _key(table, "RANGE")),
            ("Capacity", capacity(table)),
            ("Created (UTC)", time(table.get("CreationDateTime"))),
            ("Deletion protection", "On" if table.get("DeletionProtectionEnabled") else "Off"),
            ("Replicas", ", ".join(one["RegionName"] for one in table.get("Replicas", ())) or None),
            ("ARN", table["TableArn"]),
        ])  # fmt: skip


def _key(table: dict[str, Any], kind: str) -> str | None:
    types = {one["AttributeName"]: one["AttributeType"] for one in table["AttributeDefinitions"]}
    names = [one["AttributeName"] for one in table["KeySchema"] if one["KeyType"] == kind]
    return f"{names[0]} ({types[names[0]]})" if names else None


def _capacity(view: View, table: dict[str, Any]) -> None:
    mode = table.get("BillingModeSummary", {}).get("BillingMode", "PROVISIONED")
    now = table.get("ProvisionedThroughput", {})

    def show() -> None:
        for one in (read, write):
            one.set_visibility(billing.value == "PROVISIONED")

    async def save() -> None:
        change: dict[str, Any] = {"BillingMode": billing.value}
        if billing.value == "PROVISIONED":
            change["ProvisionedThroughput"] = units(read, write)
        await view.connection.call("update_table", TableName=view.table, **change)
        ui.navigate.reload()

    with section("Capacity"):
        with box("row"):
            billing = Field("Billing", mode, "choice", BILLING, change=show)
            read = Field("Read units", str(now.get("ReadCapacityUnits") or 5), "number", least="1", width="110px")
            write = Field("Write units", str(now.get("WriteCapacityUnits") or 5), "number", least="1", width="110px")
        with box("actions"):
            button("Change capacity", save)
    show()


def _protection(view: View, table: dict[str, Any]) -> None:
    protected = bool(table.get("DeletionProtectionEnabled"))
    class_ = table.get("TableClassSummary", {}).get("TableClass", "STANDARD")

    async def protect() -> None:
        await view.connection.call("update_table", TableName=view.table, DeletionProtectionEnabled=not protected)
        ui.navigate.reload()

    async def change_class() -> None:
        await view.connection.call("update_table", TableName=view.table, TableClass=chosen.value)
        ui.navigate.reload()

    with section("Protection and class"):
        if view.connection.has_everything:
            with box("row"):
                chosen = Field("Table class", class_, "select", CLASSES, width="260px")
                button("Change class", change_class)
        with box("actions"):
            button("Allow deletion" if protected else "Protect from deletion", protect)


async def _tags(view: View, table: dict[str, Any]) -> None:
    (answer,) = await together(view.connection.call("list_tags_of_resource", ResourceArn=table["TableArn"]))
    if not isinstance(answer, dict):
        return
    tags = answer.get("Tags", [])

    async def remove(row: int, act: str) -> None:
        await view.connection.call("untag_resource", ResourceArn=table["TableArn"], TagKeys=[tags[row]["Key"]])
        ui.navigate.reload()

    async def add() -> None:
        tag = {"Key": name.text, "Value": value.text}
        await view.connection.call("tag_resource", ResourceArn=table["TableArn"], Tags=[tag])
        ui.navigate.reload()

    with section("Tags"):
        rows = [[tag["Key"], tag["Value"], _removal(tag["Key"]) if view.writable else ""] for tag in tags]
        Grid("Tags", ("Key", "Value", ""), rows, empty="No tags", acted=remove)
        if view.writable:
            with box("row"):
                name = Field("Key", width="200px")
                value = Field("Value", width="260px", enter=add)
                button("Add tag", add)


def _removal(name: str) -> dict[str, str]:
    return {"text": "Remove", "act": "remove", "label": f"Remove the tag {name}"}


async def _delete(view: View, table: dict[str, Any]) -> None:
    items = count(table.get("ItemCount", 0))
    message = f"{view.table} and its items (about {items}) are deleted for good."
    if await confirmed("Delete table", message, "Delete table", view.table):
        await view.connection.call("delete_table", TableName=view.table)
        say("The table is being deleted")
        ui.navigate.to(view.url("/"))
