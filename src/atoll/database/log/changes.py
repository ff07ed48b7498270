"""The change log: one record for each applied change, in the transaction that applies it.

Every reader of a table's changes (its stream, and through it the triggers) reads this log only. The log keeps an image
only if a reader needs it, see `retention`. Records are numbered per shard, without gaps, in commit order. So a reader
that asks for number n and gets a greater one knows that n was trimmed.
"""

from __future__ import annotations

from collections.abc import Iterator

import orjson

from atoll import limits
from atoll.database import due
from atoll.database import format as fmt
from atoll.database.log import retention, rows
from atoll.database.log.rows import NOTHING, ChangeRow
from atoll.database.schema import Shard, Table
from atoll.database.stored import Stored
from atoll.model import keycode, values
from atoll.model.values import Item
from atoll.storage.engine import Snapshot, Transaction
from atoll.versions import Stamp, Version


def append(
    tx: Transaction,
    table: Table,
    row_key: bytes,
    key: Item,
    version: Version,
    stamp: Stamp,
    cause: int,
    old: Stored | None,
    new: Stored | None,
    previous: Version | None = None,
) -> int:
    """Write the record; returns its sequence number. `old` and `new` are the item before and after. The version's time
    may differ from the stamp's: it may come from another region, or be ahead of a clock that was set back."""
    counter, prefix = table.log_of(row_key)
    sequence = tx.add_number(counter, 1)
    kept = retention.of(table)
    before = NOTHING if old is None else (old.size, old.json if kept.old_image else b"")
    after = NOTHING if new is None else (new.size, new.json if kept.new_image else b"")
    keys = values.item_size(key), orjson.dumps(key)
    row = rows.dump(version, stamp.commit, stamp.now_ms, cause, keys, before, after, previous)
    tx.put(fmt.change_key(prefix, sequence), row)
    if sequence % limits.SPLIT_CHECK_CHANGES == 0:
        due.schedule(tx, stamp.now_ms, fmt.SPLIT, table.name.encode())
    return sequence


def read(
    snapshot: Snapshot, log_space: int, shard: Shard, first_sequence: int, *, limit: int | None = None
) -> Iterator[tuple[int, ChangeRow]]:
    """Records of the shard with numbers >= first_sequence, in order."""
    prefix = shard.change_prefix(log_space)
    start, end = fmt.change_key(prefix, first_sequence), keycode.successor(prefix)
    for key, stored in snapshot.scan(start, end, limit=limit):
        yield fmt.parse_sequence(key), rows.parse(stored)


LOOKED_CHANGES = 100


def find_last(snapshot: Snapshot, table: Table, row_key: bytes, key: Item, version: Version) -> ChangeRow | None:
    """The item's change with this version, if it is among the last changes of its open shard."""
    _, prefix = table.log_of(row_key)
    for _, stored in snapshot.scan(prefix, keycode.successor(prefix), reverse=True, limit=LOOKED_CHANGES):
        change = rows.parse(stored)
        if (change.time, change.region) == version and orjson.loads(change.keys) == key:
            return change
    return None


def get(snapshot: Snapshot, log_space: int, shard: Shard, sequence: int) -> ChangeRow | None:
    stored = snapshot.get(fmt.change_key(shard.change_prefix(log_space), sequence))
    return None if stored is None else rows.parse(stored)
