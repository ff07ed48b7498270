"""Check that a request has the shape of its operation.

`validator(service, operation)` compiles the operation's shape on first use into a quick test that answers yes or no,
because nearly every request passes. A request that fails is checked again, slowly, in the service's exact order. First
come values of the wrong JSON type; leniently readable ones ("true", 1.5 for an integer, null members) are corrected in
the body. Then all violated constraints are reported together, ten at most. The tables below list every exception of an
operation to these rules.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from functools import cache, lru_cache, partial
from itertools import islice
from typing import Any

from atoll import arns, errors, limits
from atoll.api import json_types
from atoll.api.json_types import java_text, lower_first
from atoll.api.large import LargeBody
from atoll.api.service_model import LONG_CHARS, NAME_PATTERN, Shape, model
from atoll.errors import requests as request_errors
from atoll.errors import values as value_errors
from atoll.model import values

Body = dict[str, Any]
Test = Callable[[Any], bool]

_DICT: frozenset[Any] = frozenset([dict])
_BODIES: frozenset[Any] = _DICT | {LargeBody}

VIOLATIONS_REPORTED = 10

# A list or map with more members than this, and more than its operation takes, is refused before its members are
# checked.
OVERLONG = 1_000

KNOWN_CHARS = 1_024
"""Longer texts are checked each time, since a cache would hold their memory."""

# Parameters whose absence (or emptiness) is reported alone and first, not as a violation.
REQUIRED: dict[str, tuple[str, Callable[[], errors.ApiError]]] = {
    **{
        operation: ("TableName", partial(request_errors.parameter_required, "TableName"))
        for operation in ("CreateTable", "UpdateTable", "DeleteTable", "DescribeTable", "DescribeTimeToLive")
    },
    **{
        operation: ("RequestItems", partial(request_errors.request_items_required, operation))
        for operation in ("BatchGetItem", "BatchWriteItem")
    },
    **dict.fromkeys(
        ("TagResource", "UntagResource", "ListTagsOfResource"), ("ResourceArn", request_errors.invalid_table_arn)
    ),
}

# Members whose first violation is reported alone, before the violations of other members.
ALONE = "TableName"

# Operations that report all violations of a table's name. The others report the first one.
ALL_OF_NAME = frozenset({"DescribeTable", "DeleteTable", "DescribeTimeToLive"})

# Texts since 2026 for a value outside a member's enum, with the service's own mistakes: they neither name the member
# nor show the value.
UNLISTED = {
    "ReturnValues": request_errors.unlisted("ALL_OLD", "UPDATED_OLD", "ALL_NEW", "UPDATE_NEW", "NONE"),
    "ConditionalOperator": request_errors.unlisted("ALL", "OR"),
}
CURRENT = frozenset({"GetItem", "PutItem", "UpdateItem", "DeleteItem", "Query", "BatchGetItem"})


def _batch_get(body: Body) -> None:
    if sum(len(table["Keys"]) for table in body["RequestItems"].values()) > limits.BATCH_GET_KEYS:
        raise request_errors.too_many_items("BatchGetItem")


def _batch_write(body: Body) -> None:
    tables = body["RequestItems"].values()
    if any(len(request.keys() & {"PutRequest", "DeleteRequest"}) != 1 for table in tables for request in table):
        raise value_errors.many_types()  # the service's text says "values" here but means requests
    if sum(map(len, tables)) > limits.BATCH_WRITE_ITEMS:
        raise request_errors.too_many_items("BatchWriteItem")


def _transact_write(body: Body) -> None:
    kinds = {"ConditionCheck", "Put", "Update", "Delete"}
    if any(len(item.keys() & kinds) != 1 for item in body["TransactItems"]):
        raise request_errors.transact_item_has_not_one_kind()


# Rules between members, checked after the constraints of each member.
RULES: dict[str, Callable[[Body], None]] = {
    "BatchGetItem": _batch_get,
    "BatchWriteItem": _batch_write,
    "TransactWriteItems": _transact_write,
}


@cache
def validator(service: str, operation: str) -> Callable[[Body], None]:
    """A function that checks this operation's requests and raises the service's error. `service` is the name of
    botocore's model (dynamodb, dynamodbstreams, application-autoscaling, ...)."""
    shape = model(service).input(operation)
    passes = _test_structure(shape, _BODIES)
    rule = RULES.get(operation)

    def check(body: Body) -> None:
        if not passes(body):
            _explain(shape, operation, body)
        if rule is not None:
            rule(body)

    return check


