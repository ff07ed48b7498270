"""The stored form of every row (format 4). Only this module builds or parses keys; `rows`, `log.rows` and
`vectors.rows` build and parse values.

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

from atoll.model import keycode

CATALOG = b"\0\0\0\0"
GENERATION = b"generation"
SPACES = b"spaces"
GREATEST_TIME = b"greatest time"
CONFLICT_COUNT = b"conflicts"
BATCHES = b"batches"
SERIES_COUNT = b"series"

# Causes of a change
USER, EXPIRY, REPLICATION, RESTORE = range(4)

# Offsets in row keys of items, tombstones and index entries.
HASH = 4
PARTITION = HASH + keycode.HASH_BYTES
# Offsets in keys of change records.
_SHARD, _SEQUENCE, _CHANGE_END = 12, 16, 24

_SUBJECT = len(CATALOG) + 1
"""The offset behind the letter, in keys of the catalog."""

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


def key_in(space: int, rest: bytes) -> bytes:
    """The key in this space for which `in_space` returns `rest`."""
    return space_prefix(space) + rest


def space_range(space: int) -> tuple[bytes, bytes]:
    return space_prefix(space), space_prefix(space + 1)


def letter_of(key: bytes) -> bytes:
    """The letter of a catalog row."""
    return key[len(CATALOG) : _SUBJECT]


def rows_of(letter: bytes) -> tuple[bytes, bytes]:
    """The range of the catalog rows with this letter."""
    return CATALOG + letter, CATALOG + bytes([letter[0] + 1])


TABLES = rows_of(b"T")
BACKFILLS = rows_of(b"B")
STREAMS = rows_of(b"S")
SHARDS = rows_of(b"H")
DUE = rows_of(b"D")
GARBAGE = rows_of(b"G")
TOKENS = rows_of(b"X")
MAPPINGS = rows_of(b"M")
LANES = rows_of(b"P")
LINKS = rows_of(b"L")
CONFLICTS = rows_of(b"C")
DOCUMENTS = rows_of(b"J")
SERIES = rows_of(b"N")


def table_key(name: str) -> bytes:
    return CATALOG + b"T" + name.encode()


def backfill_key(space: int) -> bytes:
    return CATALOG + b"B" + space_prefix(space)


def parse_backfill_key(key: bytes) -> int:
    return int.from_bytes(subject_of(key), "big")


def stream_key(table: str, label: str) -> bytes:
    return CATALOG + b"S" + table.encode() + b"\0" + label.encode()


def streams_of(table: str) -> tuple[bytes, bytes]:
    start = CATALOG + b"S" + table.encode()
    return start + b"\0", start + b"\1"


def shard_key(log_space: int, number: int) -> bytes:
    return CATALOG + b"H" + space_prefix(log_space) + number.to_bytes(4, "big")


def parse_shard_key(key: bytes) -> tuple[int, int]:
    subject = subject_of(key)
    return int.from_bytes(subject[:4], "big"), int.from_bytes(subject[4:], "big")


def due_key(due_ms: int, kind: bytes, subject: bytes) -> bytes:
    return CATALOG + b"D" + due_ms.to_bytes(8, "big") + kind + subject


def parse_due(key: bytes) -> tuple[int, bytes, bytes]:
    """The time in milliseconds since 1970, the kind, and the subject."""
    subject = subject_of(key)
    return int.from_bytes(subject[:8], "big"), subject[8:9], subject[9:]


def due_row(kind: bytes, subject: bytes) -> bytes:
    """The key of the row that the work is about."""
    return CATALOG + _LETTERS.get(kind, b"T") + subject


def subject_of(row: bytes) -> bytes:
    """The key of a catalog row without its space and letter: the subject of work about this row."""
    return row[_SUBJECT:]


def garbage_key(space: int) -> bytes:
    return CATALOG + b"G" + space_prefix(space)


def token_key(token: str) -> bytes:
    return CATALOG + b"X" + token.encode()


def mapping_key(uuid: str) -> bytes:
    return CATALOG + b"M" + uuid.encode()


def lane_key(uuid: str, shard: int, lane: int) -> bytes:
    return CATALOG + b"P" + uuid.encode() + shard.to_bytes(4, "big") + lane.to_bytes(1, "big")


def lane_range(uuid: str) -> tuple[bytes, bytes]:
    """The lanes of a mapping."""
    return lane_key(uuid, 0, 0), lane_key(uuid, 0xFFFFFFFF, 0xFF)


def parse_lane_key(key: bytes) -> tuple[str, int, int]:
    """The mapping's UUID, the shard and the lane."""
    return key[_SUBJECT:-5].decode(errors="replace"), int.from_bytes(key[-5:-1], "big"), key[-1]


