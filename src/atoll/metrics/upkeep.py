"""The upkeep of stored datapoints: move batches into blocks, store older ones at a coarser grain, and drop the oldest.

Each transaction does a bounded part, so that other requests do not wait long. It runs in the process with the region's
lease.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from functools import partial

from atoll.aside import aside
from atoll.database import documents
from atoll.database import format as fmt
from atoll.database.region import Region
from atoll.database.rows import parse_series, series_row
from atoll.metrics import store
from atoll.metrics.batches import dump_block, load_block
from atoll.metrics.series import DAY_MS, MINUTE_MS, Datapoint, aligned
from atoll.metrics.store import GRAINS, Grain, Metrics, Moved
from atoll.storage.engine import Snapshot, Transaction

MOVE_MS = 15 * MINUTE_MS
"""Batches are moved after this time, or when there are `MOVE_BATCHES`."""
MOVE_BATCHES = 128
RECENT_MS = 3 * MINUTE_MS
"""Younger batches are not moved, because reads of the last minutes use them."""

TOGETHER = 10
"""The series of one transaction."""
MOVED_POINTS = 2_000
"""The datapoints of one transaction, if they are of several series."""
LOOKED_AT = 1_000
"""The datapoints that are examined before other tasks run."""
AGED_BLOCKS = 24
"""The blocks that one transaction ages."""

Moving = dict[bytes, list[Datapoint]]
"""The datapoints to move, by the keys of their series."""
Blocks = dict[tuple[bytes, int], bytes]
"""The blocks of one grain, by the keys of their series and their starts."""


class Upkeep:
    """The `Work` of a region's evaluation that keeps its metrics small."""

    def __init__(self, region: Region) -> None:
        self._region = region
        self._moved_ms = region.clock.now_ms()
        self._marks: list[tuple[int, int]] = []
        """When there were how many batches."""

    async def settle(self, now_ms: int) -> int | None:
        state, batches, aged_ms = await self._region.read(_state)
        if self._moved_ms > now_ms:
            self._moved_ms = now_ms
        settled = self._settled(now_ms, batches)
        left = batches - state.through
        is_due = now_ms - self._moved_ms >= MOVE_MS or left >= MOVE_BATCHES
        if (is_due and settled > state.through) or state.until > state.through:
            await self._move(settled)
            self._moved_ms, left = now_ms, batches - settled
        if not batches:
            return None
        if now_ms >= aged_ms + DAY_MS:
            await self._age(now_ms)
            aged_ms = now_ms - now_ms % DAY_MS
        move_ms = max(self._moved_ms + MOVE_MS, now_ms + MINUTE_MS)
        return min(aged_ms + DAY_MS, move_ms) if left else aged_ms + DAY_MS

    def _settled(self, now_ms: int, batches: int) -> int:
        """The number of the last batch that is at least `RECENT_MS` old."""
        marks = [mark for mark in self._marks if mark[0] <= now_ms]
        if not marks or marks[-1][1] != batches:
            marks.append((now_ms, batches))
        old = [mark for mark in marks if mark[0] <= now_ms - RECENT_MS]
        self._marks = [*old[-1:], *marks[len(old) :]]
        return old[-1][1] if old else 0

    async def stop(self) -> None:
        """Does nothing: no task outlives a `settle`."""

    async def _move(self, settled: int) -> None:
        metrics = self._region.state(Metrics)
        state, batches = await self._region.read(_left)
        await metrics.take_in(state, batches)
        until = state.until if state.until > state.through else settled
        moving: Moving = {}
        looked_at = 0
        for known in list(metrics.recent.values()):
            for one in known:
                if state.through < one.number <= until and one.key.hex() > state.series:
                    moving.setdefault(one.key, []).append(one.point)
            looked_at += len(known)
            if looked_at > LOOKED_AT:
                looked_at = 0
                await asyncio.sleep(0)
        for part in _parts(moving):
            progress = Moved(state.through, until, max(part).hex())
            old = await self._region.read(partial(_old_blocks, part))
            blocks = await aside(_united, part, old)
            await self._region.transact(partial(_move, state, progress, part, blocks))
            state = progress
            await asyncio.sleep(0)
        await self._region.transact(partial(_forget, state, Moved(until)))

    async def _age(self, now_ms: int) -> None:
        """Move datapoints that are too old for their grain, also those that became so while no process ran."""
        key: bytes | None = fmt.SERIES[0]
        while key is not None:
            key = await self._region.transact(partial(_age_one, now_ms, key))
            await asyncio.sleep(0)
        await self._region.transact(lambda tx: documents.put(tx, now_ms - now_ms % DAY_MS, "metrics", "aged"))


def _state(snapshot: Snapshot) -> tuple[Moved, int, int]:
    aged = documents.get(snapshot, "metrics", "aged")
    return store.moved(snapshot), snapshot.number(fmt.BATCHES), aged or 0


def _left(snapshot: Snapshot) -> tuple[Moved, list[tuple[int, bytes]]]:
    state = store.moved(snapshot)
    return state, store.batches_after(snapshot, state.through)


