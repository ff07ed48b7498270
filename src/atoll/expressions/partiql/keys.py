"""Find the keys in a PartiQL condition: the key of the item that a write changes, or the key ranges that a read needs.

The analysis looks at the terms of the outermost AND: only those can narrow a read. The whole condition still filters
each item, unless the key range already expresses all of its terms.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from math import prod
from typing import NamedTuple

from atoll.errors import expressions as expression_errors
from atoll.errors import keys as key_errors
from atoll.errors import partiql as errors
from atoll.expressions import tree
from atoll.expressions.keyrange import MIRRORED, KeyCondition, NameType
from atoll.model.comparison import equal
from atoll.model.paths import Path
from atoll.model.values import AttributeValue, Item

# More combinations of partition key values than this are not looked up one by one: the whole index is read.
PARTITIONS = 10_000

Values = Mapping[str, AttributeValue]
Terms = tuple[tree.ConditionNode, ...]


def terms_of(where: tree.ConditionNode | None) -> Terms:
    if where is None:
        return ()
    if isinstance(where, tree.And):
        return tuple(inner for term in where.terms for inner in terms_of(term))
    return (where,)


def joined(terms: Terms) -> tree.ConditionNode | None:
    if not terms:
        return None
    return terms[0] if len(terms) == 1 else tree.And(terms)


# Writes, and reads of one item


def item_key(where: tree.ConditionNode | None, keys: Sequence[NameType], values: Values) -> tuple[Item, Terms]:
    """The key that the condition requires, and its remaining terms."""
    key: Item = {}
    types = dict(keys)
    rest: list[tree.ConditionNode] = []
    for term in terms_of(where):
        comparison = _comparison(term)
        if comparison is None or comparison[0] not in types or comparison[1] != "=":
            rest.append(term)
            continue
        name, value = comparison[0], values[comparison[2][0]]
        if name in key and not equal(key[name], value):
            raise errors.key_given_twice(name)
        key[name] = value
    if len(key) < len(types):
        raise errors.KeyNotGiven()
    for name, type_ in keys:
        if type_ not in key[name]:
            raise errors.key_type(name)
    return key, tuple(rest)


# Reads


@dataclass(frozen=True, slots=True)
class Access:
    """The parts of a table or index that hold all items for which the condition can be true."""

    partitions: tuple[tuple[AttributeValue, ...], ...] | None
    """The partition key values of each partition; None means all partitions."""
    sort: tuple[KeyCondition, ...]
    """The sort key conditions, without the partition key; all must hold."""
    exact: bool
    """Whether every item in these parts fulfils the condition."""


def access(
    where: tree.ConditionNode | None,
    partition: Sequence[NameType],
    sort: Sequence[NameType],
    values: Values,
    *,
    ordered: bool = False,
) -> Access:
    found = _analysis(where, tuple(name for name, _ in partition), tuple(name for name, _ in sort))
    if isinstance(where, tree.Or) and sort:
        _check_overlaps(where, partition, sort[0][0], values)
    if ordered:
        _check_orderable(where, partition)
    types = dict([*partition, *sort])
    for name, value, is_condition in found.compared:
        _check_key_value(name, types[name], values[value], is_condition)
    if found.choices is None:
        return Access(None, (), found.exact)
    choices = [_distinct([values[name] for name in choice]) for choice in found.choices]
    if prod(map(len, choices)) > PARTITIONS:
        return Access(None, (), exact=False)
    partitions = tuple(product(*choices))
    narrowed = []
    for operator, operands in found.sort:
        given = tuple([values[operand] for operand in operands])
        narrowed.append(KeyCondition((), given) if operator == "=" else KeyCondition((), (), operator, given))
    return Access(partitions, tuple(narrowed), found.exact)


def _check_overlaps(where: tree.Or, partition: Sequence[NameType], sort: str, values: Values) -> None:
    """Refuse alternatives that read the same part of a partition, if one has a condition on the sort key. Ranges that
    merely overlap are not found: only equal ranges, single values and whole partitions are compared."""
    seen: list[tuple[list[AttributeValue], tuple[str, list[AttributeValue]] | None]] = []
    for branch in where.terms:
        named = {found[0]: found for term in terms_of(branch) if (found := _comparison(term)) is not None}
        keys = [named[name] for name, _ in partition if name in named and named[name][1] == "="]
        if len(keys) < len(partition):
            continue
        found = named.get(sort)
        place = None if found is None else (found[1], [values[operand] for operand in found[2]])
        key = [values[operands[0]] for _, _, operands in keys]
        if any(
            key == other and (place or there) and (place == there or not (place and there)) for other, there in seen
        ):
            raise errors.overlapping_ranges()
        seen.append((key, place))


def is_key_demanded(where: tree.ConditionNode | None, name: str) -> bool:
    """Whether a term of the outermost AND gives the key attribute by =, IN or BETWEEN."""
    for term in terms_of(where):
        match term:
            case tree.In(tree.PathOperand((str(found),))) | tree.Between(tree.PathOperand((str(found),))):
                demanded = found == name
            case _:
                comparison = _comparison(term)
                demanded = comparison is not None and comparison[:2] == (name, "=")
        if demanded:
            return True
    return False


def _check_orderable(where: tree.ConditionNode | None, partition: Sequence[NameType]) -> None:
    if where is None:
        raise errors.order_without_where()
    if not all(_demands_something_of(where, name) for name, _ in partition):
        raise errors.order_without_partition()


def _demands_something_of(node: tree.ConditionNode, name: str) -> bool:
    """Whether the condition excludes items without the attribute, or with some values of it."""
    match node:
        case tree.And(terms):
            return any(_demands_something_of(term, name) for term in terms)
        case tree.Or(terms):
            return all(_demands_something_of(term, name) for term in terms)
        case tree.Compare(_, tree.PathOperand((str(found),)), tree.ValueOperand()):
            return found == name
        case tree.Compare(_, tree.ValueOperand(), tree.PathOperand((str(found),))):
            return found == name
        case tree.Between(tree.PathOperand((str(found),))) | tree.In(tree.PathOperand((str(found),))):
            return found == name
        case tree.Function("begins_with" | "contains" | "attribute_type", (tree.PathOperand((str(found),)), _)):
            return found == name
    return False


class _Analysis(NamedTuple):
    """The terms of a condition on the attributes of a key schema, independent of its values."""

    choices: tuple[tuple[str, ...], ...] | None
    """The possible values of each partition key attribute; None if an attribute may have any value."""
    sort: tuple[tuple[str, tuple[str, ...]], ...]
    """The operators and values of the comparisons with the sort key."""
    exact: bool
    compared: tuple[tuple[str, str, bool], ...]
    """All comparisons of key attributes: name, value, and whether it is a key condition like a Query's."""


