"""The change log: one record for each applied change, in the transaction that applies it.

Every reader of a table's changes (its stream, and through it the triggers) reads this log and has no other source. The
log keeps an image only if a reader needs it, see `retention`. Records are numbered per shard, without gaps, in commit
order. So a reader that asks for number n and gets a greater one knows that n was trimmed.
"""

from __future__ import annotations

from collections.abc import Iterator

import orjson

from atoll.clock import Version
from atoll.database import format as fmt
from atoll.database.log import retention
from atoll.database.schema import Table
from atoll.model import values
from atoll.model.values import Item
from atoll.storage.engine import Snapshot, Transaction


def append(
    tx: Transaction,
    table: Table,
    row_key: bytes,
    key: Item,
    version: Version,
    written_ms: int,
    cause: int,
    old: tuple[int, bytes] | None,
    new: tuple[int, bytes] | None,
) -> int:
    """Write the record and return its sequence number. Images are (size, JSON). `written_ms` is this region's time. The
    version's time may come from another region, or be ahead of a clock that was set back."""
    counter, prefix = table.log_of(row_key)
    sequence = tx.add_number(counter, 1)
    keys = (values.item_size(key), orjson.dumps(key))
    kept = retention.of(table)
    if old is not None and not kept.old_image:
        old = (old[0], b"")
    if new is not None and not kept.new_image:
        new = (new[0], b"")
    tx.put(prefix + sequence.to_bytes(8, "big"), fmt.change_row(version, written_ms, cause, keys, old, new))
    return sequence


def read(
    snapshot: Snapshot, log_space: int, shard: int, first_sequence: int, *, limit: int | None = None
) -> Iterator[tuple[int, fmt.ChangeRow]]:
    """Records of the shard with numbers >= first_sequence, in order."""
    start = fmt.change_key(log_space, shard, first_sequence)
    end = fmt.change_key(log_space, shard + 1, 0)
    for key, stored in snapshot.scan(start, end, limit=limit):
        yield int.from_bytes(key[8:16], "big"), fmt.parse_change(stored)


def get(snapshot: Snapshot, log_space: int, shard: int, sequence: int) -> fmt.ChangeRow | None:
    stored = snapshot.get(fmt.change_key(log_space, shard, sequence))
    return None if stored is None else fmt.parse_change(stored)
