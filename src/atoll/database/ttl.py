"""Time to live: enabling it, building its index, deleting what has expired.

    ENABLING     every write maintains the index; `build` adds the items that were there before, a few in each
                 transaction, and stores how far it is, so that a crash loses nothing
    ENABLED      `delete_expired` deletes the items whose second has passed, through the one door for writes
    DISABLING    nothing is deleted any more; then the index is discarded

Deletions cost no capacity. An item that expired more than five years ago is left alone: it is more likely a mistake.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from atoll import limits
from atoll.database import catalog, deletion, expiry, writes
from atoll.database import format as fmt
from atoll.database.format import Row
from atoll.database.region import Region
from atoll.database.schema import Table, TimeToLive
from atoll.database.walk import walk
from atoll.errors import ttl as texts
from atoll.model import keycode
from atoll.model.values import Item
from atoll.storage.engine import Transaction

# The most that one call of a step does.
BUILT_ITEMS = 500
DELETED_ITEMS = 100

# Enabling and disabling. These return the table as it is to be saved.


def enable(tx: Transaction, region: Region, table: Table, attribute: str, now_ms: int) -> Table:
    if table.ttl is not None and table.ttl.status != "DISABLING":
        if table.ttl.attribute != attribute:
            raise texts.other_attribute(table.ttl.attribute)
        raise texts.already_enabled()
    _check_interval(table, now_ms)
    if table.ttl is not None:  # still DISABLING, where that lasts for hours
        table = _without(tx, table, now_ms)
    empty = tx.tally(fmt.count_counter(table.space)) == 0
    status = "ENABLED" if empty and not region.settings.control_plane_delay_ms else "ENABLING"
    ttl = TimeToLive(attribute, status, catalog.new_space(tx), now_ms)
    return replace(table, ttl=ttl, ttl_changed_ms=now_ms)


def disable(tx: Transaction, region: Region, table: Table, attribute: str, now_ms: int) -> Table:
    if table.ttl is None or table.ttl.status == "DISABLING":
        raise texts.already_disabled()
    if table.ttl.attribute != attribute:
        raise texts.other_attribute(table.ttl.attribute)
    _check_interval(table, now_ms)
    disabling = replace(table, ttl=replace(table.ttl, status="DISABLING", changed_ms=now_ms), ttl_changed_ms=now_ms)
    return disabling if region.settings.control_plane_delay_ms else _without(tx, disabling, now_ms)


def _check_interval(table: Table, now_ms: int) -> None:
    """One change an hour."""
    if table.ttl_changed_ms is not None and now_ms < table.ttl_changed_ms + limits.TTL_CHANGE_INTERVAL_MS:
        raise texts.changed_too_often()


def _without(tx: Transaction, table: Table, now_ms: int) -> Table:
    assert table.ttl is not None
    tx.delete(fmt.backfill_key(table.ttl.space))
    deletion.discard(tx, table.ttl.space, now_ms)
    return replace(table, ttl=None)


# Steps


def build(tx: Transaction, region: Region, now_ms: int) -> int | None:
    """Go on with the tables that are ENABLING or DISABLING."""
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
    """Do some items; returns whether all are done."""

    def visit(key: bytes, stored: bytes) -> None:
        expiry.apply(tx, ttl, key, None, Row(stored).item)

    return walk(tx, table.space, fmt.backfill_key(ttl.space), BUILT_ITEMS, visit)


def delete_expired(tx: Transaction, region: Region, now_ms: int, *, limit: int = DELETED_ITEMS) -> int | None:
    """Delete up to `limit` items whose time, and the delay after it, is over. Returns when the next item will be due: a
    write may always bring one that expires sooner."""
    delay_ms, rate = region.settings.ttl_delay_ms, region.settings.ttl_rate
    limit = limit if rate is None else min(limit, rate)
    pause_ms = 0 if rate is None else limit * 1000 // rate
    tables = [t for t in region.catalog.tables(tx) if t.ttl is not None and t.ttl.status == "ENABLED"]
    if not tables:
        return None
    first = now_ms // 1000 % len(tables)  # so that no table always waits for another
    left = limit
    wakes = []
    for table in tables[first:] + tables[:first]:
        if table.status == "DELETING":
            continue
        assert table.ttl is not None
        before = (now_ms - delay_ms) // 1000
        second = _first_second(tx, table.ttl, before)
        if second is not None and second < before:
            deleted, more = _delete_expired(tx, region, table, table.ttl, before, left)
            left -= deleted
            if more:
                return now_ms + pause_ms
            second = _first_second(tx, table.ttl, before)
        if second is not None:
            wakes.append((second + 1) * 1000 + delay_ms)
    return min(wakes, default=None)


def _first_second(tx: Transaction, ttl: TimeToLive, before: int) -> int | None:
    """When the first item expires that may be deleted now or later."""
    start = expiry.range_start(ttl, max(0, before - limits.TTL_OLDEST_SECONDS))
    for entry, _ in tx.scan(start, fmt.space_range(ttl.space)[1], limit=1):
        return expiry.parse_entry(entry)[0]
    return None


def _delete_expired(
    tx: Transaction, region: Region, table: Table, ttl: TimeToLive, before: int, limit: int
) -> tuple[int, bool]:
    """How many items were deleted, and whether there are more. Those of the second `before` are not yet due."""
    start = expiry.range_start(ttl, max(0, before - limits.TTL_OLDEST_SECONDS))
    entries = [key for key, _ in tx.scan(start, expiry.range_start(ttl, max(0, before)), limit=limit + 1)]
    deleted = 0
    for entry in entries[:limit]:
        outcome = writes.execute(tx, region, _Expire.of(table, ttl, entry))
        deleted += outcome.old is not None and outcome.new is None
        tx.delete(entry)
    if deleted:
        tx.add_tally(fmt.expired_counter(table.space), deleted)
    return deleted, len(entries) > limit


@dataclass(slots=True)
class _Expire:
    """Deletes an item if it still expires at that second."""

    table: Table
    key: Item
    row_key: bytes
    ttl: TimeToLive
    second: int
    cause: int = fmt.EXPIRY

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
