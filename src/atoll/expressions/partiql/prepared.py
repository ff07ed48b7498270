"""Caches PartiQL statements: translated once per text, checked once per combination of parameter types.

`prepare` returns the statement, `values_of` all values of one execution: literals and parameters.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from atoll.errors import ApiError, validation
from atoll.errors import expressions as expression_errors
from atoll.errors import partiql as errors
from atoll.expressions import operands, tree
from atoll.expressions.partiql import grammar
from atoll.expressions.partiql.statements import Checking, Deleting, Inserting, Selecting, Statement, Updating, Values
from atoll.expressions.partiql.translation import translate
from atoll.model import values as model
from atoll.model.values import AttributeValue, Item

_STATEMENTS = 512  # cache size; statements with literals may never repeat, and each may have 8 KB
_TYPES_OF_STATEMENT = 64


class Prepared(NamedTuple):
    statement: Statement
    literals: Values
    parameters: int
    depends_on_content: bool
    """Whether some faults depend on the values themselves, not only on their types."""
    checked: set[tuple[str, ...]]
    """Combinations of parameter types for which the statement passed its checks."""


@lru_cache(_STATEMENTS)
def prepare(text: str) -> Prepared:
    found, parameters = grammar.parse(text)
    try:
        statement, literals = translate(found)
    except expression_errors.Fault as fault:
        raise validation(fault.args[0]) from None
    depends = any(
        isinstance(node, tree.Between) or (isinstance(node, tree.Function) and node.name == "attribute_type")
        for node in tree.walk(_condition_of(statement))
    )
    return Prepared(statement, literals, parameters, depends, set())


def _condition_of(statement: Statement) -> tree.ConditionNode | None:
    match statement:
        case Selecting(where=where) | Updating(where=where) | Deleting(where=where) | Checking(Selecting(where=where)):
            return where
    return None


def values_of(prepared: Prepared, parameters: Sequence[AttributeValue]) -> Values:
    """The values of one execution. Validates all parameters and makes them canonical. Those that the statement does
    not use are left out: there may be a million of them."""
    try:
        for value in parameters:
            model.check_value(value)
    except ApiError as fault:
        fault.bare = True  # a transaction reports it without the statement's position
        raise
    if len(parameters) < prepared.parameters:
        raise errors.parameter_count()
    used = parameters[: prepared.parameters]
    values = {**prepared.literals, **{f"?{index}": value for index, value in enumerate(used)}}
    types = tuple([next(iter(value)) for value in used])
    if types not in prepared.checked or prepared.depends_on_content:
        _check_operands(prepared.statement, values)
        if len(prepared.checked) >= _TYPES_OF_STATEMENT:
            prepared.checked.clear()
        prepared.checked.add(types)
    return values


def item_of(inserting: Inserting, values: Values) -> Item:
    return {name: values[value] for name, value in inserting.members}


class _AnyName(dict[str, str]):
    """A mapping of each name to itself, since statements have no placeholders."""

    def __contains__(self, name: object) -> bool:
        return True

    def __missing__(self, name: str) -> str:
        return name


_NAMES = _AnyName()


def _check_operands(statement: Statement, values: Values) -> None:
    """Raise faults that depend on the values. Texts about two overlapping paths name them in the opposite order to
    those of expressions."""
    where = _condition_of(statement)
    try:
        match statement:
            case Selecting(columns=columns):
                paths = [tree.PathOperand(column.path) for column in columns or ()]
                operands.check_projection(tuple(paths[::-1]), _NAMES, values)
            case Updating(actions=actions, sets=sets):
                for function, value, at in sets:
                    if next(iter(values[value])) not in ("SS", "NS", "BS"):
                        raise errors.set_function_value(function, at)
                operands.check_update(actions[::-1], _NAMES, values)
        if where is not None:
            operands.check_condition(where, _NAMES, values)
    except expression_errors.Fault as fault:
        raise validation(fault.args[0]) from None
