from __future__ import annotations

from typing import Any

import pytest

from atoll.errors import ApiError
from atoll.expressions import condition
from atoll.expressions.bind import Bindings
from atoll.expressions.tree import And, Compare, Function, Not, PathOperand, ValueOperand

VALUES: dict[str, Any] = {
    ":s": {"S": "x"},
    ":empty": {"S": ""},
    ":n": {"N": "1"},
    ":n2": {"N": "2"},
    ":l": {"L": [{"N": "1"}]},
    ":ab": {"SS": ["a", "b"]},
    ":b": {"B": "YQ=="},
    ":N": {"S": "N"},
}


def n(text: str) -> dict[str, str]:
    return {"N": text}


def s(text: str) -> dict[str, str]:
    return {"S": text}


@pytest.mark.parametrize(
    ("text", "item", "matches"),
    [
        # Equality is of values: sets have no order, numbers no notation.
        ("a = :ab", {"a": {"SS": ["b", "a"]}}, True),
        ("a = :n", {"a": s("1")}, False),
        ("a IN (:ab)", {"a": {"SS": ["b", "a"]}}, True),
        ("a IN (b, :n)", {"a": n("1")}, True),
        # What is missing equals nothing and differs from everything.
        ("a = b", {}, False),
        ("a <> b", {}, True),
        ("a <> :n", {}, True),
        ("NOT a = :n", {}, True),
        ("a < :n", {}, False),
        ("NOT a < :n", {}, True),
        ("a IN (:n)", {}, False),
        ("a BETWEEN :n AND :n2", {}, False),
        # Only strings, numbers and binary of one type have an order.
        ("a < :n2", {"a": n("-10")}, True),
        ("a < :n2", {"a": n("10")}, False),
        ("a < :s", {"a": n("1")}, False),
        ("a >= :n", {"a": n("1")}, True),
        ("a < b", {"a": {"BOOL": False}, "b": {"BOOL": True}}, False),
        ("a > b", {"a": s("\U00010000"), "b": s("\uffff")}, True),
        ("a > :b", {"a": {"B": "/w=="}}, True),
        ("a BETWEEN :n AND :n2", {"a": n("1.5")}, True),
        ("a BETWEEN :n AND :n2", {"a": n("2.5")}, False),
        ("a BETWEEN b AND :n2", {"a": n("2"), "b": s("1")}, False),
        # Functions
        ("attribute_exists(a.q)", {"a": {"M": {"q": {"NULL": True}}}}, True),
        ("attribute_exists(a.q)", {"a": {"L": []}}, False),
        ("attribute_exists(a[1])", {"a": {"L": [n("1")]}}, False),
        ("attribute_not_exists(a.q)", {}, True),
        ("attribute_not_exists(a)", {"a": s("")}, False),
        ("attribute_type(a, :N)", {"a": n("1")}, True),
        ("attribute_type(a, :N)", {"a": s("1")}, False),
        ("attribute_type(a, :N)", {}, False),
        ("begins_with(a, :s)", {"a": s("xyz")}, True),
        ("begins_with(a, :empty)", {"a": s("xyz")}, True),
        ("begins_with(a, :b)", {"a": {"B": "YWI="}}, True),
        ("begins_with(a, :s)", {"a": {"B": "eA=="}}, False),
        ("begins_with(a, b)", {"a": n("12"), "b": n("1")}, False),
        ("contains(a, :s)", {"a": s("wxy")}, True),
        ("contains(a, :s)", {"a": {"SS": ["x"]}}, True),
        ("contains(a, :n)", {"a": {"NS": ["2", "1"]}}, True),
        ("contains(a, :b)", {"a": {"B": "eGF5"}}, True),
        ("contains(a, :b)", {"a": {"BS": ["YQ=="]}}, True),
        ("contains(a, :ab)", {"a": {"L": [{"SS": ["b", "a"]}]}}, True),
        ("contains(a, :ab)", {"a": {"SS": ["a", "b"]}}, False),
        ("contains(a, :s)", {"a": {"M": {"x": s("x")}}}, False),
        ("contains(a, :n)", {"a": s("1")}, False),
        ("contains(:ab, a)", {"a": s("b")}, True),
        # Sizes
        ("size(a) = :n2", {"a": s("\U0001f600")}, True),
        ("size(a) = :n", {"a": s("é")}, True),
        ("size(a) = :n", {"a": {"B": "YQ=="}}, True),
        ("size(a) < :n2", {"a": {"L": [n("5")]}}, True),
        ("size(a) = :n", {"a": n("1")}, False),
        ("size(a) <> :n", {"a": n("1")}, True),
        ("size(a) = :n", {}, False),
        ("size(a) = size(b)", {"a": s("xx"), "b": {"M": {"x": n("1"), "y": n("2")}}}, True),
        # Logic
        ("a = :n OR a = :n2 AND b = :s", {"a": n("1")}, True),
        ("(a = :n OR a = :n2) AND b = :s", {"a": n("1")}, False),
        ("NOT (a = :n AND b = :s)", {"a": n("1"), "b": s("x")}, False),
    ],
)
def test_matches(text: str, item: dict[str, Any], matches: bool) -> None:
    assert Bindings(None, VALUES).condition(text).matches(item) is matches


