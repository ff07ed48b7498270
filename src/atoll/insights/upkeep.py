"""Drop the insights of deleted tables and indexes. Runs in the process that holds the region's lease."""

from __future__ import annotations

from atoll.database.region import Region
from atoll.insights import minutes, settings
from atoll.insights.settings import Setting
from atoll.storage.engine import Snapshot, Transaction

INTERVAL_MS = 60_000


class InsightsUpkeep:
    """The `Work` of a region's evaluation."""

    def __init__(self, region: Region) -> None:
        self._region = region
        self._next_ms = 0

    async def settle(self, now_ms: int) -> int | None:
        if now_ms < self._next_ms and self._next_ms - now_ms <= INTERVAL_MS:
            return None
        self._next_ms = now_ms + INTERVAL_MS
        for setting in await self._region.read(self._gone):
            while await self._region.transact(lambda tx, of=setting: _drop(tx, of)):  # type: ignore[misc]
                pass
        return None

    def _gone(self, snapshot: Snapshot) -> list[Setting]:
        found = settings.all_of(snapshot)
        if not found:
            return []
        tables = self._region.catalog.tables(snapshot)
        spaces = {settings.space_of(table, index) for table, index in settings.parts(tables)}
        return [setting for setting in found if setting.part not in spaces]

    async def stop(self) -> None:
        """Does nothing: no task runs in the background."""


def _drop(tx: Transaction, setting: Setting) -> bool:
    """Drop some minutes, and the setting with the last one; returns whether there are more."""
    more = minutes.drop(tx, setting, float("inf"))
    if not more:
        settings.delete(tx, setting)
    return more
