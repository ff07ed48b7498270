"""What a replica does with the answers of another one. Functions over a transaction.

Each applies what it was told, moves the link to that region, and learns what the other knows of the group. An answer
may come late, twice or in another order: changes are applied by their versions, and a link moves only if it stands
where the question was asked.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

import orjson

from atoll.clock import COUNTER_BITS, Stamp, Version
from atoll.database import format as fmt
from atoll.database import links, writes
from atoll.database.format import Row
from atoll.database.group import CREATING
from atoll.database.links import Copy, Link
from atoll.database.region import Region
from atoll.database.schema import Table
from atoll.database.writes import Image, Outcome, Replicate
from atoll.model.values import Item
from atoll.replication import conflicts, masters, membership
from atoll.replication.conflicts import Side
from atoll.replication.messages import Message
from atoll.storage.engine import Transaction

SEEN_INTERVAL = 600_000 << COUNTER_BITS
"""`Link.seen` alone is stored again when it has grown by so much: ten minutes."""


class Incoming(NamedTuple):
    write: Replicate
    base: Version | None
    """The version that the change replaced, or the first of several changes of the item."""


class Progress(NamedTuple):
    """What an answer did."""

    applied: int = 0
    conflicts: int = 0
    written_ms: int | None = None
    """When the last of the changes was committed in its region."""
    pending: int = 0
    """Changes that the other region still has."""
    goes_on: bool = False
    """There is more to ask for at once."""
    learned: bool = False
    """The replica's table or its group has changed."""

    @property
    def did_something(self) -> bool:
        return self.applied > 0 or self.goes_on or self.learned


def changes(tx: Transaction, region: Region, stamp: Stamp, name: str, source: str, answer: Message) -> Progress | None:
    """Apply an answer to `changes`. None: it is of a group that this table is not in."""
    table, head = membership.replica(tx, region, name), answer.head
    if table is None or table.group is None or source not in table.group.by_region:
        return None
    link = links.find(tx, table, source) or Link()
    incoming = _incoming(table, source, head["rows"], answer.parts)
    outcomes = writes.commit(tx, [one.write for one in incoming], stamp) if incoming else []
    in_place = _stands_at(link, head["asked"])
    found = 0
    if in_place:
        found = _report(tx, region, stamp, incoming, outcomes)
        moved = _moved(link, head)
        if _is_worth_storing(link, moved):
            links.save(tx, table, source, moved)
    learned = membership.learn(tx, region, stamp, table, head["group"]) is not table
    return Progress(
        sum(not outcome.is_outdated for outcome in outcomes),
        found,
        head["rows"][-1][5] if head["rows"] else None,
        head["pending"],
        goes_on=in_place and (head["as_of"] is None or bool(head["missed"])),
        learned=learned,
    )


def _stands_at(link: Link, asked: dict[str, Any]) -> bool:
    positions = None if link.positions is None else [list(one) for one in link.positions]
    return link.copy is None and asked["table_id"] == link.table_id and asked["positions"] == positions


def _moved(link: Link, head: dict[str, Any]) -> Link:
    if head["missed"]:
        return replace(link, copy=Copy())
    seen = link.seen if head["as_of"] is None else max(link.seen, head["as_of"])
    positions = tuple((shard, position) for shard, position in head["positions"])
    others = tuple(sorted(head["group"]["seen"].items()))
    return Link(head["table_id"], positions, seen=seen, others=others)


def _is_worth_storing(link: Link, moved: Link) -> bool:
    if (moved.table_id, moved.positions, moved.copy) != (link.table_id, link.positions, link.copy):
        return True
    before = dict(link.others)
    grown = [moved.seen - link.seen, *(time - before.get(region, 0) for region, time in moved.others)]
    return max(grown) > SEEN_INTERVAL or len(before) != len(moved.others)


def _incoming(table: Table, source: str, rows: list[list[Any]], parts: Any) -> list[Incoming]:
    """The last change of each item."""
    found: dict[bytes, Incoming] = {}
    for number, (time, _, size, previous_time, previous_region, _written_ms) in enumerate(rows):
        key: Item = orjson.loads(parts[2 * number])
        json = parts[2 * number + 1]
        row_key = table.item_key(key)
        image = Image(orjson.loads(json), size, json) if json else None
        earlier = found.pop(row_key, None)
        base = Version(previous_time, previous_region) if previous_time else None
        if earlier is not None:
            base = earlier.base
            if earlier.write.version.time > time:
                found[row_key] = earlier
                continue
        write = Replicate(table, key, row_key, image, Version(time, source))
        found[row_key] = Incoming(write, base)
    return list(found.values())


def _report(tx: Transaction, region: Region, stamp: Stamp, incoming: list[Incoming], outcomes: list[Outcome]) -> int:
    """Record the conflicts among changes that are applied for the first time."""
    found = 0
    for (write, base), outcome in zip(incoming, outcomes, strict=True):
        stored, image = outcome.found, write.image
        if stored is None or stored == write.version:
            continue
        new = Side(write.version, None if image is None else image.json)
        old = Side(stored, None if outcome.old is None else outcome.old.json)
        if outcome.is_outdated:
            # Another region may have seen this change before it wrote the stored version. This region has not.
            is_conflict, sides = stored.region == region.name, (old, new)
        else:
            is_conflict, sides = base is None or base < stored, (new, old)
        if is_conflict:
            conflicts.record(tx, write.table.name, write.key, *sides, stamp.now_ms)
            found += 1
    return found


