"""Conditions as people write them."""

from __future__ import annotations

import pytest

from atoll.options import Refused
from atoll.shell.expressions import Placeholders, filter_of, key_condition_of, projection_of

TYPES = {"pk": "S", "sk": "N", "b": "B", "my-key": "S", "odd key": "S"}


@pytest.mark.parametrize(
    ("text", "condition", "values"),
    [
        ('pk = "a"', "#n0 = :v0", [{"S": "a"}]),
        ("pk = 'it''s'", None, None),
        (r'pk = "say \"hi\""', "#n0 = :v0", [{"S": 'say "hi"'}]),
        ("pk=user#1", "#n0 = :v0", [{"S": "user#1"}]),
        ("pk = 42 AND sk > 5", "#n0 = :v0 AND #n1 > :v1", [{"S": "42"}, {"N": "5"}]),
        ('pk = a and sk between -1 and "2.5"', "#n0 = :v0 AND #n1 BETWEEN :v1 AND :v2",
         [{"S": "a"}, {"N": "-1"}, {"N": "2.5"}]),
        ("pk begins_with order-", "begins_with(#n0, :v0)", [{"S": "order-"}]),
        ("begins_with(pk, 'x y')", "begins_with(#n0, :v0)", [{"S": "x y"}]),
        ("(pk = a) and (sk<=3)", "#n0 = :v0 AND #n1 <= :v1", [{"S": "a"}, {"N": "3"}]),
        ("b = AQI=", "#n0 = :v0", [{"B": "AQI="}]),
        ("my-key = a", "#n0 = :v0", [{"S": "a"}]),
        ("`odd key` = a", "#n0 = :v0", [{"S": "a"}]),
        ("pk = ''", "#n0 = :v0", [{"S": ""}]),
    ],
)  # fmt: skip
def test_a_key_condition(text: str, condition: str | None, values: list[dict[str, str]] | None) -> None:
    placeholders = Placeholders()
    if condition is None:
        with pytest.raises(Refused):
            key_condition_of(text, TYPES, placeholders)
        return
    assert key_condition_of(text, TYPES, placeholders) == condition
    assert list(placeholders.values.values()) == values


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "an attribute of the key is missing"),
        ("pk", "a comparison is missing"),
        ("pk =", "a value of pk is missing"),
        ("pk = a sk = 1", "'and' is missing at 'sk = 1'"),
        ("pk <> a", "'<>' is not a comparison of keys"),
        ("pk == a", "'==' is not a comparison of keys"),
        ("pk != a", "'!=' is not a comparison of keys"),
        ("pk = a or sk = 1", "'and' is missing"),
        ("name = a", "'name' is not in the key, which is pk, sk"),
        ("pk between a", "'and' is missing"),
        ("(pk = a", "')' is missing"),
        ("pk = :v", None),
        ("\x1b[31m", "an attribute of the key is missing"),
    ],
)
def test_invalid_key_conditions(text: str, reason: str | None) -> None:
    if reason is None:  # a value may be any word
        assert key_condition_of(text, TYPES, Placeholders()) == "#n0 = :v0"
        return
    with pytest.raises(Refused, match=reason.replace("(", r"\(").replace(")", r"\)")):
        key_condition_of(text, TYPES, Placeholders())


@pytest.mark.parametrize(
    ("text", "names", "values"),
    [
        ("age >= 18 and not size(tags) < 2", ["age", "tags"], [{"N": "18"}, {"N": "2"}]),
        ('name in ("Ann", "Bob")', ["name"], [{"S": "Ann"}, {"S": "Bob"}]),
        ("a.b[10].size = true or x = null", ["a", "b", "size", "x"], [{"BOOL": True}, {"NULL": True}]),
        ('attribute_type(x, "S") and `in` <> -1.5e3', ["x", "in"], [{"S": "S"}, {"N": "-1.5e3"}]),
        ("größe between 1 and 2", ["größe"], [{"N": "1"}, {"N": "2"}]),
    ],
)
def test_a_filter(text: str, names: list[str], values: list[dict[str, object]]) -> None:
    placeholders = Placeholders()
    filter_of(text, placeholders)
    assert list(placeholders.names.values()) == names
    assert list(placeholders.values.values()) == values


@pytest.mark.parametrize("text", ["a = :v", "#a = 1", 'a = "open', "a ? b"])
def test_invalid_filters(text: str) -> None:
    with pytest.raises(Refused, match="write values in the expression itself"):
        filter_of(text, Placeholders())


@pytest.mark.parametrize(("text", "instead"), [("a == 1", "="), ('b = 2 and a != "x"', "<>")])
def test_a_comparison_of_another_language(text: str, instead: str) -> None:
    with pytest.raises(Refused, match=f"is not a comparison: write {instead}$"):
        filter_of(text, Placeholders())


def test_a_projection() -> None:
    placeholders = Placeholders()
    assert projection_of("a, b.c[0], `x y`", placeholders) == "#n0 , #n1.#n2 [ 0 ] , #n3"
    assert list(placeholders.names.values()) == ["a", "b", "c", "x y"]
