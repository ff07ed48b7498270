"""Translates parsed PartiQL statements to executable ones (statements.py)."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import cast

from atoll.errors import ApiError, validation
from atoll.errors import expressions as expression_errors
from atoll.errors import partiql as errors
from atoll.expressions import tree
from atoll.expressions.parser import COMPARATORS, CONDITION_FUNCTIONS, UPDATE_FUNCTIONS
from atoll.expressions.partiql import tree as written
from atoll.expressions.partiql.literals import data, names_of
from atoll.expressions.partiql.statements import (
    Checking,
    Column,
    Deleting,
    Inserting,
    Selecting,
    SetOperand,
    Statement,
    Updating,
    Values,
)
from atoll.expressions.partiql.tree import Node
from atoll.model import values as model
from atoll.model.paths import Path

_is_table_name = re.compile(r"[A-Za-z0-9_.-]{3,255}|arn:.*").fullmatch
_INDEX_DIGITS = 10
_SET_FUNCTIONS: dict[str, type[tree.Add] | type[tree.Delete]] = {"set_add": tree.Add, "set_delete": tree.Delete}


def translate(found: written.Statement) -> tuple[Statement, Values]:
    """The statement, and the values of its literals."""
    translation = _Translation()
    return translation.statement(found), translation.literals


@dataclass(slots=True)
class _Translation:
    literals: Values = field(default_factory=dict)
    sets: list[SetOperand] = field(default_factory=list)

    def statement(self, found: written.Statement) -> Statement:
        match found:
            case written.Select():
                return self.selecting(found)
            case written.Exists(select):
                selecting = self.selecting(select)
                if selecting.fault is not None:
                    raise validation(selecting.fault)
                return Checking(selecting)
            case written.Insert(source, item):
                table, index = _source(source)
                if index is not None:
                    raise errors.source_of_write()
                return Inserting(table, self.item(item))
            case written.Update(source, actions, where, returning):
                done = tuple(self.action(path, value) for path, value in actions)
                condition = None if where is None else self.condition(where)
                return Updating(_written_table(source), done, tuple(self.sets), condition, returning)
            case written.Delete(source, where, returning):
                condition = None if where is None else self.condition(where)
                return Deleting(_written_table(source), condition, returning)

    def selecting(self, select: written.Select) -> Selecting:
        table, index = _source(select.source)
        if not _is_table_name(table):
            raise errors.table_name()
        columns, order, fault = None, tuple[tuple[str, bool], ...](), None
        try:
            columns = None if select.columns is None else _columns(select.columns)
            order = tuple((_ordering(node), descending) for node, descending in select.order)
        except ApiError as error:
            if index is None:
                raise
            fault = error.message
        where = None if select.where is None else self.condition(select.where)
        return Selecting(table, index, columns, where, order, fault)

    # Values

    def value(self, node: Node) -> tree.ValueOperand:
        if node.kind == "parameter":
            return tree.ValueOperand(f"?{node.value}")
        value = data(node)
        model.check_value(value)
        name = f":{len(self.literals)}"
        self.literals[name] = value
        return tree.ValueOperand(name)

    def item(self, node: Node) -> tuple[tuple[str, str], ...]:
        if node.kind != "struct":
            raise errors.item_format(node.at)
        names = names_of(node, top=True)
        return tuple((name, self.value(value).name) for name, value in zip(names, node.args, strict=True))

    # Conditions

    def condition(self, node: Node, otherwise: ApiError | None = None) -> tree.ConditionNode:
        """`otherwise` is the error for an operand in the place of a condition."""
        match node:
            case Node("operator", _, "AND" | "OR" as symbol, args):
                terms = tuple(self.condition(arg, errors.operand_of_junction()) for arg in args)
                return tree.And(terms) if symbol == "AND" else tree.Or(terms)
            case Node("operator", _, "NOT", (arg,)):
                return tree.Not(self.condition(arg, errors.operand_of_not()))
            case Node("is", at, type_, (arg,)):
                return self.of_type(arg, type_, at)
            case Node("operator", _, symbol, args) if any(map(_is_test, _compared(node))):
                return self.comparison_of_truth(symbol, args)
            case Node("operator", _, "BETWEEN", (arg, low, high)):
                return tree.Between(self.operand(arg), self.operand(low), self.operand(high))
            case Node("operator", _, "IN", (arg, choices)):
                if choices.kind not in ("seq", "list", "bag") or not choices.args:
                    raise errors.in_operands()
                return tree.In(self.operand(arg), tuple(map(self.operand, choices.args)))
            case Node("operator", _, symbol, (left, right)) if symbol in COMPARATORS:
                return tree.Compare(symbol, self.operand(left), self.operand(right))
            case Node("operator", _, symbol):
                raise errors.operator(symbol.lower(), "Condition")
            case Node("call", _, name, args) if name != "size":
                _known_function(node, CONDITION_FUNCTIONS, "a condition")
                return tree.Function(name, tuple(map(self.operand, args)))
            case Node("seq", _, _, (inner,)):
                return self.condition(inner, otherwise)
        raise otherwise or errors.no_condition()

    def of_type(self, node: Node, type_: str, at: str) -> tree.ConditionNode:
        node = _unwrapped(node)
        if node.kind in ("call", "operator", "is"):
            raise errors.operand_of_is()
        if type_ not in _OF_TYPES:
            raise errors.type_of_no_attribute(type_, list(_OF_TYPES), at)
        operand = self.operand(node)
        if type_ == "MISSING":
            return tree.Function("attribute_not_exists", (operand,))
        if type_ == "NULL":
            return tree.Compare("=", operand, self.value(Node("null", at)))
        return tree.Function("attribute_type", (operand, self.value(Node("string", at, _OF_TYPES[type_]))))

    # A Boolean function may be an operand of a comparison. Conditions have no such operands, so the comparison is
    # rewritten by cases.

    def comparison_of_truth(self, symbol: str, args: tuple[Node, ...]) -> tree.ConditionNode:
        if symbol == "IN":
            operand, choices = args
            return tree.Or(tuple(self.equality(operand, choice) for choice in choices.args))
        if symbol not in ("=", "<>"):
            raise expression_errors.operand_type(symbol, "BOOL")
        found = self.equality(*args)
        return found if symbol == "=" else tree.Not(found)

    def equality(self, left: Node, right: Node) -> tree.ConditionNode:
        test, other = map(_unwrapped, (left, right) if _is_test(left) else (right, left))
        if not _is_test(test):
            return tree.Compare("=", self.operand(left), self.operand(right))
        holds = self.condition(test)
        if other.kind in ("true", "false"):
            return holds if other.kind == "true" else tree.Not(holds)
        if _is_test(other):
            same = self.condition(other)
            return tree.Or((tree.And((holds, same)), tree.Not(tree.Or((holds, same)))))
        operand = self.operand(other)
        true, false = (tree.Compare("=", operand, self.value(Node(kind, other.at))) for kind in ("true", "false"))
        return tree.Or((tree.And((holds, true)), tree.And((tree.Not(holds), false))))

    def operand(self, node: Node) -> tree.Operand:
        match node.kind:
            case "name" | "path":
                return tree.PathOperand(path_of(node))
            case "missing":
                raise errors.missing_compared()
            case "seq" if len(node.args) == 1:
                return self.operand(node.args[0])
            case "operator" | "is":
                raise errors.operator(_symbol(node), "Condition")
            case "call":
                _known_function(node, CONDITION_FUNCTIONS, "a condition")
                if node.value != "size":
                    raise expression_errors.misused_function(node.value)
                return tree.Function("size", tuple(map(self.operand, node.args)))
        return self.value(node)

    # Updates

    def action(self, target: Node, node: Node | None) -> tree.Action:
        path = tree.PathOperand(path_of(target))
        if node is None:
            return tree.Remove(path)
        if node.kind == "call" and node.value in _SET_FUNCTIONS:
            return _SET_FUNCTIONS[node.value](path, self.set_operand(path, node))
        return tree.Set(path, self.new_value(node))

    def set_operand(self, path: tree.PathOperand, node: Node) -> tree.ValueOperand:
        name = node.value.upper()
        if len(node.args) != 2:
            raise errors.set_function_arguments(name, node.at)
        first, second = node.args
        if first.kind not in ("name", "path") or path_of(first) != path.path:
            raise errors.set_function_path(name, node.at)
        if second.kind in ("name", "path"):
            raise errors.set_function_value(name, first.at)
        operand = self.value(second)
        self.sets.append(SetOperand(name, operand.name, first.at))
        return operand

    def new_value(self, node: Node) -> tree.Operand | tree.Arithmetic:
        match node:
            case Node("name" | "path"):
                return tree.PathOperand(path_of(node))
            case Node("missing"):
                raise errors.missing_compared()
            case Node("seq", _, _, (inner,)):
                return self.new_value(inner)
            case Node("operator", _, "+" | "-" as symbol, args):
                if len(args) == 1:
                    raise expression_errors.operand_count(symbol, 1)
                # The expression grammar has no nested sums, but the update compiler computes them anyway.
                left, right = (cast(tree.Operand, self.new_value(arg)) for arg in args)
                return tree.Arithmetic(symbol, left, right)
            case Node("operator" | "is"):
                raise errors.operator(_symbol(node), "Update")
            case Node("call", _, name, args):
                _known_function(node, UPDATE_FUNCTIONS, "an update")
                return tree.Function(name, tuple(cast(tree.Operand, self.new_value(arg)) for arg in args))
        return self.value(node)


_OF_TYPES = {
    "MISSING": "",
    "NULL": "NULL",
    "BOOLEAN": "BOOL",
    "BLOB": "B",
    "STRING": "S",
    "NUMERIC": "N",
    "STRUCT": "M",
    "TUPLE": "M",
    "LIST": "L",
}
"""PartiQL's types that attributes can have, in the order of the error text."""


