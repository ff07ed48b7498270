"""Frozen dataclasses as stored JSON: their fields by name."""

from __future__ import annotations

import types
import typing
from dataclasses import fields, is_dataclass
from typing import Any

import orjson


def dump(record: Any) -> bytes:
    return orjson.dumps(_plain(record))


def _plain(value: Any) -> Any:
    """The fields of a record, without its cached properties."""
    if is_dataclass(value):
        return {f.name: _plain(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, tuple):
        return [_plain(v) for v in value]
    return value


def load(cls: type[Any], stored: bytes) -> Any:
    """Load a dataclass that `dump` wrote. Fields that were added later get their defaults."""
    return _build(cls, orjson.loads(stored))


def _build(kind: Any, value: Any) -> Any:
    if value is None:
        return None
    if is_dataclass(kind):
        cls: Any = kind
        return cls(**{f: _build(t, value[f]) for f, t in _members(cls) if f in value})
    origin = typing.get_origin(kind)
    if origin in (types.UnionType, typing.Union):
        return _build(next(a for a in typing.get_args(kind) if a is not type(None)), value)
    if origin is tuple:
        args = typing.get_args(kind)
        if len(args) == 2 and args[1] is Ellipsis:
            return tuple(_build(args[0], v) for v in value)
        return tuple(_build(a, v) for a, v in zip(args, value, strict=True))
    return value


_MEMBERS: dict[type, list[tuple[str, Any]]] = {}


def _members(cls: type) -> list[tuple[str, Any]]:
    if cls not in _MEMBERS:
        hints = typing.get_type_hints(cls)
        _MEMBERS[cls] = [(f.name, hints[f.name]) for f in fields(cls)]
    return _MEMBERS[cls]
