from __future__ import annotations

from atoll.expressions.bind import Bindings
from atoll.model.values import Item

ITEM: Item = {
    "a": {"L": [{"N": "0"}, {"N": "1"}, {"N": "2"}]},
    "m": {"M": {"x": {"S": "x"}, "y": {"S": "y"}}},
    "a.b": {"S": "dotted"},
}


def test_elements_of_a_list_close_ranks_in_their_order() -> None:
    assert Bindings(None, None).projection("a[2], a[0], a[9]").apply(ITEM) == {"a": {"L": [{"N": "0"}, {"N": "2"}]}}


def test_a_placeholder_may_stand_for_a_name_with_a_dot() -> None:
    projection = Bindings({"#n": "a.b"}, None).projection("#n, m.y, nope.x")
    assert projection.apply(ITEM) == {"a.b": {"S": "dotted"}, "m": {"M": {"y": {"S": "y"}}}}
    assert projection.attributes == {"a.b", "m", "nope"}
    assert projection.paths == (("a.b",), ("m", "y"), ("nope", "x"))
