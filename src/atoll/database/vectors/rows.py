"""The rows of a vector index.

    entry    space hash8 [partition] table-partition table-sort   -> size 4, vector, projected attributes (JSON)
    change   log-space slot4                                      -> key of the entry that changed, without its space

The hash is that of the partition attribute, zero where the index has none. The vector is `dimensions` 32-bit floats,
little endian; the projected attributes leave it out. The size is the one that capacity and IndexSizeBytes count.

Searches keep what they know of the entries in memory. They learn from the change log what is new: change n, as numbered
by the log's sequence counter, is in the slot n modulo `SLOTS`. So a log needs no trimming. A process that has missed
more changes than there are slots reads the entries again.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from atoll.database import format as fmt
from atoll.storage.engine import Snapshot, Transaction

SLOTS = 1 << 16
_SIZE = struct.Struct(">I")
NO_HASH = bytes(8)
"""In place of the hash, where the index has no partition attribute."""
VECTOR = _SIZE.size
"""Where the vector begins in a row."""


def entry_key(space: int, partition: bytes | None, row_key: bytes) -> bytes:
    """`partition` is the encoded partition attribute, with its hash; `row_key` the item's own key."""
    return fmt.entry_key(space, NO_HASH if partition is None else partition, row_key)


def entry_row(size: int, vector: bytes, json: bytes) -> bytes:
    return _SIZE.pack(size) + vector + json


def parse_entry(stored: bytes, dimensions: int) -> tuple[bytes, bytes]:
    """The vector and the JSON of the projected attributes."""
    end = VECTOR + 4 * dimensions
    return stored[VECTOR:end], stored[end:]


def counter(log_space: int) -> bytes:
    """The number of the last change."""
    return fmt.sequence_counter(log_space, 0)


def _slot(log_space: int, number: int) -> bytes:
    return fmt.space_prefix(log_space) + (number % SLOTS).to_bytes(4, "big")


def log(tx: Transaction, log_space: int, entry_key: bytes) -> None:
    """Note that an entry has changed."""
    number = tx.add_number(counter(log_space), 1)
    tx.put(_slot(log_space, number), fmt.in_space(entry_key))


def changed(snapshot: Snapshot, space: int, log_space: int, after: int, until: int) -> Iterator[bytes]:
    """The keys of the entries that the changes after < n <= until are about. The log must still have them."""
    prefix, first = fmt.space_prefix(space), after + 1
    while first <= until:
        last = min(until, first | (SLOTS - 1))  # up to the last slot, after which comes the first one
        for _, entry in snapshot.scan(_slot(log_space, first), _slot(log_space, last) + b"\0"):
            yield prefix + entry
        first = last + 1


def forget(tx: Transaction, log_space: int) -> None:
    """Drop the number of a log that is discarded."""
    tx.add_number(counter(log_space), -tx.number(counter(log_space)))
