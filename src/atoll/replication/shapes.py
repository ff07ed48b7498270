"""The shapes of messages between regions, as data, and one function that checks them. Pure.

A shape is a function of a value and of the latest time that a peer may name. It raises `Malformed` if the value does
not have the shape. `SHAPES` has the head of each question and answer. Unknown members of a head are ignored, so that
later versions may add some.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields, is_dataclass
from typing import Any

from atoll.clock import LATEST_MS
from atoll.database import links
from atoll.database.group import (
    ACTIVE,
    CREATING,
    DELETING,
    LEGACY_MULTI_MASTER,
    MULTI_MASTER,
    REMOVED,
    SINGLE_MASTER,
)
from atoll.database.links import Link
from atoll.database.schema import Table
from atoll.replication.enquiries import Facts
from atoll.replication.messages import Malformed
from atoll.replication.source import GONE
from atoll.scaling.replicas import Scale
from atoll.versions import COUNTER_BITS

Shape = Callable[[Any, int], None]

MOST_AHEAD_MS = 24 * 3600 * 1000
"""How far a peer's clock may be ahead: a greater version would win over all writes until then."""
LONGEST_WAIT_MS = 60_000
MEMBERS = 10_000
"""The most members of a list or object of a head, so that checking it does not hold up the event loop."""


def latest_time(now_ms: int) -> int:
    """The latest time that a peer may name now."""
    return min(now_ms + MOST_AHEAD_MS, LATEST_MS) << COUNTER_BITS


def time(value: Any, latest: int) -> None:
    """A hybrid logical clock time."""
    if type(value) is not int or not 0 <= value < 1 << 63:
        raise Malformed(f"{_short(value)} is not a time")
    if value > latest:
        ahead_s = ((value - latest >> COUNTER_BITS) + MOST_AHEAD_MS) // 1000
        raise Malformed(f"it names a time that is {ahead_s} seconds ahead: the clock of one of the two is wrong")


def text(value: Any, latest: int) -> None:
    if type(value) is not str:
        raise Malformed(f"{_short(value)} is not a string")


def flag(value: Any, latest: int) -> None:
    if type(value) is not bool:
        raise Malformed(f"{_short(value)} is not a boolean")


def hexadecimal(value: Any, latest: int) -> None:
    text(value, latest)
    try:
        is_one = bytes.fromhex(value).hex() == value
    except ValueError:
        is_one = False
    if not is_one:
        raise Malformed(f"{_short(value)} is not a hexadecimal number")


def anything(value: Any, latest: int) -> None:
    pass


def number(most: int = (1 << 63) - 1) -> Shape:
    def check(value: Any, latest: int) -> None:
        if type(value) is not int or not 0 <= value <= most:
            raise Malformed(f"{_short(value)} is not a number from 0 to {most}")

    return check


def one_of(*allowed: str) -> Shape:
    def check(value: Any, latest: int) -> None:
        if value not in allowed:
            raise Malformed(f"{_short(value)} is none of {', '.join(allowed)}")

    return check


def maybe(shape: Shape) -> Shape:
    def check(value: Any, latest: int) -> None:
        if value is not None:
            shape(value, latest)

    return check


def listed(shape: Shape) -> Shape:
    def check(value: Any, latest: int) -> None:
        if type(value) is not list:
            raise Malformed(f"{_short(value)} is not a list")
        if len(value) > MEMBERS:
            raise Malformed(f"it is a list of {len(value)}; at most {MEMBERS} are read")
        for member in value:
            shape(member, latest)

    return check


def row(*shapes: Shape) -> Shape:
    def check(value: Any, latest: int) -> None:
        if type(value) is not list or len(value) != len(shapes):
            raise Malformed(f"{_short(value)} is not a list of {len(shapes)}")
        for shape, member in zip(shapes, value, strict=True):
            shape(member, latest)

    return check


def mapping(shape: Shape) -> Shape:
    def check(value: Any, latest: int) -> None:
        if type(value) is not dict:
            raise Malformed(f"{_short(value)} is not an object")
        if len(value) > MEMBERS:
            raise Malformed(f"it is an object of {len(value)}; at most {MEMBERS} are read")
        for member in value.values():
            shape(member, latest)

    return check


def record(shapes: Mapping[str, Shape], optional: Mapping[str, Shape] | None = None) -> Shape:
    def check(value: Any, latest: int) -> None:
        if type(value) is not dict:
            raise Malformed(f"{_short(value)} is not an object")
        for name, shape in shapes.items():
            if name not in value:
                raise Malformed(f"it lacks {name}")
            _member(name, shape, value[name], latest)
        for name, shape in (optional or {}).items():
            if name in value:
                _member(name, shape, value[name], latest)

    return check