@lru_cache(512)
def _analysis(where: tree.ConditionNode | None, partition: tuple[str, ...], sort: tuple[str, ...]) -> _Analysis:
    terms = terms_of(where)
    check_paths((node.path for node in tree.walk(where) if isinstance(node, tree.PathOperand)), partition + sort)
    choices: list[tuple[str, ...]] = []
    for name in partition:
        equalities = _equalities(where, name)
        if equalities is None:
            return _Analysis(None, (), not terms, tuple(_compared(where, partition + sort, ())))
        choices.append(equalities)
    narrowed = []
    left = set(partition)
    used = 0
    for term in terms:
        comparison = _comparison(term)
        if comparison is None:
            continue
        name, operator, operands = comparison
        if name in left and operator == "=":
            left.discard(name)
            used += 1
        elif name in sort[:1]:
            narrowed.append((operator, operands))
            used += 1
    compared = _compared(where, partition + sort, _key_conditions(terms, partition))
    key_conditions_first = tuple(sorted(compared, key=lambda one: not one[2]))
    return _Analysis(tuple(choices), tuple(narrowed), used == len(terms), key_conditions_first)


def _key_conditions(terms: Terms, partition: tuple[str, ...]) -> Terms:
    """The key conditions within one partition, without attributes that several terms compare."""
    named = [(term, found) for term in terms if (found := _comparison(term)) is not None]
    if not set(partition) <= {name for _, (name, operator, _) in named if operator == "="}:
        return ()
    times = Counter(name for _, (name, _, _) in named)
    return tuple(term for term, (name, _, _) in named if times[name] == 1)


