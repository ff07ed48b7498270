"""Answers about features that no table has yet: backups, exports, imports, contributor insights, Kinesis destinations.

Each operation finds nothing, with the service's own errors for unknown tables and bad input, so tools that read
everything about a table can read one.
"""

from __future__ import annotations

import re
from typing import Any

from atoll import arns
from atoll.api import phases
from atoll.api.table_names import table_name
from atoll.database.region import Region
from atoll.database.schema import Table
from atoll.errors import ApiError
from atoll.errors import features as feature_errors
from atoll.errors import tables as table_errors

Body = dict[str, Any]

REGION_NAME = re.compile(r"[a-z]{2,}(-[a-z]+)+-\d+")
NAME_CHARS = (3, 255)


async def _table(region: Region, body: Body) -> Table:
    name, now_ms = table_name(region, body), region.clock.now_ms()
    return await region.read(lambda snapshot: region.catalog.described(snapshot, name, now_ms))


async def _table_with_insights(region: Region, body: Body) -> Table:
    table = await _table(region, body)
    if phases.creating_before(region, table, region.clock.now_ms(), phases.UNKNOWN):
        raise table_errors.table_not_found(table.name)
    return table


# Backups


async def describe_continuous_backups(region: Region, body: Body) -> Body:
    """Backups of a table become possible some time after its creation, with a delay of the control plane only."""
    name, now_ms = table_name(region, body), region.clock.now_ms()
    table = await region.read(lambda snapshot: region.catalog.find(snapshot, name))
    if (
        table is None
        or table.gone_at(now_ms)
        or phases.creating_before(region, table, now_ms, phases.UNKNOWN)
        or phases.deleting_after(region, table, now_ms)
    ):
        raise feature_errors.table_not_found(name)
    delay_ms = region.settings.control_plane_delay_ms
    ready = now_ms >= table.created_ms + delay_ms + delay_ms // 2
    return {
        "ContinuousBackupsDescription": {
            "ContinuousBackupsStatus": "ENABLED" if ready else "DISABLED",
            "PointInTimeRecoveryDescription": {"PointInTimeRecoveryStatus": "DISABLED"},
        }
    }


async def list_backups(region: Region, body: Body) -> Body:
    if "TableName" in body:
        table_name(region, body)
    first, last = body.get("TimeRangeLowerBound"), body.get("TimeRangeUpperBound")
    if first is not None and last is not None and first > last:
        raise feature_errors.time_range_reversed()
    return {"BackupSummaries": []}


async def describe_backup(region: Region, body: Body) -> Body:
    text = body["BackupArn"]
    arn = arns.parse(text)
    if arn is None:
        raise feature_errors.job_arn_invalid("Backup")
    if (arn.partition, arn.service) != ("aws", "dynamodb") or REGION_NAME.fullmatch(arn.region) is None:
        raise feature_errors.backup_arn_foreign()
    if "/backup/" not in arn.resource:
        raise feature_errors.job_arn_invalid("Backup")
    if arn.account != region.settings.account:
        raise feature_errors.job_denied()
    raise feature_errors.backup_not_found(text)


# Exports and imports


def _no_job(region: Region, kind: str, text: str) -> ApiError:
    arn = arns.parse(text)
    if arn is None or f"/{kind.lower()}/" not in arn.resource:
        return feature_errors.job_arn_invalid(kind)
    if arn.account != region.settings.account:
        return feature_errors.job_denied()
    if arn.region != region.name:
        return feature_errors.job_elsewhere(kind)
    return feature_errors.job_not_found(kind, text)


def _check_list(region: Region, body: Body) -> None:
    table, token = body.get("TableArn"), body.get("NextToken")
    arn = None if table is None else arns.parse(table)
    if table is not None and arn is None:
        raise feature_errors.table_arn_invalid()
    if arn is not None and arn.account != region.settings.account:
        raise feature_errors.job_denied()
    if token is not None:
        raise feature_errors.next_token_invalid(token)


async def list_exports(region: Region, body: Body) -> Body:
    _check_list(region, body)
    return {"ExportSummaries": []}


async def describe_export(region: Region, body: Body) -> Body:
    raise _no_job(region, "Export", body["ExportArn"])


async def list_imports(region: Region, body: Body) -> Body:
    _check_list(region, body)
    return {"ImportSummaryList": []}


async def describe_import(region: Region, body: Body) -> Body:
    raise _no_job(region, "Import", body["ImportArn"])


# Global tables


def global_table_name(body: Body) -> str:
    """Of an operation of 2017."""
    name: str = body["GlobalTableName"]
    if not NAME_CHARS[0] <= len(name) <= NAME_CHARS[1]:
        raise feature_errors.global_table_name_length()
    return name


# Contributor insights and Kinesis destinations


async def describe_contributor_insights(region: Region, body: Body) -> Body:
    index = body.get("IndexName")
    if index is not None and not NAME_CHARS[0] <= len(index) <= NAME_CHARS[1]:
        raise feature_errors.index_name_length()
    table = await _table_with_insights(region, body)
    answer: Body = {"TableName": table.name, "ContributorInsightsStatus": "DISABLED"}
    if index is None:
        return answer
    found = table.index(index)
    if found is None or found.local:
        raise feature_errors.index_not_found(index, table.name)
    return {**answer, "IndexName": index}


async def list_contributor_insights(region: Region, body: Body) -> Body:
    if "TableName" in body:
        await _table_with_insights(region, body)
    return {"ContributorInsightsSummaries": []}


async def describe_kinesis_streaming_destination(region: Region, body: Body) -> Body:
    table = await _table(region, body)
    return {"TableName": table.name, "KinesisDataStreamDestinations": []}
