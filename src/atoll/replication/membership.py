"""The life of a replica: how a table becomes one and ceases to be one, and how replicas learn of each other.

    invite      a replica adds a member to its copy of the group, in the state CREATING
    join        in the new region: create the table, and a link that copies the inviting replica
    activate    the copy is complete; the new replica accepts requests and reads the changes of all others
    leave       the replica accepts no writes; it waits until the others have read its last changes (`drained`)
    learn       merge another replica's copy of the group into the own one, and act on the news

These are functions over a transaction. They store the table, and return it as stored.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from atoll.clock import LATEST_MS
from atoll.database import catalog, deletion, garbage, links, streams
from atoll.database.group import ACTIVE, CREATING, DELETING, MULTI_MASTER, REMOVED, SINGLE_MASTER, Group, Member
from atoll.database.links import Copy, Link
from atoll.database.log import shards
from atoll.database.records import build
from atoll.database.region import Region
from atoll.database.schema import BOTH_IMAGES, Table, TimeToLive
from atoll.limits import LEAVING_MS
from atoll.replication import legacy, masters, shared
from atoll.storage.engine import Snapshot, Transaction
from atoll.versions import Stamp, Version

AT_ONCE_MS = 0
"""A time in the past of any clock, even one that is set back."""


def replica(snapshot: Snapshot, region: Region, name: str) -> Table | None:
    """The table, if it is a replica."""
    table = region.catalog.find(snapshot, name)
    return table if table is not None and table.group is not None else None


def member_of(snapshot: Snapshot, region: Region, name: str, group_id: str) -> Table | None:
    """The table, if it is a replica of this group."""
    table = replica(snapshot, region, name)
    return table if table is not None and table.group is not None and table.group.id == group_id else None


def _version(stamp: Stamp) -> Version:
    return Version(stamp.time, stamp.region)


# Growing


def create_group(
    tx: Transaction, region: Region, stamp: Stamp, table: Table, group_id: str, kind: str = MULTI_MASTER
) -> Table:
    """Make an ordinary table the first replica of a new group."""
    own = Member(region.name, ACTIVE, stamp.time, stamp.region)
    group = Group(group_id, kind, region.name, (own,), created_ms=stamp.now_ms)
    if not group.is_legacy:
        group = replace(group, shared=shared.initial(table, _version(stamp)))
    if kind == SINGLE_MASTER:
        group = replace(group, master=region.name, term=1)
    elif table.stream is None or not table.stream.enabled:
        table = streams.enable(tx, region, table, BOTH_IMAGES, stamp.now_ms)
    tombstones = table.tombstone_space or catalog.new_space(tx)
    table = replace(table, group=group, tombstone_space=tombstones, status=ACTIVE, due_ms=0)
    table = shared.published(table, stamp)
    catalog.save(tx, table)
    return table


def invite(
    tx: Transaction, stamp: Stamp, table: Table, target: str, overrides: Mapping[str, Any] | None = None
) -> Table:
    """Add a member. The background work of this region asks it to join. `overrides` are its own settings."""
    assert table.group is not None
    if table.group.state_of(target) not in (None, REMOVED):
        return table
    group = table.group.with_state(target, CREATING, _version(stamp))
    member = group.by_region[target]
    own, own_time = shared.packed(overrides or {}), max(stamp.time, member.own_time + 1)
    group = group.with_member(replace(member, own=own, own_time=own_time))
    return _with_group(tx, table, replace(group, invited_ms=stamp.now_ms))


def join(tx: Transaction, region: Region, stamp: Stamp, theirs: Table, source: str, new_id: str) -> Table | None:
    """Create the replica in this region. `theirs` is the table of the replica that invites it, the source. Asked again,
    it does nothing. None: the region has another table of this name."""
    now_ms = stamp.now_ms
    assert theirs.group is not None
    existing = region.catalog.find(tx, theirs.name)
    if existing is not None and existing.gone_at(now_ms):
        deletion.drop(tx, existing, now_ms)
        existing = None
    if theirs.group.is_legacy and (existing is None or existing.group is None):
        return None if existing is None else legacy.enlist(tx, stamp, existing, theirs)
    if existing is not None:
        is_this_member = existing.group is not None and _identity(existing.group) == _identity(
            theirs.group, region.name
        )
        return existing if is_this_member and existing.status != DELETING else None
    group = replace(theirs.group, own=region.name, floor=max(theirs.group.floor, stamp.time), invited_ms=0)
    space = catalog.new_space(tx)
    table = Table(
        name=theirs.name,
        id=new_id,
        space=space,
        log_space=catalog.new_space(tx),
        tombstone_space=catalog.new_space(tx),
        keys=theirs.keys,
        created_ms=now_ms,
        status=CREATING,
        due_ms=LATEST_MS,
        indexes=tuple(
            replace(index, space=catalog.new_space(tx), status=ACTIVE, backfilling=False, due_ms=0)
            for index in theirs.indexes
            if index.status != DELETING
        ),
        vector_indexes=catalog.renewed(tx, theirs.vector_indexes),
        billing_mode=theirs.billing_mode,
        billing_changed_ms=theirs.billing_changed_ms,
        throughput=theirs.throughput,
        on_demand=theirs.on_demand,
        warm=theirs.warm,
        table_class=theirs.table_class,
        group=group,
    )
    if theirs.ttl is not None and theirs.ttl.status in ("ENABLING", "ENABLED"):
        ttl = TimeToLive(theirs.ttl.attribute, "ENABLED", catalog.new_space(tx), now_ms)
        table = replace(table, ttl=ttl, ttl_changed_ms=now_ms)
    table = shards.open_first(tx, table, now_ms)
    if theirs.stream is not None and theirs.stream.enabled:
        table = streams.enable(tx, region, table, theirs.stream.view_type, now_ms)
    table = shared.reconcile(tx, region, table, now_ms, overrides_lost=[one.name for one in group.shared])
    if (own := group.by_region.get(region.name)) is not None:
        table = shared.override(tx, region, stamp, table, shared.unpacked(own.own))
    catalog.save(tx, table)
    links.save(tx, table, source, _copy(stamp))
    return table


def _identity(group: Group, region: str | None = None) -> tuple[str, int]:
    """The identity of a region's member, by default this one's: a member that was added again has another identity."""
    member = group.by_region.get(region or group.own)
    return group.id, 0 if member is None else member.number


def _copy(stamp: Stamp) -> Link:
    return Link(copy=Copy(began=stamp.time))


def activate(tx: Transaction, stamp: Stamp, table: Table) -> Table:
    assert table.group is not None
    group = table.group.with_state(table.group.own, ACTIVE, _version(stamp))
    table = replace(table, status=ACTIVE, due_ms=0)
    return _with_group(tx, table, group)


# Shrinking


def expel(tx: Transaction, stamp: Stamp, table: Table, target: str) -> Table:
    """Set a member's state to DELETING, which makes it leave."""
    assert table.group is not None
    if table.group.state_of(target) not in (CREATING, ACTIVE):
        return table
    return _with_group(tx, table, table.group.with_state(target, DELETING, _version(stamp)))


