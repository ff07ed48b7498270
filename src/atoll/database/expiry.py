"""The expiry index: items by the second at which they expire. `ttl` builds it and deletes the expired items."""

from __future__ import annotations

from atoll.database import format as fmt
from atoll.database.schema import TimeToLive
from atoll.model.values import Item
from atoll.storage.engine import Transaction

LATEST = 1 << 62
"""Greater numbers of seconds are not valid dates: items that have them do not expire."""


def second_of(ttl: TimeToLive, item: Item) -> int | None:
    """The second at which the item expires; None if its attribute is not a positive number."""
    text = item.get(ttl.attribute, {}).get("N")
    if text is None or text.startswith("-"):
        return None
    second = int(text.partition(".")[0])
    return second if second <= LATEST else None


def entry_key(ttl: TimeToLive, row_key: bytes, item: Item | None) -> bytes | None:
    """The key of the item's entry in the index; None if it has none."""
    second = None if item is None else second_of(ttl, item)
    return None if second is None else range_start(ttl, second) + row_key


def range_start(ttl: TimeToLive, second: int) -> bytes:
    """A key below the entries of this second and later."""
    return fmt.space_prefix(ttl.space) + second.to_bytes(8, "big")


def parse_entry(key: bytes) -> tuple[int, bytes]:
    """The second and the item's row key."""
    return int.from_bytes(key[4:12], "big"), key[12:]


def apply(tx: Transaction, ttl: TimeToLive, row_key: bytes, old: Item | None, new: Item | None) -> None:
    before, after = entry_key(ttl, row_key, old), entry_key(ttl, row_key, new)
    if before == after:
        return
    if before is not None:
        tx.delete(before)
    if after is not None:
        tx.put(after, b"")
