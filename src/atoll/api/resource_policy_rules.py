"""The rules for the content of a resource policy, and the form in which the service shows one. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import orjson

from atoll import arns, limits
from atoll.errors import resource_policies as errors
from atoll.security.policies import document
from atoll.security.policies.document import Kind, Malformed
from atoll.security.policies.patterns import matcher, parse
from atoll.security.policies.principals import ANYONE, normal

_POLICY_ACTIONS = ("PutResourcePolicy", "GetResourcePolicy", "DeleteResourcePolicy")
_TAG_ACTIONS = ("TagResource", "UntagResource", "ListTagsOfResource")
_TABLE_ACTIONS = (
    "GetItem", "PutItem", "UpdateItem", "DeleteItem", "Query", "Scan", "SearchVectors", "BatchGetItem",
    "BatchWriteItem", "ConditionCheckItem", "TransactGetItems", "TransactWriteItems", "DeleteTable", "DescribeTable",
    "UpdateTable",
    *_TAG_ACTIONS, *_POLICY_ACTIONS, "PartiQLSelect", "PartiQLInsert", "PartiQLUpdate", "PartiQLDelete",
    "DescribeTableReplicaAutoScaling", "UpdateTableReplicaAutoScaling", "CreateBackup", "DescribeContinuousBackups",
    "UpdateContinuousBackups", "RestoreTableToPointInTime", "DescribeContributorInsights", "UpdateContributorInsights",
    "ExportTableToPointInTime", "DescribeKinesisStreamingDestination", "EnableKinesisStreamingDestination",
    "DisableKinesisStreamingDestination", "UpdateKinesisStreamingDestination", "DescribeTimeToLive",
    "UpdateTimeToLive", "CreateTableReplica", "DeleteTableReplica", "AssociateTableReplica", "ReadDataForReplication",
    "WriteDataForReplication", "ReplicateSettings",
)  # fmt: skip
_STREAM_ACTIONS = ("DescribeStream", "GetRecords", "GetShardIterator", *_POLICY_ACTIONS, *_TAG_ACTIONS)

# An Allow for everybody must have a condition on one of these keys.
_BOUNDS = frozenset(
    f"aws:{name}".lower()
    for name in (
        "PrincipalAccount", "PrincipalArn", "PrincipalOrgID", "PrincipalOrgPaths", "SourceAccount", "SourceArn",
        "SourceVpc", "SourceVpce", "UserId", "PrincipalServiceName", "PrincipalServiceNamesList",
        "PrincipalIsAWSService", "Ec2InstanceSourceVpc", "SourceOrgID", "SourceOrgPaths",
    )
)  # fmt: skip
_BOUNDING = re.compile(r"(ForAnyValue:)?(StringEquals|StringEqualsIgnoreCase|StringLike|ArnEquals|ArnLike|Bool)")
_ORDER = (
    "Sid", "Effect", "Principal", "NotPrincipal", "Action", "NotAction", "Resource", "NotResource", "Condition",
)  # fmt: skip


class Shown(NamedTuple):
    """A policy in the form in which the service shows it."""

    text: str
    versioned: bool
    """Whether a Version was given. A policy without one differs from a policy with the default Version."""


def checked(text: str, *, stream: bool) -> Shown:
    """The policy in its stored form. Raises the service's error if the text is no policy, or not one for a table (or a
    stream)."""
    if len(text.encode()) > limits.RESOURCE_POLICY_BYTES:
        raise errors.too_large()
    try:
        given = orjson.loads(text)
    except orjson.JSONDecodeError as fault:
        raise errors.syntax_error(fault.lineno, fault.colno) from None
    _check_principals(given, text)
    try:
        document.parse(given, Kind.RESOURCE)
    except Malformed as fault:
        raise errors.invalid_document(str(fault)) from None
    statements = given["Statement"] if isinstance(given["Statement"], list) else [given["Statement"]]
    for statement in statements:
        _check_resources(statement, stream)
    invalid = [action for statement in statements for action in _invalid_actions(statement, stream)]
    if invalid:
        raise errors.invalid_actions(dict.fromkeys(invalid))
    if any(_is_unbounded(statement) for statement in statements):
        raise errors.unbounded()
    shown = {
        "Version": given.get("Version", document.VERSIONS[1]),
        **({"Id": given["Id"]} if "Id" in given else {}),
        "Statement": [_shown(statement) for statement in statements],
    }
    return Shown(orjson.dumps(shown).decode(), "Version" in given)


def _check_principals(given: Any, text: str) -> None:
    """Refuse a Principal that is a name instead of a map: a syntax error, with its place in the text."""
    statements = given.get("Statement") if isinstance(given, dict) else None
    for statement in statements if isinstance(statements, list) else [statements]:
        for member in ("Principal", "NotPrincipal"):
            value = statement.get(member) if isinstance(statement, dict) else None
            if isinstance(value, str) and value != ANYONE:
                place = re.search(rf'"{member}"\s*:\s*"{re.escape(value)}"', text)
                before = text[: text.index('"', place.start() + len(member) + 2) if place is not None else 0]
                raise errors.syntax_error(before.count("\n") + 1, len(before) - before.rfind("\n"))


def _check_resources(statement: dict[str, Any], stream: bool) -> None:
    for resource in _values(statement, "Resource"):
        if resource == ANYONE:
            continue
        arn = arns.parse(resource)
        relative = "" if arn is None else arn.resource
        if stream != ("/stream/" in relative) and "*" not in relative:
            raise errors.invalid_resource(relative, resource)


def _invalid_actions(statement: dict[str, Any], stream: bool) -> Iterator[str]:
    allowed = _STREAM_ACTIONS if stream else _TABLE_ACTIONS
    for action in _values(statement, "Action"):
        service, _, name = action.partition(":")
        matches = matcher(tuple(t for t in parse(name.lower(), variables=False) if not isinstance(t, tuple)))
        if action == ANYONE or (service.lower() == "dynamodb" and any(matches(one.lower()) for one in allowed)):
            continue
        yield action


def _values(statement: Mapping[str, Any], name: str) -> list[str]:
    value = statement.get(name, statement.get(f"Not{name}"))
    return value if isinstance(value, list) else [value]


def _is_unbounded(statement: dict[str, Any]) -> bool:
    if statement["Effect"].lower() != "allow":
        return False
    if "NotPrincipal" not in statement and not _is_anyone(statement["Principal"]):
        return False
    return not any(
        _BOUNDING.fullmatch(operator) and key.lower() in _BOUNDS and all(map(_is_fixed, _listed(values)))
        for operator, keys in statement.get("Condition", {}).items()
        for key, values in keys.items()
    )


def _is_anyone(principal: Any) -> bool:
    if principal == ANYONE:
        return True
    return any(ANYONE in _listed(values) for values in principal.values())


def _is_fixed(value: Any) -> bool:
    return not any(sign in str(value) for sign in ("*", "?", "${"))


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


# The form in which it is shown


def _shown(statement: dict[str, Any]) -> dict[str, Any]:
    found = {name: statement[name] for name in _ORDER if name in statement}
    for name, value in found.items():
        if name == "Effect":
            found[name] = value.capitalize()
        elif name in ("Principal", "NotPrincipal") and isinstance(value, dict):
            found[name] = {section: _principals(section, names) for section, names in value.items()}
        elif name == "Condition":
            found[name] = {
                operator: {key: _single(values) for key, values in keys.items()} for operator, keys in value.items()
            }
        else:
            found[name] = _single(value)
    return found


def _principals(section: str, names: Any) -> Any:
    return _single(list(dict.fromkeys(normal(section, name) for name in _listed(names))))


def _single(value: Any) -> Any:
    """A list of one is shown as its element."""
    return value[0] if isinstance(value, list) and len(value) == 1 else value
