"""Single-master replicas in the admin API; `atoll replicas` is its command line.

    GET  /_atoll/replication/replicas           every table with replicas, in the regions of this server
    POST /_atoll/replication/replicas/add       {"table": a table, "region": the master's, "replica": another region}
    POST /_atoll/replication/replicas/remove    the same; or only "region", the replica's own, to remove this one
    POST /_atoll/replication/replicas/promote   {"table": a table, "region": the replica that becomes the master}

`region` is a region of this server; the default region if it is absent. All answer as GET does, for the table.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable

from atoll.api.admin import Body, Server, check_members, region_of, text_of
from atoll.database.group import SINGLE_MASTER
from atoll.database.region import Region
from atoll.database.schema import Table
from atoll.errors import replication as errors
from atoll.replication import enquiries, masters, membership
from atoll.replication.exchange import Unreachable
from atoll.storage.engine import Transaction
from atoll.versions import Stamp

Change = Callable[[Transaction, Stamp, Table], Table]


async def show_replicas(server: Server, body: Body) -> Body:
    shown: list[Body] = []
    for name in server.links.regions:
        region = server.region(name)
        tables = await region.read(region.catalog.tables)
        now_ms = region.clock.now_ms()
        shown += [_described(server, region, table, now_ms) for table in tables if table.group is not None]
    return {"replicas": shown}


def _described(server: Server, region: Region, table: Table, now_ms: int) -> Body:
    group = table.group
    assert group is not None
    sources = {one: server.links.progress(one, region.name) for one in group.sources}
    return {
        "table": table.name,
        "region": region.name,
        "status": table.status_at(now_ms),
        "kind": "single-master" if group.kind == SINGLE_MASTER else f"global table {group.kind}",
        "master": group.master,
        "replicas": [{"region": member.region, "state": member.state} for member in group.present],
        "reads": [
            {"from": source, **progress}
            for source, rows in sources.items()
            for progress in rows
            if progress["table"] == table.name
        ],
    }


async def add_replica(server: Server, body: Body) -> Body:
    region, name = _named(server, body)
    replica = text_of(body, "replica")
    if region.neighbours is None or not region.neighbours.replicable(replica):
        raise errors.unknown_region(replica, server.links.known)
    if replica == region.name:
        raise errors.replica_of_itself(name, replica)
    await _check_free(region, replica, name)
    group_id = str(uuid.uuid4())

    def add(tx: Transaction, stamp: Stamp, table: Table) -> Table:
        if table.group is None:
            table = membership.create_group(tx, region, stamp, table, group_id, SINGLE_MASTER)
        _require_master(table)
        assert table.group is not None
        member = table.group.by_region.get(replica)
        if member is not None and not member.is_gone:
            raise errors.replica_exists(name, replica)
        return membership.invite(tx, stamp, table, replica)

    return await _changed(server, region, name, add)


async def _check_free(region: Region, replica: str, name: str) -> None:
    try:
        facts = await enquiries.ask_facts(region, replica, name)
    except Unreachable as error:
        raise errors.unreachable(replica, error.reason) from None
    if facts is not None:
        raise errors.replica_exists(name, replica)


async def remove_replica(server: Server, body: Body) -> Body:
    region, name = _named(server, body)
    replica = text_of({"replica": region.name, **body}, "replica")

    def remove(tx: Transaction, stamp: Stamp, table: Table) -> Table:
        group = table.group
        if group is None or group.kind != SINGLE_MASTER:
            raise errors.has_no_master(name)
        if replica == group.master:
            raise errors.master_is_not_removed(name, replica)
        member = group.by_region.get(replica)
        if member is None or member.is_gone:
            raise errors.replica_not_found(name, replica)
        if replica == region.name:
            return membership.leave(tx, stamp, table)
        _require_master(table)
        return membership.expel(tx, stamp, table, replica)

    return await _changed(server, region, name, remove)


async def promote_replica(server: Server, body: Body) -> Body:
    region, name = _named(server, body)
    return await _changed(server, region, name, masters.promote)


def _require_master(table: Table) -> None:
    group = table.group
    if group is None or group.kind != SINGLE_MASTER:
        raise errors.has_no_master(table.name)
    if group.master != group.own:
        raise errors.is_read_replica(table.name, group.own, group.master)


def _named(server: Server, body: Body) -> tuple[Region, str]:
    """The region and the table of a request."""
    check_members(body, ("table", "region", "replica"))
    return region_of(server, body), text_of(body, "table")


async def _changed(server: Server, region: Region, name: str, change: Change) -> Body:
    def run(tx: Transaction, stamp: Stamp) -> Table:
        return change(tx, stamp, region.catalog.changeable(tx, name, stamp.now_ms))

    table = await region.write(run)
    region.wake()
    return {"replicas": [_described(server, region, table, region.clock.now_ms())]}
