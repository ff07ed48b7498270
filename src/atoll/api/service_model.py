"""Read botocore's JSON models of the services' requests as data, into a graph of shapes.

A model has a request's members, their types and most of their constraints. The tables CORRECTIONS and ORDER add what
the model lacks: the order in which the service checks members, the order in which it lists the values of an enum, and
missing or outdated bounds. The models are files of Atoll (`botocore_models`); it runs without botocore.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Any, NamedTuple

from atoll import arns, botocore_models, limits
from atoll.errors import requests as errors

NAME_PATTERN = "[a-zA-Z0-9_.-]+"

# Replacements of and additions to the model, by shape or by "Structure.Member". None removes a constraint.
CORRECTIONS: dict[str, dict[str, Any]] = {
    "ComparisonOperator": {
        "enum": [
            *("IN", "NULL", "BETWEEN", "LT", "NOT_CONTAINS", "EQ", "GT"),
            *("NOT_NULL", "NE", "LE", "BEGINS_WITH", "GE", "CONTAINS"),
        ]
    },
    "ConditionalOperator": {"enum": ["OR", "AND"]},
    "ProjectionType": {"enum": ["ALL", "INCLUDE", "KEYS_ONLY"]},
    "ReturnValue": {"enum": ["ALL_NEW", "UPDATED_OLD", "ALL_OLD", "NONE", "UPDATED_NEW"]},
    "ScalarAttributeType": {"enum": ["B", "N", "S"]},
    "Select": {"enum": ["SPECIFIC_ATTRIBUTES", "COUNT", "ALL_ATTRIBUTES", "ALL_PROJECTED_ATTRIBUTES"]},
    "ShardIteratorType": {
        "enum": ["AFTER_SEQUENCE_NUMBER", "LATEST", "AT_SEQUENCE_NUMBER", "TRIM_HORIZON", "AT_TIMESTAMP"]
    },
    # A table's name or its ARN; the model has only the ARN's length. An empty name has a text of its own.
    "TableArn": {"table": True, "min": 3, "empty": True, "max": limits.KEY_NAME_CHARS, "pattern": NAME_PATTERN},
    **{
        member: {"table": False, "min": 1, "empty": False, "max": 1024, "pattern": None}
        for member in (
            "ExportTableToPointInTimeInput.TableArn",
            "ListExportsInput.TableArn",
            "ListImportsInput.TableArn",
            "RestoreTableToPointInTimeInput.SourceTableArn",
        )
    },
    "CreateTableInput.TableName": {"min": 3},
    "AttributeNameList": {"max": 255},
    "CreateTableInput": {"required": ["AttributeDefinitions", "TableName", "KeySchema"]},
    "CreateTableInput.KeySchema": {"max": 2},
    "LocalSecondaryIndex.KeySchema": {"max": 2},
    "GlobalSecondaryIndex.KeySchema": {"max": 2 * limits.INDEX_KEY_ATTRIBUTES},
    "CreateGlobalSecondaryIndexAction.KeySchema": {"max": 2 * limits.INDEX_KEY_ATTRIBUTES},
    # The operations check classes and tags themselves, with their own texts.
    "TableClass": {"enum": None},
    "Tag": {"required": []},
    "TagKeyString": {"min": None, "max": None},
    "TagValueString": {"min": None, "max": None},
    "VectorDistanceFunction": {"enum": ["DOT_PRODUCT", "COSINE", "EUCLIDEAN"]},
    "StreamViewType": {"enum": ["OLD_IMAGE", "KEYS_ONLY", "NEW_AND_OLD_IMAGES", "NEW_IMAGE"]},
    **{f"{operation}TableInput.TableName": {"min": 3} for operation in ("Update", "Delete", "Describe")},
    **{
        f"{operation}Input.TableName": {"min": 3}
        for operation in (
            *("UpdateTimeToLive", "DescribeTimeToLive", "DescribeContinuousBackups", "ListBackups"),
            *(
                "DescribeContributorInsights",
                "ListContributorInsights",
                "UpdateContributorInsights",
                "DescribeKinesisStreamingDestination",
            ),
            "DescribeTableReplicaAutoScaling",
        )
    },
    # The operations of streams check ARNs themselves.
    "StreamArn": {"min": None},
    "ShardFilter": {"required": ["Type", "ShardId"]},
    # The service reports these two members without the value, and by their names in the request.
    "QueryInput.Limit": {"bare": ("min",)},
    "KeysAndAttributes.Keys": {"bare": ("min", "max")},
    # The tag operations check ARNs themselves, with their own texts.
    "TagResourceInput.ResourceArn": {"min": None, "max": None},
    "UntagResourceInput.ResourceArn": {"min": None, "max": None},
    "ListTagsOfResourceInput.ResourceArn": {"min": None, "max": None},
    **{
        f"Describe{what}Request.MaxResults": {"min": 1, "max": most}
        for what, most in (
            *(("ScalableTargets", limits.SCALING_PAGE), ("ScalingActivities", limits.SCALING_PAGE)),
            *(("ScheduledActions", limits.SCALING_PAGE), ("ScalingPolicies", limits.SCALING_POLICIES_PAGE)),
        )
    },
    # The operations check the length of these names themselves, with their own texts.
    "DescribeContributorInsightsInput.IndexName": {"min": None, "max": None, "pattern": None},
    "UpdateContributorInsightsInput.IndexName": {"min": None, "max": None, "pattern": None},
    "ListContributorInsightsLimit": {"min": 1},
    "ContributorInsightsMode": {"enum": ["THROTTLED_KEYS", "ACCESSED_AND_THROTTLED_KEYS"]},
    **{
        f"{operation}Input.GlobalTableName": {"min": None, "max": None}
        for operation in (
            *("CreateGlobalTable", "UpdateGlobalTable", "UpdateGlobalTableSettings"),
            *("DescribeGlobalTable", "DescribeGlobalTableSettings"),
        )
    },
}

CORRECTIONS_OF_CLOUDWATCH: dict[str, dict[str, Any]] = {
    "StateValue": {"enum": ["INSUFFICIENT_DATA", "ALARM", "OK"]},
}

# The order in which the service checks a structure's members, where known. The others follow in the model's order.
ORDER: dict[str, str] = {
    "GetItemInput": "ReturnConsumedCapacity AttributesToGet TableName Key",
    "PutItemInput": "ReturnConsumedCapacity TableName Item ConditionalOperator Expected ReturnItemCollectionMetrics"
    " ReturnValues",
    "UpdateItemInput": "ReturnConsumedCapacity TableName ReturnItemCollectionMetrics ReturnValues"
    " ConditionalOperator Key Expected AttributeUpdates",
    "DeleteItemInput": "ReturnConsumedCapacity TableName ReturnItemCollectionMetrics ReturnValues Key"
    " ConditionalOperator Expected",
    "QueryInput": "Select IndexName ReturnConsumedCapacity QueryFilter TableName ConditionalOperator AttributesToGet"
    " Limit KeyConditions ExclusiveStartKey",
    "ScanInput": "Select IndexName TotalSegments ReturnConsumedCapacity TableName ConditionalOperator ScanFilter"
    " Segment Limit AttributesToGet ExclusiveStartKey",
    "BatchGetItemInput": "ReturnConsumedCapacity RequestItems",
    "BatchWriteItemInput": "ReturnConsumedCapacity ReturnItemCollectionMetrics RequestItems",
    "TransactWriteItemsInput": "TransactItems ClientRequestToken ReturnConsumedCapacity",
    "CreateTableInput": "AttributeDefinitions TableName BillingMode ProvisionedThroughput KeySchema"
    " GlobalSecondaryIndexes LocalSecondaryIndexes",
    "UpdateTableInput": "TableName ProvisionedThroughput BillingMode GlobalSecondaryIndexUpdates",
    "CreateGlobalSecondaryIndexAction": "Projection IndexName ProvisionedThroughput KeySchema",
    "ListTablesInput": "Limit ExclusiveStartTableName",
    "TimeToLiveSpecification": "AttributeName Enabled",
    "ProvisionedThroughput": "WriteCapacityUnits ReadCapacityUnits",
}

# Java's regular expressions in Python's syntax, where the two differ; and those that take a power of the text's length,
# as others that mean the same for texts of the service.
DIALECT = {
    r"[a-z0-9A-Z]+[\.\-\w]*[a-z0-9A-Z]+": r"[a-z0-9A-Z][\.\-\w]*[a-z0-9A-Z]",
    r"^arn:.+:application-autoscaling:.+:": r"^arn:.{1,64}:application-autoscaling:.{1,64}:",
    r"\p{Print}": r"[\x20-\x7E]",
    r"\p{L}\p{Z}\p{N}": r"\w\s",
    r"\p{L}\p{M}\p{N}\p{P}\p{S}\p{Zs}": r"\S\x20",
    r"\uD800\uDC00-\uDBFF\uDFFF": r"\U00010000-\U0010FFFF",
}


class Constraint(NamedTuple):
    kind: str
    """enum, pattern, min, max or empty"""
    text: str
    holds: Callable[[Any], bool]
    bare: bool = False
    """Whether the violation is reported without the value."""


@dataclass(slots=True, eq=False)
class Shape:
    """One type of the model. `members` are a structure's, in the service's order of checks; `item` is the shape of a
    list's elements or a map's values."""

    name: str
    kind: str
    constraints: tuple[Constraint, ...] = ()
    members: dict[str, Shape] = field(default_factory=dict)
    required: frozenset[str] = frozenset()
    item: Shape | None = None
    key: Shape | None = None

    @property
    def is_value(self) -> bool:
        """Whether this is an attribute value; the item model checks those, with its own errors."""
        return self.name == "AttributeValue"

    @property
    def is_scalar(self) -> bool:
        return self.kind not in ("structure", "list", "map")


class Model:
    def __init__(self, raw: dict[str, Any], corrections: dict[str, dict[str, Any]]) -> None:
        self._corrections = corrections
        self.version: str = raw["metadata"]["apiVersion"]
        self.namespace: str = raw["metadata"].get("xmlNamespace", "")
        self.errors: dict[str, str] = {
            name: shape["error"]["code"] for name, shape in raw["shapes"].items() if shape.get("error", {}).get("code")
        }
        """The codes in the query protocol of errors that have another name there."""
        self._operations: dict[str, Any] = raw["operations"]
        self._raw: dict[str, dict[str, Any]] = raw["shapes"]
        self._shapes: dict[str, Shape] = {}

    @property
    def operations(self) -> list[str]:
        return list(self._operations)

    def input(self, operation: str) -> Shape:
        declared = self._operations[operation].get("input")
        return self._shape(declared["shape"]) if declared else Shape("Unit", "structure")

    def output(self, operation: str) -> Shape | None:
        """The shape of an operation's answers; None if they have no members."""
        declared = self._operations[operation].get("output")
        return self._shape(declared["shape"]) if declared else None

    def _shape(self, name: str, place: str = "") -> Shape:
        corrections = self._corrections
        place = place if place in corrections else name
        if place in self._shapes:
            return self._shapes[place]
        raw = self._raw[name] | corrections.get(name, {}) | corrections.get(place, {})
        shape = self._shapes[place] = Shape(name, raw["type"], _constraints(raw))
        if shape.kind == "structure":
            members = raw["members"]
            order = [m for m in ORDER.get(name, "").split() if m in members]
            shape.required = frozenset(raw.get("required", ()))
            shape.members = {
                member: self._shape(members[member]["shape"], f"{name}.{member}")
                for member in dict.fromkeys([*order, *members])
            }
        elif shape.kind == "list":
            shape.item = self._shape(raw["member"]["shape"])
        elif shape.kind == "map":
            shape.key = self._shape(raw["key"]["shape"])
            shape.item = self._shape(raw["value"]["shape"])
        return shape


