"""Apply the answers of another replica: functions over a transaction.

Each applies the answer's changes, moves the link to that region, and merges the other replica's copy of the group. An
answer may come late, twice or out of order: it is applied only if the link is still at the question's position.
Otherwise an old answer could bring back an item whose tombstone has been dropped since.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

import orjson

from atoll.capacity.units import Consumed, written
from atoll.database import format as fmt
from atoll.database import links, writes
from atoll.database import rows as item_rows
from atoll.database.group import CREATING, DELETING
from atoll.database.links import Copy, Link, Positions
from atoll.database.log import changes as log_changes
from atoll.database.records import build, plain
from atoll.database.region import Region
from atoll.database.rows import Row
from atoll.database.schema import Table
from atoll.database.writes import Image, Outcome, Replicate
from atoll.model.values import Item
from atoll.replication import conflicts, masters, membership
from atoll.replication.conflicts import Side
from atoll.replication.messages import Message
from atoll.storage.engine import Transaction
from atoll.versions import COUNTER_BITS, Stamp, Version

SEEN_INTERVAL = 600_000 << COUNTER_BITS
"""If only `Link.seen` changes, it is stored after it has grown by this much: ten minutes."""


class Change(NamedTuple):
    replaced: Version
    """The version that the change replaced. If there was none, the time up to which the source may have dropped
    tombstones."""
    made: Side


class Incoming(NamedTuple):
    """One or more changes of an item, of which the last is applied."""

    write: Replicate
    changes: tuple[Change, ...]


class Progress(NamedTuple):
    """The effects of an answer."""

    applied: int = 0
    conflicts: int = 0
    written_ms: int | None = None
    """When the last of the changes was committed in its region."""
    pending: int = 0
    """The changes that the other region still has to send."""
    goes_on: bool = False
    """Whether more can be asked for at once."""
    learned: bool = False
    """Whether the replica's table or its group has changed."""
    consumed: tuple[Consumed, ...] = ()
    """The capacity units of the changes, as they were charged in their region."""

    @property
    def did_something(self) -> bool:
        return self.applied > 0 or self.goes_on or self.learned


def changes(tx: Transaction, region: Region, stamp: Stamp, name: str, source: str, answer: Message) -> Progress:
    """Apply an answer to `changes`."""
    table, head = _reader(tx, region, name, source, answer), answer.head
    if table is None:
        return Progress()
    if table.status == DELETING:  # it reads no more, but waits for others to read its changes
        membership.learn(tx, region, stamp, table, head["group"])
        return Progress()
    link = links.find(tx, table, source) or Link()
    progress = Progress()
    if _stands_at(link, head["asked"]):
        progress = _apply(tx, region, stamp, table, source, answer)
        moved = _moved(link, head, stamp)
        if _is_worth_storing(link, moved):
            links.save(tx, table, source, moved)
    _even(tx, stamp, table, source, head["group"])
    learned = membership.learn(tx, region, stamp, table, head["group"]) is not table
    return progress._replace(learned=learned)


def _apply(tx: Transaction, region: Region, stamp: Stamp, table: Table, source: str, answer: Message) -> Progress:
    head = answer.head
    incoming = _incoming(table, source, head["rows"], answer.parts)
    outcomes = writes.commit(tx, [one.write for one in incoming], stamp) if incoming else []
    return Progress(
        sum(not outcome.is_outdated for outcome in outcomes),
        _report(tx, region, stamp, incoming, outcomes),
        head["rows"][-1][5] if head["rows"] else None,
        head["pending"],
        goes_on=head["as_of"] is None or bool(head["missed"]),
        consumed=_consumed(table, incoming, outcomes),
    )


def _consumed(table: Table, incoming: list[Incoming], outcomes: list[Outcome]) -> tuple[Consumed, ...]:
    pairs = zip(incoming, outcomes, strict=True)
    return tuple(written((table.name, one.write, outcome) for one, outcome in pairs if not outcome.is_outdated))


def _reader(tx: Transaction, region: Region, name: str, source: str, answer: Message) -> Table | None:
    """The table, if it is in the group of the answer and reads from its source."""
    table = membership.member_of(tx, region, name, answer.head["group"]["id"])
    if table is None or table.group is None:
        return None
    return table if any(member.region == source for member in table.group.others) else None


