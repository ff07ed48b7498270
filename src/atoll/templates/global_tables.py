"""Convert an AWS::DynamoDB::GlobalTable to an ordinary table, its replicas, and its auto scaling.

Properties that may differ between replicas (such as reads) belong to each replica, others (such as writes) to the
global table. The table here is the replica of the server's region; if the template names none there, the settings are
those of the first replica.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from atoll.templates.documents import BadTemplate, mapping, mappings

Body = dict[str, Any]

_SHARED = (
    "AttributeDefinitions", "KeySchema", "BillingMode", "LocalSecondaryIndexes", "SSESpecification",
    "StreamSpecification", "TimeToLiveSpecification", "WarmThroughput",
)  # fmt: skip
_HERE = (
    "ContributorInsightsSpecification", "DeletionProtectionEnabled", "KinesisStreamSpecification",
    "PointInTimeRecoverySpecification", "ResourcePolicy", "TableClass", "Tags",
)  # fmt: skip
_WRITES = ("WriteProvisionedThroughputSettings", "WriteOnDemandThroughputSettings")
_READS = ("ReadProvisionedThroughputSettings", "ReadOnDemandThroughputSettings")
_INDEX = ("IndexName", "KeySchema", "Projection", "WarmThroughput", "ContributorInsightsSpecification")


@dataclass
class Parts:
    table: Body
    """The properties of an AWS::DynamoDB::Table."""
    replicas: list[str]
    """The replicas in other regions."""
    scaling: list[tuple[Body, Body | None]] = field(default_factory=list)
    """Each a target, with its policy."""
    unsupported: list[str] = field(default_factory=list)


def parts_of(logical: str, name: str, given: Mapping[str, Any], region: str) -> Parts:
    replicas = mappings(given.get("Replicas"), f"{logical}.Replicas")
    if not replicas:
        raise BadTemplate(f"{logical}.Replicas is empty")
    own = next((one for one in replicas if one.get("Region") == region), replicas[0])
    others = [str(one.get("Region")) for one in replicas if one.get("Region") != region]
    parts = Parts({one: given[one] for one in _SHARED if one in given}, others)
    parts.table |= {one: own[one] for one in _HERE if one in own}
    _note_unsupported(parts, logical, given, own)
    _add_throughput(parts, parts.table, given, own, f"table/{name}", "table")
    own_given = mappings(own.get("GlobalSecondaryIndexes", []), f"{logical}.Replicas.GlobalSecondaryIndexes")
    own_indexes = {str(index.get("IndexName")): index for index in own_given}
    indexes: list[Body] = []
    for index in mappings(given.get("GlobalSecondaryIndexes", []), f"{logical}.GlobalSecondaryIndexes"):
        here = own_indexes.get(str(index.get("IndexName")), {})
        made: Body = {one: index[one] for one in _INDEX if one in index}
        made |= {one: here[one] for one in ("ContributorInsightsSpecification",) if one in here}
        _add_throughput(parts, made, index, here, f"table/{name}/index/{index.get('IndexName')}", "index")
        indexes.append(made)
    if indexes:
        parts.table["GlobalSecondaryIndexes"] = indexes
    return parts


def _note_unsupported(parts: Parts, logical: str, given: Mapping[str, Any], own: Mapping[str, Any]) -> None:
    known = {*_SHARED, *_WRITES, "Replicas", "TableName", "GlobalSecondaryIndexes"}
    parts.unsupported += [f"{logical}.{one}" for one in given if one not in known]
    known = {*_HERE, *_READS, "Region", "GlobalSecondaryIndexes"}
    parts.unsupported += [f"{logical}.Replicas.{one}" for one in own if one not in known]


def _add_throughput(
    parts: Parts, made: Body, writes: Mapping[str, Any], reads: Mapping[str, Any], resource: str, kind: str
) -> None:
    """Set the units of a table or an index, or their maxima on demand, and note what scales them."""
    units: Body = {}
    for of, members in (("Write", writes), ("Read", reads)):
        settings = mapping(
            members.get(f"{of}ProvisionedThroughputSettings") or {}, f"{of}ProvisionedThroughputSettings"
        )
        scaled = settings.get(f"{of}CapacityAutoScalingSettings")
        if scaled is not None:
            mapping(scaled, f"{of}CapacityAutoScalingSettings")
            units[f"{of}CapacityUnits"] = scaled.get("SeedCapacity", scaled.get("MinCapacity"))
            parts.scaling.append(_scaling(scaled, resource, f"dynamodb:{kind}:{of}CapacityUnits", of))
        elif f"{of}CapacityUnits" in settings:
            units[f"{of}CapacityUnits"] = settings[f"{of}CapacityUnits"]
    if units:
        made["ProvisionedThroughput"] = units
    maxima: Body = {}
    for of, members in (("Write", writes), ("Read", reads)):
        name, maximum = f"{of}OnDemandThroughputSettings", f"Max{of}RequestUnits"
        if name in members:
            maxima[maximum] = mapping(members[name], name).get(maximum)
    if maxima:
        made["OnDemandThroughput"] = maxima


def _scaling(settings: Mapping[str, Any], resource: str, dimension: str, of: str) -> tuple[Body, Body | None]:
    target = {"ServiceNamespace": "dynamodb", "ResourceId": resource, "ScalableDimension": dimension}
    bounds = {one: settings[one] for one in ("MinCapacity", "MaxCapacity") if one in settings}
    tracking = settings.get("TargetTrackingScalingPolicyConfiguration")
    if tracking is None:
        return {**target, **bounds}, None
    metric = {"PredefinedMetricSpecification": {"PredefinedMetricType": f"DynamoDB{of}CapacityUtilization"}}
    policy = {
        **target,
        "PolicyName": f"{resource}-{of}-tracking",
        "PolicyType": "TargetTrackingScaling",
        "TargetTrackingScalingPolicyConfiguration": {
            **metric,
            **mapping(tracking, "TargetTrackingScalingPolicyConfiguration"),
        },
    }
    return {**target, **bounds}, policy
