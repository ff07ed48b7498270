"""DescribeTableReplicaAutoScaling, UpdateTableReplicaAutoScaling: how the replicas of a global table scale.

Settings for writes go to all regions, those for reads to one. Each region keeps its own as targets and policies of
Application Auto Scaling; this module checks a request and asks the regions.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from atoll.api import concerns
from atoll.api.scaling.policies import check_configuration
from atoll.api.table_names import table_name
from atoll.database.group import ACTIVE, MULTI_MASTER
from atoll.database.region import Region
from atoll.database.schema import ON_DEMAND, Table
from atoll.errors import ApiError
from atoll.errors import features as feature_errors
from atoll.errors import replica_scaling as errors
from atoll.errors import replicas as replica_errors
from atoll.errors import replication as replication_errors
from atoll.errors import scaling as scaling_errors
from atoll.replication import enquiries
from atoll.replication.exchange import Unreachable
from atoll.scaling import replicas
from atoll.scaling.replicas import Scale
from atoll.scaling.targets import READ, WRITE, id_of
from atoll.storage.engine import Snapshot

Body = dict[str, Any]


class Wanted(NamedTuple):
    """One part of a request."""

    region: str | None
    """None for all regions."""
    kind: str
    index_name: str | None
    given: Body
    """AutoScalingSettingsUpdate."""
    parameter: str
    """The name that errors give it."""


async def _table(region: Region, body: Body) -> Table:
    name, now_ms = table_name(region, body), region.clock.now_ms()

    def read(snapshot: Snapshot) -> Table:
        table = region.catalog.find(snapshot, name)
        if table is None or table.gone_at(now_ms) or table.group is None or table.group.kind != MULTI_MASTER:
            raise feature_errors.no_global_table(name)
        return table

    return await region.read(read)


async def describe_table_replica_auto_scaling(region: Region, body: Body) -> Body:
    """Every replica, this region's included."""
    table = await _table(region, body)
    assert table.group is not None
    found = {member.region: await _ask(region, member.region, table, []) for member in table.group.present}
    return {"TableAutoScalingDescription": _described(region, table, found)}


async def _ask(region: Region, target: str, table: Table, changes: list[Scale]) -> Mapping[str, Body]:
    if target == region.name:
        return await enquiries.scale(region, table.name, changes)
    try:
        return await enquiries.ask_scaling(region, target, table.name, changes)
    except Unreachable as error:
        raise replication_errors.unreachable(target, error.reason) from None


_OFF: Body = {"AutoScalingDisabled": True, "ScalingPolicies": []}


def _described(region: Region, table: Table, found: Mapping[str, Mapping[str, Body]]) -> Body:
    assert table.group is not None
    now_ms = region.clock.now_ms()
    replicas_ = []
    for member in table.group.present:
        settings = found[member.region]
        indexes = [
            {
                "IndexName": index.name,
                "IndexStatus": index.status_at(now_ms),
                "ProvisionedReadCapacityAutoScalingSettings": settings.get(f"{READ} {index.name}", _OFF),
                "ProvisionedWriteCapacityAutoScalingSettings": settings.get(f"{WRITE} {index.name}", _OFF),
            }
            for index in table.global_indexes
        ]
        replicas_.append(
            {
                "RegionName": member.region,
                "GlobalSecondaryIndexes": indexes,
                "ReplicaProvisionedReadCapacityAutoScalingSettings": settings.get(READ, _OFF),
                "ReplicaProvisionedWriteCapacityAutoScalingSettings": settings.get(WRITE, _OFF),
                "ReplicaStatus": member.state,
            }
        )
    return {"TableName": table.name, "TableStatus": concerns.status(table, now_ms), "Replicas": replicas_}


async def update_table_replica_auto_scaling(region: Region, body: Body) -> Body:
    """The answer shows settings that the request disables as they were."""
    table = await _table(region, body)
    assert table.group is not None
    wanted = list(_wanted(table.name, body))
    _check(region, table, body, wanted)
    members = [member.region for member in table.group.present]
    scales = [_scale(region, table, one) for one in wanted]
    before = {member: await _ask(region, member, table, []) for member in members}  # all can be reached
    after: dict[str, dict[str, Body]] = {}
    for member in members:
        own = [(one, scale) for one, scale in zip(wanted, scales, strict=True) if one.region in (None, member)]
        found = dict(await _ask(region, member, table, [scale for _, scale in own]))
        for one, scale in own:
            if scale.least is None:
                found[_name(one)] = before[member].get(_name(one), _OFF)
        after[member] = found
    return {"TableAutoScalingDescription": _described(region, table, after)}


