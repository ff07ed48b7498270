"""A store in PostgreSQL for a node: its regions, shared documents, and token buckets.

Nothing is written to the local disk. `atoll.storage.postgresql` has the engine. This module is imported only if a store
is configured, because the driver is an extra.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar

import asyncpg

from atoll.capacity.buckets import Bucket, LocalBuckets
from atoll.clock import Clock
from atoll.data_directory import REGION_NAME
from atoll.database import format as fmt
from atoll.database.region import DEFAULT_ACCOUNT, Refused, Region
from atoll.lag import Lag
from atoll.limits import BURST_SECONDS
from atoll.security.sessions import KEY_BYTES
from atoll.security.vault import PLAIN, Vault
from atoll.shared_documents import CREDENTIALS, PRINCIPALS, SESSION_KEY, Change, SharedCredentials, SharedPrincipals
from atoll.storage.engine import Corrupt, Unavailable
from atoll.storage.postgresql import statements
from atoll.storage.postgresql import url as urls
from atoll.storage.postgresql.cluster import CannotOpen, Cluster
from atoll.storage.postgresql.connection import Connection, Lost, Undone
from atoll.storage.postgresql.engine import PostgreSQLEngine, Replica
from atoll.storage.postgresql.url import BadStore

REFRESH_S = 1.0
SLICE_S = 0.02
"""How often front ends share the units that they took from token buckets."""
PATIENCE_S = 0.1
"""How long they wait for a connection for this."""

_NO_SESSIONS = "a proxy gives transactions of one connection to several sessions: PgBouncer needs pool_mode = session"

T = TypeVar("T")

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class StoreDatabase:
    """See `Region.database`."""

    schema: str
    _cluster: Cluster

    async def run(self, use: Callable[[Any], Awaitable[T]]) -> T:
        try:
            async with self._cluster.use(asyncio.get_running_loop().time() + 10) as connection:
                return await use(connection)
        except (Lost, Undone) as error:
            raise Unavailable(str(error)) from error
        except (asyncpg.PostgresError, asyncpg.InterfaceError, Corrupt) as error:
            raise Refused(str(error)) from error


class SharedStore:
    """The store. Use it from one event loop."""

    def __init__(
        self,
        url: str,
        *,
        replicas: str = "",
        account: str = DEFAULT_ACCOUNT,
        clock: str = "system",
        durability: str = "full",
        vault: Vault = PLAIN,
    ) -> None:
        """`replicas` is the URL of servers that replicate the store. `clock` is empty for a command, which is no front
        end."""
        self._url = urls.parse(url)
        self._replicas = Cluster(urls.parse(replicas), replicas=True) if replicas else None
        self._account = account
        self._session_key = b""
        self.vault = vault
        self._clock = clock
        self._cluster = Cluster(self._url, durability=durability)
        self.lag = Lag(self._cluster, self._replicas)
        self._schemas: set[str] = set()
        self._claim: Connection | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self.credentials = SharedCredentials(self)
        self.principals = SharedPrincipals(self)

    def __str__(self) -> str:
        return str(self._url)

    async def start(self) -> None:
        """Find the primary, check the format, create missing tables. Raises `BadStore`."""
        try:
            await self._cluster.start()
            await self._require_sessions()
            await self.run(self._prepare)
            if self._clock:
                await self._claim_clock()
            await self._look()
            if self._replicas is not None:
                await self._replicas.start()
            await self.lag.measure()
        except (asyncpg.InvalidSQLStatementNameError, asyncpg.DuplicatePreparedStatementError) as error:
            await self._cluster.close()
            raise BadStore(f"{self}: {_NO_SESSIONS}") from error
        except (CannotOpen, Unavailable, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            await self._cluster.close()
            raise BadStore(f"{self}: {' '.join(str(error).split())}") from error
        except BaseException:
            await self._cluster.close()
            raise
        self._tasks.append(asyncio.create_task(self._refresh()))

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        if self._claim is not None:
            await self._claim.close()
        await self._cluster.close()
        if self._replicas is not None:
            await self._replicas.close()

    async def run(self, use: Callable[[Connection], Awaitable[T]], patience_s: float = 10) -> T:
        """Run `use` with a connection. Raises `Unavailable` if it is lost."""
        try:
            async with self._cluster.use(asyncio.get_running_loop().time() + patience_s) as connection:
                return await use(connection)
        except (Lost, Undone) as error:
            raise Unavailable(str(error)) from error

    # Regions

    def schema(self, region: str) -> str:
        """The schema of a region. A region of another account than the node's is named `<account>/<region>`."""
        account, _, name = region.rpartition("/")
        account = account or self._account
        return name if account == DEFAULT_ACCOUNT else f"{account}/{name}"

    def has_store(self, region: str) -> bool:
        """Whether the region has a store, as far as this front end knows."""
        return self.schema(region) in self._schemas

    async def find_store(self, region: str) -> bool:
        """Whether the region has a store, even if another front end has just created it."""
        schema = self.schema(region)
        name = f"{statements.quoted(schema)}.commits"
        found = bool(await self.run(lambda connection: connection.value(statements.HAS_SCHEMA, (name,))))
        if found:
            self._schemas.add(schema)
        return found

    def stored_regions(self, accounts: Iterable[str] = ()) -> set[str]:
        """The regions of the node's account and of these accounts that have a store, as far as this front end knows."""
        found = set()
        for schema in self._schemas:
            account, _, name = schema.rpartition("/")
            account = account or DEFAULT_ACCOUNT
            if REGION_NAME.fullmatch(name) and (account == self._account or account in accounts):
                found.add(name if account == self._account else f"{account}/{name}")
        return found

    def session_key(self) -> bytes:
        """The key that signs the tokens of temporary credentials."""
        return self._session_key

    def open(self, region: Region) -> PostgreSQLEngine:
        schema = self.schema(region.key)
        self._schemas.add(schema)
        engine = PostgreSQLEngine(
            self._cluster,
            schema,
            ride_along=[fmt.GENERATION],
            on_foreign_commit=region.committed.tell,
            is_followed=lambda: not region.committed.is_unused,
        )
        engine.follow()
        region.database = StoreDatabase(statements.quoted(schema), self._cluster)
        if self._replicas is not None:
            region.replicas = Replica(self._replicas, schema, ride_along=[fmt.GENERATION])
        return engine

    def open_buckets(self, region: str, clock: Clock) -> SharedBuckets:
        buckets = SharedBuckets(self, self.schema(region), clock)
        self._tasks.append(asyncio.create_task(buckets.run()))
        return buckets

    # Besides the regions

    async def _require_sessions(self) -> None:
        """Refuse a proxy that changes the session between transactions. It shows while a second connection is in a
        transaction, which would get the session of the first one."""
        until = asyncio.get_running_loop().time() + 10
        try:
            async with self._cluster.use(until) as one, self._cluster.use(until) as other:
                before = await one.value(statements.SESSION)
                await other.execute("begin")
                await other.value(statements.SESSION)
                if await one.value(statements.SESSION) != before:
                    raise BadStore(f"{self}: {_NO_SESSIONS}")
                await other.execute("rollback")
        except (Lost, Undone) as error:
            raise Unavailable(str(error)) from error

    async def _prepare(self, connection: Connection) -> None:
        if not await connection.value(statements.HAS_STORE):
            if not await connection.value(statements.MAY_CREATE):
                raise BadStore(f"{self}: the user may not create schemas in the database")
            await connection.execute(f"begin; {statements.SETUP_LOCK}; {statements.SHARED}; commit", 30)
        found = await connection.value(statements.READ_FORMAT)
        if found == statements.COPYING:
            raise BadStore(f"{self}: {statements.INCOMPLETE_COPY}")
        if found != statements.FORMAT:
            raise BadStore(
                f"{self} has the format {found}, this version of Atoll has {statements.FORMAT}: use another version"
            )

    async def _claim_clock(self) -> None:
        if self._claim is not None:
            self._cluster.release(self._claim)  # the lost connection must not count any more
            self._claim = None
        connection = await self._cluster.acquire(asyncio.get_running_loop().time() + 10)
        try:
            claimed = await connection.value(statements.CLOCK_LOCKS[self._clock])
        except BaseException:
            connection.terminate()
            self._cluster.release(connection)
            raise
        if not claimed:
            connection.terminate()
            self._cluster.release(connection)
            other = "another front end uses" if self._clock == "manual" else "a front end with a manual clock uses"
            raise BadStore(f"{self}: {other} the store, and a manual clock cannot be shared")
        self._claim = connection

    async def _look(self) -> None:
        known: dict[str, SharedCredentials | SharedPrincipals]
        known = {CREDENTIALS: self.credentials, PRINCIPALS: self.principals}
        versions = list(known), [document.version for document in known.values()]

        async def look(connection: Connection) -> tuple[list[str], list[Any]]:
            schemas = [name for (name,) in await connection.fetch(statements.SCHEMAS)]
            return schemas, await connection.fetch(statements.READ_CHANGED, versions)

        schemas, changed = await self.run(look)
        self._schemas |= set(schemas)
        for name, version, content in changed:
            known[name].use(version, content)
        if not self._session_key:
            self._session_key = await self.run(_session_key)

    async def change(self, name: str, change: Change) -> tuple[int, bytes]:
        """See `Documents`."""

        async def attempt(connection: Connection) -> tuple[int, bytes] | None:
            found = await connection.fetch(statements.READ_DOCUMENT, (name,))
            version, content = found[0] if found else (0, None)
            new = change(content)
            written = await connection.fetch(statements.WRITE_DOCUMENT, (name, version, new))
            return (written[0][0], new) if written else None

        while True:
            if (done := await self.run(attempt)) is not None:
                return done

    async def _refresh(self) -> None:
        while True:
            await asyncio.sleep(REFRESH_S)
            try:
                await self._look()
                if self._clock and (self._claim is None or self._claim.is_closed):
                    await self._claim_clock()
                await self.lag.measure()
            except Unavailable:
                continue
            except Exception as error:
                _log.warning("the shared settings of the store were not read: %s", error)


