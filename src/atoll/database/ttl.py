"""Time to live: enable it, build its index, delete expired items.

    ENABLING     every write maintains the index; `build` adds the existing items, a few in each transaction, and
                 stores its progress with them, so a crash loses nothing
    ENABLED      `delete_expired` deletes expired items with `writes.commit`
    DISABLING    no item is deleted any more; then the index is discarded

Deletions cost no capacity. An item that expired more than five years ago is kept, as its time is probably a mistake.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from atoll import limits
from atoll.clock import Stamp
from atoll.database import catalog, deletion, expiry, writes
from atoll.database import format as fmt
from atoll.database.format import Row
from atoll.database.region import Region
from atoll.database.schema import Table, TimeToLive
from atoll.database.walk import walk
from atoll.errors import ttl as ttl_errors
from atoll.model import keycode
from atoll.model.values import Item
from atoll.storage.engine import Transaction

# Limits of one call of a step.
BUILT_ITEMS = 500
DELETED_ITEMS = 100

# Enabling and disabling. Each function returns the table to save.


def enable(tx: Transaction, region: Region, table: Table, attribute: str, now_ms: int) -> Table:
    if table.ttl is not None and table.ttl.status != "DISABLING":
        if table.ttl.attribute != attribute:
            raise ttl_errors.other_attribute(table.ttl.attribute)
        raise ttl_errors.already_enabled()
    _check_interval(table, now_ms)
    if table.ttl is not None:  # still DISABLING, which may last for hours
        table = _without(tx, table, now_ms)
    empty = tx.tally(fmt.count_counter(table.space)) == 0
    status = "ENABLED" if empty and not region.settings.control_plane_delay_ms else "ENABLING"
    ttl = TimeToLive(attribute, status, catalog.new_space(tx), now_ms)
    return replace(table, ttl=ttl, ttl_changed_ms=now_ms)


def disable(tx: Transaction, region: Region, table: Table, attribute: str, now_ms: int) -> Table:
    if table.ttl is None or table.ttl.status == "DISABLING":
        raise ttl_errors.already_disabled()
    if table.ttl.attribute != attribute:
        raise ttl_errors.other_attribute(table.ttl.attribute)
    _check_interval(table, now_ms)
    disabling = replace(table, ttl=replace(table.ttl, status="DISABLING", changed_ms=now_ms), ttl_changed_ms=now_ms)
    return disabling if region.settings.control_plane_delay_ms else _without(tx, disabling, now_ms)


def _check_interval(table: Table, now_ms: int) -> None:
    """TTL may be changed once an hour."""
    if table.ttl_changed_ms is not None and now_ms < table.ttl_changed_ms + limits.TTL_CHANGE_INTERVAL_MS:
        raise ttl_errors.changed_too_often()


def _without(tx: Transaction, table: Table, now_ms: int) -> Table:
    assert table.ttl is not None
    tx.delete(fmt.backfill_key(table.ttl.space))
    deletion.discard(tx, table.ttl.space, now_ms)
    return replace(table, ttl=None)


# Steps


def build(tx: Transaction, region: Region, stamp: Stamp) -> int | None:
    """Step: continue with the tables that are ENABLING or DISABLING."""
    now_ms = stamp.now_ms
    wakes = []
    for table in region.catalog.tables(tx):
        ttl = table.ttl
        if ttl is None or ttl.status == "ENABLED" or table.status == "DELETING":
            continue
        due_ms = ttl.changed_ms + region.settings.control_plane_delay_ms
        if due_ms > now_ms:
            wakes.append(due_ms)
        elif ttl.status == "DISABLING":
            catalog.save(tx, _without(tx, table, now_ms))
        elif _build(tx, table, ttl):
            catalog.save(tx, replace(table, ttl=replace(ttl, status="ENABLED")))
        else:
            return now_ms
    return min(wakes, default=None)


def _build(tx: Transaction, table: Table, ttl: TimeToLive) -> bool:
    """Add some items to the index; return whether all are done."""

    def visit(key: bytes, stored: bytes) -> None:
        expiry.apply(tx, ttl, key, None, Row(stored).item)

    return walk(tx, table.space, fmt.backfill_key(ttl.space), BUILT_ITEMS, visit)


def delete_expired(tx: Transaction, region: Region, stamp: Stamp, *, limit: int = DELETED_ITEMS) -> int | None:
    """Step: delete up to `limit` items that expired at least the configured delay ago. Returns the time at which the
    next item is due; a later write may add one that is due sooner."""
    now_ms = stamp.now_ms
    delay_ms, rate = region.settings.ttl_delay_ms, region.settings.ttl_rate
    limit = limit if rate is None else min(limit, rate)
    pause_ms = 0 if rate is None else limit * 1000 // rate
    before = (now_ms - delay_ms) // 1000
    expiring = [
        (table, table.ttl)
        for table in region.catalog.tables(tx)
        if table.ttl is not None and table.ttl.status == "ENABLED" and table.status != "DELETING"
    ]
    if not expiring:
        return None
    first = now_ms // 1000 % len(expiring)  # rotate, so that no table always waits for another
    expiring = expiring[first:] + expiring[:first]
    left = limit
    wakes = []
    for (table, ttl), second in zip(expiring, _first_seconds(tx, expiring, before), strict=True):
        if second is not None and second < before:
            if left == 0:
                return now_ms + pause_ms
            deleted, second = _delete_expired(tx, table, ttl, before, left, stamp)
            left -= deleted
            if second is not None and second < before:
                return now_ms + pause_ms
        if second is not None:
            wakes.append((second + 1) * 1000 + delay_ms)
    return min(wakes, default=None)


def _first_seconds(tx: Transaction, expiring: list[tuple[Table, TimeToLive]], before: int) -> list[int | None]:
    """The second at which each table's first item expires. A single table is assumed to be due: its scan will show."""
    if len(expiring) == 1:
        return [before - 1]
    found = tx.first([_deletable(ttl, before) for _, ttl in expiring])
    return [None if row is None else expiry.parse_entry(row[0])[0] for row in found]