def link_key(space: int, region: str) -> bytes:
    return CATALOG + b"L" + space_prefix(space) + region.encode()


def links_of(space: int) -> tuple[bytes, bytes]:
    return CATALOG + b"L" + space_prefix(space), CATALOG + b"L" + space_prefix(space + 1)


def parse_link_key(key: bytes) -> tuple[int, str]:
    """The table's space, and the region."""
    subject = subject_of(key)
    return int.from_bytes(subject[:4], "big"), subject[4:].decode(errors="replace")


def conflict_key(number: int) -> bytes:
    return CATALOG + b"C" + number.to_bytes(8, "big")


def document_key(kind: str, *names: str) -> bytes:
    return CATALOG + b"J" + b"".join([_terminated(name) for name in (kind, *names)])


def documents_of(kind: str, *names: str) -> tuple[bytes, bytes]:
    """The range of the documents of this kind whose names begin with these."""
    start = document_key(kind, *names)
    return start, start + b"\xff"


def documents_from(kind: str, prefix: str) -> bytes:
    """A key up to the documents of this kind whose first name begins with the prefix."""
    return document_key(kind, prefix)[:-1]


def parse_document_key(key: bytes) -> tuple[str, ...]:
    """The kind and the names."""
    return _names_of(key)


# Metrics


def batch_key(number: int) -> bytes:
    return CATALOG + b"A" + number.to_bytes(8, "big")


def batches_after(number: int) -> tuple[bytes, bytes]:
    return batch_key(number + 1), rows_of(b"A")[1]


def parse_batch_key(key: bytes) -> int:
    return int.from_bytes(subject_of(key), "big")


def series_key(*parts: str) -> bytes:
    """`parts`: namespace, name, number of dimensions, their names and values, unit."""
    return CATALOG + b"N" + b"".join([_terminated(part) for part in parts])


def series_of(*parts: str) -> tuple[bytes, bytes]:
    """The range of the series whose parts begin with these."""
    start = series_key(*parts)
    return start, start + b"\xff"


def parse_series_key(key: bytes) -> tuple[str, ...]:
    return _names_of(key)


