"""Check operands for the faults that depend on names and values.

The checks take an unresolved tree and raise the first fault. Conditions are checked in text order, operands before
their operators. Updates and projections are checked in DynamoDB's order: all paths, last one first; then all values,
last one first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

from atoll import limits
from atoll.errors import expressions as errors
from atoll.expressions import tree
from atoll.model import paths
from atoll.model.comparison import compare
from atoll.model.paths import Path
from atoll.model.values import AttributeValue

Names = Mapping[str, str]
Values = Mapping[str, AttributeValue]

TYPES = frozenset(["S", "N", "B", "SS", "NS", "BS", "BOOL", "NULL", "L", "M"])
_ORDERED = frozenset(["S", "N", "B"])  # operand types of <, <=, >, >= and BETWEEN
_NUMBER = frozenset(["N"])
_SETS = frozenset(["SS", "NS", "BS"])
_OPERAND_TYPES = {
    "begins_with": frozenset(["S", "B"]),
    "list_append": frozenset(["L"]),
    "size": TYPES - {"N", "BOOL", "NULL"},
}
_OPERAND_COUNTS = {
    "attribute_exists": 1,
    "attribute_not_exists": 1,
    "attribute_type": 2,
    "begins_with": 2,
    "contains": 2,
    "size": 1,
    "if_not_exists": 2,
    "list_append": 2,
}
_REPEATABLE = frozenset(["+", "-", "list_append"])  # a number plus itself, a list appended to itself


def check_condition(parsed: tree.ConditionNode, names: Names, values: Values) -> None:
    _Check(names, values).node(parsed)


def check_update(actions: tuple[tree.Action, ...], names: Names, values: Values) -> None:
    check = _Check(names, values)
    check.distinct_paths([action.path for action in actions])
    for action in reversed(actions):
        if isinstance(action, tree.Set):
            check.node(action.value)
        elif not isinstance(action, tree.Remove):
            section, allowed = ("ADD", _SETS | _NUMBER) if isinstance(action, tree.Add) else ("DELETE", _SETS)
            type_ = check.node(action.value)
            if type_ not in allowed:
                raise errors.section_operand_type(section, str(type_))


def check_projection(parsed: tuple[tree.PathOperand, ...], names: Names, values: Values) -> None:
    _Check(names, values).distinct_paths(parsed)


class _Check:
    def __init__(self, names: Names, values: Values) -> None:
        self.names = names
        self.values = values

    def path(self, operand: tree.PathOperand) -> Path:
        found: list[str | int] = []
        for part in operand.path:
            if isinstance(part, str) and part[0] == "#":
                if part not in self.names:
                    raise errors.undefined_name(part)
                part = self.names[part]
            found.append(part)
        return tuple(found)

    def distinct_paths(self, operands: Iterable[tree.PathOperand]) -> None:
        seen: list[Path] = []
        together = paths.Together()
        for operand in reversed(list(operands)):
            path = self.path(operand)
            if not together.add(path):
                raise _collision(path, seen)
            seen.append(path)

    def node(self, node: Any) -> str | None:
        """Check a node and its descendants. Returns the type of its value, if known without an item."""
        match node:
            case tree.PathOperand():
                self.path(node)
            case tree.ValueOperand(name):
                if name not in self.values:
                    raise errors.undefined_value(name)
                return next(iter(self.values[name]))
            case tree.And(terms) | tree.Or(terms):
                for term in terms:
                    self.node(term)
            case tree.Not(term):
                self.node(term)
            case tree.Compare(op, left, right):
                self.operator(op, (left, right), TYPES if op in ("=", "<>") else _ORDERED)
            case tree.In(operand, choices):
                self.operator("IN", (operand, *choices))
                if len(choices) > limits.EXPRESSION_OPERANDS_IN:
                    raise errors.operands_in(len(choices))
            case tree.Between(operand, low, high):
                self.operator("BETWEEN", (operand, low, high), _ORDERED)
                for content_check in content_checks([node]):
                    content_check(self.values)
            case tree.Arithmetic(op, left, right):
                self.operator(op, (left, right), _NUMBER)
            case tree.Function(name, args):
                types = self.operator(name, args, _OPERAND_TYPES.get(name, TYPES))
                self.function(name, args, types)
                return "N" if name == "size" else None
        return None

    def operator(
        self, name: str, operands: tuple[tree.Operand, ...], allowed: frozenset[str] = TYPES
    ) -> list[str | None]:
        types = list(map(self.node, operands))  # `map` takes no frame of Python's call stack
        if _OPERAND_COUNTS.get(name, len(operands)) != len(operands):
            raise errors.operand_count(name, len(operands))
        for type_ in types:
            if type_ is not None and type_ not in allowed:
                raise errors.operand_type(name, type_)
        if name not in _REPEATABLE:
            self.distinct(name, operands)
        return types

    def function(self, name: str, args: tuple[tree.Operand, ...], types: list[str | None]) -> None:
        if name in ("attribute_exists", "attribute_not_exists", "if_not_exists"):
            if not isinstance(args[0], tree.PathOperand):
                raise errors.path_required(name)
        elif name == "attribute_type":
            if not isinstance(args[1], tree.ValueOperand) or types[1] != "S":
                raise errors.operand_type(name, types[1] or errors.any_type())
            _check_type_name(args[1].name, self.values)

    def distinct(self, name: str, operands: tuple[tree.Operand, ...]) -> None:
        """The guide: "the first operand must be distinct from the remaining operands" (of paths only)."""
        if isinstance(operands[0], tree.PathOperand):
            first = self.path(operands[0])
            if any(isinstance(other, tree.PathOperand) and self.path(other) == first for other in operands[1:]):
                raise errors.not_distinct(name, paths.text(first))


def _collision(path: Path, seen: list[Path]) -> errors.Fault:
    """The fault of a path that overlaps or conflicts with an earlier path."""
    for other in seen:
        if paths.overlap(path, other):
            return errors.paths_overlap(paths.text(path), paths.text(other))
        if paths.conflict(path, other):
            return errors.paths_conflict(paths.text(path), paths.text(other))
    raise AssertionError(f"{path} goes with {seen}")


# Checks that depend on the value, not only on its type


def content_checks(nodes: Iterable[Any]) -> list[Callable[[Values], None]]:
    found: list[Callable[[Values], None]] = []
    for node in nodes:
        match node:
            case tree.Between(_, tree.ValueOperand(low), tree.ValueOperand(high)):
                found.append(partial(_check_bounds, low, high))
            case tree.Function("attribute_type", (_, tree.ValueOperand(name))):
                found.append(partial(_check_type_name, name))
    return found


def _check_bounds(low: str, high: str, values: Values) -> None:
    order = compare(values[low], values[high])
    if order is None:
        raise errors.between_types(values[low], values[high])
    if order > 0:
        raise errors.between_order(values[low], values[high])


def _check_type_name(name: str, values: Values) -> None:
    if values[name]["S"] not in TYPES:
        raise errors.type_name(values[name]["S"])
