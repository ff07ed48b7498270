"""Keep the tables of vector indexes in a region's PostgreSQL up to date, as long as the region is open.

The work itself is in `vectors.pgvector`, which is imported when a region has its first vector index.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from atoll.api import search
from atoll.database.region import Database, Refused, Region
from atoll.errors import ApiError
from atoll.storage.engine import Corrupt, Unavailable
from atoll.vectors.pgvector import statements

PAUSE_S = 1.0
"""The pause between two looks at the changes of vector indexes."""
IDLE_S = 5.0
"""The pause between two looks for vector indexes, while there are none."""

_log = logging.getLogger(__name__)


class VectorTables:
    """The tables of one region. A region whose store is not in PostgreSQL has none."""

    def __init__(self, region: Region) -> None:
        self._region = region
        self._may_exist = True
        self._working: asyncio.Task[None] | None = None
        self._stopped = False

    async def run(self) -> None:
        """Load the region's vector indexes, then work until `stop` is called."""
        if self._stopped:
            return
        self._working = asyncio.create_task(self._run())
        try:
            await self._working
        except asyncio.CancelledError:
            if not self._stopped:
                raise

    def stop(self) -> None:
        """End `run` at once. PostgreSQL rolls a transaction back that had begun."""
        self._stopped = True
        if self._working is not None:
            self._working.cancel()

    async def _run(self) -> None:
        await search.load(self._region)
        reported = ""
        while self._region.database is not None:
            try:
                pause_s = await self._work(self._region.database)
                reported = ""
            except (ApiError, Corrupt, Refused, Unavailable) as error:
                if str(error) != reported:
                    _log.warning("the vector tables of %s are not up to date: %s", self._region.name, error)
                reported, pause_s = str(error), IDLE_S
            await asyncio.sleep(pause_s)

    async def _work(self, database: Database) -> float:
        """Do some work, and return the pause after it."""
        has_indexes = any(table.vector_indexes for table in await self._region.read(self._region.catalog.tables))
        self._may_exist = has_indexes or (self._may_exist and await _exist(database))
        if not self._may_exist:
            return IDLE_S
        await search.searching_module()
        from atoll.vectors.pgvector import upkeep

        return 0 if await upkeep.tick(self._region) else PAUSE_S


async def _exist(database: Database) -> bool:
    """Whether tables of deleted indexes remain."""

    async def look(connection: Any) -> bool:
        has_states = await connection.value(statements.HAS_STATES, (f"{database.schema}.vectors",))
        return has_states and bool(await connection.fetch(statements.read_states(database.schema)))

    return await database.run(look)
