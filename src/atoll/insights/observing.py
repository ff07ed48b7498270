"""Observe the accesses of this process's requests, for tables and indexes with insights.

Requests charge their units at row keys (`KeyRanges`). While any table of a region has insights, an `Observed` replaces
the region's key ranges: it passes all calls on, and adds the charged units to the sketches of the observed parts.
Without insights, nothing is observed and requests cost no more. Throttling and conditional writes are reported to
`Region.observer`.

Once a minute, and before each report, the sketches are stored (`minutes`) and emptied.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable, Mapping
from functools import partial

from atoll.capacity.key_ranges import Draw
from atoll.database import format as fmt
from atoll.database.region import KeyRanges, Region
from atoll.database.schema import Index, Table
from atoll.insights import minutes, settings
from atoll.insights.settings import Setting
from atoll.insights.sketch import Sketch
from atoll.storage.engine import Snapshot, Transaction

MINUTE_MS = 60_000
_WRITE_WEIGHT = 3
"""A write unit counts as much as three read units."""
_EVENTS = 10_000
"""The most refusals that wait to be added to the sketches: transactions in threads report them, too."""


class Part:
    """The sketches of a table or of one of its global indexes, by row key or its beginning."""

    def __init__(self, setting: Setting, table: Table, index: Index | None) -> None:
        self.setting = setting
        self.table = table
        self.index = index
        self.has_sort = bool(settings.keys_of(table, index).sort)
        self.accesses = setting.mode == settings.ALL_KEYS
        self.reset()

    def reset(self) -> None:
        self.sketches = {kind: Sketch() for kind in minutes.KINDS}
        self.examples: dict[bytes, bytes] = {}
        """For a hash of a partition key a row's key that begins with it."""

    @property
    def is_used(self) -> bool:
        return any(sketch.samples for sketch in self.sketches.values())

    def count(self, letter: str, key: bytes, weight: float, *, whole: bool) -> None:
        """Count an access (C) or a refusal (T) at a row's key; `whole` unless it is the beginning of one."""
        hash_ = fmt.hash_of(key)
        partitions = self.sketches["PK" + letter]
        partitions.add(hash_, weight)
        if hash_ not in self.examples:
            self._remember(hash_, key)
        if self.has_sort and whole:
            self.sketches["SK" + letter].add(key, weight)

    def _remember(self, hash_: bytes, key: bytes) -> None:
        if len(self.examples) > 4096:
            kept = {*self.sketches["PKC"].weights, *self.sketches["PKT"].weights, hash_}
            self.examples = {one: example for one, example in self.examples.items() if one in kept}
        self.examples[hash_] = key


