"""DescribeTableReplicaAutoScaling, UpdateTableReplicaAutoScaling: how the replicas of a global table scale.

Settings for writes go to all regions, those for reads to one. Each region keeps its own as targets and policies of
Application Auto Scaling; this module checks a request and asks the regions.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from atoll.api import concerns
from atoll.api.replica_scales import OFF, Wanted, ask, check, scale, shown
from atoll.api.table_names import table_name
from atoll.database.group import ACTIVE, MULTI_MASTER
from atoll.database.region import Region
from atoll.database.schema import Table
from atoll.errors import features as feature_errors
from atoll.errors import replica_scaling as errors
from atoll.errors import replicas as replica_errors
from atoll.scaling.targets import READ, WRITE
from atoll.storage.engine import Snapshot

Body = dict[str, Any]


async def _table(region: Region, body: Body) -> Table:
    name, now_ms = table_name(region, body), region.clock.now_ms()

    def read(snapshot: Snapshot) -> Table:
        table = region.catalog.find(snapshot, name)
        if table is None or table.gone_at(now_ms) or table.group is None or table.group.kind != MULTI_MASTER:
            raise feature_errors.no_global_table(name)
        return table

    return await region.read(read)


async def describe_table_replica_auto_scaling(region: Region, body: Body) -> Body:
    """Describe every replica, also this region's. A replica whose region cannot be reached has no settings."""
    table = await _table(region, body)
    assert table.group is not None
    found = {member.region: await shown(region, member.region, table.name) for member in table.group.present}
    return {"TableAutoScalingDescription": _described(region, table, found)}


def _described(region: Region, table: Table, found: Mapping[str, Mapping[str, Body] | None]) -> Body:
    assert table.group is not None
    now_ms = region.clock.now_ms()
    replicas = []
    for member in table.group.present:
        described: Body = {"RegionName": member.region, "ReplicaStatus": member.state}
        indexes: list[Body] = [
            {"IndexName": one.name, "IndexStatus": one.status_at(now_ms)} for one in table.global_indexes
        ]
        settings = found[member.region]
        if settings is not None:
            _add(described, "Replica", "", settings)
            for index in indexes:
                _add(index, "", f" {index['IndexName']}", settings)
        replicas.append({**described, "GlobalSecondaryIndexes": indexes})
    return {"TableName": table.name, "TableStatus": concerns.status(table, now_ms), "Replicas": replicas}


def _add(described: Body, prefix: str, index: str, settings: Mapping[str, Body]) -> None:
    for kind in (READ, WRITE):
        described[f"{prefix}Provisioned{kind}CapacityAutoScalingSettings"] = settings.get(f"{kind}{index}", OFF)


async def update_table_replica_auto_scaling(region: Region, body: Body) -> Body:
    """Change how replicas scale. The answer shows settings that the request disables as they were before."""
    table = await _table(region, body)
    assert table.group is not None
    wanted = list(_wanted(table.name, body))
    _check(region, table, body, wanted)
    members = [member.region for member in table.group.present]
    scales = [scale(table.name, one) for one in wanted]
    before = {member: await ask(region, member, table.name, []) for member in members}  # raises if one is unreachable
    after: dict[str, dict[str, Body]] = {}
    for member in members:
        own = [(one, change) for one, change in zip(wanted, scales, strict=True) if one.region in (None, member)]
        found = dict(await ask(region, member, table.name, [change for _, change in own]))
        for one, change in own:
            if change.least is None:
                found[one.name] = before[member].get(one.name, OFF)
        after[member] = found
    return {"TableAutoScalingDescription": _described(region, table, after)}


def _wanted(table: str, body: Body) -> Iterator[Wanted]:
    writes = "ProvisionedWriteCapacityAutoScalingUpdate"
    if body.get(writes) is not None:
        parameter = "GlobalTableProvisionedWriteCapacityAutoScalingSettingsUpdate"
        yield Wanted(None, WRITE, None, body[writes], parameter)
    for entry in body.get("GlobalSecondaryIndexUpdates") or ():
        if entry.get(writes) is not None and entry.get("IndexName") is not None:
            yield Wanted(
                None, WRITE, entry["IndexName"], entry[writes], "GlobalTableGlobalSecondaryIndexSettingsUpdate"
            )
    for replica in body.get("ReplicaUpdates") or ():
        region, reads = replica["RegionName"], "ReplicaProvisionedReadCapacityAutoScalingUpdate"
        indexes = replica.get("ReplicaGlobalSecondaryIndexUpdates") or ()
        if replica.get(reads) is None and not indexes:
            raise errors.nothing_for_region(table, region)
        if replica.get(reads) is not None:
            parameter = "ReplicaProvisionedReadCapacityAutoScalingSettingsUpdate"
            yield Wanted(region, READ, None, replica[reads], parameter)
        for entry in indexes:
            given = entry.get("ProvisionedReadCapacityAutoScalingUpdate")
            if given is not None and entry.get("IndexName") is not None:
                yield Wanted(region, READ, entry["IndexName"], given, "ReplicaGlobalSecondaryIndexSettingsUpdate")


def _check(region: Region, table: Table, body: Body, wanted: list[Wanted]) -> None:
    assert table.group is not None
    members = [member.region for member in table.group.present]
    unknown = [r["RegionName"] for r in body.get("ReplicaUpdates") or () if r["RegionName"] not in members]
    if unknown:
        raise replica_errors.not_replicas(unknown)
    if not wanted:
        raise errors.nothing_to_update(table.name)
    if table.group.is_changing or any(member.state != ACTIVE for member in table.group.present):
        raise replica_errors.in_use()
    for one in wanted:
        check(region, table.name, table.billing_mode, members, one)
    _check_indexes(region, table, wanted)
    _check_conflicts(table, wanted)


def _check_indexes(region: Region, table: Table, wanted: list[Wanted]) -> None:
    now_ms = region.clock.now_ms()
    known = {one.name for one in table.global_indexes if one.status_at(now_ms) in ("ACTIVE", "UPDATING")}
    missing = [
        one.index_name
        for one in wanted
        if one.region is None and one.index_name is not None and one.index_name not in known
    ]
    if missing:
        raise errors.indexes_missing(table.name, missing)
    for one in wanted:
        if one.region is not None and one.index_name is not None and one.index_name not in known:
            raise errors.index_missing_in_region(table.name, one.index_name, one.region)


def _check_conflicts(table: Table, wanted: list[Wanted]) -> None:
    seen = set()
    for one in wanted:
        key = (one.region, one.kind, one.index_name)
        if key in seen:
            raise errors.updated_twice(table.name, one.index_name)
        seen.add(key)
