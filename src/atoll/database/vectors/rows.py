"""The rows of a vector index.

    entry    space hash8 [partition] table-partition table-sort   -> size 4, vector, projected attributes (JSON)
    change   log-space slot4                                      -> key of the entry that changed, without its space

The hash is that of the partition attribute, zero where the index has none. The vector is `dimensions` 32-bit floats,
little endian; the projected attributes leave it out. The size is the one that capacity and IndexSizeBytes count.

Searches keep entries in memory and follow the change log to stay current. Change n, as numbered by the log's sequence
counter, is in slot n modulo `SLOTS`, so a log needs no trimming. A process that has missed more changes than there are
slots reads all entries again.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from atoll.database import format as fmt
from atoll.storage.engine import Snapshot, Transaction

SLOTS = 1 << 16
_SIZE = struct.Struct(">I")
NO_HASH = bytes(8)
"""The hash of entries if the index has no partition attribute."""
VECTOR = _SIZE.size
"""The offset of the vector in a row."""


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
    return fmt.slot_key(log_space, number % SLOTS)


def log(tx: Transaction, log_space: int, entry_key: bytes) -> None:
    """Log that an entry has changed."""
    number = tx.add_number(counter(log_space), 1)
    tx.put(_slot(log_space, number), fmt.in_space(entry_key))


def changed(snapshot: Snapshot, space: int, log_space: int, after: int, until: int) -> Iterator[bytes]:
    """The keys of the entries of changes n with after < n <= until. The log must still have these changes."""
    first = after + 1
    while first <= until:
        last = min(until, first | (SLOTS - 1))  # up to the last slot, after which comes the first one
        for _, entry in snapshot.scan(_slot(log_space, first), _slot(log_space, last) + b"\0"):
            yield fmt.key_in(space, entry)
        first = last + 1


def forget(tx: Transaction, log_space: int) -> None:
    """Delete the sequence counter of a discarded log."""
    tx.add_number(counter(log_space), -tx.number(counter(log_space)))
