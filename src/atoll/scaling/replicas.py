"""Auto scaling of one replica of a global table, for the operations of global tables that set and describe it.

Each replica has its own settings for reads; those for writes are the same in all regions. Both are ordinary targets
with one policy each, which Application Auto Scaling also shows. A `Scale` is one change of them, which a region may ask
another one to make.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from atoll.database.region import Region
from atoll.database.schema import PROVISIONED, Table
from atoll.scaling import policies, store, targets
from atoll.scaling.store import CLAMP
from atoll.scaling.targets import WRITE, Id, Policy, ScalableTarget
from atoll.storage.engine import Snapshot, Transaction

Settings = dict[str, Any]
"""The member of type AutoScalingSettingsDescription."""

ROLE = (
    "role/aws-service-role/dynamodb.application-autoscaling.amazonaws.com/"
    "AWSServiceRoleForApplicationAutoScaling_DynamoDBTable"
)

INDEX_DEFAULTS = (1, 10, 70.0)
"""The bounds and the target of a new index's writes."""

OPTIONS = ("DisableScaleIn", "ScaleInCooldown", "ScaleOutCooldown")
"""The optional members of a configuration."""


@dataclass(frozen=True)
class Scale:
    """Scale the reads or writes of a table or index between two bounds; without bounds, stop scaling them."""

    kind: str
    """Either "Read" or "Write"."""
    index: str | None = None
    least: int | None = None
    most: int | None = None
    policy: str | None = None
    """The name of the policy; None for the default one."""
    value: float = 70.0
    disable_in: bool | None = None
    in_cooldown_s: int | None = None
    out_cooldown_s: int | None = None
    units: int | None = None
    """The capacity, for a region that does not have the table yet."""

    def configured(self, given: Mapping[str, Any]) -> Scale:
        """The change with the target and the options of a configuration."""
        disable_in, in_cooldown_s, out_cooldown_s = (given.get(member) for member in OPTIONS)
        return replace(
            self,
            value=float(given["TargetValue"]),
            disable_in=disable_in,
            in_cooldown_s=in_cooldown_s,
            out_cooldown_s=out_cooldown_s,
        )

    def configuration(self, id_: Id) -> dict[str, Any]:
        found: dict[str, Any] = {
            "TargetValue": self.value,
            "PredefinedMetricSpecification": {"PredefinedMetricType": id_.metric},
        }
        for member, value in zip(OPTIONS, (self.disable_in, self.in_cooldown_s, self.out_cooldown_s), strict=True):
            if value is not None:
                found[member] = value
        return found


def default_name(id_: Id) -> str:
    return f"{id_.metric}:{id_.resource}"


def role_arn(region: Region) -> str:
    return f"arn:aws:iam::{region.settings.account}:{ROLE}"


def apply(tx: Transaction, region: Region, table: str, change: Scale, now_ms: int) -> None:
    """Make the change. An existing target keeps its identity. A policy with another name replaces the existing one."""
    id_ = targets.id_of(change.kind, table, change.index)
    old = store.target(tx, id_)
    if change.least is None or change.most is None:
        if old is not None:
            policies.deregister(tx, old, now_ms)
        return
    if old is None:
        store.add_target(tx, ScalableTarget(*id_, change.least, change.most, uuid.uuid4().hex, now_ms))
    else:
        store.save_target(tx, replace(old, least=change.least, most=change.most))
    name = change.policy or default_name(id_)
    for other in list(store.policies(tx, *id_)):
        if other.name != name:
            policies.delete(tx, other, now_ms)
    found = policies.find_table(region, tx, table)
    units = (None if found is None else targets.units(found, id_)) or change.units or change.least
    policies.put(region, tx, id_, name, change.configuration(id_), units, now_ms)
    store.schedule(tx, now_ms, CLAMP, id_)


def described(region: Region, snapshot: Snapshot, id_: Id) -> Settings:
    target = store.target(snapshot, id_)
    found = list(store.policies(snapshot, *id_))
    if target is None or not found:
        return {"AutoScalingDisabled": True, "ScalingPolicies": []}
    return {
        "MinimumUnits": target.least,
        "MaximumUnits": target.most,
        "AutoScalingRoleArn": role_arn(region),
        "ScalingPolicies": [_described(policy) for policy in found],
    }


def _described(policy: Policy) -> dict[str, Any]:
    shown = {member: value for member, value in policy.configuration.items() if member in (*OPTIONS, "TargetValue")}
    return {"PolicyName": policy.name, "TargetTrackingScalingPolicyConfiguration": shown}


def settings(region: Region, snapshot: Snapshot, table: Table) -> dict[str, Settings]:
    """The settings of a replica, by "Read" and "Write", and for an index as "Read by_date"."""
    found = {}
    for index in (None, *(one.name for one in table.global_indexes)):
        for kind in (targets.READ, WRITE):
            name = kind if index is None else f"{kind} {index}"
            found[name] = described(region, snapshot, targets.id_of(kind, table.name, index))
    return found


# Writes, which all replicas scale


def unscaled(snapshot: Snapshot, table: Table) -> str | None:
    """The part ("Table" or "GSI") that lacks the auto scaling of writes that replicas need; None if none does."""
    for index in (None, *(one.name for one in table.global_indexes if one.status != "DELETING")):
        id_ = targets.id_of(WRITE, table.name, index)
        if store.target(snapshot, id_) is None or next(store.policies(snapshot, *id_), None) is None:
            return "Table" if index is None else "GSI"
    return None


def writes(snapshot: Snapshot, table: Table) -> list[Scale]:
    """The changes that make another region scale its writes as this one does."""
    if table.billing_mode != PROVISIONED:
        return []
    found = []
    for index in (None, *(one.name for one in table.global_indexes)):
        id_ = targets.id_of(WRITE, table.name, index)
        target, policy = store.target(snapshot, id_), next(store.policies(snapshot, *id_), None)
        if target is None or policy is None or policy.customized is not None:
            continue
        scale = Scale(WRITE, index, target.least, target.most, policy.name, units=targets.units(table, id_))
        found.append(scale.configured(policy.configuration))
    return found


def scale_new_index(tx: Transaction, region: Region, table: Table, index: str, now_ms: int) -> None:
    """Scale the writes of a new index of a provisioned global table from the beginning."""
    least, most, value = INDEX_DEFAULTS
    id_ = targets.id_of(WRITE, table.name, index)
    if table.billing_mode == PROVISIONED and store.target(tx, id_) is None:
        units = targets.units(table, id_)
        apply(tx, region, table.name, Scale(WRITE, index, least, most, value=value, units=units), now_ms)
