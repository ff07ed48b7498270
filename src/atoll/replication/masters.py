"""Single-master replication: one replica accepts writes, the others only read its changes.

`promote` makes a replica the master at once, whether the old master can be reached or not. The new master may lack
changes of the old one that other replicas have, or that the old one had not sent yet. When the old master and the other
replicas learn of the promotion, each walks over its rows once (`Link.revert`): it asks the new master for items that
are newer than the new master's position at the promotion, and replaces those that differ. It reports its own undone
changes as conflicts.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from atoll.database import catalog, links
from atoll.database import format as fmt
from atoll.database import rows as item_rows
from atoll.database.group import ACTIVE, SINGLE_MASTER, Group
from atoll.database.links import Copy, Link
from atoll.database.records import plain
from atoll.database.rows import Row
from atoll.database.schema import Table
from atoll.errors import replication as errors
from atoll.replication.messages import Message
from atoll.storage.engine import Snapshot, Transaction
from atoll.versions import COUNTER_BITS, Stamp, Version

LOOKED_ROWS = 2_000
ASKED_ROWS = 100
"""The most rows that one question asks for."""
SKEW = 3_600_000 << COUNTER_BITS
"""One hour; the clocks of two regions are assumed to differ by less."""


def promote(tx: Transaction, stamp: Stamp, table: Table) -> Table:
    """Make this replica the master."""
    group = table.group
    if group is None or group.kind != SINGLE_MASTER:
        raise errors.has_no_master(table.name)
    if group.master == group.own:
        raise errors.is_master(table.name, group.own)
    if group.state_of(group.own) != ACTIVE:
        raise errors.cannot_be_promoted(table.name, group.own, table.status_at(stamp.now_ms))
    link = links.find(tx, table, group.master or "") or Link()
    since, floor = max(0, min(link.seen, stamp.time) - SKEW), max(group.floor, stamp.time)
    promoted = replace(group, master=group.own, term=group.term + 1, since=since, floor=floor)
    table = replace(table, group=promoted)
    catalog.save(tx, table)
    return table


def follow(tx: Transaction, stamp: Stamp, table: Table, group: Group) -> None:
    """Begin to undo the changes that the new master lacks."""
    if group.kind != SINGLE_MASTER or group.master in (None, group.own):
        return
    assert group.master is not None
    link = links.find(tx, table, group.master) or Link()
    links.save(tx, table, group.master, replace(link, revert=Copy(began=stamp.time)))


def version_of(part: str, stored: bytes) -> Version:
    return Row(stored).version if part == links.ITEMS else item_rows.parse_tombstone(stored)


def question(snapshot: Snapshot, table: Table, master: str, progress: Copy, head: dict[str, Any]) -> Message:
    """The question to the master about the next rows whose changes it may lack."""
    assert table.group is not None and table.tombstone_space is not None
    space = table.space if progress.part == links.ITEMS else table.tombstone_space
    start, end = fmt.space_range(space)
    if progress.after:
        start = fmt.key_in(space, bytes.fromhex(progress.after) + b"\0")
    keys: list[bytes] = []
    last, all_ = progress.after, True
    for looked, (key, stored) in enumerate(snapshot.scan(start, end)):
        if looked == LOOKED_ROWS or len(keys) == ASKED_ROWS:
            all_ = False
            break
        version = version_of(progress.part, stored)
        if version.time > table.group.since and version.region != master:
            keys.append(fmt.in_space(key))
        last = fmt.in_space(key).hex()
    return Message("items", head | plain(progress) | {"last": last, "all": all_}, keys)


def moved(link: Link, head: dict[str, Any]) -> Link:
    """The link after an answer to this question."""
    if not head["all"]:
        return replace(link, revert=Copy(head["part"], head["last"], head["began"]))
    is_next = head["part"] == links.ITEMS
    return replace(link, revert=Copy(links.TOMBSTONES, began=head["began"]) if is_next else None)
