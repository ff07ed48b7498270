"""The page of backups of one table or of all, and of restores to an earlier time."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from nicegui import ui

from atoll.console.endpoint import CallFailed
from atoll.console.shell import View, page
from atoll.console.sizes import duration, size, time
from atoll.console.widgets import Cell, Field, Grid, box, button, confirmed, facts, put, say, section, text

COLUMNS = ("Backup", "Table", "Type", "Status", "Made (UTC)", ("Size", "right"), "Expires (UTC)", "", "")
STEPS = 1000
"""The steps of the slider."""


@page("/backups", "Backups")
async def backups(view: View) -> None:
    await _list(view, {})


@page("/table/{table}/backups", "{table}")
async def of_table(view: View) -> None:
    await _recovery(view)
    if view.writable:
        with section("Back up now"), box("row"):

            async def create() -> None:
                await view.connection.call("create_backup", TableName=view.table, BackupName=name.text)
                ui.navigate.reload()

            name = Field("Name", f"{view.table}-backup", width="280px", enter=create)
            button("Create backup", create, "primary")
    await _list(view, {"TableName": view.table})


async def _list(view: View, which: dict[str, Any]) -> None:
    found: list[dict[str, Any]] = []
    more: dict[str, Any] = {}
    while True:
        answer = await view.connection.call("list_backups", BackupType="ALL", **which, **more)
        found += answer["BackupSummaries"]
        if "LastEvaluatedBackupArn" not in answer or len(found) >= STEPS:
            break
        more = {"ExclusiveStartBackupArn": answer["LastEvaluatedBackupArn"]}

    async def act(row: int, what: str) -> None:
        one = found[row]
        if what == "restore":
            await _restore(view, one)
        elif await confirmed("Delete backup", f"The backup {one['BackupName']} is deleted for good.", "Delete backup"):
            await view.connection.call("delete_backup", BackupArn=one["BackupArn"])
            ui.navigate.reload()

    with section("Backups", "flush"):
        Grid("Backups", COLUMNS, [_row(view, one) for one in found], empty="No backups", acted=act)


def _row(view: View, one: dict[str, Any]) -> list[Cell]:
    name, table = one["BackupName"], one["TableName"]
    acts: list[Cell] = [""] * 2
    if view.writable:
        acts = [
            {"text": "Restore", "act": "restore", "label": f"Restore {name}"},
            {"text": "Delete", "act": "delete", "label": f"Delete {name}"} if one["BackupType"] == "USER" else "",
        ]
    return [
        name,
        {"text": table, "href": view.table_url(table)} if one["BackupType"] == "USER" else table,  # deleted
        one["BackupType"].capitalize(),
        {"text": one["BackupStatus"].capitalize(), "kind": "good" if one["BackupStatus"] == "AVAILABLE" else "warn"},
        time(one["BackupCreationDateTime"]),
        size(one.get("BackupSizeBytes", 0)),
        time(one.get("BackupExpiryDateTime")),
        *acts,
    ]


async def _restore(view: View, one: dict[str, Any]) -> None:
    with ui.dialog() as dialog, box("dialog"):
        dialog.props["aria-label"] = "Restore backup"
        text("Restore backup", "h2")
        name = Field(
            "Name of the new table", f"{one['TableName']}-restored", focus=True, enter=lambda: dialog.submit(True)
        )
        with box("actions"):
            button("Cancel", lambda: dialog.submit(False))
            button("Restore", lambda: dialog.submit(True), "primary")
    wanted = bool(await dialog)
    if not dialog.is_deleted:
        dialog.delete()
    if wanted:
        await view.connection.call("restore_table_from_backup", TargetTableName=name.text, BackupArn=one["BackupArn"])
        say("The table is being restored")
        ui.navigate.to(view.table_url(name.text, "settings"))


async def _recovery(view: View) -> None:
    try:
        answer = await view.connection.call("describe_continuous_backups", TableName=view.table)
    except CallFailed:  # an endpoint may have backups but no point-in-time recovery
        return
    now = answer["ContinuousBackupsDescription"].get("PointInTimeRecoveryDescription", {})
    enabled = now.get("PointInTimeRecoveryStatus") == "ENABLED"
    first, last = now.get("EarliestRestorableDateTime"), now.get("LatestRestorableDateTime")

    async def switch() -> None:
        wanted = {"PointInTimeRecoveryEnabled": not enabled}
        await view.connection.call(
            "update_continuous_backups", TableName=view.table, PointInTimeRecoverySpecification=wanted
        )
        ui.navigate.reload()

    with section("Point-in-time recovery"):
        facts([
            ("Status", "On" if enabled else "Off"),
            ("Earliest (UTC)", time(first) or None),
            ("Latest (UTC)", time(last) or None),
            ("Kept for", f"{now['RecoveryPeriodInDays']} days" if enabled and "RecoveryPeriodInDays" in now else None),
        ])  # fmt: skip
        if view.writable:
            if enabled and first is not None and last is not None:
                _moment(view, first.astimezone(UTC), last.astimezone(UTC))
            with box("actions"):
                button("Turn off" if enabled else "Turn on", switch, "danger" if enabled else "primary")


def _moment(view: View, first: datetime, last: datetime) -> None:
    """A slider for a time, and a field for the exact second."""
    span = last - first

    def slide() -> None:
        at = first + span * (int(float(slider.value or 0)) / STEPS)
        exact.show(at.strftime("%Y-%m-%dT%H:%M:%SZ"))

    def show() -> None:
        try:
            at = datetime.fromisoformat(exact.text)
            put(told, f"{duration((last - at.astimezone(UTC)).total_seconds())} before the latest moment")
        except (ValueError, OverflowError):
            put(told, "Write the moment as in 2030-01-02T03:04:05Z")

    async def restore() -> None:
        try:
            at = datetime.fromisoformat(exact.text)
        except ValueError:
            say("Write the moment as in 2030-01-02T03:04:05Z", "warning")
            return
        await view.connection.call(
            "restore_table_to_point_in_time",
            SourceTableName=view.table,
            TargetTableName=target.text,
            RestoreDateTime=at,
        )
        say("The table is being restored")
        ui.navigate.to(view.table_url(target.text, "settings"))

    slider = Field("Moment", str(STEPS), "range", least="0", most=str(STEPS), change=slide)
    with box("row"):
        exact = Field("Exactly (UTC)", last.strftime("%Y-%m-%dT%H:%M:%SZ"), width="240px", change=show)
        target = Field("Name of the new table", f"{view.table}-restored", width="260px")
        button("Restore to a new table", restore)
    told = text("", kind="soft")
    told.props["role"] = "status"
    show()
