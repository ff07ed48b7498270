"""Attribute values and items for generated requests.

Alphabets are small on purpose: equal values, prefixes, empty strings, equal numbers in different spelling and type
mismatches must really meet. An attribute's name tells the type that it has *usually* (`TYPICAL`), so that most
expressions over it make sense and the rest probe what happens when they do not.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from hypothesis import strategies as st

T = TypeVar("T")
Draw = Callable[[st.SearchStrategy[T]], T]
Value = dict[str, Any]

STRINGS = ["a", "", "b", "ab", "abc", "A", "é", "😀", "10", "S", "NULL"]
NUMBERS = [
    "0",
    "1",
    "2",
    "-1",
    "10",
    "1.5",
    "1e2",
    "100",
    "-0",
    "00042",
    "0.1",
    "1.50",
    "-1.5E-3",
    "12345678901234567890",
]
EXTREME_NUMBERS = [
    "9.9999999999999999999999999999999999999E125",
    "-9.9999999999999999999999999999999999999E125",
    "1E-130",
    "-1E-130",
    "99999999999999999999999999999999999999",
    "0.00000000000000000000000000000000000001",
    "123456789012345678901234567890.12345678",
    "1e125",
]
BINARIES = ["YQ==", "", "YWI=", "Yg==", "/w==", "AA=="]

strings = st.sampled_from(STRINGS)
numbers = st.sampled_from(NUMBERS) | st.sampled_from(NUMBERS) | st.sampled_from(EXTREME_NUMBERS)
binaries = st.sampled_from(BINARIES)

_distinct_numbers = st.sampled_from(["0", "1", "2", "-1", "10", "1.5", "100", "42"])

BY_TYPE: dict[str, st.SearchStrategy[Value]] = {
    "S": strings.map(lambda text: {"S": text}),
    "N": numbers.map(lambda text: {"N": text}),
    "B": binaries.map(lambda text: {"B": text}),
    "BOOL": st.booleans().map(lambda truth: {"BOOL": truth}),
    "NULL": st.just({"NULL": True}),
    "SS": st.lists(strings, min_size=1, max_size=3, unique=True).map(lambda members: {"SS": members}),
    "NS": st.lists(_distinct_numbers, min_size=1, max_size=3, unique=True).map(lambda members: {"NS": members}),
    "BS": st.lists(binaries, min_size=1, max_size=3, unique=True).map(lambda members: {"BS": members}),
}
scalars = st.one_of(*(BY_TYPE[name] for name in ("S", "N", "B", "BOOL", "NULL")))
sets = st.one_of(BY_TYPE["SS"], BY_TYPE["NS"], BY_TYPE["BS"])


def _optional(**members: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=members)


_inner = _optional(a=BY_TYPE["S"], n=BY_TYPE["N"], ss=BY_TYPE["SS"]).map(lambda members: {"M": members})
BY_TYPE["L"] = st.tuples(
    BY_TYPE["S"], BY_TYPE["N"], _inner, st.lists(BY_TYPE["N"], max_size=2).map(lambda inner: {"L": inner})
).flatmap(lambda four: st.integers(0, 4).map(lambda length: {"L": list(four[:length])}))
BY_TYPE["M"] = _optional(a=BY_TYPE["S"], n=BY_TYPE["N"], l=BY_TYPE["L"], m=_inner, ns=BY_TYPE["NS"]).map(
    lambda members: {"M": members}
)
TYPES = list(BY_TYPE)
anything = st.one_of(*BY_TYPE.values())

TYPICAL = {
    "a": "S",
    "b": "S",
    "n": "N",
    "i": "N",
    "bin": "B",
    "t": "BOOL",
    "u": "NULL",
    "ss": "SS",
    "ns": "NS",
    "bs": "BS",
    "l": "L",
    "m": "M",
    "x-y": "S",  # reachable through a placeholder only
}

# Where in such items a value of a type usually lies.
PATHS: dict[str, list[str]] = {
    "S": ["a", "b", "m.a", "l[0]", "l[2].a", "m.m.a", "x-y"],
    "N": ["n", "i", "m.n", "l[1]", "l[3][0]", "m.l[1]"],
    "B": ["bin"],
    "BOOL": ["t"],
    "NULL": ["u"],
    "SS": ["ss", "m.m.ss", "l[2].ss"],
    "NS": ["ns", "m.ns"],
    "BS": ["bs"],
    "L": ["l", "m.l", "l[3]"],
    "M": ["m", "m.m", "l[2]"],
}
MISSING_PATHS = ["gone", "gone.a", "m.gone", "l[9]", "a.a", "n[0]", "l.a", "m[0]", "ss[0]"]


def chance(draw: Draw[Any], percent: int) -> bool:
    """True in about `percent` of the cases; shrinks to False."""
    return bool(draw(st.integers(0, 99)) >= 100 - percent)


def one_of(draw: Draw[Any], choices: Sequence[T]) -> T:
    found: T = draw(st.sampled_from(choices))
    return found


def typical(draw: Draw[Any], name: str, wild: int) -> Value:
    """A value for an attribute, in `wild` percent of the cases of any type."""
    found: Value = draw(anything if chance(draw, wild) else BY_TYPE[TYPICAL[name]])
    return found


def attributes(draw: Draw[Any], *, wild: int = 10, least: int = 0, most: int = 6) -> dict[str, Value]:
    """An item without its key."""
    names = draw(st.lists(st.sampled_from(list(TYPICAL)), min_size=least, max_size=most, unique=True))
    return {name: typical(draw, name, wild) for name in names}


# Values that the service refuses, or takes and writes differently.
ODD_VALUES: list[Any] = [
    {},
    {"S": "a", "N": "1"},
    {"S": None},
    {"X": "a"},
    {"S": 1},
    {"N": 1},
    {"N": ""},
    {"N": "a"},
    {"N": " 1"},
    {"N": "1 "},
    {"N": "+1"},
    {"N": "1."},
    {"N": ".5"},
    {"N": "1e"},
    {"N": "--1"},
    {"N": "0x10"},
    {"N": "NaN"},
    {"N": "Infinity"},
    {"N": "1_000"},
    {"N": "1,5"},
    {"N": "1e126"},
    {"N": "-1e126"},
    {"N": "1e-131"},
    {"N": "1e999999999999"},
    {"N": "0e500"},
    {"N": "0.0000"},
    {"N": "123456789012345678901234567890123456789"},
    {"N": "123456789012345678901234567890123456780000"},
    {"N": "10000000000000000000000000000000000000000000000000000000"},
    {"N": "0.123456789012345678901234567890123456789"},
    {"B": "a"},
    {"B": "YQ"},
    {"B": "!!!!"},
    {"B": 5},
    {"B": "YQ==\n"},
    {"BOOL": "true"},
    {"BOOL": "x"},
    {"BOOL": 1},
    {"BOOL": None},
    {"NULL": False},
    {"NULL": "no"},
    {"NULL": "true"},
    {"SS": []},
    {"NS": []},
    {"BS": []},
    {"SS": ["a", "a"]},
    {"NS": ["1", "1.0"]},
    {"NS": ["1", "x"]},
    {"NS": [1]},
    {"BS": ["YQ==", "YQ=="]},
    {"BS": ["?"]},
    {"SS": ["a", None]},
    {"SS": ["a", 1]},
    {"SS": "a"},
    {"SS": {}},
    {"SS": ["", "a"]},
    {"L": "a"},
    {"L": {}},
    {"L": [None]},
    {"L": ["a"]},
    {"L": [{}]},
    {"L": []},
    {"M": []},
    {"M": {}},
    {"M": {"a": "a"}},
    {"M": {"a": {}}},
    {"M": {"": {"S": "a"}}},
    {"M": {"a": {"N": "x"}}},
    {"L": [{"SS": []}]},
    {"M": {"a": {"NULL": False}}},
    "a",
    1,
    None,
    [],
    True,
]


def nested(levels: int, kind: str) -> Value:
    """A value `levels` deep, counting itself."""
    value: Value = {"S": "deep"}
    for _ in range(levels - 1):
        value = {"L": [value]} if kind == "L" else {"M": {"m": value}}
    return value
