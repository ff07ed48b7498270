"""The candidates of a search: from the index's table, and from the entries that changed since.

The table's position is the number of the last change that it has. A search reads the position before the entries, so it
misses no change between the two reads. Both reads are in one transaction, during which no front end can recreate the
table. The front end keeps the entries that changed after the position as codes in memory (`following`), until the table
has them.

A table without a graph is scanned. If only few entries fit a search's conditions, these are scanned. Otherwise the
graph is searched until enough entries fit. If it stops before, all entries that fit are scanned.
"""

from __future__ import annotations

import logging
from typing import Any, NamedTuple

import numpy as np

from atoll.database.region import Refused, Region
from atoll.database.vectors.definition import VectorIndex
from atoll.vectors.candidates import Candidates
from atoll.vectors.distances import Matrix
from atoll.vectors.following import Followed
from atoll.vectors.pgvector import encoding, statements, tables
from atoll.vectors.pgvector.statements import Names, TableState
from atoll.vectors.pgvector.tables import DEADLINE_S, Connection, Tables
from atoll.vectors.scan import Conditions

FEW = 4_000
"""If at most this many entries fit a search's conditions, they are scanned."""
MOST_TUPLES = 20_000
"""A search of a graph stops after this many entries."""
RESTART = 1_024
"""If at least this many changed entries are in memory, and the table has half of their changes, they are read anew."""
_KNOWN = 1_000

_log = logging.getLogger(__name__)


class Recent:
    """The data that a front end keeps in memory about the tables."""

    def __init__(self, region: Region) -> None:
        self._region = region
        self._changed: dict[int, tuple[int, Followed]] = {}
        """For each index, by its space: a position of its table, and the entries that changed after it."""
        self.many: dict[tuple[int, ...], None] = {}
        """Conditions that fit many entries: the space of the index, and the hashes of the condition's values."""

    async def changed(self, index: VectorIndex, position: int, number: int) -> Followed | None:
        """The entries that changed after `position`, up to the change `number`; None if the log lacks some of these
        changes."""
        start, followed = self._changed.get(index.space, (-1, Followed(index)))
        held = len(followed.memory)
        is_old = held >= RESTART and followed.position - position < held // 2
        if start < 0 or start > position or followed.position <= position or is_old:
            followed = Followed(index, position)
            if start <= position:
                self._changed[index.space] = position, followed
        async with followed.lock:
            return followed if await followed.follow(self._region, number) else None

    def keep(self, spaces: set[int]) -> None:
        """Forget all indexes but those with these spaces."""
        for space in self._changed.keys() - spaces:
            del self._changed[space]

    def note_many(self, key: tuple[int, ...]) -> None:
        if len(self.many) >= _KNOWN:
            del self.many[next(iter(self.many))]
        self.many[key] = None


class _Found(NamedTuple):
    position: int
    candidates: Candidates


class TableSource:
    """The table of an index as the source of candidates of one search."""

    def __init__(self, region: Region, index: VectorIndex, number: int) -> None:
        """The search must see all changes up to `number`."""
        self._region = region
        self._tables = region.state(Tables)
        self._recent = region.state(Recent)
        self._index = index
        self._number = number

    async def candidates(self, query: Matrix, wanted: Conditions, most: int) -> Candidates | None:
        try:
            found = await self._tables.database.run(lambda connection: self._find(connection, query, wanted, most))
        except Refused as error:
            _log.info("the table of the vector index %s is not used: %s", self._index.name, error)
            return None
        if found is None or found.position >= self._number:
            return None if found is None else found.candidates
        changed = await self._recent.changed(self._index, found.position, self._number)
        if changed is None:
            return None
        return _merged(found.candidates, changed, await changed.candidates(query, wanted, most))

    async def _find(self, connection: Connection, query: Matrix, wanted: Conditions, most: int) -> _Found | None:
        names = self._tables.names(self._index)
        await connection.use_type(names.extension, names.type)
        await connection.execute(statements.begin_search(names))
        found = await self._search(connection, names, query, encoding.hashes(wanted), most)
        await connection.execute("commit")
        return found

    async def _search(
        self, connection: Connection, names: Names, query: Matrix, hashes: list[int], most: int
    ) -> _Found | None:
        known = (self._index.space, *hashes)
        row = await connection.fetch(statements.read_state(names.schema), (names.space,))
        state = TableState(*row[0]) if row else None
        if state is None or not tables.serves(state) or not self._tables.fits(self._index, state):
            return None
        encoded = encoding.encoded(self._index, query.reshape(1, -1))[0]
        if not state.breadth:
            rows = await scan(connection, names, encoded, hashes, most, _ALL)
            return _Found(state.position, self._candidates(rows, rows[0][3] <= most if rows else True))
        if hashes and known not in self._recent.many:
            rows = await scan(connection, names, encoded, hashes, most, FEW + 1)
            if not rows or rows[0][3] <= FEW:
                return _Found(state.position, self._candidates(rows, rows[0][3] <= most if rows else True))
            self._recent.note_many(known)
        rows = await graph(connection, names, encoded, hashes, most, state.breadth)
        if len(rows) < most:
            rows = await scan(connection, names, encoded, hashes, most, _ALL)
            return _Found(state.position, self._candidates(rows, len(rows) < most))
        return _Found(state.position, self._candidates(rows, False))

    def _candidates(self, rows: list[Any], is_all: bool) -> Candidates:
        return as_candidates(self._index, rows, is_all)


_ALL = 2**62


def as_candidates(index: VectorIndex, rows: list[Any], is_all: bool) -> Candidates:
    ranks = encoding.ranks(index, [row[2] for row in rows])
    order = np.argsort(ranks, kind="stable")
    return Candidates([rows[i][0] for i in order], ranks[order], [rows[i][1] for i in order], is_all)


async def scan(
    connection: Connection, names: Names, query: bytes, hashes: list[int], most: int, fitting: int
) -> list[Any]:
    """The nearest entries, of the first `fitting` ones that fit."""
    await connection.execute(statements.ALLOW_FILTERED if hashes else statements.ALLOW_SCAN)
    arguments = (query, most, fitting, hashes) if hashes else (query, most, fitting)
    return await connection.fetch(statements.scan(names, filtered=bool(hashes)), arguments, DEADLINE_S)


async def graph(
    connection: Connection, names: Names, query: bytes, hashes: list[int], most: int, breadth: int
) -> list[Any]:
    await connection.execute(statements.allow_graph(breadth, MOST_TUPLES))
    arguments = (query, most, hashes) if hashes else (query, most)
    return await connection.fetch(statements.graph(names, filtered=bool(hashes)), arguments, DEADLINE_S)


def _merged(table: Candidates, changed: Followed, recent: Candidates) -> Candidates:
    """The candidates of both sources. Changed entries are taken from memory only. A source may have more entries beyond
    its last rank, so no candidate beyond the nearer one of the two last ranks is kept."""
    pairs = zip(table.keys, table.ranks.tolist(), table.sizes, strict=True)
    those = [one for one in pairs if one[0] not in changed.memory]
    those += zip(recent.keys, recent.ranks.tolist(), recent.sizes, strict=True)
    bounds = [float(one.ranks[-1]) for one in (table, recent) if not one.is_all]
    kept = sorted([one for one in those if not bounds or one[1] <= min(bounds)], key=lambda one: one[1])
    ranks = np.array([rank for _, rank, _ in kept])
    return Candidates([key for key, _, _ in kept], ranks, [size for _, _, size in kept], not bounds)