def test_attributes_are_the_names_of_the_top_level() -> None:
    found = Bindings({"#c": "c.d"}, None).condition("a.x = b[0] OR contains(#c, size(e))").attributes
    assert found == {"a", "b", "c.d", "e"}


def test_a_tree_made_elsewhere_needs_no_text() -> None:
    names_may_look_like_placeholders = PathOperand(("#a",))
    tree = And(
        (
            Compare("=", names_may_look_like_placeholders, ValueOperand("0")),
            Not(Function("contains", (PathOperand(("b",)), ValueOperand("1")))),
        )
    )
    made = condition.compile(tree, {"0": n("1"), "1": s("x")})
    assert made.matches({"#a": n("1"), "b": s("y")})
    assert not made.matches({"#a": n("1"), "b": s("xy")})
    assert made.attributes == {"#a", "b"}


_OPERANDS: list[dict[str, Any]] = [
    *(s(text) for text in ("", "a", "ab", "b", "é")),
    *(n(text) for text in ("-10", "-1.5", "0", "2", "10")),
    *({"B": text} for text in ("", "YQ==", "YWI=", "Yg==")),
    *({"SS": members} for members in (["a", "b"], ["b", "a"], ["ab"])),
    *({"NS": members} for members in (["2", "10"], ["10", "2"], ["0"])),
    *({"BS": members} for members in (["YQ==", "YWI="], ["YWI=", "YQ=="])),
    *({"BOOL": flag} for flag in (True, False)),
    {"NULL": True},
    *({"L": members} for members in ([], [n("2")], [{"SS": ["a", "b"]}, s("a")], [{"SS": ["b", "a"]}, s("a")])),
    *({"M": members} for members in ({}, {"x": {"NS": ["2", "10"]}}, {"x": {"NS": ["10", "2"]}}, {"x": n("2")})),
    {"L": [{"M": {"x": {"NS": ["2", "10"]}}}, {"BOOL": True}, {"B": "YQ=="}]},
]


@pytest.mark.parametrize("text", ["{} = {}", "{} <> {}", "{} < {}", "{} <= {}", "{} > {}", "{} >= {}", "{} IN ({})",
                                  "begins_with({}, {})", "contains({}, {})"])  # fmt: skip
def test_a_constant_is_compared_as_an_attribute_is(text: str) -> None:
    """Each operand as an attribute and as a constant, on either side."""
    for left in _OPERANDS:
        for right in _OPERANDS:
            try:
                known = Bindings(None, {":a": left, ":b": right})
                found = {
                    Bindings(None, None).condition(text.format("a", "b")).matches({"a": left, "b": right}),
                    known.condition(text.format("a", ":b")).matches({"a": left}),
                    known.condition(text.format(":a", "b")).matches({"b": right}),
                    known.condition(text.format(":a", ":b")).matches({}),
                }
            except ApiError as refused:
                assert "Incorrect operand type" in str(refused.message)
                continue
            assert len(found) == 1, (left, right)


@pytest.mark.parametrize("low", [n("-1.5"), s("a"), {"B": "YQ=="}])
@pytest.mark.parametrize("high", [n("2"), s("b"), {"B": "Yg=="}])
def test_the_bounds_of_a_range_are_compared_as_attributes_are(low: dict[str, Any], high: dict[str, Any]) -> None:
    for value in _OPERANDS:
        expected = Bindings(None, None).condition("a BETWEEN b AND c").matches({"a": value, "b": low, "c": high})
        if low.keys() == high.keys():
            bound = Bindings(None, {":b": low, ":c": high}).condition("a BETWEEN :b AND :c")
            assert bound.matches({"a": value}) is expected
        half = Bindings(None, {":b": low}).condition("a BETWEEN :b AND c")
        assert half.matches({"a": value, "c": high}) is expected


@pytest.mark.parametrize("text", ["a IN ({})", "contains(:list, a)"])
def test_several_constants_are_as_good_as_each_of_them(text: str) -> None:
    values = {f":v{position}": value for position, value in enumerate(_OPERANDS)}
    condition = Bindings(None, {**values, ":list": {"L": _OPERANDS}}).condition(text.format(", ".join(values)))
    assert all(condition.matches({"a": value}) for value in _OPERANDS)
    others: list[dict[str, Any]] = [
        *(s("zz"), n("7"), {"SS": ["a"]}, {"NULL": False}),
        *({"L": [{"L": []}]}, {"M": {"x": {"SS": ["2"]}}}),
    ]
    assert not any(condition.matches({"a": other}) for other in others)
