"""Content-Encoding: expand compressed requests, and compress answers if the client's Accept-Encoding allows. Pure.

The service supports `gzip` and `deflate`, which is the zlib format. A compressed answer's `x-amz-crc32` is that of the
compressed bytes.
"""

from __future__ import annotations

import re
import zlib
from functools import lru_cache

from isal import isal_zlib

from atoll import limits

GZIP, DEFLATE = "gzip", "deflate"

LEAST_BYTES = 4_096
"""Answers of more bytes are compressed."""

INLINE_BYTES = 256 * 1024
"""Larger bodies take over a few milliseconds, so they are compressed and decompressed in a thread."""

INLINE_INPUT_BYTES = 64 * 1024
"""So are larger compressed bodies, since a few bytes may be a whole member of a gzip body."""

_WINDOW = {GZIP: 31, DEFLATE: 15}
"""zlib's parameter of the format."""

_LEVEL = 1

_INPUT_BYTES = 8 * 1024
"""A decompressor gets this many bytes at a time, because it copies all bytes after the end of its stream."""

_GZIP_HEADER = b"\x1f\x8b\x08"
_GZIP_HEADER_BYTES = 10


class Undecodable(Exception):
    """The body is not what its Content-Encoding says, or exceeds the limit when it is decompressed."""


def coding_of(content_encoding: bytes) -> str | None:
    """The coding of a request's body; None for a plain one."""
    name = content_encoding.strip().lower().decode("latin-1")
    if name in ("", "identity"):
        return None
    if name not in _WINDOW:
        raise Undecodable("its Content-Encoding is neither gzip nor deflate")
    return name


def inflate(body: bytes, coding: str, most: int = limits.REQUEST_BYTES) -> bytes | None:
    """The decompressed body; None if it has more bytes than `most`."""
    found = bytearray()
    left, at = most, 0
    while True:
        stream = zlib.decompressobj(_WINDOW[coding])
        while not stream.eof:
            given = body[at : at + _INPUT_BYTES]
            if not given:
                raise Undecodable("its compressed body is incomplete")
            try:
                part = stream.decompress(given, left + 1)
            except zlib.error:
                raise Undecodable("its body is not what its Content-Encoding says") from None
            left -= len(part)
            if left < 0:
                return None
            found += part
            at += len(given) - len(stream.unused_data)
        # A gzip body may have several members. The service ignores anything else that follows a member.
        if coding == DEFLATE or body[at : at + 3] != _GZIP_HEADER or len(body) - at < _GZIP_HEADER_BYTES:
            break
    if coding == DEFLATE and at < len(body):
        raise Undecodable("more bytes follow its compressed body")
    return bytes(found)


def deflate(body: bytes, coding: str) -> bytes:
    compressed: bytes = isal_zlib.compress(body, _LEVEL, _WINDOW[coding])
    return compressed


_QUALITY = re.compile(r"q= *([^;]*)")
_NUMBER = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)")


@lru_cache(256)
def accepted(accept_encoding: bytes) -> str | None:
    """The coding for an answer to a request with this header; None for no coding.

    The greatest quality decides, then the order of the names. `*` gives its quality to the names that are not given,
    gzip first. Unknown names and `identity` have no influence.
    """
    qualities: dict[str, float] = {}
    for item in accept_encoding.decode("latin-1").lower().split(","):
        name, _, parameters = item.partition(";")
        name = name.strip()
        if name in _WINDOW or name == "*":
            qualities[name] = max(qualities.get(name, 0.0), _quality(parameters))
    others = qualities.pop("*", 0.0)
    for name in _WINDOW:
        qualities.setdefault(name, others)
    best = max(qualities, key=qualities.__getitem__)
    return best if qualities[best] > 0 else None


def _quality(parameters: str) -> float:
    """The first `q=`, wherever it is, counts. Anything but a number means 1."""
    given = _QUALITY.search(parameters)
    text = "" if given is None else given[1].strip()
    return min(float(text), 1.0) if _NUMBER.fullmatch(text) else 1.0
