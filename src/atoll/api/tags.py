"""TagResource, UntagResource, ListTagsOfResource. Tables have tags, and so does each stream.

A change of a table's tags takes as long as the delay of the control plane: until then the old tags are listed, and no
other change is accepted.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import orjson

from atoll.api import concerns, phases, resource_arns, tag_rules
from atoll.api.resource_arns import TableOrStream
from atoll.database import catalog
from atoll.database.records import dump
from atoll.database.region import Region
from atoll.database.schema import Change, Table
from atoll.database.streams import StreamDescription
from atoll.errors import tables as table_errors
from atoll.errors import tags as tag_errors
from atoll.storage.engine import Snapshot, Transaction

Body = dict[str, Any]
Answer = dict[str, Any]
Tags = dict[str, str]

NOTHING = orjson.Fragment(b"")
"""The answer to a change of tags is empty, not even an object."""


async def tag_resource(region: Region, body: Body) -> Any:
    if not body["Tags"]:
        raise tag_errors.nothing_to_tag()
    tag_rules.check(body["Tags"])
    given = {tag["Key"]: tag["Value"] for tag in body["Tags"]}

    def tagged(tags: Tags) -> Tags:
        merged = {**tags, **given}
        tag_rules.check_set(merged)
        return merged

    return await _change(region, body["ResourceArn"], tagged, given)


async def untag_resource(region: Region, body: Body) -> Any:
    if not body["TagKeys"]:
        raise tag_errors.nothing_to_untag()
    tag_rules.check_keys(body["TagKeys"])
    unwanted = frozenset(body["TagKeys"])
    return await _change(
        region, body["ResourceArn"], lambda tags: {key: tags[key] for key in tags if key not in unwanted}, {}
    )


async def _change(region: Region, arn: str, change: Callable[[Tags], Tags], given: Tags) -> Any:
    target, now_ms = _target(region, arn), region.clock.now_ms()

    def apply(tx: Transaction) -> None:
        if target.stream is not None:
            stream = _stream(tx, target.table, target.stream, arn, now_ms)
            tx.put(stream.key, dump(replace(stream, tags=tuple(change(dict(stream.tags)).items()))))
            return
        table = _table(region, tx, target.table, arn, now_ms)
        old = _visible(table, now_ms)
        tags = change(old)
        _check_lock(table, given, now_ms)
        if tags == old:
            return
        status = table.status_at(now_ms)
        if status == "CREATING":
            raise table_errors.table_being_created(table.name)
        if status == "DELETING":
            raise table_errors.table_being_deleted(table.name)
        delay_ms, changes = region.settings.control_plane_delay_ms, table.under_way(now_ms)
        if delay_ms:
            changes += (Change(concerns.TAGS, now_ms + delay_ms, tags=concerns.shown(table, now_ms).tags),)
        catalog.save(tx, replace(table, tags=tuple(tags.items()), changes=changes))

    await region.transact(apply)
    return NOTHING


def _check_lock(table: Table, given: Tags, now_ms: int) -> None:
    """While tags are being changed, only a request that contains the ongoing change is accepted."""
    for change in table.under_way(now_ms):
        if change.concern == concerns.TAGS:
            ongoing = set(table.tags) - set(change.tags)
            if not ongoing or not ongoing <= set(given.items()):
                raise tag_errors.being_updated(table.name)


async def list_tags_of_resource(region: Region, body: Body) -> Answer:
    """List all tags in one page; a NextToken is ignored."""
    arn, now_ms = body["ResourceArn"], region.clock.now_ms()
    target = _target(region, arn)

    def read(snapshot: Snapshot) -> tuple[tuple[str, str], ...]:
        if target.stream is not None:
            return _stream(snapshot, target.table, target.stream, arn, now_ms).tags
        table = concerns.shown(_table(region, snapshot, target.table, arn, now_ms), now_ms)
        return tuple(_visible(table, now_ms).items())

    return {"Tags": [{"Key": key, "Value": value} for key, value in sorted(await region.read(read))]}


def _target(region: Region, arn: str) -> TableOrStream:
    return resource_arns.target(
        region,
        arn,
        lambda: tag_errors.foreign_resource(arn, region.settings.account),
        lambda: tag_errors.invalid_resource_arn(arn),
    )


def _stream(snapshot: Snapshot, table: str, label: str, arn: str, now_ms: int) -> StreamDescription:
    stream = resource_arns.find_stream(snapshot, table, label, now_ms)
    if stream is None:
        raise tag_errors.resource_not_found_by_arn(arn)
    return stream


def _visible(table: Table, now_ms: int) -> Tags:
    """The tags to list; those of a new table appear when it becomes ACTIVE."""
    return {} if table.status_at(now_ms) == "CREATING" else dict(table.tags)


def _table(region: Region, snapshot: Snapshot, name: str, arn: str, now_ms: int) -> Table:
    table = region.catalog.find(snapshot, name)
    if (
        table is None
        or table.gone_at(now_ms)
        or phases.creating_before(region, table, now_ms, phases.UNTAGGED)
        or phases.deleting_after(region, table, now_ms)
    ):
        raise tag_errors.resource_not_found_by_arn(arn)
    return table
