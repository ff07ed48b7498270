"""Key conditions: the range of a table or index that a Query reads.

A key condition is a restricted condition (tree.py): comparisons joined by AND, each of one key attribute with values.
`conditions` extracts them from the tree; `key_condition` puts them in the order of a key schema. Every partition key
attribute needs `=`. Sort key attributes must be used from the first one on, without gaps, and only the last one used
may have another operator. The errors of keys with several partition or sort attributes name the attributes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from atoll.errors import expressions as errors
from atoll.errors import keys as key_errors
from atoll.errors import tables as table_errors
from atoll.expressions import tree
from atoll.model.values import AttributeValue

NameType = tuple[str, str]  # name and type
Conditions = Mapping[str, tuple[str, tuple[str, ...]]]  # attribute -> operator and the names of its values

MIRRORED = {"=": "=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}


@dataclass(slots=True)
class KeyCondition:
    partition: tuple[AttributeValue, ...]  # in schema order
    sort: tuple[AttributeValue, ...]  # equalities on a prefix of the sort key
    operator: str | None = None  # on the next sort attribute: <  <=  >  >=  BETWEEN  begins_with
    operands: tuple[AttributeValue, ...] = ()


def key_condition(
    found: Conditions,
    values: Mapping[str, AttributeValue],
    partition: Sequence[NameType],
    sort: Sequence[NameType],
    index: str | None = None,
) -> KeyCondition:
    """`index` is the name of the index that has this key schema, for error texts; None for the table."""
    if len(found) > max(2, len(partition) + len(sort)):
        raise errors.key_condition_count()
    if len(partition) > 1 or len(sort) > 1:
        _check_equalities(found, partition, sort)
    equal: list[AttributeValue] = []
    for name, type_ in partition:
        if name not in found:
            raise errors.key_condition_missed(name)
        operator, operands = _operands(found, values, name, type_, index)
        if operator != "=":
            raise errors.key_condition_unsupported()
        equal += operands
    result = KeyCondition(tuple(equal), ())
    left = len(found) - len(partition)
    for name, type_ in sort:
        if name not in found:
            if left:
                raise errors.key_condition_missed(name)
            break
        operator, operands = _operands(found, values, name, type_, index)
        left -= 1
        if operator == "=":
            result.sort += operands
        elif left:
            raise errors.key_condition_unsupported()
        else:
            result.operator, result.operands = operator, operands
    if left:
        raise errors.key_condition_unsupported()
    return result


def _check_equalities(found: Conditions, partition: Sequence[NameType], sort: Sequence[NameType]) -> None:
    """Refuse a condition on a part of a key with several attributes without `=` on each attribute before it."""
    lacking = [name for name, _ in partition if found.get(name, ("", ()))[0] != "="]
    if lacking:
        raise errors.hash_equality_required(lacking[0])
    before: str | None = None
    for name, _ in sort:
        if name in found and before is not None:
            raise errors.range_equality_required(before, name)
        if before is None and found.get(name, ("", ()))[0] != "=":
            before = name


def _operands(
    found: Conditions, values: Mapping[str, AttributeValue], name: str, type_: str, index: str | None
) -> tuple[str, tuple[AttributeValue, ...]]:
    operator, names = found[name]
    operands = tuple([values[operand] for operand in names])
    for operand in operands:
        if type_ not in operand or (operator == "begins_with" and type_ == "N"):
            raise errors.key_condition_type()
        if not operand[type_]:
            if index is not None:
                raise table_errors.empty_index_key(name, type_, index)
            raise key_errors.empty_key(name, type_)
    return operator, operands


def conditions(resolved: tree.ConditionNode) -> Conditions:
    found: dict[str, tuple[str, tuple[str, ...]]] = {}
    for name, operator, values in _comparisons(resolved):
        if name in found:
            raise errors.key_condition_repeated()
        found[name] = operator, values
    return found


def _comparisons(node: tree.ConditionNode) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    match node:
        case tree.And(terms):
            for term in terms:
                yield from _comparisons(term)
        case tree.Or():
            raise errors.key_operator("OR")
        case tree.Not():
            raise errors.key_operator("NOT")
        case tree.In():
            raise errors.key_operator("IN")
        case tree.Compare("<>"):
            raise errors.key_operator("<>")
        case tree.Compare(op, left, right):
            name, values = _attribute((left, right))
            yield name, op if isinstance(left, tree.PathOperand) else MIRRORED[op], values
        case tree.Between(operand, low, high):
            yield _with_attribute_first("BETWEEN", (operand, low, high))
        case tree.Function("begins_with", args):
            yield _with_attribute_first("begins_with", args)
        case tree.Function(name):
            raise errors.key_operator(name)


def _with_attribute_first(operator: str, operands: tuple[tree.Operand, ...]) -> tuple[str, str, tuple[str, ...]]:
    if isinstance(operands[0], tree.ValueOperand):
        raise errors.key_not_first(operator)
    name, values = _attribute(operands)
    return name, operator, values


def _attribute(operands: tuple[tree.Operand, ...]) -> tuple[str, tuple[str, ...]]:
    """The single attribute among the operands, and the values."""
    name: str | None = None
    values = []
    for operand in operands:
        if isinstance(operand, tree.Function):
            raise errors.key_nested_operation()
        if isinstance(operand, tree.ValueOperand):
            values.append(operand.name)
        elif name is not None:
            raise errors.key_many_attributes()
        elif len(operand.path) > 1:
            raise errors.key_nested_attribute()
        else:
            name = str(operand.path[0])
    if name is None:
        raise errors.key_no_attribute()
    return name, tuple(values)
