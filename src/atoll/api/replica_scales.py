"""Settings of auto scaling in requests about replicas, of both versions of global tables: their checks, and the changes
that they ask the regions to make."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from atoll.api.scaling.policies import check_configuration
from atoll.database.region import Region
from atoll.database.schema import ON_DEMAND
from atoll.errors import ApiError
from atoll.errors import replica_scaling as errors
from atoll.errors import replication as replication_errors
from atoll.errors import scaling as scaling_errors
from atoll.replication import enquiries
from atoll.replication.exchange import Unreachable
from atoll.scaling import replicas
from atoll.scaling.replicas import Scale
from atoll.scaling.targets import id_of

Body = dict[str, Any]


class Wanted(NamedTuple):
    """One part of a request."""

    region: str | None
    """None means all regions."""
    kind: str
    index_name: str | None
    given: Body
    """The member of type AutoScalingSettingsUpdate."""
    parameter: str
    """The name of the member in error texts."""

    @property
    def name(self) -> str:
        """The name of the setting in `scaling.replicas.settings`."""
        return self.kind if self.index_name is None else f"{self.kind} {self.index_name}"


OFF: Body = {"AutoScalingDisabled": True, "ScalingPolicies": []}


def check(region: Region, table: str, mode: str, members: Sequence[str], one: Wanted) -> None:
    """Check a part of a request. `mode` is the table's billing mode, `members` are the regions of its replicas."""
    given = one.given
    if not given.get("AutoScalingDisabled"):
        if any(given.get(member) is None for member in ("MinimumUnits", "MaximumUnits", "ScalingPolicyUpdate")):
            raise errors.parameters_required(table)
        if given.get("AutoScalingRoleArn") not in (None, replicas.role_arn(region)):
            raise errors.role_unsupported(table, given["AutoScalingRoleArn"])
    if mode == ON_DEMAND:
        raise errors.on_demand(table, members if one.region is None else [one.region], one.parameter)


def scale(table: str, one: Wanted) -> Scale:
    """The change to ask for, checked by the rules of Application Auto Scaling."""
    given = one.given
    if given.get("AutoScalingDisabled"):
        return Scale(one.kind, one.index_name)
    policy = given["ScalingPolicyUpdate"]
    scale = Scale(one.kind, one.index_name, given["MinimumUnits"], given["MaximumUnits"], policy.get("PolicyName"))
    scale = scale.configured(policy["TargetTrackingScalingPolicyConfiguration"])
    id_ = id_of(one.kind, table, one.index_name)
    try:
        if given["MinimumUnits"] > given["MaximumUnits"]:
            raise scaling_errors.bounds_reversed()
        check_configuration(scale.configuration(id_), id_)
    except ApiError as error:
        raise errors.refused_by_auto_scaling(error, str(uuid.uuid4())) from None
    return scale


async def ask(region: Region, target: str, table: str, changes: Sequence[Scale]) -> Mapping[str, Body]:
    """Change how a region scales its replica; returns the settings then."""
    if target == region.name:
        return await enquiries.scale(region, table, changes)
    try:
        return await enquiries.ask_scaling(region, target, table, changes)
    except Unreachable as error:
        raise replication_errors.unreachable(target, error.reason) from None


async def shown(region: Region, target: str, table: str) -> Mapping[str, Body] | None:
    """How a region scales its replica; None if the region cannot be reached."""
    if target == region.name:
        return await enquiries.scale(region, table, [])
    try:
        return await enquiries.ask_scaling(region, target, table, [])
    except Unreachable:
        return None