class Insights:
    """The observations of a region: `region.state(Insights)`."""

    def __init__(self, region: Region) -> None:
        self._region = region
        self._parts: dict[int, Part] = {}
        self._minute_ms = _minute(region.clock.now_ms())
        """The sketches belong to this minute."""
        self._refusals: deque[tuple[int, bytes]] = deque(maxlen=_EVENTS)
        self._learned: tuple[list[Setting], int] = [], -1
        """The settings and the generation of the catalog that the parts were made of."""
        self._flushing = asyncio.Lock()
        self._install(False)

    # Settings

    async def refresh(self) -> None:
        """Read which parts have insights: another process may have changed that."""
        region, now_ms, learned = self._region, self._region.clock.now_ms(), self._learned

        def read(snapshot: Snapshot) -> tuple[tuple[list[Setting], int], list[tuple[Setting, Table, Index | None]]]:
            found = [one for one in settings.all_of(snapshot) if one.observes]
            new = found, snapshot.number(fmt.GENERATION)
            if new == learned:
                return new, []
            by_space = {one.part: one for one in found}
            known = settings.parts(region.catalog.tables(snapshot))
            return new, [
                (by_space[space], table, index)
                for table, index in known
                if (space := settings.space_of(table, index)) in by_space and not table.gone_at(now_ms)
            ]

        new, found = await region.read(read)
        if new == learned:
            return
        self._learned = new
        parts = {}
        for setting, table, index in found:
            part = self._parts.get(setting.part)
            if part is None or part.setting != setting:
                part = Part(setting, table, index)
            part.table, part.index = table, index
            parts[setting.part] = part
        self._parts = parts
        self._install(bool(parts))

    def _install(self, is_used: bool) -> None:
        region = self._region
        ranges = region.key_ranges
        if isinstance(ranges, Observed):
            if is_used and ranges.insights is self:
                return
            ranges = ranges.limits
        region.key_ranges = Observed(ranges, self) if is_used else ranges
        region.observer = self if is_used else None

    # Events

    def accessed(self, table: Table, index: Index | None, kind: str, key: bytes, units: float, whole: bool) -> None:
        part = self._parts.get(table.space if index is None else index.space)
        if part is not None and part.accesses and not fmt.is_hash_only(key):
            part.count("C", key, units * _WRITE_WEIGHT if kind == "Write" else units, whole=whole)

    def throttled(self, table: Table, index: Index | None, key: bytes) -> None:
        """A request was throttled at this key."""
        space = table.space if index is None else index.space
        if space in self._parts and not fmt.is_hash_only(key):
            self._refusals.append((space, key))

    def conditional(self, table: Table, key: bytes, *, failed: bool) -> None:
        """A write with a condition was decided."""
        part = self._parts.get(table.space)
        if part is not None and part.accesses:
            part.sketches["CONDITIONAL"].add(key, 1)
            if failed:
                part.sketches["FAILED"].add(key, 1)

    # Minutes

    async def settle(self) -> int | None:
        """Read the settings, and store the minute if it has ended; returns the end of the present minute if it has
        observations."""
        await self.refresh()
        if self._minute_ms != _minute(self._region.clock.now_ms()):
            await self.flush()
        used = bool(self._refusals) or any(part.is_used for part in self._parts.values())
        return self._minute_ms + MINUTE_MS if used else None

    async def flush(self) -> None:
        """Store the observations up to now."""
        async with self._flushing:
            while self._refusals:
                space, key = self._refusals.popleft()
                if space in self._parts:
                    self._parts[space].count("T", key, 1, whole=True)
            minute_ms, self._minute_ms = self._minute_ms, _minute(self._region.clock.now_ms())
            for part in [one for one in self._parts.values() if one.is_used]:
                minute = minutes.seen(part.sketches, part.examples, part.table, part.index)
                part.reset()
                await self._region.transact(partial(_store, setting=part.setting, minute_ms=minute_ms, minute=minute))


class Observed:
    """Key ranges that also count charged units; `limits` are the key ranges that limit requests."""

    def __init__(self, limits: KeyRanges | None, insights: Insights) -> None:
        self.limits = limits
        self.insights = insights

    @property
    def waits_until(self) -> float:
        return float("-inf") if self.limits is None else self.limits.waits_until

    def read(self, table: Table, key: bytes, units: float, now_ms: int) -> str | None:
        limit = None if self.limits is None else self.limits.read(table, key, units, now_ms)
        if limit is None:
            self.insights.accessed(table, None, "Read", key, units, True)
        return limit

    def exhausted(
        self,
        table: Table,
        index: Index | None,
        kind: str,
        key: bytes,
        now_ms: int,
        pending: Mapping[int, float] | None = None,
    ) -> str | None:
        return None if self.limits is None else self.limits.exhausted(table, index, kind, key, now_ms, pending)

    def costs(self, draws: Iterable[Draw], now_ms: int) -> dict[int, float]:
        return {} if self.limits is None else self.limits.costs(draws, now_ms)

    def take(
        self, table: Table, index: Index | None, kind: str, key: bytes, units: float, now_ms: int, whole: bool = True
    ) -> None:
        if self.limits is not None:
            self.limits.take(table, index, kind, key, units, now_ms)
        self.insights.accessed(table, index, kind, key, units, whole)

    def wrote(self, table: Table, key: bytes, units: float, now_ms: int) -> None:
        if self.limits is not None:
            self.limits.wrote(table, key, units, now_ms)
        self.insights.accessed(table, None, "Write", key, units, True)

    def forget(self) -> None:
        if self.limits is not None:
            self.limits.forget()


def _store(tx: Transaction, setting: Setting, minute_ms: int, minute: Mapping[str, minutes.Seen]) -> None:
    minutes.add(tx, setting, minute_ms, minute)


def _minute(now_ms: int) -> int:
    return now_ms - now_ms % MINUTE_MS
