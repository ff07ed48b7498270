"""The pgvector tables of a region, as this front end last saw them."""

from __future__ import annotations

import logging
from typing import Any, Protocol

from atoll.database.region import Database, Region
from atoll.database.vectors.definition import VectorIndex
from atoll.vectors.pgvector import encoding, statements
from atoll.vectors.pgvector.statements import FILLED, GRAPH, Names, TableState

LEAST_VERSION = (0, 8)
"""The first version of pgvector that continues to search a graph until enough entries fit a filter."""
SCANNED = 20_000
"""Searches scan a table without a measured graph, if it has at most this many entries; otherwise they do not use it."""
DEADLINE_S = 60.0
BUILD_S = 24 * 3600.0

_log = logging.getLogger(__name__)


class Connection(Protocol):
    async def fetch(self, statement: str, arguments: Any = (), deadline_s: float = 10) -> list[Any]: ...

    async def value(self, statement: str, arguments: Any = (), deadline_s: float = 10) -> Any: ...

    async def execute(self, script: str, deadline_s: float = 10) -> None: ...

    async def use_type(self, schema: str, name: str) -> None: ...


class Outdated(Exception):
    """Another front end is changing the table, or has changed it."""


def serves(state: TableState | None) -> bool:
    """Whether searches use the table."""
    return state is not None and state.stage in (FILLED, GRAPH) and (state.breadth > 0 or state.entries <= SCANNED)


class Tables:
    def __init__(self, region: Region) -> None:
        assert region.database is not None
        self.database: Database = region.database
        self.extension: str | None = None
        """The schema of the extension; None if the extension is missing or too old."""
        self.states: dict[int, TableState] = {}
        """The state of each table, by the space of its index."""
        self._may_create = True

    def names(self, index: VectorIndex) -> Names:
        type_, (operator, operators) = encoding.type_of(index), encoding.operator(index)
        assert self.extension is not None and type_ is not None
        return Names(self.database.schema, self.extension, index.space, type_, operator, f"{type_}_{operators}")

    def usable(self, index: VectorIndex) -> bool:
        """Whether searches of the index use its table."""
        state = self.states.get(index.space)
        return self.extension is not None and serves(state) and state is not None and self.fits(index, state)

    def fits(self, index: VectorIndex, state: TableState) -> bool:
        return state.shape == encoding.shape(index)

    async def refresh(self) -> None:
        """Look for the extension and the tables."""
        self.extension, self.states = await self.database.run(self._look)

    async def _look(self, connection: Connection) -> tuple[str | None, dict[int, TableState]]:
        schema = self.database.schema
        (version, extension, has_states), *_ = await connection.fetch(statements.EXTENSION, (f"{schema}.vectors",))
        if version is None or tuple(map(int, version[:2])) < LEAST_VERSION:
            return None, {}
        found = await connection.fetch(statements.read_states(schema)) if has_states else []
        return extension, {row[0]: TableState(*row) for row in found}

    async def create_extension(self) -> None:
        """Try once to create the extension, if the server has it."""
        if not self._may_create:
            return
        self._may_create = False

        async def create(connection: Connection) -> None:
            if await connection.value(statements.IS_AVAILABLE):
                await connection.execute(statements.CREATE_EXTENSION)

        await self.database.run(create)

    async def begin(self, connection: Connection, names: Names, state: TableState) -> None:
        """Begin a transaction that changes a table. Raises `Outdated` if the table is not in this state."""
        await connection.use_type(names.extension, names.type)
        await connection.execute(statements.BEGIN)
        found = await connection.fetch(statements.claim(names), (names.space,))
        if not found or TableState(*found[0]) != state:
            raise Outdated
