"""Read a change log with a cursor, as every reader does.

A reader sees a `Scope` of a log: a run of its shards, and no change older than the reader's horizon. The log may keep
older changes for other readers, see `retention`. Changes before the horizon count as trimmed for this reader, even if
their rows still exist.

Within one shard, a position is the number of the change to read next. `Reading` reads on from a position, and counts
the changes that were trimmed before the reader reached them. `oldest`, `end` and `at_time` find positions.

A `Cursor` reads a whole log. It holds one position for each shard being read. It begins a shard after reading the
shard's parent to the end, so the changes of an item come in order. `start_at` and `start_at_end` create a cursor,
`read` reads on from it, and `advance`, which is pure, follows the lineage of shards.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass

from atoll.database import format as fmt
from atoll.database.log import changes, shards
from atoll.database.log.rows import ChangeRow
from atoll.database.schema import Shard
from atoll.storage.engine import Snapshot

ALL_SHARDS = 1 << 31


@dataclass(frozen=True, slots=True)
class Scope:
    """The part of a log that a reader may see."""

    log_space: int
    first_shard: int = 0
    end_shard: int | None = None
    horizon_ms: int = -1
    """Changes written and shards closed at this time or earlier are hidden."""

    def has(self, number: int) -> bool:
        return self.first_shard <= number and (self.end_shard is None or number < self.end_shard)

    def shows(self, shard: Shard) -> bool:
        return self.has(shard.number) and (shard.closed_ms is None or shard.closed_ms > self.horizon_ms)


# Shards


def find(snapshot: Snapshot, scope: Scope, number: int) -> Shard | None:
    shard = shards.find(snapshot, scope.log_space, number) if scope.has(number) else None
    return shard if shard is not None and scope.shows(shard) else None


def listed(snapshot: Snapshot, scope: Scope, *, after: int | None = None) -> Iterator[Shard]:
    """The shards of the scope, parents before their children; starts after the given number."""
    first = scope.first_shard if after is None else max(scope.first_shard, after + 1)
    end_shard = ALL_SHARDS if scope.end_shard is None else scope.end_shard
    return filter(scope.shows, shards.listed(snapshot, scope.log_space, first, end_shard))


def readable(present: Sequence[Shard], finished: Container[int]) -> Iterator[Shard]:
    """The shards to read now: those not finished whose parent is finished or trimmed."""
    numbers = {shard.number for shard in present}
    for shard in present:
        if shard.number not in finished and (shard.parent not in numbers or shard.parent in finished):
            yield shard


# Positions in one shard


def prefetch(snapshot: Snapshot, open_shards: Iterable[tuple[int, int]]) -> None:
    """Announce reads of the ends of these shards, each given as (log space, number)."""
    snapshot.prefetch(numbers=[fmt.sequence_counter(*shard) for shard in open_shards])


def end(snapshot: Snapshot, log_space: int, shard: Shard) -> int:
    """The number after the last change's. A closed shard never gets a change with this number or a greater one."""
    if shard.last_sequence is not None:
        return shard.last_sequence
    return snapshot.number(fmt.sequence_counter(log_space, shard.number)) + 1


def ends(snapshot: Snapshot, log_space: int, of: Sequence[Shard]) -> list[int]:
    """The ends of several shards, read together."""
    prefetch(snapshot, [(log_space, shard.number) for shard in of if shard.last_sequence is None])
    return [end(snapshot, log_space, shard) for shard in of]


def oldest(snapshot: Snapshot, scope: Scope, shard: Shard) -> int:
    """The number of the oldest change in the reader's scope, or the shard's end."""
    for sequence, change in changes.read(snapshot, scope.log_space, shard, shard.first_sequence, limit=1):
        if change.written_ms > scope.horizon_ms:
            return sequence
        return _search(snapshot, scope, shard, sequence + 1, scope.horizon_ms + 1)
    return end(snapshot, scope.log_space, shard)


