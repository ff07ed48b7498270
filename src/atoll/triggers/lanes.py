"""Read the lanes of all mappings from the store, and the unprocessed records of each lane.

`plan` finds the lanes that may run now. A shard may run once its parent is finished or no longer in the stream. Its
lanes are stored; a new shard gets as many lanes as the mapping's parallelization factor. When that factor changes, all
lanes run up to a common sequence number, the fence. There `exchange` replaces them. So the changes of each item stay in
order. `plan` and `read` only read; `exchange` and `forget` write.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import orjson

from atoll.database import format as fmt
from atoll.database import streams
from atoll.database.log import cursor as cursors
from atoll.database.records import dump
from atoll.database.region import Region
from atoll.database.schema import Shard
from atoll.database.streams import StreamDescription
from atoll.errors import ApiError
from atoll.storage.engine import Snapshot, Transaction
from atoll.triggers import events, filters, mapping
from atoll.triggers.batches import Gathered, Lane, Record
from atoll.triggers.mapping import Mapping

READ_RECORDS = 200

Key = tuple[str, int, int]
"""Mapping, shard, lane."""


@dataclass(frozen=True)
class PlacedLane:
    """A stored lane with the mapping, stream and shard that it belongs to."""

    mapping: Mapping
    stream: StreamDescription
    shard: Shard
    number: int
    lane: Lane
    fence: int | None = None
    """Records from this sequence number on wait until the number of lanes has changed."""

    @property
    def key(self) -> Key:
        return self.mapping.uuid, self.shard.number, self.number

    @property
    def shard_id(self) -> str:
        return streams.shard_id(self.shard)


@dataclass(frozen=True)
class Forgotten:
    """A lane whose shard is trimmed: its row can be deleted."""

    mapping: Mapping
    key: Key
    unread: bool
    """Whether the shard was trimmed before the function had processed all of it."""


@dataclass(frozen=True)
class LanePlan:
    """The lanes that may run, and the rows to replace or delete."""

    places: tuple[PlacedLane, ...] = ()
    exchanges: tuple[tuple[Mapping, Shard], ...] = ()
    """Shards whose lanes have all reached the fence, so that `exchange` must replace them."""
    forgotten: tuple[Forgotten, ...] = ()
    """Lanes of shards that are trimmed."""


def plan(snapshot: Snapshot, region: Region, now_ms: int) -> LanePlan:
    places: list[PlacedLane] = []
    exchanges: list[tuple[Mapping, Shard]] = []
    forgotten: list[Forgotten] = []
    for one in mapping.listed(snapshot):
        try:
            stream: StreamDescription | None = streams.find(snapshot, region, one.stream_arn, now_ms)
        except ApiError:
            stream = None
        present = (
            {} if stream is None else {shard.number: shard for shard in streams.shards_of(snapshot, stream, now_ms)}
        )
        stored: dict[int, dict[int, Lane]] = {}
        for number, lane_number, lane in mapping.lanes(snapshot, one.uuid):
            if number in present:
                stored.setdefault(number, {})[lane_number] = lane
            else:
                forgotten.append(Forgotten(one, (one.uuid, number, lane_number), not lane.finished))
        if stream is None or not one.enabled:
            continue
        lanes_of = {number: _lanes(one, shard, stored.get(number, {})) for number, shard in present.items()}
        finished = {number for number, lanes in lanes_of.items() if all(lane.finished for lane in lanes)}
        for shard in cursors.readable(list(present.values()), finished):
            lanes = lanes_of[shard.number]
            fence = None
            if lanes[0].of != one.parallelization:
                # The fence is after the last batch in progress, because a retried batch must keep its records.
                fence = max(max((lane.position, *(end + 1 for end in lane.ends))) for lane in lanes)
                if _together(lanes):
                    exchanges.append((one, shard))
            places += (PlacedLane(one, stream, shard, n, lane, fence) for n, lane in enumerate(lanes))
    return LanePlan(tuple(places), tuple(exchanges), tuple(forgotten))


def _lanes(one: Mapping, shard: Shard, stored: dict[int, Lane]) -> list[Lane]:
    """All lanes of the shard; a lane without a row has not begun."""
    of = next(iter(stored.values())).of if stored else one.parallelization
    return [stored.get(number) or Lane(shard.first_sequence, of=of) for number in range(of)]


def _together(lanes: list[Lane]) -> bool:
    """Whether all lanes are at the same position, with no batch in progress."""
    return len({lane.position for lane in lanes}) == 1 and not any(lane.ends for lane in lanes)


def exchange(tx: Transaction, one: Mapping, shard: Shard) -> None:
    """Replace the shard's lanes by as many as the mapping's parallelization factor."""
    if tx.get(fmt.mapping_key(one.uuid)) is None:
        return
    old = _lanes(one, shard, {n: lane for s, n, lane in mapping.lanes(tx, one.uuid) if s == shard.number})
    if not _together(old):
        return
    for number in range(len(old)):
        tx.delete(fmt.lane_key(one.uuid, shard.number, number))
    for number in range(one.parallelization):
        lane = replace(old[0], of=one.parallelization, attempts=0, due_ms=0, finished=False)
        tx.put(fmt.lane_key(one.uuid, shard.number, number), dump(lane))


def forget(tx: Transaction, keys: Iterable[Key]) -> None:
    for key in keys:
        tx.delete(fmt.lane_key(*key))


@dataclass(frozen=True)
class Found:
    """The result of one `read` of a lane."""

    records: list[Record]
    cursor: int
    caught_up: bool
    missed: int
    """The number of records trimmed before the trigger read them."""

    def join(self, before: Iterable[Record], place: PlacedLane) -> Gathered:
        fenced = place.fence is not None and self.cursor >= place.fence
        closed = place.shard.last_sequence is not None and self.cursor >= place.shard.last_sequence
        return Gathered([*before, *self.records], self.cursor, self.caught_up, closed=closed, fenced=fenced)


def read(snapshot: Snapshot, region: Region, place: PlacedLane, cursor: int, now_ms: int) -> Found:
    """Read up to READ_RECORDS records from `cursor` on. Records of other lanes, and records that the filters exclude,
    count but are not returned."""
    stream, shard = place.stream, place.shard
    end = cursors.end(snapshot, stream.log_space, shard)
    end = end if place.fence is None else min(end, place.fence)
    if cursor >= end:
        return Found([], cursor, True, 0)
    matches = filters.any_of(place.mapping.patterns)
    found: list[Record] = []
    reading = cursors.Reading(snapshot, stream.scope(now_ms), shard, cursor, limit=READ_RECORDS, end=end)
    for sequence, change in reading:
        if place.lane.of > 1 and _lane_of(stream, change.keys, place.lane.of) != place.number:
            continue
        record = events.record(region.name, place.mapping.stream_arn, stream, shard.number, sequence, change)
        if matches is None or matches(orjson.loads(record.json)):
            found.append(record)
    # A new lane starts at the oldest record that still exists, so it has missed nothing.
    missed = 0 if place.lane.result is None and cursor == shard.first_sequence else reading.missed
    return Found(found, reading.position, reading.position >= end, missed)


def _lane_of(stream: StreamDescription, keys: bytes, of: int) -> int:
    return stream.keys.hash_of(orjson.loads(keys)) % of
