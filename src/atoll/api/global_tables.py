"""Global tables of version 2017.11.29: tables that exist in each region, empty and alike, become replicas.

The service creates no such tables any more. Atoll does if its tables can have replicas; otherwise it answers as the
service. `global_table_settings` has the operations on their capacity.
"""

from __future__ import annotations

import uuid
from functools import partial
from typing import Any

from atoll import limits
from atoll.api.global_table_names import global_table_name
from atoll.database.group import ACTIVE, CREATING, LEGACY_MULTI_MASTER, REMOVED, Group
from atoll.database.region import Region
from atoll.database.schema import Table
from atoll.errors import ApiError
from atoll.errors import features as feature_errors
from atoll.errors import replicas as replica_errors
from atoll.errors import replication as replication_errors
from atoll.replication import enquiries, membership
from atoll.replication.enquiries import Facts
from atoll.replication.exchange import Unreachable
from atoll.storage.engine import Snapshot, Transaction
from atoll.versions import Stamp

Body = dict[str, Any]
Answer = dict[str, Any]


def find(region: Region, snapshot: Snapshot, name: str, now_ms: int) -> Table:
    """The replica of a global table of 2017."""
    table = region.catalog.find(snapshot, name)
    if table is None or table.gone_at(now_ms) or table.group is None or not table.group.is_legacy:
        raise feature_errors.global_table_not_found(name)
    return table


def group_of(table: Table) -> Group:
    assert table.group is not None
    return table.group


def describe(region: Region, table: Table) -> Answer:
    group = group_of(table)
    states = {member.state for member in group.present}
    return {
        "GlobalTableDescription": {
            "ReplicationGroup": [
                {"RegionName": member.region, "ReplicaStatus": member.state} for member in group.present
            ],
            "GlobalTableArn": f"arn:aws:dynamodb::{region.settings.account}:global-table/{table.name}",
            "CreationDateTime": group.created_ms / 1000,
            "GlobalTableStatus": CREATING if CREATING in states else "UPDATING" if states - {ACTIVE} else ACTIVE,
            "GlobalTableName": table.name,
        }
    }


async def describe_global_table(region: Region, body: Body) -> Answer:
    name, now_ms = global_table_name(body), region.clock.now_ms()
    table = await region.read(lambda snapshot: find(region, snapshot, name, now_ms))
    return describe(region, table)


async def list_global_tables(region: Region, body: Body) -> Answer:
    after, limit = body.get("ExclusiveStartGlobalTableName") or "", body.get("Limit") or limits.LIST_TABLES_LIMIT
    wanted = body.get("RegionName")

    def read(snapshot: Snapshot) -> list[Table]:
        return [
            table
            for table in region.catalog.tables(snapshot)
            if table.group is not None and table.group.is_legacy and table.name > after
            if wanted is None or any(member.region == wanted for member in table.group.present)
        ]

    tables = await region.read(read)
    answer: Answer = {
        "GlobalTables": [
            {
                "GlobalTableName": table.name,
                "ReplicationGroup": [{"RegionName": member.region} for member in group_of(table).present],
            }
            for table in tables[:limit]
        ]
    }
    if len(tables) > limit:
        answer["LastEvaluatedGlobalTableName"] = tables[limit - 1].name
    return answer


# Creating


async def create_global_table(region: Region, body: Body) -> Answer:
    name = global_table_name(body)
    if region.neighbours is None:
        raise feature_errors.global_tables_of_2017()
    names = [replica.get("RegionName") for replica in body["ReplicationGroup"]]
    if not names or None in names or len(set(names)) < len(names):
        raise replica_errors.regions_required()
    if region.name not in names:
        raise replica_errors.own_region_required(region.name)
    others = [other for other in names if other != region.name]
    own = await _own(region, name)
    _check_fit(name, own, own)
    for other in others:
        _check_fit(name, own, await _asked(region, name, other))
    group_id = str(uuid.uuid4())

    def create(tx: Transaction, stamp: Stamp) -> Table:
        table, facts = _look(region, name, stamp.now_ms, tx)
        _check_fit(name, facts, facts)
        table = membership.create_group(tx, region, stamp, table, group_id, LEGACY_MULTI_MASTER)
        for other in others:
            table = membership.invite(tx, stamp, table, other)
        return table

    return describe(region, await _write(region, create))