def _unwrapped(node: Node) -> Node:
    while node.kind == "seq" and len(node.args) == 1:
        (node,) = node.args
    return node


def _is_test(node: Node) -> bool:
    """Whether the node is a call of a Boolean function."""
    node = _unwrapped(node)
    return node.kind == "call" and node.value in CONDITION_FUNCTIONS and node.value != "size"


def _compared(node: Node) -> tuple[Node, ...]:
    """The operands of a comparison."""
    if node.value == "IN" and node.args[1].kind in ("seq", "list", "bag") and node.args[1].args:
        return (node.args[0], *node.args[1].args)
    return node.args if node.value == "BETWEEN" or node.value in COMPARATORS else ()


def _symbol(node: Node) -> str:
    return "is" if node.kind == "is" else str(node.value).lower()


def _known_function(call: Node, known: frozenset[str], where: str) -> None:
    name = call.value
    if name in known:
        return
    if name in CONDITION_FUNCTIONS | UPDATE_FUNCTIONS:
        raise expression_errors.function_not_allowed(name, where)
    raise errors.unknown_function(name, call.at)


# Paths


def path_of(node: Node) -> Path:
    node = _unwrapped(node)
    steps = (node,) if node.kind == "name" else (*node.args, *node.value) if node.kind == "path" else ()
    if not steps or steps[0].kind != "name":
        raise errors.path_component((steps[0] if steps else node).at)
    return tuple(_step(step) for step in steps)


