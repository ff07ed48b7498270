"""Conditions as programs, in two steps: compiled once from a resolved tree, then bound to the values of each request.

Binding parses the request's constants once (constants.py), before the condition runs on each item of a page. If an
operand is missing or of another type, `=`, orderings, BETWEEN, IN, begins_with and contains are false. `<>` is always
the negation of `=`. An item that does not exist is {}.
"""

from __future__ import annotations

from binascii import a2b_base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from operator import itemgetter

from atoll.expressions import constants, tree
from atoll.expressions.keyrange import MIRRORED
from atoll.model import paths
from atoll.model.comparison import compare, equal
from atoll.model.values import AttributeValue, Item

Values = Mapping[str, AttributeValue]
Test = Callable[[Item], bool]
Bind = Callable[[Values], Test]
Read = Callable[[Item], AttributeValue | None]
Relation = Callable[[AttributeValue, AttributeValue], bool]


@dataclass(slots=True)
class Condition:
    bind: Bind
    values: Values
    attributes: frozenset[str]  # top-level names that the condition reads
    entered: frozenset[str]  # those of them with nested paths
    reads: int  # the most times that it reads a path
    _test: Test | None = None

    def prepare(self) -> Test:
        """Bind the condition, which takes a while with large constants. Otherwise `matches` binds it."""
        if self._test is None:
            self._test = self.bind(self.values)
        return self._test

    def prepare_once(self) -> Test:
        """Like `prepare`, for large constants: each is read only once, however often the condition names it."""
        self.values = _Once(self.values)
        return self.prepare()

    def matches(self, item: Item) -> bool:
        return (self._test or self.prepare())(item)


@dataclass(slots=True)
class Program:
    bind: Bind
    attributes: frozenset[str]
    entered: frozenset[str]
    reads: int

    def with_values(self, values: Values) -> Condition:
        return Condition(self.bind, values, self.attributes, self.entered, self.reads)


def compile(resolved: tree.ConditionNode, values: Values) -> Condition:
    """For trees that were not parsed from an expression: legacy parameters, PartiQL."""
    return program(resolved).with_values(values)


def program(resolved: tree.ConditionNode) -> Program:
    return Program(_bind(resolved), attributes(resolved), entered(resolved), reads(resolved))


def reads(resolved: object) -> int:
    """The number of paths."""
    return sum([isinstance(node, tree.PathOperand) for node in tree.walk(resolved)])


def attributes(resolved: object) -> frozenset[str]:
    return frozenset(str(node.path[0]) for node in tree.walk(resolved) if isinstance(node, tree.PathOperand))


def entered(resolved: object) -> frozenset[str]:
    """The top-level names of nested paths."""
    paths = (node.path for node in tree.walk(resolved) if isinstance(node, tree.PathOperand))
    return frozenset(str(path[0]) for path in paths if len(path) > 1)


class _Once(dict[str, AttributeValue]):
    """Caches the tests made from values."""

    def __init__(self, values: Values) -> None:
        super().__init__(values)
        self.tests: dict[tuple[object, ...], constants.Test] = {}


def _made(values: Values, make: Callable[..., constants.Test], *of: AttributeValue) -> constants.Test:
    """`make(*of)`, called once for the same values."""
    if type(values) is not _Once:
        return make(*of)
    key = (make, *map(id, of))
    test = values.tests.get(key)
    if test is None:
        test = values.tests[key] = make(*of)
    return test


def _bind(node: tree.ConditionNode) -> Bind:
    match node:
        case tree.And(terms):
            return _all([_bind(term) for term in terms])
        case tree.Or(terms):
            return _any([_bind(term) for term in terms])
        case tree.Not(term):
            return _negation(_bind(term))
        case tree.Compare("=", left, right):
            return _relation(equal, constants.equal_to, constants.equal_to, left, right)
        case tree.Compare("<>", left, right):
            return _negation(_relation(equal, constants.equal_to, constants.equal_to, left, right))
        case tree.Compare(op, left, right):
            return _ordering(op, left, right)
        case tree.Between(operand, low, high):
            if not _is_constant(operand) and _is_constant(low) and _is_constant(high):
                return _between(_read(operand), low, high)
            return _all([_ordering(">=", operand, low), _ordering("<=", operand, high)])
        case tree.In(operand, choices):
            return _one_of(operand, choices)
        case tree.Function(name, args):
            return _function(name, args)


# Operands: constants are known once the condition is bound; all others depend only on the item.


def _is_constant(operand: tree.Operand) -> bool:
    match operand:
        case tree.ValueOperand():
            return True
        case tree.Function("size", (arg,)):
            return _is_constant(arg)
    return False


def _constant(operand: tree.Operand) -> Callable[[Values], AttributeValue | None]:
    match operand:
        case tree.ValueOperand(name):
            return itemgetter(name)
        case tree.Function("size", (arg,)):
            read = _constant(arg)
            return lambda values: _size(read(values))
    raise AssertionError(f"{operand} is not a constant")


def _read(operand: tree.Operand) -> Read:
    match operand:
        case tree.PathOperand((str(name),)):
            return lambda item: item.get(name)
        case tree.PathOperand(path):
            return lambda item: paths.get(item, path)
        case tree.Function("size", (arg,)):
            read = _read(arg)
            return lambda item: _size(read(item))
    raise AssertionError(f"{operand} is not an operand of a condition")


# Operators

