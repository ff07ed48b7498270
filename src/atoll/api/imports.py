"""ImportTable, DescribeImport, ListImports. `transfer.imports` reads the files."""

from __future__ import annotations

import importlib.util
import uuid
from typing import Any

from atoll import arns, limits
from atoll.api import definitions, description, exports, table_rules
from atoll.api.table_names import resolve_table
from atoll.aside import aside
from atoll.clock import Stamp
from atoll.database import backups
from atoll.database.region import Region
from atoll.database.schema import Table
from atoll.errors import backups as backup_errors
from atoll.errors import imports as errors
from atoll.recovery import long_jobs
from atoll.storage.engine import Snapshot, Transaction
from atoll.transfer import imports
from atoll.transfer.imports import Import
from atoll.transfer.parsing import CSV, ION

Body = dict[str, Any]
Answer = dict[str, Any]

_TOKEN_WORD = 16
_TOKEN_CHARS = 112
"""The least number of hexadecimal digits of a token, as the error text has it."""


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
        known = None if token is None else _repeated(tx, token, name, stamp.now_ms)
        if known is not None:
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


def _repeated(snapshot: Snapshot, token: str, name: str, now_ms: int) -> Import | None:
    """The import that an earlier request with the token began. Like the service, ignore it if the source differs."""
    for one in imports.listed(snapshot, now_ms - limits.EXPORT_TOKEN_MS + 1):
        if one.token == token:
            if one.table.name != name:
                raise errors.conflict()
            return one
    return None


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
    refused = exports.no_job(region, "Import", text)
    one = None
    if refused.code == "ImportNotFoundException":
        id_ = text.rpartition("/")[2]
        one = await region.read(lambda snapshot: imports.find(snapshot, id_))
    if one is None or one.arn != text:
        raise refused
    return {"ImportTableDescription": _description(region, one)}


async def list_imports(region: Region, body: Body) -> Answer:
    exports.check_list(region, body)
    table_arn, limit = body.get("TableArn"), body.get("PageSize") or limits.EXPORTS_LISTED
    since_ms = region.clock.now_ms() - limits.EXPORTS_KEPT_MS + 1
    table = None if table_arn is None else arns.parse(table_arn)

    def read(snapshot: Snapshot) -> list[Import]:
        return [
            one for one in imports.listed(snapshot, since_ms) if table is None or _table_arn(region, one) == str(table)
        ]

    found = (await region.read(read))[::-1]
    token = body.get("NextToken")
    if token is not None:
        tokens = [page_token(one.id) for one in found]
        if token not in tokens:
            raise backup_errors.next_token_invalid(token)
        found = found[tokens.index(token) + 1 :]
    answer: Answer = {"ImportSummaryList": [_summary(region, one) for one in found[:limit]]}
    if len(found) > limit:
        answer["NextToken"] = page_token(found[limit - 1].id)
    return answer


def page_token(id_: str) -> str:
    digits = id_.encode().hex()
    return digits.ljust(max(_TOKEN_CHARS, -(-len(digits) // _TOKEN_WORD) * _TOKEN_WORD), "0")


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
