"""Worlds whose region has a database, and the contents of their tables."""

from __future__ import annotations

import asyncio
from typing import Any

from atoll.database import format as fmt
from atoll.database.region import Region
from atoll.database.vectors import rows
from atoll.database.vectors.definition import VectorIndex
from atoll.vectors.pgvector import upkeep
from atoll.vectors.pgvector.tables import Tables, serves
from tests import postgres
from tests.postgres import run
from tests.vectors.test_model import World


class TableWorld(World):
    """Tables are kept up to date now and then."""

    def open(self) -> None:
        super().open()
        self.region.database = run(postgres.database(self.engine))  # type: ignore[arg-type]

    def settle(self) -> None:
        """A connection that was cut may hold a table for a while."""
        super().settle()
        run(asyncio.wait_for(self._settle(), 20))

    async def _settle(self) -> None:
        while True:
            while await upkeep.tick(self.region):
                pass
            states = self.region.state(Tables).states
            tables = await self.region.read(self.region.catalog.tables)
            indexes = [index for table in tables for index in table.vector_indexes if index.status == "ACTIVE"]
            if states.keys() == {index.space for index in indexes} and all(map(serves, states.values())):
                break
            await asyncio.sleep(0.01)

    def change(self) -> None:
        super().change()
        for _ in range(self.chance.choice([0, 0, 0, 1, 3])):
            run(upkeep.tick(self.region))

    def indexes(self) -> list[VectorIndex]:
        (table,) = run(self.region.read(self.region.catalog.tables))
        return list(table.vector_indexes)


async def settle(region: Region, index: VectorIndex) -> None:
    """Bring the table of an index up to date."""
    await region.state(Tables).refresh()
    while await upkeep.step(region, index, *await region.read(lambda snapshot: _numbers(snapshot, index))):
        pass


def _numbers(snapshot: Any, index: VectorIndex) -> tuple[int, int]:
    return snapshot.number(rows.counter(index.log_space)), len(list(snapshot.scan(*fmt.space_range(index.space))))


async def keys(region: Region, index: VectorIndex) -> tuple[set[bytes], set[bytes]]:
    """The keys of the entries, and those in the table."""
    database = region.database
    assert database is not None
    found = await database.run(
        lambda connection: connection.fetch(f"select key from {database.schema}.vectors_{index.space}")
    )
    stored = await region.read(lambda snapshot: [key for key, _ in snapshot.scan(*fmt.space_range(index.space))])
    return set(stored), {row[0] for row in found}


async def names(region: Region) -> list[str]:
    """Of all tables of vectors in the region's schema."""
    database = region.database
    assert database is not None
    statement = "select tablename from pg_tables where quote_ident(schemaname) = $1 and tablename like 'vectors\\_%'"
    schema = database.schema if not database.schema.strip('"').isidentifier() else database.schema.strip('"')
    return sorted(row[0] for row in await database.run(lambda connection: connection.fetch(statement, (schema,))))
