"""DescribeTableReplicaAutoScaling, UpdateTableReplicaAutoScaling: there is no auto scaling yet, so replicas have no
policies, and requests for some are refused."""

from __future__ import annotations

from typing import Any

from atoll.api import concerns
from atoll.api.table_names import table_name
from atoll.database.group import MULTI_MASTER
from atoll.database.region import Region
from atoll.database.schema import Table
from atoll.errors import features as feature_errors
from atoll.errors import tables as table_errors
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
    """Every replica, this region's included."""
    table, now_ms = await _table(region, body), region.clock.now_ms()
    assert table.group is not None
    indexes = [{"IndexName": i.name, "IndexStatus": i.status_at(now_ms)} for i in table.global_indexes]
    replicas = [
        {"RegionName": member.region, "GlobalSecondaryIndexes": indexes, "ReplicaStatus": member.state}
        for member in table.group.present
    ]
    status = concerns.status(table, now_ms)
    return {"TableAutoScalingDescription": {"TableName": table.name, "TableStatus": status, "Replicas": replicas}}


async def update_table_replica_auto_scaling(region: Region, body: Body) -> Body:
    await _table(region, body)
    raise table_errors.not_served("Auto scaling")
