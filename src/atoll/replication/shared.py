"""The settings that all replicas of a table share, and the ones that a replica may override.

A setting has a name: its kind, and its index's name if it belongs to an index ("read", "read by_date"). Each setting
has its own version, so replicas that change different settings at the same time lose neither change: `adopt` takes the
later value of each.

    index          the keys and projection of a global index; null if the table does not have it
    vector         the definition of a vector index; null if the table does not have it
    ttl            the attribute of time to live; null if it is disabled
    billing_mode, write, max_write, warm, encryption
    read, max_read, table_class    may be overridden: an override is lost if the shared value changes

The other replicas also describe settings that only one replica has (`overrides`), so a replica publishes them in
`Member.own`. The replicas of a global table of 2017 share no settings.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from typing import Any

import orjson

from atoll.capacity import throttling
from atoll.database import catalog, past_definitions, records, ttl
from atoll.database.encryption import MANAGED_KEY, key_arn
from atoll.database.group import MULTI_MASTER, Group, Setting
from atoll.database.log import shards
from atoll.database.region import Region
from atoll.database.schema import (
    ON_DEMAND,
    Encryption,
    Index,
    KeyAttribute,
    KeySchema,
    OnDemandThroughput,
    Projection,
    Table,
    Throughput,
    WarmThroughput,
)
from atoll.database.vectors.definition import VectorIndex
from atoll.scaling import replicas as scaling_replicas
from atoll.storage.engine import Transaction
from atoll.versions import Stamp, Version

OVERRIDABLE = frozenset({"read", "max_read", "table_class"})
KEY = "key"
"""The encryption key: an override that has no shared value."""

Values = dict[str, Any]
"""JSON values by the names of their settings."""


def values(table: Table) -> Values:
    """The settings that are in effect."""
    found: Values = {
        "billing_mode": table.billing_mode,
        "table_class": table.table_class or "STANDARD",
        "encryption": None if table.encryption is None else table.encryption.type,
        "ttl": table.ttl.attribute if table.ttl is not None and table.ttl.status != "DISABLING" else None,
        **_capacity(table, table),
    }
    for index in table.global_indexes:
        if index.status != "DELETING":
            found[f"index {index.name}"] = _definition(index)
            found |= {f"{kind} {index.name}": value for kind, value in _capacity(table, index).items()}
    for vector_index in table.vector_indexes:
        if vector_index.status != "DELETING":
            found[f"vector {vector_index.name}"] = _vector_definition(vector_index)
    return found


def _capacity(table: Table, of: Table | Index) -> Values:
    units, maxima = of.throughput or Throughput(0, 0), of.on_demand or OnDemandThroughput()
    warm = table.warm_throughput(of if isinstance(of, Index) else None)
    return {
        "read": units.read,
        "write": units.write,
        "max_read": maxima.max_read,
        "max_write": maxima.max_write,
        "warm": [warm.read, warm.write],
    }


def _definition(index: Index) -> Values:
    return {
        "partition": [[a.name, a.type] for a in index.keys.partition],
        "sort": [[a.name, a.type] for a in index.keys.sort],
        "projection": index.projection.type,
        "attributes": list(index.projection.attributes),
    }


def _vector_definition(index: VectorIndex) -> Values:
    whole = records.plain(index)
    return {name: value for name, value in whole.items() if name not in _OWN}


_OWN = ("name", "space", "log_space", "status", "backfilling", "due_ms")
"""The fields that each replica's index has for itself."""


# The shared values


def initial(table: Table, version: Version) -> tuple[Setting, ...]:
    """The settings of a new group."""
    return _sorted(Setting(name, _json(value), *version) for name, value in values(table).items())


def of(group: Group) -> Values:
    """The settings with their versions, for a message."""
    return {setting.name: [orjson.loads(setting.value), setting.time, setting.by] for setting in group.shared}


def version_of(told: dict[str, Any]) -> tuple[int, str]:
    """The version of all settings, from a message."""
    time, region = told["settings"]
    return time, region


def _wanted(table: Table) -> Values:
    assert table.group is not None
    return {setting.name: orjson.loads(setting.value) for setting in table.group.shared}


def _json(value: Any) -> str:
    return orjson.dumps(value).decode()


def _sorted(settings: Iterable[Setting]) -> tuple[Setting, ...]:
    return tuple(sorted(settings, key=lambda setting: setting.name))


