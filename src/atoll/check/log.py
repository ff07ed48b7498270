"""Check a change log: its shards and its records.

The records of a shard are numbered without gaps. Trimming removes the oldest ones, so the rest are consecutive, up to
the newest.
"""

from __future__ import annotations

from collections.abc import Iterator

import orjson

from atoll.check import findings as on
from atoll.check.findings import Finding, Fix
from atoll.check.spaces import UNREADABLE, read, readable_change, shards_of
from atoll.database import format as fmt
from atoll.database.log import rows
from atoll.database.records import dump
from atoll.database.schema import HASHES, Shard, Table
from atoll.model import keycode, values
from atoll.storage.engine import Snapshot


def check_shards(snapshot: Snapshot, table: Table) -> Iterator[Finding]:
    """Check that the open shards of a table cover all hashes, and that each has its row and its counter."""
    next_hash = 0
    for shard in table.shards:
        if shard.first_hash != next_hash or shard.last_hash < shard.first_hash:
            text = f"the shards of the table do not divide the hashes: shard {shard.number} does not follow another"
            yield Finding(on.SHARD, table.name, {"shard": shard.number}, text)
        next_hash = shard.last_hash + 1
    if next_hash != HASHES:
        yield Finding(on.SHARD, table.name, None, "the shards of the table do not cover all partition keys")
    numbers = {shard.number for shard in table.shards}
    stored = {}
    for key, shard_row in shards_of(snapshot, table.log_space):
        if shard_row is not None:
            stored[shard_row.number] = shard_row
            if shard_row.last_sequence is None and shard_row.number not in numbers:
                text = "an open shard is not one of its table's"
                yield Finding(on.SHARD, table.name, {"shard": shard_row.number}, text, (on.delete(key),))
    for shard in table.shards:
        if stored.get(shard.number) != shard:
            text = "the row of an open shard is missing, or is not what the table has"
            fix = on.put(fmt.shard_key(table.log_space, shard.number), dump(shard))
            yield Finding(on.SHARD, table.name, {"shard": shard.number}, text, (fix,))
        counter = fmt.sequence_counter(table.log_space, shard.number)
        if snapshot.number(counter) < shard.first_sequence - 1:
            text = "the sequence counter of an open shard is below its first number"
            fix = on.set_number(counter, shard.first_sequence - 1)
            yield Finding(on.COUNTER, table.name, {"shard": shard.number}, text, (fix,))


def check(snapshot: Snapshot, log_space: int, table: Table | None) -> Iterator[Finding]:
    """Check the records of a log; `table` is None if the table is deleted."""
    group: _Group | None = None

    def moved() -> None:
        if group is not None:
            group.has_moved = True

    for key, stored in on.sliced(snapshot, *fmt.space_range(log_space), moved):
        if group is None or fmt.change_prefix_of(key) != group.prefix:
            if group is not None:
                yield from group.end()
            group = _Group(snapshot, log_space, table, fmt.change_prefix_of(key))
        yield from group.add(key, stored)
    if group is not None:
        yield from group.end()


class _Group:
    """The records of one shard."""

    def __init__(self, snapshot: Snapshot, log_space: int, table: Table | None, prefix: bytes) -> None:
        self.prefix = prefix
        self._snapshot = snapshot
        self._log_space = log_space
        self._table = table
        self._shard = self._find(fmt.parse_shard(prefix))
        self._next: int | None = None
        """The number after the last record."""
        self.has_moved = False
        """Whether the next record comes from a later snapshot, in which those before it may be trimmed."""

    def _find(self, number: int) -> Shard | None:
        stored = self._snapshot.get(fmt.shard_key(self._log_space, number))
        shard: Shard | None = None if stored is None else read(Shard, stored)
        if shard is None and self._table is not None:
            shard = next((one for one in self._table.shards if one.number == number), None)
        return shard if shard is not None and shard.change_prefix(self._log_space) == self.prefix else None

    def add(self, key: bytes, stored: bytes) -> Iterator[Finding]:
        shard = self._shard
        if shard is None or not fmt.is_change_key(key):
            yield self._finding(on.ORPHAN, key, "a change record belongs to no shard", on.delete(key))
            return
        sequence = fmt.parse_sequence(key)
        before = on.delete_range(self.prefix, key)
        if sequence < shard.first_sequence:
            text = f"a change record has a number below {shard.first_sequence}, the first of its shard"
            yield self._finding(on.CHANGE, key, text, on.delete(key), is_loss=True)
            return
        if self._next is not None and sequence != self._next and not self._is_trimmed(self._next - 1):
            last = sequence - 1
            missing = f"record {last} is" if self._next == last else f"records {self._next} to {last} are"
            text = f"{missing} missing before this record; a repair also drops the records before the gap"
            yield self._finding(on.CHANGE, key, text, before, is_loss=True)
        self._next, self.has_moved = sequence + 1, False
        damage = self._damage(shard, stored)
        if damage is not None:
            text = f"{damage}; a repair drops it with the records before it"
            yield self._finding(on.CHANGE, key, text, on.delete_range(self.prefix, key + b"\0"), is_loss=True)

    def _is_trimmed(self, sequence: int) -> bool:
        """Whether the record was trimmed after it had been read."""
        return self.has_moved and self._snapshot.get(fmt.change_key(self.prefix, sequence)) is None

    def end(self) -> Iterator[Finding]:
        shard = self._find(fmt.parse_shard(self.prefix))
        rows = self.prefix, keycode.successor(self.prefix)
        # More records may have been written since the last one was read, and all may have been trimmed.
        last = next(iter(self._snapshot.scan(*rows, reverse=True, limit=1)), None)
        if shard is None or last is None or not fmt.is_change_key(last[0]):
            return
        key, after = last[0], fmt.parse_sequence(last[0]) + 1
        counter = fmt.sequence_counter(self._log_space, shard.number)
        is_open = shard.last_sequence is None
        end = self._snapshot.number(counter) + 1 if shard.last_sequence is None else shard.last_sequence
        if after < end:
            text = f"records {after} to {end - 1} are missing after this record; a repair drops those before too"
            yield self._finding(on.CHANGE, key, text, on.delete_range(*rows), is_loss=True)
        elif after > end and is_open:
            text = f"the sequence counter of the shard is {end - 1}, but this record has a greater number"
            yield self._finding(on.COUNTER, key, text, on.set_number(counter, after - 1))
        elif after > end:
            text = f"the shard was closed at {end}, but this record has that number or a greater one"
            beyond = on.delete_range(fmt.change_key(self.prefix, end), rows[1])
            yield self._finding(on.CHANGE, key, text, beyond, is_loss=True)

    def _damage(self, shard: Shard, stored: bytes) -> str | None:
        try:
            change = rows.parse(stored)
            keys = orjson.loads(change.keys)
            images = [(change.keys_size, keys)]
            images += [(change.old_size, orjson.loads(change.old))] if change.old else []
            images += [(change.new_size, orjson.loads(change.new))] if change.new else []
            for size, item in images:
                if values.item_size(item) != size:
                    return f"a size in the record is {size}, but should be {values.item_size(item)}"
            if self._table is not None:
                hashed = self._table.keys.hash_of(keys)
                if not shard.first_hash <= hashed <= shard.last_hash:
                    return "the record is in the shard of other partition keys"
        except UNREADABLE as error:
            return f"the record is unreadable ({error!r})"
        return None

    def _finding(self, kind: str, key: bytes, text: str, fix: Fix, *, is_loss: bool = False) -> Finding:
        table = None if self._table is None else self._table.name
        return Finding(kind, table, readable_change(key), text, (fix,), is_loss)
