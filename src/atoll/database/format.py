"""The stored form of every row (format 4). Only this module, `metric_keys` and `vectors.rows` build or parse keys.

A change of anything here changes the format on disk: `migration` must then convert older stores.

Keys begin with a space, 4 bytes big endian. Space 0 is the catalog; the others belong to tables (see `schema`).

    catalog     0 'T' name                                     -> Table (JSON)
                0 'S' table NUL label                          -> StreamDescription (JSON), see `streams`
                0 'H' log-space shard4                         -> Shard (JSON), see `shards`
                0 'D' millisecond8 kind1 subject               -> nothing: background work is due, see `due`
                0 'B' index space                              -> row key of the last item that a backfill has indexed
                0 'G' space                                    -> Garbage (JSON): a discarded space
                0 'X' token                                    -> Token (JSON): a transaction that must not be repeated
                0 'M' uuid                                     -> Mapping (JSON), see `triggers.mapping`
                0 'P' uuid shard4 lane1                        -> Lane (JSON): a function's progress
                0 'L' space region                             -> Link (JSON): the changes of another region's replica
                                                                  that a table has read, see `links`
                0 'C' number8                                  -> Conflict (JSON), see `replication.conflicts`
                0 'J' kind NUL (name NUL)...                   -> document (JSON) of a service beside the tables, see
                                                                  `documents`
                0 'A' number8                                  -> batch: datapoints of metrics, as they arrived, see
                                                                  `metrics.batches`
                0 'N' namespace NUL name NUL count NUL (dimension NUL value NUL)... unit NUL
                                                               -> series: its number 8, and the millisecond 8 of its
                                                                  last datapoint
                0 'V' grain1 series8 minute4                   -> block: datapoints of one series since that minute
    items       space hash8 partition sort                     -> item row
    tombstones  space hash8 partition sort                     -> tombstone row
    index       space hash8 index-partition index-sort table-partition table-sort   -> index row
    log         space bucket8 shard4 sequence8                 -> change row
    expiry      space second8 hash8 partition sort             -> nothing

`hash8` is `keycode.partition_hash` of the partition attributes; partition and sort are `keycode` encodings, each
self-delimiting. So a table's items lie in the order of their hashes, all items of one partition key side by side, and
a parallel scan's segments are ranges of the hash.

A *bucket* is a range of hashes, named by its first hash: the range of one shard of the log. The rows of a partition key
lie in one bucket: its items, their tombstones, their entries in local indexes, and their change records. So an engine
that places rows by bucket commits them on one node. Entries of global indexes and of the expiry index are ordered by
other values, and lie in buckets of their own.

    item row       version time 8, size 4, region length 1, region, item (JSON of the wire form)
    tombstone row  version time 8, region
    index row      size 4, projected attributes (JSON of the wire form)
    change row     version time 8, commit 8, millisecond 8, cause 1, region length 1, then 4 each: keys' size, old size,
                   new size, keys' length, old length; region, keys, old image, new image (JSON; an absent image has
                   size 0; an image that no reader needs has length 0 but its real size). `commit` identifies the
                   transaction, `millisecond` is when this region committed it, which may be long after the version.
                   If the cause has the bit 80, the version that the change replaced (time 8, region length 1, region)
                   follows the region: tables with replicas need it. See `log.rows`.

Sizes follow DynamoDB's published formula; they are not bytes on disk. Stored JSON is spliced into answers unchanged.
Its sets are sorted: strings and binaries by their bytes, numbers by value. The engine adds a checksum to every row.

Numbers: `generation` and `mappings` count changes of tables and of mappings, `conflicts` counts conflicts, `batches`
batches of datapoints, `series` gives the numbers of series and `spaces` those of spaces, `greatest time` is a hybrid
logical clock time that no version exceeds, 's' log-space shard4 numbers the changes of an open shard, 'd' expiry-space
is one more than the second for which a look at the expiry index is due (0: none is).

Tallies: 'n' space and 'b' space are a space's rows and their sizes, 'e' space the items of a table that time to live
has deleted, 'c' space hash8 partition the size of an item collection (only tables with local indexes).
"""

from __future__ import annotations

import struct
from collections.abc import Iterable

import orjson

from atoll.model import keycode, pieces
from atoll.model.values import Item
from atoll.versions import Version

CATALOG = b"\0\0\0\0"
GENERATION = b"generation"
SPACES = b"spaces"
GREATEST_TIME = b"greatest time"
CONFLICT_COUNT = b"conflicts"

# Causes of a change
USER, EXPIRY, REPLICATION, RESTORE = range(4)

_ITEM_HEADER = struct.Struct(">QIB")
_SIZE = struct.Struct(">I")

read_size = _SIZE.unpack_from
"""Reads the size from a row, at the offset `ITEM_SIZE` or `ENTRY_SIZE`."""
ITEM_SIZE, ENTRY_SIZE = 8, 0