def changed(before: Table, after: Table, stamp: Stamp) -> Table:
    """The table `after` a request has changed its settings, with the changes recorded in the group."""
    group = after.group
    if group is None or group.is_legacy:
        return after
    old, new = values(before), values(after)
    names = [name for name in old.keys() | new.keys() if old.get(name) != new.get(name)]
    if names:
        known = {setting.name: setting for setting in group.shared}
        for name in names:
            time = max(stamp.time, known[name].time + 1 if name in known else 0)
            known[name] = Setting(name, _json(new.get(name)), time, stamp.region)
        settings = (max(stamp.time, group.settings[0] + 1), stamp.region)
        after = replace(after, group=replace(group, shared=_sorted(known.values()), settings=settings))
    return published(after, stamp)


def adopt(tx: Transaction, region: Region, stamp: Stamp, table: Table, told: Values, version: tuple[int, str]) -> Table:
    """The table with those of another replica's settings that are later."""
    group = table.group
    assert group is not None
    known, newer = {setting.name: setting for setting in group.shared}, set()
    for name, (value, time, by) in told.items():
        own = known.get(name)
        if own is None or (time, by) > (own.time, own.by):
            known[name] = Setting(name, _json(value), time, by)
            newer.add(name)
    group = replace(group, shared=_sorted(known.values()))
    if of(group) != told:  # this replica has some later ones: the other must adopt the union
        version = (max(stamp.time, version[0] + 1, group.settings[0] + 1), stamp.region)
    table = replace(table, group=replace(group, settings=version))
    return published(reconcile(tx, region, table, stamp.now_ms, newer), stamp)


# Putting them into effect


def is_in_effect(table: Table) -> bool:
    """Whether the table has all shared values, except overrides. The loop of a region asks twice a second, so the
    answer is cached on the table, which is immutable."""
    if table.group is None or table.group.is_legacy or table.status == "DELETING":
        return True
    cached: bool | None = table.__dict__.get("_in_effect")
    if cached is None:
        have = values(table)
        cached = all(have.get(name) == value or _kind(name) in OVERRIDABLE for name, value in _wanted(table).items())
        table.__dict__["_in_effect"] = cached
    return cached


def _kind(name: str) -> str:
    return name.partition(" ")[0]


def reconcile(
    tx: Transaction, region: Region, table: Table, now_ms: int, overrides_lost: Collection[str] = ()
) -> Table:
    """The table with the shared values, as far as possible now: an index that is being deleted cannot be created again
    yet. The replica's own value of an overridable setting stays, unless it is in `overrides_lost`."""
    if table.group is None or table.group.is_legacy:
        return table
    before, wanted = table, _wanted(table)
    for name, value in wanted.items():
        if _kind(name) == "index":
            table = _with_index(tx, region, table, name.partition(" ")[2], value, wanted, now_ms)
        elif _kind(name) == "vector":
            table = _with_vector_index(tx, region, table, name.partition(" ")[2], value, now_ms)
    have = values(table)
    for name, value in wanted.items():
        if have.get(name) != value and (_kind(name) not in OVERRIDABLE or name in overrides_lost):
            table = _with(tx, region, table, name, value, now_ms)
    if (table.throughput, table.billing_mode, table.warm) != (before.throughput, before.billing_mode, before.warm):
        table = shards.repartition(tx, table, now_ms)
    if table != before:
        past_definitions.note(tx, table, now_ms)
        throttling.change(region, before, table)
    return table


def _with_index(
    tx: Transaction, region: Region, table: Table, name: str, definition: Values | None, wanted: Values, now_ms: int
) -> Table:
    """Create the index or begin to delete it, unless the table already has the wanted state."""
    index, due_ms = table.index(name), now_ms + region.settings.control_plane_delay_ms
    if index is None and definition is not None:
        created = Index(
            name,
            KeySchema(*(tuple(KeyAttribute(*one) for one in definition[part]) for part in ("partition", "sort"))),
            Projection(definition["projection"], tuple(definition["attributes"])),
            local=False,
            space=catalog.new_space(tx),
            status="CREATING",
            backfilling=True,
            due_ms=due_ms,
        )
        table = replace(table, indexes=(*table.indexes, created))
        for kind in ("read", "write", "max_read", "max_write", "warm"):
            if (value := wanted.get(f"{kind} {name}")) is not None:
                table = _with(tx, region, table, f"{kind} {name}", value, now_ms)
        if table.group is not None and table.group.kind == MULTI_MASTER:
            scaling_replicas.scale_new_index(tx, region, table, name, now_ms)
    elif index is not None and index.status != "DELETING" and not index.local and definition != _definition(index):
        table = table.with_index(replace(index, status="DELETING", due_ms=due_ms))
    return table


