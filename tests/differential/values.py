"""Attribute values and items for generated requests.

Alphabets are small on purpose: equal values, prefixes, empty strings, equal numbers in different spelling and type
mismatches must really meet. An attribute's name tells the type that it has *usually* (`TYPICAL`), so that most
expressions over it make sense and the rest probe what happens when they do not.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from typing import Any, TypeVar

T = TypeVar("T")
Value = dict[str, Any]
Maker = Callable[[Random], Value]

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
DISTINCT_NUMBERS = ["0", "1", "2", "-1", "10", "1.5", "100", "42"]
BINARIES = ["YQ==", "", "YWI=", "Yg==", "/w==", "AA=="]

_INNER_NAMES = {"a": "S", "n": "N", "ss": "SS"}
_MEMBERS = {"a": "S", "n": "N", "l": "L", "ns": "NS"}


def chance(random: Random, percent: int) -> bool:
    """True in about `percent` of the cases."""
    return random.random() * 100 < percent


def some(random: Random, choices: Sequence[T], least: int, most: int) -> list[T]:
    """Different ones of the choices, in any order."""
    return random.sample(choices, random.randint(least, min(most, len(choices))))


def _number(random: Random) -> str:
    return random.choice(EXTREME_NUMBERS if chance(random, 33) else NUMBERS)


def _list(random: Random) -> Value:
    numbers = [BY_TYPE["N"](random) for _ in range(random.randint(0, 2))]
    elements = [BY_TYPE["S"](random), BY_TYPE["N"](random), _inner(random), {"L": numbers}]
    return {"L": elements[: random.randint(0, 4)]}


def _map(random: Random) -> Value:
    members = {name: BY_TYPE[kind](random) for name, kind in _MEMBERS.items() if chance(random, 50)}
    return {"M": members | ({"m": _inner(random)} if chance(random, 50) else {})}


def _inner(random: Random) -> Value:
    return {"M": {name: BY_TYPE[kind](random) for name, kind in _INNER_NAMES.items() if chance(random, 50)}}


BY_TYPE: dict[str, Maker] = {
    "S": lambda random: {"S": random.choice(STRINGS)},
    "N": lambda random: {"N": _number(random)},
    "B": lambda random: {"B": random.choice(BINARIES)},
    "BOOL": lambda random: {"BOOL": chance(random, 50)},
    "NULL": lambda random: {"NULL": True},
    "SS": lambda random: {"SS": some(random, STRINGS, 1, 3)},
    "NS": lambda random: {"NS": some(random, DISTINCT_NUMBERS, 1, 3)},
    "BS": lambda random: {"BS": some(random, BINARIES, 1, 3)},
    "L": _list,
    "M": _map,
}
TYPES = list(BY_TYPE)


def anything(random: Random) -> Value:
    return BY_TYPE[random.choice(TYPES)](random)


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


def typical(random: Random, name: str, wild: int) -> Value:
    """A value for an attribute, in `wild` percent of the cases of any type."""
    return anything(random) if chance(random, wild) else BY_TYPE[TYPICAL[name]](random)


def attributes(random: Random, *, wild: int = 10, least: int = 0, most: int = 6) -> dict[str, Value]:
    """An item without its key."""
    return {name: typical(random, name, wild) for name in some(random, list(TYPICAL), least, most)}


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
