"""Every row that Atoll stores, on one page. Changing anything here changes the format on disk.

Keys begin with a space, 4 bytes big endian. Space 0 is the catalog; the others belong to tables (see `schema`).

    catalog     0 'T' name                                     -> Table (JSON)
                0 'S' table NUL label                          -> StreamDescription (JSON), see `streams`
                0 'H' log-space shard4                         -> Shard (JSON), see `shards`
                0 'D' millisecond8 'H' log-space shard4        -> nothing: the time of the shard's next trim
                0 'D' millisecond8 'S' table NUL label         -> nothing: the time at which the stream may be removed
                0 'B' index space                              -> row key of the last item that a backfill has done
                0 'G' space                                    -> Garbage (JSON): a discarded space
                0 'X' token                                    -> Token (JSON): a transaction that must not be repeated
                0 'Y' millisecond8 token                       -> key of the token, which expires at that time
                0 'M' uuid                                     -> Mapping (JSON), see `triggers.mapping`
                0 'P' uuid shard4 lane1                        -> Lane (JSON): a function's progress
    items       space hash8 partition sort                     -> item row
    index       space hash8 index-partition index-sort table-partition table-sort   -> index row
    log         space shard4 sequence8                         -> change row
    expiry      space second8 item-key                         -> nothing

`hash8` is `keycode.partition_hash` of the partition attributes; partition and sort are `keycode` encodings, each
self-delimiting. So a table's items lie in the order of their hashes, all items of one partition key side by side, and
a parallel scan's segments are ranges of the hash.

    item row    version time 8, size 4, region length 1, region, item (JSON of the wire form)
    index row   size 4, projected attributes (JSON of the wire form)
    change row  version time 8, millisecond 8 (when this region wrote it, which may be long after the version's time),
                cause 1, region length 1, then 4 each: keys' size, old size, new size, keys' length, old length;
                region, keys, old image, new image (JSON; an absent image has size 0; an image that no reader
                needs has length 0 but its real size)

Sizes follow DynamoDB's published formula; they are not bytes on disk. Stored JSON is spliced into answers unchanged.

Counters are a key space of their own. Numbers: `generation` and `mappings` count changes of tables and of mappings,
`spaces` gives the numbers of spaces, `greatest time` is a hybrid logical clock time that no version exceeds, 's'
log-space shard4 numbers the changes of an open shard. Tallies: 'n' space and 'b' space are a space's rows and their
sizes, 'e' space the items of a table that time to live has deleted, 'c' space partition-prefix the size of an item
collection (only tables with local indexes).
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass

import orjson

from atoll.clock import Version
from atoll.model import keycode
from atoll.model.values import Item

CATALOG = b"\0\0\0\0"
GENERATION = b"generation"
SPACES = b"spaces"
GREATEST_TIME = b"greatest time"

# Causes of a change
USER, EXPIRY, REPLICATION, RESTORE = range(4)

_ITEM_HEADER = struct.Struct(">QIB")
_CHANGE_HEADER = struct.Struct(">QQBBIIIII")


def space_prefix(space: int) -> bytes:
    return space.to_bytes(4, "big")


def space_range(space: int) -> tuple[bytes, bytes]:
    return space_prefix(space), space_prefix(space + 1)


def table_key(name: str) -> bytes:
    return CATALOG + b"T" + name.encode()


TABLES = (CATALOG + b"T", CATALOG + b"U")


def backfill_key(space: int) -> bytes:
    return CATALOG + b"B" + space_prefix(space)


def stream_key(table: str, label: str) -> bytes:
    return CATALOG + b"S" + table.encode() + b"\0" + label.encode()


def streams_of(table: str) -> tuple[bytes, bytes]:
    start = CATALOG + b"S" + table.encode()
    return start + b"\0", start + b"\1"


STREAMS = (CATALOG + b"S", CATALOG + b"T")


def shard_key(log_space: int, number: int) -> bytes:
    return CATALOG + b"H" + space_prefix(log_space) + number.to_bytes(4, "big")


SHARDS = (CATALOG + b"H", CATALOG + b"I")


def parse_shard_key(key: bytes) -> tuple[int, int]:
    start = len(CATALOG) + 1
    return int.from_bytes(key[start : start + 4], "big"), int.from_bytes(key[start + 4 :], "big")


def due_key(due_ms: int, row: bytes) -> bytes:
    """`row` is the key of a shard or of a stream."""
    return CATALOG + b"D" + due_ms.to_bytes(8, "big") + row[len(CATALOG) :]


def parse_due(key: bytes) -> tuple[int, bytes]:
    start = len(CATALOG) + 1
    return int.from_bytes(key[start : start + 8], "big"), CATALOG + key[start + 8 :]


DUE = (CATALOG + b"D", CATALOG + b"E")


def garbage_key(space: int) -> bytes:
    return CATALOG + b"G" + space_prefix(space)


GARBAGE = (CATALOG + b"G", CATALOG + b"H")


def token_key(token: str) -> bytes:
    return CATALOG + b"X" + token.encode()


def token_expiry_key(over_ms: int, token: str) -> bytes:
    return CATALOG + b"Y" + over_ms.to_bytes(8, "big") + token.encode()


def parse_token_expiry(key: bytes) -> int:
    """The time at which the token expires, in milliseconds since 1970."""
    return int.from_bytes(key[5:13], "big")


TOKEN_EXPIRIES = (CATALOG + b"Y", CATALOG + b"Z")


def count_counter(space: int) -> bytes:
    return b"n" + space_prefix(space)


def bytes_counter(space: int) -> bytes:
    return b"b" + space_prefix(space)


def expired_counter(space: int) -> bytes:
    return b"e" + space_prefix(space)


def sequence_counter(log_space: int, shard: int) -> bytes:
    return b"s" + space_prefix(log_space) + shard.to_bytes(4, "big")


def collection_counter(row_prefix: bytes) -> bytes:
    """The key of an item collection's size counter. `row_prefix` is the part of a row key that all its items share."""
    return b"c" + row_prefix


