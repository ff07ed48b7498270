"""The values of items, tombstones, index entries and series, as `format` lists them. `log.rows` has those of the change
log, `vectors.rows` those of vector indexes."""

from __future__ import annotations

import struct
from collections.abc import Iterable

import orjson

from atoll.model import pieces
from atoll.model.values import Item
from atoll.versions import Version

_ITEM_HEADER = struct.Struct(">QIB")
_SIZE = struct.Struct(">I")

read_size = _SIZE.unpack_from
"""Reads the size from a row, at the offset `ITEM_SIZE` or `ENTRY_SIZE`."""
ITEM_SIZE, ENTRY_SIZE = 8, 0


def stored_size(stored: bytes, at: int) -> int:
    """The size in a row that may be too short to have one."""
    return read_size(stored, at)[0] if len(stored) >= at + _SIZE.size else 0


# Offsets in rows
_REGION_LENGTH, _REGION, _ENTRY_JSON = _ITEM_HEADER.size - 1, _ITEM_HEADER.size, _SIZE.size
_read_item_header = _ITEM_HEADER.unpack_from


class _Attributes:
    """Stored attributes. Their JSON is parsed on first use of `item`."""

    __slots__ = ("_item", "json", "size")

    json: bytes
    size: int
    _item: Item | None

    @property
    def item(self) -> Item:
        """The item; shared, so do not change it."""
        if self._item is None:
            self._item = pieces.load(self.json)
        return self._item

    @property
    def fragment(self) -> orjson.Fragment:
        return orjson.Fragment(self.json)


class Row(_Attributes):
    """A stored item."""

    __slots__ = ("_stored", "time")

    def __init__(self, stored: bytes) -> None:
        self.time, self.size, region_length = _read_item_header(stored)
        self.json = stored[_REGION + region_length :]
        self._stored = stored
        self._item = None

    @property
    def stored(self) -> bytes:
        """The row as it is stored."""
        return self._stored

    @property
    def version(self) -> Version:
        return Version(self.time, self._stored[_REGION : len(self._stored) - len(self.json)].decode())


def tombstone_row(version: Version) -> bytes:
    return version.time.to_bytes(8, "big") + version.region.encode()


def parse_tombstone(stored: bytes) -> Version:
    return Version(int.from_bytes(stored[:8], "big"), stored[8:].decode())


def item_row(version: Version, size: int, json: bytes) -> bytes:
    region = version.region.encode()
    return _ITEM_HEADER.pack(version.time, size, len(region)) + region + json


class Entry(_Attributes):
    """A stored index entry: the projected attributes of an item."""

    __slots__ = ()

    def __init__(self, stored: bytes) -> None:
        (self.size,) = read_size(stored)
        self.json = stored[_ENTRY_JSON:]
        self._item = None


def entry_row(size: int, json: bytes) -> bytes:
    return _SIZE.pack(size) + json


# The items of many rows, without a `Row` or `Entry` for each.


def items_json(rows: Iterable[tuple[bytes, bytes]]) -> list[bytes]:
    return [stored[_REGION + stored[_REGION_LENGTH] :] for _, stored in rows]


def entries_json(rows: Iterable[tuple[bytes, bytes]]) -> list[bytes]:
    return [stored[_ENTRY_JSON:] for _, stored in rows]


def spliced(items: Iterable[bytes]) -> orjson.Fragment:
    """The JSON of a list of items from theirs."""
    return orjson.Fragment(b"[" + b",".join(items) + b"]")


def series_row(number: int, last_ms: int) -> bytes:
    return number.to_bytes(8, "big") + last_ms.to_bytes(8, "big")


def parse_series(stored: bytes) -> tuple[int, int]:
    """The number, and the time of the last datapoint."""
    return int.from_bytes(stored[:8], "big"), int.from_bytes(stored[8:], "big")
