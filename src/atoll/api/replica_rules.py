"""Checks of ReplicaUpdates, and of changes of tables that have replicas.

`check` needs only the request; the others compare it with the table. Version 2019.11.21 of global tables with eventual
consistency is served. A well-formed request for strong consistency is refused as not served.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from atoll import limits
from atoll.api import capacity_rules as capacity
from atoll.api import concerns, table_rules
from atoll.database.group import ACTIVE, CREATING, MULTI_MASTER, SINGLE_MASTER
from atoll.database.region import Region
from atoll.database.schema import BOTH_IMAGES, ON_DEMAND, PROVISIONED, Table
from atoll.errors import changes as change_errors
from atoll.errors import replicas as replica_errors
from atoll.errors import tables as table_errors

Body = dict[str, Any]
Action = tuple[str, Body]
"""Create, Update or Delete, and its members."""

ACTIONS = ("Create", "Update", "Delete", "Disassociate")


def check(body: Body) -> None:
    """The request has at least one change, and no replica update without an action."""
    _check_consistency(body)
    kinds = [kind for kind, _ in actions(body)]
    if len(set(kinds)) > 1:
        raise replica_errors.replica_actions_mixed()
    if len(kinds) > 1 and kinds[0] != "Update":
        raise replica_errors.more_than_one_replica()
    if "Disassociate" in kinds:
        raise table_errors.not_served("ReplicaUpdates.Disassociate")
    for _, given in actions(body):
        table_rules.check_class_name(given.get("TableClassOverride"))


def actions(body: Body) -> list[Action]:
    return [(kind, update[kind]) for update in body.get("ReplicaUpdates") or () for kind in ACTIONS if kind in update]


def _check_consistency(body: Body) -> None:
    witnesses, consistency = body.get("GlobalTableWitnessUpdates"), body.get("MultiRegionConsistency")
    if not witnesses and consistency is None:
        return
    if concerns.requested(body) != {concerns.REPLICAS}:
        raise replica_errors.replicas_with_others()
    if consistency == "STRONG":
        created = [update for update in (*body["ReplicaUpdates"], *(witnesses or ())) if "Create" in update]
        if len(created) != 2:
            raise replica_errors.strong_replica_count()
        raise table_errors.not_served("MultiRegionConsistency STRONG")
    if witnesses:
        raise replica_errors.witness_without_strong()


# Against the table


def check_replica_change(region: Region, table: Table, action: Action, unscaled: str | None) -> None:
    """Check an action on a replica. `unscaled` names the part of the table whose writes no policy scales: Table or
    GSI."""
    kind, given = action
    group, target = table.group, given["RegionName"]
    if group is not None and group.kind != MULTI_MASTER:
        raise replica_errors.is_global_table_of_2017() if group.is_legacy else replica_errors.has_one_master(table.name)
    present = set() if group is None else {member.region for member in group.present}
    if kind == "Create":
        _check_creation(region, table, target, unscaled)
    elif target not in present or (kind, target) == ("Delete", region.name):
        raise replica_errors.not_replicas([target])
    if kind != "Delete" and group is not None and group.is_changing:
        raise replica_errors.in_use()
    if kind == "Delete" and group is not None and any(m.state != ACTIVE for m in group.present if m.region != target):
        raise replica_errors.in_use()
    if kind != "Delete":
        _check_overrides(table, given)


def _check_creation(region: Region, table: Table, target: str, unscaled: str | None) -> None:
    if target == region.name or (table.group is not None and table.group.state_of(target) in (ACTIVE, CREATING)):
        raise replica_errors.replica_exists(table.name)
    if region.neighbours is None or not region.neighbours.replicable(target):
        raise replica_errors.unsupported_region(target)
    if table.billing_mode == PROVISIONED and unscaled is not None:
        raise replica_errors.write_capacity_not_scaled(unscaled)
    if table.stream is not None and table.stream.enabled and table.stream.view_type != BOTH_IMAGES:
        raise replica_errors.other_view_type()


def _check_overrides(table: Table, given: Body) -> None:
    if given.get("KMSMasterKeyId") is not None and table.encryption is None:
        raise replica_errors.key_without_encryption()
    for entry in (given, *(given.get("GlobalSecondaryIndexes") or ())):
        name = entry.get("IndexName")
        index = None if name is None else table.index(name)
        if name is not None and (index is None or index.local):
            raise change_errors.index_not_found(name, table.name)
        if entry.get("ProvisionedThroughputOverride") and table.billing_mode == ON_DEMAND:
            raise replica_errors.read_units_on_demand()
        maxima = {"OnDemandThroughput": entry.get("OnDemandThroughputOverride")}
        capacity.check_maxima(table.billing_mode, maxima, name)


def overrides(given: Body) -> Body:
    """The replica's own settings in a request, as `replication.shared` names them."""
    found: Body = {}
    for entry in (given, *(given.get("GlobalSecondaryIndexes") or ())):
        of = f" {entry['IndexName']}" if "IndexName" in entry else ""
        units = (entry.get("ProvisionedThroughputOverride") or {}).get("ReadCapacityUnits")
        maximum = (entry.get("OnDemandThroughputOverride") or {}).get("MaxReadRequestUnits")
        found |= {f"read{of}": units, f"max_read{of}": maximum}
    found |= {"table_class": given.get("TableClassOverride"), "key": given.get("KMSMasterKeyId")}
    return {name: value for name, value in found.items() if value is not None}


def check_table_change(table: Table, body: Body, unscaled: Callable[[], str | None]) -> None:
    """Check a change of a table with replicas that is no replica update. `unscaled` is as above."""
    group = table.group
    if group is None or group.kind == SINGLE_MASTER:
        return
    if group.is_changing and concerns.requested(body) != {concerns.PROTECTION}:
        raise replica_errors.in_use()
    if (body.get("StreamSpecification") or {}).get("StreamEnabled") is False:
        raise replica_errors.stream_required()
    if group.is_legacy:
        return
    if body.get("BillingMode") == PROVISIONED and table.billing_mode == ON_DEMAND:
        lacks = unscaled()
        if lacks is not None:
            raise replica_errors.write_capacity_not_scaled(lacks)
    if body.get("GlobalTableSettingsReplicationMode") is not None:
        raise replica_errors.settings_replication_of_replica()


def check_removal(region: Region, protected: bool, invited_ms: int, now_ms: int) -> None:
    """Check the removal of a replica, which its own region or another one requests."""
    if protected:
        raise table_errors.table_protected()
    # The rule would stop every teardown of a test, so it holds only where the service's delays are imitated.
    if region.settings.control_plane_delay_ms and invited_ms and now_ms < invited_ms + limits.SOURCE_MS:
        raise replica_errors.replica_was_source()
