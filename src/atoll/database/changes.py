"""The change log: one record for each applied change, in the transaction that applies it.

Everything that follows a table (streams, replication, triggers, point-in-time recovery) reads this log; nothing else
tells it what happened. Records are numbered per shard, without gaps, in the order of commit.
"""

from __future__ import annotations

from collections.abc import Iterator

import orjson

from atoll.clock import Version
from atoll.database import format as fmt
from atoll.database.schema import Shard, Table
from atoll.model import values
from atoll.model.values import Item
from atoll.storage.engine import Snapshot, Transaction


def append(
    tx: Transaction,
    table: Table,
    row_key: bytes,
    key: Item,
    version: Version,
    cause: int,
    old: tuple[int, bytes] | None,
    new: tuple[int, bytes] | None,
) -> int:
    """Write the record and return its sequence number. Images are (size, JSON)."""
    shard = table.shard_of(row_key)
    sequence = tx.add(fmt.sequence_counter(table.log_space, shard.number), 1)
    keys = (values.item_size(key), orjson.dumps(key))
    tx.put(
        fmt.change_key(table.log_space, shard.number, sequence), fmt.change_row(version, cause, keys, old, new)
    )
    return sequence


def read(
    snapshot: Snapshot, log_space: int, shard: Shard, first_sequence: int, *, limit: int | None = None
) -> Iterator[tuple[int, fmt.ChangeRow]]:
    """Records of the shard with numbers >= first_sequence, in order."""
    start = fmt.change_key(log_space, shard.number, first_sequence)
    end = fmt.change_key(log_space, shard.number + 1, 0)
    for key, stored in snapshot.scan(start, end, limit=limit):
        yield int.from_bytes(key[8:16], "big"), fmt.parse_change(stored)
