"""The rows of the change log, as `format` lists them."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from atoll.versions import Version

_HAS_PREVIOUS = 0x80
_CHANGE_HEADER = struct.Struct(">QQQBBIIIII")


Sized = tuple[int, bytes]
"""The size by the published formula, and the JSON."""
NOTHING: Sized = 0, b""


@dataclass(slots=True)
class ChangeRow:
    """A stored change. Images are JSON or None; the log keeps them only if a reader needs them."""

    time: int
    region: str
    commit: int
    """The id of the transaction."""
    written_ms: int
    cause: int
    keys: bytes
    old: bytes | None
    new: bytes | None
    keys_size: int
    old_size: int
    """The old item's size, even if its image is not kept; 0 if there was no item."""
    new_size: int
    """The new item's size; 0 if the item was deleted."""
    previous: Version | None = None
    """The version that the change replaced; only for tables with replicas."""


def dump(
    version: Version,
    commit: int,
    written_ms: int,
    cause: int,
    keys: Sized,
    old: Sized,
    new: Sized,
    previous: Version | None = None,
) -> bytes:
    """Encode a change row. The JSON of an image that is not kept is empty."""
    region = version.region.encode()
    keys_size, keys_json = keys
    old_size, old_json = old
    replaced = b""
    if previous is not None:
        cause |= _HAS_PREVIOUS
        name = previous.region.encode()
        replaced = b"%b%c%b" % (previous.time.to_bytes(8, "big"), len(name), name)
    header = _CHANGE_HEADER.pack(
        version.time, commit, written_ms, cause, len(region), keys_size, old_size, new[0], len(keys_json), len(old_json)
    )
    return b"".join((header, region, replaced, keys_json, old_json, new[1]))


def parse(stored: bytes) -> ChangeRow:
    time, commit, written_ms, cause, region_length, keys_size, old_size, new_size, keys_length, old_length = (
        _CHANGE_HEADER.unpack_from(stored)
    )
    region_end = start = _CHANGE_HEADER.size + region_length
    previous = None
    if cause & _HAS_PREVIOUS:
        start = region_end + 9 + stored[region_end + 8]
        replaced = int.from_bytes(stored[region_end : region_end + 8], "big")
        previous = Version(replaced, stored[region_end + 9 : start].decode())
        cause ^= _HAS_PREVIOUS
    keys_end = start + keys_length
    old_end = keys_end + old_length
    return ChangeRow(
        time,
        stored[_CHANGE_HEADER.size : region_end].decode(),
        commit,
        written_ms,
        cause,
        stored[start:keys_end],
        stored[keys_end:old_end] or None,
        stored[old_end:] or None,
        keys_size,
        old_size,
        new_size,
        previous,
    )
