"""Compare two images of an item, attribute by attribute. Pure."""

from __future__ import annotations

from typing import NamedTuple

from atoll.console.values import Item, shown

SAME, ADDED, REMOVED, CHANGED = "same", "added", "removed", "changed"


class Line(NamedTuple):
    name: str
    kind: str
    old: str
    new: str


def compared(old: Item | None, new: Item | None, length: int = 300) -> list[Line]:
    """A line for each attribute: first those of the old image, then those only in the new one. Values are cut at
    `length`."""
    before, after = old or {}, new or {}
    return [
        Line(
            name,
            _kind(name, before, after),
            shown(before[name], length) if name in before else "",
            shown(after[name], length) if name in after else "",
        )
        for name in {**before, **after}
    ]


def _kind(name: str, before: Item, after: Item) -> str:
    if name not in before:
        return ADDED
    if name not in after:
        return REMOVED
    return SAME if before[name] == after[name] else CHANGED
