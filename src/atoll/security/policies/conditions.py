"""Conditions of statements, compiled into tests of a request's context.

An operator has a comparison: whether one value of the request matches any value of the policy. Negation, a missing key,
`IfExists` and the set operators work the same for all comparisons:

    missing key     positive: false; negated: true; IfExists: true; ForAllValues: true; ForAnyValue: false
    ForAllValues    every value of the request matches (negated: matches none of the policy's)
    ForAnyValue     some value does
"""

from __future__ import annotations

import base64
import binascii
import operator
import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from atoll.security.policies.patterns import (
    Context,
    Pattern,
    Values,
    Variable,
    arn_like,
    is_static,
    matcher,
    parse,
    resolve,
    static,
)

Test = Callable[[Context], bool]
Matches = Callable[[str, Context], bool]
"""Whether a value of the request matches any value of the policy."""
Comparison = Callable[[Sequence[str], bool], Matches]
"""Makes a comparison from the policy's values, and whether its version has variables."""

FOR_ALL, FOR_ANY, IF_EXISTS = "ForAllValues:", "ForAnyValue:", "IfExists"
_NUMBER_CHARS = 64


class BadValue(Exception):
    """A value that the operator cannot compare."""


def compile_test(name: str, key: str, values: Sequence[str], *, variables: bool) -> Test | None:
    """The test of one key with one operator; None if there is no such operator. Raises `BadValue`."""
    quantifier = next((one for one in (FOR_ALL, FOR_ANY) if name.startswith(one)), "")
    base = name.removeprefix(quantifier)
    key = key.lower()
    if base == "Null":
        return _null(key, values)
    if_exists = base.endswith(IF_EXISTS)
    base = base.removesuffix(IF_EXISTS)
    if base not in _OPERATORS:
        return None
    comparison, negated = _OPERATORS[base]
    matches = comparison(values, variables)
    if not quantifier:
        return _single(key, matches, negated, negated or if_exists)
    known = None if base != "StringEquals" else _known(values, variables)
    if known is not None and quantifier == FOR_ALL:
        return lambda context: known.issuperset(context(key))
    each = all if quantifier == FOR_ALL else any
    absent = quantifier == FOR_ALL or if_exists

    def of_set(context: Context) -> bool:
        given = context(key)
        if len(given) == 1:
            return matches(given[0], context) is not negated
        return each(matches(value, context) is not negated for value in given) if given else absent

    return of_set


def _single(key: str, matches: Matches, negated: bool, absent: bool) -> Test:
    """The test of a key without a set operator: it matches if any of its values does."""

    def test(context: Context) -> bool:
        given = context(key)
        if not given:
            return absent
        if len(given) == 1:
            return matches(given[0], context) is not negated
        return any(matches(value, context) for value in given) is not negated

    return test


def _known(values: Sequence[str], variables: bool) -> frozenset[str] | None:
    """The values as texts; None if any has variables."""
    patterns = [parse(value, variables=variables, wildcards=False) for value in values]
    if not all(map(is_static, patterns)):
        return None
    return frozenset("".join(map(str, pattern)) for pattern in patterns)


def _null(key: str, values: Sequence[str]) -> Test:
    wanted = set(map(_boolean, values))
    return lambda context: (not context(key)) in wanted


# Comparisons


def _equals(values: Sequence[str], variables: bool) -> Matches:
    patterns = [parse(value, variables=variables, wildcards=False) for value in values]
    known = {"".join(map(str, pattern)) for pattern in patterns if is_static(pattern)}
    rest = [pattern for pattern in patterns if not is_static(pattern)]
    if not rest:
        return lambda value, context: value in known
    alone = rest[0][0] if len(patterns) == 1 and len(rest[0]) == 1 else None
    if isinstance(alone, Variable) and alone.default is None:
        key = alone.key
        return lambda value, context: context(key) == (value,)

    def matches(value: str, context: Context) -> bool:
        if value in known:
            return True
        resolved = (resolve(pattern, context) for pattern in rest)
        return any(glob is not None and "".join(map(str, glob)) == value for glob in resolved)

    return matches


def _equals_ignoring_case(values: Sequence[str], variables: bool) -> Matches:
    # Casefold the texts around variables, too: values are compared in any letter case.
    patterns = [parse(value, variables=variables, wildcards=False) for value in values]

    def matches(value: str, context: Context) -> bool:
        resolved = (resolve(pattern, context) for pattern in patterns)
        return any(glob is not None and "".join(map(str, glob)).casefold() == value.casefold() for glob in resolved)

    return matches


