"""Scalable targets: the read or write capacity of a table or a global index, the bounds within which it scales, and its
policies and scheduled actions. These records are what `store` keeps."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from atoll.database.schema import PROVISIONED, Index, Table
from atoll.scaling.decision import Bounds, Last

NAMESPACE = "dynamodb"

READ, WRITE = "Read", "Write"

_RESOURCE = re.compile(r"table/([a-zA-Z0-9_.-]{3,255})(?:/index/([a-zA-Z0-9_.-]{3,255}))?")
_DIMENSION = re.compile(r"dynamodb:(table|index):(Read|Write)CapacityUnits")


class Id(NamedTuple):
    """The id of a target: its ResourceId and its ScalableDimension."""

    resource: str
    dimension: str

    @property
    def table_name(self) -> str:
        return self.resource.split("/")[1]

    @property
    def index_name(self) -> str | None:
        parts = self.resource.split("/")
        return parts[3] if len(parts) > 3 else None

    @property
    def kind(self) -> str:
        """Either "Read" or "Write"."""
        return READ if self.dimension.endswith("ReadCapacityUnits") else WRITE

    @property
    def noun(self) -> str:
        return "read capacity units" if self.kind == READ else "write capacity units"

    @property
    def metric(self) -> str:
        """The predefined metric of this kind."""
        return f"DynamoDB{self.kind}CapacityUtilization"


def parse(resource: str, dimension: str) -> Id | None:
    """The id; None if there is no such dimension, or if it does not fit the resource."""
    found, of = _RESOURCE.fullmatch(resource), _DIMENSION.fullmatch(dimension)
    if found is None or of is None or (found[2] is None) != (of[1] == "table"):
        return None
    return Id(resource, dimension)


def id_of(kind: str, table: str, index: str | None = None) -> Id:
    if index is None:
        return Id(f"table/{table}", f"dynamodb:table:{kind}CapacityUnits")
    return Id(f"table/{table}/index/{index}", f"dynamodb:index:{kind}CapacityUnits")


def part(table: Table, id_: Id) -> Table | Index | None:
    """The scaled part: the table or one of its global indexes; None if the index does not exist."""
    if id_.index_name is None:
        return table
    index = table.index(id_.index_name)
    return None if index is None or index.local or index.status == "DELETING" else index


def units(table: Table, id_: Id) -> int | None:
    """The present units; None if they cannot be scaled, as those of an on-demand table."""
    found = part(table, id_)
    if table.billing_mode != PROVISIONED or found is None or found.throughput is None:
        return None
    return found.throughput.read if id_.kind == READ else found.throughput.write


@dataclass(frozen=True)
class Suspended:
    falls: bool = False
    rises: bool = False
    schedules: bool = False


@dataclass(frozen=True)
class Running:
    """A change of capacity that the table has accepted but not finished."""

    activity: tuple[str, str]
    """The key of its activity in `store`."""
    before: int
    """The units at the time of the datapoints that it is based on."""
    units: int
    policy: str
    """The id of the policy that decided it; empty if none did."""


@dataclass(frozen=True)
class Scaled:
    """The stored record of one scaled capacity."""

    resource: str
    dimension: str

    @property
    def id(self) -> Id:
        return Id(self.resource, self.dimension)


@dataclass(frozen=True)
class ScalableTarget(Scaled):
    least: int
    most: int
    number: str
    """The last part of its ARN."""
    created_ms: int
    suspended: Suspended = Suspended()
    tags: tuple[tuple[str, str], ...] = ()
    last_rise: Last | None = None
    last_fall: Last | None = None
    """The last fall; None if there was a rise since."""
    running: Running | None = None

    @property
    def bounds(self) -> Bounds:
        return Bounds(self.least, self.most)

    @property
    def arn_resource(self) -> str:
        """The resource part of its ARN."""
        return f"scalable-target/{self.number}"

    def ended(self, now_ms: int) -> ScalableTarget:
        """The target after its running change has ended, which begins a cooldown."""
        running = self.running
        if running is None:
            return self
        last = Last(running.policy, now_ms, running.units, running.before)
        if running.units > running.before:
            return replace(self, running=None, last_rise=last, last_fall=None)
        return replace(self, running=None, last_fall=last)


@dataclass(frozen=True)
class Policy(Scaled):
    name: str
    number: str
    """A part of its ARN."""
    created_ms: int
    configuration: Mapping[str, Any]
    """TargetTrackingScalingPolicyConfiguration, as the request had it."""
    alarms: Mapping[str, str]
    """The names of its alarms, by kind; see `tracking`."""

    @property
    def arn_resource(self) -> str:
        of = f"resource/{NAMESPACE}/{self.resource}"
        return f"scalingPolicy:{self.number}:{of}:policyName/{self.name}"

    @property
    def target_value(self) -> float:
        return float(self.configuration["TargetValue"])

    @property
    def customized(self) -> Mapping[str, Any] | None:
        """The user's own metric, if the policy has one."""
        found: Mapping[str, Any] | None = self.configuration.get("CustomizedMetricSpecification")
        return found

    @property
    def scales_in(self) -> bool:
        return not self.configuration.get("DisableScaleIn")

    def cooldown_ms(self, member: str) -> int:
        return max(0, int(self.configuration.get(member) or 0)) * 1000


@dataclass(frozen=True)
class ScheduledAction(Scaled):
    name: str
    number: str
    created_ms: int
    schedule: str
    zone: str | None = None
    start_ms: int | None = None
    end_ms: int | None = None
    least: int | None = None
    most: int | None = None
    due_ms: int | None = None
    """The time of its next run; None if there is none."""

    @property
    def arn_resource(self) -> str:
        of = f"resource/{NAMESPACE}/{self.resource}"
        return f"scheduledAction:{self.number}:{of}:scheduledActionName/{self.name}"


@dataclass(frozen=True)
class Activity:
    number: str
    """The ActivityId."""
    resource: str
    dimension: str
    description: str
    cause: str
    start_ms: int
    status: str
    message: str | None = None
    end_ms: int | None = None
    reasons: tuple[Mapping[str, Any], ...] = ()
    """The NotScaledReasons; empty if it has tried to scale."""

    @property
    def id(self) -> Id:
        return Id(self.resource, self.dimension)
