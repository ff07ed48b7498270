"""A recursive-descent parser for metric math, with one token of lookahead. It builds the trees of tree.py.

    expression = and ( "||" and )*              and     = comparison ( "&&" comparison )*
    comparison = sum ( ("==" | "<" | ...) sum )*
    sum        = product ( ("+" | "-") product )*
    product    = negation ( ("*" | "/") negation )*
    negation   = "-" negation | power           power   = primary ( "^" negation )?
    primary    = number | "text" | name | name "(" expression, ... ")" | "[" expression, ... "]" | "(" expression ")"

AND and OR are `&&` and `||`. Names in lower case are ids of other queries; those in upper case are functions, or words
that functions take. So `m1 - 2 ^ -1` is `m1 - (2 ^ (-1))`, and `-2 ^ 2` is -4.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

from atoll import limits
from atoll.errors import metric_math as errors
from atoll.expressions.splitting import Token
from atoll.metrics.math import tree
from atoll.metrics.math.lexer import END, tokens

LEVELS = (("||",), ("&&",), ("==", "!=", "<", "<=", ">", ">="), ("+", "-"), ("*", "/"))
"""The binary operators from the loosest to the tightest; `^` is tighter still."""


@lru_cache(1_000)
def parse(text: str) -> tree.Node:
    if len(text) > limits.MATH_EXPRESSION_CHARS:
        raise errors.too_long()
    parser = _Parser(tokens(text))
    found = parser.expression()
    parser.expect(END)
    return found


class _Parser:
    def __init__(self, found: list[Token]) -> None:
        self._tokens = found
        self._index = 0
        self._depth = 0
        self.kind = found[0].kind

    def next(self) -> Token:
        token = self._tokens[self._index]
        if token.kind != END:
            self._index += 1
            self.kind = self._tokens[self._index].kind
        return token

    def expect(self, kind: str) -> None:
        if self.kind != kind:
            raise errors.syntax(self._tokens[self._index].text)
        self.next()

    def expression(self) -> tree.Node:
        return self._nested(lambda: self._binary(0))

    def _nested(self, parse: Callable[[], tree.Node]) -> tree.Node:
        self._depth += 1
        if self._depth > limits.MATH_DEPTH:
            raise errors.too_deep()
        found = parse()
        self._depth -= 1
        return found

    def _binary(self, level: int) -> tree.Node:
        if level == len(LEVELS):
            return self._negation()
        first = self._binary(level + 1)
        rest: list[tuple[str, tree.Node]] = []
        while self.kind in LEVELS[level]:
            operator = self.next().kind
            rest.append((operator, self._binary(level + 1)))
        return tree.Chain(first, tuple(rest)) if rest else first

    def _negation(self) -> tree.Node:
        if self.kind == "-":
            self.next()
            return tree.Negation(self._nested(self._negation))
        return self._power()

    def _power(self) -> tree.Node:
        base = self._primary()
        if self.kind == "^":
            self.next()
            return tree.Chain(base, (("^", self._nested(self._negation)),))
        return base

    def _primary(self) -> tree.Node:
        match self.kind:
            case "number":
                return tree.Number(float(self.next().text))
            case "text":
                return tree.Text(self.next().text[1:-1].replace("\\", ""))
            case "name":
                return self._named(self.next().text)
            case "[":
                return tree.Array(self._list("[", "]"))
            case "(":
                self.next()
                found = self.expression()
                self.expect(")")
                return found
        raise errors.syntax(self._tokens[self._index].text)

    def _named(self, name: str) -> tree.Node:
        if self.kind == "(":
            return tree.Call(name, self._list("(", ")"))
        return tree.Id(name) if name[0].islower() else tree.Word(name)

    def _list(self, opening: str, closing: str) -> tuple[tree.Node, ...]:
        self.expect(opening)
        found: list[tree.Node] = []
        while self.kind != closing:
            if found:
                self.expect(",")
            found.append(self.expression())
        self.expect(closing)
        return tuple(found)
