"""The rules of composite alarms: `ALARM(a) AND NOT (OK("b c") OR INSUFFICIENT_DATA(d))`, TRUE,
FALSE and AT_LEAST. Pure.

NOT binds closest, then AND, then OR. A rule is kept as a list in which operators follow their operands, so its nesting
needs no recursion.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from atoll import limits
from atoll.alarms.alarm import ALARM, INSUFFICIENT_DATA, OK
from atoll.errors import alarms as errors

_token = re.compile(r'\s*(?:([()])|"((?:[^"\\]|\\.)+)"|([^\s()"]+)|\Z)', re.DOTALL).match
_PRECEDENCE = {"(": 0, "OR": 1, "AND": 2, "NOT": 3}
_STATES = (ALARM, OK, INSUFFICIENT_DATA)


class Is(NamedTuple):
    """Whether an alarm is in a state."""

    alarm: str
    """The alarm's name or ARN."""
    state: str


class AtLeast(NamedTuple):
    """Whether a number of alarms, or a percentage of them, are in a state, or not in it."""

    number: int
    is_percentage: bool
    state: str
    negated: bool
    alarms: tuple[str, ...]

    def holds(self, states: Mapping[str, str | None]) -> bool:
        found = sum((states[alarm] == self.state) != self.negated for alarm in self.alarms)
        return 100 * found >= self.number * len(self.alarms) if self.is_percentage else found >= self.number


Step = Is | AtLeast | bool | str


class Rule(NamedTuple):
    steps: tuple[Step, ...]

    @property
    def alarms(self) -> list[str]:
        """The alarms that the rule names, each once: names or ARNs, as the rule has them."""
        return list(dict.fromkeys(alarm for step in self.steps for alarm in _named(step)))

    def holds(self, states: Mapping[str, str | None]) -> bool:
        """Evaluate the rule. `states`: those of the alarms that it names."""
        stack: list[bool] = []
        for step in self.steps:
            if isinstance(step, Is):
                stack.append(states[step.alarm] == step.state)
            elif isinstance(step, AtLeast):
                stack.append(step.holds(states))
            elif isinstance(step, bool):
                stack.append(step)
            elif step == "NOT":
                stack.append(not stack.pop())
            else:
                right, left = stack.pop(), stack.pop()
                stack.append(left and right if step == "AND" else left or right)
        return stack.pop()


def parse(text: str) -> Rule:
    tokens = _tokens(text)
    steps: list[Step] = []
    operators: list[str] = []
    needs_operand = True
    for kind, token in tokens:
        if needs_operand and kind == "word" and token in _STATES:
            steps.append(Is(_name(tokens), token))
            needs_operand = False
        elif needs_operand and (kind, token) == ("word", "AT_LEAST"):
            steps.append(_at_least(_parts(tokens)))
            needs_operand = False
        elif needs_operand and kind == "word" and token in ("TRUE", "FALSE"):
            steps.append(token == "TRUE")
            needs_operand = False
        elif needs_operand and (token == "NOT" or (kind, token) == ("symbol", "(")):
            operators.append(token)
        elif not needs_operand and kind == "word" and token in ("AND", "OR"):
            while operators and _PRECEDENCE[operators[-1]] >= _PRECEDENCE[token]:
                steps.append(operators.pop())
            operators.append(token)
            needs_operand = True
        elif not needs_operand and (kind, token) == ("symbol", ")"):
            while operators and operators[-1] != "(":
                steps.append(operators.pop())
            if not operators:
                raise errors.rule_invalid(token)
            operators.pop()
        else:
            raise errors.rule_invalid(token)
    if needs_operand or "(" in operators:
        raise errors.rule_invalid("")
    rule = Rule((*steps, *reversed(operators)))
    elements = sum(len(_named(step)) or 1 for step in rule.steps)
    if len(rule.alarms) > limits.COMPOSITE_CHILDREN or elements > limits.COMPOSITE_ELEMENTS:
        raise errors.rule_too_large()
    return rule


def _name(tokens: Iterator[tuple[str, str]]) -> str:
    """The name in parentheses."""
    found = []
    for wanted in ("(", None, ")"):
        kind, token = next(tokens, ("symbol", ""))
        if (kind, token) != ("symbol", wanted) and (kind == "symbol" or wanted is not None):
            raise errors.rule_invalid(token)
        found.append(token)
    return found[1]


def _named(step: Step) -> tuple[str, ...]:
    return (step.alarm,) if isinstance(step, Is) else step.alarms if isinstance(step, AtLeast) else ()


_is_number = re.compile(r"(\d{1,3})(%?)").fullmatch


def _at_least(tokens: Iterator[tuple[str, str]]) -> AtLeast:
    """What follows AT_LEAST: `(2, ALARM, (a, b, c))`, `(50%, NOT OK, ("a", "b"))`."""

    def take(*wanted: str) -> str:
        kind, token = next(tokens, ("symbol", ""))
        if token not in wanted or kind == "quoted":
            raise errors.rule_invalid(token)
        return token

    take("(")
    _, text = next(tokens, ("symbol", ""))
    number = _is_number(text)
    if number is None or not int(number[1]) or (number[2] and int(number[1]) > 100):
        raise errors.rule_invalid(text)
    take(",")
    state = take("NOT", *_STATES)
    negated = state == "NOT"
    if negated:
        state = take(*_STATES)
    take(",")
    take("(")
    alarms: list[str] = []
    while not alarms or take(",", ")") == ",":
        kind, token = next(tokens, ("symbol", ""))
        if kind == "symbol":
            raise errors.rule_invalid(token)
        alarms.append(token)
    take(")")
    found = AtLeast(int(number[1]), bool(number[2]), state, negated, tuple(dict.fromkeys(alarms)))
    if not found.is_percentage and found.number > len(found.alarms):
        raise errors.rule_invalid(text)
    return found


def _parts(tokens: Iterator[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """The tokens, words taken apart at commas."""
    for kind, token in tokens:
        if kind == "word":
            yield from (("symbol" if part == "," else "word", part) for part in re.split("(,)", token) if part)
        else:
            yield kind, token


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    place = 0
    while place < len(text):
        found = _token(text, place)
        if found is None:
            raise errors.rule_invalid(text[place:].strip()[:1])
        place = found.end()
        symbol, quoted, word = found.groups()
        if symbol is not None:
            yield "symbol", symbol
        elif quoted is not None:
            yield "quoted", re.sub(r"\\(.)", r"\1", quoted, flags=re.DOTALL)
        elif word is not None:
            yield "word", word