def _look(region: Region, name: str, now_ms: int, snapshot: Snapshot) -> tuple[Table, Facts]:
    table = region.catalog.find(snapshot, name)
    if table is None or table.gone_at(now_ms) or table.status_at(now_ms) != ACTIVE:
        raise replica_errors.table_not_in_region(name, region.name)
    return table, enquiries.facts(snapshot, region.name, table, now_ms)


async def _own(region: Region, name: str) -> Facts:
    _, facts = await region.read(partial(_look, region, name, region.clock.now_ms()))
    return facts


async def _asked(region: Region, name: str, other: str) -> Facts:
    if region.neighbours is None or not region.neighbours.replicable(other):
        raise replica_errors.unsupported_region(other)
    try:
        facts = await enquiries.ask_facts(region, other, name)
    except Unreachable as error:
        raise replication_errors.unreachable(other, error.reason) from None
    if facts is None:
        raise replica_errors.table_not_in_region(name, other)
    return facts


def _check_fit(name: str, own: Facts, facts: Facts) -> None:
    """Check that the table can become a replica of a table like `own`."""
    if facts.group is not None:
        raise replica_errors.global_table_exists(name)
    _check_alike(name, own, facts)


def _check_alike(name: str, own: Facts, facts: Facts) -> None:
    def unfit(reason: str) -> ApiError:
        return replica_errors.unfit(name, facts.region, reason)

    if facts.keys != own.keys:
        raise unfit("must have the key schema of the other replicas")
    if facts.indexes != own.indexes:
        raise unfit("must have secondary indexes with the names and keys of those of the other replicas")
    if not facts.stream:
        raise unfit("must have a stream enabled with the view type NEW_AND_OLD_IMAGES")
    if not facts.empty:
        raise unfit("must be empty")


async def _write(region: Region, change: Any) -> Table:
    table: Table = await region.write(change)
    region.wake()
    return table


# Changing


async def update_global_table(region: Region, body: Body) -> Answer:
    name, now_ms = global_table_name(body), region.clock.now_ms()
    updates = body["ReplicaUpdates"]
    if region.neighbours is None and any("Create" in update for update in updates):
        raise feature_errors.global_tables_of_2017()
    if not updates or any(len(update.keys() & {"Create", "Delete"}) != 1 for update in updates):
        raise replica_errors.one_action_required()
    added = [update["Create"]["RegionName"] for update in updates if "Create" in update]
    removed = [update["Delete"]["RegionName"] for update in updates if "Delete" in update]
    table = await region.read(lambda snapshot: find(region, snapshot, name, now_ms))
    _check_members(table, added, removed)
    if added:
        own = await _own(region, name)
        _check_alike(name, own, own)
        for other in added:
            _check_fit(name, own, await _asked(region, name, other))

    def update(tx: Transaction, stamp: Stamp) -> Table:
        table = find(region, tx, name, stamp.now_ms)
        _check_members(table, added, removed)
        for other in added:
            table = membership.invite(tx, stamp, table, other)
        for other in sorted(removed, key=lambda other: other == region.name):
            before = table
            table = membership.set_state(tx, stamp, table, other, REMOVED)
        return before if table.group is None else table  # this region has left

    return describe(region, await _write(region, update))


def _check_members(table: Table, added: list[str], removed: list[str]) -> None:
    present = {member.region for member in group_of(table).present}
    for other in added:
        if other in present:
            raise replica_errors.already_replica(other)
    for other in removed:
        if other not in present:
            raise replica_errors.no_replica(other)
    if len({*added, *removed}) < len(added) + len(removed):
        raise replica_errors.regions_required()
    if group_of(table).is_changing:
        raise replica_errors.in_use()
