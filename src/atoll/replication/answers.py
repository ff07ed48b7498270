"""The messages that regions answer about replicas:

    table     facts about a table of the region; see `enquiries`
    override  settings for the replica in the region; see `enquiries`
    scaling   the replica's auto scaling; see `enquiries`
    join      create a replica in this region
    changes   the changes after a position; waits for some if there are none
    rows      some rows of a copy
    items     the items with given keys

Each calls a plain function of `source` or `membership`. A message has the asking replica's copy of the group.
"""

from __future__ import annotations

import asyncio
import uuid
from functools import partial
from typing import Any

from atoll.clock import monotonic_ns
from atoll.database.group import DELETING, LEGACY_MULTI_MASTER
from atoll.database.records import load
from atoll.database.region import Region
from atoll.database.schema import Table
from atoll.replication import enquiries, membership, source
from atoll.replication.exchange import Handlers
from atoll.replication.messages import Message
from atoll.storage.engine import Snapshot, Transaction
from atoll.versions import Stamp

LOOK_S = 0.2
"""The interval at which a waiting answer looks for changes that another process has made."""
PAUSES_S = (0.0, 0.002, 0.01, 0.05)
"""How long a waiting answer pauses after a commit that was not its table's, then after further ones."""


async def join(region: Region, asking: str, message: Message) -> Message:
    invited: Table = load(Table, message.parts[0])
    new_id = str(uuid.uuid4())

    def run(tx: Transaction, stamp: Stamp) -> dict[str, bool]:
        before = membership.replica(tx, region, invited.name)
        after = membership.join(tx, region, stamp, invited, asking, new_id)
        return {"joined": after is not None, "is_new": after != before}

    joined = await region.write(run)
    region.wake()
    assert invited.group is not None
    member = invited.group.by_region[region.name]
    return Message("join", {**joined, "group": invited.group.id, "number": member.number})


async def changes(region: Region, asking: str, message: Message) -> Message:
    head = message.head
    until_ns = monotonic_ns() + head["wait_ms"] * 1_000_000
    if any(head.get("arrived", ())):
        region.meter.replicated(head["table"], asking).arrived(*head["arrived"])
    await _learn(region, head)
    pauses, is_noted = iter(PAUSES_S), False
    while True:
        answer = await region.read(partial(_changes, region, head))
        if not is_noted and _has_read_all(head, answer):
            await _drained(region, head, asking)
            is_noted = True
        left_s = (until_ns - monotonic_ns()) / 1e9
        if left_s <= 0 or _has_moved(head, answer):
            break
        await region.committed.wait(min(LOOK_S, left_s))
        await asyncio.sleep(next(pauses, PAUSES_S[-1]))
    if answer.name != source.GONE and answer.head["group"]["kind"] == LEGACY_MULTI_MASTER:
        region.meter.replicated(head["table"], asking).pending = answer.head["pending"]
    return answer


def _changes(region: Region, head: dict[str, Any], snapshot: Snapshot) -> Message:
    return source.changes(snapshot, region, head)


def has_news(question: Message, answer: Message) -> bool:
    """Whether an answer has news about a replica's items or settings. Faults of links affect only such answers."""
    if question.name == "changes" == answer.name:
        return _is_news(question.head, answer)
    return question.name not in (*enquiries.HANDLERS, "join")


def _has_moved(head: dict[str, Any], answer: Message) -> bool:
    """Whether the asking replica's position moves with the answer, or the answer has news for it."""
    if answer.name == source.GONE or _is_news(head, answer):
        return True
    return answer.head["positions"] != head["positions"] or answer.head["as_of"] is None


def _is_news(head: dict[str, Any], answer: Message) -> bool:
    if answer.head["rows"] or answer.head["missed"]:
        return True
    told, own = head["told"], answer.head["group"]
    return "shared" in own or any(told[part] != own[part] for part in ("kind", "members", "term", "master", "since"))


async def _learn(region: Region, head: dict[str, Any]) -> None:
    """Merge the asking replica's copy of the group."""
    table = await region.read(lambda snapshot: source.find(snapshot, region, head))
    if table is None or membership.knows(table, head["told"]):
        return

    def run(tx: Transaction, stamp: Stamp) -> None:
        found = source.find(tx, region, head)
        if found is not None:
            membership.learn(tx, region, stamp, found, head["told"])

    await region.write(run)
    region.wake()


def _has_read_all(head: dict[str, Any], answer: Message) -> bool:
    """Whether this replica is leaving, and the asking one has stored a position after its last change."""
    told = answer.head
    if answer.name == source.GONE or not told["leaving"]:
        return False
    is_at_end = told["as_of"] is not None and not told["rows"] and not told["missed"]
    return is_at_end and (told["table_id"], told["positions"]) == (head["table_id"], head["positions"])


async def _drained(region: Region, head: dict[str, Any], asking: str) -> None:
    """Record that the asking replica has read the last change of this replica, which is leaving."""

    def run(tx: Transaction, stamp: Stamp) -> None:
        found = source.find(tx, region, head)
        if found is not None and found.status == DELETING:
            membership.drained(tx, stamp, found, asking)

    await region.write(run)
    region.wake()


async def rows(region: Region, asking: str, message: Message) -> Message:
    await _learn(region, message.head)
    return await region.read(partial(_rows, region, message.head))


def _rows(region: Region, head: dict[str, Any], snapshot: Snapshot) -> Message:
    return source.rows(snapshot, region, head)


async def items(region: Region, asking: str, message: Message) -> Message:
    await _learn(region, message.head)
    return await region.read(partial(_items, region, message))


def _items(region: Region, message: Message, snapshot: Snapshot) -> Message:
    return source.items(snapshot, region, message)


HANDLERS: Handlers = {
    **enquiries.HANDLERS,
    "join": join,
    "changes": changes,
    "rows": rows,
    "items": items,
}
