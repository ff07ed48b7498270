"""A store in PostgreSQL, as a node uses it: its regions, the credentials and token buckets that front ends share.

Nothing is written to the local disk. `atoll.storage.postgresql` has the engine; this module is imported only where a
store is named, because its driver is an extra.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from typing import Any, TypeVar

import asyncpg

from atoll.capacity.buckets import Bucket, drained, refilled
from atoll.clock import Clock
from atoll.data_directory import REGION_NAME
from atoll.database import format as fmt
from atoll.database.region import DEFAULT_ACCOUNT, Region
from atoll.limits import BURST_SECONDS
from atoll.security.credentials import BadCredentials, Credential, dump, parse
from atoll.security.sessions import KEY_BYTES
from atoll.security.vault import PLAIN, Vault
from atoll.storage.engine import Unavailable
from atoll.storage.postgresql import statements
from atoll.storage.postgresql import url as urls
from atoll.storage.postgresql.cluster import CannotOpen, Cluster
from atoll.storage.postgresql.connection import Connection, Lost, Undone
from atoll.storage.postgresql.engine import PostgreSQLEngine, Replica
from atoll.storage.postgresql.url import BadStore

CREDENTIALS, SESSION_KEY = "credentials", "session.key"
"""Names of documents."""
REFRESH_S = 1.0
SLICE_S = 0.1
"""How often front ends tell each other what they took from token buckets."""

T = TypeVar("T")

_log = logging.getLogger(__name__)


class SharedStore:
    """Use it from one event loop."""

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
        """`replicas` is the URL of servers that replicate the store. An empty `clock` is no front end's."""
        self._url = urls.parse(url)
        self._replicas = Cluster(urls.parse(replicas), replicas=True) if replicas else None
        self._account = account
        self._session_key = b""
        self.vault = vault
        self._clock = clock
        self._cluster = Cluster(self._url, durability=durability)
        self._schemas: set[str] = set()
        self._claim: Connection | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self.credentials = SharedCredentials(self)

    def __str__(self) -> str:
        return str(self._url)

    async def start(self) -> None:
        """Find the primary, check the format, create what is missing. Raises `BadStore`."""
        try:
            await self._cluster.start()
            await self.run(self._prepare)
            if self._clock:
                await self._claim_clock()
            await self._look()
            if self._replicas is not None:
                await self._replicas.start()
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
        """Use a connection once. Raises `Unavailable` if it is lost."""
        try:
            async with self._cluster.use(asyncio.get_running_loop().time() + patience_s) as connection:
                return await use(connection)
        except (Lost, Undone) as error:
            raise Unavailable(str(error)) from error

    # Regions

    def schema(self, region: str) -> str:
        """A region of another account than the node's is named `<account>/<region>`."""
        account, _, name = region.rpartition("/")
        account = account or self._account
        return name if account == DEFAULT_ACCOUNT else f"{account}/{name}"

    def has_store(self, region: str) -> bool:
        """As far as this front end knows."""
        return self.schema(region) in self._schemas

    async def find_store(self, region: str) -> bool:
        """Whether there is one: another front end may just have created it."""
        schema = self.schema(region)
        name = f"{statements.quoted(schema)}.commits"
        found = bool(await self.run(lambda connection: connection.value(statements.HAS_SCHEMA, (name,))))
        if found:
            self._schemas.add(schema)
        return found

    def stored_regions(self, accounts: Iterable[str] = ()) -> set[str]:
        """Those of the node's account and of these that have a store, as far as this front end knows."""
        found = set()
        for schema in self._schemas:
            account, _, name = schema.rpartition("/")
            account = account or DEFAULT_ACCOUNT
            if REGION_NAME.fullmatch(name) and (account == self._account or account in accounts):
                found.add(name if account == self._account else f"{account}/{name}")
        return found

    def session_key(self) -> bytes:
        """Signs the tokens of temporary credentials."""
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
        if self._replicas is not None:
            region.replicas = Replica(self._replicas, schema, ride_along=[fmt.GENERATION])
        return engine

    def open_buckets(self, region: str, clock: Clock) -> SharedBuckets:
        buckets = SharedBuckets(self, self.schema(region), clock)
        self._tasks.append(asyncio.create_task(buckets.run()))
        return buckets

    # Beside the regions

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
            self._cluster.release(self._claim)  # it is closed: make room for another one
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
        async def look(connection: Connection) -> tuple[list[str], list[Any]]:
            schemas = [name for (name,) in await connection.fetch(statements.SCHEMAS)]
            return schemas, await connection.fetch(statements.READ_DOCUMENT, (CREDENTIALS,))

        schemas, document = await self.run(look)
        self._schemas |= set(schemas)
        self.credentials.use(*document[0] if document else (0, None))
        if not self._session_key:
            self._session_key = await self.run(_session_key)

    async def _refresh(self) -> None:
        while True:
            await asyncio.sleep(REFRESH_S)
            try:
                await self._look()
                if self._clock and (self._claim is None or self._claim.is_closed):
                    await self._claim_clock()
            except Unavailable:
                continue
            except Exception as error:
                _log.warning("the shared settings of the store were not read: %s", error)


