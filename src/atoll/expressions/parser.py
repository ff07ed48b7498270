"""A recursive-descent parser for all expressions, with one token of lookahead. It builds the trees of tree.py.

    condition   = and-terms joined by OR            and-term = terms joined by AND        term = NOT* primary
    primary     = "(" condition ")" | function
                | operand comparator operand | operand BETWEEN operand AND operand | operand IN "(" operand, ... ")"
    operand     = path | :value | function | "(" operand ")"
    function    = name "(" operand, ... ")"
    path        = element ( "." element | "[" number "]" )*         element = name | #placeholder
    projection  = path, ...
    update      = ( SET path "=" value, ... | REMOVE path, ... | ADD path :value, ... | DELETE path :value, ... )+
    value       = operand ( ("+" | "-") operand )? | "(" value ")"

A parenthesis may hold a condition or the first operand of one. Only the text after it shows which: `_group` decides.
DynamoDB rejects redundant parentheses, that is, parentheses directly around parentheses. The parser also reports the
faults of a well-formed text that depend on neither names nor values.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar, cast

from atoll import limits
from atoll.errors import expressions as errors
from atoll.expressions import tree
from atoll.expressions.lexer import END, tokens, unexpected
from atoll.expressions.reserved import is_reserved
from atoll.expressions.splitting import Token

COMPARATORS = frozenset(["=", "<>", "<", "<=", ">", ">="])
CONDITION_FUNCTIONS = frozenset(
    ["attribute_exists", "attribute_not_exists", "attribute_type", "begins_with", "contains", "size"]
)
UPDATE_FUNCTIONS = frozenset(["if_not_exists", "list_append"])
_MAX_INDEX = 2**31 - 1

T = TypeVar("T")


def condition(text: str) -> tree.ConditionNode:
    parser = _Parser(text)
    parsed = parser.condition()
    parser.finish()
    faults = sorted(_condition_faults(parsed), key=lambda fault: fault[0])
    if faults:
        raise faults[0][1]
    _check_operators(parsed)
    return parsed


def projection(text: str) -> tuple[tree.PathOperand, ...]:
    parser = _Parser(text)
    paths = tuple(parser.list_of(parser.path))
    parser.finish()
    for path in paths:
        for fault in _path_faults(path):
            raise fault
    return paths


def update(text: str) -> tuple[tree.Action, ...]:
    parser = _Parser(text, shows_size=False)
    sections = parser.sections()
    actions = tuple(action for _, section in sections for action in section)
    for fault in _update_faults(actions):
        raise fault
    names = [name for name, _ in sections]
    for name in names:
        if names.count(name) > 1:
            raise errors.repeated_section(name)
    _check_operators(actions)
    return actions


class _Parser:
    def __init__(self, text: str, *, shows_size: bool = True) -> None:
        size = len(text.encode())
        if size == 0:
            raise errors.empty()
        if size > limits.EXPRESSION_BYTES:
            raise errors.too_long(size if shows_size else None)
        self.text = text
        self.tokens = tokens(text)
        self.index = 0
        self.kind = self.tokens[0].kind
        self.depth = 0
        self.closed = (-1, -1)  # start and end of the parenthesis closed last
        self.redundant = False

    # Tokens

    def next(self) -> Token:
        token = self.tokens[self.index]
        if token.kind != END:
            self.index += 1
            self.kind = self.tokens[self.index].kind
        return token

    def expect(self, kind: str) -> Token:
        if self.kind != kind:
            raise self.unexpected()
        return self.next()

    def unexpected(self) -> errors.Fault:
        return unexpected(self.text, self.tokens, self.index)

    def finish(self) -> None:
        """Report redundant parentheses only if the text has no syntax error."""
        self.expect(END)
        if self.redundant:
            raise errors.redundant_parentheses()

    def list_of(self, element: Callable[[], T]) -> list[T]:
        found = [element()]
        while self.kind == ",":
            self.next()
            found.append(element())
        return found

    def open(self) -> int:
        start = self.index
        self.next()
        self.descend(errors.redundant_parentheses)
        return start

    def descend(self, refusal: Callable[[], errors.Fault]) -> None:
        """Each function and each parenthesis that is not redundant has an operator, so deeper nesting is invalid. Stop
        here to spare Python's stack."""
        self.depth += 1
        if self.depth > limits.EXPRESSION_OPERATORS:
            raise refusal()

    def too_many_functions(self) -> errors.Fault:
        """Report faults of functions before too many operators, as DynamoDB does."""
        pairs = zip(self.tokens, self.tokens[1:], strict=False)
        names = [token.text for token, after in pairs if token.kind == "name" and after.kind == "("]
        for name in names:
            if name not in CONDITION_FUNCTIONS and name not in UPDATE_FUNCTIONS:
                return errors.unknown_function(name)
        return errors.operand_type("size", "N") if "size" in names else _too_many_operators()

    def close(self, start: int) -> None:
        end = self.index
        self.expect(")")
        self.depth -= 1
        self.redundant = self.redundant or self.closed == (start + 1, end - 1)
        self.closed = (start, end)

    # Conditions

    def condition(self) -> tree.ConditionNode:
        found = self._or(opened=False)
        assert not isinstance(found, tree.PathOperand | tree.ValueOperand)
        return found

    def _or(self, *, opened: bool) -> tree.ConditionNode | tree.Operand:
        """`opened`: the parser has just entered a parenthesis, which may also hold a single operand."""
        alternatives: list[tree.ConditionNode] = []
        terms: list[tree.ConditionNode] = []
        while True:
            found = self._term(opened=opened and not terms and not alternatives)
            if isinstance(found, tree.PathOperand | tree.ValueOperand):
                return found
            terms.append(found)
            if self.kind == "AND":
                self.next()
                continue
            alternatives.append(terms[0] if len(terms) == 1 else tree.And(tuple(terms)))
            terms = []
            if self.kind != "OR":
                return alternatives[0] if len(alternatives) == 1 else tree.Or(tuple(alternatives))
            self.next()

    def _term(self, *, opened: bool) -> tree.ConditionNode | tree.Operand:
        negations = 0
        while self.kind == "NOT":
            self.next()
            negations += 1
        left: tree.ConditionNode | tree.Operand
        if self.kind == "(":
            start = self.open()
            left = self._or(opened=True)
            self.close(start)
        else:
            left = self.operand()
        found: tree.ConditionNode | tree.Operand = left
        if isinstance(left, tree.PathOperand | tree.ValueOperand | tree.Function):
            if self.kind in COMPARATORS or self.kind in ("BETWEEN", "IN"):
                found = self._comparison(left)
            elif not isinstance(left, tree.Function):
                if opened and negations == 0 and self.kind == ")":
                    return left
                raise self.unexpected()
        for _ in range(negations):
            found = tree.Not(cast(tree.ConditionNode, found))
        return found

    def _comparison(self, left: tree.Operand) -> tree.ConditionNode:
        operator = self.next().kind
        if operator == "BETWEEN":
            low = self.operand()
            self.expect("AND")
            return tree.Between(left, low, self.operand())
        if operator == "IN":
            self.expect("(")
            choices = self.list_of(self.operand)
            self.expect(")")
            return tree.In(left, tuple(choices))
        return tree.Compare(operator, left, self.operand())

    # Operands

    def operand(self) -> tree.Operand:
        if self.kind == "value":
            return tree.ValueOperand(self.next().text)
        if self.kind == "(":
            start = self.open()
            inner = self.operand()
            self.close(start)
            return inner
        if self.kind == "name" and self.tokens[self.index + 1].kind == "(":
            name = self.next().text
            self.next()
            self.descend(self.too_many_functions)
            args = self.list_of(self.operand)
            self.depth -= 1
            self.expect(")")
            return tree.Function(name, tuple(args))
        return self.path()

    def path(self) -> tree.PathOperand:
        parts: list[str | int] = [self._element()]
        while self.kind in (".", "["):
            if self.next().kind == ".":
                parts.append(self._element())
            else:
                parts.append(int(self.expect("number").text))
                self.expect("]")
        return tree.PathOperand(tuple(parts))

    def _element(self) -> str:
        if self.kind not in ("name", "placeholder"):
            raise self.unexpected()
        return self.next().text

    # Updates

    def sections(self) -> list[tuple[str, list[tree.Action]]]:
        actions: dict[str, Callable[[], tree.Action]] = {
            "SET": self._set,
            "REMOVE": lambda: tree.Remove(self.path()),
            "ADD": lambda: tree.Add(self.path(), self._value_name()),
            "DELETE": lambda: tree.Delete(self.path(), self._value_name()),
        }
        found: list[tuple[str, list[tree.Action]]] = []
        while not found or self.kind != END:
            if self.kind not in actions:
                raise self.unexpected()
            section = self.next().kind
            found.append((section, self.list_of(actions[section])))
        self.finish()
        return found

    def _set(self) -> tree.Set:
        path = self.path()
        self.expect("=")
        return tree.Set(path, self._value())

    def _value(self) -> tree.Operand | tree.Arithmetic:
        left: tree.Operand | tree.Arithmetic
        if self.kind == "(":
            start = self.open()
            left = self._value()
            self.close(start)
        else:
            left = self.operand()
        if isinstance(left, tree.Arithmetic) or self.kind not in ("+", "-"):
            return left
        operator = self.next().kind
        return tree.Arithmetic(operator, left, self.operand())

    def _value_name(self) -> tree.ValueOperand:
        return tree.ValueOperand(self.expect("value").text)


