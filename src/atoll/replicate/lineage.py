"""The shards of the source's stream, and the order in which they may be read. Pure.

All changes of an item are in one shard, or in a shard and its descendants. So a shard may be read when its parent is
done; this keeps the order of each item's changes. Shards are closed and get children every four hours, and when the
table grows.

If a shard was trimmed before it was done, or appears although its parent was never seen, records were missed (`Gap`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from atoll.replicate.failures import Failed, Gap
from atoll.replicate.state import ShardProgress


@dataclass(frozen=True, slots=True)
class Shard:
    """A shard as DescribeStream lists it."""

    id: str
    parent: str | None
    start: str | None
    closed: bool


class Lineage:
    def __init__(self, places: Iterable[ShardProgress]) -> None:
        self.places = {place.shard: place for place in places}

    def update(self, listed: Iterable[Shard]) -> list[str]:
        """Take over a new listing. Returns the shards that are not needed any more."""
        shards = {shard.id: shard for shard in listed}
        for place in self.places.values():
            if not place.done and place.shard not in shards:
                raise Gap(f"the shard {place.shard} was trimmed before all of it was read")
        for shard in shards.values():
            if shard.id not in self.places:
                self._add(shard, shards)
        if not self.done and not any(True for _ in self.ready()):
            raise Failed("the shards of the source's stream are parents of each other")
        needed = {*shards, *(shard.parent for shard in shards.values())}
        forgotten = [name for name in self.places if name not in needed]
        for name in forgotten:
            del self.places[name]
        return forgotten

    def _add(self, shard: Shard, shards: dict[str, Shard]) -> None:
        if shard.parent is not None and shard.parent not in self.places and shard.parent not in shards:
            raise Gap(f"the shard {shard.parent}, the parent of {shard.id}, was trimmed before it was read")
        self.places[shard.id] = ShardProgress(shard.id, shard.parent, start=shard.start)

    def ready(self) -> Iterator[ShardProgress]:
        """The places of the shards that can be read: those that are not done and whose parents are."""
        for place in self.places.values():
            parent = self.places.get(place.parent or "")
            if not place.done and (parent is None or parent.done):
                yield place if parent is None or place.read_ms else replace(place, read_ms=parent.read_ms)

    def advance(self, place: ShardProgress) -> None:
        self.places[place.shard] = place

    @property
    def done(self) -> bool:
        """Whether all shards are closed and read: the stream has ended, or its new shards are not listed yet."""
        return all(place.done for place in self.places.values())
