"""Bind a request's expressions to its names and values."""

from __future__ import annotations

from typing import Any

from atoll.expressions import legacy
from atoll.expressions.bind import NAMES, VALUES, Bindings, KeyConditionOf, bindings, check_parameters
from atoll.expressions.condition import Condition
from atoll.expressions.projection import PathProjection
from atoll.expressions.update import Update
from atoll.model.values import AttributeValue

# A condition with more bytes of values than this is prepared in the same thread as the request's checks.
_PREPARED_BYTES = 4_096

CONDITIONS = ("ConditionExpression", "FilterExpression")

_NO_LEGACY: dict[str, Any] = {}


class Parameters:
    """The expression members of an operation's request, and the legacy members that expressions replaced. Both are in
    the order in which the service's error texts name them."""

    def __init__(self, expressions: tuple[str, ...], legacy: tuple[str, ...] = ()) -> None:
        self.expressions = expressions
        self.legacy = legacy
        self.condition = next((name for name in CONDITIONS if name in expressions), None)
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
SEARCH = Parameters(("ProjectionExpression", "SearchConditionExpression"))


class Expressions:
    """The expressions of one request, or the legacy parameters in their place.

    The constructor checks that the parameters go together. `bind` validates names, values and expressions, so an
    operation can check keys before, as DynamoDB does.
    """

    key_condition: KeyConditionOf | None = None
    search: tuple[tuple[str, AttributeValue], ...] | None = None
    update: Update | None = None
    condition: Condition | None = None
    """The condition of a write, or the filter of a read."""
    projection: PathProjection | None = None
    values_size = 0
    """Size of the values in bytes."""

    def __init__(self, body: dict[str, Any], parameters: Parameters) -> None:
        self._is_absent = parameters.all.isdisjoint(body)
        if not self._is_absent:
            self._legacy = parameters.legacy_of(body)
            check_parameters(body, parameters.expressions, parameters.legacy if self._legacy else ())
            self._body = body
            self._bound: Bindings | None = None
            self._parameters = parameters

    def bind(self, *, late: bool = False) -> Expressions:
        """Bind all expressions in the service's order to the names and values, then refuse unused ones. `late`: see
        `Bindings.key_condition`."""
        if self._is_absent:
            return self
        members, condition_member = self._parameters.expressions, self._parameters.condition
        if "KeyConditionExpression" in members:
            self.key_condition = self._key_condition(late)
        if "SearchConditionExpression" in members and (text := self._body.get("SearchConditionExpression")) is not None:
            self.search = self._bindings().search_condition(text)
        if "UpdateExpression" in members:
            self.update = self._update()
        if condition_member is not None:
            self.condition = self._condition(condition_member)
        if "ProjectionExpression" in members:
            self.projection = self._projection()
        if self._bound is not None:
            self._bound.finish()
            self.values_size = self._bound.values_size
        return self

    def _bindings(self) -> Bindings:
        if self._bound is None:
            self._bound = bindings(self._body, takes_values=self._parameters.takes_values)
        return self._bound

    def _key_condition(self, late: bool) -> KeyConditionOf | None:
        text = self._body.get("KeyConditionExpression")
        if text is not None:
            return self._bindings().key_condition(text, late=late)
        conditions = self._legacy.get("KeyConditions")
        return None if conditions is None else legacy.key_condition(conditions)

    def _update(self) -> Update | None:
        text = self._body.get("UpdateExpression")
        if text is not None:
            return self._bindings().update(text)
        updates = self._legacy.get("AttributeUpdates")
        return None if updates is None else legacy.attribute_updates(updates)

    def _condition(self, member: str) -> Condition | None:
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

    def _projection(self) -> PathProjection | None:
        text = self._body.get("ProjectionExpression")
        if text is not None:
            return self._bindings().projection(text)
        names = self._legacy.get("AttributesToGet")
        return None if names is None else legacy.attributes_to_get(names)