def _like(values: Sequence[str], variables: bool) -> Matches:
    patterns = [parse(value, variables=variables) for value in values]
    known = [matcher(static(pattern)) for pattern in patterns if is_static(pattern)]
    rest = [pattern for pattern in patterns if not is_static(pattern)]

    def matches(value: str, context: Context) -> bool:
        for fits in known:
            if fits(value):
                return True
        resolved = (resolve(pattern, context) for pattern in rest)
        return any(glob is not None and matcher(glob)(value) for glob in resolved)

    return matches


def _arn(values: Sequence[str], variables: bool) -> Matches:
    patterns: list[Pattern] = [parse(value, variables=variables) for value in values]
    return lambda value, context: any(arn_like(pattern, context)(value) for pattern in patterns)


def _ordered(read: Callable[[str], Decimal | None], compare: Callable[[Decimal, Decimal], bool]) -> Comparison:
    def comparison(values: Sequence[str], variables: bool) -> Matches:
        known = [_required(read, value) for value in values]

        def matches(value: str, context: Context) -> bool:
            given = read(value)
            return given is not None and any(compare(given, one) for one in known)

        return matches

    return comparison


def _required(read: Callable[[str], Decimal | None], value: str) -> Decimal:
    found = read(value)
    if found is None:
        raise BadValue(value)
    return found


def number(text: str) -> Decimal | None:
    if (
        len(text) > _NUMBER_CHARS
        or re.fullmatch(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,3})?", text, re.ASCII) is None
    ):
        return None
    try:
        return Decimal(text)
    except InvalidOperation:
        return None


def date(text: str) -> Decimal | None:
    """Seconds since 1970. ISO 8601 without a time zone is UTC."""
    if re.fullmatch(r"-?\d{1,15}(\.\d{1,9})?", text, re.ASCII):
        return Decimal(text)
    try:
        found = datetime.fromisoformat(text[:_NUMBER_CHARS])
        return Decimal(str((found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()))
    except (ValueError, OverflowError):
        return None


def _bool(values: Sequence[str], variables: bool) -> Matches:
    wanted = set(map(_boolean, values))
    return lambda value, context: value.lower() in ("true", "false") and (value.lower() == "true") in wanted


def _boolean(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise BadValue(text)
    return text.lower() == "true"


def _binary(values: Sequence[str], variables: bool) -> Matches:
    known = {_bytes(value) for value in values}
    if None in known:
        raise BadValue(next(value for value in values if _bytes(value) is None))
    return lambda value, context: _bytes(value) in known


def _bytes(text: str) -> bytes | None:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None


def _ip(values: Sequence[str], variables: bool) -> Matches:
    networks = [_network(value) for value in values]

    def matches(value: str, context: Context) -> bool:
        given = _address(value)
        return given is not None and any(given in network for network in networks)

    return matches


def _network(text: str) -> IPv4Network | IPv6Network:
    try:
        return ip_network(text, strict=False)
    except ValueError:
        raise BadValue(text) from None


@lru_cache(1024)
def _address(text: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(text)
    except ValueError:
        return None


def _families() -> dict[str, tuple[Comparison, bool]]:
    found: dict[str, tuple[Comparison, bool]] = {
        "StringEquals": (_equals, False),
        "StringNotEquals": (_equals, True),
        "StringEqualsIgnoreCase": (_equals_ignoring_case, False),
        "StringNotEqualsIgnoreCase": (_equals_ignoring_case, True),
        "StringLike": (_like, False),
        "StringNotLike": (_like, True),
        "Bool": (_bool, False),
        "BinaryEquals": (_binary, False),
        "IpAddress": (_ip, False),
        "NotIpAddress": (_ip, True),
    }
    for name in ("ArnEquals", "ArnLike"):
        found[name] = (_arn, False)
        found[name.replace("Arn", "ArnNot")] = (_arn, True)
    for kind, read in (("Numeric", number), ("Date", date)):
        found[f"{kind}NotEquals"] = (_ordered(read, operator.eq), True)
        for name, compare in (
            ("Equals", operator.eq),
            ("LessThan", operator.lt),
            ("LessThanEquals", operator.le),
            ("GreaterThan", operator.gt),
            ("GreaterThanEquals", operator.ge),
        ):
            found[kind + name] = (_ordered(read, compare), False)
    return found


_OPERATORS = _families()
NAMES = tuple(_OPERATORS)
"""The operators, without set operators and `IfExists`. `Null` is not among them."""

__all__ = ["NAMES", "BadValue", "Test", "Values", "compile_test"]
