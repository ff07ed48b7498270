"""Bind the expressions of one request to its ExpressionAttributeNames and ExpressionAttributeValues.

    text --parse--> tree --names, values--> checked --names--> program --values--> Condition, Update, ...

Each text is parsed once, then checked and compiled once for each set of names and value types. So the usual request
costs two cache look-ups: one by text, one by names and types.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache, partial
from typing import Any, Protocol

from atoll import limits
from atoll.errors import ApiError
from atoll.errors import expressions as errors
from atoll.errors import values as value_errors
from atoll.expressions import condition, keyrange, operands, parser, projection, search, tree, update
from atoll.expressions.condition import Condition
from atoll.expressions.keyrange import KeyCondition, NameType
from atoll.expressions.projection import PathProjection
from atoll.expressions.update import Update
from atoll.model import values as model
from atoll.model.values import AttributeValue

NAMES = "ExpressionAttributeNames"
VALUES = "ExpressionAttributeValues"


class KeyConditionOf(Protocol):
    """Resolves a key condition against the partition and sort key of a table, or of the named index."""

    def __call__(
        self, partition: Sequence[NameType], sort: Sequence[NameType], index: str | None = None
    ) -> KeyCondition: ...


_is_name_key = re.compile(r"#[A-Za-z0-9_]+").fullmatch
_is_value_key = re.compile(r":[A-Za-z0-9_]+").fullmatch
_NOTHING: dict[str, Any] = {}
_NO_NAMES: frozenset[str] = frozenset()
_UNDEFINED: dict[str, Any] = {"": None}  # placeholder for an undefined value: its type is ""
_TEXTS = 4096
_PROGRAMS_OF_TEXT = 64


def check_parameters(request: Mapping[str, Any], expressions: Sequence[str], legacy: Sequence[str] = ()) -> None:
    """Reject parameters that exclude each other. Both lists are in the order in which DynamoDB's messages name them."""
    given = [parameter for parameter in expressions if request.get(parameter) is not None]
    names, values = request.get(NAMES), request.get(VALUES)
    if given and legacy:
        mixed = [parameter for parameter in legacy if request.get(parameter) is not None]
        if "KeyConditionExpression" not in given and "KeyConditions" in mixed:
            mixed.remove("KeyConditions")  # KeyConditions may accompany a FilterExpression
        if mixed:
            raise errors.mixed_parameters(mixed, given)
    if names is not None and not given:
        raise errors.names_without_expression()
    if values is not None and (not given or given == ["ProjectionExpression"]):
        takers = [parameter for parameter in expressions if parameter != "ProjectionExpression"]
        if takers:
            raise errors.values_without_expression(takers)


def bindings(request: Mapping[str, Any], *, takes_values: bool = True) -> Bindings:
    """The bindings of a request. Validates its values and makes them canonical. An operation that takes no values
    ignores them, like any unknown member."""
    values = request.get(VALUES) if takes_values else None
    bound = Bindings(request.get(NAMES), values)
    if values is not None:
        bound.values_size = _checked_size(values)
    return bound


def _checked_size(values: dict[str, AttributeValue]) -> int:
    size = 0
    for key, value in values.items():
        try:
            size += model.check_value(value)
        except ApiError as error:
            if error.code != "ValidationException":
                raise
            raise errors.map_value(VALUES, key, error) from None
    if size > limits.EXPRESSION_VARIABLES_BYTES:
        raise errors.map_too_large(VALUES)
    return size


