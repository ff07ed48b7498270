"""The expiry index: items by the second at which they expire. `ttl` builds it and deletes the expired items.

A number in the store has the second for which the next deletion run is scheduled in the due index. A write that adds an
earlier entry schedules an earlier run.
"""

from __future__ import annotations

from atoll.database import due
from atoll.database import format as fmt
from atoll.database.schema import Table, TimeToLive
from atoll.model.values import Item
from atoll.storage.engine import Transaction

LATEST = 1 << 62
"""The latest second: greater numbers are not valid dates, and items that have them do not expire."""


def second_of(ttl: TimeToLive, item: Item) -> int | None:
    """The second at which the item expires; None if its attribute is not a positive number."""
    text = item.get(ttl.attribute, {}).get("N")
    if text is None or text.startswith("-"):
        return None
    second = int(text.partition(".")[0])
    return second if second <= LATEST else None


def apply(tx: Transaction, table: Table, ttl: TimeToLive, row_key: bytes, old: Item | None, new: Item | None) -> None:
    before = None if old is None else second_of(ttl, old)
    after = None if new is None else second_of(ttl, new)
    if before == after:
        return
    if before is not None:
        tx.delete(fmt.expiry_key(ttl.space, before, row_key))
    if after is not None:
        tx.put(fmt.expiry_key(ttl.space, after, row_key), b"")
        number = fmt.expiry_due_number(ttl.space)
        if not 0 < tx.number(number) <= after + 1:
            set_due(tx, ttl, after)
            due.schedule(tx, due_ms(after), fmt.EXPIRE, table.name.encode())


def due_ms(second: int) -> int:
    """When items that expire at this second are due for deletion: when the second has passed."""
    return min((second + 1) * 1000, LATEST)


def unschedule(tx: Transaction, table: Table, ttl: TimeToLive) -> None:
    """Remove the scheduled run of a discarded index: it may be years ahead."""
    second = tx.number(fmt.expiry_due_number(ttl.space)) - 1
    if second >= 0:
        tx.delete(fmt.due_key(due_ms(second), fmt.EXPIRE, table.name.encode()))
        set_due(tx, ttl, None)


def set_due(tx: Transaction, ttl: TimeToLive, second: int | None) -> None:
    """Record the second for which a run is scheduled; None for no run."""
    number = fmt.expiry_due_number(ttl.space)
    value = 0 if second is None else second + 1
    tx.add_number(number, value - tx.number(number))
