"""One step of reading from another region: the next question, and the effect of its answer."""

from __future__ import annotations

from functools import partial
from typing import Any

from atoll.database import links
from atoll.database.group import ACTIVE, CREATING, DELETING, REMOVED
from atoll.database.links import Link
from atoll.database.records import dump, plain
from atoll.database.region import Region
from atoll.database.schema import Table
from atoll.limits import LEAVING_MS
from atoll.replication import masters, membership, receiver, source
from atoll.replication.messages import Message
from atoll.replication.receiver import Progress
from atoll.storage.engine import Snapshot, Transaction
from atoll.versions import Stamp


def invited(table: Table) -> list[str]:
    """The regions that this replica asks to join: new members that it has added, or whose inviter was removed."""
    group = table.group
    if group is None or table.status == CREATING:
        return []
    present = {member.region for member in group.present}
    return [
        member.region
        for member in group.others
        if member.state == CREATING and (member.by == group.own or member.by not in present)
    ]


def invitation(snapshot: Snapshot, region: Region, name: str, other: str) -> Message | None:
    """The message that asks a region to join: the table as this replica has it."""
    table = membership.replica(snapshot, region, name)
    return Message("join", {}, [dump(table)]) if table is not None and other in invited(table) else None


def question(snapshot: Snapshot, region: Region, name: str, other: str, wait_ms: int) -> Message | None:
    """The next question to the region `other`; None if there is nothing to read from it."""
    table = membership.replica(snapshot, region, name)
    if table is None or table.group is None:
        return None
    group = table.group
    if other == group.own or group.state_of(other) not in (CREATING, ACTIVE, DELETING):
        return None
    link = links.find(snapshot, table, other)
    head: dict[str, Any] = {"table": name, "group": group.id, "settings": plain(group.settings)}
    head["told"] = {**source.about(snapshot, table, group.settings), "seen": []}
    if table.status == CREATING and (link is None or link.copy is None):
        return None  # it copies another one first
    link = link or Link()
    if link.revert is not None and other == group.master and table.status != DELETING:
        return masters.question(snapshot, table, other, link.revert, head)
    if link.copy is not None and table.status != DELETING:
        return Message("rows", head | plain(link.copy))
    head |= {"table_id": link.table_id, "positions": plain(link.positions)}
    reads = other in group.sources and table.status != DELETING
    return Message("changes", head | {"wants_changes": reads, "wait_ms": wait_ms})


async def take(region: Region, name: str, other: str, answer: Message) -> Progress:
    """Apply the answer."""
    if answer.name == source.GONE:
        await region.write(partial(_gone, region, name, other, answer))
        return Progress(learned=True)
    if answer.name == "join":
        if not answer.head["joined"]:
            await region.write(partial(_refused, region, name, other, answer))
        return Progress()
    apply = receiver.APPLY[answer.name]
    return await region.write(lambda tx, stamp: apply(tx, region, stamp, name, other, answer))


def _gone(region: Region, name: str, other: str, answer: Message, tx: Transaction, stamp: Stamp) -> None:
    """Handle the answer that the region has no replica: the member that this replica knew at the time of the question
    is removed."""
    table = membership.member_of(tx, region, name, answer.head["group"]["id"])
    for known in membership.members(answer.head["known"]):
        if table is not None and known.region == other and known.state in (ACTIVE, DELETING):
            membership.gone(tx, stamp, table, other, known.number)


def _refused(region: Region, name: str, other: str, answer: Message, tx: Transaction, stamp: Stamp) -> None:
    """Handle the answer that the region has another table of this name."""
    table = membership.member_of(tx, region, name, answer.head["group"])
    if table is not None and table.group is not None:
        member = table.group.by_region.get(other)
        if member is not None and member.state == CREATING and member.number == answer.head["number"]:
            membership.set_state(tx, stamp, table, other, REMOVED)


async def unreachable(region: Region, name: str, other: str) -> None:
    """Treat a member as removed if it is leaving and could not be reached for a day."""

    def is_over(table: Table | None, now_ms: int) -> bool:
        member = None if table is None or table.group is None else table.group.by_region.get(other)
        return member is not None and member.state == DELETING and member.version.ms + LEAVING_MS <= now_ms

    def run(tx: Transaction, stamp: Stamp) -> None:
        table = membership.replica(tx, region, name)
        if table is not None and is_over(table, stamp.now_ms):
            assert table.group is not None
            membership.gone(tx, stamp, table, other, table.group.by_region[other].number)

    if is_over(region.catalog.known.tables.get(name), region.clock.now_ms()):
        await region.write(run)
