"""The conflict report: concurrent changes of one item in two regions, of which the greater version won.

Each region reports the conflicts that it detects when it applies another region's changes. It keeps the last 1,000.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import orjson

from atoll import limits
from atoll.database import format as fmt
from atoll.model.values import Item
from atoll.storage.engine import Snapshot, Transaction
from atoll.versions import Version


class Side(NamedTuple):
    """One of two concurrent changes."""

    version: Version
    image: bytes | None
    """The item's JSON; None after a deletion."""


def record(tx: Transaction, table: str, key: Item, winner: Side, loser: Side, now_ms: int) -> None:
    number = tx.add_number(fmt.CONFLICT_COUNT, 1)
    entry = {
        "table": table,
        "key": key,
        "found_ms": now_ms,
        "winner": _side(winner),
        "loser": _side(loser),
    }
    tx.put(fmt.conflict_key(number), orjson.dumps(entry))
    if number > limits.CONFLICTS_KEPT:
        tx.delete(fmt.conflict_key(number - limits.CONFLICTS_KEPT))


def _side(side: Side) -> dict[str, Any]:
    image = None if side.image is None else orjson.Fragment(side.image)
    return {"region": side.version.region, "time": side.version.time, "ms": side.version.ms, "image": image}


def listed(snapshot: Snapshot, table: str | None = None, limit: int = limits.CONFLICTS_KEPT) -> list[dict[str, Any]]:
    """The last conflicts, the latest first."""
    entries = (orjson.loads(row) for _, row in snapshot.scan(*fmt.CONFLICTS, reverse=True))
    found: list[dict[str, Any]] = []
    for entry in entries:
        if len(found) == limit:
            break
        if table is None or entry["table"] == table:
            found.append(entry)
    return found


def counted(snapshot: Snapshot) -> int:
    """The number of conflicts that the region has ever detected."""
    return snapshot.number(fmt.CONFLICT_COUNT)
