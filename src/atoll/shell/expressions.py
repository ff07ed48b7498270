"""Translate expressions that people write, with names and values in them, to those of the API, with placeholders.

    pk = "a" and sk begins_with "2026-"          a key condition; quotes may be left out: pk = a
    age >= 18 and contains(tags, "new")          a filter; there strings need quotes
    name, address.city, orders[0]                attributes

A name with other characters than letters, digits, `_` and `-` is quoted with backticks. A value of a key condition has
the type of its attribute. Binary keys are written as base64.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from atoll.options import Refused

_TOKEN = re.compile(
    r"""\s*(?:(?P<string>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')|(?P<quoted>`[^`]+`)"""
    r"""|(?P<number>-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?(?![\w-]))|(?P<word>[^\W\d][\w-]*)|(?P<mark><>|<=|>=|==|!=|[=<>(),.\[\]]))""",
    re.DOTALL,
)
_BARE = re.compile(r"\s*([^\s(),\"'`]+)")
_WORDS = {"and", "or", "not", "between", "in"}
_FUNCTIONS = {"attribute_exists", "attribute_not_exists", "attribute_type", "begins_with", "contains", "size"}
_CONSTANTS: dict[str, dict[str, Any]] = {"true": {"BOOL": True}, "false": {"BOOL": False}, "null": {"NULL": True}}
_COMPARISONS = {"=", "<", "<=", ">", ">="}
_FOREIGN = {"==": "=", "!=": "<>"}
"""Comparisons of other languages, and what DynamoDB has instead."""


@dataclass
class Placeholders:
    names: dict[str, str] = field(default_factory=dict)
    values: dict[str, dict[str, Any]] = field(default_factory=dict)

    def name(self, name: str) -> str:
        for placeholder, known in self.names.items():
            if known == name:
                return placeholder
        placeholder = f"#n{len(self.names)}"
        self.names[placeholder] = name
        return placeholder

    def value(self, value: dict[str, Any]) -> str:
        placeholder = f":v{len(self.values)}"
        self.values[placeholder] = value
        return placeholder

    def parameters(self) -> dict[str, Any]:
        """The parameters of a request."""
        found = {"ExpressionAttributeNames": self.names, "ExpressionAttributeValues": self.values}
        return {name: value for name, value in found.items() if value}


def filter_of(expression: str, placeholders: Placeholders) -> str:
    return " ".join(_rewritten("--filter", expression, placeholders))


def projection_of(expression: str, placeholders: Placeholders) -> str:
    return " ".join(_rewritten("--select", expression, placeholders)).replace(" . ", ".")


def _rewritten(option: str, expression: str, placeholders: Placeholders) -> Iterator[str]:
    at, in_index = 0, False
    expression = expression.rstrip()
    while at < len(expression):
        found = _TOKEN.match(expression, at)
        if found is None:
            raise Refused(f"{option}: {expression[at:].strip()[:40]!r} is not understood: write values in the "
                          'expression itself, as in age >= 18 or name = "Ann"')  # fmt: skip
        at, content = found.end(), found[found.lastgroup or 0]
        match found.lastgroup:
            case "string":
                yield placeholders.value({"S": _unquoted(content)})
            case "number":
                yield content if in_index else placeholders.value({"N": content})
            case "quoted":
                yield placeholders.name(content[1:-1])
            case "word" if content.lower() in _WORDS:
                yield content.upper()
            case "word" if content in _FUNCTIONS and expression[at:].lstrip().startswith("("):
                yield content
            case "word" if content in _CONSTANTS:
                yield placeholders.value(_CONSTANTS[content])
            case "word":
                yield placeholders.name(content)
            case _ if content in _FOREIGN:
                raise Refused(f"{option}: {content!r} is not a comparison: write {_FOREIGN[content]}")
            case _:
                in_index = content == "["
                yield content


def _unquoted(content: str) -> str:
    return re.sub(r"\\(.)", r"\1", content[1:-1], flags=re.DOTALL)


def key_condition_of(expression: str, types: Mapping[str, str], placeholders: Placeholders) -> str:
    """`types` has the attributes of the key, with their types."""
    return _KeyCondition(expression, types, placeholders).rewritten()


class _KeyCondition:
    def __init__(self, text: str, types: Mapping[str, str], placeholders: Placeholders) -> None:
        self._text = text
        self._at = 0
        self._types = types
        self._placeholders = placeholders

    def rewritten(self) -> str:
        terms = [self._term()]
        while self._text[self._at :].strip():
            self._expect("and")
            terms.append(self._term())
        return " AND ".join(terms)

    def _term(self) -> str:
        if self._skip("("):
            term = self._term()
            self._expect(")")
            return term
        name = self._name()
        if name == "begins_with" and self._skip("("):
            name, shown = self._attribute(self._name())
            self._expect(",")
            term = f"begins_with({shown}, {self._value(name)})"
            self._expect(")")
            return term
        name, shown = self._attribute(name)
        operator = self._next("a comparison")
        if operator.lower() == "begins_with":
            return f"begins_with({shown}, {self._value(name)})"
        if operator.lower() == "between":
            low = self._value(name)
            self._expect("and")
            return f"{shown} BETWEEN {low} AND {self._value(name)}"
        if operator not in _COMPARISONS:
            raise self._refused(f"{operator!r} is not a comparison of keys: =, <, <=, >, >=, between or begins_with")
        return f"{shown} {operator} {self._value(name)}"

    def _attribute(self, name: str) -> tuple[str, str]:
        if name not in self._types:
            raise self._refused(f"{name!r} is not in the key, which is {', '.join(self._types)}: "
                                "use --filter for other attributes, or --index")  # fmt: skip
        return name, self._placeholders.name(name)

    def _name(self) -> str:
        return self._next("an attribute of the key").strip("`")

    def _value(self, name: str) -> str:
        found = _TOKEN.match(self._text, self._at)
        if found is not None and found.lastgroup == "string":
            content = _unquoted(found["string"])
        else:
            found = _BARE.match(self._text, self._at)
            if found is None:
                raise self._refused(f"a value of {name} is missing")
            content = found[1]
        self._at = found.end()
        return self._placeholders.value({self._types[name]: content})

    def _next(self, wanted: str) -> str:
        found = _TOKEN.match(self._text, self._at)
        if found is None:
            raise self._refused(f"{wanted} is missing at {self._text[self._at :].strip()[:40]!r}")
        self._at = found.end()
        return found[found.lastgroup or 0]

    def _skip(self, mark: str) -> bool:
        found = _TOKEN.match(self._text, self._at)
        if found is None or found[found.lastgroup or 0].lower() != mark:
            return False
        self._at = found.end()
        return True

    def _expect(self, mark: str) -> None:
        if not self._skip(mark):
            raise self._refused(f"{mark!r} is missing at {self._text[self._at :].strip()[:40]!r}")

    def _refused(self, reason: str) -> Refused:
        return Refused(f"the key condition {self._text!r}: {reason}")
