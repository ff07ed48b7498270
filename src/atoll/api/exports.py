"""ExportTableToPointInTime, DescribeExport, ListExports. `transfer.exports` writes the files."""

from __future__ import annotations

import uuid
from typing import Any

from atoll import arns
from atoll.api import description, jobs, recovery
from atoll.database import backups, catalog, moment
from atoll.database.region import Region
from atoll.database.schema import Table
from atoll.durations import instant
from atoll.errors import backups as backup_errors
from atoll.errors import exports as export_errors
from atoll.recovery import copies
from atoll.recovery.copies import Copy
from atoll.storage.engine import Snapshot, Transaction
from atoll.transfer import exports
from atoll.transfer.exports import BOTH_IMAGES, FULL, INCREMENTAL, JSON, Export
from atoll.transfer.filters import Filter
from atoll.transfer.jobs import COMPLETED
from atoll.versions import Stamp

Body = dict[str, Any]
Answer = dict[str, Any]

LEAST_WINDOW_MS = 15 * 60 * 1000
MOST_WINDOW_MS = 24 * 3600 * 1000

_ECHOED = ("S3BucketOwner", "S3Prefix", "S3SseKmsKeyId", "ExportFormat", "FilterSpecification")
"""Members that descriptions repeat as they were sent."""


async def export_table_to_point_in_time(region: Region, body: Body) -> Answer:
    name = _table_of(region, body["TableArn"])
    _check_members(body)
    token = body.get("ClientToken")

    def begin(tx: Transaction, stamp: Stamp) -> Export:
        known = jobs.begun_with(exports.listed(tx, jobs.tokens_since_ms(stamp.now_ms)), token)
        if known is not None:
            if known.request != body:
                raise export_errors.conflict()
            return known
        table = region.catalog.find(tx, name)
        if table is None or table.gone_at(stamp.now_ms) or table.origin is not None:
            raise backup_errors.table_not_found(body["TableArn"])
        export = _new(region, table, body, stamp.now_ms)
        exports.put(tx, export)
        began_ms = export.moment_ms if export.from_ms is None else export.from_ms - 1
        source = moment.source_of(table)
        is_present = export.type == FULL and body.get("ExportTime") is None and not recovery.lags(region)
        copy = Copy(
            id=str(uuid.uuid4()),
            kind=exports.JOB,
            region=region.name,
            source=source,
            space=catalog.new_space(tx),
            target=export.id,
            table=name,
            moment_ms=began_ms,
            start=moment.at_end(tx, source) if is_present else None,
        )
        copies.save(tx, copy)
        return export

    export = await region.write(begin)
    region.wake()
    return {"ExportDescription": _description(export)}


def _table_of(region: Region, text: str) -> str:
    arn = arns.parse(text)
    if arn is None:
        raise backup_errors.table_arn_invalid()
    if not arn.table or arn.resource != f"table/{arn.table}":
        raise export_errors.table_arn()
    if arn.account != region.settings.account:
        raise backup_errors.job_denied()
    if (arn.partition, arn.region) != ("aws", region.name):
        raise backup_errors.table_not_found(text)
    return arn.table


def _check_members(body: Body) -> None:
    if "S3SseKmsKeyId" in body and body.get("S3SseAlgorithm") != "KMS":
        raise export_errors.key_without_kms()
    type_, window = body.get("ExportType"), body.get("IncrementalExportSpecification")
    if window is not None and type_ is None:
        raise export_errors.not_incremental()
    if window is not None and type_ == FULL:
        raise export_errors.window_of_full_export()
    if type_ == INCREMENTAL and window is None:
        raise export_errors.window_missing()
    if type_ == INCREMENTAL and "ExportFromTime" not in (window or {}):
        raise export_errors.from_time_missing()
    if "FilterSpecification" in body:
        if not body["FilterSpecification"]:
            raise export_errors.filter_empty()
        Filter(body["FilterSpecification"])


def _new(region: Region, table: Table, body: Body, now_ms: int) -> Export:
    type_ = body.get("ExportType") or FULL
    moment_ms = from_ms = to_ms = None
    if type_ == INCREMENTAL:
        from_ms, to_ms = _window(region, table, body["IncrementalExportSpecification"], now_ms)
    else:
        moment_ms = _moment(region, table, body.get("ExportTime"), now_ms)
    return Export(
        id=backups.new_id(now_ms),
        table=table.name,
        table_arn=body["TableArn"],
        table_id=table.id,
        type=type_,
        format=body.get("ExportFormat") or JSON,
        bucket=body["S3Bucket"],
        prefix=body.get("S3Prefix") or "",
        started_ms=now_ms,
        token=body.get("ClientToken") or str(uuid.uuid4()),
        request=body,
        moment_ms=moment_ms,
        from_ms=from_ms,
        to_ms=to_ms,
        view=(body.get("IncrementalExportSpecification") or {}).get("ExportViewType") or BOTH_IMAGES,
        least_files=len(table.shards),
    )


