"""One node: it connects the regions and their engines, the server, and the loop of background steps.

Besides tests and the command line, only this module names a concrete engine or starts a loop. A node opens a region at
the start if it has a store, `DIR/<region>/atoll.db`, or else at the first request for it. A request's region is the one
in its signature.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import re
from collections.abc import Callable, Set
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from ssl import SSLContext
from typing import Any

from atoll import errors, limits
from atoll.api import services
from atoll.api.call import Call, Desk, logging_slow
from atoll.capacity.buckets import LocalBuckets
from atoll.capacity.shared import FILE_NAME as BUCKETS_FILE
from atoll.capacity.shared import SharedBuckets
from atoll.check.online import Checks
from atoll.check.start import is_closed, log_quick_check
from atoll.clock import Clock, ManualClock, SkewedClock, SystemClock
from atoll.database import background
from atoll.database import format as fmt
from atoll.database.health import BACKGROUND, Health, StoreHealth
from atoll.database.region import DEFAULT_ACCOUNT, Buckets, Region, Settings
from atoll.errors import requests as request_errors
from atoll.migration import store as migration
from atoll.security.credentials import FILE_NAME as CREDENTIALS_FILE
from atoll.security.credentials import Credentials
from atoll.storage.engine import Corrupt, Engine
from atoll.storage.memory import MemoryEngine
from atoll.storage.sqlite import FILE_NAME as STORE_FILE
from atoll.storage.sqlite import SQLiteEngine
from atoll.storage.sqlitefile import FORMAT_VERSION
from atoll.store_files import StoreFile
from atoll.triggers.functions import Functions
from atoll.triggers.poller import Triggers
from atoll.triggers.registry import Registry
from atoll.wire.admin import Admin
from atoll.wire.codec import Encoder
from atoll.wire.gateway import Gateway
from atoll.wire.rest import Rest
from atoll.wire.server import Server

_log = logging.getLogger(__name__)

# Region names in AWS's form, and the two that are usual with DynamoDB Local. Each is the name of a directory.
REGION_NAME = re.compile(r"local|localhost|(?=.{,63}$)[a-z]{2,}(-[a-z0-9]+)+")

# The longest interval between checks for background work left by another process of this node.
LOOK_AGAIN_MS = 1_000
RETRY_MS = 5_000


@dataclass(frozen=True)
class Config:
    host: str = "127.0.0.1"
    port: int = 8000
    data: Path | None = Path("data")
    """The data directory; None keeps everything in memory."""
    region: str = "us-east-1"
    workers: int = 1
    auth: str = "none"
    clock: str = "system"
    """system, or manual: starts at the real time and moves only on request."""
    durability: str = "full"
    tls: SSLContext | None = None
    """A context with the server's certificate, to serve HTTPS; None serves HTTP."""
    slow_ms: int | None = None
    """Log requests that take at least this long; None logs none."""
    functions: Registry = field(default_factory=Registry)
    settings: Settings = field(default_factory=Settings)

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach the server."""
        try:
            return self.host == "localhost" or ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    @property
    def engine(self) -> str:
        return "memory" if self.data is None else f"sqlite ({self.durability} durability)"


ROUTINE = frozenset({fmt.ROTATE, fmt.TRIM})
"""Jobs that are due again and again, even if nothing else happens. A move of the clock stops for them only in its last
`ROUTINE_MS`: what they would have done before is trimmed at its end."""

ROUTINE_MS = 7 * limits.STREAM_RETENTION_MS


class Node:
    """One process of the server. Call `start`, then `stop`, on the same event loop."""

    def __init__(self, config: Config, clock: Clock | None = None) -> None:
        self.config = config
        system = SystemClock()
        self.clock: Clock = clock or (ManualClock(system.now_ms()) if config.clock == "manual" else system)
        # Clients sign with the real time, even if the server has a manual clock.
        self.signature_clock: Clock = SkewedClock(system) if isinstance(self.clock, ManualClock) else self.clock
        self.regions: dict[str, Region] = {}
        self.triggers: dict[str, Triggers] = {}
        self.health: dict[str, Health] = {}
        self.server: Server | None = None
        self.address: tuple[str, int] = (config.host, config.port)
        self._background: list[asyncio.Task[None]] = []
        self._checks = Checks()
        self._stopping = False
        self._moving = asyncio.Lock()

    async def start(self) -> None:
        config = self.config
        credentials = None
        if config.auth == "sigv4":
            assert config.data is not None
            credentials = Credentials(config.data / CREDENTIALS_FILE)
        encoder = Encoder()
        subjects: dict[str, Callable[[str], Any]] = {
            services.REGION: self.region,
            services.TRIGGERS: self._triggers_of,
            services.SERVER: lambda _: self,
        }
        call: Call = Desk(subjects, next_id=encoder.next_id).call
        if config.slow_ms is not None:
            call = logging_slow(call, config.slow_ms, encoder.next_id)
        admin = Admin(call, signed=credentials is not None, guarded=not config.loopback)
        gateway = Gateway(
            call,
            services.TARGETS,
            clock=self.signature_clock,
            region=config.region,
            account=config.settings.account,
            credentials=credentials,
            routes={
                services.ADMIN.prefix: admin.answer,
                services.LAMBDA.prefix: Rest(call, services.of(services.LAMBDA)).answer,
            },
            route_clock=SystemClock(),
            examine=self.examine,
            encoder=encoder,
        )
        self.server = Server(gateway.answer)
        addresses = await self.server.listen(config.host, config.port, ssl=config.tls, reuse_port=config.workers > 1)
        self.address = addresses[0]
        # Last, so that a server that cannot listen creates no store. Early requests to a region that is not migrated
        # yet are refused with an error that SDKs retry.
        names = {config.region, *self._stored_regions()}
        for name in names:
            self.health.setdefault(name, Health(name)).migrating(0)
        for name in names:
            directory = self._store_directory(name)
            was_closed = directory is None or is_closed(directory)
            await self._migrate(name)
            self.health[name].migrating(1)
            region = self.region(name)
            if not was_closed and await region.engine.lease():  # only one of several workers checks it
                await log_quick_check(region)
        if (
            config.functions.functions and await self.region().engine.lease()
        ):  # only one of several processes reports it
            self.triggers[config.region].functions.load()

    def _stored_regions(self) -> list[str]:
        """Regions that already have a store; their background steps run even without requests. Ignores directories
        without a region's name, such as copies."""
        if self.config.data is None:
            return []
        data = self._directory("x").parent
        if not data.is_dir():
            return []
        names = [path.name for path in data.iterdir() if (path / STORE_FILE).is_file()]
        return [name for name in names if REGION_NAME.fullmatch(name)]

    async def stop(self) -> None:
        """Answer all received requests, finish running steps, end checks, close the stores."""
        self._stopping = True
        await self._checks.stop()
        await asyncio.gather(*(triggers.stop() for triggers in self.triggers.values()))
        if self.server is not None:
            await self.server.drain()
            # The last requests may have opened more regions.
            await asyncio.gather(*(triggers.stop() for triggers in self.triggers.values()))
        for region in self.regions.values():
            region.wake()
        await asyncio.gather(*self._background)
        for region in self.regions.values():
            await region.engine.close()

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
        """Run the work that is due; return the time of the next job whose kind is not `uncounted`. Overdue work that
        could not run does not count either."""
        open_ = list(self.regions.values())
        wakes = [await background.run(region, uncounted=uncounted) for region in open_ if await region.engine.lease()]
        wakes += [await triggers.settle() for triggers in list(self.triggers.values())]
        now_ms = self.clock.now_ms()
        return min((wake_ms for wake_ms in wakes if wake_ms is not None and wake_ms > now_ms), default=None)

    async def examine(self) -> dict[str, StoreHealth]:
        """The health of each region's store."""
        open_ = list(self.regions.values())
        found = await asyncio.gather(*(region.health.examine(region.engine) for region in open_))
        unopened = {name: health.status() for name, health in self.health.items()}
        return unopened | {region.name: one for region, one in zip(open_, found, strict=True)}

    async def start_check(self, region: str | None) -> None:
        regions = list(self.regions.values()) if region is None else [self.regions[region]]
        await self._checks.start(regions, self._store_directory)

    def checks(self) -> dict[str, Any]:
        return {name: self._checks.state(name, self._store_directory(name)) for name in sorted(self.regions)}

    def _store_directory(self, region: str) -> Path | None:
        return None if self.config.data is None else self._directory(region)

    def region(self, name: str = "") -> Region:
        found = self.regions.get(name)
        if found is not None:
            return found
        name = name or self.config.region
        if name not in self.regions:
            if REGION_NAME.fullmatch(name) is None:
                raise request_errors.invalid_region(name)
            woken = asyncio.Event()
            endpoint = "{}:{}".format(*self.address)
            engine, health = self._open(name)
            region = Region(
                name, engine, self.clock, self.config.settings, endpoint=endpoint, wake=woken.set,
                buckets=self._open_buckets(name), health=health,
            )  # fmt: skip
            self.regions[name] = region
            self._background.append(asyncio.create_task(self._run_steps(region, woken)))
            triggers = Triggers(region, Functions(self.config.functions, region, partial(self._environment, region)))
            self.triggers[name] = triggers
            if self.config.functions.functions:
                self._background.append(asyncio.create_task(triggers.run()))
        return self.regions[name]

    def _triggers_of(self, region: str) -> Triggers:
        return self.triggers[self.region(region).name]

    def _environment(self, region: Region) -> dict[str, str]:
        """The environment variables by which functions find this server."""
        scheme = "http" if self.config.tls is None else "https"
        found = {"AWS_ENDPOINT_URL": f"{scheme}://{region.endpoint}"}
        if self.config.auth == "none":
            found |= {"AWS_ACCESS_KEY_ID": "atoll", "AWS_SECRET_ACCESS_KEY": "atoll"}
        return found

    async def _migrate(self, region: str) -> None:
        """Migrate the region's store if an older version wrote it."""
        if self.config.data is None:
            return
        directory = self._directory(region)
        source = directory if (directory / STORE_FILE).exists() else self.config.data / region
        if (source != directory and not (source / STORE_FILE).exists()) or not migration.needed(source):
            return
        extra = {"region": region}
        _log.info("migrating %s to format %d", source, FORMAT_VERSION, extra=extra)
        report = partial(_report, self.health[region])
        await asyncio.to_thread(migration.migrate, source, directory, report=report)
        _log.info("migrated %s; the old file is kept until `atoll store upgrade --finish`", source, extra=extra)

    def _directory(self, region: str) -> Path:
        """The directory of a region's store."""
        account = self.config.settings.account
        assert self.config.data is not None
        data = self.config.data if account == DEFAULT_ACCOUNT else self.config.data / account
        return data / region

    def _open(self, region: str) -> tuple[Engine, Health]:
        """The health exists before the store is open, so that work on the store can show its progress."""
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
        if not health.writable:  # an earlier attempt found it damaged
            health = self.health[region] = Health(region)
        if self.config.data is not None:
            health.look = StoreFile(self._directory(region) / STORE_FILE).look
        return engine, health

    def _open_engine(self, region: str) -> Engine:
        config = self.config
        if config.data is None:
            return MemoryEngine()
        return SQLiteEngine.open(self._directory(region), durability=config.durability, workers=config.workers)

    def _open_buckets(self, region: str) -> Buckets | None:
        config = self.config
        if not config.settings.throttling:
            return None
        if config.data is None or config.workers == 1:
            return LocalBuckets(self.clock)
        return SharedBuckets(self._directory(region) / BUCKETS_FILE, self.clock)

    async def _run_steps(self, region: Region, woken: asyncio.Event) -> None:
        """Run steps whenever one is due, only in the process that holds the region's lease."""
        while not self._stopping:
            woken.clear()
            wait_ms = LOOK_AGAIN_MS
            try:
                if await region.engine.lease():
                    wake_ms = await background.run(region)
                    if wake_ms is not None:
                        wait_ms = max(0, min(wait_ms, wake_ms - self.clock.now_ms()))
                region.health.resolve(BACKGROUND)
            except Exception as error:
                region.health.failing(BACKGROUND, error)
                wait_ms = RETRY_MS
            region.health.look_at_files()
            if region.health.suspicious:
                await region.health.examine(region.engine)
            with suppress(asyncio.TimeoutError):
                await asyncio.wait_for(woken.wait(), wait_ms / 1000)


def _report(health: Health, done: int, total: int) -> None:
    """Show and log the progress of a migration, from its thread."""
    before, now = health.progress or 0, min(done / max(total, 1), 0.9999)
    health.migrating(now)
    if int(now * 10) > int(before * 10):
        _log.info("migrating: %d of %d rows", done, total, extra={"region": health.region})