# Faults of a well-formed text, in text order


def _path_faults(operand: tree.PathOperand) -> Iterator[errors.Fault]:
    for part in operand.path:
        if isinstance(part, int):
            if part > _MAX_INDEX:
                yield errors.list_index(part)
        elif is_reserved(part):
            yield errors.reserved_word(part)
    if len(operand.path) > limits.NESTING_LEVELS:
        yield errors.path_too_deep(len(operand.path))


def _condition_faults(parsed: tree.ConditionNode) -> Iterator[tuple[int, errors.Fault]]:
    """Faults with their rank: DynamoDB reports unknown functions first, then misused ones."""
    conditions = {id(parsed)}  # nodes in condition position; any other function is an operand
    for node in tree.walk(parsed):
        if isinstance(node, tree.And | tree.Or):
            conditions.update(map(id, node.terms))
        elif isinstance(node, tree.Not):
            conditions.add(id(node.term))
        elif isinstance(node, tree.PathOperand):
            for fault in _path_faults(node):
                yield 2, fault
        elif isinstance(node, tree.Function):
            if node.name in UPDATE_FUNCTIONS:
                yield 0, errors.function_not_allowed(node.name, "a condition")
            elif node.name not in CONDITION_FUNCTIONS:
                yield 0, errors.unknown_function(node.name)
            elif (node.name == "size") == (id(node) in conditions):
                yield 1, errors.misused_function(node.name)