def _distinct(values: list[AttributeValue]) -> list[AttributeValue]:
    """The values, each once; they are scalars."""
    return list({pair: value for value in values for pair in value.items()}.values())


def _comparison(term: tree.ConditionNode) -> tuple[str, str, tuple[str, ...]] | None:
    """Name, operator and values of a term that could be a key condition on one attribute."""
    match term:
        case tree.Compare(op, tree.PathOperand((str(name),)), tree.ValueOperand(value)) if op != "<>":
            return name, op, (value,)
        case tree.Compare(op, tree.ValueOperand(value), tree.PathOperand((str(name),))) if op != "<>":
            return name, MIRRORED[op], (value,)
        case tree.Between(tree.PathOperand((str(name),)), tree.ValueOperand(low), tree.ValueOperand(high)):
            return name, "BETWEEN", (low, high)
        case tree.Function("begins_with", (tree.PathOperand((str(name),)), tree.ValueOperand(value))):
            return name, "begins_with", (value,)
    return None


def _equalities(node: tree.ConditionNode | None, name: str) -> tuple[str, ...] | None:
    """The values that the attribute may equal; None if it may have any other value."""
    match node:
        case tree.Compare() as term:
            comparison = _comparison(term)
            return comparison[2] if comparison is not None and comparison[:2] == (name, "=") else None
        case tree.In(tree.PathOperand((str(other),)), choices) if other == name:
            if all(isinstance(choice, tree.ValueOperand) for choice in choices):
                return tuple(choice.name for choice in choices if isinstance(choice, tree.ValueOperand))
        case tree.And(terms):
            return next((found for term in terms if (found := _equalities(term, name)) is not None), None)
        case tree.Or(terms):
            alternatives = [_equalities(term, name) for term in terms]
            if all(found is not None for found in alternatives):
                return tuple(value for found in alternatives for value in found or ())
    return None


def _compared(
    where: tree.ConditionNode | None, names: tuple[str, ...], key_conditions: Terms
) -> Iterator[tuple[str, str, bool]]:
    """Comparisons of key attributes, each as its name, its value, and whether it is a key condition. The caller checks
    the types of values."""
    conditions = set(map(id, key_conditions))
    for node in tree.walk(where):
        match node:
            case tree.Compare(_, left, right):
                operands: tuple[tree.Operand, ...] = (left, right)
            case tree.Between(first, low, high):
                operands = (first, low, high)
            case tree.In(first, choices):
                operands = (first, *choices)
            case tree.Function("begins_with" | "contains", args):
                operands = args
            case _:
                continue
        name = next((o.path[0] for o in operands if isinstance(o, tree.PathOperand) and o.path[0] in names), None)
        if name is not None:
            is_condition = id(node) in conditions
            for operand in operands:
                if isinstance(operand, tree.ValueOperand):
                    yield str(name), operand.name, is_condition


def check_paths(paths: Iterable[Path], key_names: Sequence[str]) -> None:
    """Reject nested paths into key attributes: key values are scalar."""
    for path in paths:
        if len(path) > 1 and path[0] in key_names:
            raise key_errors.not_scalar("Key", str(path[0]))


def _check_key_value(name: str, type_: str, value: AttributeValue, is_condition: bool) -> None:
    if type_ not in value:
        raise errors.key_type(name) if is_condition else expression_errors.key_condition_type()
    if type_ != "N" and not value[type_]:
        raise key_errors.empty_key(name, type_)
