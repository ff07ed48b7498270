"""Store keys that are too long for PostgreSQL's index, whose entries have at most a third of a page.

A longer key is stored as its first bytes and its hash; its row has the whole key before the value. Stored keys with the
same first bytes, a *group*, are not in the order of the keys. So a scan reads whole groups and sorts them.

    stored key   key, or its first PREFIX_BYTES and the SHA-256 of the key: STORED_BYTES in all
    stored value value, or the length of the key (4 bytes), the key, the value
"""

from __future__ import annotations

from hashlib import sha256

PREFIX_BYTES = 2_400
STORED_BYTES = PREFIX_BYTES + 32
"""No other stored key is as long."""


def is_long(key: bytes) -> bool:
    return len(key) > PREFIX_BYTES


def stored_key(key: bytes) -> bytes:
    return key if len(key) <= PREFIX_BYTES else key[:PREFIX_BYTES] + sha256(key).digest()


def stored_row(key: bytes, value: bytes) -> tuple[bytes, bytes]:
    if len(key) <= PREFIX_BYTES:
        return key, value
    return stored_key(key), len(key).to_bytes(4, "big") + key + value


def full_row(key: bytes, value: bytes) -> tuple[bytes, bytes]:
    """The row that was stored so."""
    if len(key) != STORED_BYTES:
        return key, value
    end = 4 + int.from_bytes(value[:4], "big")
    return value[4:end], value[end:]


def first_stored(start: bytes) -> bytes:
    """No stored key of a key that is not less than `start` is less than this."""
    return start[:PREFIX_BYTES]


def end_stored(end: bytes) -> bytes:
    """Every stored key of a key less than `end` is less than this."""
    if len(end) <= PREFIX_BYTES:
        return end
    return end[:PREFIX_BYTES] + b"\xff" * 33