def _even(tx: Transaction, stamp: Stamp, table: Table, source: str, told: dict[str, Any]) -> None:
    """Copy the source once if it knows lost members that this replica has not copied it for: it may have read more of
    their changes than this replica."""
    lost = [(member["region"], member["lost"]) for member in told["members"] if member["lost"]]
    link = links.find(tx, table, source) if lost else None
    if link is not None and not set(lost) <= set(link.evened) and table.status != CREATING:
        evened = tuple(sorted({**dict(link.evened), **dict(lost)}.items()))
        links.save(tx, table, source, replace(link, copy=Copy(began=stamp.time), evened=evened, others=()))


def _stands_at(link: Link, asked: dict[str, Any]) -> bool:
    return link.copy is None and (asked["table_id"], asked["positions"]) == (link.table_id, plain(link.positions))


def _moved(link: Link, head: dict[str, Any], stamp: Stamp) -> Link:
    if head["missed"]:
        return replace(link, copy=Copy(began=stamp.time))
    if head["table_id"] != link.table_id:  # the source left, and has joined again
        link = replace(link, seen=0, evened=())
    return replace(
        link,
        table_id=head["table_id"],
        positions=build(Positions, head["positions"]),
        seen=link.seen if head["as_of"] is None else max(link.seen, head["as_of"]),
        others=tuple((region, table, time) for region, table, time in head["group"]["seen"]),
        ended=head["leaving"] and head["as_of"] is not None,
    )


def _is_worth_storing(link: Link, moved: Link) -> bool:
    if replace(moved, seen=link.seen, others=link.others) != link:
        return True
    before = {entry[:2]: entry[2] for entry in link.others}
    grown = [
        moved.seen - link.seen,
        *(abs(time - before.get((region, table), 0)) for region, table, time in moved.others),
    ]
    return max(grown) > SEEN_INTERVAL or len(before) != len(moved.others)


def _incoming(table: Table, source: str, rows: list[list[Any]], parts: Any) -> list[Incoming]:
    """The last change of each item."""
    found: dict[bytes, Incoming] = {}
    for number, (time, _, size, previous_time, previous_region, _written_ms) in enumerate(rows):
        key: Item = orjson.loads(parts[2 * number])
        json = parts[2 * number + 1]
        row_key = table.item_key(key)
        image = Image(orjson.loads(json), size, json) if json else None
        version, earlier = Version(time, source), found.pop(row_key, None)
        change = Change(Version(previous_time, previous_region), Side(version, json or None))
        if earlier is None:
            found[row_key] = Incoming(Replicate(table, key, row_key, image, version), (change,))
        else:
            earlier.write.version, earlier.write.image = version, image
            found[row_key] = Incoming(earlier.write, (*earlier.changes, change))
    return list(found.values())


def _report(tx: Transaction, region: Region, stamp: Stamp, incoming: list[Incoming], outcomes: list[Outcome]) -> int:
    """Record the conflicts among changes that are applied for the first time."""
    found = 0
    for (write, made), outcome in zip(incoming, outcomes, strict=True):
        stored = outcome.found
        if stored is None or stored == write.version:
            continue
        old = Side(stored, None if outcome.old is None else outcome.old.json)
        if outcome.is_outdated:
            is_conflict, sides = stored.region == region.name and _won_unseen(tx, write, stored), (old, made[-1].made)
        else:
            replaced, new = next(change for change in made if change.made.version > stored)
            is_conflict, sides = replaced < stored, (new, old)
        if is_conflict:
            conflicts.record(tx, write.table.name, write.key, *sides, stamp.now_ms)
            found += 1
    return found


def _won_unseen(tx: Transaction, write: Replicate, stored: Version) -> bool:
    """Whether a change of this region won over an incoming one without having seen it, because the version that it
    replaced is even older. Known only for recent changes of this region."""
    change = log_changes.find_last(tx, write.table, write.row_key, write.key, stored)
    return change is not None and (change.previous is None or change.previous < write.version)