def _member(name: str, shape: Shape, value: Any, latest: int) -> None:
    try:
        shape(value, latest)
    except Malformed as error:
        raise Malformed(f"{name}: {error}") from None


def dumped(kind: Any) -> Shape:
    """The shape of a dataclass in the form of `records.dump`."""

    def check(value: Any, latest: int) -> None:
        if not _fits(kind, value):
            raise Malformed(f"{_short(value)} is not a {getattr(kind, '__name__', kind)}")

    return check


def _fits(kind: Any, value: Any) -> bool:
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if kind is Any:
        return True
    if is_dataclass(kind):
        return type(value) is dict and _has_fields(typing.cast(type, kind), value)
    if origin in (types.UnionType, typing.Union):
        return any(_fits(one, value) for one in arguments)
    if origin is tuple:
        if type(value) is not list:
            return False
        if len(arguments) == 2 and arguments[1] is Ellipsis:
            return all(_fits(arguments[0], one) for one in value)
        return len(value) == len(arguments) and all(map(_fits, arguments, value))
    if origin is list:
        return type(value) is list and all(_fits(arguments[0], one) for one in value)
    if origin is dict:
        return type(value) is dict and all(_fits(arguments[1], one) for one in value.values())
    if kind is types.NoneType:
        return value is None
    return type(value) is kind or (kind is float and type(value) is int)


def _has_fields(kind: Any, value: dict[str, Any]) -> bool:
    hints = typing.get_type_hints(kind)
    return all(
        _fits(hints[one.name], value[one.name])
        if one.name in value
        else one.default is not MISSING or one.default_factory is not MISSING
        for one in fields(kind)
    )


def _short(value: Any) -> str:
    shown = repr(value)
    return shown if len(shown) <= 60 else shown[:60] + "..."


# The heads

_VERSION = row(time, text)
_POSITIONS = listed(row(number(), number()))
_STATE = one_of(CREATING, ACTIVE, DELETING, REMOVED)
MEMBER = record(
    {"region": text, "state": _STATE, "time": time, "by": text},
    {"own": listed(row(text, text)), "number": number(), "lost": number(), "own_time": time},
)
ABOUT = record(
    {
        "id": text,
        "kind": one_of(MULTI_MASTER, LEGACY_MULTI_MASTER, SINGLE_MASTER),
        "members": listed(MEMBER),
        "term": number(),
        "master": maybe(text),
        "since": time,
        "settings": _VERSION,
        "seen": listed(row(text, text, time)),
    },
    {"shared": mapping(row(anything, time, text))},
)
"""A replica's copy of its group, see `source.about`."""

_PART = one_of(links.ITEMS, links.TOMBSTONES)
_REPLICA = {"table": text, "group": text, "settings": _VERSION, "told": ABOUT}
_WALK = {"part": _PART, "after": hexadecimal, "began": time, "last": hexadecimal, "all": flag}

QUESTIONS: Mapping[str, Shape] = {
    "table": record({"table": text}),
    "override": record({"table": text, "group": text, "given": mapping(anything)}),
    "scaling": record({"table": text, "changes": listed(dumped(Scale))}),
    "join": record({}),
    "changes": record(
        {**_REPLICA, "table_id": text, "positions": maybe(_POSITIONS), "wants_changes": flag,
         "wait_ms": number(LONGEST_WAIT_MS)},
        {"arrived": row(number(), number(), number())},
    ),
    "rows": record({**_REPLICA, "part": _PART, "after": hexadecimal, "began": time}),
    "items": record({**_REPLICA, **_WALK}),
}  # fmt: skip

ANSWERS: Mapping[str, Shape] = {
    "table": record({"facts": maybe(dumped(Facts))}),
    "override": record({"group": ABOUT}),
    "scaling": record({"settings": mapping(mapping(anything))}),
    "join": record({"joined": flag, "is_new": flag, "group": text, "number": number()}),
    "changes": record(
        {"table_id": text, "asked": record({"table_id": text, "positions": maybe(_POSITIONS)}), "as_of": maybe(time),
         "leaving": flag,
         "rows": listed(row(time, number(), number(), time, text, number())), "group": ABOUT, "missed": number(),
         "pending": number(), "positions": _POSITIONS}
    ),
    "rows": record(
        {"part": _PART, "after": hexadecimal, "began": time, "all": flag, "last": hexadecimal, "table_id": text,
         "group": ABOUT},
        {"positions": _POSITIONS,
         "links": mapping(dumped(Link))},
    ),
    "items": record({**_WALK, "group": ABOUT}),
    GONE: record({"group": record({"id": text}), "known": listed(MEMBER)}),
}  # fmt: skip

TABLE = dumped(Table)
"""The table of an invitation."""