@cache
def model(service: str) -> Model:
    """The model of a service; `service` is botocore's name."""
    corrections = CORRECTIONS_OF_CLOUDWATCH if service == "cloudwatch" else CORRECTIONS
    return Model(botocore_models.read(service), corrections)


def _constraints(raw: dict[str, Any]) -> tuple[Constraint, ...]:
    """A shape's constraints, in the order in which the service reports them."""
    low, high, bare = raw.get("min"), raw.get("max"), raw.get("bare", ())
    numeric = raw["type"] in ("integer", "long", "double", "float")
    found = []
    if raw.get("enum") is not None:
        found.append(Constraint("enum", errors.one_of(raw["enum"]), frozenset(raw["enum"]).__contains__))
    if raw.get("pattern") is not None:
        found.append(Constraint("pattern", errors.matches(raw["pattern"]), _pattern(raw["pattern"])))
    if "empty" in raw and low is not None:
        found.append(Constraint("empty", errors.length_at_least(1), bool))
        found.append(Constraint("min", errors.length_at_least(low), lambda v: not v or len(v) >= low))
    elif low is not None and numeric:
        found.append(Constraint("min", errors.value_at_least(low), lambda v: v >= low, "min" in bare))
    elif low is not None:
        found.append(Constraint("min", errors.length_at_least(low), lambda v: len(v) >= low, "min" in bare))
    if high is not None and numeric:
        found.append(Constraint("max", errors.value_at_most(high), lambda v: v <= high, "max" in bare))
    elif high is not None:
        found.append(Constraint("max", errors.length_at_most(high), lambda v: len(v) <= high, "max" in bare))
    if "table" in raw:
        # The service reports only the first violation of a table's name, and checks its length first.
        found.sort(key=lambda c: c.kind == "pattern")
    if raw.get("table"):
        return tuple(c._replace(holds=_or_arn(c.holds)) for c in found)
    return tuple(found)


LONG_CHARS = 100_000
"""No longer text has a valid pattern: looking at one of 16 MB takes a tenth of a second, while nothing else runs."""


def _pattern(pattern: str) -> Callable[[str], bool]:
    match = compiled(pattern).fullmatch
    return lambda text: len(text) <= LONG_CHARS and match(text) is not None


def compiled(pattern: str) -> re.Pattern[str]:
    """A pattern of a model."""
    for java, python in DIALECT.items():
        pattern = pattern.replace(java, python)
    return re.compile(pattern)


def _or_arn(holds: Callable[[str], bool]) -> Callable[[str], bool]:
    return lambda name: holds(name) or arns.parse_table(name) is not None
