"""Time to live: enable it, build its index, delete expired items.

    ENABLING     every write maintains the index; `build` adds the existing items, a few in each transaction, and
                 stores its progress with them, so a crash loses nothing
    ENABLED      `delete_expired` deletes expired items with `writes.commit`
    DISABLING    no item is deleted any more; at the end the index is discarded

Deletions cost no capacity. An item that expired more than five years ago is kept, as its time is probably a mistake.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from atoll import limits
from atoll.database import catalog, expiry, garbage, writes
from atoll.database import format as fmt
from atoll.database.region import Region
from atoll.database.rows import Row
from atoll.database.schema import Table, TimeToLive
from atoll.database.walk import walk
from atoll.errors import ttl as ttl_errors
from atoll.model.values import Item
from atoll.storage.engine import Transaction
from atoll.versions import Stamp

# Limits of one run of a job.
BUILT_ITEMS = 500
DELETED_ITEMS = 100
CHECK_MS = 1_000
"""How often a replica checks whether other replicas have deleted their items."""
IDLE_MS = 3600 * 1000
"""How often a replica that deletes no items checks. When it may delete items, its definition changes, which schedules a
check."""

# Enabling and disabling. Each function returns the table to save.


def enable(tx: Transaction, region: Region, table: Table, attribute: str, now_ms: int) -> Table:
    if table.ttl is not None and table.ttl.status != "DISABLING":
        if table.ttl.attribute != attribute:
            raise ttl_errors.other_attribute(table.ttl.attribute)
        raise ttl_errors.already_enabled()
    _check_interval(region, table, now_ms)
    if table.ttl is not None:  # it is still DISABLING, which may last for hours
        table = _without(tx, table, now_ms)
    status = "ENABLED" if _is_empty(tx, table) else "ENABLING"
    ttl = TimeToLive(attribute, status, catalog.new_space(tx), now_ms)
    return replace(table, ttl=ttl, ttl_changed_ms=now_ms)


def disable(tx: Transaction, region: Region, table: Table, attribute: str, now_ms: int) -> Table:
    if table.ttl is None or table.ttl.status == "DISABLING":
        raise ttl_errors.already_disabled()
    if table.ttl.attribute != attribute:
        raise ttl_errors.other_attribute(table.ttl.attribute)
    _check_interval(region, table, now_ms)
    disabling = replace(table, ttl=replace(table.ttl, status="DISABLING", changed_ms=now_ms), ttl_changed_ms=now_ms)
    at_once = _is_empty(tx, table) or not region.settings.control_plane_delay_ms
    return _without(tx, disabling, now_ms) if at_once else disabling


def follow(tx: Transaction, table: Table, attribute: str | None, now_ms: int) -> Table:
    """The table with the time to live of another replica; without an attribute it is disabled."""
    if table.ttl is not None:
        table = _without(tx, table, now_ms)
    if attribute is not None:
        status = "ENABLED" if _is_empty(tx, table) else "ENABLING"
        table = replace(table, ttl=TimeToLive(attribute, status, catalog.new_space(tx), now_ms))
    return replace(table, ttl_changed_ms=now_ms)


def _is_empty(tx: Transaction, table: Table) -> bool:
    return tx.tally(table.count_tally) == 0


def _check_interval(region: Region, table: Table, now_ms: int) -> None:
    """Refuse a second change of time to live within about half an hour."""
    if not region.settings.quotas:
        return
    if table.ttl_changed_ms is not None and now_ms < table.ttl_changed_ms + limits.TTL_CHANGE_INTERVAL_MS:
        raise ttl_errors.changed_too_often()


def _without(tx: Transaction, table: Table, now_ms: int) -> Table:
    assert table.ttl is not None
    tx.delete(fmt.backfill_key(table.ttl.space))
    expiry.unschedule(tx, table, table.ttl)
    garbage.discard(tx, table.ttl.space, now_ms)
    return replace(table, ttl=None)


# Jobs


def build(tx: Transaction, region: Region, stamp: Stamp, name: bytes) -> int | None:
    """Job: continue with a table that is ENABLING or DISABLING."""
    now_ms = stamp.now_ms
    table = region.catalog.find(tx, name.decode())
    if table is None or table.ttl is None or table.ttl.status == "ENABLED" or table.status == "DELETING":
        return None
    ttl = table.ttl
    due_ms = ttl.changed_ms + region.settings.control_plane_delay_ms
    if due_ms > now_ms:
        return due_ms
    if ttl.status == "DISABLING":
        catalog.save(tx, _without(tx, table, now_ms))
    elif _build(tx, table, ttl):
        catalog.save(tx, replace(table, ttl=replace(ttl, status="ENABLED")))
    else:
        return now_ms
    return None


def _build(tx: Transaction, table: Table, ttl: TimeToLive) -> bool:
    """Add some items to the index; returns whether all are done."""

    def visit(key: bytes, stored: bytes) -> None:
        expiry.apply(tx, table, ttl, key, None, Row(stored).item)

    return walk(tx, table.space, fmt.backfill_key(ttl.space), BUILT_ITEMS, visit)


def delete_expired(tx: Transaction, region: Region, stamp: Stamp, name: bytes) -> int | None:
    """Job: delete some items of a table that expired at least the configured delay ago."""
    table = region.catalog.find(tx, name.decode())
    if table is None or table.ttl is None or table.ttl.status != "ENABLED" or table.status == "DELETING":
        return None
    if table.group is not None and (table.status == "CREATING" or not table.group.accepts_writes):
        return stamp.now_ms + IDLE_MS
    ttl, now_ms = table.ttl, stamp.now_ms
    delay_ms, rate = region.settings.ttl_delay_ms, region.settings.ttl_rate
    limit = DELETED_ITEMS if rate is None else min(DELETED_ITEMS, rate)
    before = (now_ms - delay_ms) // 1000
    second, deletes, deleted = _delete_expired(tx, table, ttl, before, limit, stamp)
    if deleted:
        region.meter.expired(table.name, deleted, stamp.commit)
    expiry.set_due(tx, ttl, second)
    if second is None:
        return None
    if second < before and not deletes:
        return now_ms + CHECK_MS
    if second < before:
        return now_ms if rate is None else now_ms + limit * 1000 // rate
    return expiry.due_ms(second) + delay_ms


def _delete_expired(
    tx: Transaction, table: Table, ttl: TimeToLive, before: int, limit: int, stamp: Stamp
) -> tuple[int | None, bool, int]:
    """Delete items that expire before the second `before`. Returns the second at which the next item expires, whether
    any of these items is finished, and how many were deleted."""
    oldest = fmt.expiry_start(ttl.space, max(0, before - limits.TTL_OLDEST_SECONDS))
    entries = [key for key, _ in tx.scan(oldest, fmt.space_range(ttl.space)[1], limit=limit + 1)]
    expiring = [_Expire.of(table, ttl, entry, before) for entry in entries]
    due = [one for one in expiring[:limit] if one.second < before]
    outcomes = writes.commit(tx, due, stamp)
    waiting = [one for one, outcome in zip(due, outcomes, strict=True) if one.waits(outcome.old)]
    for one in due:
        if one not in waiting:
            tx.delete(one.entry)
    deleted = sum(outcome.old is not None and outcome.new is None for outcome in outcomes)
    if deleted:
        tx.add_tally(fmt.expired_counter(table.space), deleted)
    following = [*waiting, *expiring[len(due) :]]
    return following[0].second if following else None, len(waiting) < len(due), deleted


@dataclass(slots=True)
class _Expire:
    """Deletes an item if it still expires at the expected second. In a global table, the region that wrote the item
    deletes it; others do so only if that region fails to."""

    table: Table
    key: Item
    row_key: bytes
    ttl: TimeToLive
    second: int
    entry: bytes
    """The second in the expiry index."""
    elsewhere: frozenset[str]
    """The regions that delete their own items."""
    cause: int = fmt.EXPIRY
    reads: ClassVar[int] = 0
    version: ClassVar[None] = None

    @classmethod
    def of(cls, table: Table, ttl: TimeToLive, entry: bytes, before: int) -> _Expire:
        second, row_key = fmt.parse_expiry(entry, table.space)
        key = table.keys.decode(row_key)
        waits = table.group is not None and second + limits.EXPIRED_ELSEWHERE_SECONDS >= before
        elsewhere = frozenset(one.region for one in table.group.others) if table.group and waits else frozenset()
        return cls(table, key, row_key, ttl, second, entry, elsewhere)

    def decide(self, old: Row | None) -> writes.Decision:
        return None if self._expires(old) and not self.waits(old) else writes.UNCHANGED

    def _expires(self, old: Row | None) -> bool:
        return old is not None and expiry.second_of(self.ttl, old.item) == self.second

    def waits(self, old: Row | None) -> bool:
        """Whether another region is to delete the item."""
        return old is not None and old.version.region in self.elsewhere and self._expires(old)
