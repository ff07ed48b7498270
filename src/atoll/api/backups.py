"""CreateBackup, DescribeBackup, ListBackups, DeleteBackup: backups on demand, and the backups of deleted tables."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from atoll import arns, limits
from atoll.api import description, recovery
from atoll.api.table_names import table_name
from atoll.database import backups
from atoll.database.backups import Backup
from atoll.database.region import Region
from atoll.database.schema import ON_DEMAND, Index, Table, Throughput
from atoll.errors import backups as backup_errors
from atoll.recovery import copies
from atoll.storage.engine import Snapshot, Transaction
from atoll.versions import Stamp

Body = dict[str, Any]
Answer = dict[str, Any]

REGION_NAME = re.compile(r"[a-z]{2,}(-[a-z]+)+-\d+")

ALL = "ALL"
"""The values of the filter BackupType."""


async def create_backup(region: Region, body: Body) -> Answer:
    name = table_name(region, body)

    def create(tx: Transaction, stamp: Stamp) -> Backup:
        table = recovery.backed_up(region, tx, name, stamp.now_ms)
        return copies.begin_backup(tx, region, table, body["BackupName"], stamp.now_ms)

    backup = await region.write(create)
    region.wake()
    return {"BackupDetails": _details(region, backup)}


async def describe_backup(region: Region, body: Body) -> Answer:
    found = await region.read(lambda snapshot: find(region, snapshot, body["BackupArn"]))
    return {"BackupDescription": _description(region, found)}


async def delete_backup(region: Region, body: Body) -> Answer:
    text = body["BackupArn"]

    def delete(tx: Transaction, stamp: Stamp) -> Backup:
        found = find(region, tx, text)
        if found.expires_ms is not None:
            raise backup_errors.system_backup(text, found.expires_ms)
        if found.is_restoring is not None:
            raise backup_errors.backup_restoring(region.arn(f"table/{found.is_restoring}"))
        if found.status == backups.CREATING:
            raise backup_errors.backup_being_created(text)
        backups.delete(tx, found, stamp.now_ms)
        return replace(found, status=backups.DELETED)

    deleted = await region.write(delete)
    region.wake()
    return {"BackupDescription": _description(region, deleted)}


async def list_backups(region: Region, body: Body) -> Answer:
    name = table_name(region, body) if "TableName" in body else None
    first, last = body.get("TimeRangeLowerBound"), body.get("TimeRangeUpperBound")
    if first is not None and last is not None and first > last:
        raise backup_errors.time_range_reversed()
    after = body.get("ExclusiveStartBackupArn")
    start = None if after is None else _parse(region, after)
    type_, limit = body.get("BackupType") or backups.USER, body.get("Limit") or limits.BACKUPS_LISTED

    def fits(backup: Backup) -> bool:
        return (
            (name is None or backup.table.name == name)
            and type_ in (ALL, backup.type)
            and (first is None or backup.created_ms >= first * 1000)
            and (last is None or backup.created_ms < last * 1000)
        )

    def read(snapshot: Snapshot) -> list[Backup]:
        found: list[Backup] = []
        for backup in backups.listed(snapshot, start):
            if fits(backup):
                found.append(backup)
                if len(found) > limit:
                    break
        return found

    found = await region.read(read)
    answer: Answer = {"BackupSummaries": [_summary(region, backup) for backup in found[:limit]]}
    if len(found) > limit:
        answer["LastEvaluatedBackupArn"] = arn_of(region, found[limit - 1])
    return answer


# ARNs


def arn_of(region: Region, backup: Backup) -> str:
    return region.arn(f"table/{backup.table.name}/backup/{backup.id}")


def find(region: Region, snapshot: Snapshot, text: str) -> Backup:
    """The backup that the ARN names. The service does not look at the region of the ARN."""
    id_ = _parse(region, text)
    found = backups.find(snapshot, id_)
    arn = arns.parse(text)
    if found is None or arn is None or arn.table != found.table.name:
        raise backup_errors.backup_not_found(text)
    return found


def _parse(region: Region, text: str) -> str:
    """The id of the backup that an ARN names."""
    arn = arns.parse(text)
    if arn is None:
        raise backup_errors.job_arn_invalid("Backup")
    if (arn.partition, arn.service) != ("aws", "dynamodb") or REGION_NAME.fullmatch(arn.region) is None:
        raise backup_errors.backup_arn_foreign()
    if "/backup/" not in arn.resource:
        raise backup_errors.job_arn_invalid("Backup")
    if arn.account != region.settings.account:
        raise backup_errors.job_denied()
    return arn.resource.rpartition("/")[2]


# Descriptions


def _details(region: Region, backup: Backup) -> Answer:
    details = {
        "BackupArn": arn_of(region, backup),
        "BackupName": backup.name,
        "BackupSizeBytes": backup.size,
        "BackupStatus": backup.status,
        "BackupType": backup.type,
        "BackupCreationDateTime": description.seconds(backup.created_ms),
    }
    if backup.expires_ms is not None:
        details["BackupExpiryDateTime"] = description.seconds(backup.expires_ms)
    return details


def _summary(region: Region, backup: Backup) -> Answer:
    table = backup.table
    return {
        "TableName": table.name,
        "TableId": table.id,
        "TableArn": description.table_arn(region, table),
        **_details(region, backup),
    }


def _description(region: Region, backup: Backup) -> Answer:
    features = _features(backup.table) if backup.type == backups.USER else {}
    return {
        "BackupDetails": _details(region, backup),
        "SourceTableDetails": _source(region, backup),
        "SourceTableFeatureDetails": features,
    }


def _source(region: Region, backup: Backup) -> Answer:
    table = backup.table
    source = {
        "TableName": table.name,
        "TableId": table.id,
        "TableArn": description.table_arn(region, table),
        "TableSizeBytes": backup.size,
        "KeySchema": description.key_schema(table.keys),
        "TableCreationDateTime": description.seconds(table.created_ms),
        "ProvisionedThroughput": _units(table.throughput),
        "ItemCount": backup.items,
        "BillingMode": table.billing_mode,
    }
    if table.on_demand is not None and table.billing_mode == ON_DEMAND:
        source["OnDemandThroughput"] = description.on_demand(table.on_demand)
    return source


def _units(throughput: Throughput | None) -> Answer:
    units = throughput or Throughput(0, 0)
    return {"ReadCapacityUnits": units.read, "WriteCapacityUnits": units.write}


def _index(index: Index) -> Answer:
    described = {
        "IndexName": index.name,
        "KeySchema": description.key_schema(index.keys),
        "Projection": description.projection(index.projection),
    }
    if not index.local:
        described["ProvisionedThroughput"] = _units(index.throughput)
    if index.on_demand is not None:
        described["OnDemandThroughput"] = description.on_demand(index.on_demand)
    return described


def _features(table: Table) -> Answer:
    features: Answer = {}
    for member, indexes in (
        ("LocalSecondaryIndexes", table.local_indexes),
        ("GlobalSecondaryIndexes", table.global_indexes),
    ):
        if indexes:
            features[member] = [_index(index) for index in indexes]
    if table.vector_indexes:
        features["VectorIndexes"] = [description.vector_index(index) for index in table.vector_indexes]
    if table.stream is not None and table.stream.enabled:
        features["StreamDescription"] = {"StreamEnabled": True, "StreamViewType": table.stream.view_type}
    if table.ttl is not None and table.ttl.status in ("ENABLING", "ENABLED"):
        features["TimeToLiveDescription"] = {
            "TimeToLiveStatus": table.ttl.status,
            "AttributeName": table.ttl.attribute,
        }
    if table.encryption is not None:
        features["SSEDescription"] = {
            "Status": table.encryption.status,
            "SSEType": table.encryption.type,
            "KMSMasterKeyArn": table.encryption.key_arn,
        }
    return features
