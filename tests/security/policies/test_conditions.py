"""Operators of conditions, and patterns."""

from __future__ import annotations

import fnmatch
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atoll.security.policies.conditions import BadValue, compile_test
from atoll.security.policies.patterns import Arns, Variable, matcher, parse


def holds(operator: str, values: Any, found: Any, **more: Any) -> bool:
    """Whether the condition holds if its key `k` has this value in the request."""
    keys = {"k": found, **more}

    def context(key: str) -> tuple[str, ...]:
        value = keys.get(key) or ()
        return (value,) if isinstance(value, str) else tuple(value)

    test = compile_test(operator, "K", values if isinstance(values, list) else [values], variables=True)
    assert test is not None
    return test(context)


@pytest.mark.parametrize(
    ("operator", "values", "found", "expected"),
    [
        ("StringEquals", "a", "a", True),
        ("StringEquals", "a", "A", False),
        ("StringEquals", ["a", "b"], "b", True),
        ("StringEquals", "a*", "ab", False),
        ("StringNotEquals", ["a", "b"], "b", False),
        ("StringNotEquals", ["a", "b"], "c", True),
        ("StringEqualsIgnoreCase", "ab", "AB", True),
        ("StringNotEqualsIgnoreCase", "ab", "AB", False),
        ("StringLike", "a*c?", "abbcd", True),
        ("StringLike", "a*c?", "abbc", False),
        ("StringNotLike", "a*", "abc", False),
        ("StringLike", "${u}*", "ana/1", True),
        ("StringLike", "${star}x", "yx", False),
        ("StringLike", "${*}x", "*x", True),
        ("StringLike", "${*}x", "yx", False),
        ("StringEquals", "${u}", "ana", True),
        ("StringEquals", "${unset}", "ana", False),
        ("StringNotEquals", "${unset}", "ana", True),
        ("StringEquals", "${unset, 'ana'}", "ana", True),
        ("NumericEquals", "10", "10.0", True),
        ("NumericNotEquals", "10", "10.0", False),
        ("NumericLessThan", "10", "9.5", True),
        ("NumericLessThanEquals", "10", "10", True),
        ("NumericGreaterThan", "10", "10", False),
        ("NumericGreaterThanEquals", "10", "1e1", True),
        ("NumericEquals", "10", "ten", False),
        ("DateLessThan", "2026-01-01T00:00:00Z", "2025-12-31T23:59:59Z", True),
        ("DateGreaterThan", "2026-01-01", "1800000000", True),
        ("DateEquals", "1970-01-01T00:01:00Z", "60", True),
        ("DateNotEquals", "1970-01-01T00:01:00Z", "60", False),
        ("Bool", "true", "True", True),
        ("Bool", "false", "true", False),
        ("BinaryEquals", "AQI=", "AQI=", True),
        ("BinaryEquals", "AQI=", "AQM=", False),
        ("IpAddress", "10.0.0.0/8", "10.2.3.4", True),
        ("IpAddress", "10.0.0.1", "10.0.0.2", False),
        ("IpAddress", "2001:db8::/32", "2001:db8::1", True),
        ("NotIpAddress", "10.0.0.0/8", "11.0.0.1", True),
        ("ArnLike", "arn:aws:iam::*:role/o*", "arn:aws:iam::1:role/ops/x:y", True),
        ("ArnLike", "arn:aws:*", "arn:aws:iam::1:role/ops", False),
        ("StringLike", "arn:aws:*", "arn:aws:iam::1:role/ops", True),
        ("ArnNotEquals", "arn:aws:iam::1:role/ops", "arn:aws:iam::1:role/ops", False),
        ("ArnNotLike", "arn:aws:iam::1:role/a", "arn:aws:iam::1:role/ops", True),
        ("ArnEquals", "arn:aws:iam::1:user/${u}", "arn:aws:iam::1:user/ana", True),
        ("Null", "true", "a", False),
        ("Null", "false", "a", True),
        ("Null", "true", None, True),
        ("Null", "false", None, False),
        # A missing key
        ("StringEquals", "a", None, False),
        ("StringNotEquals", "a", None, True),
        ("StringEqualsIfExists", "a", None, True),
        ("StringNotEqualsIfExists", "a", None, True),
        ("StringEqualsIfExists", "a", "b", False),
        ("NotIpAddress", "10.0.0.0/8", None, True),
        ("BoolIfExists", "false", None, True),
        # Sets
        ("ForAllValues:StringEquals", ["a", "b"], ["a", "b", "a"], True),
        ("ForAllValues:StringEquals", ["a", "b"], ["a", "c"], False),
        ("ForAllValues:StringEquals", ["a"], None, True),
        ("ForAnyValue:StringEquals", ["a"], ["a", "c"], True),
        ("ForAnyValue:StringEquals", ["a"], ["c"], False),
        ("ForAnyValue:StringEquals", ["a"], None, False),
        ("ForAnyValue:StringNotEquals", ["a"], None, False),
        ("ForAllValues:StringNotEquals", ["a", "b"], ["c", "d"], True),
        ("ForAllValues:StringNotEquals", ["a", "b"], ["c", "a"], False),
        ("ForAnyValue:StringNotEquals", ["a", "b"], ["a", "c"], True),
        ("ForAnyValue:StringNotEquals", ["a", "b"], ["a", "b"], False),
        ("ForAnyValue:StringLike", ["a*"], ["b", "ab"], True),
    ],
)
def test_an_operator(operator: str, values: Any, found: Any, expected: bool) -> None:
    assert holds(operator, values, found, u="ana", star="*") is expected


