"""Draw the shards of a stream by generation: parents on the left, children on the right. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from xml.etree.ElementTree import Element

from atoll.console.drawing import add, picture

MOST = 400
"""The most shards in a drawing."""
NODE, GAP, ROW = 132.0, 46.0, 30.0


@dataclass(frozen=True)
class Shard:
    id: str
    parent: str | None
    is_open: bool
    generation: int
    row: float
    """Its position within its generation: between those of its children if it has several."""


def arranged(shards: Sequence[Mapping[str, Any]]) -> list[Shard]:
    """Shards as DescribeStream gives them. A parent that is not among them was trimmed."""
    by_id = {one["ShardId"]: one for one in shards}
    children: dict[str | None, list[str]] = {}
    for name, one in by_id.items():
        parent = one.get("ParentShardId")
        children.setdefault(parent if parent in by_id else None, []).append(name)
    found: list[Shard] = []
    rows: dict[str, float] = {}
    free = 0.0
    # Depth first, without recursion: a lineage may have hundreds of generations.
    waiting = [(name, 0, False) for name in sorted(children.get(None, ()), reverse=True)]
    while waiting:
        name, generation, expanded = waiting.pop()
        below = sorted(children.get(name, ()))
        if below and not expanded:
            waiting.append((name, generation, True))
            waiting += [(one, generation + 1, False) for one in reversed(below)]
            continue
        if below:
            rows[name] = sum(rows[one] for one in below) / len(below)
        else:
            rows[name], free = free, free + 1
        one = by_id[name]
        is_open = "EndingSequenceNumber" not in one.get("SequenceNumberRange", {})
        found.append(Shard(name, one.get("ParentShardId"), is_open, generation, rows[name]))
    return sorted(found, key=lambda one: (one.generation, one.row))


def drawn(shards: Sequence[Mapping[str, Any]]) -> Element:
    placed = arranged(shards[-MOST:])
    width = (max((one.generation for one in placed), default=0) + 1) * (NODE + GAP) - GAP + 2
    height = (max((one.row for one in placed), default=0) + 1) * ROW
    open_ = sum(one.is_open for one in placed)
    svg = picture(width, height, f"{len(placed)} shards, {open_} of them open", grows=False)
    by_id = {one.id: one for one in placed}
    for one in placed:
        parent = by_id.get(one.parent or "")
        if parent is not None:
            x, y = _corner(parent)
            to_x, to_y = _corner(one)
            middle = to_x - GAP / 2
            start, end = f"{x + NODE:.1f} {y + 11:.1f}", f"{to_x:.1f} {to_y + 11:.1f}"
            add(svg, "path", "edge", d=f"M{start}C{middle:.1f} {y + 11:.1f} {middle:.1f} {to_y + 11:.1f} {end}")
    for one in placed:
        x, y = _corner(one)
        group = add(svg, "g")
        add(group, "title", text=f"{one.id}, {'open' if one.is_open else 'closed'}, parent: {one.parent or 'none'}")
        add(group, "rect", "node" if one.is_open else "node closed", x=x, y=y, width=NODE, height=22, rx=4)
        add(group, "text", "strong" if one.is_open else "", text=short(one.id), x=x + 8, y=y + 15)
    return svg


def _corner(one: Shard) -> tuple[float, float]:
    return 1 + one.generation * (NODE + GAP), one.row * ROW + 3


def short(shard_id: str) -> str:
    """The end of a shard's id, which is enough to distinguish shards."""
    return f"…{shard_id[-14:]}" if len(shard_id) > 15 else shard_id
