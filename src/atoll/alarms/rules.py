"""The rules of composite alarms: `ALARM(a) AND NOT (OK("b c") OR INSUFFICIENT_DATA(d))`, and TRUE and FALSE. Pure.

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


class Rule(NamedTuple):
    steps: tuple[Is | bool | str, ...]

    @property
    def alarms(self) -> list[str]:
        """The alarms that the rule names, each once: names or ARNs, as the rule has them."""
        return list(dict.fromkeys(step.alarm for step in self.steps if isinstance(step, Is)))

    def holds(self, states: Mapping[str, str | None]) -> bool:
        """Evaluate the rule. `states`: those of the alarms that it names."""
        stack: list[bool] = []
        for step in self.steps:
            if isinstance(step, Is):
                stack.append(states[step.alarm] == step.state)
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
    steps: list[Is | bool | str] = []
    operators: list[str] = []
    needs_operand = True
    for kind, token in tokens:
        if needs_operand and kind == "word" and token in _STATES:
            steps.append(Is(_name(tokens), token))
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
    if len(rule.alarms) > limits.COMPOSITE_CHILDREN or len(rule.steps) > limits.COMPOSITE_ELEMENTS:
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
