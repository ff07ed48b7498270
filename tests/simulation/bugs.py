"""Bugs to plant: each takes one rule of replication away. The simulation must find every one of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from atoll.database import format as fmt
from atoll.database import links, writes
from atoll.database.group import ACTIVE, Group, Member
from atoll.database.log import cursor as log_cursor
from atoll.database.schema import Table
from atoll.replication import membership, receiver, source, steps
from atoll.versions import COUNTER_BITS, Version
from tests.simulation.actions import HOUR_MS

Patch = pytest.MonkeyPatch


def keep_no_tombstones(patch: Patch) -> None:
    """A deletion leaves nothing, so an older change from another region brings the item back."""
    store = writes._store

    def forgetful(tx: Any, write: Any, version: Version, outcome: Any) -> None:
        store(tx, write, version, outcome)
        if outcome.new is None and write.table.tombstone_space is not None:
            tx.delete(fmt.tombstone_key(write.table.tombstone_space, write.row_key))

    patch.setattr(writes, "_store", forgetful)


def drop_tombstones_early(patch: Patch) -> None:
    """A replica drops the tombstones of all deletions that it knows, whatever the others have read."""
    patch.setattr(links, "stable_time", lambda snapshot, table: table.group.floor)


def forget_new_members_at_drops(patch: Patch) -> None:
    """Only members that are ACTIVE count, so a tombstone is dropped while a new replica copies the item."""
    stable_time = links.stable_time

    def careless(snapshot: Any, table: Table) -> int:
        assert table.group is not None
        members = tuple(member for member in table.group.members if member.state == ACTIVE)
        return stable_time(snapshot, replace(table, group=replace(table.group, members=members)))

    patch.setattr(links, "stable_time", careless)


def promise_too_much(patch: Patch) -> None:
    """A replica tells that no change up to a time will follow, but does not keep to it."""
    changes = source.changes

    def generous(snapshot: Any, region: Any, head: Any) -> Any:
        answer = changes(snapshot, region, head)
        if answer.name == "changes" and answer.head["as_of"] is not None:
            answer.head["as_of"] = (region.clock.now_ms() + HOUR_MS) << COUNTER_BITS
        return answer

    patch.setattr(source, "changes", generous)


def store_the_position_first(patch: Patch) -> None:
    """The position is stored in a separate transaction, before the changes: a crash between the two loses them."""
    take = steps.take

    async def careless(region: Any, name: str, other: str, answer: Any) -> Any:
        if answer.name == "changes" and answer.head["rows"]:
            early = answer._replace(head=answer.head | {"rows": []}, parts=())
            before = await region.read(lambda snapshot: _link(snapshot, region, name, other))
            if before is not None and receiver._stands_at(before, answer.head["asked"]):
                await take(region, name, other, early)

                def late(tx: Any, stamp: Any) -> Any:
                    table = membership.member_of(tx, region, name, answer.head["group"]["id"])
                    return table and receiver._apply(tx, region, stamp, table, other, answer)

                return await region.write(late) or receiver.Progress()
        return await take(region, name, other, answer)

    patch.setattr(steps, "take", careless)


def _link(snapshot: Any, region: Any, name: str, other: str) -> links.Link | None:
    table = membership.replica(snapshot, region, name)
    return None if table is None else links.find(snapshot, table, other)


def copy_over_newer_items(patch: Patch) -> None:
    """A copy replaces items that are newer here."""
    copied = receiver._copied

    def overwriting(*arguments: Any) -> Any:
        write = copied(*arguments)
        write.force = True
        return write

    patch.setattr(receiver, "_copied", overwriting)


def apply_any_answer(patch: Patch) -> None:
    """An answer moves the link wherever it stands."""
    patch.setattr(receiver, "_stands_at", lambda link, asked: link.copy is None)


def prefer_a_region(patch: Patch) -> None:
    """The region's name decides about conflicts within a second, but only where changes of others are applied."""
    applied = writes._apply

    def partial(tx: Any, stamp: Any, write: Any, old: Any, decision: Any) -> Any:
        if write.version is not None and old is not None and abs(write.version.ms - old.version.ms) < 1_000:
            write.force = write.version.region > old.version.region
        return applied(tx, stamp, write, old, decision)

    patch.setattr(writes, "_apply", partial)
    patch.setattr(receiver, "_report", lambda *_: 0)