def at_time(snapshot: Snapshot, scope: Scope, shard: Shard, ms: int) -> int:
    """The number of the first change in the reader's scope written at `ms` or later, or the shard's end."""
    for sequence, _ in changes.read(snapshot, scope.log_space, shard, shard.first_sequence, limit=1):
        return _search(snapshot, scope, shard, sequence, max(ms, scope.horizon_ms + 1))
    return end(snapshot, scope.log_space, shard)


def _search(snapshot: Snapshot, scope: Scope, shard: Shard, low: int, ms: int) -> int:
    """The number of the first change from `low` on that was written at `ms` or later."""
    high = end(snapshot, scope.log_space, shard)
    while low < high:
        middle = (low + high) // 2
        change = changes.get(snapshot, scope.log_space, shard, middle)
        if change is None or change.written_ms >= ms:
            high = middle
        else:
            low = middle + 1
    return low


class Reading:
    """Iterates over the changes of one shard from a position on, as (number, change). A change counts as read when the
    reader takes the next one, so a reader that stops at a change gets this change again."""

    __slots__ = ("_end", "_limit", "_scope", "_snapshot", "missed", "position", "shard")

    def __init__(
        self,
        snapshot: Snapshot,
        scope: Scope,
        shard: Shard,
        position: int,
        *,
        limit: int | None = None,
        end: int | None = None,
    ) -> None:
        """Read at most `limit` changes, and only numbers below `end`."""
        self._snapshot, self._scope, self._limit, self._end = snapshot, scope, limit, end
        self.shard = shard
        self.position = position
        self.missed = 0
        """Number of changes trimmed before they were read."""

    @property
    def ended(self) -> bool:
        """Whether the shard is closed and was read to its end."""
        return self.shard.last_sequence is not None and self.position >= self.shard.last_sequence

    def __iter__(self) -> Iterator[tuple[int, ChangeRow]]:
        rows = self._rows(self.position)
        row = next(rows, None)
        if row is not None and row[1].written_ms <= self._scope.horizon_ms:
            start = _search(self._snapshot, self._scope, self.shard, row[0] + 1, self._scope.horizon_ms + 1)
            rows = self._rows(start)
            row = next(rows, None)
        if row is None:
            self._skip(end(self._snapshot, self._scope.log_space, self.shard))
        position, stop = self.position, self._end
        while row is not None:
            sequence, change = row
            if sequence != position:
                self._skip(sequence)
                position = self.position
            if stop is not None and sequence >= stop:
                return
            yield sequence, change
            position += 1
            self.position = position
            row = next(rows, None)

    def _rows(self, start: int) -> Iterator[tuple[int, ChangeRow]]:
        return changes.read(self._snapshot, self._scope.log_space, self.shard, start, limit=self._limit)

    def _skip(self, to: int) -> None:
        if self._end is not None:
            to = min(to, self._end)
        if to > self.position:
            self.missed += to - self.position
            self.position = to


# A whole log


@dataclass(frozen=True, slots=True)
class Cursor:
    """The positions of a reader of a whole log. A shard without a position is either finished, or its parent is not. A
    shard that ended without children keeps its position."""

    positions: tuple[tuple[int, int], ...]
    """Pairs of a shard and the number to read next in it, sorted by shard."""


@dataclass(frozen=True, slots=True)
class ChangeBatch:
    changes: list[tuple[int, int, ChangeRow]]
    """Tuples of shard, number and change. The changes of an item are in order."""
    cursor: Cursor
    """The position after these changes."""
    missed: int
    """The number of changes trimmed before they were read; an upper bound if whole shards were trimmed."""
    caught_up: bool


def start_at(snapshot: Snapshot, scope: Scope, ms: int = 0) -> Cursor:
    """A cursor before the first change written at `ms` or later."""
    present = [one for one in listed(snapshot, scope) if one.closed_ms is None or one.closed_ms >= ms]
    return Cursor(tuple((one.number, at_time(snapshot, scope, one, ms)) for one in readable(present, ())))


