"""Attribute values from plain values of Python."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from atoll.attribute_values import Unfit, Value, attribute_value


@pytest.mark.parametrize(
    ("plain", "value"),
    [
        (None, {"NULL": True}),
        ("a", {"S": "a"}),
        (False, {"BOOL": False}),
        (1, {"N": "1"}),
        (1.5, {"N": "1.5"}),
        (Decimal("1.50"), {"N": "1.50"}),
        (b"\x00\x01", {"B": "AAE="}),
        ([True, [None]], {"L": [{"BOOL": True}, {"L": [{"NULL": True}]}]}),
        ({"a": {"b": "c"}, 1: []}, {"M": {"a": {"M": {"b": {"S": "c"}}}, "1": {"L": []}}}),
    ],
)
def test_each_type_of_python_has_a_type_of_attributes(plain: Any, value: Value) -> None:
    assert attribute_value(plain) == value


def test_a_type_without_a_place_is_refused_however_deep_it_is() -> None:
    with pytest.raises(Unfit, match=r"^complex$"):
        attribute_value({"a": [1, {"b": 1j}]})


def test_special_types_come_first_at_every_depth() -> None:
    def tagged(value: Any) -> Value | None:
        return {"SS": sorted(value)} if isinstance(value, frozenset) else {"S": "one"} if value == 1 else None

    assert attribute_value([frozenset("ba"), {"a": 1}, 2], tagged) == {
        "L": [{"SS": ["a", "b"]}, {"M": {"a": {"S": "one"}}}, {"N": "2"}]
    }
