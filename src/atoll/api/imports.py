"""ImportTable, DescribeImport, ListImports. `transfer.imports` reads the files."""

from __future__ import annotations

import importlib.util
import uuid
from typing import Any

from atoll import arns, limits
from atoll.api import definitions, description, jobs, table_rules
from atoll.api.table_names import resolve_table
from atoll.aside import aside
from atoll.database import backups
from atoll.database.region import Region
from atoll.database.schema import Table
from atoll.errors import imports as errors
from atoll.recovery import long_jobs
from atoll.storage.engine import Snapshot, Transaction
from atoll.transfer import imports
from atoll.transfer.imports import Import
from atoll.transfer.parsing import CSV, ION
from atoll.versions import Stamp

Body = dict[str, Any]
Answer = dict[str, Any]


async def import_table(region: Region, body: Body) -> Answer:
    parameters, format_ = body["TableCreationParameters"], body["InputFormat"]
    if body.get("InputFormatOptions") and format_ != CSV:
        raise errors.options(format_)
    if type(body) is dict:
        table_rules.check_create(parameters)
    else:
        await aside(table_rules.check_create, parameters)
    name = resolve_table(region, parameters["TableName"])
    check_installed(format_, body.get("InputCompressionType"))
    token = body.get("ClientToken")

    def begin(tx: Transaction, stamp: Stamp) -> Import:
        existing = region.catalog.find(tx, name)
        if existing is not None and not existing.gone_at(now := stamp.now_ms) and existing.status_at(now) != "CREATING":
            raise errors.table_exists(name)
        known = jobs.begun_with(imports.listed(tx, jobs.tokens_since_ms(stamp.now_ms)), token)
        if known is not None:
            # Like the service, ignore a different source.
            if known.table.name != name:
                raise errors.conflict()
            return known
        if sum(job["kind"] == imports.JOB for job in long_jobs.listed(tx)) >= limits.IMPORTS:
            raise errors.too_many()
        id_ = backups.new_id(stamp.now_ms)
        one = Import(
            id=id_,
            arn=region.arn(f"table/{name}/import/{id_}"),
            table=_table(region, name, parameters, stamp.now_ms),
            request=body,
            token=token or str(uuid.uuid4()),
            started_ms=stamp.now_ms,
        )
        imports.begin(tx, one)
        return one

    one = await region.write(begin)
    region.wake()
    return {"ImportTableDescription": _description(region, one)}


def check_installed(format_: str, compression: str | None) -> None:
    for is_needed, package, module in (
        (format_ == ION, "amazon.ion", "amazon"),
        (compression == "ZSTD", "zstandard", "zstandard"),
    ):
        if is_needed and importlib.util.find_spec(module) is None:
            raise errors.not_installed(package)


def _table(region: Region, name: str, parameters: Body, now_ms: int) -> Table:
    """The table to create. It has no key spaces yet: the job chooses them when it creates the table."""
    return Table(
        name=name,
        id=str(uuid.uuid4()),
        space=0,
        log_space=0,
        created_ms=now_ms,
        keys=definitions.key_schema(parameters),
        indexes=definitions.indexes(parameters, lambda: 0),
        vector_indexes=definitions.vector_indexes(parameters, lambda: 0),
        **definitions.settings(parameters, region, now_ms),
    )


# Reading


async def describe_import(region: Region, body: Body) -> Answer:
    text = body["ImportArn"]
    refused = jobs.no_job(region, "Import", text)
    one = None
    if refused.code == "ImportNotFoundException":
        id_ = text.rpartition("/")[2]
        one = await region.read(lambda snapshot: imports.find(snapshot, id_))
    if one is None or one.arn != text:
        raise refused
    return {"ImportTableDescription": _description(region, one)}


async def list_imports(region: Region, body: Body) -> Answer:
    jobs.check_list(region, body)
    table_arn, since_ms = body.get("TableArn"), jobs.kept_since_ms(region.clock.now_ms())
    table = None if table_arn is None else arns.parse(table_arn)

    def read(snapshot: Snapshot) -> list[Import]:
        return [
            one for one in imports.listed(snapshot, since_ms) if table is None or _table_arn(region, one) == str(table)
        ]

    found = await region.read(read)
    page, more = jobs.page(found, body.get("NextToken"), body.get("PageSize"), jobs.padded_token)
    return {"ImportSummaryList": [_summary(region, one) for one in page], **more}


def _table_arn(region: Region, one: Import) -> str:
    return region.arn(f"table/{one.table.name}")


def _log_group(region: Region) -> str:
    return region.arn("log-group:/aws-dynamodb/imports:*", service="logs")


def _source(region: Region, one: Import) -> Answer:
    return {"S3BucketOwner": region.settings.account, **one.request["S3BucketSource"]}


def _summary(region: Region, one: Import) -> Answer:
    summary: Answer = {
        "ImportArn": one.arn,
        "ImportStatus": one.status,
        "TableArn": _table_arn(region, one),
        "S3BucketSource": _source(region, one),
        "CloudWatchLogGroupArn": _log_group(region),
        "InputFormat": one.request["InputFormat"],
        "StartTime": description.seconds(one.started_ms),
    }
    if one.ended_ms is not None:
        summary["EndTime"] = description.seconds(one.ended_ms)
    return summary


def _description(region: Region, one: Import) -> Answer:
    described: Answer = {
        **_summary(region, one),
        "TableId": one.table.id,
        "ClientToken": one.token,
        "ErrorCount": one.errors,
        "InputCompressionType": one.request.get("InputCompressionType", "NONE"),
        "TableCreationParameters": one.request["TableCreationParameters"],
        "ProcessedSizeBytes": one.size,
        "ProcessedItemCount": one.processed,
        "ImportedItemCount": one.imported,
    }
    if "InputFormatOptions" in one.request:
        described["InputFormatOptions"] = one.request["InputFormatOptions"]
    if one.failure is not None:
        described["FailureCode"], described["FailureMessage"] = one.failure
    return described