def _name(one: Wanted) -> str:
    return one.kind if one.index_name is None else f"{one.kind} {one.index_name}"


def _wanted(table: str, body: Body) -> Iterator[Wanted]:
    writes = "ProvisionedWriteCapacityAutoScalingUpdate"
    if body.get(writes) is not None:
        parameter = "GlobalTableProvisionedWriteCapacityAutoScalingSettingsUpdate"
        yield Wanted(None, WRITE, None, body[writes], parameter)
    for entry in body.get("GlobalSecondaryIndexUpdates") or ():
        if entry.get(writes) is not None and entry.get("IndexName") is not None:
            yield Wanted(
                None, WRITE, entry["IndexName"], entry[writes], "GlobalTableGlobalSecondaryIndexSettingsUpdate"
            )
    for replica in body.get("ReplicaUpdates") or ():
        region, reads = replica["RegionName"], "ReplicaProvisionedReadCapacityAutoScalingUpdate"
        indexes = replica.get("ReplicaGlobalSecondaryIndexUpdates") or ()
        if replica.get(reads) is None and not indexes:
            raise errors.nothing_for_region(table, region)
        if replica.get(reads) is not None:
            parameter = "ReplicaProvisionedReadCapacityAutoScalingSettingsUpdate"
            yield Wanted(region, READ, None, replica[reads], parameter)
        for entry in indexes:
            given = entry.get("ProvisionedReadCapacityAutoScalingUpdate")
            if given is not None and entry.get("IndexName") is not None:
                yield Wanted(region, READ, entry["IndexName"], given, "ReplicaGlobalSecondaryIndexSettingsUpdate")


def _check(region: Region, table: Table, body: Body, wanted: list[Wanted]) -> None:
    assert table.group is not None
    members = [member.region for member in table.group.present]
    unknown = [r["RegionName"] for r in body.get("ReplicaUpdates") or () if r["RegionName"] not in members]
    if unknown:
        raise replica_errors.not_replicas(unknown)
    if not wanted:
        raise errors.nothing_to_update(table.name)
    if table.group.is_changing or any(member.state != ACTIVE for member in table.group.present):
        raise replica_errors.in_use()
    for one in wanted:
        given = one.given
        if not given.get("AutoScalingDisabled"):
            if any(given.get(member) is None for member in ("MinimumUnits", "MaximumUnits", "ScalingPolicyUpdate")):
                raise errors.parameters_required(table.name)
            if given.get("AutoScalingRoleArn") not in (None, replicas.role_arn(region)):
                raise errors.role_unsupported(table.name, given["AutoScalingRoleArn"])
        if table.billing_mode == ON_DEMAND:
            raise errors.on_demand(table.name, members if one.region is None else [one.region], one.parameter)
    _check_indexes(region, table, wanted)
    _check_conflicts(table, wanted)


def _check_indexes(region: Region, table: Table, wanted: list[Wanted]) -> None:
    now_ms = region.clock.now_ms()
    known = {one.name for one in table.global_indexes if one.status_at(now_ms) in ("ACTIVE", "UPDATING")}
    missing = [
        one.index_name
        for one in wanted
        if one.region is None and one.index_name is not None and one.index_name not in known
    ]
    if missing:
        raise errors.indexes_missing(table.name, missing)
    for one in wanted:
        if one.region is not None and one.index_name is not None and one.index_name not in known:
            raise errors.index_missing_in_region(table.name, one.index_name, one.region)


def _check_conflicts(table: Table, wanted: list[Wanted]) -> None:
    seen = set()
    for one in wanted:
        key = (one.region, one.kind, one.index_name)
        if key in seen:
            raise errors.updated_twice(table.name, one.index_name)
        seen.add(key)


def _scale(region: Region, table: Table, one: Wanted) -> Scale:
    """The change, checked by the rules of Application Auto Scaling."""
    given = one.given
    if given.get("AutoScalingDisabled"):
        return Scale(one.kind, one.index_name)
    policy = given["ScalingPolicyUpdate"]
    scale = Scale(one.kind, one.index_name, given["MinimumUnits"], given["MaximumUnits"], policy.get("PolicyName"))
    scale = scale.configured(policy["TargetTrackingScalingPolicyConfiguration"])
    id_ = id_of(one.kind, table.name, one.index_name)
    try:
        if given["MinimumUnits"] > given["MaximumUnits"]:
            raise scaling_errors.bounds_reversed()
        check_configuration(scale.configuration(id_), id_)
    except ApiError as error:
        raise errors.refused_by_auto_scaling(error, str(uuid.uuid4())) from None
    return scale