def skip_a_child(patch: Patch) -> None:
    """After a split, only the first child of a shard is read."""
    advance = log_cursor.advance

    def skipping(cursor: Any, present: Any) -> Any:
        found, missed = advance(cursor, present)
        parents = {shard.number: shard.parent for shard in present}
        kept: dict[Any, Any] = {}
        for number, position in found.positions:
            kept.setdefault(parents.get(number) if parents.get(number) is not None else -number - 1, (number, position))
        return log_cursor.Cursor(tuple(sorted(kept.values()))), missed

    patch.setattr(log_cursor, "advance", skipping)


def leave_at_once(patch: Patch) -> None:
    """A replica that leaves does not wait until the others have read its last changes."""
    patch.setattr(membership, "_all_have_read", lambda snapshot, table: True)


def take_the_last_state(patch: Patch) -> None:
    """Of two states of a member, the one that arrived last counts, not the later one."""
    patch.setattr(Member, "merge", lambda self, other: other)


def inherit_nothing(patch: Patch) -> None:
    """A new replica reads the changes of others from the ends of their logs, not from where its source was."""
    began = receiver._began

    def forgetful(tx: Any, stamp: Any, table: Table, link: Any, head: dict[str, Any]) -> Any:
        return began(tx, stamp, table, link, head | {"links": {}})

    patch.setattr(receiver, "_began", forgetful)
    patch.setattr(log_cursor, "start_at", log_cursor.start_at_end)
    patch.setattr(source, "_is_whole", lambda *_: True)


def overlook_missed_changes(patch: Patch) -> None:
    """A replica that was cut off for too long reads on, though changes are missing."""
    moved = receiver._moved
    patch.setattr(receiver, "_moved", lambda link, head, stamp: moved(link, head | {"missed": 0}, stamp))


def believe_late_removals(patch: Patch) -> None:
    """A region that had no replica when it was asked long ago counts as removed, though it has joined since."""

    def believing(region: Any, name: str, other: str, answer: Any, tx: Any, stamp: Any) -> None:
        table = membership.member_of(tx, region, name, answer.head["group"]["id"])
        if table is not None and table.group is not None and table.group.state_of(other) == ACTIVE:
            membership.gone(tx, stamp, table, other, table.group.by_region[other].number)

    patch.setattr(steps, "_gone", believing)


def copy_each_other_never(patch: Patch) -> None:
    """Of a lost member, some replicas have read more than others, and never exchange the difference."""
    patch.setattr(receiver, "_even", lambda *_: None)


def number_members_alike(patch: Patch) -> None:
    """A region that is added again counts as the member that it was before."""
    with_state = Group.with_state

    def alike(self: Group, region: str, state: str, version: Version) -> Group:
        found = with_state(self, region, state, version)
        return found.with_member(replace(found.by_region[region], number=1))

    patch.setattr(Group, "with_state", alike)
    patch.setattr(Member, "merge", lambda self, other: max(self, other, key=lambda member: member.version))


BUGS: tuple[Callable[[Patch], None], ...] = (
    keep_no_tombstones, drop_tombstones_early, forget_new_members_at_drops, promise_too_much,
    store_the_position_first, copy_over_newer_items, apply_any_answer, prefer_a_region, skip_a_child,
    leave_at_once, take_the_last_state, inherit_nothing, overlook_missed_changes, believe_late_removals,
    copy_each_other_never, number_members_alike,
)  # fmt: skip