async def _session_key(connection: Connection) -> bytes:
    """The one that the first front end made."""
    arguments = (SESSION_KEY, 0, os.urandom(KEY_BYTES))
    await connection.fetch(statements.WRITE_DOCUMENT, arguments)
    return bytes((await connection.fetch(statements.READ_DOCUMENT, (SESSION_KEY,)))[0][1])


class SharedCredentials:
    """As `Credentials`, of a store. They are read once a second."""

    def __init__(self, store: SharedStore) -> None:
        self._store = store
        self._version = -1
        self._has_changed = False
        self._by_key: dict[str, Credential] = {}

    def use(self, version: int, content: bytes | None) -> None:
        if version == self._version:
            return
        self._version = version
        self._has_changed = True
        try:
            self._by_key = {} if content is None else parse(content, self._store, self._store.vault)
        except BadCredentials as error:
            _log.warning("credentials were not reloaded; those read before stay in force: %s", error)

    def get(self, access_key: str) -> Credential | None:
        found = self._by_key.get(access_key)
        return found if found is not None and not found.peer else None

    def peer(self, access_key: str) -> Credential | None:
        found = self._by_key.get(access_key)
        return found if found is not None and found.peer else None

    def list(self) -> list[Credential]:
        return sorted(self._by_key.values(), key=lambda one: (one.created_ms, one.access_key))

    def peers(self) -> Sequence[Credential]:
        return [one for one in self.list() if one.peer]

    def refresh(self, now_ms: int) -> bool:
        """The store is read in the background."""
        changed, self._has_changed = self._has_changed, False
        return changed

    def reload(self) -> bool:
        return self.refresh(0)

    async def add(self, credential: Credential) -> None:
        await self._change(lambda by_key: by_key.update({credential.access_key: credential}))

    async def delete(self, access_key: str) -> bool:
        """Returns whether it existed."""
        if access_key not in self._by_key:
            return False
        await self._change(lambda by_key: by_key.pop(access_key, None))
        return True

    async def _change(self, change: Callable[[dict[str, Credential]], object]) -> None:
        async def attempt(connection: Connection) -> bool:
            document = await connection.fetch(statements.READ_DOCUMENT, (CREDENTIALS,))
            version, content = document[0] if document else (0, None)
            by_key = {} if content is None else parse(content, self._store, self._store.vault)
            change(by_key)
            arguments = (
                CREDENTIALS,
                version,
                dump(sorted(by_key.values(), key=lambda one: one.created_ms), self._store.vault),
            )
            written = await connection.fetch(statements.WRITE_DOCUMENT, arguments)
            if written:
                self._version, self._by_key = written[0][0], by_key
                self._has_changed = True
            return bool(written)

        while not await self._store.run(attempt):
            pass


class SharedBuckets:
    """Token buckets that all front ends share. Each counts in memory, and tells the others ten times a second what it
    took. A bucket may go below zero, and then refills first: so what front ends take together stays at the rate."""

    def __init__(self, store: SharedStore, schema: str, clock: Clock) -> None:
        self._store = store
        self._schema = schema
        self._clock = clock
        self._buckets: dict[int, Bucket] = {}
        self._taken: dict[int, tuple[float, float]] = {}
        """Rate and units, since the others were told."""
        self._filled: set[int] = set()
        self._forgotten = False

    def level(self, number: int, rate: float) -> float:
        return refilled(self._buckets.get(number), rate, self._clock.now_ms()).units

    def take(self, number: int, rate: float, units: float) -> None:
        self._buckets[number] = drained(self._buckets.get(number), rate, units, self._clock.now_ms())
        self._taken[number] = (rate, units + self._taken.get(number, (rate, 0.0))[1])

    def fill(self, number: int) -> None:
        self._buckets.pop(number, None)
        self._taken.pop(number, None)
        self._filled.add(number)

    def forget(self) -> None:
        self._buckets.clear()
        self._taken.clear()
        self._forgotten = True

    async def run(self) -> None:
        while True:
            await asyncio.sleep(SLICE_S)
            if self._taken or self._filled or self._forgotten:
                try:
                    await self._store.run(self._tell, SLICE_S)
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
