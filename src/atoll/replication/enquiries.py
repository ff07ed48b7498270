"""Questions of an operation to another region: about a table there, before the operation changes the table's replicas,
or to change the replica there.

table      facts about a region's table
override   change the settings of the asked region's replica
scaling    the table's auto scaling settings there; the question may change some
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

from atoll.database import catalog
from atoll.database.group import DELETING
from atoll.database.records import build, plain
from atoll.database.region import Region
from atoll.database.schema import KeySchema, Table, Throughput
from atoll.replication import legacy, membership, shared, source
from atoll.replication.exchange import Handlers, Unreachable
from atoll.replication.messages import Message
from atoll.scaling import replicas as scaling_replicas
from atoll.scaling.replicas import Scale
from atoll.storage.engine import Snapshot, Transaction
from atoll.versions import Stamp

Keys = list[list[str]]
"""The name, type and kind (HASH, RANGE) of each key attribute."""


@dataclass(frozen=True)
class Facts:
    """Facts about a region's table, as JSON values."""

    region: str
    group: str | None
    """The id of its group."""
    protected: bool
    """Whether it is protected against deletion."""
    invited_ms: int
    """When it last invited a replica."""
    empty: bool
    stream: bool
    """Whether it has an enabled stream of new and old images."""
    keys: Keys
    indexes: dict[str, Keys]
    global_indexes: dict[str, tuple[str, int, int]]
    """The status, read units and write units of each global index."""
    billing_mode: str
    billing_changed_ms: int | None
    read: int
    write: int
    table_class: str | None


def facts(snapshot: Snapshot, region: str, table: Table, now_ms: int) -> Facts:
    group = table.group
    return Facts(
        region,
        None if group is None else group.id,
        table.deletion_protection,
        0 if group is None else group.invited_ms,
        legacy.is_empty(snapshot, table),
        legacy.has_stream(table),
        _keys(table.keys),
        {index.name: _keys(index.keys) for index in table.indexes},
        {i.name: (i.status_at(now_ms), *_units(i.throughput)) for i in table.global_indexes},
        table.billing_mode,
        table.billing_changed_ms,
        *_units(table.throughput),
        table.table_class,
    )


def _keys(keys: KeySchema) -> Keys:
    hashes = [[a.name, a.type, "HASH"] for a in keys.partition]
    return [*hashes, *([a.name, a.type, "RANGE"] for a in keys.sort)]


def _units(throughput: Throughput | None) -> tuple[int, int]:
    return (0, 0) if throughput is None else (throughput.read, throughput.write)


# Asking. Each raises `Unreachable`.


async def ask_facts(region: Region, target: str, table: str) -> Facts | None:
    """Facts about another region's table; None if it has no table of this name."""
    answer = await _ask(region, target, Message("table", {"table": table}))
    found: Facts | None = build(Facts, answer.head["facts"])
    return found


async def ask_override(region: Region, target: str, table: str, group: str, given: Mapping[str, Any]) -> bool:
    """Change the settings of the replica in another region. Returns whether it exists."""
    answer = await _ask(region, target, Message("override", {"table": table, "group": group, "given": dict(given)}))
    if answer.name == source.GONE:
        return False

    def learn(tx: Transaction, stamp: Stamp) -> None:
        found = membership.member_of(tx, region, table, group)
        if found is not None:
            membership.learn(tx, region, stamp, found, answer.head["group"])

    await region.write(learn)
    return True


async def ask_scaling(region: Region, target: str, table: str, changes: Sequence[Scale]) -> dict[str, Any]:
    """Change how another region scales its replica; returns the settings then, see `scaling.replicas.settings`."""
    answer = await _ask(region, target, Message("scaling", {"table": table, "changes": [plain(c) for c in changes]}))
    found: dict[str, Any] = answer.head["settings"]
    return found


async def _ask(region: Region, target: str, message: Message) -> Message:
    if region.neighbours is None:
        raise Unreachable("this region knows no other region")
    answer: Message = await region.neighbours.ask(region.name, target, message)
    return answer


# Answering


async def table(region: Region, asking: str, message: Message) -> Message:
    name, now_ms = message.head["table"], region.clock.now_ms()

    def read(snapshot: Snapshot) -> dict[str, Any] | None:
        found = region.catalog.find(snapshot, name)
        if found is None or found.gone_at(now_ms):
            return None
        return asdict(facts(snapshot, region.name, found, now_ms))

    return Message("table", {"facts": await region.read(read)})


async def override(region: Region, asking: str, message: Message) -> Message:
    answer = await region.write(partial(_override, region, message.head))
    region.wake()
    return answer


def _override(region: Region, head: dict[str, Any], tx: Transaction, stamp: Stamp) -> Message:
    found = source.find(tx, region, head)
    if found is None or found.group is None or found.status == DELETING:
        return Message(source.GONE, {"group": {"id": head["group"]}, "known": []})
    changed = shared.override(tx, region, stamp, found, head["given"])
    assert changed.group is not None
    catalog.save(tx, changed)
    return Message("override", {"group": source.about(tx, changed, changed.group.settings)})


async def scaling(region: Region, asking: str, message: Message) -> Message:
    changes = [build(Scale, change) for change in message.head["changes"]]
    return Message("scaling", {"settings": await scale(region, message.head["table"], changes)})


async def scale(region: Region, name: str, changes: Sequence[Scale]) -> dict[str, Any]:
    """Change how this region scales its replica; returns the new settings. The table may not exist yet."""

    def run(tx: Transaction) -> dict[str, Any]:
        now_ms = region.clock.now_ms()
        for change in changes:
            scaling_replicas.apply(tx, region, name, change, now_ms)
        return settings(tx)

    def settings(snapshot: Snapshot) -> dict[str, Any]:
        found = region.catalog.find(snapshot, name)
        return {} if found is None else scaling_replicas.settings(region, snapshot, found)

    if not changes:
        return await region.read(settings)
    answer = await region.transact(run)
    region.wake()
    return answer


HANDLERS: Handlers = {"table": table, "override": override, "scaling": scaling}