def _update_faults(actions: tuple[tree.Action, ...]) -> Iterator[errors.Fault]:
    operands: set[int] = set()  # identities of the operands of functions and of arithmetic
    for node in tree.walk(actions):
        if isinstance(node, tree.PathOperand):
            yield from _path_faults(node)
        elif isinstance(node, tree.Arithmetic):
            operands |= {id(node.left), id(node.right)}
        elif isinstance(node, tree.Function):
            if node.name in CONDITION_FUNCTIONS:
                yield errors.function_not_allowed(node.name, "an update")
            elif node.name not in UPDATE_FUNCTIONS:
                yield errors.unknown_function(node.name)
            elif node.name == "list_append" and id(node) in operands:
                yield errors.misused_function(node.name)
            operands.update(map(id, node.args))


def _check_operators(parsed: object) -> None:
    count = 0
    for node in tree.walk(parsed):
        if isinstance(node, tree.And | tree.Or):
            count += len(node.terms) - 1
        elif isinstance(node, tree.Compare | tree.Between | tree.In | tree.Not | tree.Function | tree.Arithmetic):
            count += 1
    if count > limits.EXPRESSION_OPERATORS:
        raise _too_many_operators()


def _too_many_operators() -> errors.Fault:
    # DynamoDB stops counting at the first excess operator.
    return errors.too_many_operators(limits.EXPRESSION_OPERATORS + 1)