# Offsets in row keys of items, tombstones and index entries.
_HASH = 4
_PARTITION = 12

# Kinds of background work in the due index, each with its subject in brackets.
ROTATE, SPLIT, DELETE, INDEX, BUILD_EXPIRY, EXPIRE, DROP_TOMBSTONES = b"R", b"P", b"T", b"I", b"L", b"E", b"Z"
"""[a table's name]"""
TRIM, END_STREAM, SWEEP, FORGET, EXPIRE_BACKUP = b"H", b"S", b"G", b"X", b"B"
"""[the catalog key of a shard, a stream, garbage, a token or a backup, without its space and letter]"""
_LETTERS = {TRIM: b"H", END_STREAM: b"S", SWEEP: b"G", FORGET: b"X", EXPIRE_BACKUP: b"J"}


def space_prefix(space: int) -> bytes:
    return space.to_bytes(4, "big")


def space_of(key: bytes) -> int:
    return int.from_bytes(key[:4], "big")


def in_space(key: bytes) -> bytes:
    """The key without its space: the same in every replica of a table."""
    return key[4:]


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


def due_key(due_ms: int, kind: bytes, subject: bytes) -> bytes:
    return CATALOG + b"D" + due_ms.to_bytes(8, "big") + kind + subject


def parse_due(key: bytes) -> tuple[int, bytes, bytes]:
    """The time in milliseconds since 1970, the kind, and the subject."""
    start = len(CATALOG) + 1
    return int.from_bytes(key[start : start + 8], "big"), key[start + 8 : start + 9], key[start + 9 :]


DUE = (CATALOG + b"D", CATALOG + b"E")


def due_row(kind: bytes, subject: bytes) -> bytes:
    """The key of the row that the work is about."""
    return CATALOG + _LETTERS.get(kind, b"T") + subject


def subject_of(row: bytes) -> bytes:
    """The subject of work about the catalog row with this key."""
    return row[len(CATALOG) + 1 :]


def garbage_key(space: int) -> bytes:
    return CATALOG + b"G" + space_prefix(space)


GARBAGE = (CATALOG + b"G", CATALOG + b"H")


def token_key(token: str) -> bytes:
    return CATALOG + b"X" + token.encode()


def mapping_key(uuid: str) -> bytes:
    return CATALOG + b"M" + uuid.encode()


MAPPINGS = (CATALOG + b"M", CATALOG + b"N")


def lane_key(uuid: str, shard: int, lane: int) -> bytes:
    return CATALOG + b"P" + uuid.encode() + shard.to_bytes(4, "big") + lane.to_bytes(1, "big")


def lane_range(uuid: str) -> tuple[bytes, bytes]:
    """The lanes of a mapping."""
    return lane_key(uuid, 0, 0), lane_key(uuid, 0xFFFFFFFF, 0xFF)


def parse_lane_key(key: bytes) -> tuple[int, int]:
    """The shard and the lane."""
    return int.from_bytes(key[-5:-1], "big"), key[-1]


def link_key(space: int, region: str) -> bytes:
    return CATALOG + b"L" + space_prefix(space) + region.encode()


def links_of(space: int) -> tuple[bytes, bytes]:
    return CATALOG + b"L" + space_prefix(space), CATALOG + b"L" + space_prefix(space + 1)


def parse_link_key(key: bytes) -> tuple[int, str]:
    """The table's space, and the region."""
    start = len(CATALOG) + 1
    return int.from_bytes(key[start : start + 4], "big"), key[start + 4 :].decode()


def conflict_key(number: int) -> bytes:
    return CATALOG + b"C" + number.to_bytes(8, "big")


CONFLICTS = (CATALOG + b"C", CATALOG + b"D")


def document_key(kind: str, *names: str) -> bytes:
    return CATALOG + b"J" + b"".join([terminated(name) for name in (kind, *names)])


def documents_of(kind: str, *names: str) -> tuple[bytes, bytes]:
    """The range of the documents of this kind whose names begin with these."""
    start = document_key(kind, *names)
    return start, start + b"\xff"


DOCUMENTS = (CATALOG + b"J", CATALOG + b"K")


def parse_document_key(key: bytes) -> tuple[str, ...]:
    """The kind and the names."""
    return names_of(key[len(CATALOG) + 1 : -1])


def names_of(joined: bytes) -> tuple[str, ...]:
    parts = joined.split(b"\0")
    return tuple([part.replace(b"\1\1", b"\0").replace(b"\1\2", b"\1").decode() for part in parts])


def terminated(name: str) -> bytes:
    """A name that NUL ends. The two lowest bytes are escaped, so that names still sort by their bytes."""
    return name.encode().replace(b"\1", b"\1\2").replace(b"\0", b"\1\1") + b"\0"


def count_counter(space: int) -> bytes:
    return b"n" + space_prefix(space)


