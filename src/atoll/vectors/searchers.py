"""Keep the memories of a region's vector indexes: load them at first use, and bring them up to date in each search.

A search's snapshot has the number of the index's last change. The search first applies the changes up to this number,
so it sees every write that any process answered before. Concurrent searches wait for the same load.
"""

from __future__ import annotations

from collections.abc import Iterable

from atoll.database import format as fmt
from atoll.database.region import Region
from atoll.database.vectors import rows
from atoll.database.vectors.definition import VectorIndex
from atoll.slices import Slices
from atoll.storage.engine import Snapshot
from atoll.vectors import memory, scan
from atoll.vectors.following import Followed
from atoll.vectors.memory import Memory

MOST_BYTES = 1024**3
"""The limit for all memories of a region; above it, the least recently searched one is dropped."""


class Searchers:
    def __init__(self, region: Region) -> None:
        self._region = region
        self._followed: dict[int, Followed] = {}
        """The memories by the space of their index, least recently searched first."""

    async def memory(self, index: VectorIndex, number: int) -> Followed | None:
        """The memory of an index, with all changes up to this number; None if it would be too large, or if the index
        was deleted."""
        followed = self._followed.pop(index.space, None) or Followed(index)
        self._followed[index.space] = followed
        if followed.position < number:
            async with followed.lock:
                if not await self._follow(followed, number):
                    self._followed.pop(index.space, None)
                    return None
        return followed

    def drop(self, indexes: Iterable[VectorIndex]) -> None:
        """Drop the memories of indexes whose searches use another source."""
        for index in indexes:
            self._followed.pop(index.space, None)

    async def _follow(self, followed: Followed, number: int) -> bool:
        """Load the memory, or apply the changes up to this number. Returns False if the memory is too large, or if the
        index was deleted with its log."""
        is_current = followed.position >= 0 and await followed.follow(self._region, number)
        if (not is_current or followed.memory.is_outgrown) and not await self._load(followed):
            return False
        return followed.position >= number and self._make_room(followed.memory.index, followed.memory.size)

    async def _load(self, followed: Followed) -> bool:
        """Read all entries into a new memory; returns False if there are too many."""
        index = followed.memory.index

        def begin(snapshot: Snapshot) -> tuple[int, int]:
            return snapshot.number(rows.counter(index.log_space)), snapshot.tally(fmt.count_counter(index.space))

        position, entries = await self._region.read(begin)
        if not self._make_room(index, memory.bytes_of(index, entries)):
            return False
        loaded, slices = Memory(index), Slices()
        loaded.prepare(await self._sample(index))
        start, end = fmt.space_range(index.space)
        begin_at: bytes | None = start
        while begin_at is not None:
            found, begin_at = await self._region.read(
                lambda snapshot, at=begin_at: scan.piece(snapshot, at, end)  # type: ignore[misc]
            )
            loaded.put(found)
            await slices.pause()
        loaded.loaded()
        followed.memory, followed.position = loaded, position
        return True

    async def _sample(self, index: VectorIndex) -> list[scan.Entry]:
        """Entries from 16 ranges of hashes, so that the sample is not all of one partition value. Empty if the ranges
        have few entries; then the first entries that are loaded serve as the sample."""
        prefix = fmt.space_prefix(index.space) + (rows.NO_HASH if index.partition is None else b"")
        _, end = fmt.space_range(index.space)
        found: dict[bytes, bytes] = {}
        for first in range(0, 256, 16):
            start = prefix + bytes([first])  # the first byte of a hash
            found.update(
                await self._region.read(
                    lambda snapshot, start=start: list(snapshot.scan(start, end, limit=scan.READ_ENTRIES))  # type: ignore[misc]
                )
            )
        return list(found.items()) if len(found) >= scan.PIECE_ROWS // 2 else []

    def _make_room(self, index: VectorIndex, size: int) -> bool:
        """Drop the memories of deleted indexes, then of others, until this index has room for `size` bytes. Returns
        False if `size` exceeds the limit."""
        tables = self._region.catalog.known.tables.values()
        spaces = {one.space for table in tables for one in table.vector_indexes}
        if index.space in spaces:  # otherwise the cached definitions are older than this index
            for space in self._followed.keys() - spaces:
                del self._followed[space]
        others = {space: one.memory.size for space, one in self._followed.items() if space != index.space}
        while others and sum(others.values()) + size > MOST_BYTES:
            space = next(iter(others))
            del self._followed[space], others[space]
        return size <= MOST_BYTES