def leave(tx: Transaction, stamp: Stamp, table: Table) -> Table:
    """Make the replica leave. Its table is deleted when the others have read its last changes, or cannot be reached for
    a day."""
    assert table.group is not None
    group = table.group.with_state(table.group.own, DELETING, _version(stamp))
    return _leaving(tx, stamp, table, group)


def _leaving(tx: Transaction, stamp: Stamp, table: Table, group: Group) -> Table:
    leaving = replace(table, status=DELETING, group=group)
    waits = table.status != CREATING and not _all_have_read(tx, leaving)
    leaving = replace(leaving, due_ms=stamp.now_ms + LEAVING_MS if waits else AT_ONCE_MS)
    catalog.save(tx, leaving)
    return leaving


def drained(tx: Transaction, stamp: Stamp, table: Table, reader: str) -> Table:
    """Record that another replica has read all changes of this leaving one."""
    link = links.find(tx, table, reader) or Link()
    if not link.drained:
        links.save(tx, table, reader, replace(link, drained=True))
    return _left(tx, stamp, table)


def _left(tx: Transaction, stamp: Stamp, table: Table) -> Table:
    """Delete the table of a leaving replica when the others have read its last changes."""
    if table.due_ms > stamp.now_ms and _all_have_read(tx, table):
        table = replace(table, due_ms=AT_ONCE_MS)
        catalog.save(tx, table)
    return table


def _all_have_read(snapshot: Snapshot, table: Table) -> bool:
    assert table.group is not None
    all_ = links.of(snapshot, table)
    readers = [member.region for member in table.group.others if member.state in (ACTIVE, CREATING)]
    return all(reader in all_ and all_[reader].drained for reader in readers)


def gone(tx: Transaction, stamp: Stamp, table: Table, source: str, number: int) -> None:
    """Record that the member with this number in another region is no replica any more."""
    assert table.group is not None
    member = table.group.by_region.get(source)
    if member is not None and member.number == number and not member.is_gone:
        set_state(tx, stamp, table, source, REMOVED)