def _explain(shape: Shape, operation: str, body: Body) -> None:
    """Raise the error of a body that failed the quick test; return if the body only needed corrections."""
    if not _has_overlong(shape, body):
        json_types.settle(shape, body)
    if operation == "UpdateItem" and body.get("Key") is None:
        raise request_errors.violations(_violations_without_key(shape, body))
    if operation in REQUIRED and REQUIRED[operation][0] in shape.members:
        member, error = REQUIRED[operation]
        if not body.get(member) and body.get(member) != "":
            raise _reworded(error(), operation, None if body.get(member) is None else _empty(member))
    if ALONE in shape.members:
        _check_arn(body.get(ALONE))
        found = list(islice(_of_member(shape, ALONE, body, ""), None if operation in ALL_OF_NAME else 1))
        if found:
            raise _reworded(
                request_errors.violations(found), operation, _empty(ALONE) if body.get(ALONE) == "" else None
            )
    found = list(islice(_violations(shape, body, ""), VIOLATIONS_REPORTED))
    if found:
        newer = _newer(shape, operation, body) if operation in CURRENT and not is_in_older_form(body) else None
        raise _reworded(request_errors.violations(found), operation, newer)


def _violations_without_key(shape: Shape, body: Body) -> list[str]:
    """The violations of an UpdateItem without Key, in the older form: all of each member, but only the first of the
    table's name."""
    found: list[str] = []
    for name in shape.members:
        found += islice(_of_member(shape, name, body, ""), 1 if name == ALONE else VIOLATIONS_REPORTED)
    return found[:VIOLATIONS_REPORTED]


# A write with deeper nesting than this still gets the error texts from before 2026.
_OLDER_LEVELS = 62


def is_in_older_form(body: Body) -> bool:
    """Whether a value of the request is nested so deeply that errors about its members have their form from before
    2026."""
    parts = [body.get(name) for name in ("Item", "Key", "ExpressionAttributeValues")]
    for name in ("Expected", "AttributeUpdates"):
        named = body.get(name)
        parts += [{"": member.get("Value")} for member in _members(named) if type(member) is dict]
    # A member that the operation does not have is ignored, so it may be of any type.
    return any(values.levels(part, _OLDER_LEVELS) > _OLDER_LEVELS for part in parts if type(part) is dict)


def _members(value: Any) -> Iterable[Any]:
    return value.values() if type(value) is dict else ()


def _reworded(error: errors.ApiError, operation: str, newer: str | None) -> errors.ApiError:
    if operation in CURRENT:
        error.newer = newer
    return error


def _empty(member: str) -> str:
    """The text since 2026 for a member that is empty."""
    text = request_errors.violation_without_value(member, request_errors.length_at_least(1))
    return f"{errors.ENVELOPE}{text}"


def _newer(shape: Shape, operation: str, body: Body) -> str | None:
    """The text since 2026 for a body with violations. ReturnValues come after ReturnConsumedCapacity. UpdateItem
    reports only one violation: that of ReturnValues, or else the first. Query reports its ConditionalOperator alone,
    without the envelope."""
    found: list[str] = []
    names = [name for name in shape.members if name != "ReturnValues"]
    if "ReturnValues" in shape.members:
        names.insert(names.index("ReturnConsumedCapacity") + 1, "ReturnValues")
    for name in names:
        violations = list(islice(_of_member(shape, name, body, ""), VIOLATIONS_REPORTED))
        if name == "RequestItems":
            violations = [_in_json(shape.members[name], body[name], text) for text in violations]
        if violations and name in UNLISTED:
            if operation == "Query":
                return UNLISTED[name]
            violations = [UNLISTED[name]]
            if operation == "UpdateItem" and name == "ReturnValues":
                found = []
        found += violations
        if found and operation == "UpdateItem" and name == "ReturnValues":
            break
    return request_errors.violations(found[: 1 if operation == "UpdateItem" else VIOLATIONS_REPORTED]).message