async def _session_key(connection: Connection) -> bytes:
    """The session key that the first front end made."""
    arguments = (SESSION_KEY, 0, os.urandom(KEY_BYTES))
    await connection.fetch(statements.WRITE_DOCUMENT, arguments)
    return bytes((await connection.fetch(statements.READ_DOCUMENT, (SESSION_KEY,)))[0][1])


class SharedBuckets(LocalBuckets):
    """Token buckets that all front ends share. Each counts in memory, and tells the others fifty times a second the
    units that it took. A bucket may go below zero and must then refill first, so all front ends together stay at the
    rate."""

    def __init__(self, store: SharedStore, schema: str, clock: Clock) -> None:
        super().__init__(clock)
        self._store = store
        self._schema = schema
        self._taken: dict[int, tuple[float, float]] = {}
        """Rate and units, since the others were told."""
        self._filled: set[int] = set()
        self._forgotten = False

    def draw(self, number: int, rate: float, units: float, now_ms: int) -> bool:
        is_admitted = self.level(number, rate) > 0
        if is_admitted:
            self.take(number, rate, units)
        return is_admitted

    def take(self, number: int, rate: float, units: float) -> None:
        super().take(number, rate, units)
        self._taken[number] = (rate, units + self._taken.get(number, (rate, 0.0))[1])

    def fill(self, number: int) -> None:
        super().fill(number)
        self._taken.pop(number, None)
        self._filled.add(number)

    def forget(self) -> None:
        super().forget()
        self._taken.clear()
        self._forgotten = True

    async def run(self) -> None:
        while True:
            await asyncio.sleep(SLICE_S)
            if self._taken or self._filled or self._forgotten:
                try:
                    await self._store.run(self._tell, PATIENCE_S)
                except Unavailable:
                    continue
                except Exception as error:
                    _log.warning("token buckets are not shared at the moment: %s", error)

    async def _tell(self, connection: Connection) -> None:
        if self._forgotten:
            self._forgotten = False
            try:
                await connection.fetch(statements.forget_buckets(self._schema))
            except BaseException:
                self._forgotten = True
                raise
        if self._filled:
            filled, self._filled = self._filled, set()
            try:
                await connection.fetch(statements.fill_buckets(self._schema), (sorted(filled),))
            except BaseException:
                self._filled |= filled
                raise
        taken, self._taken = self._taken, {}
        if not taken:
            return
        numbers = sorted(taken)
        rates = [taken[number][0] for number in numbers]
        arguments = (numbers, [rate * BURST_SECONDS for rate in rates], rates, [taken[n][1] for n in numbers])
        try:
            found = await connection.fetch(statements.take_units(self._schema), arguments)
        except BaseException:
            for number, (rate, units) in taken.items():
                self._taken[number] = (rate, units + self._taken.get(number, (rate, 0.0))[1])
            raise
        now_ms = self._clock.now_ms()
        for number, units in found:
            since = self._taken.get(number, (0.0, 0.0))[1]
            self._buckets[number] = Bucket(units - since, now_ms)
