"""One node: it connects the regions and their engines, the server, and the background work, and moves a manual clock.

`regions` decides when a region's store is opened and closed; `data_directory` has its path; `region_work` runs the
background work of an open region. A request's region is the one in its signature.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterable, Set
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from atoll import errors, front, limits
from atoll.admission import Admission
from atoll.api import services
from atoll.api.authorization.auditing import Observed
from atoll.api.authorization.explaining import Explanations
from atoll.check.online import Checks
from atoll.check.start import is_closed, log_quick_checks
from atoll.clock import Clock, ManualClock, SkewedClock, SystemClock
from atoll.config import Config
from atoll.data_directory import DataDirectory
from atoll.database import format as fmt
from atoll.database.footprint import Footprints
from atoll.database.health import Health, StoreHealth
from atoll.database.region import Region
from atoll.errors import requests as request_errors
from atoll.faults.injection import Faults
from atoll.peering import Peering
from atoll.region_work import LOOK_AGAIN_MS, RegionWork
from atoll.regions import Regions, ended, resume
from atoll.security.audit import AuditLog
from atoll.storage.engine import Corrupt, Engine
from atoll.storage.memory import MemoryEngine
from atoll.templates import declarations
from atoll.transfer import kinesis
from atoll.transfer.runner import runner_of
from atoll.triggers.functions import Functions
from atoll.triggers.poller import Triggers
from atoll.wire import memory
from atoll.wire.access_log import logging_access
from atoll.wire.server import Server

_log = logging.getLogger(__name__)

ROUTINE = frozenset({fmt.ROTATE, fmt.TRIM, fmt.DROP_TOMBSTONES})
"""Jobs that recur even without requests. A move of the clock stops for them, and for `evaluation`, only in its last
`ROUTINE_MS`: shards that would have been closed earlier are trimmed at the end of the move anyway, and tombstones are
dropped later."""

ROUTINE_MS = 7 * limits.STREAM_RETENTION_MS


class Node:
    """One process of the server. Call `start`, then `stop`, on the same event loop."""

    def __init__(self, config: Config, clock: Clock | None = None) -> None:
        self.config = config
        system = SystemClock()
        self.clock: Clock = clock or (ManualClock(system.now_ms()) if config.clock == "manual" else system)
        # Clients sign with the real time, even if the server has a manual clock.
        self.signature_clock: Clock = SkewedClock(system) if isinstance(self.clock, ManualClock) else self.clock
        self._regions = Regions(self, config.regions, config.max_regions)
        self._data: DataDirectory | None = None
        if config.data is not None:
            self._data = DataDirectory(config.data, config.settings.account, reserves=config.reserves)
        self.shared = front.shared_store(config)
        self.regions = self._regions.open
        """The open regions."""
        self.peering = Peering(config, self.region, self.clock)
        self.links = self.peering.links
        self.footprints = Footprints()
        self.callers = front.identities(config, self.shared)
        self.observed = Observed()
        self._audit_log: AuditLog | None = None
        self.explanations = Explanations(self.callers, self._region_of, self.clock)
        self.faults = Faults(shared=config.workers > 1 or self.shared is not None)
        self.faults.watchers.append(lambda _: self.faults.watch(list(self.regions.values())))
        self.operations = [one.name for one in services.of(services.DYNAMODB)]
        self.triggers: dict[str, Triggers] = {}
        self._buckets_of_files = config.kept_buckets
        self.work: dict[str, RegionWork] = {}
        """Of the open regions."""
        self.health: dict[str, Health] = {}
        self.server: Server | None = None
        self.address: tuple[str, int] = (config.host, config.port)
        self._checks = Checks()
        self._admission = Admission(config, self.clock, self._data, self.shared)
        self._background: set[asyncio.Task[None]] = set()
        self._finishing: asyncio.Task[None] | None = None
        """Sets what is declared of tables."""
        self._stop_asked = asyncio.Event()
        self._stopping = False
        self._moving = asyncio.Lock()

    async def start(self) -> None:
        config = self.config
        if self.shared is not None:
            await self.shared.start()
            self.callers.read()
        subjects: dict[str, Callable[[str], Any]] = {
            services.REGION: self.region,
            services.TRIGGERS: self._triggers_of,
            services.SERVER: lambda _: self,
        }
        shared = None if self.shared is None else self.shared.credentials
        peers = self.peering.start(shared).answer
        if config.audit_log is not None:
            self._audit_log = AuditLog(config.audit_log, config.audit_log_bytes)
        gateway = front.gateway(
            config, self.callers, self.observed, self._audit_log, subjects, self._region_of,
            clock=self.signature_clock, peers=peers, examine=self.examine, faults=self.faults,
        )  # fmt: skip
        self.server = Server(
            logging_access(gateway.answer) if config.access_log else gateway.answer,
            max_connections=config.max_connections,
            memory=memory.Memory(config.memory_limit),
        )
        stored = self._stored(self.callers.directory.accounts)
        addresses = await self.server.listen(
            config.host, config.port, ssl=config.tls, reuse_port=config.workers > 1, accepts=False
        )
        self.address = addresses[0]
        # A server without a port creates no store, and one whose store is damaged accepts no clients. Migrations take
        # longer: meanwhile their regions refuse requests with an error that SDKs retry, unless tables are declared.
        old = set() if self._data is None or config.tables else set(filter(self._data.is_old, stored))
        unclosed = await self._open_stores(stored - old)
        await resume(self.clock, self.regions.values())
        self._finishing = await declarations.begin(self.region(), config.tables)
        await self.server.accept()
        unclosed += await self._open_stores(old)
        await log_quick_checks([self.region(name) for name in unclosed])
        await self.peering.log_lost(list(self.regions.values()))
        self._run(self._tend())
        # Only one of several processes logs them.
        if config.functions.functions and await self.region().engine.lease():
            self.triggers[config.region].functions.load()

    def _stored(self, accounts: Iterable[str]) -> set[str]:
        """The named regions and those with a store, of these accounts. They refuse requests until they are migrated."""
        names = set(self.config.regions)
        stores = self._data or self.shared
        for name in stores.stored_regions(accounts) if stores is not None else ():
            if self.config.serves(name.rpartition("/")[2]):
                names.add(name)
            else:
                _log.warning("the store of %s is not opened: this server does not serve the region", name)
        for name in names:
            self.health.setdefault(name, Health(name)).migrating(0)
        return names

    async def _open_stores(self, names: set[str]) -> list[str]:
        """Migrate and open these stores; returns those that were not closed."""
        unclosed: list[str] = []
        for name in names:
            if self._data is not None:
                if not is_closed(self._data.store(name), self.config.unclosed):
                    unclosed.append(name)
                await self._data.migrate(name, self.health[name])
            self.health[name].migrating(1)
        self._regions.start(names)
        return unclosed

    async def stop(self) -> None:
        """Answer all received requests, finish running jobs, end checks, close the stores."""
        self._stopping = True
        if self._finishing is not None:
            self._finishing.cancel()
        if self.server is not None:
            self.server.stop_accepting()
        self._stop_asked.set()
        await ended("replication or a check", self.peering.stop(), self._checks.stop())
        await ended("triggers", *(triggers.stop() for triggers in self.triggers.values()))
        if self.server is not None:
            await self.server.drain()  # the last requests may open more regions
            await ended("triggers", *(triggers.stop() for triggers in self.triggers.values()))
        for region in self.regions.values():
            region.wake()
        for work in self.work.values():
            work.end_jobs()
        await ended("long jobs", *(work.runner.stop() for work in self.work.values()))
        await ended("alarms", *(work.evaluation.stop() for work in self.work.values()))
        await ended("background work", *self._background)
        await ended("the stores", self._regions.close())
        if self.shared is not None:
            await ended("the shared store", self.shared.close())
        if self._audit_log is not None:
            self._audit_log.close()

    async def move_clock(self, until: Callable[[int], int]) -> None:
        """Move the manual clock. It stops at every due time and runs the work due then: moving it by 25 hours rotates a
        stream's shards six times, not once. See `ROUTINE` for moves by more than a week."""
        assert isinstance(self.clock, ManualClock)
        async with self._moving:
            now_ms = until(self.clock.now_ms())
            far_ms = now_ms - ROUTINE_MS
            while not self._stopping:
                is_far = self.clock.now_ms() < far_ms
                wake_ms = await self.settle(ROUTINE if is_far else frozenset())
                if is_far:
                    wake_ms = far_ms if wake_ms is None else min(wake_ms, far_ms)
                if wake_ms is None or wake_ms > now_ms:
                    break
                self.clock.set(wake_ms)
                await asyncio.sleep(0)
            back = now_ms < self.clock.now_ms()
            self.clock.set(now_ms)
            for region in self.regions.values() if back else ():
                region.rewind()
            await self.settle()

    async def settle(self, uncounted: Set[bytes] = frozenset()) -> int | None:
        """Run the work that is due; returns the time of the next job, ignoring `uncounted` kinds and overdue work that
        could not run."""
        await self._evaluate()
        open_ = list(self.work.values())
        wakes = [await work.settle(uncounted) for work in open_]
        wakes.append(await self.peering.settle())
        wakes += [await work.settle_runner() for work in open_]
        wakes += [await triggers.settle() for triggers in list(self.triggers.values())]
        evaluated = await self._evaluate()  # again, because the work above produces measurements
        wakes += evaluated if not uncounted else ()
        now_ms = self.clock.now_ms()
        return min((wake_ms for wake_ms in wakes if wake_ms is not None and wake_ms > now_ms), default=None)

    async def _evaluate(self) -> list[int | None]:
        return [await work.evaluation.settle() for work in list(self.work.values())]

    async def examine(self) -> dict[str, StoreHealth]:
        """The health of each region's store."""
        open_ = list(self.regions.values())
        found = await asyncio.gather(*(region.health.examine(region.engine) for region in open_))
        unopened = {
            name: health.status()
            for name, health in self.health.items()
            if health.progress is not None or self._is_stored(name)
        }
        return unopened | {region.key: one for region, one in zip(open_, found, strict=True)}

    async def start_check(self, region: str | None) -> None:
        regions = list(self.regions.values()) if region is None else [self.regions[region]]
        await self._checks.start(regions, self._store_directory)

    def checks(self) -> dict[str, Any]:
        return {name: self._checks.state(name, self._store_directory(name)) for name in sorted(self.regions)}

    def _store_directory(self, region: str) -> Path | None:
        return None if self._data is None else self._data.store(region)

    def region(self, name: str = "") -> Region:
        found = self.regions.get(name)
        if found is not None:
            self._regions.used.add(name)
            return found
        return self._regions.find(name)

    def _region_of(self, account: str, name: str) -> Region:
        """The region of an account; an empty name is the default one."""
        return self.region(front.account_region(self.config, self.callers, account, name or self.config.region))

    async def open_region(self, name: str) -> Region:
        """The region, with its store open."""
        await self._regions.opened(name)
        return self.region(name)

    def has_store(self, name: str) -> bool:
        """Whether the region has a store. Raises during its migration: between the renames no file has the store's
        name."""
        if name in self.health and self.health[name].progress is not None:
            raise errors.internal()
        return self._is_stored(name)

    def _is_stored(self, name: str) -> bool:
        stores = self._data or self.shared
        return stores is not None and stores.has_store(name)

    @property
    def finds_stores(self) -> bool:
        return self.shared is not None

    async def find_store(self, name: str) -> bool:
        return self.shared is not None and await self.shared.find_store(name)

    def make_region(self, name: str, engine: Engine) -> Region:
        account, slash, _ = name.rpartition("/")
        plain, settings = front.region_settings(self.config, self.callers, name)
        return Region(
            plain, engine, self.clock, settings, endpoint="{}:{}".format(*self.address), key=name,
            meter=front.meter(self.config), other_region=lambda other: self.region(f"{account}{slash}{other}"),
        )  # fmt: skip

    def start_region(self, region: Region) -> None:
        name = region.key
        region.engine, region.health = self._open(name)
        region.health.locate = region.locate
        region.buckets = self._admission.buckets(name)
        region.key_ranges = self._admission.key_ranges(name)
        alone = self.shared is None and (self._data is None or self.config.workers == 1)
        streams = kinesis.opened(self.config.kinesis, self.clock) if self.config.kinesis else None
        work = self.work[name] = RegionWork(
            region,
            runner_of(region, self._buckets_of_files, streams, alone=alone),
            lambda: self._triggers_of(name).functions,
            self._regions.looked,
            alone=alone,
        )
        replication = self.peering.begin(region) if name in self.config.regions else None
        triggers = self.triggers[name] = self.triggers.get(name) or self._new_triggers(region)
        work.start(self._run, replication, triggers if self.config.functions.functions else None)

    async def may_rest(self, region: Region, wake_ms: int | None, crowded: bool) -> bool:
        keeps_tables = self.config.keeps_in_memory or bool(self.config.functions.functions)
        work = self.work[region.key]
        return not self.triggers[region.key].is_busy and await work.may_rest(
            wake_ms, crowded=crowded, keeps_tables=keeps_tables
        )

    async def end_region(self, region: Region) -> Engine:
        await self.work.pop(region.key).end()
        triggers = self.triggers.pop(region.key)
        if self.config.functions.functions:
            await triggers.stop()
        return region.engine

    def _triggers_of(self, name: str) -> Triggers:
        region = self.region(name)
        found = self.triggers.get(region.key)
        if found is None:  # it has no triggers, but clients may invoke functions there
            found = self._new_triggers(region)
            if self.config.functions.functions:
                if len(self.triggers) >= 2 * self.config.max_regions:
                    raise request_errors.too_many_regions(self.config.max_regions)
                self.triggers[region.key] = found
        return found

    def _new_triggers(self, region: Region) -> Triggers:
        return Triggers(
            region, Functions(self.config.functions, region, partial(front.environment, self.config, region))
        )

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    def _open(self, region: str) -> tuple[Engine, Health]:
        """Open the region's store. Its health exists before, so that a migration can show its progress."""
        health = self.health.setdefault(region, Health(region))
        if health.progress is not None:
            raise errors.internal()
        try:
            engine = self._open_engine(region)
        except Corrupt as error:
            health.failed(error)
            raise
        except Exception:
            del self.health[region]
            raise
        if not health.writable:  # an earlier attempt found the store damaged
            health = self.health[region] = Health(region)
        front.watch(health, region, self._data, self.shared)
        return engine, health

    def _open_engine(self, region: str) -> Engine:
        config = self.config
        if self.shared is not None:
            return self.shared.open(self._regions.find(region))
        if self._data is None:
            return MemoryEngine()
        return self._data.open(region, durability=config.durability, workers=config.workers, on_damage=config.on_damage)

    async def _tend(self) -> None:
        """Run the background work of closed regions when it is due."""
        while not self._stopping:
            if self.shared is not None:
                stored = self.shared.stored_regions(self.callers.directory.accounts)
                self._regions.start_found([name for name in stored if self.config.serves(name.rpartition("/")[2])])
            await self._regions.tend(self.clock.now_ms())
            with suppress(asyncio.TimeoutError):
                async with asyncio.timeout(LOOK_AGAIN_MS / 1000):
                    await self._stop_asked.wait()
