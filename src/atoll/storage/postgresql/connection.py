"""One connection to a PostgreSQL server, with deadlines, and with errors that show whether a statement had an effect.

A deadline closes the connection. It never cancels the statement: a canceled commit that waits for its standby would
succeed with a warning. The connection records warnings: after one, a commit may be missing on the standby.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Sequence
from typing import Any

import asyncpg
from asyncpg.prepared_stmt import PreparedStatement

from atoll.storage.engine import Corrupt, Full
from atoll.storage.postgresql import arrays, statements
from atoll.storage.postgresql.url import Server

USER_TIMEOUT_MS = 8_000
"""A connection with bytes unacknowledged for this long is closed."""

# Settings of a session, sent after its start because PgBouncer refuses them in the first message. Plans must not depend
# on statistics: every statement uses its index.
SETTINGS = """
set lock_timeout = '5s'; set idle_in_transaction_session_timeout = '10s'; set enable_seqscan = off;
set enable_bitmapscan = off; set enable_hashjoin = off; set enable_mergejoin = off; set jit = off
"""

_log = logging.getLogger(__name__)


class Lost(Exception):
    """The connection is lost. Whether its last statement had an effect is unknown."""


class Undone(Exception):
    """The server has rolled back the statement and its transaction. A retry may succeed."""


class Connection:
    def __init__(self, raw: asyncpg.Connection[Any], server: Server) -> None:
        self._raw = raw
        self._loop = asyncio.get_running_loop()
        self._prepared: dict[str, PreparedStatement[Any]] = {}
        self._types: set[tuple[str, str]] = set()
        self.server = server
        self.term = 0
        """The term of the cluster in which it was opened."""
        self.warned = False
        self._until: float | None = None
        """The deadline of the statement that is under way, in the loop's time."""
        self._alarm: asyncio.TimerHandle | None = None
        raw.add_log_listener(self._note)

    @classmethod
    async def open(cls, server: Server, times: dict[str, int]) -> Connection:
        """Connect to a server. Raises OSError, `TimeoutError`, `Lost`, `Undone` or an error of asyncpg."""
        timeout, name = times["connect_timeout"], {"application_name": "atoll"}
        raw = await asyncpg.connect(server.dsn, timeout=timeout, server_settings=name)
        opened = cls(raw, server)
        try:
            opened._keep_alive(times)
            arrays.install(raw)
            await opened.execute(SETTINGS, timeout)
        except BaseException:
            opened.terminate()
            raise
        return opened

    def _keep_alive(self, times: dict[str, int]) -> None:
        found = self._raw._transport.get_extra_info("socket")
        if found is None or found.family not in (socket.AF_INET, socket.AF_INET6):
            return
        found.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in (
            ("TCP_KEEPIDLE", times["keepalives_idle"]),
            ("TCP_KEEPINTVL", times["keepalives_interval"]),
            ("TCP_KEEPCNT", times["keepalives_count"]),
            ("TCP_USER_TIMEOUT", USER_TIMEOUT_MS),
        ):
            if hasattr(socket, name):
                found.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)

    def _note(self, raw: object, message: asyncpg.PostgresLogMessage) -> None:
        if getattr(message, "severity_en", None) == "WARNING" or message.severity == "WARNING":
            self.warned = True
            _log.warning("PostgreSQL at %s: %s", self.server, message)

    @property
    def is_closed(self) -> bool:
        return bool(self._raw.is_closed())

    def terminate(self) -> None:
        self._raw.terminate()
        if self._alarm is not None:
            self._alarm.cancel()

    def _begin(self, deadline_s: float) -> None:
        """Note that a statement begins. One timer serves many statements: setting one for each would cost as much as
        the statement."""
        self._until = until = self._loop.time() + deadline_s
        if self._alarm is None or until < self._alarm.when():
            if self._alarm is not None:
                self._alarm.cancel()
            self._alarm = self._loop.call_at(until, self._ring)

    def _ring(self) -> None:
        self._alarm = None
        if self._until is None:
            return
        if self._loop.time() < self._until:
            self._alarm = self._loop.call_at(self._until, self._ring)
        else:
            self._raw.terminate()

    async def close(self) -> None:
        if not self._raw.is_closed():
            late = self._loop.call_later(2, self._raw.terminate)
            try:
                await self._raw.close()
            except Exception:
                self._raw.terminate()
            finally:
                late.cancel()

    async def fetch(self, statement: str, arguments: Sequence[object] = (), deadline_s: float = 10) -> list[Any]:
        self._begin(deadline_s)
        try:
            prepared = self._prepared.get(statement)
            if prepared is None:
                prepared = self._prepared[statement] = await self._raw.prepare(statement)
            rows: list[Any] = await prepared.fetch(*arguments)
            return rows
        except Exception as error:
            raise self._translated(error) from error
        finally:
            self._until = None

    async def value(self, statement: str, arguments: Sequence[object] = (), deadline_s: float = 10) -> Any:
        rows = await self.fetch(statement, arguments, deadline_s)
        return rows[0][0] if rows else None

    async def execute(self, script: str, deadline_s: float = 10) -> None:
        """Run statements without arguments, in one round trip."""
        self._begin(deadline_s)
        try:
            await self._raw.execute(script)
        except Exception as error:
            raise self._translated(error) from error
        finally:
            self._until = None

    async def use_type(self, schema: str, name: str) -> None:
        """Take and give the values of an extension's type as bytes, in its own binary format."""
        if (schema, name) not in self._types:
            await self._raw.set_type_codec(name, schema=schema, encoder=bytes, decoder=bytes, format="binary")
            self._types.add((schema, name))

    def _translated(self, error: Exception) -> Exception:
        known = error
        if isinstance(error, asyncpg.exceptions.DataError):  # the driver cannot encode an argument
            return known
        if isinstance(error, asyncpg.PostgresError):
            state = error.sqlstate or ""
            if state.startswith(("57P", "08")):
                self._raw.terminate()
                return Lost(f"{self.server}: {error}")
            if state in _UNDONE:
                return Undone(f"{self.server}: {error}")
            if state in _FULL:
                return Full(f"{self.server}: {error}")
            if state in _GONE:
                return Corrupt(f"{self.server}: {error}")
            return known
        self._raw.terminate()
        return Lost(f"{self.server}: {error or type(error).__name__}")


# Serialization failure, deadlock, lock timeout, canceled, idle in transaction, read-only, too many connections.
_UNDONE = frozenset(["40001", "40P01", "55P03", "57014", "25P03", "25006", "53300"])
_FULL = frozenset(["53100", "53200", "58030"])
_GONE = frozenset(["42P01", "3F000", "42883", "XX001", "XX002"])


async def describe(connection: Connection) -> tuple[bool, int]:
    """Whether the server may accept writes, and its timeline; 0 if it does not report one."""
    rows = await connection.fetch(statements.SERVER, (), 2)
    in_recovery, read_only, commit = rows[0]
    if in_recovery or read_only:
        return False, 0
    if commit in ("off", "local", "remote_write"):
        await connection.execute("set synchronous_commit = on", 2)
    try:
        return True, int(await connection.value(statements.TIMELINE, (), 2))
    except asyncpg.PostgresError:
        return True, 0
