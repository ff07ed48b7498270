"""Create and delete the alarms of a policy together with it, and adjust them to the capacity of the target."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from atoll.alarms import store as alarm_store
from atoll.alarms.alarm import INSUFFICIENT_DATA
from atoll.database.region import Region
from atoll.database.schema import Table
from atoll.scaling import store, tracking
from atoll.scaling.targets import NAMESPACE, Id, Policy, ScalableTarget
from atoll.storage.engine import Snapshot, Transaction

SERVICE = "autoscaling"
"""The service in the ARNs of policies and scheduled actions."""

ADJUSTED = "Unchecked: Initial alarm creation"


def find_table(region: Region, snapshot: Snapshot, name: str) -> Table | None:
    """The table; None if it is being deleted."""
    table = region.catalog.find(snapshot, name)
    return None if table is None or table.gone_at(region.clock.now_ms()) or table.status == "DELETING" else table


def arn(region: Region, policy: Policy) -> str:
    return region.arn(policy.arn_resource, SERVICE)


def by_arn(region: Region, arn: str, snapshot: Snapshot) -> Policy | None:
    resource = region.resource(arn, SERVICE) or ""
    parts = resource.split(":", 3)
    start = f"resource/{NAMESPACE}/"
    if len(parts) != 4 or parts[0] != "scalingPolicy" or not parts[2].startswith(start):
        return None
    of = parts[2].removeprefix(start)
    return next((one for one in store.policies(snapshot, of) if one.arn_resource == resource), None)


def put(
    region: Region, tx: Transaction, id_: Id, name: str, configuration: Mapping[str, Any], units: int, now_ms: int
) -> Policy:
    """Create a policy, or change it, with its alarms."""
    old = store.policy(tx, id_, name)
    kinds = tracking.KINDS if configuration.get("CustomizedMetricSpecification") is None else tracking.CUSTOMIZED_KINDS
    known = {} if old is None else old.alarms
    names = {kind: known.get(kind) or tracking.alarm_name(id_, kind, str(uuid.uuid4())) for kind in kinds}
    alarm_store.delete(tx, [alarm for kind, alarm in known.items() if kind not in names], now_ms)
    if old is None:
        policy = Policy(*id_, name, str(uuid.uuid4()), now_ms, configuration, names)
    else:
        policy = replace(old, configuration=configuration, alarms=names)
    store.save_policy(tx, policy)
    put_alarms(region, policy, units, now_ms, tx)
    return policy


def put_alarms(region: Region, policy: Policy, units: int, now_ms: int, tx: Transaction) -> None:
    """Create the policy's alarms, or give them new thresholds. This resets their states."""
    for configuration in tracking.alarms(policy, arn(region, policy), units):
        old = alarm_store.find(tx, configuration["AlarmName"])
        if old is not None and old.configuration == configuration:
            continue
        put = alarm_store.put(tx, configuration, now_ms)
        if put.state.value != INSUFFICIENT_DATA:
            anew = put.in_state(INSUFFICIENT_DATA, ADJUSTED, None, now_ms)
            alarm_store.change_state(tx, put, anew, {}, now_ms)


def adjust_alarms(region: Region, id_: Id, units: int, now_ms: int, tx: Transaction) -> None:
    """Adjust the alarms of all policies of a target to its capacity."""
    for policy in store.policies(tx, *id_):
        if policy.customized is None:
            put_alarms(region, policy, units, now_ms, tx)


def delete(tx: Transaction, policy: Policy, now_ms: int) -> None:
    """Delete a policy with its alarms."""
    alarm_store.delete(tx, list(policy.alarms.values()), now_ms)
    store.delete_policy(tx, policy)


def deregister(tx: Transaction, target: ScalableTarget, now_ms: int) -> None:
    """Delete a target with its policies and scheduled actions."""
    for policy in list(store.policies(tx, *target.id)):
        delete(tx, policy, now_ms)
    for action in list(store.actions(tx, *target.id)):
        store.delete_action(tx, action)
    store.delete_target(tx, target)