class Bindings:
    """Binds all expressions of one request; `finish` then rejects unused names and values."""

    __slots__ = ("_late", "_names", "_used", "_values", "values_size")

    def __init__(self, names: dict[str, str] | None, values: dict[str, AttributeValue] | None) -> None:
        """`values` must be canonical."""
        if names is not None:
            _check_keys(NAMES, names, _is_name_key)
            if "" in names.values():
                raise errors.map_name(NAMES, next(key for key in names if not names[key]), value_errors.empty_name())
        if values is not None:
            _check_keys(VALUES, values, _is_value_key)
        self._names = _NOTHING if names is None else names
        self._values = _NOTHING if values is None else values
        self._used: list[_Expression] = []
        self._late: ApiError | None = None
        self.values_size = 0

    def condition(self, text: str, kind: str = "ConditionExpression") -> Condition:
        """`kind` is the request parameter: FilterExpression or ConditionExpression."""
        found: condition.Program = self._program(_CONDITION, text, kind)
        return found.with_values(self._values)

    def projection(self, text: str) -> PathProjection:
        found: PathProjection = self._program(_PROJECTION, text, "ProjectionExpression")
        return found

    def update(self, text: str) -> Update:
        return Update(self._program(_UPDATE, text, "UpdateExpression"), self._values)

    def key_condition(self, text: str, *, late: bool = False) -> KeyConditionOf:
        """A function that resolves the condition once the table is known. Its arguments are the names and types of the
        partition and sort attributes, in order. `late`: only `finish` reports a text that is no key condition."""
        found: keyrange.Conditions
        try:
            found = self._program(_KEY_CONDITION, text, "KeyConditionExpression")
        except errors.KeyConditionFault as fault:
            if not late:
                raise
            self._used.append(_expression(_KEY_CONDITION, text))
            self._late, found = fault, {}
        return partial(keyrange.key_condition, found, self._values)

    def search_condition(self, text: str) -> tuple[tuple[str, AttributeValue], ...]:
        """The attributes that a vector search compares, each with its value."""
        found: search.Conditions = self._program(_SEARCH, text, "SearchConditionExpression")
        return tuple([(name, self._values[value]) for name, value in found])

    def finish(self) -> None:
        """Reject names and values that no expression used. Call it after binding all expressions of the request."""
        used = self._used
        if len(used) == 1:
            names, values = used[0].names, used[0].values
        else:
            names = _NO_NAMES.union(*[expression.names for expression in used])
            values = _NO_NAMES.union(*[expression.values for expression in used])
        if not names.issuperset(self._names):
            raise errors.unused(NAMES, (name for name in self._names if name not in names))
        if not values.issuperset(self._values):
            raise errors.unused(VALUES, (name for name in self._values if name not in values))
        if self._late is not None:
            raise self._late

    def _program(self, language: _Language, text: str, kind: str) -> Any:
        try:
            expression = _expression(language, text)
            program = expression.program(self._names, self._values)
        except errors.Fault as fault:
            raise errors.invalid(kind, fault) from None
        self._used.append(expression)
        return program


def _check_keys(parameter: str, keys: Mapping[str, Any], is_valid: Callable[[str], object]) -> None:
    if not keys:
        raise errors.empty_map(parameter)
    for key in keys:
        if not is_valid(key):
            raise errors.map_key(parameter, key)


class _Language:
    """The three steps that turn a text into a program: parse, check, compile."""

    def __init__(
        self,
        parse: Callable[[str], Any],
        check: Callable[[Any, operands.Names, operands.Values], None],
        compile: Callable[[Any], Any],
    ) -> None:
        self.parse = parse
        self.check = check
        self.compile = compile


_CONDITION = _Language(parser.condition, operands.check_condition, condition.program)
_KEY_CONDITION = _Language(parser.condition, operands.check_condition, keyrange.conditions)
_SEARCH = _Language(parser.condition, operands.check_condition, search.conditions)
_UPDATE = _Language(parser.update, operands.check_update, update.program)
_PROJECTION = _Language(parser.projection, operands.check_projection, projection.program)


class _Expression:
    """A parsed text with its programs."""

    def __init__(self, language: _Language, text: str) -> None:
        self._language = language
        self._tree = language.parse(text)
        self._programs: dict[tuple[str | None, ...], Any] = {}
        nodes = list(tree.walk(self._tree))
        paths = [node.path for node in nodes if isinstance(node, tree.PathOperand)]
        self.names = frozenset(part for path in paths for part in path if isinstance(part, str) and part[0] == "#")
        self.values = frozenset(node.name for node in nodes if isinstance(node, tree.ValueOperand))
        self._key_names = tuple(self.names)
        self._key_values = tuple(self.values)
        self._content_checks = operands.content_checks(nodes)

    def program(self, names: operands.Names, values: operands.Values) -> Any:
        """Compile for these names and values, or raise the first fault that they cause."""
        types = [next(iter(values.get(name, _UNDEFINED))) for name in self._key_values]
        key = (*map(names.get, self._key_names), *types)
        program = self._programs.get(key)
        if program is None:
            self._language.check(self._tree, names, values)
            program = self._language.compile(tree.resolve(self._tree, names))
            if len(self._programs) >= _PROGRAMS_OF_TEXT:
                self._programs.clear()
            self._programs[key] = program
        for check in self._content_checks:
            check(values)
        return program


_expression = lru_cache(_TEXTS)(_Expression)