def _step(node: Node) -> str | int:
    match node.kind:
        case "name" | "string":
            if not node.value:
                raise errors.empty_path_component()
            return str(node.value)
        case "all":
            raise errors.select_members()
        case "number" if node.value.lstrip("-").isdigit():
            digits = node.value.lstrip("0")
            if node.value[0] == "-" or len(digits) > _INDEX_DIGITS:
                raise errors.list_index(node.value, node.at)
            return int(digits or "0")
    raise errors.path_component(node.at)


def _columns(nodes: tuple[Node, ...]) -> tuple[Column, ...]:
    found: dict[str, Column] = {}
    for node in nodes:
        path = path_of(node)
        last = max(index for index, step in enumerate(path) if isinstance(step, str))
        name = str(path[last]) + "".join(f"[{index}]" for index in path[last + 1 :])
        if name in found:
            raise errors.repeated_column(name)
        found[name] = Column(name, path)
    return tuple(found.values())


def _ordering(node: Node) -> str:
    if node.kind == "name":
        return str(node.value)
    raise errors.order_argument(json.dumps(node.value) if node.kind == "string" else node.kind.upper())


def _source(node: Node) -> tuple[str, str | None]:
    if node.kind not in ("name", "path"):
        raise errors.source()
    table, *rest = path_of(node)
    if len(rest) > 1:
        raise errors.source_path()
    return str(table), str(rest[0]) if rest else None


def _written_table(node: Node) -> str:
    table, index = _source(node)
    if index is not None:
        raise errors.write_to_index()
    if not _is_table_name(table):
        raise errors.table_name()
    return table
