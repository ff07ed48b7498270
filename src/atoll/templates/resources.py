"""The requests that create the resources of a template, with values of the types in the operation's shape."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from atoll.api import services
from atoll.api.service_model import Shape, model
from atoll.api.services import DYNAMODB, SCALING, Service
from atoll.templates import global_tables
from atoll.templates.documents import BadTemplate, mapping, mappings
from atoll.templates.intrinsics import Resolver

Body = dict[str, Any]

TABLE, GLOBAL_TABLE, SIMPLE_TABLE = (
    "AWS::DynamoDB::Table", "AWS::DynamoDB::GlobalTable", "AWS::Serverless::SimpleTable",
)  # fmt: skip
TARGET, POLICY = "AWS::ApplicationAutoScaling::ScalableTarget", "AWS::ApplicationAutoScaling::ScalingPolicy"


@dataclass(frozen=True)
class Request:
    operation: services.Operation
    body: Body


@dataclass
class DeclaredTable:
    name: str
    create: Request
    later: list[Request] = field(default_factory=list)
    """Once the table is there."""
    replicas: list[str] = field(default_factory=list)
    """The other regions in which it has replicas."""


@dataclass
class Declared:
    tables: list[DeclaredTable] = field(default_factory=list)
    scaling: list[Request] = field(default_factory=list)
    """The scaling requests of tables that are created now."""
    unsupported: list[str] = field(default_factory=list)
    """Properties that are ignored."""

    def request(self, service: Service, name: str, body: Mapping[str, Any], where: str) -> Request:
        assert service.model is not None
        typed = self._typed(model(service.model).input(name), body, where)
        try:
            orjson.dumps(typed)
        except TypeError as error:
            raise BadTemplate(f"{where} has a value that no request can have: {error}") from None
        return Request(services.TARGETS[f"{service.target}.{name}".encode()], typed)

    def _typed(self, shape: Shape, value: Any, where: str) -> Any:
        """The value with the types of the shape: in a template, numbers may be texts, and texts numbers."""
        match shape.kind:
            case "structure" if isinstance(value, Mapping):
                self.unsupported += [f"{where}.{name}" for name in value if name not in shape.members]
                members = {name: member for name, member in value.items() if name in shape.members}
                return {name: self._typed(shape.members[name], one, f"{where}.{name}") for name, one in members.items()}
            case "list" if isinstance(value, list) and shape.item is not None:
                return [self._typed(shape.item, one, where) for one in value]
            case "map" if isinstance(value, Mapping) and shape.item is not None:
                return {str(name): self._typed(shape.item, one, where) for name, one in value.items()}
            case kind if kind in _SCALARS and isinstance(value, (str, int, float)):
                try:
                    return _SCALARS[kind](value)
                except (ValueError, KeyError, OverflowError):
                    pass
        raise BadTemplate(f"{where} has a value of another type: {json.dumps(value)[:100]}")


def _text(value: Any) -> str:
    return ("false", "true")[value] if isinstance(value, bool) else str(value)


_SCALARS: dict[str, Any] = {
    "string": _text,
    "integer": int,
    "long": int,
    "double": float,
    "boolean": lambda value: {"true": True, "false": False}[_text(value).lower()],
    "timestamp": float,
}


def declared(document: Any, region: str, account: str) -> Declared:
    """Raises `BadTemplate`."""
    found = Declared()
    if isinstance(document, Mapping) and "Resources" in document:
        _add_resources(found, Resolver(document, region, account), region)
    else:
        for number, body in enumerate(_bodies(document), 1):
            if not isinstance(body, Mapping) or not isinstance(body.get("TableName"), str):
                raise BadTemplate(f"table {number} has no TableName")
            _add_table(found, body["TableName"], body["TableName"], body)
    if not found.tables:
        raise BadTemplate("declares no table")
    names = [table.name for table in found.tables]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise BadTemplate(f"declares a table twice: {', '.join(twice)}")
    return found


def _bodies(document: Any) -> list[Any]:
    """The bodies of CreateTable: one, or a list, also below `Tables`."""
    if isinstance(document, Mapping) and "Tables" in document:
        document = document["Tables"]
    if isinstance(document, Mapping) and "TableName" in document:
        document = [document]
    if not isinstance(document, list):
        raise BadTemplate("is neither a template with Resources nor a body of CreateTable nor a list of such bodies")
    return document


def _add_resources(found: Declared, resolver: Resolver, region: str) -> None:
    defaults = mapping(resolver.part("Globals").get("SimpleTable") or {}, "Globals.SimpleTable")
    policies: list[tuple[str, Mapping[str, Any]]] = []
    for logical, resource in resolver.part("Resources").items():
        type_ = mapping(resource, f"the resource {logical}").get("Type")
        if type_ not in (TABLE, GLOBAL_TABLE, SIMPLE_TABLE, TARGET, POLICY):
            continue
        if "Condition" in resource and not resolver.holds(resource["Condition"]):
            continue
        properties = mapping(resolver.resolve(resource.get("Properties") or {}), f"{logical}.Properties")
        match type_:
            case "AWS::DynamoDB::Table":
                _add_table(found, logical, resolver.name_of(logical), properties)
            case "AWS::Serverless::SimpleTable":
                _add_table(found, logical, resolver.name_of(logical), _simple({**defaults, **properties}))
            case "AWS::DynamoDB::GlobalTable":
                _add_global_table(found, logical, resolver.name_of(logical), properties, region)
            case "AWS::ApplicationAutoScaling::ScalableTarget":
                _add_target(found, logical, properties)
            case _:
                policies.append((logical, properties))
    for logical, properties in policies:  # their targets must be there
        _add_policy(found, logical, properties)


_CREATED = (
    "AttributeDefinitions", "KeySchema", "BillingMode", "ProvisionedThroughput", "OnDemandThroughput", "WarmThroughput",
    "LocalSecondaryIndexes", "VectorIndexes", "TableClass", "DeletionProtectionEnabled", "Tags",
)  # fmt: skip
_HANDLED = frozenset(
    {*_CREATED, "TableName", "GlobalSecondaryIndexes", "SSESpecification", "StreamSpecification", "ResourcePolicy",
     "TimeToLiveSpecification", "PointInTimeRecoverySpecification", "ContributorInsightsSpecification",
     "KinesisStreamSpecification"}
)  # fmt: skip


def _add_table(found: Declared, logical: str, name: str, given: Mapping[str, Any]) -> DeclaredTable:
    body: Body = {"TableName": name, **{one: given[one] for one in _CREATED if one in given}}
    found.unsupported += [f"{logical}.{one}" for one in given if one not in _HANDLED]
    if "GlobalSecondaryIndexes" in given:
        body["GlobalSecondaryIndexes"] = [
            {one: index[one] for one in index if one != "ContributorInsightsSpecification"}
            for index in mappings(given["GlobalSecondaryIndexes"], f"{logical}.GlobalSecondaryIndexes")
        ]
    if "SSESpecification" in given:
        encryption = dict(mapping(given["SSESpecification"], f"{logical}.SSESpecification"))
        if "SSEEnabled" in encryption:
            encryption["Enabled"] = encryption.pop("SSEEnabled")
        body["SSESpecification"] = encryption
    if "StreamSpecification" in given:
        stream = mapping(given["StreamSpecification"], f"{logical}.StreamSpecification")
        body["StreamSpecification"] = {"StreamEnabled": True, **stream}
    if "ResourcePolicy" in given:
        policy = given["ResourcePolicy"]
        document = policy.get("PolicyDocument") if isinstance(policy, Mapping) else policy
        body["ResourcePolicy"] = document if isinstance(document, str) else json.dumps(document)
    table = DeclaredTable(name, found.request(DYNAMODB, "CreateTable", body, logical))
    for operation, members in _later(logical, given):
        table.later.append(found.request(DYNAMODB, operation, {"TableName": name, **members}, logical))
    found.tables.append(table)
    return table


def _later(logical: str, given: Mapping[str, Any]) -> Iterator[tuple[str, Body]]:
    """The settings to make once the table exists."""
    if "TimeToLiveSpecification" in given:
        ttl = mapping(given["TimeToLiveSpecification"], f"{logical}.TimeToLiveSpecification")
        if _text(ttl.get("Enabled", "true")).lower() != "false":
            yield "UpdateTimeToLive", {"TimeToLiveSpecification": {"Enabled": True, **ttl}}
    if "PointInTimeRecoverySpecification" in given:
        recovery = mapping(given["PointInTimeRecoverySpecification"], f"{logical}.PointInTimeRecoverySpecification")
        yield (
            "UpdateContinuousBackups",
            {"PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": False, **recovery}},
        )
    indexes = mappings(given.get("GlobalSecondaryIndexes", []), f"{logical}.GlobalSecondaryIndexes")
    for one in (given, *indexes):
        insights = mapping(one.get("ContributorInsightsSpecification", {}), f"{logical}.ContributorInsights")
        if _text(insights.get("Enabled", "false")).lower() == "true":
            mode = {"ContributorInsightsMode": insights["Mode"]} if "Mode" in insights else {}
            index = {"IndexName": one.get("IndexName")} if one is not given else {}
            yield "UpdateContributorInsights", {"ContributorInsightsAction": "ENABLE", **mode, **index}
    if "KinesisStreamSpecification" in given:
        stream = dict(mapping(given["KinesisStreamSpecification"], f"{logical}.KinesisStreamSpecification"))
        members: Body = {"StreamArn": stream.pop("StreamArn", None)}
        if stream:
            members["EnableKinesisStreamingConfiguration"] = stream
        yield "EnableKinesisStreamingDestination", members


def _simple(given: Mapping[str, Any]) -> Body:
    """A SimpleTable as a table."""
    key = mapping(given.get("PrimaryKey", {}), "PrimaryKey")
    name, type_ = key.get("Name", "id"), str(key.get("Type", "String"))
    if type_ not in ("String", "Number", "Binary"):
        raise BadTemplate(f"the type of a primary key is String, Number or Binary, not {type_}")
    units = given.get("ProvisionedThroughput")
    rest = {one: value for one, value in given.items() if one not in ("PrimaryKey", "Tags", "ProvisionedThroughput")}
    if "Tags" in given:
        rest["Tags"] = [{"Key": one, "Value": value} for one, value in mapping(given["Tags"], "Tags").items()]
    return {
        **rest,
        "AttributeDefinitions": [{"AttributeName": name, "AttributeType": type_[0]}],
        "KeySchema": [{"AttributeName": name, "KeyType": "HASH"}],
        **({"BillingMode": "PAY_PER_REQUEST"} if units is None else {"ProvisionedThroughput": units}),
    }


def _add_global_table(found: Declared, logical: str, name: str, given: Mapping[str, Any], region: str) -> None:
    parts = global_tables.parts_of(logical, name, given, region)
    found.unsupported += parts.unsupported
    _add_table(found, logical, name, parts.table).replicas = parts.replicas
    for target, policy in parts.scaling:
        found.scaling.append(found.request(SCALING, "RegisterScalableTarget", target, logical))
        if policy is not None:
            found.scaling.append(found.request(SCALING, "PutScalingPolicy", policy, logical))


# Auto scaling

_DYNAMODB = "dynamodb"


def _add_target(found: Declared, logical: str, given: Mapping[str, Any]) -> None:
    if given.get("ServiceNamespace") != _DYNAMODB or not _is_of_table(given):
        return
    actions = mappings(given.get("ScheduledActions", []), f"{logical}.ScheduledActions")
    body = {one: value for one, value in given.items() if one != "ScheduledActions"}
    found.scaling.append(found.request(SCALING, "RegisterScalableTarget", body, logical))
    of_target = {one: given.get(one) for one in ("ServiceNamespace", "ResourceId", "ScalableDimension")}
    for action in actions:
        found.scaling.append(found.request(SCALING, "PutScheduledAction", {**of_target, **action}, logical))


def _is_of_table(given: Mapping[str, Any]) -> bool:
    return str(given.get("ResourceId")).startswith("table/")


def _add_policy(found: Declared, logical: str, given: Mapping[str, Any]) -> None:
    body = dict(given)
    parts = str(body.pop("ScalingTargetId", "")).split("|")
    if len(parts) == 3:
        body["ResourceId"], body["ScalableDimension"], body["ServiceNamespace"] = parts
    if body.get("ServiceNamespace") != _DYNAMODB or not _is_of_table(body):
        return
    found.scaling.append(found.request(SCALING, "PutScalingPolicy", {"PolicyName": logical, **body}, logical))