def set_state(tx: Transaction, stamp: Stamp, table: Table, member: str, state: str) -> Table:
    assert table.group is not None
    return _act(tx, stamp, table, table.group.with_state(member, state, _version(stamp)))


def disband(tx: Transaction, table: Table, now_ms: int) -> Table:
    """Turn a replica into an ordinary table."""
    for source in links.of(tx, table):
        links.remove(tx, table, source)
    if table.tombstone_space is not None:
        garbage.discard(tx, table.tombstone_space, now_ms)
    table = replace(table, group=None, tombstone_space=None)
    catalog.save(tx, table)
    return table


# Learning


def members(listed: list[dict[str, Any]]) -> list[Member]:
    """The members in a message, see `source.about`."""
    return [build(Member, member) for member in listed]


def knows(table: Table, told: dict[str, Any]) -> bool:
    """Whether another replica's copy of the group has no news for this one."""
    assert table.group is not None
    merged = _merged(table.group, told)
    return merged == table.group and not _is_newer(table.group, told)


def _merged(group: Group, told: dict[str, Any]) -> Group:
    others = members(told["members"]) if told["members"] != group.listed else ()
    return group.merge(others, told["term"], told["master"], told["since"], told["kind"])


def _is_newer(group: Group, told: dict[str, Any]) -> bool:
    return "shared" in told and shared.version_of(told) > group.settings


def learn(tx: Transaction, region: Region, stamp: Stamp, table: Table, told: dict[str, Any]) -> Table:
    """Merge another replica's copy of the group into this one's."""
    group = table.group
    assert group is not None
    if told["id"] != group.id:
        return table
    merged = _merged(group, told)
    if _is_newer(merged, told) and table.status != DELETING:
        shares = replace(table, group=merged)
        table = shared.adopt(tx, region, stamp, shares, told["shared"], shared.version_of(told))
        assert table.group is not None
        merged = table.group
        catalog.save(tx, table)
    return table if merged == group else _act(tx, stamp, table, merged)


def _act(tx: Transaction, stamp: Stamp, table: Table, group: Group) -> Table:
    """Store the new copy of the group, and act on its changes."""
    assert table.group is not None
    own = group.state_of(group.own)
    if _identity(group) != _identity(table.group):
        own = REMOVED  # it missed its removal, and was added again since
    if own == REMOVED and table.status != CREATING:
        return disband(tx, replace(table, status=ACTIVE, due_ms=0), stamp.now_ms)
    if (group.term, group.master) != (table.group.term, table.group.master):
        masters.follow(tx, stamp, table, group)
    group = _without_links(tx, table, group)
    if table.status == CREATING and not (own == CREATING and _is_copying(tx, stamp, table, group)):
        return _leaving(tx, stamp, table, group)
    if own == DELETING and table.status != DELETING:
        return _leaving(tx, stamp, table, group)
    if own == ACTIVE and not group.others and not group.is_legacy:
        return disband(tx, table, stamp.now_ms)
    table = _with_group(tx, table, group)
    return _left(tx, stamp, table) if table.status == DELETING else table


def _without_links(tx: Transaction, table: Table, group: Group) -> Group:
    """Remove the links to members that are REMOVED or were added again. Returns the group, in which such members are
    marked lost if not all of their changes have been read."""
    assert table.group is not None
    for before in table.group.others:
        after = group.by_region[before.region]
        if not after.is_gone and after.number == before.number:
            continue
        link = links.find(tx, table, before.region)
        links.remove(tx, table, before.region)
        if before.state != CREATING and table.status == ACTIVE and (link is None or not link.ended):
            group = group.with_member(replace(after, lost=max(after.lost, before.number)))
    return group


def _is_copying(tx: Transaction, stamp: Stamp, table: Table, group: Group) -> bool:
    """Whether a new member still copies another one. If that one is removed, begin again with another, if there is
    any."""
    if any(link.copy is not None for link in links.of(tx, table).values()):
        return True
    whole = [member.region for state in (ACTIVE, DELETING) for member in group.others if member.state == state]
    for source in links.of(tx, table):
        links.remove(tx, table, source)
    if whole:
        links.save(tx, table, whole[0], _copy(stamp))
    return bool(whole)


def _with_group(tx: Transaction, table: Table, group: Group) -> Table:
    table = replace(table, group=group)
    catalog.save(tx, table)
    return table