def _in_json(shape: Shape, value: Any, violation: str) -> str:
    """A violation that quotes the map of a BatchGetItem as JSON instead."""
    if " at 'requestItems' " not in violation:
        return violation
    return violation.replace(java_text(shape, value), json_types.json_text(value))


def _check_arn(name: Any) -> None:
    """Refuse an ARN of another resource in the place of a table's name."""
    arn = arns.parse(name) if isinstance(name, str) else None
    if arn is not None and arn.service == "dynamodb" and not arn.resource.startswith("table/"):
        raise request_errors.invalid_arn("resource type", name)


# The quick test


def _test(shape: Shape) -> Test:
    if shape.is_value:
        return lambda value: type(value) is dict
    if shape.kind == "structure":
        return _test_structure(shape, _DICT)
    holds = [constraint.holds for constraint in shape.constraints]
    if shape.kind == "list":
        assert shape.item is not None
        return _test_list(_test(shape.item), holds)
    if shape.kind == "map":
        assert shape.item is not None and shape.key is not None
        if shape.item.is_value and not holds:
            return lambda value: type(value) is dict
        return _test_map(_test(shape.key), _test(shape.item), holds)
    return _test_scalar(shape)


def _test_structure(shape: Shape, types: frozenset[Any]) -> Test:
    member_test = {name: _test(member) for name, member in shape.members.items()}.get
    required = tuple(shape.required)

    def passes(value: Any) -> bool:
        if type(value) not in types:
            return False
        for name in required:
            if name not in value:
                return False
        for name, member in value.items():
            test = member_test(name)
            if test is not None and not test(member):
                return False
        return True

    return passes


def _test_list(item: Test, holds: list[Test]) -> Test:
    return lambda value: type(value) is list and all(h(value) for h in holds) and all(map(item, value))


def _test_map(key: Test, item: Test, holds: list[Test]) -> Test:
    return lambda value: (
        type(value) is dict and all(h(value) for h in holds) and all(map(key, value)) and all(map(item, value.values()))
    )


def _test_scalar(shape: Shape) -> Test:
    kinds = json_types.PYTHON[shape.kind]
    holds = [constraint.holds for constraint in shape.constraints]
    bound = json_types.BOUNDS.get(shape.kind)
    if bound is not None:
        holds.append(lambda value: -bound <= value < bound)
    if not holds and len(kinds) == 1:
        kind = kinds[0]
        return lambda value: type(value) is kind
    if len(holds) == 1:
        test = holds[0]
    else:

        def test(value: Any) -> bool:
            return all(h(value) for h in holds)

    if any(constraint.kind == "pattern" for constraint in shape.constraints):
        # Cache the results: most requests name the same few tables and indexes.
        known = lru_cache(1024)(test)
        return lambda value: type(value) in kinds and (known(value) if len(value) <= KNOWN_CHARS else test(value))
    return lambda value: type(value) in kinds and test(value)


# The exact report


def _is_overlong(shape: Shape, value: Any) -> bool:
    """Whether a list or map has far too many members to check each."""
    return (
        type(value) in (list, dict)
        and len(value) > OVERLONG
        and any(constraint.kind == "max" and not constraint.holds(value) for constraint in shape.constraints)
    )


def _has_overlong(shape: Shape, value: Any) -> bool:
    if shape.kind == "structure":
        if type(value) is dict or type(value) is LargeBody:
            return any(_has_overlong(member, value[name]) for name, member in shape.members.items() if name in value)
    elif shape.kind in ("list", "map") and not shape.is_value:
        if _is_overlong(shape, value):
            return True
        item = shape.item
        if item is not None and not item.is_value and not item.is_scalar:
            if shape.kind == "list" and type(value) is list:
                return any(_has_overlong(item, member) for member in value)
            if shape.kind == "map" and type(value) is dict:
                return any(_has_overlong(item, member) for member in value.values())
    return False


