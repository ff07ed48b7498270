"""Build the TableDescription that CreateTable, DescribeTable, UpdateTable and DeleteTable return."""

from __future__ import annotations

from typing import Any

from atoll.api import concerns
from atoll.database import format as fmt
from atoll.database.group import MULTI_MASTER, Group, Member
from atoll.database.recovery import Origin
from atoll.database.region import Region
from atoll.database.schema import (
    Index,
    KeySchema,
    OnDemandThroughput,
    Projection,
    Table,
    Throughput,
)
from atoll.database.vectors.definition import VectorIndex
from atoll.replication import shared
from atoll.storage.engine import Snapshot

Description = dict[str, Any]

DAY_MS = 24 * 3600 * 1000


def seconds(ms: int) -> float:
    return ms / 1000


def table_arn(region: Region, table: Table) -> str:
    return region.arn(f"table/{table.name}")


def describe(region: Region, snapshot: Snapshot, table: Table, now_ms: int) -> Description:
    """The table as DescribeTable shows it; counts are exact."""
    arn = table_arn(region, table)
    status, settled = concerns.status(table, now_ms), table
    table = concerns.shown(table, now_ms)
    spaces = [table.space, *(index.space for index in table.all_indexes)]
    snapshot.prefetch(
        tallies=[counter(space) for space in spaces for counter in (fmt.bytes_counter, fmt.count_counter)]
    )
    description: Description = {
        "AttributeDefinitions": attribute_definitions(table),
        "TableName": table.name,
        "KeySchema": key_schema(table.keys),
        "TableStatus": status,
        "CreationDateTime": seconds(table.created_ms),
        "ProvisionedThroughput": throughput(table.throughput, now_ms),
        "TableSizeBytes": snapshot.tally(fmt.bytes_counter(table.space)),
        "ItemCount": snapshot.tally(fmt.count_counter(table.space)),
        "TableArn": arn,
        "TableId": table.id,
        "DeletionProtectionEnabled": table.deletion_protection,
    }
    if settled.billing_changed_ms is not None:
        description["BillingModeSummary"] = {"BillingMode": table.billing_mode}
        if table.billing_changed_ms is not None:
            description["BillingModeSummary"]["LastUpdateToPayPerRequestDateTime"] = seconds(table.billing_changed_ms)
    if table.origin is not None:
        description["RestoreSummary"] = _restore_summary(table.origin)
    indexes = [describe_index(snapshot, table, arn, index, now_ms) for index in table.indexes]
    for member, local in (("LocalSecondaryIndexes", True), ("GlobalSecondaryIndexes", False)):
        chosen = [d for index, d in zip(table.indexes, indexes, strict=True) if index.local is local]
        if chosen:
            description[member] = chosen
    if table.vector_indexes:
        description["VectorIndexes"] = [
            describe_vector_index(snapshot, table, arn, index, now_ms) for index in table.vector_indexes
        ]
    description.update(_settings(table, arn, now_ms))
    return description