def _deletable(ttl: TimeToLive, before: int) -> tuple[bytes, bytes]:
    """The range of index entries of items that may be deleted now or later."""
    return expiry.range_start(ttl, max(0, before - limits.TTL_OLDEST_SECONDS)), fmt.space_range(ttl.space)[1]


def _delete_expired(
    tx: Transaction, table: Table, ttl: TimeToLive, before: int, limit: int, stamp: Stamp
) -> tuple[int, int | None]:
    """Delete items that expire before the second `before`. Returns their number, and the second at which the next item
    expires."""
    entries = [key for key, _ in tx.scan(*_deletable(ttl, before), limit=limit + 1)]
    due = [entry for entry in entries[:limit] if expiry.parse_entry(entry)[0] < before]
    outcomes = writes.commit(tx, [_Expire.of(table, ttl, entry) for entry in due], stamp)
    for entry in due:
        tx.delete(entry)
    deleted = sum(outcome.old is not None and outcome.new is None for outcome in outcomes)
    if deleted:
        tx.add_tally(fmt.expired_counter(table.space), deleted)
    following = entries[len(due) :]
    return deleted, expiry.parse_entry(following[0])[0] if following else None


@dataclass(slots=True)
class _Expire:
    """Deletes an item if it still expires at the expected second."""

    table: Table
    key: Item
    row_key: bytes
    ttl: TimeToLive
    second: int
    cause: int = fmt.EXPIRY
    version: ClassVar[None] = None

    @classmethod
    def of(cls, table: Table, ttl: TimeToLive, entry: bytes) -> _Expire:
        second, row_key = expiry.parse_entry(entry)
        attributes = table.keys.attributes
        contents, _ = keycode.decode(row_key, "".join(a.type for a in attributes), len(fmt.CATALOG) + 8)
        key = {a.name: {a.type: content} for a, content in zip(attributes, contents, strict=True)}
        return cls(table, key, row_key, ttl, second)

    def decide(self, old: Row | None) -> writes.Decision:
        if old is None or expiry.second_of(self.ttl, old.item) != self.second:
            return writes.UNCHANGED
        return None