def _parts(moving: Moving) -> Iterator[Moving]:
    """The datapoints to move in one transaction each, by the keys of the series."""
    part: Moving = {}
    points = 0
    for key in sorted(moving):
        if part and (len(part) == TOGETHER or points + len(moving[key]) > MOVED_POINTS):
            yield part
            part, points = {}, 0
        part[key] = moving[key]
        points += len(moving[key])
    if part:
        yield part


def _starts(points: Sequence[Datapoint], grain: Grain) -> set[int]:
    """The starts of the blocks to which the datapoints belong."""
    return {point.time_ms - point.time_ms % grain.span_ms for point in points}


def _old_blocks(part: Moving, snapshot: Snapshot) -> Blocks:
    """The blocks to which datapoints are added. Nothing else changes them until these have moved."""
    numbered = [(key, stored) for key, stored in zip(part, snapshot.get_many(list(part)), strict=True) if stored]
    places = [
        ((key, start_ms), fmt.block_key(GRAINS[0].number, parse_series(stored)[0], start_ms))
        for key, stored in numbered
        for start_ms in _starts(part[key], GRAINS[0])
    ]
    found = snapshot.get_many([key for _, key in places])
    return {place: stored for (place, _), stored in zip(places, found, strict=True) if stored is not None}


def _united(part: Moving, old: Blocks) -> Blocks:
    """The blocks with the new datapoints."""
    found: Blocks = {}
    for key, points in part.items():
        known = {start_ms: block for (own, start_ms), block in old.items() if own == key}
        found |= {(key, start_ms): block for start_ms, block in _added(points, GRAINS[0], known.get)}
    return found


def _move(before: Moved, progress: Moved, part: Moving, blocks: Blocks, tx: Transaction) -> None:
    if store.moved(tx) != before:
        return  # another process has got the lease meanwhile
    numbers = {}
    for key, points in part.items():
        stored = tx.get(key)
        last_ms = max(point.time_ms for point in points)
        number, known_ms = (tx.add_number(fmt.SERIES_COUNT, 1), 0) if stored is None else parse_series(stored)
        if stored is None or last_ms > known_ms:
            tx.put(key, series_row(number, max(last_ms, known_ms)))
        numbers[key] = number
    for (key, start_ms), block in blocks.items():
        tx.put(fmt.block_key(GRAINS[0].number, numbers[key], start_ms), block)
    documents.put(tx, list(progress), "metrics", "moved")


def _added(
    points: Sequence[Datapoint], grain: Grain, old: Callable[[int], bytes | None]
) -> Iterator[tuple[int, bytes]]:
    """The blocks of a series with datapoints added, by their starts. `old` are the blocks before."""
    blocks: dict[int, list[Datapoint]] = {}
    for point in points:
        blocks.setdefault(point.time_ms - point.time_ms % grain.span_ms, []).append(point)
    for start_ms, new in blocks.items():
        stored = old(start_ms)
        known = [] if stored is None else load_block(stored)
        yield start_ms, dump_block(aligned([*known, *new], grain.step_ms))


def _forget(before: Moved, done: Moved, tx: Transaction) -> None:
    if store.moved(tx) == before:
        tx.delete_range(fmt.batch_key(0), fmt.batch_key(done.through + 1))
        documents.put(tx, list(done), "metrics", "moved")


def _age_one(now_ms: int, start: bytes, tx: Transaction) -> bytes | None:
    """Age the first series from the key `start` on; returns the key to continue from, the same series if it has more
    blocks."""
    rows = list(tx.scan(start, fmt.SERIES[1], limit=2))
    if not rows:
        return None
    (key, stored), *others = rows
    number, last_ms = parse_series(stored)
    for grain, coarser in zip(GRAINS, [*GRAINS[1:], None], strict=True):
        if _age(tx, now_ms, number, grain, coarser):
            return key
    if last_ms < now_ms - GRAINS[0].kept_ms and not _has_blocks(tx, number):
        tx.delete(key)
    return others[0][0] if others else None


def _age(tx: Transaction, now_ms: int, number: int, grain: Grain, coarser: Grain | None) -> bool:
    """Move some blocks of which all datapoints are too old for their grain to the coarser one; returns whether there
    may be more."""
    end_ms = now_ms - grain.kept_ms - grain.span_ms
    if end_ms <= 0:
        return False
    rows = list(tx.scan(*fmt.blocks_of(grain.number, number, 0, end_ms), limit=AGED_BLOCKS))
    if rows and coarser is not None:
        points = [point for _, stored in rows for point in load_block(stored)]

        def old(start_ms: int) -> bytes | None:
            return tx.get(fmt.block_key(coarser.number, number, start_ms))

        for start_ms, block in _added(points, coarser, old):
            tx.put(fmt.block_key(coarser.number, number, start_ms), block)
    for key, _ in rows:
        tx.delete(key)
    return len(rows) == AGED_BLOCKS


def _has_blocks(tx: Transaction, number: int) -> bool:
    return any(row for row in tx.first([fmt.blocks_of(grain.number, number, 0, 1 << 48) for grain in GRAINS]))
