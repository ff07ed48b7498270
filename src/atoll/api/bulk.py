"""StartBulkPutItems, DescribeBulkOperation, ListBulkOperations, CancelBulkOperation. `transfer.bulk_puts` has the
steps."""

from __future__ import annotations

import uuid
from dataclasses import replace
from typing import Any

from atoll import arns, limits
from atoll.api import description, jobs
from atoll.api.imports import check_installed
from atoll.api.table_names import table_name
from atoll.database import backups
from atoll.database.region import Region
from atoll.errors import backups as backup_errors
from atoll.errors import bulk as errors
from atoll.errors import exports as export_errors
from atoll.errors import multi as multi_errors
from atoll.recovery import long_jobs
from atoll.storage.engine import Snapshot, Transaction
from atoll.transfer import bulk
from atoll.transfer.bulk import CANCELLING, TABLE, UNDER_WAY, VECTOR, Bulk, Output
from atoll.versions import Stamp

Body = dict[str, Any]
Answer = dict[str, Any]


async def start_bulk_put_items(region: Region, body: Body) -> Answer:
    name, source, target = table_name(region, body), body["InputS3Configuration"], body["OutputS3Configuration"]
    if "S3Bucket" not in target:
        raise errors.output_bucket_missing()
    if "S3SseKmsKeyId" in target and target.get("S3SseAlgorithm") != "KMS":
        raise export_errors.key_without_kms()
    check_installed(source["InputFormat"], source.get("InputCompressionType"))
    token = body.get("ClientToken")

    def begin(tx: Transaction, stamp: Stamp) -> Bulk:
        known = jobs.begun_with(bulk.listed(tx, jobs.tokens_since_ms(stamp.now_ms)), token)
        if known is not None:
            if known.request != body:
                raise multi_errors.token_mismatch()
            return known
        table = region.catalog.changeable(tx, name, stamp.now_ms)
        if sum(job["kind"] == bulk.JOB for job in long_jobs.listed(tx)) >= limits.BULK_OPERATIONS:
            raise errors.too_many(limits.BULK_OPERATIONS)
        id_ = backups.new_id(stamp.now_ms)
        one = Bulk(
            id=id_,
            arn=region.arn(f"table/{name}/bulk-operation/{id_}"),
            table=name,
            table_id=table.id,
            request=body,
            token=token or str(uuid.uuid4()),
            started_ms=stamp.now_ms,
            outputs=tuple(map(Output, dict.fromkeys(target["OutputType"]))),
        )
        bulk.begin(tx, one)
        return one

    one = await region.write(begin)
    region.wake()
    return {"BulkOperationDescription": _description(region, one)}


async def describe_bulk_operation(region: Region, body: Body) -> Answer:
    one = await region.read(lambda snapshot: _find(region, snapshot, body["BulkOperationArn"]))
    return {"BulkOperationDescription": _description(region, one)}


async def cancel_bulk_operation(region: Region, body: Body) -> Answer:
    text = body["BulkOperationArn"]

    def cancel(tx: Transaction, stamp: Stamp) -> None:
        one = _find(region, tx, text)
        if one.status not in UNDER_WAY:
            raise errors.has_ended(one.status)
        bulk.put(tx, replace(one, status=CANCELLING))

    await region.write(cancel)
    region.wake()
    return {"BulkOperationArn": text, "BulkOperationStatus": CANCELLING}


def _find(region: Region, snapshot: Snapshot, text: str) -> Bulk:
    arn = arns.parse(text)
    if arn is None or "/bulk-operation/" not in arn.resource:
        raise errors.arn_invalid()
    if arn.account != region.settings.account:
        raise backup_errors.job_denied()
    one = bulk.find(snapshot, arn.resource.rpartition("/")[2])
    if one is None or one.arn != text:
        raise errors.not_found(text)
    return one


async def list_bulk_operations(region: Region, body: Body) -> Answer:
    since_ms = jobs.kept_since_ms(region.clock.now_ms())
    found = await region.read(lambda snapshot: list(bulk.listed(snapshot, since_ms)))
    page, more = jobs.page(found, body.get("NextToken"), body.get("MaxResults"), jobs.padded_token)
    return {"BulkOperationsSummaryList": [_summary(one) for one in page], **more}


def _summary(one: Bulk) -> Answer:
    summary: Answer = {
        "BulkOperationArn": one.arn,
        "BulkOperationStatus": one.status,
        "StartTime": description.seconds(one.started_ms),
    }
    if one.ended_ms is not None:
        summary["EndTime"] = description.seconds(one.ended_ms)
    return summary


def _description(region: Region, one: Bulk) -> Answer:
    owner = {"S3BucketOwner": region.settings.account}
    described: Answer = {
        **_summary(one),
        "TableDetails": [{"TableName": one.request["TableName"], "TableId": one.table_id}],
        "ClientToken": one.token,
        "InputS3Configuration": {**owner, "InputCompressionType": "NONE", **one.request["InputS3Configuration"]},
        "OutputS3Configuration": {**owner, **one.request["OutputS3Configuration"]},
        "ProcessedItemCount": one.processed,
        "FailedItemCount": one.failed,
        "ProcessedInputBytes": one.read,
        "BulkOperationUsage": [_usage(one)],
        "PerformanceTier": one.tier,
    }
    if one.total_size is not None:
        described["TotalInputBytes"] = one.total_size
    if one.rate is not None:
        described["MaxWriteRequestUnits"] = one.rate
    if one.failure is not None:
        described["FailureCode"], described["FailureMessage"] = one.failure
    return described


def _usage(one: Bulk) -> Answer:
    usage: Answer = {
        "TableName": one.request["TableName"],
        "BulkPutBytes": sum(size for kind, _, size in one.used if kind != VECTOR),
        TABLE: {"BulkPutBytes": sum(size for kind, _, size in one.used if kind == TABLE)},
    }
    for kind, name, size in one.used:
        if kind != TABLE:
            usage.setdefault(kind, {})[name] = {"BulkPutVectorBytes" if kind == VECTOR else "BulkPutBytes": size}
    return usage
