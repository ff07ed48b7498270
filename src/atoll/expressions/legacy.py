"""Translate legacy parameters, which expressions have replaced, to the trees of expressions.

    Expected, QueryFilter, ScanFilter   {"a": {"ComparisonOperator": "GT", "AttributeValueList": [v]}}    a > v
    Expected, the older form            {"a": {"Value": v}, "b": {"Exists": false}}                       a = v, no b
    KeyConditions                       as filters, with the operators of a key condition
    AttributeUpdates                    {"a": {"Action": "PUT", "Value": v}}, ADD, DELETE                 SET a = v
    AttributesToGet                     ["a", "b"]                                                        a, b

Names are top-level attributes and may contain any character. ConditionalOperator joins several conditions. Each
operand becomes a value with a generated name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from atoll import limits
from atoll.errors import expressions as expression_errors
from atoll.errors import legacy as legacy_errors
from atoll.errors import values as value_errors
from atoll.expressions import condition, keyrange, projection, tree, update
from atoll.expressions.bind import KeyConditionOf
from atoll.expressions.condition import Condition
from atoll.expressions.keyrange import KeyCondition, NameType
from atoll.expressions.projection import PathProjection
from atoll.expressions.update import Update
from atoll.model import values as model
from atoll.model.comparison import compare
from atoll.model.values import AttributeValue, Item

Given = Mapping[str, dict[str, Any]]

_COMPARISONS = {"EQ": "=", "NE": "<>", "LT": "<", "LE": "<=", "GT": ">", "GE": ">="}
_KEY_OPERATORS = {
    **{operator: sign for operator, sign in _COMPARISONS.items() if operator != "NE"},
    "BETWEEN": "BETWEEN",
    "BEGINS_WITH": "begins_with",
}
_SCALARS = frozenset(["S", "N", "B"])
# The guide: "EQ is supported for all data types"; the operand of CONTAINS "cannot be a set, a map, or a list".
_OPERAND_TYPES = {
    **dict.fromkeys(("LT", "LE", "GT", "GE", "IN", "BETWEEN"), _SCALARS),
    **dict.fromkeys(("CONTAINS", "NOT_CONTAINS"), _SCALARS | {"BOOL", "NULL"}),
    "BEGINS_WITH": frozenset(["S", "B"]),
}
_NO_OPERANDS = frozenset(["NULL", "NOT_NULL"])
_SETS = frozenset(["SS", "NS", "BS"])


class _Values(dict[str, AttributeValue]):
    """Operands by their generated names."""

    def operand(self, value: AttributeValue) -> tree.ValueOperand:
        name = f":{len(self)}"
        self[name] = value
        return tree.ValueOperand(name)


def _path(name: str) -> tree.PathOperand:
    if not name:
        raise value_errors.empty_name()
    return tree.PathOperand((name,))


# Conditions


def expected(given: Given | None, operator: str | None) -> Condition | None:
    _check_count(given)
    comparisons = {name: _comparison(name, part) for name, part in (given or {}).items()}
    return _joined(comparisons, operator)


def filter(given: Given | None, operator: str | None) -> Condition | None:
    """QueryFilter and ScanFilter."""
    _check_count(given)
    comparisons = {name: (part["ComparisonOperator"], _operands(part)) for name, part in (given or {}).items()}
    return _joined(comparisons, operator)


def _check_count(given: Given | None) -> None:
    """Limit the number of conditions to the number of operators that an expression may have."""
    if given is not None and len(given) > limits.EXPRESSION_OPERATORS:
        raise legacy_errors.too_many_conditions()


def _comparison(name: str, part: dict[str, Any]) -> tuple[str, Sequence[AttributeValue]]:
    """The operator and operands of an Expected entry, in the new or the old form."""
    operator, exists, value = part.get("ComparisonOperator"), part.get("Exists"), part.get("Value")
    listed = part.get("AttributeValueList")
    if listed is not None and value is not None:
        raise legacy_errors.value_and_list(name)
    if operator is not None:
        if exists is not None:
            raise legacy_errors.exists_and_comparison(name)
        if listed is None and value is None and operator not in _NO_OPERANDS:
            raise legacy_errors.comparison_without_value(operator, name)
        return operator, _operands(part if value is None else {**part, "AttributeValueList": [value]})
    if listed is not None:
        raise legacy_errors.list_without_comparison(name)
    if exists is False:
        if value is not None:
            raise legacy_errors.value_where_none_exists(name)
        return "NULL", ()
    if value is None:
        raise legacy_errors.exists_without_value(exists, name)
    model.check_value(value)
    return "EQ", (value,)


def _operands(part: dict[str, Any]) -> Sequence[AttributeValue]:
    operator, operands = part["ComparisonOperator"], part.get("AttributeValueList") or ()
    count = len(operands)
    if count > limits.EXPRESSION_OPERANDS_IN:
        raise legacy_errors.operand_count(operator)
    for value in operands:
        model.check_value(value)
    if operator in _NO_OPERANDS:
        fits = count == 0
    elif operator == "BETWEEN":
        fits = count == 2
    else:
        fits = count == 1 or (operator == "IN" and count > 1)
    if not fits:
        raise legacy_errors.operand_count(operator)
    types = [next(iter(value)) for value in operands]
    if len(set(types)) > 1:
        raise legacy_errors.operand_types_differ()
    if operator in _OPERAND_TYPES and types[0] not in _OPERAND_TYPES[operator]:
        raise legacy_errors.operand_type(operator, types[0])
    if operator == "BETWEEN" and (compare(*operands) or 0) > 0:
        raise legacy_errors.bounds_order()
    return operands


def _joined(comparisons: Mapping[str, tuple[str, Sequence[AttributeValue]]], operator: str | None) -> Condition | None:
    if operator is not None and len(comparisons) < 2:
        raise (
            legacy_errors.operator_with_one_condition() if comparisons else legacy_errors.operator_without_conditions()
        )
    if not comparisons:
        return None
    operands = (value for _, given in comparisons.values() for value in given)
    if sum(map(model.value_size, operands)) > limits.EXPRESSION_VARIABLES_BYTES:
        raise legacy_errors.operands_too_large()
    values = _Values()
    terms = tuple(_term(_path(name), *comparison, values) for name, comparison in comparisons.items())
    joined = terms[0] if len(terms) == 1 else tree.Or(terms) if operator == "OR" else tree.And(terms)
    return condition.compile(joined, values)


def _term(
    path: tree.PathOperand, operator: str, given: Sequence[AttributeValue], values: _Values
) -> tree.ConditionNode:
    operands = tuple(values.operand(value) for value in given)
    if operator in _COMPARISONS:
        return tree.Compare(_COMPARISONS[operator], path, operands[0])
    match operator:
        case "NULL":
            return tree.Function("attribute_not_exists", (path,))
        case "NOT_NULL":
            return tree.Function("attribute_exists", (path,))
        case "BEGINS_WITH":
            return tree.Function("begins_with", (path, *operands))
        case "CONTAINS":
            return tree.Function("contains", (path, *operands))
        case "NOT_CONTAINS":  # unlike NE, false if the attribute is missing
            absent = tree.Not(tree.Function("contains", (path, *operands)))
            return tree.And((tree.Function("attribute_exists", (path,)), absent))
        case "BETWEEN":
            return tree.Between(path, *operands)
    return tree.In(path, operands)


def key_condition(given: Given) -> KeyConditionOf:
    """A function that resolves KeyConditions against a key schema, once the table is known."""
    if len(given) > 2 * limits.INDEX_KEY_ATTRIBUTES:
        raise expression_errors.key_condition_count()
    values = _Values()
    found: dict[str, tuple[str, tuple[str, ...]]] = {}
    for name, part in given.items():
        operands = tuple(values.operand(value).name for value in _operands(part))
        found[_path(name).path[0]] = part["ComparisonOperator"], operands  # type: ignore[index]
    if not found:
        raise expression_errors.key_condition_count()

    def of(partition: Sequence[NameType], sort: Sequence[NameType], index: str | None = None) -> KeyCondition:
        for name, _ in (*partition, *sort):
            if name in found and found[name][0] not in _KEY_OPERATORS:
                raise legacy_errors.not_indexable()
        known = {name: (_KEY_OPERATORS.get(operator, operator), names) for name, (operator, names) in found.items()}
        return keyrange.key_condition(known, values, partition, sort, index)

    return of


# Updates


@dataclass
class AttributeUpdates(Update):
    """An update with its own error text when an added or deleted value has another type than the attribute."""

    is_expression: ClassVar[bool] = False
    operand_types: Mapping[str, str]

    def apply(self, old: Item, *, missing: bool = False) -> Item:
        for name, type_ in self.operand_types.items():
            if name in old and type_ not in old[name]:
                raise legacy_errors.update_type()
        return Update.apply(self, old, missing=missing)


def attribute_updates(given: Given) -> Update | None:
    values = _Values()
    operand_types: dict[str, str] = {}
    actions: list[tree.Action] = []
    size = sum(map(len, given))
    for name, part in given.items():
        if size > limits.ITEM_BYTES:
            raise value_errors.updated_item_too_large()
        action, value = part.get("Action") or "PUT", part.get("Value")
        path = _path(name)
        if value is None:
            if action != "DELETE":
                raise legacy_errors.action_without_value()
            actions.append(tree.Remove(path))
            continue
        size += model.check_value(value)
        type_ = next(iter(value))
        actions.append(_action(action, path, type_, values.operand(value), values))
        if action != "PUT":
            operand_types[name] = type_
    return AttributeUpdates(update.program(tuple(actions)), values, operand_types) if actions else None


def _action(
    action: str, path: tree.PathOperand, type_: str, operand: tree.ValueOperand, values: _Values
) -> tree.Action:
    if action == "PUT":
        return tree.Set(path, operand)
    if action == "DELETE":
        if type_ not in _SETS:
            raise legacy_errors.delete_type(type_)
        return tree.Delete(path, operand)
    if type_ == "L":  # unlike an ADD expression, ADD here can append to lists
        before = tree.Function("if_not_exists", (path, values.operand({"L": []})))
        return tree.Set(path, tree.Function("list_append", (before, operand)))
    if type_ != "N" and type_ not in _SETS:
        raise legacy_errors.add_type(type_)
    return tree.Add(path, operand)


# Projections


def attributes_to_get(names: Sequence[str]) -> PathProjection:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise legacy_errors.repeated_attribute(name)
        seen.add(name)
    return projection.program(tuple(_path(name) for name in names))