def _restore_summary(origin: Origin) -> Description:
    return {
        **({} if origin.backup_arn is None else {"SourceBackupArn": origin.backup_arn}),
        "SourceTableArn": origin.table_arn,
        "RestoreDateTime": seconds(origin.moment_ms // 1000 * 1000),
        "RestoreInProgress": True,
    }


def _settings(table: Table, arn: str, now_ms: int) -> Description:
    """The members of settings that appear only if they were set."""
    settings: Description = {}
    if table.stream is not None:
        settings["LatestStreamLabel"] = table.stream.label
        settings["LatestStreamArn"] = f"{arn}/stream/{table.stream.label}"
        if table.stream.enabled:
            settings["StreamSpecification"] = {"StreamEnabled": True, "StreamViewType": table.stream.view_type}
    if table.encryption is not None:
        settings["SSEDescription"] = {"Status": table.encryption.status}
        if table.encryption.type:
            settings["SSEDescription"] |= {
                "SSEType": table.encryption.type,
                "KMSMasterKeyArn": table.encryption.key_arn,
            }
    if table.table_class is not None:
        settings["TableClassSummary"] = {"TableClass": table.table_class}
        if table.table_class_changed_ms is not None:
            settings["TableClassSummary"]["LastUpdateDateTime"] = seconds(table.table_class_changed_ms)
    if table.on_demand is not None:
        settings["OnDemandThroughput"] = on_demand(table.on_demand)
    if table.replication_mode is not None:
        settings["GlobalTableSettingsReplicationMode"] = table.replication_mode
    if table.group is not None:
        settings |= _of_group(table, table.group, now_ms)
    settings["WarmThroughput"] = warm(table, None, now_ms)
    return settings


REPLICATION_MODE = "ENABLED_WITH_OVERRIDES"
"""How the replicas of one account share their settings."""


def _of_group(table: Table, group: Group, now_ms: int) -> Description:
    """The members about replicas. They leave out this region's own replica."""
    if group.kind != MULTI_MASTER:
        return {"GlobalTableVersion": group.kind} if group.is_legacy else {}
    return {
        "GlobalTableVersion": MULTI_MASTER,
        "Replicas": [_replica(table, member, now_ms) for member in group.others],
        "MultiRegionConsistency": "EVENTUAL",
        "GlobalTableSettingsReplicationMode": REPLICATION_MODE,
    }


def _replica(table: Table, member: Member, now_ms: int) -> Description:
    own = shared.unpacked(member.own)
    described: Description = {"RegionName": member.region, "ReplicaStatus": member.state}
    if (key := own.get(shared.KEY)) is not None:
        described["KMSMasterKeyId"] = key
    described |= _overrides(own, "")
    described["WarmThroughput"] = warm(table, None, now_ms)
    indexes = [index for index in table.global_indexes if index.status != "DELETING"]
    if indexes:
        described["GlobalSecondaryIndexes"] = [
            {"IndexName": index.name, **_overrides(own, f" {index.name}"), "WarmThroughput": warm(table, index, now_ms)}
            for index in indexes
        ]
    table_class = own.get("table_class", table.table_class)
    if table_class is not None:
        described["ReplicaTableClassSummary"] = {"TableClass": table_class}
    return {**described, "GlobalTableSettingsReplicationMode": REPLICATION_MODE}


def _overrides(own: Description, of: str) -> Description:
    described: Description = {}
    if f"read{of}" in own:
        described["ProvisionedThroughputOverride"] = {"ReadCapacityUnits": own[f"read{of}"]}
    if f"max_read{of}" in own:
        described["OnDemandThroughputOverride"] = {"MaxReadRequestUnits": own[f"max_read{of}"]}
    return described


def describe_index(snapshot: Snapshot, table: Table, table_arn: str, index: Index, now_ms: int) -> Description:
    description: Description = {
        "IndexName": index.name,
        "KeySchema": key_schema(index.keys),
        "Projection": projection(index.projection),
        "IndexSizeBytes": snapshot.tally(fmt.bytes_counter(index.space)),
        "ItemCount": snapshot.tally(fmt.count_counter(index.space)),
        "IndexArn": f"{table_arn}/index/{index.name}",
    }
    if index.local:
        return description
    status = index.status_at(now_ms)
    if table.status_at(now_ms) in ("CREATING", "DELETING"):
        status = table.status_at(now_ms)
    elif concerns.running_on(table, index, now_ms) == concerns.INDEX:
        status = "UPDATING"
    if table.origin is None:
        description["IndexStatus"] = status
    if status == "CREATING" and table.status_at(now_ms) != "CREATING":
        description["Backfilling"] = index.filling_at(now_ms)
    description["ProvisionedThroughput"] = throughput(index.throughput or Throughput(0, 0), now_ms)
    if index.on_demand is not None:
        description["OnDemandThroughput"] = on_demand(index.on_demand)
    if status != "DELETING":
        description["WarmThroughput"] = warm(table, index, now_ms)
    return description


def describe_vector_index(
    snapshot: Snapshot, table: Table, table_arn: str, index: VectorIndex, now_ms: int
) -> Description:
    description: Description = {
        **vector_index(index),
        "IndexSizeBytes": snapshot.tally(fmt.bytes_counter(index.space)),
        "ItemCount": snapshot.tally(fmt.count_counter(index.space)),
        "IndexArn": f"{table_arn}/index/{index.name}",
    }
    table_status = table.status_at(now_ms)
    status = table_status if table_status in ("CREATING", "DELETING") else index.status
    if table.origin is None:
        description["IndexStatus"] = status
    if status == "CREATING" and table_status != "CREATING":
        description["Backfilling"] = index.filling_at(now_ms)
    return description


def vector_index(index: VectorIndex) -> Description:
    """The definition of a vector index, as descriptions show it."""
    elements = [*((one.name, "HASH") for one in index.keys.partition)] if index.keys is not None else []
    elements += [(one.name, "INLINE_FILTER") for one in index.filters]
    schema = [{"AttributeName": name, "SearchSchemaElementType": kind} for name, kind in elements]
    return {
        "IndexName": index.name,
        **({"SearchSchema": schema} if schema else {}),
        "VectorAttribute": {"AttributeName": index.attribute},
        "Projection": projection(index.projection),
        "Dimensions": index.dimensions,
        "DistanceFunction": index.distance,
    }


def attribute_definitions(table: Table) -> list[Description]:
    types: dict[str, str] = {}
    for keys in (table.keys, *(index.keys for index in table.indexes)):
        types.update(keys.types)
    for index in table.vector_indexes:
        types.update(index.types)
    return [{"AttributeName": name, "AttributeType": type_} for name, type_ in sorted(types.items())]


def key_schema(keys: KeySchema) -> list[Description]:
    return [
        *({"AttributeName": a.name, "KeyType": "HASH"} for a in keys.partition),
        *({"AttributeName": a.name, "KeyType": "RANGE"} for a in keys.sort),
    ]


def projection(value: Projection) -> Description:
    included = {"NonKeyAttributes": sorted(value.attributes)} if value.attributes else {}
    return {"ProjectionType": value.type, **included}


def throughput(value: Throughput, now_ms: int) -> Description:
    today = now_ms // DAY_MS
    description: Description = {
        "NumberOfDecreasesToday": sum(1 for ms in value.decreases_ms if ms // DAY_MS == today),
        "ReadCapacityUnits": value.read,
        "WriteCapacityUnits": value.write,
    }
    if value.increased_ms is not None:
        description["LastIncreaseDateTime"] = seconds(value.increased_ms)
    if value.decreased_ms is not None:
        description["LastDecreaseDateTime"] = seconds(value.decreased_ms)
    return description


def on_demand(value: OnDemandThroughput) -> Description:
    maxima = (("MaxReadRequestUnits", value.max_read), ("MaxWriteRequestUnits", value.max_write))
    return {member: units for member, units in maxima if units is not None}


def warm(table: Table, index: Index | None, now_ms: int) -> Description:
    value, name = table.warm_throughput(index), None if index is None else index.name
    rising = any(change.concern == concerns.WARM and change.index == name for change in table.under_way(now_ms))
    status = "UPDATING" if rising or table.status_at(now_ms) == "CREATING" else "ACTIVE"
    return {"ReadUnitsPerSecond": value.read, "WriteUnitsPerSecond": value.write, "Status": status}
