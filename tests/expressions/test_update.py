from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest

from atoll.expressions.bind import Bindings

VALUES: dict[str, Any] = {
    ":s": {"S": "x"},
    ":n": {"N": "1"},
    ":n2": {"N": "2"},
    ":l": {"L": [{"N": "1"}]},
    ":a": {"SS": ["a"]},
    ":ab": {"SS": ["a", "b"]},
    ":ns": {"NS": ["1"]},
}
ITEM: dict[str, Any] = {
    "n": {"N": "5"},
    "s": {"S": "q"},
    "set": {"SS": ["a"]},
    "l": {"L": [{"N": "0"}, {"N": "1"}, {"N": "2"}, {"N": "3"}]},
    "m": {"M": {"n": {"N": "1"}, "set": {"SS": ["a"]}, "l": {"L": [{"SS": ["a"]}, {"N": "2"}]}}},
    "big": {"N": "9" * 38},
}


def apply(text: str) -> dict[str, Any]:
    """The attributes that the update changed; None for removed ones."""
    old = deepcopy(ITEM)
    new = Bindings({"#set": "set"}, VALUES).update(text).apply(old)
    assert old == ITEM
    changed = {name: new.get(name) for name in old if new.get(name) != old[name]}
    return changed | {name: value for name, value in new.items() if name not in old}


def numbers(*texts: str) -> dict[str, Any]:
    return {"L": [{"N": text} for text in texts]}


@pytest.mark.parametrize(
    ("text", "changed"),
    [
        ("SET q = n, n = :s", {"q": {"N": "5"}, "n": {"S": "x"}}),
        ("SET n = s, s = n", {"n": {"S": "q"}, "s": {"N": "5"}}),
        ("SET n = n + :n, q = n - :n2", {"n": {"N": "6"}, "q": {"N": "3"}}),
        ("SET q = if_not_exists(q, :n) + :n2", {"q": {"N": "3"}}),
        ("SET q = if_not_exists(n, :n2)", {"q": {"N": "5"}}),
        ("SET q = list_append(:l, if_not_exists(q, :l))", {"q": numbers("1", "1")}),
        ("SET m.x = :s, m.n = m.l", {"m": {"M": {**ITEM["m"]["M"], "x": {"S": "x"}, "n": ITEM["m"]["M"]["l"]}}}),
        ("REMOVE n, nope, m.nope", {"n": None}),
        # Positions are those of the list as it was; past its end values are appended in order.
        ("SET l[9] = :n2, l[7] = :s", {"l": {"L": [*ITEM["l"]["L"], {"S": "x"}, {"N": "2"}]}}),
        ("SET l[1] = l[0], l[0] = l[1]", {"l": numbers("1", "0", "2", "3")}),
        ("REMOVE l[0], l[2]", {"l": numbers("1", "3")}),
        ("REMOVE l[0] SET l[1] = :s", {"l": {"L": [{"S": "x"}, {"N": "2"}, {"N": "3"}]}}),
        ("REMOVE l[9]", {}),
        ("REMOVE l[1] ADD l[2] :n", {"l": numbers("0", "3", "3")}),
        # ADD and DELETE
        ("ADD n :n2, q :n, r :ab", {"n": {"N": "7"}, "q": {"N": "1"}, "r": {"SS": ["a", "b"]}}),
        ("ADD #set :ab", {"set": {"SS": ["a", "b"]}}),
        ("ADD l[9] :n", {"l": numbers("0", "1", "2", "3", "1")}),
        ("DELETE #set :ab", {"set": None}),
        ("DELETE q :ab", {}),
        ("DELETE m.l[0] :a", {"m": {"M": {**ITEM["m"]["M"], "l": numbers("2")}}}),
        ("DELETE m.#set :a", {"m": {"M": {"n": {"N": "1"}, "l": ITEM["m"]["M"]["l"]}}}),
    ],
)
def test_changes(text: str, changed: dict[str, Any]) -> None:
    assert apply(text) == changed


MISSING = "The provided expression refers to an attribute that does not exist in the item"
PATH = "The document path provided in the update expression is invalid for update"
OPERAND = "An operand in the update expression has an incorrect data type"


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("SET q = w", MISSING),
        ("SET q = :n + w", MISSING),
        ("SET q = l[9]", MISSING),
        ("SET q = list_append(l, w)", MISSING),
        ("SET q = if_not_exists(w, v)", MISSING),
        ("SET q = if_not_exists(n, w)", MISSING),
        ("SET q = s + :n", OPERAND),
        ("SET q = if_not_exists(w, :s) + :n", OPERAND),
        ("SET q = list_append(s, :l)", OPERAND),
        ("ADD s :n", OPERAND),
        ("ADD n :ab", OPERAND),
        ("ADD #set :ns", OPERAND),
        ("DELETE #set :ns", OPERAND),
        ("DELETE n :ab", OPERAND),
        ("SET q.x = :s", PATH),
        ("SET q[0] = :s", PATH),
        ("SET n.x = :s", PATH),
        ("SET l.x = :s", PATH),
        ("SET m[0] = :s", PATH),
        ("REMOVE q.x", PATH),
        ("REMOVE m.x.y", PATH),
        ("DELETE q.x :ab", PATH),
        ("ADD q.x :n", PATH),
        ("SET q.x = q.x + :n", PATH),
        ("ADD big :n", None),
        (
            "SET q = big + n",
            "Number overflow. Attempting to store a number with magnitude larger than supported range",
        ),
    ],
)
def test_update_errors_that_depend_on_the_item(
    message: Callable[..., str | None], text: str, error: str | None
) -> None:
    if error is None:
        assert apply(text) == {"big": {"N": "1" + "0" * 38}}
    else:
        assert message(apply, text) == error


def test_an_upsert_starts_from_the_key() -> None:
    update = Bindings(None, VALUES).update("ADD n :n SET s = :s")
    assert update.apply({"pk": {"S": "a"}}) == {"pk": {"S": "a"}, "n": {"N": "1"}, "s": {"S": "x"}}
    assert update.attributes == {"n", "s"}


@pytest.mark.parametrize(
    ("text", "old", "new"),
    [
        ("SET m.n = :s REMOVE s", {"m": {"M": {"n": {"N": "1"}}}, "s": {"S": "q"}}, {"m": {"M": {"n": {"S": "x"}}}}),
        ("SET l[9] = :s", {}, {}),
        ("REMOVE l[1]", {"l": numbers("1")}, {"l": numbers("2")}),
        ("REMOVE l[3]", {"l": numbers("3")}, {}),
        ("DELETE #set :a SET q = :n", {"set": {"SS": ["a"]}}, {"q": {"N": "1"}}),
    ],
)
def test_touched_values_are_those_at_the_paths(text: str, old: dict[str, Any], new: dict[str, Any]) -> None:
    update = Bindings({"#set": "set"}, VALUES).update(text)
    assert update.touched(ITEM) == old
    assert update.touched(update.apply(ITEM)) == new
