"""CreateTable, DescribeTable, ListTables, UpdateTable, DeleteTable."""

from __future__ import annotations

import uuid
from dataclasses import replace
from functools import partial
from typing import Any

from atoll import limits
from atoll.api import (
    capacity_rules,
    concerns,
    definitions,
    replica_rules,
    replicas,
    resource_policies,
    table_rules,
    update_rules,
)
from atoll.api.description import describe
from atoll.api.large import LargeBody
from atoll.api.table_names import table_name
from atoll.aside import aside
from atoll.capacity import throttling
from atoll.database import catalog, deletion, past_definitions, streams
from atoll.database.group import MULTI_MASTER
from atoll.database.log import shards
from atoll.database.region import Region
from atoll.database.schema import ON_DEMAND, Index, Table
from atoll.errors import backups as backup_errors
from atoll.errors import changes as change_errors
from atoll.errors import tables as table_errors
from atoll.replication import shared
from atoll.scaling import replicas as scaling_replicas
from atoll.storage.engine import Snapshot, Transaction
from atoll.versions import Stamp

Body = dict[str, Any]
Answer = dict[str, Any]


async def create_table(region: Region, body: Body) -> Answer:
    if type(body) is dict:
        table_rules.check_create(body)
    else:
        await aside(table_rules.check_create, body)
    name, policy = table_name(region, body), resource_policies.of_new_table(body)
    now_ms, id_ = region.clock.now_ms(), str(uuid.uuid4())

    def create(tx: Transaction) -> Answer:
        existing = region.catalog.find(tx, name)
        if existing is not None and existing.origin is not None:
            raise backup_errors.table_restoring(name)
        if existing is not None and not existing.gone_at(now_ms):
            creating = existing.status_at(now_ms) == "CREATING"
            raise table_errors.table_being_created(name) if creating else table_errors.table_exists(name)
        if existing is None and region.settings.quotas and len(region.catalog.tables(tx)) >= limits.TABLES:
            raise table_errors.too_many_tables()
        if existing is not None:
            deletion.drop(tx, existing, now_ms)
        table = Table(
            name=name,
            id=id_,
            space=catalog.new_space(tx),
            log_space=catalog.new_space(tx),
            created_ms=now_ms,
            status="CREATING" if region.settings.control_plane_delay_ms else "ACTIVE",
            due_ms=now_ms + region.settings.control_plane_delay_ms,
            keys=definitions.key_schema(body),
            indexes=definitions.indexes(body, lambda: catalog.new_space(tx)),
            vector_indexes=definitions.vector_indexes(body, lambda: catalog.new_space(tx)),
            **definitions.settings(body, region, now_ms),
        )
        _check_quotas(region, tx, None, table, body)
        table = shards.open_first(tx, table, now_ms)
        stream = body.get("StreamSpecification")
        if stream is not None and stream.get("StreamEnabled"):
            table = streams.enable(tx, region, table, stream["StreamViewType"], now_ms)
        resource_policies.begin(tx, name, policy, now_ms)
        catalog.save(tx, table)
        created = describe(region, tx, replace(table, status="CREATING", due_ms=now_ms + 1), now_ms)
        return {"TableDescription": _of_creation(created, body)}

    return await region.transact(create)


def _of_creation(description: Answer, body: Body) -> Answer:
    """The description in the answer of CreateTable, which lacks some members that DescribeTable has."""
    if "WarmThroughput" not in body:
        del description["WarmThroughput"]
    for index in description.get("GlobalSecondaryIndexes", ()):
        index.pop("WarmThroughput", None)
    description.get("BillingModeSummary", {}).pop("LastUpdateToPayPerRequestDateTime", None)
    return description


def _check_quotas(region: Region, tx: Transaction, old: Table | None, new: Table, body: Body) -> None:
    if region.settings.quotas:
        capacity_rules.check_quotas(region.name, lambda: region.catalog.tables(tx), old, new, body)


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

    def delete(tx: Transaction, stamp: Stamp) -> Answer:
        table = region.catalog.described(tx, name, now_ms)
        _check_deletable(table, now_ms)
        resource_policies.check_not_pending(tx, region, name, now_ms)
        if table.group is not None:
            table = replicas.leave(region, tx, stamp, table)
            return {"TableDescription": _leaving(describe(region, tx, table, now_ms))}
        due_ms = now_ms + region.settings.control_plane_delay_ms
        table = replace(table, status="DELETING", due_ms=due_ms)
        if due_ms <= now_ms:
            deletion.drop(tx, table, now_ms)
        else:
            catalog.save(tx, table)
        return {"TableDescription": _leaving(describe(region, tx, table, now_ms))}

    answer = await region.write(delete)
    region.wake()
    return answer


def _check_deletable(table: Table, now_ms: int) -> None:
    status = table.status_at(now_ms)
    if status == "CREATING":
        raise table_errors.table_being_created(table.name)
    if status == "DELETING":
        raise table_errors.table_being_deleted(table.name)
    if table.deletion_protection:
        raise table_errors.table_protected()
    if table.changing_index(now_ms) is not None or any(
        concerns.running_on(table, index, now_ms) is not None for index in table.online_indexes
    ):
        raise change_errors.deletion_while_indexes_change()
    if any(change.concern != concerns.TAGS for change in table.under_way(now_ms)):
        raise change_errors.deletion_while_updating(table.name)


