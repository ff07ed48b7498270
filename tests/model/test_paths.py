from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atoll.errors import ApiError
from atoll.model import paths
from atoll.model.paths import Path

INVALID_PATH = "The document path provided in the update expression is invalid for update"


def n(number: int) -> dict[str, Any]:
    return {"N": str(number)}


def numbers(*members: int) -> dict[str, Any]:
    return {"L": [n(member) for member in members]}


ITEM: dict[str, Any] = {
    "pk": {"S": "1"},
    "a": numbers(0, 1, 2, 3),
    "m": {"M": {"x": numbers(1, 2), "y": n(5)}},
    "l": {"L": [numbers(1, 2, 3), {"M": {"z": n(1), "w": n(2)}}]},
    "empty": {"M": {}},
}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("pk",), {"S": "1"}),
        (("none",), None),
        (("none", "x", 0), None),
        (("a", 2), n(2)),
        (("a", 4), None),
        (("a", "x"), None),
        (("m", "x", 1), n(2)),
        (("m", 0), None),
        (("l", 1, "z"), n(1)),
        (("l", 0, 2), n(3)),
        (("pk", "S"), None),
    ],
)
def test_get(path: Path, value: Any) -> None:
    assert paths.get(ITEM, path) == value


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        ([("pk",), ("none",)], {"pk": {"S": "1"}}),
        ([("a", 2), ("a", 0)], {"a": numbers(0, 2)}),
        ([("a", 9)], {}),
        ([("a", "b")], {}),
        ([("m", "x", 1)], {"m": {"M": {"x": numbers(2)}}}),
        ([("m", "q")], {}),
        ([("m", "x", 5)], {}),
        ([("m", 0)], {}),
        ([("m", "y"), ("m", "x")], {"m": ITEM["m"]}),
        ([("l", 1, "z"), ("l", 0, 2), ("l", 0, 0)], {"l": {"L": [numbers(1, 3), {"M": {"z": n(1)}}]}}),
        ([("l", 1, "q"), ("l", 0, 1)], {"l": {"L": [numbers(2)]}}),
        ([("empty",)], {"empty": {"M": {}}}),
    ],
)
def test_projection(chosen: list[Path], expected: dict[str, Any]) -> None:
    assert paths.project(ITEM, chosen) == expected


@pytest.mark.parametrize(
    ("sets", "removes", "attribute", "expected"),
    [
        ([(("new",), n(1))], [], "new", n(1)),
        ([(("a",), n(1))], [], "a", n(1)),
        ([], [("a",)], "a", None),
        ([], [("none",)], "none", None),
        ([(("m", "new"), n(1))], [("m", "y"), ("m", "q")], "m", {"M": {"x": numbers(1, 2), "new": n(1)}}),
        ([], [("a", 0), ("a", 2)], "a", numbers(1, 3)),
        ([(("a", 1), n(9))], [("a", 0)], "a", numbers(9, 2, 3)),
        ([(("a", 9), n(9)), (("a", 7), n(7))], [("a", 1)], "a", numbers(0, 2, 3, 7, 9)),
        ([(("a", 5), n(5))], [("a", 4)], "a", numbers(0, 1, 2, 3, 5)),
        ([], [("a", 9)], "a", numbers(0, 1, 2, 3)),
        ([(("m", "x", 1), n(9))], [("m", "x", 0)], "m", {"M": {"x": numbers(9), "y": n(5)}}),
        ([(("l", 1, "z"), n(9))], [("l", 0, 1)], "l", {"L": [numbers(1, 3), {"M": {"z": n(9), "w": n(2)}}]}),
        ([(("l", 1, "z"), n(9))], [("l", 0)], "l", {"L": [{"M": {"z": n(9), "w": n(2)}}]}),
        ([], [("m", "x"), ("m", "y")], "m", {"M": {}}),
    ],
)
def test_change(sets: list[tuple[Path, Any]], removes: list[Path], attribute: str, expected: Any) -> None:
    before = copy.deepcopy(ITEM)
    after = paths.changed(ITEM, sets, removes)
    assert after.get(attribute) == expected
    assert before == ITEM
    assert all(after[name] is ITEM[name] for name in ITEM if name != attribute)


@pytest.mark.parametrize(
    "path",
    [
        ("a", "b"),
        ("none", "c"),
        ("m", 0),
        ("m", "q", "c"),
        ("m", "x", 1, "c"),
        ("pk", "S"),
        ("a", 9, "x"),
        ("m", "y", 0),
    ],
)
def test_change_below_a_parent_of_the_wrong_type(path: Path) -> None:
    for sets, removes in (([(path, n(1))], []), ([], [path])):
        with pytest.raises(ApiError) as error:
            paths.changed(ITEM, sets, removes)
        assert error.value.message == INVALID_PATH


def test_text_is_that_of_error_messages() -> None:
    assert paths.text(("a",)) == "[a]"
    assert paths.text(("a", 0, "b")) == "[a, [0], b]"


@pytest.mark.parametrize(
    ("one", "two", "overlap", "conflict"),
    [
        (("a",), ("a",), True, False),
        (("a",), ("a", "b"), True, False),
        (("a", 0), ("a",), True, False),
        (("a", 0), ("a", 1), False, False),
        (("a",), ("b",), False, False),
        (("a", "b"), ("a", 0), False, True),
        (("m", "x", "y"), ("m", "x", 0), False, True),
        (("m", "x", "y"), ("m", "z", 0), False, False),
        (("a", 0, "b"), ("a", 0, 1), False, True),
    ],
)
def test_two_paths_may_overlap_or_conflict(one: Path, two: Path, overlap: bool, conflict: bool) -> None:
    for a, b in ((one, two), (two, one)):
        assert paths.overlap(a, b) is overlap
        assert paths.conflict(a, b) is conflict


@given(st.sets(st.integers(0, 9)), st.integers(0, 7))
def test_removed_positions_are_those_of_before(positions: set[int], length: int) -> None:
    item = {"a": numbers(*range(length))}
    after = paths.changed(item, [], [("a", position) for position in positions])
    assert after["a"] == numbers(*(member for member in range(length) if member not in positions))
