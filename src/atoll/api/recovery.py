"""UpdateContinuousBackups and DescribeContinuousBackups: point-in-time recovery."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from atoll import limits
from atoll.api import phases
from atoll.api.table_names import table_name
from atoll.database import catalog, past_definitions, recovery
from atoll.database.recovery import Recovery, RecoveryWindow
from atoll.database.region import Region
from atoll.database.schema import Table
from atoll.errors import backups as backup_errors
from atoll.storage.engine import Snapshot, Transaction
from atoll.versions import Stamp

Body = dict[str, Any]
Answer = dict[str, Any]


async def update_continuous_backups(region: Region, body: Body) -> Answer:
    name, given = table_name(region, body), body["PointInTimeRecoverySpecification"]
    enabled, days = given["PointInTimeRecoveryEnabled"], given.get("RecoveryPeriodInDays")
    if not enabled and days is not None:
        raise backup_errors.period_while_disabling()

    def update(tx: Transaction, stamp: Stamp) -> Answer:
        table = backed_up(region, tx, name, stamp.now_ms)
        changed = _with_recovery(table, enabled, days, stamp.now_ms)
        if changed != table:
            catalog.save(tx, changed)
            if not enabled:
                past_definitions.forget(tx, table)
            past_definitions.note(tx, changed, stamp.now_ms)
        return _described(region, changed, stamp.now_ms)

    return await region.write(update)


def _with_recovery(table: Table, enabled: bool, days: int | None, now_ms: int) -> Table:
    current = table.recovery
    if not enabled:
        return replace(table, recovery=None)
    if current is None:
        return replace(table, recovery=Recovery(now_ms, days or limits.RECOVERY_DAYS))
    return replace(table, recovery=replace(current, days=days or current.days))


async def describe_continuous_backups(region: Region, body: Body) -> Answer:
    name, now_ms = table_name(region, body), region.clock.now_ms()
    table = await region.read(lambda snapshot: find(region, snapshot, name, now_ms))
    return _described(region, table, now_ms)


def find(region: Region, snapshot: Snapshot, name: str, now_ms: int) -> Table:
    """The table, for operations on backups, whose error for a missing table differs."""
    table = region.catalog.find(snapshot, name)
    if (
        table is None
        or table.gone_at(now_ms)
        or table.origin is not None
        or phases.creating_before(region, table, now_ms, phases.UNKNOWN)
        or phases.deleting_after(region, table, now_ms)
    ):
        raise backup_errors.table_not_found(name)
    return table


def backed_up(region: Region, snapshot: Snapshot, name: str, now_ms: int) -> Table:
    """The table, if backups of it are possible. With a delay of the control plane, they become possible some time after
    its creation."""
    table = find(region, snapshot, name, now_ms)
    if not _is_ready(region, table, now_ms):
        raise backup_errors.backups_unavailable(name)
    return table


def _is_ready(region: Region, table: Table, now_ms: int) -> bool:
    delay_ms = region.settings.control_plane_delay_ms
    return now_ms >= table.created_ms + delay_ms + delay_ms // 2


def window(region: Region, recovery_: Recovery, now_ms: int) -> RecoveryWindow:
    return recovery.window(recovery_, now_ms, lags=lags(region))


def lags(region: Region) -> bool:
    return region.settings.control_plane_delay_ms > 0


def _described(region: Region, table: Table, now_ms: int) -> Answer:
    described: Answer = {"PointInTimeRecoveryStatus": "DISABLED"}
    if table.recovery is not None:
        earliest_ms, latest_ms = window(region, table.recovery, now_ms)
        described = {
            "PointInTimeRecoveryStatus": "ENABLED",
            "RecoveryPeriodInDays": table.recovery.days,
            "EarliestRestorableDateTime": earliest_ms // 1000,
            "LatestRestorableDateTime": latest_ms // 1000,
        }
    return {
        "ContinuousBackupsDescription": {
            "ContinuousBackupsStatus": "ENABLED" if _is_ready(region, table, now_ms) else "DISABLED",
            "PointInTimeRecoveryDescription": described,
        }
    }