def _with_vector_index(
    tx: Transaction, region: Region, table: Table, name: str, definition: Values | None, now_ms: int
) -> Table:
    index, due_ms = table.vector_index(name), now_ms + region.settings.control_plane_delay_ms
    if index is None and definition is not None:
        own = dict(
            zip(_OWN, (name, catalog.new_space(tx), catalog.new_space(tx), "CREATING", True, due_ms), strict=True)
        )
        return replace(table, vector_indexes=(*table.vector_indexes, records.build(VectorIndex, {**definition, **own})))
    if index is not None and index.status != "DELETING" and definition != _vector_definition(index):
        return table.with_index(replace(index, status="DELETING", due_ms=due_ms))
    return table


def _with(tx: Transaction, region: Region, table: Table, name: str, value: Any, now_ms: int) -> Table:
    """The table with one setting changed."""
    kind, _, index = name.partition(" ")
    if index:
        found = table.index(index)
        if kind == "index" or found is None or found.status == "DELETING" or (value is None and kind == "warm"):
            return table
        return table.with_index(replace(found, **_fields(found, kind, value)))
    match kind:
        case "billing_mode":
            since = now_ms if value == ON_DEMAND else table.billing_changed_ms
            return replace(table, billing_mode=value, billing_changed_ms=since)
        case "table_class":
            return replace(table, table_class=value, table_class_changed_ms=now_ms)
        case "encryption" if value is None:
            return replace(table, encryption=None)
        case "encryption":
            return replace(table, encryption=Encryption("ENABLED", value, key_arn(MANAGED_KEY, region)))
        case "key":
            return replace(table, encryption=Encryption("ENABLED", "KMS", key_arn(value, region)))
        case "ttl":
            return ttl.follow(tx, table, value, now_ms)
    return replace(table, **_fields(table, kind, value))


def _fields(of: Table | Index, kind: str, value: Any) -> dict[str, Any]:
    """The field of a table or index that has a capacity, with the new value in it."""
    units, maxima = of.throughput or Throughput(0, 0), of.on_demand or OnDemandThroughput()
    match kind:
        case "read":
            return {"throughput": replace(units, read=value)}
        case "write":
            return {"throughput": replace(units, write=value)}
        case "max_read":
            maxima = replace(maxima, max_read=value)
        case "max_write":
            maxima = replace(maxima, max_write=value)
        case "warm":
            return {"warm": WarmThroughput(*value)}
    return {"on_demand": None if maxima == OnDemandThroughput() else maxima}


# The replica's own settings


def overrides(table: Table) -> Values:
    """The replica's own values of overridable settings, and its encryption key."""
    wanted, have = _wanted(table), values(table)
    names = [name for name in wanted if _kind(name) in OVERRIDABLE]
    found = {name: have[name] for name in names if have.get(name) not in (None, wanted[name])}
    if table.encryption is not None:
        found[KEY] = table.encryption.key_arn
    return found


def override(tx: Transaction, region: Region, stamp: Stamp, table: Table, given: Mapping[str, Any]) -> Table:
    """The table with own values of some settings."""
    before = table
    for name, value in given.items():
        table = _with(tx, region, table, name, value, stamp.now_ms)
    throttling.change(region, before, table)
    past_definitions.note(tx, table, stamp.now_ms)
    return published(shards.repartition(tx, table, stamp.now_ms), stamp)


def packed(given: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """Values in the form of `Member.own`."""
    return tuple((name, _json(given[name])) for name in sorted(given))


def unpacked(own: Iterable[tuple[str, str]]) -> Values:
    return {name: orjson.loads(value) for name, value in own}


def published(table: Table, stamp: Stamp) -> Table:
    """The table with its overrides in its member of the group, so that the others see them."""
    group = table.group
    if group is None or group.is_legacy:
        return table
    member, own = group.by_region[group.own], packed(overrides(table))
    if member.own == own:
        return table
    member = replace(member, own=own, own_time=max(stamp.time, member.own_time + 1))
    return replace(table, group=group.with_member(member))
