"""Arrays of keys and values, in PostgreSQL's binary format.

asyncpg's own encoder looks for an array in each element, which made a point read a tenth dearer.
"""

from __future__ import annotations

from collections.abc import Collection
from struct import Struct
from typing import Any

_BYTEA, _BYTEA_ARRAY = 17, 1001
"""The numbers of the types, which never change."""
_EMPTY = Struct(">iii").pack(0, 0, _BYTEA)
_header = Struct(">iiiii").pack
_length = Struct(">i").pack


def encoded(elements: Collection[bytes]) -> bytes:
    """Dimensions, whether there are nulls, the type of elements, their number, the first index; then each with its
    length."""
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
    """asyncpg lets its users encode scalar types only, so this uses what it keeps to itself."""
    settings = connection._protocol.get_settings()
    settings.add_python_codec(_BYTEA_ARRAY, "_bytea", "pg_catalog", [], "scalar", encoded, _refused, "binary")