def collection_prefix(row_key: bytes, partition_type: str) -> bytes:
    """The part of an item's row key that all items of its collection share."""
    _, end = keycode.decode(row_key, partition_type, start=12)
    return row_key[:end]


def change_prefix(log_space: int, shard: int) -> bytes:
    return space_prefix(log_space) + shard.to_bytes(4, "big")


def change_key(log_space: int, shard: int, sequence: int) -> bytes:
    return change_prefix(log_space, shard) + sequence.to_bytes(8, "big")


class Row:
    """A stored item. Its JSON is parsed on first use of `item`."""

    __slots__ = ("_item", "_json", "_offset", "_stored", "size", "time")

    def __init__(self, stored: bytes) -> None:
        self.time, self.size, region_length = _ITEM_HEADER.unpack_from(stored)
        self._stored = stored
        self._offset = _ITEM_HEADER.size + region_length
        self._json: bytes | None = None
        self._item: Item | None = None

    @property
    def version(self) -> Version:
        return Version(self.time, self._stored[_ITEM_HEADER.size : self._offset].decode())

    @property
    def json(self) -> bytes:
        if self._json is None:
            self._json = self._stored[self._offset :]
        return self._json

    @property
    def item(self) -> Item:
        """Shared: do not change it."""
        if self._item is None:
            self._item = orjson.loads(self.json)
        return self._item

    @property
    def fragment(self) -> orjson.Fragment:
        return orjson.Fragment(self.json)


def item_row(version: Version, size: int, json: bytes) -> bytes:
    region = version.region.encode()
    return _ITEM_HEADER.pack(version.time, size, len(region)) + region + json


class Entry:
    """A stored index entry: the projected attributes of an item."""

    __slots__ = ("_item", "json", "size")

    def __init__(self, stored: bytes) -> None:
        self.size = int.from_bytes(stored[:4], "big")
        self.json = stored[4:]
        self._item: Item | None = None

    @property
    def item(self) -> Item:
        """Shared: do not change it."""
        if self._item is None:
            self._item = orjson.loads(self.json)
        return self._item

    @property
    def fragment(self) -> orjson.Fragment:
        return orjson.Fragment(self.json)


def spliced(rows: Iterable[Row | Entry]) -> orjson.Fragment:
    """Whole items as a JSON list, without parsing them."""
    return orjson.Fragment(b"[" + b",".join([row.json for row in rows]) + b"]")


def entry_row(size: int, json: bytes) -> bytes:
    return size.to_bytes(4, "big") + json


@dataclass(slots=True)
class ChangeRow:
    """A stored change. Images are JSON or None; the log keeps them only if a reader needs them."""

    time: int
    region: str
    written_ms: int
    cause: int
    keys: bytes
    old: bytes | None
    new: bytes | None
    keys_size: int
    old_size: int
    """0 if there was no item, whether its image is kept or not."""
    new_size: int
    """0 if there is no item now."""


def change_row(
    version: Version,
    written_ms: int,
    cause: int,
    keys: tuple[int, bytes],
    old: tuple[int, bytes] | None,
    new: tuple[int, bytes] | None,
) -> bytes:
    """Encode a change row; keys and images are (size, JSON)."""
    region = version.region.encode()
    old_size, old_json = old or (0, b"")
    new_size, new_json = new or (0, b"")
    header = _CHANGE_HEADER.pack(
        version.time, written_ms, cause, len(region), keys[0], old_size, new_size, len(keys[1]), len(old_json)
    )
    return b"".join((header, region, keys[1], old_json, new_json))


def parse_change(stored: bytes) -> ChangeRow:
    time, written_ms, cause, region_length, keys_size, old_size, new_size, keys_length, old_length = (
        _CHANGE_HEADER.unpack_from(stored)
    )
    region_end = _CHANGE_HEADER.size + region_length
    keys_end = region_end + keys_length
    old_end = keys_end + old_length
    return ChangeRow(
        time,
        stored[_CHANGE_HEADER.size : region_end].decode(),
        written_ms,
        cause,
        stored[region_end:keys_end],
        stored[keys_end:old_end] or None,
        stored[old_end:] or None,
        keys_size,
        old_size,
        new_size,
    )