_GONE = (
    "AttributeDefinitions",
    "KeySchema",
    "CreationDateTime",
    "LocalSecondaryIndexes",
    "GlobalSecondaryIndexes",
    "VectorIndexes",
    "WarmThroughput",
)


def _leaving(description: Answer) -> Answer:
    """The description of a table that is being deleted, without its parts that are already gone."""
    return {member: value for member, value in description.items() if member not in _GONE}


async def update_table(region: Region, body: Body) -> Answer:
    name, now_ms = table_name(region, body), region.clock.now_ms()
    if type(body) is dict:
        update_rules.check(body)
    else:
        await aside(update_rules.check, body)

    if body.get("ReplicaUpdates"):
        return await replicas.update(region, name, body)

    def update(tx: Transaction, stamp: Stamp) -> tuple[Table, Table, Answer]:
        if type(body) is LargeBody:
            tx.announce_long()
        table = region.catalog.changeable(tx, name, now_ms)
        replica_rules.check_table_change(table, body, partial(scaling_replicas.unscaled, tx, table))
        if concerns.is_forgotten(table, body, now_ms):
            return table, table, {"TableDescription": describe(region, tx, _as_if_on_demand(table), now_ms)}
        update_rules.check_of(table, body, now_ms, quotas=region.settings.quotas)
        changed = shared.changed(table, _changed(tx, region, table, body, now_ms), stamp)
        _check_quotas(region, tx, table, changed, body)
        delay_ms, ongoing = region.settings.control_plane_delay_ms, table.under_way(now_ms)
        begun = concerns.begun(table, changed, body, now_ms + max(delay_ms, 1), now_ms)
        kept = tuple(change for change in begun if delay_ms and change.concern != concerns.AGAIN)
        catalog.save(tx, replace(changed, status="ACTIVE", changes=ongoing + kept))
        past_definitions.note(tx, changed, now_ms)
        answered = _transitional(table, replace(changed, changes=ongoing + begun), now_ms)
        return table, changed, {"TableDescription": describe(region, tx, answered, now_ms)}

    before, after, answer = await region.write(update)
    throttling.change(region, before, after)
    region.wake()
    return answer


def _as_if_on_demand(table: Table) -> Table:
    units = replace(table.throughput, read=0, write=0)
    changes = tuple(replace(change, throughput=units) for change in table.changes)
    return replace(table, billing_mode=ON_DEMAND, throughput=units, changes=changes)


def _transitional(old: Table, new: Table, now_ms: int) -> Table:
    """The table for the answer to its change: an index that the request creates or deletes always has the status for
    that."""
    begun = [index for index in new.all_indexes if index.status != "ACTIVE" and index not in old.all_indexes]
    for index in begun:
        new = new.with_index(replace(index, due_ms=max(index.due_ms, now_ms + 1)))
    return new


def _changed(tx: Transaction, region: Region, table: Table, body: Body, now_ms: int) -> Table:
    """The table with the request's changes; `update_rules` has checked that they go together."""
    changed = definitions.with_capacity(table, body, now_ms)
    changed = definitions.with_settings(changed, body, region, now_ms)
    for entry in body.get("GlobalSecondaryIndexUpdates") or ():
        changed = _with_index_change(tx, region, changed, entry, body, now_ms)
    for entry in body.get("VectorIndexUpdates") or ():
        changed = _with_vector_index_change(tx, region, changed, entry, body, now_ms)
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


def _with_index_change(tx: Transaction, region: Region, table: Table, entry: Body, body: Body, now_ms: int) -> Table:
    due_ms = now_ms + region.settings.control_plane_delay_ms
    if "Create" in entry:
        declared = definitions.types(body)
        index = definitions.global_index(entry["Create"], declared, catalog.new_space(tx), table.billing_mode)
        index = replace(index, status="CREATING", backfilling=True, due_ms=due_ms)
        table = replace(table, indexes=(*table.indexes, index))
        if table.group is not None and table.group.kind == MULTI_MASTER:
            scaling_replicas.scale_new_index(tx, region, table, index.name, now_ms)
        return table
    if "Delete" in entry:
        return table.with_index(replace(_index(table, entry["Delete"]), status="DELETING", due_ms=due_ms))
    return table.with_index(
        definitions.with_index_capacity(table, _index(table, entry["Update"]), entry["Update"], now_ms)
    )


def _with_vector_index_change(
    tx: Transaction, region: Region, table: Table, entry: Body, body: Body, now_ms: int
) -> Table:
    due_ms = now_ms + region.settings.control_plane_delay_ms
    if "Create" in entry:
        index = definitions.vector_index(entry["Create"], definitions.types(body), lambda: catalog.new_space(tx))
        index = replace(index, status="CREATING", backfilling=True, due_ms=due_ms)
        return replace(table, vector_indexes=(*table.vector_indexes, index))
    existing = table.vector_index(entry["Delete"]["IndexName"])
    assert existing is not None  # checked by vector_rules
    return table.with_index(replace(existing, status="DELETING", due_ms=due_ms))


def _index(table: Table, entry: Body) -> Index:
    index = table.index(entry["IndexName"])
    assert index is not None  # checked by update_rules
    return index
