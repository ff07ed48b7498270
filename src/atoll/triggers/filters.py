"""The filter patterns of event source mappings: they select the records that a function gets.

A pattern is a JSON object of the shape of a record. Its leaves are lists of rules, one of which must match:

    "INSERT", 5, true, null           the value itself             {"prefix": "a"}, {"suffix": "z"}
    {"equals-ignore-case": "Insert"}  text in either case          {"anything-but": ["a", "b"]}
    {"numeric": [">", 0, "<=", 5]}    a JSON number                {"exists": true}   the leaf exists, or does not
    ""                                the empty text

All members of an object must match; of `{"$or": [pattern, ...]}` one must. A list in the record matches
if one of its elements does. DynamoDB's numbers are text in a record, {"N": "5"}, so `numeric` does not apply to them.

`compile` turns a pattern's text into a function that tests a parsed record. An invalid pattern raises ValueError.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import orjson

from atoll import limits

Test = Callable[[Any], bool]

_ABSENT = object()
_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


@lru_cache(maxsize=256)
def compile(pattern: str) -> Test:
    try:
        parsed = orjson.loads(pattern)
    except orjson.JSONDecodeError as error:
        raise ValueError(str(error)) from None
    if not isinstance(parsed, dict):
        raise ValueError("a pattern must be an object")
    if _depth(parsed) > limits.FILTER_DEPTH:
        raise ValueError("the pattern is nested too deeply")
    return _object(parsed)


def _depth(pattern: Any) -> int:
    depth, level = 0, [pattern]
    while level:
        depth += 1
        members = [one.values() if isinstance(one, dict) else one for one in level if isinstance(one, dict | list)]
        level = [member for some in members for member in some]
    return depth


def any_of(patterns: Sequence[str]) -> Test | None:
    """A test whether one of several patterns matches; None if there are no patterns, so that every record passes."""
    tests = [compile(pattern) for pattern in patterns]
    return (lambda record: any(test(record) for test in tests)) if tests else None


def _object(pattern: dict[str, Any]) -> Test:
    tests = [_alternatives(rules) if name == "$or" else _member(name, rules) for name, rules in pattern.items()]
    return lambda value: all(test(value) for test in tests)


def _alternatives(patterns: Any) -> Test:
    if not isinstance(patterns, list) or not patterns or not all(isinstance(p, dict) for p in patterns):
        raise ValueError("$or takes a list of patterns")
    tests = [_object(pattern) for pattern in patterns]
    return lambda value: any(test(value) for test in tests)


def _member(name: str, rules: Any) -> Test:
    if isinstance(rules, dict):
        test = _nested(_object(rules))
    elif isinstance(rules, list) and rules:
        test = _leaf([_rule(rule) for rule in rules])
    else:
        raise ValueError(f"{name} takes an object or a list of rules")
    return lambda value: test(value.get(name, _ABSENT) if isinstance(value, dict) else _ABSENT)


def _nested(test: Test) -> Test:
    def matches(value: Any) -> bool:
        if isinstance(value, list):
            return any(test(element) for element in value)
        return test(value)

    return matches


def _leaf(rules: list[Test]) -> Test:
    def matches(value: Any) -> bool:
        if isinstance(value, list) and value:
            return any(rule(element) for element in value for rule in rules)
        return any(rule(value) for rule in rules)

    return matches


def _rule(rule: Any) -> Test:
    if not isinstance(rule, dict):
        if isinstance(rule, list):
            raise ValueError("a rule cannot be a list")
        return lambda value: _equal(value, rule)
    if len(rule) != 1:
        raise ValueError("a rule must have exactly one operator")
    ((name, argument),) = rule.items()
    if name not in _OPERATORS:
        raise ValueError(f"unknown operator: {name}")
    return _OPERATORS[name](argument)


def _equal(value: Any, wanted: Any) -> bool:
    """JSON's equality: true is not 1, but 1 is 1.0."""
    if isinstance(wanted, bool) or isinstance(value, bool):
        return value is wanted
    return value is not _ABSENT and bool(value == wanted)


def _exists(wanted: Any) -> Test:
    if not isinstance(wanted, bool):
        raise ValueError("exists takes true or false")
    # Only leaves exist: {"exists": true} on an object does not match.
    return lambda value: (value is not _ABSENT and not isinstance(value, dict)) is wanted


def _anything_but(unwanted: Any) -> Test:
    if isinstance(unwanted, dict):
        refused = _rule(unwanted)
    else:
        values = unwanted if isinstance(unwanted, list) else [unwanted]
        if not values or not all(isinstance(v, str | int | float) and not isinstance(v, bool) for v in values):
            raise ValueError("anything-but takes strings or numbers")

        def refused(value: Any) -> bool:
            return any(_equal(value, v) for v in values)

    return lambda value: value is not _ABSENT and not isinstance(value, dict) and not refused(value)


def _numeric(comparisons: Any) -> Test:
    if not isinstance(comparisons, list) or len(comparisons) not in (2, 4):
        raise ValueError("numeric takes one or two comparisons")
    pairs = list(zip(comparisons[::2], comparisons[1::2], strict=True))
    if not all(isinstance(sign, str) and sign in _COMPARE and _is_number(bound) for sign, bound in pairs):
        raise ValueError("numeric takes comparisons with numbers")
    return lambda value: _is_number(value) and all(_COMPARE[sign](value, bound) for sign, bound in pairs)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _text(test: Callable[[str, str], bool]) -> Callable[[Any], Test]:
    def build(wanted: Any) -> Test:
        if not isinstance(wanted, str):
            raise ValueError("the operator takes a string")
        return lambda value: isinstance(value, str) and test(value, wanted)

    return build


_OPERATORS: dict[str, Callable[[Any], Test]] = {
    "prefix": _text(str.startswith),
    "suffix": _text(str.endswith),
    "equals-ignore-case": _text(lambda value, wanted: value.casefold() == wanted.casefold()),
    "anything-but": _anything_but,
    "numeric": _numeric,
    "exists": _exists,
}
