"""The page of a region's store: its size, by table and part."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from atoll.console.endpoint import CallFailed
from atoll.console.shell import View, page
from atoll.console.sizes import count, size, time
from atoll.console.widgets import Cell, Grid, facts, section, text, together

NUMBERS = ("Size", "Items", "Size of items", "Indexes", "Change log", "Backups", "Other")
COLUMNS: tuple[str | tuple[str, str], ...] = ("Table", *((label, "right") for label in NUMBERS))
NAMED = ("items", "indexes", "log", "backups")


@page("/storage", "Storage")
async def storage(view: View) -> None:
    found, names = await together(
        view.connection.ask("storage", region=view.connection.region), view.connection.table_names()
    )
    if isinstance(found, CallFailed):
        raise found
    if isinstance(names, CallFailed):  # a credential that may only administer
        names = []
    store = found.get("store") or {}
    with section("Store"):
        facts([
            ("Region", found.get("region")),
            ("In files", size(store["bytes"]) if store else None),
            ("Unused in files", size(store["unused_bytes"]) if store else None),
            ("Write-ahead log", size(store["log_bytes"]) if store else None),
            ("Deleted, not yet swept", size(found.get("discarded", {}).get("bytes", 0))),
            ("Besides tables", size(other) if (other := found.get("other_bytes")) else None),
            ("Measured (UTC)", time(datetime.fromisoformat(found["measured_at"]))),
        ])  # fmt: skip
        text("The sizes of tables and their parts are estimates.", kind="soft")
    with section("By table", "flush"):
        tables = sorted(found.get("tables", []), key=lambda one: -one["bytes"])
        Grid("By table", COLUMNS, [_row(view, one, one["table"] in names) for one in tables], empty="No tables")


def _row(view: View, one: dict[str, Any], exists: bool) -> list[Cell]:
    """A row of the page. A deleted table has only backups left."""
    name = one["table"]
    other = sum(_bytes(value) for name, value in one.items() if name not in NAMED and isinstance(value, dict))
    return [
        {"text": name, "href": view.table_url(name, "settings")} if exists else name,
        size(one["bytes"]),
        count(one["items"]["rows"]),
        size(one["items"]["bytes"]),
        size(_bytes(one["indexes"])),
        size(one["log"]["bytes"]),
        size(one["backups"]["bytes"]),
        size(other),
    ]


def _bytes(part: dict[str, Any]) -> float:
    """The bytes of an amount, or the sum of a mapping of amounts."""
    return float(sum(_amounts(part)))


def _amounts(part: dict[str, Any]) -> Iterator[float]:
    if "bytes" in part and not isinstance(part["bytes"], dict):
        yield part["bytes"]
        return
    for one in part.values():
        if isinstance(one, dict):
            yield from _amounts(one)
