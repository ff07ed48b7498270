"""Frozen dataclasses as stored JSON: their fields by name."""

from __future__ import annotations

import types
import typing
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from functools import cache
from typing import Any

import orjson


def dump(record: Any) -> bytes:
    return orjson.dumps(plain(record))


def plain(value: Any) -> Any:
    """A record as JSON's own types: its fields, without its cached properties."""
    if is_dataclass(value):
        return {f.name: plain(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, tuple):
        return [plain(v) for v in value]
    return value


def load(cls: type[Any], stored: bytes) -> Any:
    """Load a dataclass that `dump` wrote. Fields that were added later get their defaults."""
    return build(cls, orjson.loads(stored))


def build(cls: type[Any], value: Any) -> Any:
    """The record from the result of `plain`."""
    kind: Any = cls
    return _builder(kind)(value)


Builder = Callable[[Any], Any]


@cache
def _builder(kind: Any) -> Builder:
    """A function that makes values of this type."""
    if is_dataclass(kind):
        return _record_builder(kind)
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if origin in (types.UnionType, typing.Union):
        return _builder(next(a for a in args if a is not type(None)))
    if origin is tuple:
        if len(args) == 2 and args[1] is Ellipsis:
            return _sequence_builder(_builder(args[0]))
        return _tuple_builder([_builder(a) for a in args])
    return _same


def _same(value: Any) -> Any:
    return value


def _record_builder(cls: Any) -> Builder:
    hints = typing.get_type_hints(cls)
    members = [(f.name, _builder(hints[f.name])) for f in fields(cls)]
    simple = frozenset(name for name, make in members if make is _same)
    others = [(name, make) for name, make in members if make is not _same]

    def build_record(value: Any) -> Any:
        if value is None:
            return None
        known = {name: member for name, member in value.items() if name in simple}
        for name, make in others:
            if name in value:
                known[name] = make(value[name])
        return cls(**known)

    return build_record


def _sequence_builder(make: Builder) -> Builder:
    if make is _same:
        return lambda value: None if value is None else tuple(value)
    return lambda value: None if value is None else tuple([make(v) for v in value])


def _tuple_builder(makers: list[Builder]) -> Builder:
    if all(make is _same for make in makers):
        return lambda value: None if value is None else tuple(value)
    return lambda value: None if value is None else tuple([m(v) for m, v in zip(makers, value, strict=True)])
