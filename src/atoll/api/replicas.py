"""Replicas of tables: UpdateTable's ReplicaUpdates, and the deletion of a table that has replicas.

An operation first asks the other region whether its conditions hold there, then changes only this region's copy of the
table's group. `replication.follower` does the rest in the background.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from atoll.api import replica_rules
from atoll.api.description import describe
from atoll.api.replica_rules import Action
from atoll.database import catalog
from atoll.database.group import ACTIVE, CREATING
from atoll.database.region import Region
from atoll.database.schema import Table
from atoll.errors import replicas as replica_errors
from atoll.errors import replication as replication_errors
from atoll.replication import enquiries, membership, shared
from atoll.replication.enquiries import Facts
from atoll.replication.exchange import Unreachable
from atoll.scaling import replicas as scaling_replicas
from atoll.storage.engine import Snapshot, Transaction
from atoll.versions import Stamp

Body = dict[str, Any]
Answer = dict[str, Any]


async def update(region: Region, name: str, body: Body) -> Answer:
    """UpdateTable with ReplicaUpdates; `replica_rules.check` has checked the request by itself."""
    answer: Answer = {}
    actions = replica_rules.actions(body)
    for action in actions:
        table = await region.read(partial(_changeable, region, name, region.clock.now_ms(), action))
    for action in actions:
        answer = await _CHANGES[action[0]](region, table, action)
    return answer


def _changeable(region: Region, name: str, now_ms: int, action: Action, snapshot: Snapshot) -> Table:
    table = region.catalog.changeable(snapshot, name, now_ms)
    replica_rules.check_replica_change(region, table, action, scaling_replicas.unscaled(snapshot, table))
    return table


Change = Callable[[Transaction, Stamp, Table], Table]


async def _change(region: Region, name: str, action: Action, change: Change) -> Answer:
    """Change the table's group, if all rules still hold, and describe the table."""

    def run(tx: Transaction, stamp: Stamp) -> Answer:
        table = change(tx, stamp, _changeable(region, name, stamp.now_ms, action, tx))
        return {"TableDescription": describe(region, tx, table, stamp.now_ms)}

    answer = await region.write(run)
    region.wake()
    return answer


async def _create(region: Region, table: Table, action: Action) -> Answer:
    given, group_id = action[1], str(uuid.uuid4())
    target: str = given["RegionName"]
    scales = await region.read(partial(scaling_replicas.writes, table=table))
    try:
        facts = await enquiries.ask_facts(region, target, table.name)
        if facts is not None:
            raise replica_errors.replica_exists(table.name)
        if scales:
            await enquiries.ask_scaling(region, target, table.name, scales)
    except Unreachable as error:
        raise replication_errors.unreachable(target, error.reason) from None

    def invite(tx: Transaction, stamp: Stamp, table: Table) -> Table:
        if table.group is None:
            table = membership.create_group(tx, region, stamp, table, group_id)
        return membership.invite(tx, stamp, table, target, replica_rules.overrides(given))

    return await _change(region, table.name, action, invite)


async def _delete(region: Region, table: Table, action: Action) -> Answer:
    target: str = action[1]["RegionName"]
    assert table.group is not None
    facts: Facts | None = None
    try:
        facts = await enquiries.ask_facts(region, target, table.name)
    except Unreachable:
        pass  # it learns of its removal when it is back
    else:
        if table.group.state_of(target) != ACTIVE:
            raise replica_errors.in_use()
    if facts is not None and facts.group == table.group.id:
        replica_rules.check_removal(region, facts.protected, facts.invited_ms, region.clock.now_ms())

    def expel(tx: Transaction, stamp: Stamp, table: Table) -> Table:
        return membership.expel(tx, stamp, table, target)

    return await _change(region, table.name, action, expel)


async def _update(region: Region, table: Table, action: Action) -> Answer:
    given = action[1]
    target, overrides = given["RegionName"], replica_rules.overrides(given)
    assert table.group is not None
    if target != region.name:
        try:
            there = await enquiries.ask_override(region, target, table.name, table.group.id, overrides)
        except Unreachable as error:
            raise replication_errors.unreachable(target, error.reason) from None
        if not there:
            raise replica_errors.not_replicas([target])

    def override(tx: Transaction, stamp: Stamp, table: Table) -> Table:
        if target == region.name:
            table = shared.override(tx, region, stamp, table, overrides)
            catalog.save(tx, table)
        return table

    answer = await _change(region, table.name, action, override)
    description = answer["TableDescription"]
    description["TableStatus"] = "UPDATING"
    for replica in description.get("Replicas", ()):
        if replica["RegionName"] == target:
            replica["ReplicaStatus"] = "UPDATING"
    return answer


_CHANGES = {"Create": _create, "Update": _update, "Delete": _delete}


def leave(region: Region, tx: Transaction, stamp: Stamp, table: Table) -> Table:
    """DeleteTable of a replica: the table is removed when the other replicas have read its last changes."""
    group = table.group
    assert group is not None
    if any(member.state == CREATING for member in group.others):
        raise replica_errors.in_use()
    replica_rules.check_removal(region, table.deletion_protection, group.invited_ms, stamp.now_ms)
    table = membership.leave(tx, stamp, table)
    delayed_ms = stamp.now_ms + region.settings.control_plane_delay_ms
    if table.due_ms < delayed_ms:
        table = replace(table, due_ms=delayed_ms)
        catalog.save(tx, table)
    return table