def start_at_end(snapshot: Snapshot, scope: Scope) -> Cursor:
    """A cursor after all existing changes."""
    present = [shard for shard in listed(snapshot, scope) if shard.last_sequence is None]
    numbers = [shard.number for shard in present]
    return Cursor(tuple(zip(numbers, ends(snapshot, scope.log_space, present), strict=True)))


def read(snapshot: Snapshot, scope: Scope, cursor: Cursor, limit: int, most_bytes: int | None = None) -> ChangeBatch:
    """Read at most `limit` changes, a similar number from each shard. Stops when their images have `most_bytes`."""
    present = {shard.number: shard for shard in listed(snapshot, scope)}
    prefetch(snapshot, [(scope.log_space, n) for n, _ in cursor.positions if n in present])
    cursor, missed = advance(cursor, list(present.values()))
    found: list[tuple[int, int, ChangeRow]] = []
    moved, room = True, most_bytes
    while moved and len(found) < limit and (room is None or room > 0):
        positions: list[tuple[int, int]] = []
        share = max(1, (limit - len(found)) // max(1, len(cursor.positions)))
        for number, position in cursor.positions:
            left = min(share, limit - len(found))
            if left > 0 and (room is None or room > 0):
                reading = Reading(snapshot, scope, present[number], position, limit=left)
                if room is None:
                    found += ((number, sequence, change) for sequence, change in reading)
                    position = reading.position
                else:
                    position, room = _read_some(reading, number, found, room)
                missed += reading.missed
            positions.append((number, position))
        before, (cursor, more) = cursor, advance(Cursor(tuple(positions)), list(present.values()))
        missed += more
        moved = cursor != before
    return ChangeBatch(found, cursor, missed, not moved)


def _read_some(reading: Reading, number: int, found: list[tuple[int, int, ChangeRow]], room: int) -> tuple[int, int]:
    """Read until the images have `room` bytes. Returns the position and the room that is left."""
    for sequence, change in reading:
        found.append((number, sequence, change))
        room -= len(change.old or b"") + len(change.new or b"")
        if room <= 0:
            return sequence + 1, room
    return reading.position, room


def advance(cursor: Cursor, present: Sequence[Shard]) -> tuple[Cursor, int]:
    """Replace finished shards by their children, and trimmed shards by their remaining descendants. Returns the new
    cursor, and an upper bound of the changes missed by this. `present` are all shards of the scope, parents before
    their children."""
    by_number = {shard.number: shard for shard in present}
    children: dict[int, list[Shard]] = {}
    for shard in present:
        if shard.parent is not None:
            children.setdefault(shard.parent, []).append(shard)
    kept: dict[int, int] = {}
    lost: dict[int, int] = {}
    waiting = list(cursor.positions)
    while waiting:
        number, position = waiting.pop()
        known = by_number.get(number)
        if known is None:
            lost[number] = position
        elif known.last_sequence is not None and position >= known.last_sequence and number in children:
            waiting += ((child.number, child.first_sequence) for child in children[number])
        else:
            kept[number] = position
    missed = 0
    if lost:
        earliest = min(lost.values())
        for shard in present:
            orphan = shard.parent not in by_number or shard.parent in lost
            if orphan and shard.number > min(lost) and not any(_overlap(shard, by_number[n]) for n in kept):
                kept[shard.number] = shard.first_sequence
                # Subtract one, because closing a shard takes a number.
                position = earliest if shard.parent is None else lost.get(shard.parent, earliest)
                missed += max(0, shard.first_sequence - 1 - position)
    return Cursor(tuple(sorted(kept.items()))), missed


def _overlap(one: Shard, other: Shard) -> bool:
    return one.first_hash <= other.last_hash and other.first_hash <= one.last_hash