def _moment(region: Region, table: Table, asked: float | None, now_ms: int) -> int:
    if table.recovery is None:
        raise backup_errors.recovery_off(table.name)
    window = recovery.window(region, table.recovery, now_ms)
    if asked is None:
        return window.latest_ms
    asked_ms = int(instant(asked) * 1000)
    if asked_ms > now_ms or asked_ms // 1000 < window.earliest_ms // 1000:
        raise export_errors.time_invalid()
    found = window.moment(asked_ms)
    if found is None:
        raise export_errors.time_too_late()
    return found


def _window(region: Region, table: Table, given: Body, now_ms: int) -> tuple[int, int]:
    from_ms = int(instant(given["ExportFromTime"]) * 1000)
    if from_ms // 1000 < table.created_ms // 1000:
        raise export_errors.window_before_table(table.created_ms)
    if table.recovery is None:
        raise backup_errors.recovery_off(table.name)
    window = recovery.window(region, table.recovery, now_ms)
    to_ms = int(instant(given["ExportToTime"]) * 1000) if "ExportToTime" in given else window.latest_ms
    if to_ms > now_ms:
        raise export_errors.window_in_future(now_ms)
    if to_ms - from_ms < LEAST_WINDOW_MS:
        raise export_errors.window_short()
    if to_ms - from_ms > MOST_WINDOW_MS:
        raise export_errors.window_long()
    if from_ms // 1000 < window.earliest_ms // 1000:
        raise export_errors.time_invalid()
    return max(from_ms, window.earliest_ms), to_ms


# Reading


async def describe_export(region: Region, body: Body) -> Answer:
    text = body["ExportArn"]
    refused = jobs.no_job(region, "Export", text)
    arn = arns.parse(text)
    export = None
    if refused.code == "ExportNotFoundException" and arn is not None:
        id_ = arn.resource.rpartition("/")[2]
        export = await region.read(lambda snapshot: exports.find(snapshot, id_))
    if export is None or arn is None or _arn(export) != text:
        raise refused
    return {"ExportDescription": _description(export)}


async def list_exports(region: Region, body: Body) -> Answer:
    jobs.check_list(region, body)
    table_arn = body.get("TableArn")
    now_ms = region.clock.now_ms()

    def read(snapshot: Snapshot) -> list[Export]:
        table = None
        if table_arn is not None:
            arn = arns.parse(table_arn)
            table = None if arn is None else region.catalog.find(snapshot, arn.table)
            if table is None:
                return []
        return [
            export
            for export in exports.listed(snapshot, jobs.kept_since_ms(now_ms))
            if table is None or export.table_id == table.id
        ]

    page, more = jobs.page(await region.read(read), body.get("NextToken"), body.get("MaxResults"), lambda id_: id_)
    return {"ExportSummaries": [_summary(export) for export in page], **more}


def _arn(export: Export) -> str:
    return f"{export.table_arn}/export/{export.id}"


def _summary(export: Export) -> Answer:
    return {"ExportArn": _arn(export), "ExportStatus": export.status, "ExportType": export.type}


def _description(export: Export) -> Answer:
    seconds = description.seconds
    described: Answer = {
        "ExportArn": _arn(export),
        "ExportStatus": export.status,
        "StartTime": seconds(export.started_ms),
        "TableArn": export.table_arn,
        "TableId": export.table_id,
        "ClientToken": export.token,
        "S3Bucket": export.bucket,
        "S3SseAlgorithm": export.request.get("S3SseAlgorithm", "AES256"),
        "ExportFormat": export.format,
        "DestinationType": "S3",
        **{member: export.request[member] for member in _ECHOED if member in export.request},
    }
    if "ExportType" in export.request:
        described["ExportType"] = export.type
    if export.from_ms is not None and export.to_ms is not None:
        described["IncrementalExportSpecification"] = {
            **export.request["IncrementalExportSpecification"],
            "ExportToTime": export.to_ms // 1000,
        }
    elif export.moment_ms is not None:
        described["ExportTime"] = seconds(export.moment_ms)
    if export.ended_ms is not None:
        described["EndTime"] = seconds(export.ended_ms)
    if export.status == COMPLETED:
        described |= {
            "ExportManifest": export.manifest,
            "ItemCount": export.items,
            "BilledSizeBytes": exports.billed(export),
        }
    if export.failure is not None:
        described["FailureCode"], described["FailureMessage"] = export.failure
    return described
