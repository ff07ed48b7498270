"""CreateTable, DescribeTable, ListTables, UpdateTable, DeleteTable."""

from __future__ import annotations

import uuid
from dataclasses import replace
from typing import Any

from atoll import limits
from atoll.api import definitions, table_rules
from atoll.api.binding import table_name
from atoll.api.description import describe
from atoll.api.large import aside
from atoll.capacity import throttling
from atoll.database import catalog, deletion, streams
from atoll.database.log import shards
from atoll.database.region import Region
from atoll.database.schema import Index, Table
from atoll.errors import tables as table_errors
from atoll.storage.engine import Snapshot, Transaction

Body = dict[str, Any]
Answer = dict[str, Any]


async def create_table(region: Region, body: Body) -> Answer:
    if type(body) is dict:
        table_rules.check_create(body)
    else:
        await aside(table_rules.check_create, body)
    name = table_name(region, body)
    now_ms, id_ = region.clock.now_ms(), str(uuid.uuid4())

    def create(tx: Transaction) -> Answer:
        existing = region.catalog.find(tx, name)
        if existing is not None and not existing.gone_at(now_ms):
            raise table_errors.table_exists(name)
        if existing is None and len(region.catalog.tables(tx)) >= limits.TABLES:
            raise table_errors.too_many_tables()
        if existing is not None:
            deletion.drop(tx, existing, now_ms)
        table = Table(
            name=name,
            id=id_,
            space=catalog.new_space(tx),
            log_space=catalog.new_space(tx),
            created_ms=now_ms,
            **_until_due(region, "CREATING", now_ms),
            keys=definitions.key_schema(body),
            indexes=definitions.indexes(body, lambda: catalog.new_space(tx)),
            **definitions.settings(body, region, now_ms),
        )
        table = shards.open_first(tx, table, now_ms)
        stream = body.get("StreamSpecification")
        if stream is not None and stream.get("StreamEnabled"):
            table = streams.enable(tx, region, table, stream["StreamViewType"], now_ms)
        catalog.save(tx, table)
        return {"TableDescription": _described_as(region, tx, "CREATING", table, now_ms)}

    return await region.transact(create)


def _until_due(region: Region, status: str, now_ms: int) -> dict[str, Any]:
    """The fields of a transitional status, or ACTIVE without a delay: setting the clock back would restore it."""
    delay_ms = region.settings.control_plane_delay_ms
    return {"status": status if delay_ms else "ACTIVE", "due_ms": now_ms + delay_ms}


def _described_as(region: Region, tx: Transaction, status: str, table: Table, now_ms: int) -> Answer:
    """The table for the answer to its creation or change: always with the transitional status."""
    return describe(region, tx, replace(table, status=status, due_ms=now_ms + 1), now_ms)


async def describe_table(region: Region, body: Body) -> Answer:
    name, now_ms = table_name(region, body), region.clock.now_ms()

    def read(snapshot: Snapshot) -> Answer:
        table = region.catalog.described(snapshot, name, now_ms)
        return {"Table": describe(region, snapshot, table, now_ms)}

    return await region.read(read)


async def list_tables(region: Region, body: Body) -> Answer:
    limit = body.get("Limit") or limits.LIST_TABLES_LIMIT
    after = body.get("ExclusiveStartTableName") or ""
    now_ms = region.clock.now_ms()

    def read(snapshot: Snapshot) -> list[str]:
        return [t.name for t in region.catalog.tables(snapshot) if t.name > after and not t.gone_at(now_ms)]

    names = await region.read(read)
    answer: Answer = {"TableNames": names[:limit]}
    if len(names) > limit:
        answer["LastEvaluatedTableName"] = names[limit - 1]
    return answer


async def delete_table(region: Region, body: Body) -> Answer:
    name, now_ms = table_name(region, body), region.clock.now_ms()

    def delete(tx: Transaction) -> Answer:
        table = region.catalog.described(tx, name, now_ms)
        status = table.status_at(now_ms)
        if status == "CREATING":
            raise table_errors.table_being_created(name)
        if status == "UPDATING":
            raise table_errors.table_being_updated(name)
        if table.deletion_protection:
            raise table_errors.table_protected()
        if status != "DELETING":
            due_ms = now_ms + region.settings.control_plane_delay_ms
            table = replace(table, status="DELETING", due_ms=due_ms)
            if due_ms <= now_ms:
                deletion.drop(tx, table, now_ms)
            else:
                catalog.save(tx, table)
        return {"TableDescription": _leaving(describe(region, tx, table, now_ms))}

    answer = await region.transact(delete)
    region.wake()
    return answer


def _leaving(description: Answer) -> Answer:
    """The description of a table that is being deleted, without its parts that are already gone."""
    for member in ("AttributeDefinitions", "KeySchema", "CreationDateTime", "LocalSecondaryIndexes"):
        description.pop(member, None)
    description.pop("GlobalSecondaryIndexes", None)
    return description


async def update_table(region: Region, body: Body) -> Answer:
    name, now_ms = table_name(region, body), region.clock.now_ms()
    table_rules.check_update(body)

    def update(tx: Transaction) -> tuple[Table, Table, Answer]:
        table = region.catalog.changeable(tx, name, now_ms)
        table_rules.check_update_of(table, body, now_ms)
        changed = _changed(tx, region, table, body, now_ms)
        changed = replace(changed, **_until_due(region, "UPDATING", now_ms))
        catalog.save(tx, changed)
        return table, changed, {"TableDescription": _described_as(region, tx, "UPDATING", changed, now_ms)}

    before, after, answer = await region.transact(update)
    throttling.change(region, before, after)
    region.wake()
    return answer


def _changed(tx: Transaction, region: Region, table: Table, body: Body, now_ms: int) -> Table:
    """The table with the request's changes; `table_rules` has checked that they are of one kind."""
    changed = definitions.with_capacity(table, body, now_ms)
    changed = definitions.with_settings(changed, body, region, now_ms)
    for entry in body.get("GlobalSecondaryIndexUpdates") or ():
        due_ms = now_ms + region.settings.control_plane_delay_ms
        changed = _with_index_change(tx, changed, entry, body, now_ms, due_ms)
    stream = body.get("StreamSpecification")
    if stream is not None:
        if stream["StreamEnabled"]:
            changed = streams.enable(tx, region, changed, stream["StreamViewType"], now_ms)
        else:
            changed = streams.disable(tx, region, changed, now_ms)
    capacity = (changed.throughput, changed.billing_mode, changed.warm)
    if capacity != (table.throughput, table.billing_mode, table.warm):
        changed = shards.repartition(tx, changed, now_ms)
    return changed


def _with_index_change(tx: Transaction, table: Table, entry: Body, body: Body, now_ms: int, due_ms: int) -> Table:
    if "Create" in entry:
        declared = definitions.types(table, body)
        index = definitions.global_index(entry["Create"], declared, catalog.new_space(tx), table.billing_mode)
        index = replace(index, status="CREATING", backfilling=True, due_ms=due_ms)
        return replace(table, indexes=(*table.indexes, index))
    if "Delete" in entry:
        return table.with_index(replace(_index(table, entry["Delete"]), status="DELETING", due_ms=due_ms))
    index = definitions.with_index_capacity(table, _index(table, entry["Update"]), entry["Update"], now_ms)
    return table.with_index(replace(index, status="UPDATING", due_ms=due_ms))


def _index(table: Table, entry: Body) -> Index:
    index = table.index(entry["IndexName"])
    assert index is not None  # checked by table_rules
    return index