def block_key(grain: int, series: int, start_ms: int) -> bytes:
    minute = min(start_ms // 60_000, 0xFFFFFFFF)
    return CATALOG + b"V" + grain.to_bytes(1, "big") + series.to_bytes(8, "big") + minute.to_bytes(4, "big")


def blocks_of(grain: int, series: int, start_ms: int, end_ms: int) -> tuple[bytes, bytes]:
    """The range of a series' blocks that begin between these times."""
    return block_key(grain, series, -(-start_ms // 60_000) * 60_000), block_key(grain, series, end_ms + 59_999)


def _names_of(key: bytes) -> tuple[str, ...]:
    parts = subject_of(key)[:-1].split(b"\0")
    return tuple([part.replace(b"\1\1", b"\0").replace(b"\1\2", b"\1").decode() for part in parts])


def _terminated(name: str) -> bytes:
    """A name that NUL ends. The two lowest bytes are escaped, so that names still sort by their bytes."""
    return name.encode().replace(b"\1", b"\1\2").replace(b"\0", b"\1\1") + b"\0"


# Counters


def space_of_counter(key: bytes) -> int:
    """The space of a tally, or of a number with a letter."""
    return int.from_bytes(key[1:5], "big")


def count_counter(space: int) -> bytes:
    return b"n" + space_prefix(space)


def bytes_counter(space: int) -> bytes:
    return b"b" + space_prefix(space)


def expired_counter(space: int) -> bytes:
    return b"e" + space_prefix(space)


def sequence_counter(log_space: int, shard: int) -> bytes:
    return b"s" + space_prefix(log_space) + shard.to_bytes(4, "big")


def is_sequence_counter(key: bytes) -> bool:
    """Whether a number that begins with 's' numbers the changes of a shard."""
    return len(key) == len(sequence_counter(0, 0))


def expiry_due_number(space: int) -> bytes:
    return b"d" + space_prefix(space)


def collection_counter(row_prefix: bytes) -> bytes:
    """The key of an item collection's size counter. `row_prefix` is the part of a row key that all its items share."""
    return b"c" + row_prefix


def parse_collection_counter(key: bytes) -> bytes:
    """The part of a row key that all items of the collection share."""
    return key[1:]


def collection_prefix(row_key: bytes, partition_type: str) -> bytes:
    """The part of an item's row key that all items of its collection share."""
    _, end = keycode.decode(row_key, partition_type, start=PARTITION)
    return row_key[:end]


# Items. The row key of an item is its table's space prefix, and the hash, partition and sort that `KeySchema` encodes.


def hash_start(space: int, first: int) -> bytes:
    """A key up to the rows of this hash and of greater ones."""
    return space_prefix(space) + first.to_bytes(keycode.HASH_BYTES, "big")


def hash_of(row_key: bytes) -> bytes:
    return row_key[HASH:PARTITION]


def hash_number(key: bytes) -> int:
    """The hash as a number. In other spaces, the number that follows the space: it orders their rows."""
    return int.from_bytes(key[HASH:PARTITION], "big")


def hash_only(row_key: bytes) -> bytes:
    """The space and the hash at the beginning of a row's key."""
    return row_key[:PARTITION]


def is_hash_only(row_key: bytes) -> bool:
    return len(row_key) <= PARTITION


def key_contents(row_key: bytes, types: str) -> list[str]:
    """The contents of the key attributes, which have these types."""
    contents, _ = keycode.decode(row_key, types, start=PARTITION)
    return contents


def tombstone_key(space: int, row_key: bytes) -> bytes:
    """`row_key` is the key of the deleted item."""
    return space_prefix(space) + row_key[HASH:]


def entry_key(space: int, index_key: bytes, row_key: bytes) -> bytes:
    """The key of an index entry. The item's own key follows the index's key, to make entries with equal index keys
    distinct."""
    return space_prefix(space) + index_key + row_key[PARTITION:]


def expiry_start(space: int, second: int) -> bytes:
    """A key below the expiry entries of this second and later."""
    return space_prefix(space) + second.to_bytes(8, "big")


def expiry_key(space: int, second: int, row_key: bytes) -> bytes:
    return expiry_start(space, second) + row_key[HASH:]


def parse_expiry(key: bytes, table_space: int) -> tuple[int, bytes]:
    """The second and the item's row key."""
    return int.from_bytes(key[4:12], "big"), space_prefix(table_space) + key[12:]


# The log


def change_prefix(log_space: int, bucket: int, shard: int) -> bytes:
    return space_prefix(log_space) + bucket.to_bytes(8, "big") + shard.to_bytes(4, "big")


def change_key(prefix: bytes, sequence: int) -> bytes:
    return prefix + sequence.to_bytes(8, "big")


def is_change_key(key: bytes) -> bool:
    """Whether the key has the length of a change record's."""
    return len(key) == _CHANGE_END


def change_prefix_of(change_key: bytes) -> bytes:
    return change_key[:_SEQUENCE]


def parse_shard(change_key: bytes) -> int:
    """The number of the shard, from a key or its prefix."""
    return int.from_bytes(change_key[_SHARD:_SEQUENCE], "big")


def parse_sequence(change_key: bytes) -> int:
    return int.from_bytes(change_key[_SEQUENCE:], "big")


def slot_key(log_space: int, slot: int) -> bytes:
    """In the change log of a vector index."""
    return space_prefix(log_space) + slot.to_bytes(4, "big")
