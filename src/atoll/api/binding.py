"""Bind a request's expressions to its names and values, and resolve the name of its table."""

from __future__ import annotations

from typing import Any

from atoll.api.shapes import table_name as parse_table_name
from atoll.database.region import Region
from atoll.errors import requests as request_errors
from atoll.expressions import legacy
from atoll.expressions.bind import NAMES, VALUES, Bindings, KeyConditionOf, bindings, check_parameters
from atoll.expressions.condition import Condition
from atoll.expressions.projection import PathProjection
from atoll.expressions.update import Update


def table_name(region: Region, body: dict[str, Any]) -> str:
    return resolve_table(region, body["TableName"])


def resolve_table(region: Region, given: str) -> str:
    """The table's name; a request may give its ARN instead, which must be of this partition, region and account."""
    if ":" not in given:
        return given
    name, where, account = parse_table_name(given)
    if not given.startswith("arn:aws:"):
        raise request_errors.invalid_arn("AWS partition", given)
    if where != region.name:
        raise request_errors.invalid_arn("AWS region", given)
    if account != region.settings.account:
        raise request_errors.foreign_table(given)
    return name


# A condition with more bytes of values is prepared with the checks of its request: both take long.
_PREPARED_BYTES = 4_096

_NO_LEGACY: dict[str, Any] = {}


class Parameters:
    """The expression members of an operation's request, and the legacy members that they replaced. Both are in the
    order in which the service's error texts name them."""

    def __init__(self, expressions: tuple[str, ...], legacy: tuple[str, ...] = ()) -> None:
        self.expressions = expressions
        self.legacy = legacy
        self.takes_values = any(name != "ProjectionExpression" for name in expressions)
        self._legacy = frozenset(legacy)
        self.all = frozenset((*expressions, *legacy, NAMES, VALUES))

    def legacy_of(self, body: dict[str, Any]) -> dict[str, Any]:
        if self._legacy.isdisjoint(body):
            return _NO_LEGACY
        return {member: value for member, value in body.items() if member in self._legacy}


GET = Parameters(("ProjectionExpression",), ("AttributesToGet",))
WRITE = Parameters(("ConditionExpression",), ("Expected", "ConditionalOperator"))
UPDATE = Parameters(
    ("UpdateExpression", "ConditionExpression"), ("AttributeUpdates", "Expected", "ConditionalOperator")
)
QUERY = Parameters(
    ("ProjectionExpression", "FilterExpression", "KeyConditionExpression"),
    ("AttributesToGet", "QueryFilter", "ConditionalOperator", "KeyConditions"),
)
SCAN = Parameters(
    ("ProjectionExpression", "FilterExpression"), ("AttributesToGet", "ScanFilter", "ConditionalOperator")
)


class Expressions:
    """The expressions of one request, bound to its names and values.

    The constructor checks that the parameters go together. Names, values and expressions are validated on first use, so
    operations can check keys first, as DynamoDB does. An operation reads its expressions in the service's order, then
    calls `finish`, which refuses unused names and values.
    """

    _legacy: dict[str, Any]
    __slots__ = ("_body", "_bound", "_legacy", "_takes_values")

    def __init__(self, body: dict[str, Any], parameters: Parameters) -> None:
        self._body = body
        self._bound: Bindings | None = None
        self._takes_values = parameters.takes_values
        if parameters.all.isdisjoint(body):
            self._legacy = _NO_LEGACY
            return
        check_parameters(body, parameters.expressions, parameters.legacy)
        self._legacy = parameters.legacy_of(body)

    def _bindings(self) -> Bindings:
        if self._bound is None:
            self._bound = bindings(self._body, takes_values=self._takes_values)
        return self._bound

    @property
    def values_size(self) -> int:
        """Size of the values in bytes, valid after the expressions were read."""
        return 0 if self._bound is None else self._bound.values_size

    def condition(self, member: str = "ConditionExpression") -> Condition | None:
        text = self._body.get(member)
        if text is not None:
            bound = self._bindings()
            condition = bound.condition(text, member)
            if bound.values_size > _PREPARED_BYTES:
                condition.prepare_once()
            return condition
        given = self._legacy
        if not given:
            return None
        if member == "ConditionExpression":
            return legacy.expected(given.get("Expected"), given.get("ConditionalOperator"))
        return legacy.filter(given.get("QueryFilter") or given.get("ScanFilter"), given.get("ConditionalOperator"))

    def projection(self) -> PathProjection | None:
        text = self._body.get("ProjectionExpression")
        if text is not None:
            return self._bindings().projection(text)
        names = self._legacy.get("AttributesToGet")
        return None if names is None else legacy.attributes_to_get(names)

    def update(self) -> Update | None:
        text = self._body.get("UpdateExpression")
        if text is not None:
            return self._bindings().update(text)
        updates = self._legacy.get("AttributeUpdates")
        return None if updates is None else legacy.attribute_updates(updates)

    def key_condition(self, *, late: bool = False) -> KeyConditionOf | None:
        """`late`: see `Bindings.key_condition`."""
        text = self._body.get("KeyConditionExpression")
        if text is not None:
            return self._bindings().key_condition(text, late=late)
        conditions = self._legacy.get("KeyConditions")
        return None if conditions is None else legacy.key_condition(conditions)

    def finish(self) -> None:
        if self._bound is not None:
            self._bound.finish()
