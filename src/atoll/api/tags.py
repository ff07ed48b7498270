"""TagResource, UntagResource, ListTagsOfResource. Only tables have tags."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from atoll import arns, limits
from atoll.api import table_rules
from atoll.database import catalog
from atoll.database.region import Region
from atoll.database.schema import Table
from atoll.errors import tables as table_errors
from atoll.storage.engine import Snapshot, Transaction

Body = dict[str, Any]
Answer = dict[str, Any]

PAGE = 10
"""The page size of ListTagsOfResource."""


async def tag_resource(region: Region, body: Body) -> Answer:
    name = _table_name(region, body["ResourceArn"])
    if not body["Tags"]:
        raise table_errors.nothing_to_tag()
    table_rules.check_tags(body["Tags"])
    given = {tag["Key"]: tag["Value"] for tag in body["Tags"]}

    now_ms = region.clock.now_ms()

    def tag(tx: Transaction) -> None:
        table = _table(region, tx, name, body["ResourceArn"], now_ms)
        tags = {**dict(table.tags), **given}
        if len(tags) > limits.TAGS:
            raise table_errors.too_many_tags()
        catalog.save(tx, replace(table, tags=tuple(tags.items())))

    await region.transact(tag)
    return {}


async def untag_resource(region: Region, body: Body) -> Answer:
    name, unwanted = _table_name(region, body["ResourceArn"]), set(body["TagKeys"])
    if not unwanted:
        raise table_errors.nothing_to_untag()

    now_ms = region.clock.now_ms()

    def untag(tx: Transaction) -> None:
        table = _table(region, tx, name, body["ResourceArn"], now_ms)
        catalog.save(tx, replace(table, tags=tuple(tag for tag in table.tags if tag[0] not in unwanted)))

    await region.transact(untag)
    return {}


async def list_tags_of_resource(region: Region, body: Body) -> Answer:
    arn = body["ResourceArn"]
    name = _table_name(region, arn)
    now_ms = region.clock.now_ms()
    table = await region.read(lambda snapshot: _table(region, snapshot, name, arn, now_ms))
    after = body.get("NextToken") or ""
    tags = [tag for tag in sorted(table.tags) if tag[0] > after]
    answer: Answer = {"Tags": [{"Key": key, "Value": value} for key, value in tags[:PAGE]]}
    if len(tags) > PAGE:
        answer["NextToken"] = tags[PAGE - 1][0]
    return answer


def _table_name(region: Region, arn: str) -> str:
    given = arns.parse(arn)
    if given is None or (given.partition, given.service) != ("aws", "dynamodb"):
        raise table_errors.invalid_resource_arn(arn)
    kind, _, name = given.resource.partition("/")
    if kind != "table" or not name or ":" in name:
        raise table_errors.invalid_resource_arn(arn)
    if (given.region, given.account) != (region.name, region.settings.account):
        raise table_errors.foreign_resource(arn, region.settings.account)
    return name


def _table(region: Region, snapshot: Snapshot, name: str, arn: str, now_ms: int) -> Table:
    table = region.catalog.find(snapshot, name)
    if table is None or table.gone_at(now_ms):
        raise table_errors.resource_arn_not_found(arn)
    return table
