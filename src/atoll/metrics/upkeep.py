"""The upkeep of stored datapoints: move batches into blocks, keep older ones at a coarser grain, and drop the oldest.

Each transaction does a bounded part, so that others need not wait. It runs in the process with the region's lease.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial

from atoll.database import documents
from atoll.database import metric_keys as keys
from atoll.database.region import Region
from atoll.metrics import store
from atoll.metrics.batches import dump_block, load_block
from atoll.metrics.series import DAY_MS, MINUTE_MS, Datapoint, aligned
from atoll.metrics.store import GRAINS, Grain, Metrics, Moved
from atoll.storage.engine import Snapshot, Transaction

MOVE_MS = 15 * MINUTE_MS
"""Datapoints are moved after so long, or when there are so many batches:"""
MOVE_BATCHES = 128
RECENT_MS = 3 * MINUTE_MS
"""The batches of the last minutes stay where they are: all of a minute is read from them at once."""

TOGETHER = 10
"""The series of one transaction."""
AGED_TOGETHER = 2
"""As above; each has the blocks of a day."""

Moving = dict[bytes, list[Datapoint]]
"""The datapoints to move, by the keys of their series."""


class Upkeep:
    """The work of a region's evaluation that keeps its metrics small."""

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
        """Nothing is under way between two looks."""

    async def _move(self, settled: int) -> None:
        metrics = self._region.state(Metrics)
        state, batches = await self._region.read(_left)
        await metrics.take_in(state, batches)
        until = state.until if state.until > state.through else settled
        moving: Moving = {}
        for known in metrics.recent.values():
            for one in known:
                if state.through < one.number <= until and one.key.hex() > state.series:
                    moving.setdefault(one.key, []).append(one.point)
        names = sorted(moving)
        for start in range(0, len(names), TOGETHER):
            part = {key: moving[key] for key in names[start : start + TOGETHER]}
            progress = Moved(state.through, until, names[min(start + TOGETHER, len(names)) - 1].hex())
            await self._region.transact(partial(_move, state, progress, part))
            state = progress
            await asyncio.sleep(0)
        await self._region.transact(partial(_forget, state, Moved(until)))

    async def _age(self, now_ms: int) -> None:
        """Also all that became too old while nothing ran."""
        key: bytes | None = keys.SERIES[0]
        while key is not None:
            key = await self._region.transact(partial(_age_some, now_ms, key))
            await asyncio.sleep(0)
        await self._region.transact(lambda tx: documents.put(tx, now_ms - now_ms % DAY_MS, "metrics", "aged"))


def _state(snapshot: Snapshot) -> tuple[Moved, int, int]:
    aged = documents.get(snapshot, "metrics", "aged")
    return store.moved(snapshot), snapshot.number(keys.BATCHES), aged or 0


def _left(snapshot: Snapshot) -> tuple[Moved, list[tuple[int, bytes]]]:
    state = store.moved(snapshot)
    return state, store.batches_after(snapshot, state.through)


def _move(before: Moved, progress: Moved, part: Moving, tx: Transaction) -> None:
    if store.moved(tx) != before:
        return  # another process has the lease meanwhile
    grain = GRAINS[0]
    for key, points in part.items():
        stored = tx.get(key)
        last_ms = max(point.time_ms for point in points)
        number, known_ms = (tx.add_number(keys.SERIES_COUNT, 1), 0) if stored is None else keys.parse_series(stored)
        if stored is None or last_ms > known_ms:
            tx.put(key, keys.series(number, max(last_ms, known_ms)))
        _add(tx, grain, number, points)
    documents.put(tx, list(progress), "metrics", "moved")


def _add(tx: Transaction, grain: Grain, number: int, points: Sequence[Datapoint]) -> None:
    """Add datapoints to the blocks of a series."""
    blocks: dict[int, list[Datapoint]] = {}
    for point in points:
        blocks.setdefault(point.time_ms - point.time_ms % grain.span_ms, []).append(point)
    for start_ms, new in blocks.items():
        key = keys.block_key(grain.number, number, start_ms)
        stored = tx.get(key)
        old = [] if stored is None else load_block(stored)
        tx.put(key, dump_block(aligned([*old, *new], grain.step_ms)))


def _forget(before: Moved, done: Moved, tx: Transaction) -> None:
    if store.moved(tx) == before:
        tx.delete_range(keys.batch_key(0), keys.batch_key(done.through + 1))
        documents.put(tx, list(done), "metrics", "moved")


def _age_some(now_ms: int, start: bytes, tx: Transaction) -> bytes | None:
    """Age some series, from the key `start` on; returns where to go on."""
    rows = list(tx.scan(start, keys.SERIES[1], limit=AGED_TOGETHER + 1))
    for key, stored in rows[:AGED_TOGETHER]:
        number, last_ms = keys.parse_series(stored)
        for grain, coarser in zip(GRAINS, [*GRAINS[1:], None], strict=True):
            _age(tx, now_ms, number, grain, coarser)
        if last_ms < now_ms - GRAINS[0].kept_ms and not _has_blocks(tx, number):
            tx.delete(key)
    return rows[AGED_TOGETHER][0] if len(rows) > AGED_TOGETHER else None


def _age(tx: Transaction, now_ms: int, number: int, grain: Grain, coarser: Grain | None) -> None:
    """Move the blocks of which all datapoints are too old for their grain to the coarser one."""
    end_ms = now_ms - grain.kept_ms - grain.span_ms
    if end_ms <= 0:
        return
    rows = list(tx.scan(*keys.blocks_of(grain.number, number, 0, end_ms)))
    if rows and coarser is not None:
        _add(tx, coarser, number, [point for _, stored in rows for point in load_block(stored)])
    for key, _ in rows:
        tx.delete(key)


def _has_blocks(tx: Transaction, number: int) -> bool:
    return any(row for row in tx.first([keys.blocks_of(grain.number, number, 0, 1 << 48) for grain in GRAINS]))
