"""The parser of PartiQL expressions, and the token handling of the PartiQL parsers.

It parses general PartiQL. Translation later rejects the parts that DynamoDB does not support, so that unsupported
PartiQL and malformed text get different errors. `_LEVELS` has the precedence of binary operators.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from atoll.errors import ApiError
from atoll.errors import partiql as errors
from atoll.expressions.partiql.lexer import KEYWORDS, name_of, place, tokens
from atoll.expressions.partiql.tree import Node
from atoll.expressions.splitting import Token

T = TypeVar("T")

_LEVELS = {
    "OR": 1,
    "AND": 2,
    # NOT is 3
    **dict.fromkeys(("=", "<>", "!=", "<", "<=", ">", ">=", "IN", "IS", "BETWEEN", "LIKE", "NOT"), 4),
    "||": 5,
    "+": 6,
    "-": 6,
    "*": 7,
    "/": 7,
    "%": 7,
}
_NOT, _CONCATENATION, _UNARY = 3, 5, 8
DEPTH = 100
_CONSTANTS = {"TRUE": "true", "FALSE": "false", "NULL": "null", "MISSING": "missing"}

# Functions whose names are keywords.
_CALLABLE = frozenset(
    """
    avg bit_length cast char_length character_length coalesce count date_add date_diff exists extract lower max min
    nullif octet_length position size substring sum trim upper
    """.split()
)


_SIZED = frozenset(("CHAR", "CHARACTER", "DEC", "DECIMAL", "FLOAT", "NUMERIC", "VARCHAR"))
_ALIASES = {
    "BOOL": "BOOLEAN",
    "CHAR": "CHARACTER",
    "DEC": "DECIMAL",
    "DOUBLE": "DOUBLE_PRECISION",
    "INT": "INTEGER",
    "INT2": "SMALLINT",
    "INT4": "INTEGER4",
    "INT8": "INTEGER8",
    "INTEGER2": "SMALLINT",
    "VARCHAR": "CHARACTER_VARYING",
}
_TYPES = frozenset(
    """
    ANY BAG BLOB BOOLEAN CHARACTER CLOB DATE DECIMAL FLOAT INTEGER INTEGER4 INTEGER8 LIST MISSING NULL NUMERIC REAL SEXP
    SMALLINT STRING STRUCT SYMBOL TIME TIMESTAMP TUPLE
    """.split()
)

# The names of missing tokens in the errors of PartiQL's own parser.
_EXPECTED = {
    ")": "RIGHT_PAREN",
    "]": "RIGHT_BRACKET",
    "}": "RIGHT_CURLY",
    ">>": "RIGHT_DOUBLE_ANGLE_BRACKET",
    ":": "COLON",
    "=": "'='",
    "BY": "BY",
    "ON": "'ON'",
}
# Keywords that cannot begin an expression; error texts then do not call them keywords.
_TERMS = frozenset(("AS", "ASC", "AT", "BY", "DESC", "FOR"))
_SET_OPERATORS = frozenset(("EXCEPT", "INTERSECT", "UNION"))
_ONLY_CALLED = frozenset(("DATE_ADD", "DATE_DIFF", "EXTRACT", "SUBSTRING", "TRIM"))
_MANIPULATIONS = frozenset(("DELETE", "FROM", "INSERT", "REMOVE", "SET", "UPDATE"))

_INT = 2**31
_INT_DIGITS = 10


def _is_readable(number: str) -> bool:
    """Whether the exponent and the scale of a number literal have 32 bits."""
    digits, _, exponent = number.lower().partition("e")
    if len(exponent.lstrip("+-").lstrip("0")) > _INT_DIGITS:
        return False
    power = int(exponent or 0)
    return abs(power) < _INT and abs(power - len(digits.partition(".")[2])) < _INT


def _reason(token: Token) -> str:
    """Why an expression does not begin with the token."""
    if token.kind in _SET_OPERATORS or (token.kind in _LEVELS and token.kind not in ("NOT", "*")):
        return "Unexpected operator"
    if token.kind in _ONLY_CALLED:
        return "Expected LEFT_PAREN"
    return "Unexpected keyword" if token.text.lower() in KEYWORDS and token.kind not in _TERMS else "Unexpected term"


class ExpressionParser:
    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = tokens(text)
        if any(
            token.kind == "other" or (token.kind == "number" and not _is_readable(token.text)) for token in self.tokens
        ):
            raise errors.Malformed()
        self.index = 0
        self.kind = self.tokens[0].kind
        self.depth = 0
        self.parameters = 0
        self.faults: list[ApiError] = []
        """Faults of well-formed text, reported only if the text has no syntax error."""

    # Tokens

    def next(self) -> Token:
        token = self.tokens[self.index]
        if token.kind != "end":
            self.index += 1
            self.kind = self.tokens[self.index].kind
        return token

    def expect(self, *kinds: str, reason: str | None = None) -> Token:
        if self.kind not in kinds:
            name = _EXPECTED.get(kinds[0])
            raise self.malformed(reason or ("Unexpected term" if name is None else f"Expected {name}"))
        return self.next()

    def accept(self, *kinds: str) -> Token | None:
        return self.next() if self.kind in kinds else None

    def malformed(self, reason: str = "Unexpected term") -> ApiError:
        return errors.Malformed(reason)

    def list_of(self, element: Callable[[], T]) -> tuple[T, ...]:
        found = [element()]
        while self.accept(","):
            found.append(element())
        return tuple(found)

    def at(self, token: Token) -> str:
        return place(self.text, token)

    # Expressions

    def expression(self, level: int = 1) -> Node:
        """Parse operators that bind at least as tightly as `level`."""
        self.depth += 1
        if self.depth > DEPTH:
            raise self.malformed()
        if self.kind == "NOT" and level <= _NOT:
            operator = self.next()
            left = Node("operator", self.at(operator), "NOT", (self.expression(_NOT),))
        else:
            left = self.unary()
        height = 0
        while _LEVELS.get(self.kind, 0) >= level and not self.is_stray_not():
            height += self.kind not in ("AND", "OR")
            if height > DEPTH:
                raise self.malformed()
            left = self.binary(left)
        self.depth -= 1
        return left

    def is_stray_not(self) -> bool:
        """Whether the next token is a NOT that negates no comparison."""
        return self.kind == "NOT" and self.tokens[self.index + 1].kind not in ("BETWEEN", "LIKE", "IN")

    def operand_follows(self) -> None:
        """Refuse text that ends after an infix operator."""
        if self.kind == "end":
            raise self.malformed("Missing right-hand side expression of infix operator")

    def expression_follows(self, keyword: str) -> None:
        """Refuse a statement that ends after a keyword within a comparison."""
        if self.kind in ("end", ";"):
            raise self.malformed(f"Expected expression after {keyword}")

    def binary(self, left: Node) -> Node:
        operator = self.next()
        at = self.at(operator)
        match operator.kind:
            case "NOT":
                return Node("operator", at, "NOT", (self.comparison(left, self.expect("BETWEEN", "LIKE", "IN")),))
            case "IS":
                negation = self.accept("NOT")
                found = Node("is", at, self.type_name(), (left,))
                return Node("operator", at, "NOT", (found,)) if negation else found
            case "BETWEEN" | "LIKE" | "IN":
                return self.comparison(left, operator)
        self.operand_follows()
        symbol = "<>" if operator.kind == "!=" else operator.kind
        right = self.expression(_LEVELS[operator.kind] + 1)
        if symbol in ("AND", "OR") and left.kind == "operator" and left.value == symbol:
            return Node("operator", at, symbol, (*left.args, right))  # flatten long chains, to keep trees shallow
        return Node("operator", at, symbol, (left, right))

    def comparison(self, left: Node, operator: Token) -> Node:
        self.operand_follows()
        right = self.expression(_CONCATENATION)
        if operator.kind == "BETWEEN":
            self.expect("AND", reason="Expected AND keyword")
            self.expression_follows("AND")
            return Node("operator", self.at(operator), "BETWEEN", (left, right, self.expression(_CONCATENATION)))
        if operator.kind == "LIKE" and self.accept("ESCAPE"):
            self.expression_follows("ESCAPE")
            self.expression(_CONCATENATION)
        return Node("operator", self.at(operator), operator.kind, (left, right))

    def type_name(self) -> str:
        """PartiQL's own name of a type, without the arguments."""
        word = self.tokens[self.index].text.upper()
        name = _ALIASES.get(word, word)
        if self.kind not in (word, "name") or not (name in _TYPES or word in _ALIASES):
            raise self.malformed("Expected type name")
        self.next()
        if word == "DOUBLE":
            self.expect("PRECISION")
        elif word == "CHARACTER" and self.accept("VARYING"):
            name = "CHARACTER_VARYING"
        if word in _SIZED and self.accept("("):
            self.list_of(lambda: self.expect("number"))
            self.expect(")")
        return name

    def unary(self) -> Node:
        operator = self.accept("+", "-")
        if operator is None:
            return self.path()
        operand = self.expression(_UNARY)
        if operand.kind == "number":
            sign = "-" if operator.kind == "-" else ""
            return Node("number", operand.at, sign + operand.value)
        return Node("operator", self.at(operator), operator.kind, (operand,))

    def path(self) -> Node:
        start = self.primary()
        steps: list[Node] = []
        while self.kind in (".", "["):
            if self.next().kind == ".":
                if self.kind not in ("name", "quoted", "*"):
                    raise self.malformed("Invalid path dot component")
                token = self.next()
                steps.append(Node("all" if token.kind == "*" else "name", self.at(token), name_of(token)))
            else:
                steps.append(self.expression())
                self.expect("]")
        return Node("path", start.at, tuple(steps), (start,)) if steps else start

    def simple_path(self) -> Node:
        """A path that begins with a name."""
        if self.kind not in ("name", "quoted", "@"):
            raise self.malformed("Expected identifier for simple path")
        return self.reference()

    def reference(self) -> Node:
        """Parse a path in a position that allows nothing else."""
        found = self.path()
        if found.kind not in ("name", "path"):
            raise self.malformed()
        return found

    def primary(self) -> Node:
        token = self.tokens[self.index]
        at = self.at(token)
        if token.kind in _CONSTANTS:
            return Node(_CONSTANTS[self.next().kind], at, token.text)
        if self.tokens[min(self.index + 1, len(self.tokens) - 1)].kind == "(" and token.text.lower() in _CALLABLE:
            return self.arguments(self.next())
        match token.kind:
            case "name":
                self.next()
                return self.arguments(token) if self.kind == "(" else Node("name", at, token.text)
            case "quoted":
                return Node("name", at, name_of(self.next()))
            case "@":
                self.next()
                return Node(
                    "name", at, name_of(self.expect("name", "quoted", reason="Identifier must follow @-operator"))
                )
            case "string":
                return Node("string", at, self.next().text[1:-1].replace("''", "'"))
            case "number":
                return Node("number", at, self.next().text)
            case "ion":
                return Node("ion", at, self.next().text[1:-1])
            case "?":
                self.next()
                self.parameters += 1
                return Node("parameter", at, self.parameters - 1)
            case "(" | "[" | "<<" | "{":
                return self.collection()
            case "SELECT" | "CASE":
                # Only the end of the statement matters.
                self.faults.append(errors.unsupported_token(token.kind, at))
                self.skip()
                return Node("null", at)
        if token.kind in _MANIPULATIONS:
            return self.manipulation()
        raise self.malformed(_reason(token))

    def manipulation(self) -> Node:
        """Parse data manipulation in the place of an expression. It is refused there, but other faults are reported
        first."""
        raise self.malformed("Unexpected keyword")

    def arguments(self, function: Token) -> Node:
        self.expect("(")
        args = () if self.accept("*") or self.kind == ")" else self.list_of(self.expression)
        self.expect(")")
        return Node("call", self.at(function), function.text.lower(), args)

    def collection(self) -> Node:
        token = self.next()
        kind, end = {"(": ("seq", ")"), "[": ("list", "]"), "<<": ("bag", ">>"), "{": ("struct", "}")}[token.kind]
        if self.accept(end):
            if kind == "seq":
                raise self.malformed()
            return Node(kind, self.at(token), ())
        if kind == "struct":
            members = self.list_of(self.member)
            self.expect(end)
            return Node(kind, self.at(token), tuple(key for key, _ in members), tuple(value for _, value in members))
        found = self.list_of(self.expression)
        self.expect(end)
        return Node(kind, self.at(token), (), found)

    def member(self) -> tuple[Node, Node]:
        key = self.expression()
        self.expect(":")
        return key, self.expression()

    def skip(self) -> None:
        depth = 0
        while self.kind != "end" and not (depth == 0 and self.kind in (")", ";")):
            depth += {"(": 1, ")": -1}.get(self.next().kind, 0)