@pytest.mark.parametrize("operator", ["StringIs", "NullIfExists", "ForSomeValues:StringEquals", "stringequals", ""])
def test_an_unknown_operator(operator: str) -> None:
    assert compile_test(operator, "k", ["a"], variables=True) is None


@pytest.mark.parametrize(
    ("operator", "value"),
    [("NumericEquals", "ten"), ("DateEquals", "soon"), ("Bool", "yes"), ("IpAddress", "10.0"), ("BinaryEquals", "*"),
     ("Null", "0"), ("NumericEquals", "1e9999")],
)  # fmt: skip
def test_a_value_that_an_operator_cannot_compare(operator: str, value: str) -> None:
    with pytest.raises(BadValue):
        compile_test(operator, "k", [value], variables=True)


TABLE = "arn:aws:dynamodb:us-east-1:111122223333:table/T"


@pytest.mark.parametrize(
    ("pattern", "arn", "expected"),
    [
        ("*", TABLE, True),
        (TABLE, TABLE, True),
        (TABLE, TABLE + "/index/i", False),
        (TABLE + "/*", TABLE + "/index/i", True),
        (TABLE + "/stream/*", TABLE + "/stream/2026-11-29T20:55:19.123", True),
        (TABLE.replace("table/T", "*"), TABLE, True),
        (TABLE.lower(), TABLE, False),
        (TABLE.replace("us-east-1", "*"), TABLE, True),
        (TABLE.replace("us-east-1", "us-*-1"), TABLE, True),
        (TABLE.replace("us-east-1", "us-????-?"), TABLE, True),
        ("arn:aws:dynamodb:*", TABLE, True),
        ("arn:*", TABLE, True),
        ("arn:aws:dynamodb:us-east-1:111122223333", TABLE, False),
        ("arn:aws:dynamodb:*:table/T", TABLE, True),
        ("arn:*:dynamodb:*1:111122223333:table/T", TABLE, True),
        ("arn:*b:us-east-1:111122223333:table/T", TABLE, False),
        ("arn:aws:*:*:*:table/*", TABLE, True),
        ("arn:aws:dynamodb:*:*:table/?", TABLE, True),
    ],
)
def test_a_resource(pattern: str, arn: str, expected: bool) -> None:
    assert Arns(pattern, variables=True).matches(arn, lambda _: ()) is expected


def test_the_worst_pattern_is_matched_at_once() -> None:
    """A pattern of a hundred stars on a long name, which backtracking would try for years."""
    pattern = "arn:aws:dynamodb:*a*a*a:*:table/" + "*a" * 500 + "*b"
    started = time.process_time()
    assert not Arns(pattern, variables=True).matches("arn:aws:dynamodb:aaaa:1:table/" + "a" * 1500, lambda _: ())
    assert not holds("StringLike", "*a" * 500 + "*b", "a" * 2000)
    assert time.process_time() - started < 5


PATTERNS = st.text("ab*?", max_size=8)


@settings(max_examples=500, deadline=None)
@given(PATTERNS, st.text("ab", max_size=8))
def test_patterns_match_as_globs_do(pattern: str, text: str) -> None:
    glob = tuple(token for token in parse(pattern, variables=False) if not isinstance(token, Variable))
    assert bool(matcher(glob)(text)) is fnmatch.fnmatchcase(text, pattern)


def test_many_patterns_on_long_values_take_milliseconds() -> None:
    """A policy of 20 KB has room for thousands of patterns, and a batch names values of 2 KB."""
    values = tuple("a" * 2_000 + str(number) for number in range(25))
    for pattern in ("*b", "*?b", "b*", "*ba*"):
        test = compile_test("ForAnyValue:StringLike", "k", [pattern + str(n) for n in range(3_000)], variables=True)
        assert test is not None
        started = time.process_time()
        assert not test(lambda key: values)
        assert time.process_time() - started < 5
