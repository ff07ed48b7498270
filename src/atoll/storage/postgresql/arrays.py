"""Encode arrays of keys and values in PostgreSQL's binary format.

asyncpg's own encoder checks each element for a nested array, which made a point read cost a tenth more.
"""

from __future__ import annotations

from collections.abc import Collection
from struct import Struct
from typing import Any

_BYTEA, _BYTEA_ARRAY = 17, 1001
"""The OIDs of the types, which never change."""
_EMPTY = Struct(">iii").pack(0, 0, _BYTEA)
_header = Struct(">iiiii").pack
_length = Struct(">i").pack


def encoded(elements: Collection[bytes]) -> bytes:
    """The array: dimensions, whether there are nulls, the type of elements, their number, the first index; then each
    element with its length."""
    if not elements:
        return _EMPTY
    parts = [_header(1, 0, _BYTEA, len(elements), 1)]
    for element in elements:
        parts.append(_length(len(element)))
        parts.append(element)
    return b"".join(parts)


def _refused(content: bytes) -> Any:
    raise ValueError("no statement returns an array")


def install(connection: Any) -> None:
    """Install the encoder. asyncpg's public API can set encoders of scalar types only, so this uses private
    attributes."""
    settings = connection._protocol.get_settings()
    settings.add_python_codec(_BYTEA_ARRAY, "_bytea", "pg_catalog", [], "scalar", encoded, _refused, "binary")
