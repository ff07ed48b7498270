"""Policy documents: their grammar, checked and compiled.

Three kinds of documents differ in two elements: identity policies have no Principal, trust policies no Resource.
An element that may be a list may also be a single value. `Malformed` has the service's text for a fault.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum, auto
from functools import lru_cache
from typing import Any

import orjson

from atoll.errors import policies as texts
from atoll.security.policies import patterns
from atoll.security.policies.conditions import BadValue, Test, compile_test
from atoll.security.policies.patterns import Arns, Context
from atoll.security.policies.principals import ANYONE, Principals, section_names

VERSIONS = ("2012-10-17", "2008-10-17")
_SECTIONS = ("AWS", "Federated", "Service", "CanonicalUser")
_MEMBERS = frozenset({"Version", "Id", "Statement"})
_ELEMENTS = frozenset(
    {
        "Sid", "Effect", "Principal", "NotPrincipal", "Action", "NotAction", "Resource", "NotResource", "Condition",
    }
)  # fmt: skip
_DEPTH = 64


class Malformed(Exception):
    """The document is not a policy; the message says why."""


class Kind(Enum):
    IDENTITY = auto()
    """Identity policies; also boundaries, session policies and service control policies."""
    RESOURCE = auto()
    TRUST = auto()


@dataclass(frozen=True, slots=True, eq=False)
class Statement:
    number: int
    """Its number in the policy, from 1."""
    sid: str | None
    allow: bool
    actions: tuple[str, ...]
    """Patterns in lower case."""
    not_actions: bool
    resources: tuple[Arns, ...]
    """None for a trust policy, which concerns every resource."""
    not_resources: bool
    principals: Principals | None
    tests: tuple[Test, ...]
    """The conditions: all must hold."""

    def has_action(self, action: str) -> bool:
        return any(_action_matches(one, action.lower()) for one in self.actions) is not self.not_actions

    @property
    def is_static(self) -> bool:
        """Whether its resources have no variables."""
        return all(one.is_static for one in self.resources)

    def has_resource(self, arn: str, context: Context) -> bool:
        if not self.resources:
            return True
        return any(one.matches(arn, context) for one in self.resources) is not self.not_resources


@lru_cache(8_192)
def _action_matches(pattern: str, action: str) -> bool:
    tokens = patterns.parse(pattern, variables=False)
    return bool(patterns.matcher(tuple(t for t in tokens if not isinstance(t, patterns.Variable)))(action))


@dataclass(frozen=True, slots=True, eq=False)
class Policy:
    statements: tuple[Statement, ...]
    document: Any
    """The given document."""


EMPTY = Policy((), {})


def loads(text: str) -> Any:
    """The JSON of a policy, without members that appear twice."""
    try:
        return orjson.loads(text)
    except (orjson.JSONDecodeError, UnicodeEncodeError):
        raise Malformed(texts.NOT_JSON) from None


def parse(document: Any, kind: Kind) -> Policy:
    """Parse a policy. Raises `Malformed`."""
    if not isinstance(document, dict):
        raise Malformed(texts.SYNTAX)
    unknown = document.keys() - _MEMBERS
    if unknown:
        raise Malformed(texts.unknown_element(min(map(str, unknown))))
    version = document.get("Version", VERSIONS[1])
    if version not in VERSIONS:
        raise Malformed(texts.VERSION)
    if "Id" in document and not isinstance(document["Id"], str):
        raise Malformed(texts.SYNTAX)
    given = document.get("Statement")
    if given is None:
        raise Malformed(texts.missing("Statement"))
    rows = given if isinstance(given, list) else [given]
    if not rows:
        raise Malformed(texts.NO_STATEMENT)
    statements = tuple(
        _statement(row, number, kind, variables=version == VERSIONS[0]) for number, row in enumerate(rows, start=1)
    )
    sids = [one.sid for one in statements if one.sid]
    if len(set(sids)) < len(sids):
        raise Malformed(texts.SIDS_TWICE)
    return Policy(statements, document)


def _statement(row: Any, number: int, kind: Kind, *, variables: bool) -> Statement:
    if not isinstance(row, dict):
        raise Malformed(texts.SYNTAX)
    unknown = row.keys() - _ELEMENTS
    if unknown:
        raise Malformed(texts.unknown_element(min(map(str, unknown))))
    sid = row.get("Sid")
    if sid is not None and not isinstance(sid, str):
        raise Malformed(texts.SYNTAX)
    if sid and kind is Kind.IDENTITY and re.fullmatch("[A-Za-z0-9]*", sid) is None:
        raise Malformed(texts.SID_CHARACTERS)
    effect = row.get("Effect")
    if effect is None:
        raise Malformed(texts.missing("Effect"))
    if not isinstance(effect, str) or effect.lower() not in ("allow", "deny"):
        raise Malformed(texts.invalid_effect(effect if isinstance(effect, str) else None))
    principals = _principals(row, kind)
    actions, not_actions = _either(row, "Action")
    for action in actions:
        if action != "*" and re.fullmatch(r"[A-Za-z0-9-]+:[A-Za-z0-9*?]+", action) is None:
            raise Malformed(texts.bad_action(action))
    resources: list[str] = []
    not_resources = False
    if kind is not Kind.TRUST:
        resources, not_resources = _either(row, "Resource")
        for resource in resources:
            if resource != "*" and not resource.startswith("arn:"):
                raise Malformed(texts.bad_resource(resource))
    elif "Resource" in row or "NotResource" in row:
        raise Malformed(texts.TRUST_RESOURCE)
    return Statement(
        number,
        sid,
        effect.lower() == "allow",
        tuple(action.lower() for action in actions),
        not_actions,
        tuple(Arns(resource, variables=variables) for resource in resources),
        not_resources,
        principals,
        _tests(row.get("Condition", {}), variables=variables),
    )


def _either(row: dict[str, Any], name: str) -> tuple[list[str], bool]:
    """The values of an element or its negation, of which a statement has exactly one, and whether it is the
    negation."""
    negation = f"Not{name}"
    if name in row and negation in row:
        raise Malformed(texts.both(name))
    if name not in row and negation not in row:
        raise Malformed(texts.missing(name))
    values = _strings(row.get(name, row.get(negation)))
    if not values:
        raise Malformed(texts.missing(name))
    return values, negation in row


def _strings(given: Any) -> list[str]:
    values = given if isinstance(given, list) else [given]
    if not all(isinstance(value, str) for value in values):
        raise Malformed(texts.SYNTAX)
    return values


def _principals(row: dict[str, Any], kind: Kind) -> Principals | None:
    negated = "NotPrincipal" in row
    if kind is Kind.IDENTITY:
        if negated or "Principal" in row:
            raise Malformed(texts.IDENTITY_PRINCIPAL)
        return None
    if negated and "Principal" in row:
        raise Malformed(texts.both("Principal"))
    if not negated and "Principal" not in row:
        raise Malformed(texts.missing("Principal"))
    given = row["NotPrincipal" if negated else "Principal"]
    if given == ANYONE:
        return Principals(frozenset(), everybody=True, negated=negated)
    if not isinstance(given, dict) or not given:
        raise Malformed(texts.SYNTAX)
    names: set[tuple[str, str]] = set()
    for section, values in given.items():
        if section not in _SECTIONS:
            raise Malformed(texts.SYNTAX)
        names.update(section_names(section, _strings(values)))
    if not names:
        raise Malformed(texts.missing("Principal"))
    return Principals(frozenset(names), everybody=False, negated=negated)


def _tests(condition: Any, *, variables: bool) -> tuple[Test, ...]:
    if not isinstance(condition, dict):
        raise Malformed(texts.SYNTAX)
    found: list[Test] = []
    for name, keys in condition.items():
        if not isinstance(keys, dict):
            raise Malformed(texts.SYNTAX)
        for key, given in keys.items():
            values = [_value(value) for value in (given if isinstance(given, list) else [given])]
            try:
                test = compile_test(name, key, values, variables=variables)
            except BadValue as error:
                raise Malformed(texts.bad_condition_value(str(error), name)) from None
            if test is None:
                raise Malformed(texts.unknown_operator(name))
            found.append(test)
    return tuple(found)


def _value(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    raise Malformed(texts.SYNTAX)
