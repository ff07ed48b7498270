"""Compare two tables, by parallel scans of both with consistent reads.

Each item of the source is looked up in the target and compared; each key of the target is looked up in the source. An
item that differs is read again from both tables at the end: it may have changed between two reads, or its change may
not have been replicated yet. Endpoints order items differently, so their scans cannot be compared side by side.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from atoll.logs import one_line
from atoll.replicate import keys
from atoll.replicate.copying import BATCH, Page, Table
from atoll.replicate.state import Item, Segment

MISSING, EXTRA, DIFFERENT = "missing at the target", "missing at the source", "different"
ROUNDS = 3
"""How often a differing item is read again before it counts as a difference."""
ROUND_PAUSE_S = 1.0


@dataclass(frozen=True, slots=True)
class Difference:
    key: Item
    kind: str
    attributes: tuple[str, ...] = ()
    """The names of the attributes that differ between two items."""

    def __str__(self) -> str:
        detail = f": {', '.join(self.attributes)}" if self.attributes else ""
        return one_line(f"{self.kind}: {json.dumps(self.key, ensure_ascii=False)}{detail}")

    def as_json(self) -> dict[str, Any]:
        return {"kind": self.kind, "key": self.key, "attributes": list(self.attributes)}


def differences(
    source: Table,
    target: Table,
    segments: int,
    tick: Callable[[], None],
    pause: Callable[[float], None],
) -> list[Difference]:
    """The differences that remain after several reads, in the order of their keys as text."""
    suspects: dict[Any, Item] = {}
    lock = threading.Lock()

    def suspect(found: Page) -> None:
        with lock:
            suspects.update((keys.identity(item, source.names), keys.key(item, source.names)) for item in found)

    def compare(page: Page) -> None:
        there = target.look_up(keys.key(item, source.names) for item in page)
        suspect([item for item in page if not _is_same(item, there.get(keys.identity(item, source.names)))])

    def find(page: Page) -> None:
        there = source.look_up(page, keys_only=True)
        suspect([item for item in page if keys.identity(item, source.names) not in there])

    source.scan(map(Segment, range(segments)), compare, _ignore, tick)
    target.scan(map(Segment, range(segments)), find, _ignore, tick, keys_only=True)
    return _confirmed(source, target, list(suspects.values()), pause)


def _confirmed(source: Table, target: Table, suspects: list[Item], pause: Callable[[float], None]) -> list[Difference]:
    found: list[Difference] = []
    for number in range(ROUNDS):
        if number and suspects:
            pause(ROUND_PAUSE_S)
        found = []
        for first in range(0, len(suspects), BATCH):
            batch = suspects[first : first + BATCH]
            ours, theirs = source.look_up(batch), target.look_up(batch)
            for key in batch:
                identity = keys.identity(key, source.names)
                difference = _difference(key, ours.get(identity), theirs.get(identity))
                if difference is not None:
                    found.append(difference)
        suspects = [difference.key for difference in found]
    return sorted(found, key=str)


def _difference(key: Item, ours: Item | None, theirs: Item | None) -> Difference | None:
    if ours is None and theirs is None:
        return None
    if ours is None:
        return Difference(key, EXTRA)
    if theirs is None:
        return Difference(key, MISSING)
    names = sorted(
        name
        for name in {*ours, *theirs}
        if name not in ours or name not in theirs or keys.comparable(ours[name]) != keys.comparable(theirs[name])
    )
    return Difference(key, DIFFERENT, tuple(names)) if names else None


def _is_same(ours: Item, theirs: Item | None) -> bool:
    return theirs is not None and keys.same(ours, theirs)


def _ignore(segment: Segment) -> None:
    """Does nothing: a comparison stores no progress."""
