"""The first argument of SEARCH, an expression that selects metrics: parse it, and find the metrics.

    {AWS/DynamoDB,TableName} Throttle MetricName="ReadThrottleEvents" OR NOT TableName=orders

The braces hold a namespace and the names of all dimensions. Terms follow, joined by AND (which may be omitted), OR and
NOT, with optional parentheses. A term matches a metric's name, its namespace, or the name or value of a dimension; with
`Property=` only that property. A quoted term must equal the whole text; another term must equal some consecutive words
of it. Words begin at capital letters and end at punctuation; case does not matter.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import NamedTuple

from atoll import limits
from atoll.errors import metric_math as errors
from atoll.metrics.series import Metric


class Candidate(NamedTuple):
    """A metric that a search may find."""

    metric: Metric
    words: str
    """All its texts, each as a line of its words with spaces around them."""


Matcher = Callable[[Candidate], bool]

_SCHEMA = re.compile(r'\s*\{((?:"[^"]*"|[^"{}])*)\}')
_NAME = re.compile(r'\s*+(?:"([^"]*)"\s*+|([^",{}]++))(?:,|$)')
_TOKEN = re.compile(r'\s*(?:(?P<symbol>[()])|(?P<term>(?:[^\s()="{}]+=)?(?:"[^"]*"|[^\s()="{}]+)))')
_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+|[^\W0-9A-Za-z_]+")


@lru_cache(100)
def matcher(text: str) -> Matcher:
    schema = _SCHEMA.match(text)
    tokens = list(_tokens(text[schema.end() if schema else 0 :]))
    terms = _Terms(tokens).all() if tokens else None
    if schema is None:
        if terms is None:
            raise errors.syntax("")
        return terms
    namespace, *dimensions = _names(schema[1])
    wanted = tuple(sorted(dimensions))

    def matches(one: Candidate) -> bool:
        metric = one.metric
        if metric.namespace != namespace or tuple([name for name, _ in metric.dimensions]) != wanted:
            return False
        return terms is None or terms(one)

    return matches


def _names(text: str) -> list[str]:
    found: list[str] = []
    place = 0
    while place < len(text) or not found:
        name = _NAME.match(text, place)
        if name is None:
            raise errors.syntax(text[place:] or "}")
        found.append(name[2].rstrip() if name[1] is None else name[1])
        place = name.end()
    return found


def _tokens(text: str) -> Sequence[str]:
    found: list[str] = []
    place = 0
    text = text.rstrip()
    while place < len(text):
        token = _TOKEN.match(text, place)
        if token is None:
            raise errors.syntax(text[place:].strip()[:20])
        found.append(token["symbol"] or token["term"])
        place = token.end()
    return found


class _Terms:
    """A recursive-descent parser: OR binds looser than AND, NOT tightest."""

    def __init__(self, tokens: Sequence[str]) -> None:
        self._tokens = [*tokens, ""]
        self._place = 0
        self._depth = 0

    @property
    def _next(self) -> str:
        return self._tokens[self._place]

    def all(self) -> Matcher:
        found = self._either()
        if self._next:
            raise errors.syntax(self._next)
        return found

    def _either(self) -> Matcher:
        found = [self._both()]
        while self._next == "OR":
            self._place += 1
            found.append(self._both())
        return found[0] if len(found) == 1 else lambda given: any(one(given) for one in found)

    def _both(self) -> Matcher:
        found = [self._one()]
        while self._next not in ("", "OR", ")"):
            if self._next == "AND":
                self._place += 1
            found.append(self._one())
        return found[0] if len(found) == 1 else lambda given: all(one(given) for one in found)

    def _one(self) -> Matcher:
        token = self._next
        self._depth += 1
        if self._depth > limits.MATH_DEPTH:
            raise errors.too_deep()
        if token in ("", ")", "AND", "OR"):
            raise errors.syntax(token)
        self._place += 1
        if token == "NOT":
            denied = self._one()
            found: Matcher = lambda given: not denied(given)  # noqa: E731
        elif token == "(":
            found = self._either()
            if self._next != ")":
                raise errors.syntax(self._next)
            self._place += 1
        else:
            found = _term(token)
        self._depth -= 1
        return found


def _term(token: str) -> Matcher:
    name, equals, value = token.rpartition("=")
    if equals and not name:
        raise errors.syntax(token)
    if value.startswith('"'):
        whole = value[1:-1]
        return lambda given: whole in _texts(given.metric, name)
    part = _words(value)
    if not name:
        return lambda given: part in given.words
    return lambda given: any(part in _words(text) for text in _texts(given.metric, name))


def _texts(metric: Metric, name: str) -> list[str]:
    """The texts that a term is compared with; `name` is a property, empty for all."""
    if name == "MetricName":
        return [metric.name]
    if name == "Namespace":
        return [metric.namespace]
    if name:
        return [value for key, value in metric.dimensions if key == name]
    return [metric.name, metric.namespace, *[text for pair in metric.dimensions for text in pair]]


def candidate(metric: Metric) -> Candidate:
    return Candidate(metric, "\n".join([_words(text) for text in _texts(metric, "")]))


@lru_cache(10_000)
def _words(text: str) -> str:
    """The words with spaces around them, so that consecutive words are a substring."""
    words = _WORDS.findall(text)
    return f" {' '.join(words).lower()} " if words else " "
