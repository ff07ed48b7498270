"""The capacity of global tables of 2017: all replicas have the same write units; each has its own read units.

Both operations ask the region of each replica. UpdateGlobalTableSettings first asks all; if one cannot be reached, it
changes none.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from atoll.api import replica_scales, table_rules
from atoll.api.global_table_names import global_table_name
from atoll.api.global_tables import find, group_of
from atoll.api.replica_scales import OFF, Wanted
from atoll.database import catalog
from atoll.database.region import Region
from atoll.database.schema import ON_DEMAND, PROVISIONED, Table
from atoll.errors import replicas as replica_errors
from atoll.errors import replication as replication_errors
from atoll.replication import enquiries, shared
from atoll.replication.enquiries import Facts
from atoll.replication.exchange import Unreachable
from atoll.scaling.targets import READ, WRITE
from atoll.storage.engine import Snapshot, Transaction
from atoll.versions import Stamp

Body = dict[str, Any]
Answer = dict[str, Any]

SCALING = "AutoScalingSettingsUpdate"


async def describe_global_table_settings(region: Region, body: Body) -> Answer:
    table, own = await _own(region, body)
    settings = []
    for member in group_of(table).present:
        described: Answer = {"RegionName": member.region, "ReplicaStatus": member.state}
        facts = own if member.region == region.name else await _facts(region, table, member.region)
        if facts is not None:
            described |= _described(facts)
            scaled = await replica_scales.shown(region, member.region, table.name) or {}
            _add_scaling(described, "Replica", "", scaled)
            for index in described.get("ReplicaGlobalSecondaryIndexSettings", ()):
                _add_scaling(index, "", f" {index['IndexName']}", scaled)
        settings.append(described)
    return {"GlobalTableName": table.name, "ReplicaSettings": settings}


async def _own(region: Region, body: Body) -> tuple[Table, Facts]:
    name, now_ms = global_table_name(body), region.clock.now_ms()

    def read(snapshot: Snapshot) -> tuple[Table, Facts]:
        table = find(region, snapshot, name, now_ms)
        return table, enquiries.facts(snapshot, region.name, table, now_ms)

    return await region.read(read)


async def _facts(region: Region, table: Table, other: str) -> Facts | None:
    """The facts that a region gives about its replica; None if it cannot be reached or has no such replica any more."""
    try:
        facts = await enquiries.ask_facts(region, other, table.name)
    except Unreachable:
        return None
    return facts if facts is not None and facts.group == group_of(table).id else None


def _described(facts: Facts) -> Answer:
    described: Answer = {
        "ReplicaBillingModeSummary": {"BillingMode": facts.billing_mode},
        "ReplicaProvisionedReadCapacityUnits": facts.read,
        "ReplicaProvisionedWriteCapacityUnits": facts.write,
    }
    if facts.billing_changed_ms is not None:
        changed = facts.billing_changed_ms / 1000
        described["ReplicaBillingModeSummary"]["LastUpdateToPayPerRequestDateTime"] = changed
    if facts.table_class is not None:
        described["ReplicaTableClassSummary"] = {"TableClass": facts.table_class}
    if facts.global_indexes:
        described["ReplicaGlobalSecondaryIndexSettings"] = [
            {"IndexName": name, "IndexStatus": status}
            | ({"ProvisionedReadCapacityUnits": read, "ProvisionedWriteCapacityUnits": write} if write else {})
            for name, (status, read, write) in facts.global_indexes.items()
        ]
    return described


def _add_scaling(described: Answer, prefix: str, index: str, scaled: Mapping[str, Answer]) -> None:
    """Add the settings of auto scaling; only a scaled dimension is shown."""
    for kind in (READ, WRITE):
        settings = scaled.get(f"{kind}{index}", OFF)
        if settings != OFF:
            described[f"{prefix}Provisioned{kind}CapacityAutoScalingSettings"] = settings


# Changing


async def update_global_table_settings(region: Region, body: Body) -> Answer:
    table, own = await _own(region, body)
    scales = list(_scales(body))
    group = group_of(table)
    regions = [member.region for member in group.present]
    for entry in body.get("ReplicaSettingsUpdate") or ():
        if entry["RegionName"] not in regions:
            raise replica_errors.no_replica(entry["RegionName"])
        table_rules.check_class_name(entry.get("ReplicaTableClass"))
    if group.is_changing:
        raise replica_errors.in_use()
    changes = {other: _changes(own, body, other) for other in regions}
    mode = body.get("GlobalTableBillingMode") or own.billing_mode
    for one in scales:
        if one.index_name is not None and one.index_name not in own.global_indexes:
            raise replica_errors.index_not_found(one.index_name)
        replica_scales.check(region, table.name, mode, regions, one)
    asked = [(one.region, replica_scales.scale(table.name, one)) for one in scales]
    others = [other for other in regions if other != region.name]
    for other in others:
        if await _facts(region, table, other) is None:
            raise replication_errors.unreachable(other, "it does not answer")
    for other in others:
        try:
            await enquiries.ask_override(region, other, table.name, group.id, changes[other])
        except Unreachable as error:
            raise replication_errors.unreachable(other, error.reason) from None

    def change(tx: Transaction, stamp: Stamp) -> None:
        table = find(region, tx, body["GlobalTableName"], stamp.now_ms)
        catalog.save(tx, shared.override(tx, region, stamp, table, changes[region.name]))

    await region.write(change)
    for other in regions if asked else ():
        own_changes = [one for name, one in asked if name in (None, other)]
        await replica_scales.ask(region, other, table.name, own_changes)
    return await describe_global_table_settings(region, body)


def _scales(body: Body) -> Iterator[Wanted]:
    """The settings of auto scaling in a request."""
    writes = f"ProvisionedWriteCapacity{SCALING}"
    reads = f"ProvisionedReadCapacity{SCALING}"
    if body.get(f"GlobalTable{writes}") is not None:
        yield Wanted(None, WRITE, None, body[f"GlobalTable{writes}"], f"GlobalTable{writes}")
    for entry in body.get("GlobalTableGlobalSecondaryIndexSettingsUpdate") or ():
        if entry.get(writes) is not None:
            yield Wanted(
                None, WRITE, entry["IndexName"], entry[writes], "GlobalTableGlobalSecondaryIndexSettingsUpdate"
            )
    for replica in body.get("ReplicaSettingsUpdate") or ():
        region = replica["RegionName"]
        if replica.get(f"Replica{reads}") is not None:
            yield Wanted(region, READ, None, replica[f"Replica{reads}"], f"Replica{reads}")
        for entry in replica.get("ReplicaGlobalSecondaryIndexSettingsUpdate") or ():
            if entry.get(reads) is not None:
                parameter = "ReplicaGlobalSecondaryIndexSettingsUpdate"
                yield Wanted(region, READ, entry["IndexName"], entry[reads], parameter)


def _changes(facts: Facts, body: Body, other: str) -> Body:
    """The new values of one replica, as `replication.shared` names them."""
    replica: Body = next((one for one in body.get("ReplicaSettingsUpdate") or () if one["RegionName"] == other), {})
    found: Body = {
        "billing_mode": body.get("GlobalTableBillingMode"),
        "read": replica.get("ReplicaProvisionedReadCapacityUnits"),
        "write": body.get("GlobalTableProvisionedWriteCapacityUnits"),
        "table_class": replica.get("ReplicaTableClass"),
    }
    for kind, member, entries in (
        ("write", "ProvisionedWriteCapacityUnits", body.get("GlobalTableGlobalSecondaryIndexSettingsUpdate")),
        ("read", "ProvisionedReadCapacityUnits", replica.get("ReplicaGlobalSecondaryIndexSettingsUpdate")),
    ):
        for entry in entries or ():
            if entry["IndexName"] not in facts.global_indexes:
                raise replica_errors.index_not_found(entry["IndexName"])
            found[f"{kind} {entry['IndexName']}"] = entry.get(member)
    found = {name: value for name, value in found.items() if value is not None}
    return _with_mode(facts, found)


def _with_mode(facts: Facts, found: Body) -> Body:
    """The values, completed by those that a billing mode needs."""
    units = [f"{kind}{of}" for of in ("", *(f" {name}" for name in facts.global_indexes)) for kind in ("read", "write")]
    mode = found.get("billing_mode", facts.billing_mode)
    if mode == ON_DEMAND:
        if any(name in found for name in units):
            raise replica_errors.units_on_demand()
        if facts.billing_mode == PROVISIONED:
            found |= dict.fromkeys(units, 0)
    elif facts.billing_mode == ON_DEMAND and not found.keys() >= set(units):
        raise replica_errors.units_required()
    return found