def _violations(shape: Shape, value: Any, path: str) -> Iterator[str]:
    """All constraint violations of a value with correct JSON types, in the service's order."""
    for constraint in shape.constraints:
        if not constraint.holds(value):
            if constraint.bare:
                yield request_errors.violation_without_value(_as_requested(path), constraint.text)
            else:
                yield request_errors.violation(java_text(shape, value), path, constraint.text)
    if not _is_overlong(shape, value):
        yield from _inside(shape, value, path)


def _inside(shape: Shape, value: Any, path: str) -> Iterator[str]:
    if shape.is_value:
        return
    if shape.kind == "structure":
        for name in shape.members:
            yield from _of_member(shape, name, value, path)
    elif shape.kind == "list":
        yield from _of_list(shape, value, path)
    elif shape.kind == "map":
        yield from _of_map(shape, value, path)


def _of_member(shape: Shape, name: str, value: Body, path: str) -> Iterator[str]:
    path = f"{path}.{lower_first(name)}" if path else lower_first(name)
    if value.get(name) is not None:
        yield from _violations(shape.members[name], value[name], path)
    elif name in shape.required:
        yield request_errors.violation(None, path, request_errors.not_null())


def _of_list(shape: Shape, value: list[Any], path: str) -> Iterator[str]:
    assert shape.item is not None
    if None in value:
        yield request_errors.violation(java_text(shape, value), path, request_errors.not_null())
    elif shape.item.is_scalar:
        yield from _of_each("Member", shape, value, shape.item, value, path)
    else:
        for position, item in enumerate(value, 1):
            yield from _violations(shape.item, item, f"{path}.{position}.member")


def _of_map(shape: Shape, value: Body, path: str) -> Iterator[str]:
    assert shape.item is not None and shape.key is not None
    yield from _of_each("Map keys", shape, value, shape.key, value, path)
    if shape.item.is_value:
        return
    if None in value.values():
        yield request_errors.violation(
            java_text(shape, value), path, request_errors.each("Map value", [request_errors.not_null()])
        )
        return
    yield from _of_each("Map value", shape, value, shape.item, value.values(), path)
    if any(_is_overlong(shape.item, item) for item in value.values()):
        return
    for key, item in value.items():
        yield from _inside(shape.item, item, f"{path}.{key}.member")


def _of_each(what: str, whole: Shape, value: Any, part: Shape, parts: Iterable[Any], path: str) -> Iterator[str]:
    """Violations by a collection's elements, reported once for the whole collection. The text lists all constraints of
    an element: the upper bound first, then the lower, then the pattern."""
    if not all(constraint.holds(p) for p in parts for constraint in part.constraints):
        quoted = [c.text for c in sorted(part.constraints, key=lambda c: c.kind) if c.kind != "empty"]
        yield request_errors.violation(java_text(whole, value), path, request_errors.each(what, quoted))


def _as_requested(path: str) -> str:
    """Capitalize a path's members: requestItems.T.member.keys -> RequestItems.T.member.Keys"""
    return re.sub(r"(^|\.member\.)([a-z])", lambda found: found[1] + found[2].upper(), path)


# Table names


@lru_cache(1024)
def table_name(value: str) -> tuple[str, str | None, str | None]:
    """Name, region and account of a table given by its name or ARN. For members that the model does not type as table
    names; the validator checks the others."""
    if (arn := arns.parse_table(value)) is not None:
        return arn.table, arn.region, arn.account
    if len(value) > LONG_CHARS or re.fullmatch(NAME_PATTERN, value) is None:
        raise request_errors.violations(
            [request_errors.violation(value, "tableName", request_errors.matches(NAME_PATTERN))]
        )
    return value, None, None
