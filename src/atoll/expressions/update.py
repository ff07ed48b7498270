"""Compile updates: each action becomes a path and a closure, which computes the path's new value (None to remove it).

All right-hand sides read the old item, so the order of actions does not matter: `SET a = b, b = a` swaps.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from atoll import limits
from atoll.errors import ApiError
from atoll.errors import expressions as errors
from atoll.errors import values as value_errors
from atoll.expressions import tree
from atoll.expressions.charge import Charge, charge
from atoll.expressions.condition import entered, reads
from atoll.model import numbers, paths, sets
from atoll.model.paths import Path
from atoll.model.values import AttributeValue, Item, value_size

Values = Mapping[str, AttributeValue]
Read = Callable[[Item, Values], AttributeValue | None]
Compute = Read


@dataclass(frozen=True, slots=True)
class Program:
    steps: tuple[tuple[Path, Compute], ...]
    flat: tuple[tuple[str, Compute], ...] | None  # the same steps, if no path is nested
    attributes: frozenset[str]
    entered: frozenset[str]  # top-level names of nested paths in the update or its operands
    reads: int  # the most times that it reads or writes a path
    assigned: Mapping[str, str]  # top-level name -> name of the value that SET, ADD or DELETE applies to it
    charge: Charge


# With more paths than this, an update stops as soon as its values are larger than an item.
_FEW = 4


class _Sizes:
    """Adds up the sizes of an update's new values. Measures each value once, however often it is assigned."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[AttributeValue, int]] = {}
        self._total = 0

    def add(self, value: AttributeValue) -> None:
        known = self._known.get(id(value))
        if known is None:
            known = self._known[id(value)] = value, value_size(value)
        self._total += known[1]
        if self._total > limits.ITEM_BYTES:
            raise value_errors.updated_item_too_large()


@dataclass(slots=True)
class Update:
    is_expression: ClassVar[bool] = True
    program: Program
    values: Values

    @property
    def reads(self) -> int:
        return self.program.reads

    @property
    def attributes(self) -> frozenset[str]:
        """The top-level names that the update touches."""
        return self.program.attributes

    def apply(self, old: Item, *, missing: bool = False) -> Item:
        """The new item. `old` is not modified, but the new item may share parts with it. The caller checks the new
        item's keys, size and nesting. `missing`: there is no old item, so `old` is only its key."""
        if self.program.flat is None:
            return self._apply_nested(old, missing)
        new = dict(old)
        sizes = _Sizes() if len(self.program.flat) > _FEW else None
        for name, compute in self.program.flat:
            value = compute(old, self.values)
            if value is None:
                new.pop(name, None)
            else:
                new[name] = value
                if sizes is not None:
                    sizes.add(value)
        return new

    def _apply_nested(self, old: Item, missing: bool) -> Item:
        assignments, removes = [], []
        sizes = _Sizes() if len(self.program.steps) > _FEW else None
        for path, compute in self.program.steps:
            if missing and compute is _removed:
                continue  # even if its parents are missing, too
            try:
                value = compute(old, self.values)
            except ApiError:
                paths.changed(old, [], [path])  # an invalid path is reported before the error of its value
                raise
            if value is None:
                removes.append(path)
            else:
                assignments.append((path, value))
                if sizes is not None:
                    sizes.add(value)
        return paths.changed(old, assignments, removes)

    def touched(self, item: Item) -> Item:
        """The values at the updated paths: of the old item for UPDATED_OLD, of the new one for UPDATED_NEW."""
        return paths.project(item, [path for path, _ in self.program.steps])


def compile(actions: tuple[tree.Action, ...], values: Values) -> Update:
    """For trees that were not parsed from an expression: legacy parameters, PartiQL."""
    return Update(program(actions), values)


def program(actions: tuple[tree.Action, ...]) -> Program:
    steps = tuple((action.path.path, _compute(action)) for action in actions)
    names = [str(path[0]) for path, _ in steps]
    nested = any(len(path) > 1 for path, _ in steps)
    flat = None if nested else tuple((name, compute) for name, (_, compute) in zip(names, steps, strict=True))
    return Program(steps, flat, frozenset(names), entered(actions), reads(actions), _assigned(actions), charge(actions))