def rows(tx: Transaction, region: Region, stamp: Stamp, name: str, source: str, answer: Message) -> Progress | None:
    """Apply an answer to `rows`. None: it is of a group that this table is not in."""
    table, head = membership.replica(tx, region, name), answer.head
    if table is None or table.group is None or source not in table.group.by_region:
        return None
    link = links.find(tx, table, source)
    copied = [
        _copied(table, head["part"], suffix, row)
        for suffix, row in zip(answer.parts[::2], answer.parts[1::2], strict=True)
    ]
    outcomes = writes.commit(tx, copied, stamp) if copied else []
    in_place = link is not None and link.copy == Copy(head["part"], head["asked"])
    goes_on, before = False, table
    if link is not None and in_place:
        if "positions" in head:
            link = _began(tx, table, source, link, head)
        link, goes_on = _copied_on(link, head)
        links.save(tx, table, source, link)
        if not goes_on and table.group.state_of(region.name) == CREATING:
            table = membership.activate(tx, stamp, table)
    learned = membership.learn(tx, region, stamp, table, head["group"]) is not before
    return Progress(sum(not outcome.is_outdated for outcome in outcomes), goes_on=goes_on, learned=learned)


def _copied(table: Table, part: str, suffix: bytes, stored: bytes) -> Replicate:
    row_key = table.prefix + suffix
    if part == links.TOMBSTONES:
        return Replicate(table, _key_of(table, row_key), row_key, None, fmt.parse_tombstone(stored))
    row = Row(stored)
    return Replicate(table, table.keys.key_of(row.item), row_key, Image(row.item, row.size, row.json), row.version)


def _key_of(table: Table, row_key: bytes) -> Item:
    attributes = table.keys.attributes
    contents = fmt.key_contents(row_key, "".join(a.type for a in attributes))
    return {a.name: {a.type: content} for a, content in zip(attributes, contents, strict=True)}


def _began(tx: Transaction, table: Table, source: str, link: Link, head: dict[str, Any]) -> Link:
    """The copy begins. What the source has read of others, the copy has too: read on from there."""
    assert table.group is not None
    for other, known in head["links"].items():
        if other != table.group.own and links.find(tx, table, other) is None:
            inherited = Link(known["table_id"], _tuples(known["positions"]), Copy() if known["copying"] else None)
            links.save(tx, table, other, inherited)
    return replace(link, table_id=head["table_id"], positions=_tuples(head["positions"]))


def _tuples(positions: list[list[int]] | None) -> tuple[tuple[int, int], ...] | None:
    return None if positions is None else tuple((shard, position) for shard, position in positions)


def _copied_on(link: Link, head: dict[str, Any]) -> tuple[Link, bool]:
    """The link after these rows, and whether there are more."""
    if not head["all"]:
        return replace(link, copy=Copy(head["part"], head["last"])), True
    if head["part"] == links.ITEMS:
        return replace(link, copy=Copy(links.TOMBSTONES)), True
    return replace(link, copy=None), False


def items(tx: Transaction, region: Region, stamp: Stamp, name: str, source: str, answer: Message) -> Progress | None:
    """Apply a master's answer to `items`: replace what it lacks. None: this table is not in its group."""
    table, head = membership.replica(tx, region, name), answer.head
    if table is None or table.group is None or table.group.master != source:
        return None
    link = links.find(tx, table, source)
    parts = answer.parts
    undone = 0
    for suffix, item, tombstone in zip(parts[::3], parts[1::3], parts[2::3], strict=True):
        undone += _undo(tx, region, stamp, table, suffix, item, tombstone)
    goes_on = False
    if link is not None and link.revert == Copy(head["part"], head["after"]):
        links.save(tx, table, source, masters.moved(link, head))
        goes_on = True
    membership.learn(tx, region, stamp, table, head["group"])
    return Progress(undone, undone, goes_on=goes_on)


def _undo(
    tx: Transaction, region: Region, stamp: Stamp, table: Table, suffix: bytes, item: bytes, tombstone: bytes
) -> bool:
    """Put the master's item in the place of this replica's. Returns whether it was another one."""
    assert table.group is not None and table.tombstone_space is not None
    row_key = table.prefix + suffix
    if item:
        theirs = _copied(table, links.ITEMS, suffix, item)
    elif tombstone:
        theirs = _copied(table, links.TOMBSTONES, suffix, tombstone)
    else:
        theirs = Replicate(table, _key_of(table, row_key), row_key, None, Version(0, ""))
    stored = tx.get(row_key)
    dead = tx.get(fmt.tombstone_key(table.tombstone_space, row_key)) if stored is None else None
    own = Row(stored).version if stored is not None else None if dead is None else fmt.parse_tombstone(dead)
    if own is None or own.region == table.group.master or own == theirs.version:
        return False
    theirs.force = True
    writes.commit_single(tx, theirs, stamp)
    if own.region == region.name:
        winner = Side(theirs.version, None if theirs.image is None else theirs.image.json)
        loser = Side(own, None if stored is None else Row(stored).json)
        conflicts.record(tx, table.name, theirs.key, winner, loser, stamp.now_ms)
    return True


APPLY = {"changes": changes, "rows": rows, "items": items}
"""By the name of the answer."""
