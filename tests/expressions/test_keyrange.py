from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from atoll.expressions.bind import Bindings
from atoll.expressions.keyrange import KeyCondition

VALUES: dict[str, Any] = {
    ":s": {"S": "x"},
    ":s2": {"S": "y"},
    ":n": {"N": "1"},
    ":n2": {"N": "2"},
    ":empty": {"S": ""},
    ":ss": {"SS": ["x"]},
}
PK, SK = ("pk", "S"), ("sk", "N")
S, S2, N, N2 = VALUES[":s"], VALUES[":s2"], VALUES[":n"], VALUES[":n2"]
WIDE = ((("p1", "S"), ("p2", "S")), (("s1", "N"), ("s2", "S")))


def key(text: str, partition: Any = (PK,), sort: Any = (SK,)) -> KeyCondition:
    return Bindings({"#p": "pk"}, VALUES).key_condition(text)(partition, sort)


@pytest.mark.parametrize(
    ("text", "condition"),
    [
        ("#p = :s", KeyCondition((S,), ())),
        ("(sk = :n) AND :s = pk", KeyCondition((S,), (N,))),
        ("pk = :s AND :n < sk", KeyCondition((S,), (), ">", (N,))),
        ("pk = :s AND :n >= sk", KeyCondition((S,), (), "<=", (N,))),
        ("sk BETWEEN :n AND :n2 AND pk = :s", KeyCondition((S,), (), "BETWEEN", (N, N2))),
    ],
)
def test_a_range_of_one_partition(text: str, condition: KeyCondition) -> None:
    assert key(text) == condition


def test_a_prefix_of_strings() -> None:
    found = key("pk = :s AND begins_with(sk, :s2)", sort=(("sk", "S"),))
    assert found == KeyCondition((S,), (), "begins_with", (S2,))


def test_keys_of_several_attributes() -> None:
    assert key("p2 = :s2 AND p1 = :s", *WIDE) == KeyCondition((S, S2), ())
    assert key("p1 = :s AND p2 = :s2 AND s1 > :n", *WIDE) == KeyCondition((S, S2), (), ">", (N,))
    found = key("s2 < :s2 AND p1 = :s AND s1 = :n AND p2 = :s2", *WIDE)
    assert found == KeyCondition((S, S2), (N,), "<", (S2,))


INVALID = "Invalid condition in KeyConditionExpression: "
OPERATOR = "Invalid operator used in KeyConditionExpression: "
TYPE = "One or more parameter values were invalid: Condition parameter type does not match schema type"


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("sk = :n", "Query condition missed key schema element: pk"),
        ("pk = :s AND nope = :n", "Query condition missed key schema element: sk"),
        ("pk = :s AND sk = :n AND nope = :n", "Conditions can be of length 1 or 2 only"),
        ("pk > :s", "Query key condition not supported"),
        ("begins_with(pk, :s)", "Query key condition not supported"),
        ("pk = :s AND pk = :s", "KeyConditionExpressions must only contain one condition per key"),
        ("pk = :s AND sk > :n AND sk < :n2", "KeyConditionExpressions must only contain one condition per key"),
        ("pk = :n", TYPE),
        ("pk = :ss", TYPE),
        ("pk = :s AND begins_with(sk, :s)", TYPE),
        ("pk <> :s", OPERATOR + "<>"),
        ("pk IN (:s)", OPERATOR + "IN"),
        ("pk = :s OR sk = :n", OPERATOR + "OR"),
        ("pk = :s AND NOT sk = :n", OPERATOR + "NOT"),
        ("pk = :s AND contains(sk, :n)", OPERATOR + "contains"),
        ("attribute_exists(pk)", OPERATOR + "attribute_exists"),
        ("size(pk) = :n", "KeyConditionExpressions cannot contain nested operations"),
        ("pk = sk", INVALID + "Multiple attribute names used in one condition"),
        ("pk = :s AND sk BETWEEN :n AND nope", INVALID + "Multiple attribute names used in one condition"),
        (":s = :s", INVALID + "No key attribute specified"),
        (
            "pk = :s AND :n BETWEEN sk AND :n2",
            INVALID + "BETWEEN operator must have the key attribute as its first operand",
        ),
        (
            "pk = :s AND begins_with(:s, sk)",
            INVALID + "begins_with operator must have the key attribute as its first operand",
        ),
        (
            "pk.a = :s",
            "Invalid KeyConditionExpression: KeyConditionExpressions cannot have conditions on nested attributes",
        ),
        (
            "pk = :s AND begins_with(sk, :n)",
            "Invalid KeyConditionExpression: Incorrect operand type for operator or function; "
            "operator or function: begins_with, operand type: N",
        ),
        (
            "pk = :s AND sk BETWEEN :n2 AND :n",
            "Invalid KeyConditionExpression: The BETWEEN operator requires upper bound to be greater than or equal to "
            "lower bound; lower bound operand: AttributeValue: {N:2}, upper bound operand: AttributeValue: {N:1}",
        ),
        (
            "pk = :empty",
            "One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an "
            "empty string value. Key: pk",
        ),
    ],
)
def test_invalid_key_conditions_are_refused(message: Callable[..., str | None], text: str, error: str) -> None:
    assert message(key, text) == error


HASH_EQUALITY = "HASH key attributes p2 must have equality conditions specified in the query"
RANGE_EQUALITY = (
    "RANGE key attributes s1 must have equality conditions specified in the query because a condition is present on "
    "key attribute s2"
)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("p1 = :s", HASH_EQUALITY),
        ("p1 = :s AND p2 = :s AND s2 = :s", RANGE_EQUALITY),
        ("p1 = :s AND p2 = :s AND s1 > :n AND s2 = :s", RANGE_EQUALITY),
        ("p1 = :s AND p2 > :s", HASH_EQUALITY),
    ],
)
def test_gaps_in_keys_of_several_attributes(message: Callable[..., str | None], text: str, error: str) -> None:
    assert message(lambda: key(text, *WIDE)) == error


def test_a_second_condition_without_a_sort_key(message: Callable[..., str | None]) -> None:
    assert message(lambda: key("pk = :s AND sk = :n", (PK,), ())) == "Query key condition not supported"
