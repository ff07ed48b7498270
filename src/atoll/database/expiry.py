"""Time to live: an index of items by the second at which they expire."""

from __future__ import annotations

from atoll.database import format as fmt
from atoll.database.schema import TimeToLive
from atoll.model.values import Item
from atoll.storage.engine import Transaction

LATEST = 1 << 62
"""Seconds beyond this are no dates; such items do not expire."""


def entry_key(ttl: TimeToLive, row_key: bytes, item: Item | None) -> bytes | None:
    """Where the item stands in the index; nowhere if its attribute is no positive number."""
    text = (item or {}).get(ttl.attribute, {}).get("N")
    if text is None or text.startswith("-"):
        return None
    second = int(text.partition(".")[0])
    if second > LATEST:
        return None
    return fmt.space_prefix(ttl.space) + second.to_bytes(8, "big") + row_key


def apply(tx: Transaction, ttl: TimeToLive, row_key: bytes, old: Item | None, new: Item | None) -> None:
    before, after = entry_key(ttl, row_key, old), entry_key(ttl, row_key, new)
    if before == after:
        return
    if before is not None:
        tx.delete(before)
    if after is not None:
        tx.put(after, b"")
