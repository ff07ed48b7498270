"""Global tables of 2017: their replicas are tables that exist already, and that are empty.

A replica that leaves its group keeps its table. Replicas share no settings. Each item has attributes that describe its
last change, see `database.legacy`. An upgrade turns the global table into one of 2019 for good.
"""

from __future__ import annotations

from dataclasses import replace

from atoll.database import catalog
from atoll.database import format as fmt
from atoll.database.group import ACTIVE, MULTI_MASTER
from atoll.database.schema import BOTH_IMAGES, Table
from atoll.replication import shared
from atoll.storage.engine import Snapshot, Transaction
from atoll.versions import Stamp, Version


def is_empty(snapshot: Snapshot, table: Table) -> bool:
    return snapshot.tally(fmt.count_counter(table.space)) == 0


def has_stream(table: Table) -> bool:
    return table.stream is not None and table.stream.enabled and table.stream.view_type == BOTH_IMAGES


def enlist(tx: Transaction, stamp: Stamp, table: Table, theirs: Table) -> Table | None:
    """Make a table a replica; None if it does not fit. The replica reads all changes of the others from their logs."""
    assert theirs.group is not None
    fits = table.status_at(stamp.now_ms) == ACTIVE and table.keys == theirs.keys
    if not fits or not has_stream(table) or not is_empty(tx, table):
        return None
    group = replace(theirs.group, own=stamp.region, floor=max(theirs.group.floor, stamp.time), invited_ms=0)
    group = group.with_state(stamp.region, ACTIVE, Version(stamp.time, stamp.region))
    tombstones = table.tombstone_space or catalog.new_space(tx)
    table = replace(table, group=group, tombstone_space=tombstones, status=ACTIVE, due_ms=0)
    catalog.save(tx, table)
    return table


def upgrade(tx: Transaction, stamp: Stamp, table: Table) -> Table:
    """Turn the global table into one of 2019. The other replicas learn of it, and adopt this one's settings."""
    assert table.group is not None
    version = Version(max(stamp.time, table.group.settings[0] + 1), stamp.region)
    settings = (version.time, version.region)
    group = replace(table.group, kind=MULTI_MASTER, shared=shared.initial(table, version), settings=settings)
    table = shared.published(replace(table, group=group), stamp)
    catalog.save(tx, table)
    return table