def rows(tx: Transaction, region: Region, stamp: Stamp, name: str, source: str, answer: Message) -> Progress:
    """Apply an answer to `rows`."""
    table, head = _reader(tx, region, name, source, answer), answer.head
    if table is None or table.group is None or table.status == DELETING:
        return Progress()
    link = links.find(tx, table, source)
    progress, before = Progress(), table
    if link is not None and link.copy == Copy(head["part"], head["after"], head["began"]):
        copied = [
            _copied(table, head["part"], suffix, row)
            for suffix, row in zip(answer.parts[::2], answer.parts[1::2], strict=True)
        ]
        outcomes = writes.commit(tx, copied, stamp) if copied else []
        if "positions" in head:
            link = _began(tx, stamp, table, link, head)
        link, goes_on = _copied_on(link, head)
        links.save(tx, table, source, link)
        if not goes_on and table.group.state_of(region.name) == CREATING:
            table = membership.activate(tx, stamp, table)
        progress = Progress(sum(not outcome.is_outdated for outcome in outcomes), goes_on=goes_on)
    _even(tx, stamp, table, source, head["group"])
    learned = membership.learn(tx, region, stamp, table, head["group"]) is not before
    return progress._replace(learned=learned)


def _copied(table: Table, part: str, suffix: bytes, stored: bytes) -> Replicate:
    row_key = table.prefix + suffix
    if part == links.TOMBSTONES:
        return Replicate(table, table.keys.decode(row_key), row_key, None, item_rows.parse_tombstone(stored))
    row = Row(stored)
    return Replicate(table, table.keys.key_of(row.item), row_key, Image(row.item, row.size, row.json), row.version)


def _began(tx: Transaction, stamp: Stamp, table: Table, link: Link, head: dict[str, Any]) -> Link:
    """Give the copy the source's links, so that it continues where the source has read other regions. If the source
    still copies one of them, the copy begins to copy that one, too."""
    assert table.group is not None
    for other, known in head["links"].items():
        if other != table.group.own and links.find(tx, table, other) is None:
            inherited: Link = build(Link, known)
            if inherited.copy is not None:
                inherited = replace(inherited, copy=Copy(began=stamp.time))
            links.save(tx, table, other, inherited)
    evened = tuple((member["region"], member["lost"]) for member in head["group"]["members"] if member["lost"])
    positions = build(Positions, head["positions"])
    return replace(link, table_id=head["table_id"], positions=positions, evened=evened)


def _copied_on(link: Link, head: dict[str, Any]) -> tuple[Link, bool]:
    """The link after these rows, and whether there are more."""
    if not head["all"]:
        return replace(link, copy=Copy(head["part"], head["last"], head["began"])), True
    if head["part"] == links.ITEMS:
        return replace(link, copy=Copy(links.TOMBSTONES, began=head["began"])), True
    return replace(link, copy=None), False


def items(tx: Transaction, region: Region, stamp: Stamp, name: str, source: str, answer: Message) -> Progress:
    """Apply a master's answer to `items`: replace the rows whose changes it lacks."""
    table, head = _reader(tx, region, name, source, answer), answer.head
    if table is None or table.group is None or table.group.master != source:
        return Progress()
    link, parts, progress = links.find(tx, table, source), answer.parts, Progress()
    if link is not None and link.revert == Copy(head["part"], head["after"], head["began"]):
        undone = 0
        for suffix, item, tombstone in zip(parts[::3], parts[1::3], parts[2::3], strict=True):
            undone += _undo(tx, region, stamp, table, suffix, item, tombstone)
        links.save(tx, table, source, masters.moved(link, head))
        progress = Progress(undone, undone, goes_on=True)
    learned = membership.learn(tx, region, stamp, table, head["group"]) is not table
    return progress._replace(learned=learned)


def _undo(
    tx: Transaction, region: Region, stamp: Stamp, table: Table, suffix: bytes, item: bytes, tombstone: bytes
) -> bool:
    """Replace this replica's item by the master's. Returns whether they differed."""
    assert table.group is not None and table.tombstone_space is not None
    row_key = table.prefix + suffix
    if item:
        theirs = _copied(table, links.ITEMS, suffix, item)
    elif tombstone:
        theirs = _copied(table, links.TOMBSTONES, suffix, tombstone)
    else:
        theirs = Replicate(table, table.keys.decode(row_key), row_key, None, Version(0, ""))
    stored = tx.get(row_key)
    dead = tx.get(fmt.tombstone_key(table.tombstone_space, row_key)) if stored is None else None
    own = Row(stored).version if stored is not None else None if dead is None else item_rows.parse_tombstone(dead)
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
"""The functions by the name of the answer."""
