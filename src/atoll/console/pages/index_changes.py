"""Common parts of the lists of global indexes and vector indexes: cells, and the addition and deletion of an index."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from nicegui import ui

from atoll.console.pages.creation import Key
from atoll.console.shell import View
from atoll.console.widgets import Cell, confirmed


def status_cell(index: dict[str, Any]) -> Cell:
    status = index.get("IndexStatus", "ACTIVE")
    return {"text": status.capitalize(), "kind": "good" if status == "ACTIVE" else "warn"}


def deletion_cell(view: View, index: dict[str, Any]) -> Cell:
    if not view.writable:
        return ""
    return {"text": "Delete", "act": "delete", "label": f"Delete the index {index['IndexName']}"}


async def delete_index(view: View, member: str, index: dict[str, Any]) -> None:
    """Delete the index, if the user confirms it; `member` is that of UpdateTable."""
    name = index["IndexName"]
    if await confirmed(
        "Delete index", f"The index {name} is deleted. The items of the table stay.", "Delete index", name
    ):
        change: dict[str, Any] = {member: [{"Delete": {"IndexName": name}}]}
        await view.connection.call("update_table", TableName=view.table, **change)
        ui.navigate.reload()


async def create_index(
    view: View, table: dict[str, Any], member: str, index: dict[str, Any], keys: Iterable[Key]
) -> None:
    """Create the index; `member` is that of UpdateTable. Attributes that the table has already keep their types."""
    definitions = {one["AttributeName"]: one for one in table["AttributeDefinitions"]}
    for key in keys:
        definitions.setdefault(key.name.text, key.definition())
    change: dict[str, Any] = {member: [{"Create": index}]}
    await view.connection.call(
        "update_table", TableName=view.table, AttributeDefinitions=list(definitions.values()), **change
    )
    ui.navigate.reload()