def _assigned(actions: tuple[tree.Action, ...]) -> dict[str, str]:
    found = {}
    for action in actions:
        if isinstance(action, tree.Remove) or len(action.path.path) > 1:
            continue
        if isinstance(action.value, tree.ValueOperand):
            found[str(action.path.path[0])] = action.value.name
    return found


def _compute(action: tree.Action) -> Compute:
    match action:
        case tree.Set(_, value):
            return _value(value)
        case tree.Remove():
            return _removed
        case tree.Add(path, operand):
            return _combination(_sum_or_union, _operand(path), operand.name)
        case tree.Delete(path, operand):
            return _combination(_difference, _operand(path), operand.name)


def _removed(old: Item, values: Values) -> None:
    """The new value at the path of a REMOVE."""


def _operand(operand: tree.Operand) -> Read:
    match operand:
        case tree.PathOperand((str(name),)):
            return lambda item, values: item.get(name)
        case tree.PathOperand(path):
            return lambda item, values: paths.get(item, path)
        case tree.ValueOperand(name):
            return lambda item, values: values[name]
    raise AssertionError(f"{operand} is not an operand of an update")


# Right-hand sides of SET. They always return a value, or raise.


def _value(node: tree.Operand | tree.Arithmetic) -> Read:
    match node:
        case tree.Arithmetic(op, left, right):
            return _arithmetic(numbers.add if op == "+" else numbers.subtract, _value(left), _value(right))
        case tree.Function("if_not_exists", (path, default)):
            return _alternative(_operand(path), _value(default))
        case tree.Function("list_append", (first, second)):
            return _appended(_value(first), _value(second))
        case tree.PathOperand():
            return _present(_operand(node))
        case tree.ValueOperand():
            return _operand(node)
    raise AssertionError(f"{node} is not a value of an update")


def _present(read: Read) -> Read:
    def run(old: Item, values: Values) -> AttributeValue:
        value = read(old, values)
        if value is None:
            raise errors.missing_attribute()
        return value

    return run


def _alternative(read: Read, default: Read) -> Read:
    def run(old: Item, values: Values) -> AttributeValue | None:
        other = default(old, values)  # evaluated first: it must have a value even if unused
        value = read(old, values)
        return other if value is None else value

    return run


def _arithmetic(operation: Callable[[str, str], str], left: Read, right: Read) -> Read:
    def run(old: Item, values: Values) -> AttributeValue:
        return {"N": operation(_content("N", left(old, values)), _content("N", right(old, values)))}

    return run


def _appended(left: Read, right: Read) -> Read:
    def run(old: Item, values: Values) -> AttributeValue:
        return {"L": _content("L", left(old, values)) + _content("L", right(old, values))}

    return run


def _content(type_: str, value: AttributeValue | None) -> Any:
    if value is None or type_ not in value:
        raise errors.wrong_operand()
    return value[type_]


# ADD and DELETE


def _combination(
    combine: Callable[[AttributeValue | None, AttributeValue], AttributeValue | None], read: Read, name: str
) -> Compute:
    return lambda old, values: combine(read(old, values), values[name])


def _sum_or_union(old: AttributeValue | None, operand: AttributeValue) -> AttributeValue:
    if old is None:
        return operand
    [(type_, content)] = operand.items()
    present = _content(type_, old)
    if type_ == "N":
        return {"N": numbers.add(present, content)}
    known = set(present)
    # The members are already sorted, so few are compared: a large set of numbers would take long.
    return {type_: sets.ordered(type_, [*present, *(member for member in content if member not in known)])}


def _difference(old: AttributeValue | None, operand: AttributeValue) -> AttributeValue | None:
    """The old set without the operand's members; None if no member is left, since DynamoDB has no empty sets."""
    if old is None:
        return None
    [(type_, content)] = operand.items()
    unwanted = set(content)
    left = [member for member in _content(type_, old) if member not in unwanted]
    return {type_: left} if left else None
