"""Answer other replicas, with changes or copies of rows: functions over a snapshot.

    changes   the changes that were made in this region, from a position on, and the replica's copy of the group
    rows      items or tombstones with their versions, in the order of their keys; with the first of them, the
              positions from which to read on when all are copied
    items     the items or tombstones with given keys

A change made in another region is not passed on: each replica reads it from that region.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from atoll.database import format as fmt
from atoll.database import links
from atoll.database.group import DELETING
from atoll.database.links import Link, Positions
from atoll.database.log import cursor as log_cursor
from atoll.database.log.cursor import Cursor, Scope
from atoll.database.records import build, plain
from atoll.database.region import Region
from atoll.database.schema import HASHES, Table
from atoll.database.walk import piece
from atoll.replication import membership, shared
from atoll.replication.messages import Message
from atoll.storage.engine import Snapshot

CHANGES = 500
CHANGES_BYTES = 1024 * 1024
ROWS = 250
GONE = "gone"
"""The answer to any message if the region has no such replica."""


def find(snapshot: Snapshot, region: Region, head: dict[str, Any]) -> Table | None:
    """The replica that a message is about."""
    return membership.member_of(snapshot, region, head["table"], head["group"])


def gone(region: Region, head: dict[str, Any]) -> Message:
    """The answer of a region without the replica. It repeats the state in which the asking replica knew it."""
    known = [member for member in head["told"]["members"] if member["region"] == region.name]
    return Message(GONE, {"group": {"id": head["group"]}, "known": known})


def about(snapshot: Snapshot, table: Table, settings: tuple[int, str]) -> dict[str, Any]:
    """The replica's copy of its group, with its shared settings if they are newer than `settings`."""
    group = table.group
    assert group is not None
    found: dict[str, Any] = {
        "id": group.id,
        "kind": group.kind,
        "members": group.listed,
        "term": group.term,
        "master": group.master,
        "since": group.since,
        "settings": plain(group.settings),
        "seen": plain(links.seen(links.of(snapshot, table), group)),
    }
    if group.settings > settings:
        found["shared"] = shared.of(group)
    return found


def changes(snapshot: Snapshot, region: Region, head: dict[str, Any]) -> Message:
    """Answer to `changes`."""
    table = find(snapshot, region, head)
    if table is None or table.group is None:
        return gone(region, head)
    scope, asked = Scope(table.log_space), {"table_id": head["table_id"], "positions": head["positions"]}
    answer: dict[str, Any] = {"table_id": table.id, "asked": asked, "as_of": None, "rows": []}
    answer["group"] = about(snapshot, table, shared.version_of(head))
    answer["missed"] = 0
    if head["table_id"] == table.id and head["positions"] is not None:
        cursor = Cursor(build(Positions, head["positions"]))
    else:
        cursor = log_cursor.start_at(snapshot, scope)
        answer["missed"] = 0 if not head["wants_changes"] or _is_whole(snapshot, scope, cursor) else 1
    parts: list[bytes] = []
    if head["wants_changes"]:
        batch = log_cursor.read(snapshot, scope, cursor, CHANGES, CHANGES_BYTES)
        cursor = batch.cursor
        for _, _, change in batch.changes:
            if change.region == region.name:
                previous = change.previous or (table.group.dropped + 1, "")
                answer["rows"].append([change.time, change.cause, change.new_size, *previous, change.written_ms])
                parts += (change.keys, change.new or b"")
        answer["missed"] += batch.missed
        caught_up = batch.caught_up
    else:
        caught_up = True
        if not table.group.accepts_writes:
            cursor = log_cursor.start_at_end(snapshot, scope)
    if caught_up:
        answer["as_of"] = table.group.floor
    answer["leaving"] = table.status == DELETING
    answer["pending"] = 0 if caught_up else pending(snapshot, scope, cursor)
    answer["positions"] = plain(cursor.positions)
    return Message("changes", answer, parts)


def _is_whole(snapshot: Snapshot, scope: Scope, start: Cursor) -> bool:
    """Whether a log still has its first change, so that a cursor at its start misses none."""
    positions, width = dict(start.positions), 0
    for shard in log_cursor.listed(snapshot, scope):
        if shard.parent is None and positions.get(shard.number) == shard.first_sequence:
            width += shard.last_hash - shard.first_hash + 1
    return width == HASHES


def pending(snapshot: Snapshot, scope: Scope, cursor: Cursor) -> int:
    """The number of changes after the cursor, or a slightly greater number."""
    shards = list(log_cursor.listed(snapshot, scope))
    ends = dict(zip([s.number for s in shards], log_cursor.ends(snapshot, scope.log_space, shards), strict=True))
    starts = {s.number: s.first_sequence for s in shards}
    read = dict(cursor.positions)
    first = min(read, default=0)
    return sum(max(0, end - read.get(number, starts[number])) for number, end in ends.items() if number >= first)


def rows(snapshot: Snapshot, region: Region, head: dict[str, Any]) -> Message:
    """Answer to `rows`."""
    table = find(snapshot, region, head)
    if table is None or table.group is None or table.tombstone_space is None:
        return gone(region, head)
    space = table.space if head["part"] == links.ITEMS else table.tombstone_space
    start, end = fmt.space_range(space)
    if head["after"]:
        start = fmt.key_in(space, bytes.fromhex(head["after"]) + b"\0")
    found, all_ = piece(snapshot.scan(start, end), ROWS)
    answer: dict[str, Any] = {part: head[part] for part in ("part", "after", "began")}
    answer |= {"all": all_, "table_id": table.id}
    answer["last"] = fmt.in_space(found[-1][0]).hex() if found else head["after"]
    answer["group"] = about(snapshot, table, shared.version_of(head))
    if head["part"] == links.ITEMS and not head["after"]:
        ends = log_cursor.start_at_end(snapshot, Scope(table.log_space))
        answer["positions"] = plain(ends.positions)
        answer["links"] = {source: plain(_inherited(link)) for source, link in links.of(snapshot, table).items()}
    return Message("rows", answer, [part for key, row in found for part in (fmt.in_space(key), row)])


def _fitting(sizes: list[int]) -> int:
    """How many of these rows fit into an answer: at least one, then until it has a megabyte."""
    room = CHANGES_BYTES
    for number, size in enumerate(sizes):
        if room <= 0:
            return number
        room -= size
    return len(sizes)


def _inherited(link: Link) -> Link:
    """The link that a copy of this replica begins with."""
    return replace(link, seen=0, others=(), drained=False)


def items(snapshot: Snapshot, region: Region, message: Message) -> Message:
    """Answer to `items`: for each key its item's row, its tombstone, or nothing, in order. If they are too large for
    one answer, it has the first of them, and names the last key that it covers."""
    head, keys = message.head, message.parts
    table = find(snapshot, region, head)
    if table is None or table.group is None or table.tombstone_space is None:
        return gone(region, head)
    spaces = (table.space, table.tombstone_space)
    stored = snapshot.get_many([fmt.key_in(space, key) for key in keys for space in spaces])
    answer = {part: head[part] for part in ("part", "after", "began", "last", "all")}
    answer["group"] = about(snapshot, table, shared.version_of(head))
    fitting = _fitting([len(stored[2 * n] or b"") for n in range(len(keys))])
    if fitting < len(keys):
        keys = keys[:fitting]
        answer |= {"last": keys[-1].hex(), "all": False}
    parts = [part for n, key in enumerate(keys) for part in (key, stored[2 * n] or b"", stored[2 * n + 1] or b"")]
    return Message("items", answer, parts)
