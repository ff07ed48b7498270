"""Smithy's RPC v2 protocol with CBOR: request and answer are CBOR maps. Pure, and driven by the service's shapes.

On the wire, times have the tag 1, because clients that check types do not read untagged numbers as times; internally
they are seconds since 1970. Only the types of the protocol are read, not the dates, regular expressions and references
that the library supports by other tags.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import datetime
from io import SEEK_CUR, BytesIO
from typing import Any

import cbor2

from atoll import errors
from atoll.api.large import empty
from atoll.api.service_model import Shape

_EPOCH = 1
_DEPTH = 32


def decode(body: bytes) -> dict[str, Any]:
    if not body:
        return {}
    try:
        given = _loads(body)
        found = _plain(given, 0)
    except (_Unreadable, ValueError, RecursionError, MemoryError, OverflowError, TypeError, EOFError):
        raise errors.serialization() from None
    except cbor2.CBORError:
        raise errors.serialization() from None
    if type(found) is not dict:
        raise errors.serialization()
    empty(given)  # freeing all of it at once takes long
    return found


def _loads(body: bytes) -> Any:
    """No other thread runs while the library decodes, so the containers of a body with many of them are decoded one by
    one. The count may be too high, since bytes of text and numbers can look like containers; that only costs time."""
    heads = len(body) - len(body.translate(None, _CONTAINER_HEADS))
    if heads <= MANY_HEADS:
        return cbor2.loads(body, **_STRICT)
    file = BytesIO(body)
    return _members(cbor2.CBORDecoder(file, **_STRICT), file, body, 0)


def _members(decoder: cbor2.CBORDecoder, file: BytesIO, body: bytes, depth: int) -> Any:
    """The next value; each member of an array or a map of known size is decoded on its own."""
    start = file.tell()
    head = body[start] if start < len(body) else 0
    kind, size = head & 0xE0, head & 0x1F
    width = _WIDTHS.get(size, 0)
    begin = start + 1 + width
    if kind not in (_ARRAY, _MAP) or begin > len(body) or (size > 26 and size != _UNTIL_BREAK):
        return decoder.decode()
    if depth > _DEPTH:
        raise _Unreadable
    if width:
        size = int.from_bytes(body[start + 1 : begin], "big")
    file.seek(begin)
    found: list[Any] = []
    left = -1 if size == _UNTIL_BREAK and not width else size if kind == _ARRAY else 2 * size
    while left > 0 or (left < 0 and body[file.tell() : file.tell() + 1] != _BREAK):
        if kind == _MAP and len(found) % 2 == 0 and body[file.tell() : file.tell() + 1] not in _TEXT_HEADS:
            raise _Unreadable  # a name that is no text
        found.append(_members(decoder, file, body, depth + 1))
        left -= 1 if left > 0 else 0
    if left < 0:
        file.seek(1, SEEK_CUR)
        if kind == _MAP and len(found) % 2:
            raise _Unreadable
    return found if kind == _ARRAY else dict(zip(found[::2], found[1::2], strict=True))


MANY_HEADS = 100_000
_CONTAINER_HEADS = bytes(range(0x80, 0xC0))
_TEXT_HEADS = frozenset(bytes([head]) for head in range(0x60, 0x80))
_WIDTHS = {24: 1, 25: 2, 26: 4}
_UNTIL_BREAK, _BREAK = 31, b"\xff"


class _Unreadable(Exception):
    pass


def _refuse(*_: Any) -> Any:
    raise _Unreadable


_STRICT: Any = {
    "max_depth": _DEPTH,
    "strict_hashable_types": True,
    # References to values, by which few bytes could mean many values, and regular expressions.
    "semantic_decoders": dict.fromkeys((25, 28, 29, 35, 256), _refuse),
}


def _plain(value: Any, depth: int) -> Any:
    if depth > _DEPTH:
        raise _Unreadable
    if value is None or value is cbor2.undefined:
        return None
    kind = type(value)
    if kind in (str, bool, int, float):
        return value
    if kind in (list, tuple):
        return [_plain(one, depth + 1) for one in value]
    if kind is datetime:
        return value.timestamp()
    if kind is dict:
        if not all(type(name) is str for name in value):
            raise _Unreadable
        return {name: found for name, one in value.items() if (found := _plain(one, depth + 1)) is not None}
    raise _Unreadable


def encode(shape: Shape | None, value: Any) -> bytes:
    return b"".join(_pieces(_tagged(shape, value or {})))


def _pieces(value: Any) -> Iterator[bytes]:
    """The encoded value. No other thread runs while the library encodes, so long lists are encoded piece by piece."""
    if type(value) is dict:
        yield _head(_MAP, len(value))
        for name, one in value.items():
            yield cbor2.dumps(name)
            yield from _pieces(one)
    elif type(value) is list and len(value) > PIECE:
        yield _head(_ARRAY, len(value))
        for start in range(0, len(value), PIECE):
            piece = value[start : start + PIECE]
            yield cbor2.dumps(piece)[len(_head(_ARRAY, len(piece))) :]
    elif type(value) is list:
        yield _head(_ARRAY, len(value))
        for one in value:
            yield from _pieces(one)
    else:
        yield cbor2.dumps(value)


def _head(kind: int, size: int) -> bytes:
    """The first bytes of a map or an array."""
    for code, width in ((24, 1), (25, 2), (26, 4)):
        if size < 24:
            return bytes([kind | size])
        if size < 1 << 8 * width:
            return bytes([kind | code]) + size.to_bytes(width, "big")
    raise ValueError(size)


_ARRAY, _MAP = 0x80, 0xA0
PIECE = 1_000


def _tagged(shape: Shape | None, value: Any) -> Any:
    if shape is None:
        return value
    if shape.kind == "timestamp":
        return cbor2.CBORTag(_EPOCH, float(value))
    if shape.kind == "structure" and isinstance(value, dict):
        return {name: _tagged(shape.members.get(name), one) for name, one in value.items() if one is not None}
    if shape.kind == "map" and isinstance(value, dict):
        return {name: _tagged(shape.item, one) for name, one in value.items()}
    if shape.kind == "list" and isinstance(value, list | tuple):
        if shape.item is not None and shape.item.kind in ("string", "double", "integer"):
            return list(value)
        return [_tagged(shape.item, one) for one in value]
    if shape.kind == "double" and isinstance(value, int) and math.isfinite(value):
        return float(value)
    return value
