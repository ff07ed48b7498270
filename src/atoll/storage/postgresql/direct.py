"""One blocking connection to the primary, for commands. It runs its own event loop.

Transactions and statements may take long here: they have no deadline. Losing the connection ends the command.
"""

from __future__ import annotations

import asyncio
from typing import Any

import asyncpg

from atoll.storage.engine import Unavailable
from atoll.storage.postgresql import statements, url
from atoll.storage.postgresql.cluster import FAILURES, as_text
from atoll.storage.postgresql.connection import Connection, Lost, Undone, describe
from atoll.storage.postgresql.url import BadStore, Server

DEADLINE_S = 24 * 3600.0
"""The deadline of a statement."""

_SETTINGS = "set idle_in_transaction_session_timeout = 0; set lock_timeout = '30s'"


class Direct:
    """The connection. Its methods raise `Unavailable` when it is lost."""

    def __init__(self, text: str) -> None:
        """Connect to the primary. Raises `BadStore`, whose text has no password."""
        self._url = url.parse(text)
        self._loop = asyncio.new_event_loop()
        try:
            self._connection = self._loop.run_until_complete(self._connect())
        except BaseException:
            self._loop.close()
            raise

    def __str__(self) -> str:
        return str(self._url)

    async def _connect(self) -> Connection:
        answers = await asyncio.gather(*map(self._ask, self._url.servers), return_exceptions=True)
        found = sorted([one for one in answers if isinstance(one, tuple)], key=lambda one: (one[0], one[1]))
        for _, _, connection in found[:-1]:
            await connection.close()
        if found and found[-1][0]:
            connection = found[-1][2]
            await connection.execute(_SETTINGS)
            return connection
        failures = [
            f"{server}: {as_text(one)}"
            for server, one in zip(self._url.servers, answers, strict=True)
            if isinstance(one, BaseException)
        ]
        raise BadStore(f"{self}: {'; '.join(failures) or 'no server is a primary'}")

    async def _ask(self, server: Server) -> tuple[bool, int, Connection]:
        try:
            connection = await Connection.open(server, self._url.times)
            return (*await describe(connection), connection)
        except FAILURES as error:
            raise Unavailable(as_text(error)) from error

    def fetch(self, statement: str, *arguments: object) -> list[Any]:
        rows: list[Any] = self._run(self._connection.fetch(statement, arguments, DEADLINE_S))
        return rows

    def value(self, statement: str, *arguments: object) -> Any:
        rows = self.fetch(statement, *arguments)
        return rows[0][0] if rows else None

    def execute(self, script: str) -> None:
        """Run statements without arguments."""
        self._connection.warned = False
        self._run(self._connection.execute(script, DEADLINE_S))

    def commit(self) -> None:
        self.execute("commit")
        if self._connection.warned:
            raise Unavailable(f"{self}: the commit may not be on the standby")

    def _run(self, call: Any) -> Any:
        try:
            return self._loop.run_until_complete(call)
        except (Lost, Undone) as error:
            raise Unavailable(str(error)) from error
        except asyncpg.PostgresError as error:
            raise BadStore(f"{self}: {' '.join(str(error).split())}") from error

    def close(self) -> None:
        self._loop.run_until_complete(self._connection.close())
        self._loop.close()

    # The store

    def regions(self) -> list[str]:
        """The schemas of the regions."""
        return sorted(name for (name,) in self.fetch(statements.SCHEMAS))

    def require_format(self) -> None:
        """Raises `BadStore` unless this version can use the store."""
        if not self.value(statements.HAS_STORE):
            raise BadStore(f"{self}: there is no store in the database")
        found = self.value(statements.READ_FORMAT)
        if found == statements.COPYING:
            raise BadStore(f"{self}: {statements.INCOMPLETE_COPY}")
        if found != statements.FORMAT:
            raise BadStore(f"{self} has the format {found}, this version of Atoll has {statements.FORMAT}")

    def claim(self) -> None:
        """Keep front ends out while the connection lasts. Raises `BadStore` if one uses the store."""
        if not self.value(statements.CLOCK_LOCKS["manual"]):
            raise BadStore(f"{self} is in use by a front end; stop all of them first")
