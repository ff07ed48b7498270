"""Compile conditions: a resolved tree becomes a closure over (item, values), compiled once and run with any values.

If an operand is missing or of another type, `=`, orderings, BETWEEN, IN, begins_with and contains are false. `<>` is
always the negation of `=`. An item that does not exist is {}.
"""

from __future__ import annotations

from binascii import a2b_base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from atoll.expressions import tree
from atoll.model import paths
from atoll.model.values import AttributeValue, Item, compare, equal

Values = Mapping[str, AttributeValue]
Test = Callable[[Item, Values], bool]
Read = Callable[[Item, Values], AttributeValue | None]


@dataclass(slots=True)
class Condition:
    test: Test
    values: Values
    attributes: frozenset[str]  # top-level names that the condition reads
    entered: frozenset[str]  # those of them with nested paths

    def matches(self, item: Item) -> bool:
        return self.test(item, self.values)


@dataclass(slots=True)
class Program:
    test: Test
    attributes: frozenset[str]
    entered: frozenset[str]

    def with_values(self, values: Values) -> Condition:
        return Condition(self.test, values, self.attributes, self.entered)


def compile(resolved: tree.ConditionNode, values: Values) -> Condition:
    """For trees that were not parsed from an expression: legacy parameters, PartiQL."""
    return program(resolved).with_values(values)


def program(resolved: tree.ConditionNode) -> Program:
    return Program(_test(resolved), attributes(resolved), entered(resolved))


def attributes(resolved: object) -> frozenset[str]:
    return frozenset(str(node.path[0]) for node in tree.walk(resolved) if isinstance(node, tree.PathOperand))


def entered(resolved: object) -> frozenset[str]:
    """The top-level names of nested paths."""
    paths = (node.path for node in tree.walk(resolved) if isinstance(node, tree.PathOperand))
    return frozenset(str(path[0]) for path in paths if len(path) > 1)


def _test(node: tree.ConditionNode) -> Test:
    match node:
        case tree.And(terms):
            return _all([_test(term) for term in terms])
        case tree.Or(terms):
            return _any([_test(term) for term in terms])
        case tree.Not(term):
            return _negation(_test(term))
        case tree.Compare("=", left, right):
            return _equality(compile_operand(left), compile_operand(right))
        case tree.Compare("<>", left, right):
            return _negation(_equality(compile_operand(left), compile_operand(right)))
        case tree.Compare(op, left, right):
            return _ordering(_ORDERINGS[op], compile_operand(left), compile_operand(right))
        case tree.Between(operand, low, high):
            read = compile_operand(operand)
            above, below = _ORDERINGS[">="], _ORDERINGS["<="]
            return _all([_ordering(above, read, compile_operand(low)), _ordering(below, read, compile_operand(high))])
        case tree.In(operand, choices):
            read = compile_operand(operand)
            return _any([_equality(read, compile_operand(choice)) for choice in choices])
        case tree.Function(name, args):
            return _function(name, args)


def compile_operand(operand: tree.Operand) -> Read:
    match operand:
        case tree.PathOperand((str(name),)):
            return lambda item, values: item.get(name)
        case tree.PathOperand(path):
            return lambda item, values: paths.get(item, path)
        case tree.ValueOperand(name):
            return lambda item, values: values[name]
        case tree.Function("size", (arg,)):
            read = compile_operand(arg)
            return lambda item, values: _size(read(item, values))
    raise AssertionError(f"{operand} is no operand of a condition")


# Operators

_ORDERINGS: dict[str, Callable[[int], bool]] = {
    "<": lambda order: order < 0,
    "<=": lambda order: order <= 0,
    ">": lambda order: order > 0,
    ">=": lambda order: order >= 0,
}


def _all(tests: list[Test]) -> Test:
    def run(item: Item, values: Values) -> bool:
        for test in tests:  # noqa: SIM110 - `all` over a generator costs twice as much
            if not test(item, values):
                return False
        return True

    return run


def _any(tests: list[Test]) -> Test:
    def run(item: Item, values: Values) -> bool:
        for test in tests:  # noqa: SIM110
            if test(item, values):
                return True
        return False

    return run


def _negation(test: Test) -> Test:
    return lambda item, values: not test(item, values)


def _equality(left: Read, right: Read) -> Test:
    def run(item: Item, values: Values) -> bool:
        a = left(item, values)
        if a is None:
            return False
        b = right(item, values)
        return b is not None and equal(a, b)

    return run


def _ordering(holds: Callable[[int], bool], left: Read, right: Read) -> Test:
    def run(item: Item, values: Values) -> bool:
        a, b = left(item, values), right(item, values)
        if a is None or b is None:
            return False
        order = compare(a, b)
        return order is not None and holds(order)

    return run


# Functions


def _function(name: str, args: tuple[tree.Operand, ...]) -> Test:
    if name in ("attribute_exists", "attribute_not_exists"):
        return _existence(args[0], name == "attribute_exists")
    first, second = compile_operand(args[0]), compile_operand(args[1])
    holds = {"attribute_type": _is_of_type, "begins_with": _begins_with, "contains": _contains}[name]

    def run(item: Item, values: Values) -> bool:
        a, b = first(item, values), second(item, values)
        return a is not None and b is not None and holds(a, b)

    return run


def _existence(operand: tree.Operand, expected: bool) -> Test:
    match operand:
        case tree.PathOperand((str(name),)) if expected:
            return lambda item, values: name in item
        case tree.PathOperand((str(name),)):
            return lambda item, values: name not in item
    read = compile_operand(operand)
    return lambda item, values: (read(item, values) is not None) == expected


def _is_of_type(value: AttributeValue, type_: AttributeValue) -> bool:
    return type_["S"] in value


def _begins_with(value: AttributeValue, prefix: AttributeValue) -> bool:
    match value, prefix:
        case {"S": text}, {"S": start}:
            return bool(text.startswith(start))
        case {"B": data}, {"B": start}:
            return a2b_base64(data).startswith(a2b_base64(start))
    return False


def _contains(container: AttributeValue, part: AttributeValue) -> bool:
    match container, part:
        case ({"S": whole}, {"S": element}) | ({"SS": whole}, {"S": element}):
            return element in whole
        case ({"NS": whole}, {"N": element}) | ({"BS": whole}, {"B": element}):
            return element in whole
        case {"B": data}, {"B": element}:
            return a2b_base64(element) in a2b_base64(data)
        case {"L": members}, _:
            return any(equal(member, part) for member in members)
    return False


def _size(value: AttributeValue | None) -> AttributeValue | None:
    """Strings count UTF-16 units, binary counts bytes, collections count members; other types have no size."""
    if value is None:
        return None
    [(type_, content)] = value.items()
    match type_:
        case "S":
            return {"N": str(len(content) if content.isascii() else len(content.encode("utf-16-le")) // 2)}
        case "B":
            return {"N": str(len(a2b_base64(content)))}
        case "SS" | "NS" | "BS" | "L" | "M":
            return {"N": str(len(content))}
    return None
