"""UpdateTimeToLive, DescribeTimeToLive."""

from __future__ import annotations

from typing import Any

from atoll.api import phases
from atoll.api.table_names import table_name
from atoll.database import catalog, ttl
from atoll.database.region import Region
from atoll.errors import tables as table_errors
from atoll.errors import ttl as ttl_errors
from atoll.replication import shared
from atoll.storage.engine import Snapshot, Transaction
from atoll.versions import Stamp

Body = dict[str, Any]
Answer = dict[str, Any]


async def update_time_to_live(region: Region, body: Body) -> Answer:
    specification = body["TimeToLiveSpecification"]
    name, now_ms = table_name(region, body), region.clock.now_ms()
    attribute, enabled = specification["AttributeName"], specification["Enabled"]

    def update(tx: Transaction, stamp: Stamp) -> None:
        table = region.catalog.described(tx, name, now_ms)
        status = table.status_at(now_ms)
        if phases.creating_before(region, table, now_ms, phases.UNKNOWN):
            raise table_errors.table_not_found(name)
        if status == "CREATING":
            raise table_errors.table_being_created(name)
        if phases.deleting_after(region, table, now_ms):
            raise table_errors.table_being_deleted(name)
        change = ttl.enable if enabled else ttl.disable
        catalog.save(tx, shared.changed(table, change(tx, region, table, attribute, now_ms), stamp))

    await region.write(update)
    region.wake()
    return {"TimeToLiveSpecification": {"Enabled": enabled, "AttributeName": attribute}}


async def describe_time_to_live(region: Region, body: Body) -> Answer:
    name, now_ms = table_name(region, body), region.clock.now_ms()

    def read(snapshot: Snapshot) -> Answer:
        table = region.catalog.described(snapshot, name, now_ms)
        status, setting = table.status_at(now_ms), table.ttl
        if status in ("CREATING", "DELETING"):
            raise ttl_errors.not_described(status)
        if setting is None:
            return {"TimeToLiveStatus": "DISABLED"}
        return {"TimeToLiveStatus": setting.status, "AttributeName": setting.attribute}

    return {"TimeToLiveDescription": await region.read(read)}