_ORDERINGS: dict[str, Callable[[int], bool]] = {
    "<": lambda order: order < 0,
    "<=": lambda order: order <= 0,
    ">": lambda order: order > 0,
    ">=": lambda order: order >= 0,
}


def _all(terms: list[Bind]) -> Bind:
    def bind(values: Values) -> Test:
        tests = [term(values) for term in terms]

        def run(item: Item) -> bool:
            for test in tests:  # noqa: SIM110 - `all` over a generator costs twice as much
                if not test(item):
                    return False
            return True

        return run

    return bind


def _any(terms: list[Bind]) -> Bind:
    def bind(values: Values) -> Test:
        tests = [term(values) for term in terms]

        def run(item: Item) -> bool:
            for test in tests:  # noqa: SIM110
                if test(item):
                    return True
            return False

        return run

    return bind


def _negation(term: Bind) -> Bind:
    def bind(values: Values) -> Test:
        test = term(values)
        return lambda item: not test(item)

    return bind


def _never(item: Item) -> bool:
    return False


def _always(item: Item) -> bool:
    return True


def _on(read: Read, test: constants.Test) -> Test:
    def run(item: Item) -> bool:
        value = read(item)
        return value is not None and test(value)

    return run


def _relation(
    holds: Relation,
    with_right: Callable[[AttributeValue], constants.Test],
    with_left: Callable[[AttributeValue], constants.Test],
    left: tree.Operand,
    right: tree.Operand,
) -> Bind:
    """`holds` is the relation between two values. `with_right` and `with_left` make its test when only the right or
    only the left value is a constant."""
    if _is_constant(left) and _is_constant(right):
        one, other = _constant(left), _constant(right)

        def bind_both(values: Values) -> Test:
            a, b = one(values), other(values)
            return _always if a is not None and b is not None and holds(a, b) else _never

        return bind_both
    if _is_constant(left) or _is_constant(right):
        constant, read, test_with = (
            (_constant(right), _read(left), with_right)
            if _is_constant(right)
            else (_constant(left), _read(right), with_left)
        )

        def bind_one(values: Values) -> Test:
            value = constant(values)
            return _never if value is None else _on(read, _made(values, test_with, value))

        return bind_one
    first, second = _read(left), _read(right)

    def run(item: Item) -> bool:
        a = first(item)
        if a is None:
            return False
        b = second(item)
        return b is not None and holds(a, b)

    return lambda values: run


def _ordering(operator: str, left: tree.Operand, right: tree.Operand) -> Bind:
    holds, mirrored = _ORDERINGS[operator], MIRRORED[operator]

    def relation(a: AttributeValue, b: AttributeValue) -> bool:
        order = compare(a, b)
        return order is not None and holds(order)

    return _relation(
        relation,
        constants.ordered(operator),
        constants.ordered(mirrored),
        left,
        right,
    )


def _between(read: Read, low: tree.Operand, high: tree.Operand) -> Bind:
    lower, upper = _constant(low), _constant(high)

    def bind(values: Values) -> Test:
        least, greatest = lower(values), upper(values)
        return (
            _never
            if least is None or greatest is None
            else _on(read, _made(values, constants.between, least, greatest))
        )

    return bind


def _one_of(operand: tree.Operand, choices: tuple[tree.Operand, ...]) -> Bind:
    if _is_constant(operand):
        return _any([_relation(equal, constants.equal_to, constants.equal_to, operand, choice) for choice in choices])
    read = _read(operand)
    fixed = [_constant(choice) for choice in choices if _is_constant(choice)]
    others = [choice for choice in choices if not _is_constant(choice)]

    def bind(values: Values) -> Test:
        known = [value for constant in fixed if (value := constant(values)) is not None]
        return _on(read, _made(values, constants.one_of, *known))

    if not others:
        return bind
    equalities = [_relation(equal, constants.equal_to, constants.equal_to, operand, choice) for choice in others]
    return _any([bind, *equalities])


# Functions


def _function(name: str, args: tuple[tree.Operand, ...]) -> Bind:
    match name:
        case "attribute_exists" | "attribute_not_exists":
            return _existence(args[0], name == "attribute_exists")
        case "begins_with":
            return _relation(_begins_with, constants.beginning_with, constants.prefix_of, *args)
        case "contains":
            return _relation(_contains, constants.containing, constants.part_of, *args)
        case "attribute_type":
            return _relation(_is_of_type, _being_of_type, _type_of, *args)
    raise AssertionError(f"{name} is not a function of a condition")


def _existence(operand: tree.Operand, expected: bool) -> Bind:
    def run(item: Item) -> bool:
        return (read(item) is not None) == expected

    match operand:
        case tree.PathOperand((str(name),)) if expected:
            return lambda values: lambda item: name in item
        case tree.PathOperand((str(name),)):
            return lambda values: lambda item: name not in item
    read = _read(operand)
    return lambda values: run


def _begins_with(value: AttributeValue, prefix: AttributeValue) -> bool:
    return constants.beginning_with(prefix)(value)


def _contains(container: AttributeValue, part: AttributeValue) -> bool:
    return constants.containing(part)(container)


def _is_of_type(value: AttributeValue, type_: AttributeValue) -> bool:
    return type_["S"] in value


def _being_of_type(type_: AttributeValue) -> constants.Test:
    name = type_["S"]
    return lambda value: name in value


def _type_of(value: AttributeValue) -> constants.Test:
    return lambda type_: _is_of_type(value, type_)


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