def bytes_counter(space: int) -> bytes:
    return b"b" + space_prefix(space)


def expired_counter(space: int) -> bytes:
    return b"e" + space_prefix(space)


def sequence_counter(log_space: int, shard: int) -> bytes:
    return b"s" + space_prefix(log_space) + shard.to_bytes(4, "big")


def expiry_due_number(space: int) -> bytes:
    return b"d" + space_prefix(space)


def collection_counter(row_prefix: bytes) -> bytes:
    """The key of an item collection's size counter. `row_prefix` is the part of a row key that all its items share."""
    return b"c" + row_prefix


def collection_prefix(row_key: bytes, partition_type: str) -> bytes:
    """The part of an item's row key that all items of its collection share."""
    _, end = keycode.decode(row_key, partition_type, start=_PARTITION)
    return row_key[:end]


# Items. The row key of an item is its table's space prefix, and the hash, partition and sort that `KeySchema` encodes.


def hash_of(row_key: bytes) -> bytes:
    return row_key[_HASH:_PARTITION]


def hash_only(row_key: bytes) -> bytes:
    """The space and the hash at the beginning of a row's key."""
    return row_key[:_PARTITION]


def is_hash_only(row_key: bytes) -> bool:
    return len(row_key) <= _PARTITION


def key_contents(row_key: bytes, types: str) -> list[str]:
    """The contents of the key attributes, which have these types."""
    contents, _ = keycode.decode(row_key, types, start=_PARTITION)
    return contents


def tombstone_key(space: int, row_key: bytes) -> bytes:
    """`row_key` is the key of the deleted item."""
    return space_prefix(space) + row_key[_HASH:]


def entry_key(space: int, index_key: bytes, row_key: bytes) -> bytes:
    """The key of an index entry. The item's own key follows the index's key, to make entries with equal index keys
    distinct."""
    return space_prefix(space) + index_key + row_key[_PARTITION:]


def expiry_start(space: int, second: int) -> bytes:
    """A key below the expiry entries of this second and later."""
    return space_prefix(space) + second.to_bytes(8, "big")


def expiry_key(space: int, second: int, row_key: bytes) -> bytes:
    return expiry_start(space, second) + row_key[_HASH:]


def parse_expiry(key: bytes, table_space: int) -> tuple[int, bytes]:
    """The second and the item's row key."""
    return int.from_bytes(key[4:12], "big"), space_prefix(table_space) + key[12:]


# The log


def change_prefix(log_space: int, bucket: int, shard: int) -> bytes:
    return space_prefix(log_space) + bucket.to_bytes(8, "big") + shard.to_bytes(4, "big")


def change_key(prefix: bytes, sequence: int) -> bytes:
    return prefix + sequence.to_bytes(8, "big")


def parse_sequence(change_key: bytes) -> int:
    return int.from_bytes(change_key[-8:], "big")


# Offsets in rows
_REGION_LENGTH, _REGION, _ENTRY_JSON = _ITEM_HEADER.size - 1, _ITEM_HEADER.size, _SIZE.size
_read_item_header = _ITEM_HEADER.unpack_from


class Row:
    """A stored item. Its JSON is parsed on first use of `item`."""

    __slots__ = ("_item", "_stored", "json", "size", "time")

    def __init__(self, stored: bytes) -> None:
        self.time, self.size, region_length = _read_item_header(stored)
        self.json = stored[_REGION + region_length :]
        self._stored = stored
        self._item: Item | None = None

    @property
    def stored(self) -> bytes:
        """The row as it is stored."""
        return self._stored

    @property
    def version(self) -> Version:
        return Version(self.time, self._stored[_REGION : len(self._stored) - len(self.json)].decode())

    @property
    def item(self) -> Item:
        """The item; shared, so do not change it."""
        if self._item is None:
            self._item = pieces.load(self.json)
        return self._item

    @property
    def fragment(self) -> orjson.Fragment:
        return orjson.Fragment(self.json)


def tombstone_row(version: Version) -> bytes:
    return version.time.to_bytes(8, "big") + version.region.encode()


def parse_tombstone(stored: bytes) -> Version:
    return Version(int.from_bytes(stored[:8], "big"), stored[8:].decode())


def item_row(version: Version, size: int, json: bytes) -> bytes:
    region = version.region.encode()
    return _ITEM_HEADER.pack(version.time, size, len(region)) + region + json


class Entry:
    """A stored index entry: the projected attributes of an item."""

    __slots__ = ("_item", "json", "size")

    def __init__(self, stored: bytes) -> None:
        (self.size,) = read_size(stored)
        self.json = stored[_ENTRY_JSON:]
        self._item: Item | None = None

    @property
    def item(self) -> Item:
        """The item; shared, so do not change it."""
        if self._item is None:
            self._item = pieces.load(self.json)
        return self._item

    @property
    def fragment(self) -> orjson.Fragment:
        return orjson.Fragment(self.json)


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
