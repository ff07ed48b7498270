"""Open and close the regions of a node: a request may name any region, but only a limited number of stores are open.

The regions that the options name are always open. Another region is opened when its first table is created, or by the
first request if it has a store. It is closed when it is unused and has no work due soon, and opened again when its next
job is due. A region of an account other than the default one is named `<account>/<name>`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Iterable, Sequence
from functools import partial
from typing import Protocol
from weakref import WeakValueDictionary

from atoll.clock import LATEST_MS, Clock, ManualClock, monotonic_ns
from atoll.database import format as fmt
from atoll.database.region import Region
from atoll.errors import ApiError
from atoll.errors import requests as request_errors
from atoll.storage.engine import Engine
from atoll.storage.unopened import Unopened
from atoll.versions import COUNTER_BITS

IDLE_MS = 300_000
"""An open region that is not used for this long is closed. Its token buckets are full again by then."""
RETRY_MS = 60_000

_log = logging.getLogger(__name__)


STOP_S = 30.0
"""How long to wait for work to end. A store whose disk hangs may never answer."""


async def ended(what: str, *work: Awaitable[object]) -> None:
    """Wait for work to end, for a limited time."""
    tasks = [asyncio.ensure_future(one) for one in work]
    done, late = await asyncio.wait(tasks, timeout=STOP_S) if tasks else ((), ())
    for task in late:
        _log.error("%s did not end within %.0f s, and is canceled", what, STOP_S)
        task.cancel()
    for task in done:
        await task


async def resume(clock: Clock, regions: Iterable[Region]) -> None:
    """Set a manual clock to the last write to these regions, unless it is later."""
    if isinstance(clock, ManualClock):
        for region in list(regions):
            greatest = await region.engine.read(lambda snapshot: snapshot.number(fmt.GREATEST_TIME))
            clock.set(max(clock.now_ms(), min(greatest >> COUNTER_BITS, LATEST_MS)))


class Stores(Protocol):
    """The parts of the node that open and close regions."""

    def has_store(self, name: str) -> bool: ...

    @property
    def finds_stores(self) -> bool:
        """Whether other processes may create stores."""

    async def find_store(self, name: str) -> bool:
        """Like `has_store`, for a store that another process may have created."""

    def make_region(self, name: str, engine: Engine) -> Region:
        """A region that is not open. Raises for an invalid name."""

    def start_region(self, region: Region) -> None:
        """Open its engine and start its background work."""

    async def may_rest(self, region: Region, wake_ms: int | None, crowded: bool) -> bool:
        """Whether the open region is not needed until `wake_ms`. `crowded`: other regions need its place."""

    async def end_region(self, region: Region) -> Engine:
        """End its background work; returns its engine, which the caller replaces at once."""


class Regions:
    """`named` regions are open as long as the node runs; the first is the default."""

    def __init__(self, stores: Stores, named: Sequence[str], most: int) -> None:
        self.open: dict[str, Region] = {}
        self.used: set[str] = set()
        """Regions named by a request since their background work last looked."""
        self._stores = stores
        self._named = named
        self._most = most
        self._unopened: WeakValueDictionary[str, Region] = WeakValueDictionary()
        """One object a region for as long as anything uses it."""
        self._closing: dict[str, asyncio.Future[None]] = {}
        self._idle_since_ns: dict[str, int] = {}
        self._wakes: dict[str, int | None] = {}
        """When work of a region is due next."""

    def find(self, name: str) -> Region:
        """The region, open or not."""
        name = name or self._named[0]
        found = self.open.get(name) or self._unopened.get(name)
        if found is None:
            found = self._unopened[name] = self._stores.make_region(name, self._engine_of(name))
        return found

    def _engine_of(self, name: str) -> Engine:
        find = partial(self._stores.find_store, name) if self._stores.finds_stores else None
        return Unopened(partial(self._stores.has_store, name), partial(self.opened, name), find)

    def start(self, stored: Iterable[str]) -> None:
        """Open the named regions and as many of those with a store as leave room for others."""
        for name in sorted(stored, key=lambda name: name not in self._named):
            if self._is_crowded and name not in self._named:
                self._wakes[name] = 0
            else:
                self._open(self.find(name))

    def start_found(self, stored: Iterable[str]) -> None:
        """Open regions that other processes have created, so that their background work runs even after those processes
        end."""
        self.start([name for name in stored if name not in self.open and name not in self._wakes])

    @property
    def _is_crowded(self) -> bool:
        return len(self.open) >= max(1, self._most * 3 // 4)

    async def opened(self, name: str, *, visit: bool = False) -> Engine:
        """The engine of the open region. A `visit` is for background work: the region is closed right after it."""
        region = self.find(name)
        while name not in self.open:
            if name in self._closing:
                await self._closing[name]
            elif len(self.open) >= self._most:
                await self._make_room()
            else:
                self._open(region)
                if visit:
                    self._idle_since_ns[name] = 0
        return region.engine

    def _open(self, region: Region) -> None:
        self._stores.start_region(region)
        self.open[region.key] = region
        self._idle_since_ns[region.key] = monotonic_ns()
        self._wakes[region.key] = 0  # unknown

    async def _make_room(self) -> None:
        """Close the least recently used of the regions that are not needed."""
        for name in sorted(self.open, key=lambda name: (name in self.used, self._idle_since_ns[name])):
            region = self.open.get(name)
            if region is not None and await self._rest(region, crowded=True):
                return
        raise request_errors.too_many_regions(self._most)

    async def looked(self, region: Region, wake_ms: int | None) -> bool:
        """Record that background work has run and is due next at `wake_ms`. Returns whether this closed the region."""
        name, now_ns = region.key, monotonic_ns()
        self._wakes[name] = wake_ms
        if name in self.used:
            self.used.discard(name)
            self._idle_since_ns[name] = now_ns
        if now_ns - self._idle_since_ns[name] < IDLE_MS * 1_000_000:
            return False
        return await self._rest(region)

    async def _rest(self, region: Region, *, crowded: bool = False) -> bool:
        """Close a region if it is not needed; returns whether it is closed."""
        name, wake_ms = region.key, self._wakes[region.key]
        if name in self._named or name in self._closing:
            return False
        if not await self._stores.may_rest(region, wake_ms, crowded) or name in self._closing:
            return False
        done = self._closing[name] = asyncio.get_running_loop().create_future()
        try:
            engine = await self._stores.end_region(region)
            region.engine = self._engine_of(name)
            self._unopened[name] = region
            del self.open[name]
            del self._idle_since_ns[name]
            if wake_ms is None:
                del self._wakes[name]
            await engine.close()
        finally:
            del self._closing[name]
            done.set_result(None)
        return True

    async def tend(self, now_ms: int) -> None:
        """Open closed regions whose work is due, while there is room."""
        due = [name for name, wake_ms in self._wakes.items() if wake_ms is not None and wake_ms <= now_ms]
        for name in due:
            if name in self.open:
                continue
            region = self.find(name)
            try:
                if self._is_crowded:
                    await self._make_room()
                await self.opened(region.key, visit=True)
            except ApiError:
                return  # all others are in use
            except Exception:
                _log.exception("the work of %s is due, but its store cannot be opened", name)
                self._wakes[name] = now_ms + RETRY_MS

    async def close(self) -> None:
        """Close all regions, after their background work has ended."""
        await asyncio.gather(*self._closing.values())
        for region in self.open.values():
            await region.engine.close()
