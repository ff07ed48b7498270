"""Keep the tables current: the front end that holds the region's lease fills them, and applies their indexes' change
logs to them.

A walk over all entries fills a new table. Each transaction stores the table's new state with its rows, so the work may
stop at any time. Then each step applies some changes of the log. If the log no longer has a change that the table
lacks, the table is filled again.

A graph is built when the table has many entries, which takes a tenth of the time of adding them one by one. Before very
many changes are applied, it is dropped; later it is built again.

Among embeddings of a model, HNSW finds almost all of the nearest entries; among vectors without structure, half of them
or fewer. So searches use a graph only after a measurement, which compares some searches with a walk over all entries
and chooses the breadth of searches. If no breadth finds enough, the table is dropped, and searches use the codes in
memory. A graph is measured again when the number of changes since is half of the number of entries.
"""

from __future__ import annotations

import logging
from collections.abc import Set
from typing import Any, NamedTuple

import numpy as np

from atoll.database import format as fmt
from atoll.database.region import Region
from atoll.database.vectors import rows
from atoll.database.vectors.definition import VectorIndex
from atoll.slices import Slices
from atoll.storage.engine import Snapshot
from atoll.vectors import codes, following, scan
from atoll.vectors.best import Best, read_entries
from atoll.vectors.distances import Matrix
from atoll.vectors.pgvector import encoding, source, statements, tables
from atoll.vectors.pgvector.source import Recent
from atoll.vectors.pgvector.statements import FILLED, GRAPH, UNFIT, WALKING, TableState
from atoll.vectors.pgvector.tables import Connection, Outdated, Tables
from atoll.vectors.searchers import Searchers

GRAPH_FROM = 5_000
"""A table with at least this many entries has a graph."""
BULK = 10_000
"""A graph is dropped if this many changes are pending, and at least a quarter as many as entries."""
FEW_CHANGES = 256
"""A graph is built or measured only while at most this many changes are pending."""
PIECES = 4
"""How many pieces of a walk one transaction adds."""

BREADTHS = (100, 200, 400)
RECALL = 0.97
"""The recall that a measurement requires. Clients' queries may be harder than the measured ones."""
QUERIES = 16
"""How many queries of each kind a measurement makes: vectors of entries, and midpoints of two of them."""
NEAREST = 10

_log = logging.getLogger(__name__)


Ranked = list[tuple[float, bytes]]
"""Ranks and keys of entries, nearest first."""


class _Index(NamedTuple):
    of: VectorIndex
    number: int
    """The number of the last change."""
    entries: int


async def tick(region: Region) -> bool:
    """Do some work on the region's tables; returns whether more is due."""
    indexes = await region.read(lambda snapshot: _find(region, snapshot))
    kept = region.state(Tables)
    await kept.refresh()
    region.state(Searchers).drop([one.of for one in indexes if kept.usable(one.of)])
    region.state(Recent).keep({one.of.space for one in indexes})
    if not await region.engine.lease():
        return False
    if kept.extension is None:
        await kept.create_extension()
        return False
    more = False
    for space in kept.states.keys() - {one.of.space for one in indexes}:
        await kept.database.run(lambda connection, space=space: _forget(kept, connection, space))  # type: ignore[misc]
    for index in indexes:
        if encoding.type_of(index.of) is not None:
            more |= await step(region, index.of, index.number, index.entries)
    return more


def _find(region: Region, snapshot: Snapshot) -> list[_Index]:
    found = [index for table in region.catalog.tables(snapshot) for index in table.vector_indexes]
    return [
        _Index(
            index,
            snapshot.number(rows.counter(index.log_space)),
            snapshot.tally(fmt.count_counter(index.space)),
        )
        for index in found
        if index.status == "ACTIVE"
    ]


async def _forget(kept: Tables, connection: Connection, space: int) -> None:
    await connection.execute(statements.forget(kept.database.schema, space))
    kept.states.pop(space, None)


async def step(region: Region, index: VectorIndex, number: int, entries: int) -> bool:
    """Do some work on the table of an index whose last change has this number. Returns whether any was due."""
    work = _Work(region, index, entries)
    state = work.kept.states.get(index.space)
    try:
        return await work.step(state, number)
    except Outdated:
        return False


class _Work:
    """One step of work on a table."""

    def __init__(self, region: Region, index: VectorIndex, entries: int) -> None:
        self.kept = region.state(Tables)
        self._region = region
        self._index = index
        self._entries = entries
        self._names = self.kept.names(index)

    async def step(self, state: TableState | None, number: int) -> bool:
        if state is None or not self.kept.fits(self._index, state):
            return await self._create(number)
        behind = number - state.position
        if state.stage == UNFIT:
            return abs(behind) >= max(self._entries, GRAPH_FROM) and await self._create(number)
        if state.stage == WALKING:
            return await self._walk(state)
        if not 0 <= behind <= rows.SLOTS:
            return await self._create(number)
        if state.stage == GRAPH and behind >= max(BULK, state.entries // 4):
            return await self._change(
                state._replace(stage=FILLED, breadth=0), state, statements.drop_graph(self._names)
            )
        if behind > FEW_CHANGES:
            return await self._apply(state)
        if state.stage == FILLED and self._entries >= GRAPH_FROM:
            new = state._replace(stage=GRAPH, breadth=0, entries=self._entries)
            return await self._change(new, state, statements.build_graph(self._names))
        if state.stage == GRAPH and (not state.breadth or 2 * (state.position - state.measured) >= state.entries):
            return await self._measure(state)
        return behind > 0 and await self._apply(state)

    async def _create(self, number: int) -> bool:
        index = self._index
        script = statements.create(
            self._names, encoding.shape(index), index.dimensions, number, has_hashes=bool(index.searched)
        )
        await self.kept.database.run(lambda connection: connection.execute(script, tables.DEADLINE_S))
        return True

    async def _walk(self, state: TableState) -> bool:
        """Add some entries. `_apply` adds those that change after the walk began, from the log."""
        start, end = fmt.space_range(self._index.space)
        found: list[scan.Entry] = []
        at: bytes | None = state.walked + b"\0" if state.walked else start
        for _ in range(PIECES):
            if at is None:
                break
            piece, at = await self._region.read(
                lambda snapshot, at=at: scan.piece(snapshot, at, end)  # type: ignore[misc]
            )
            found += piece
        stage, walked = (FILLED, b"") if at is None else (WALKING, found[-1][0])
        return await self._put(state._replace(stage=stage, walked=walked, entries=self._entries), state, found, [])

    async def _apply(self, state: TableState) -> bool:
        changes = await following.changes(self._region, self._index, state.position)
        if changes is None:
            return await self._create(await self._region.read(self._number))
        new = state._replace(position=changes.until, entries=self._entries)
        return await self._put(new, state, changes.changed, changes.gone)

    def _number(self, snapshot: Snapshot) -> int:
        return snapshot.number(rows.counter(self._index.log_space))

    async def _put(self, new: TableState, old: TableState, changed: list[scan.Entry], gone: list[bytes]) -> bool:
        async def change(connection: Connection) -> None:
            await self.kept.begin(connection, self._names, old)
            if gone:
                await connection.fetch(statements.remove(self._names), (encoding.ids(gone),), tables.DEADLINE_S)
            for part in scan.parts(changed, [len(row) for _, row in changed]):
                given = encoding.arguments(self._index, part)
                await connection.fetch(statements.put(self._names), given, tables.DEADLINE_S)
            await connection.fetch(statements.update(self._names), new)
            await connection.execute("commit")

        await self.kept.database.run(change)
        self.kept.states[self._index.space] = new
        return True

    async def _change(self, new: TableState, old: TableState, *script: str) -> bool:
        """Change the table by statements that may take long. The commit is sent with them, so that it happens even if
        this process ends."""

        async def change(connection: Connection) -> None:
            await self.kept.begin(connection, self._names, old)
            await connection.fetch(statements.update(self._names), new)
            await connection.execute("; ".join([*script, "commit"]), tables.BUILD_S)

        await self.kept.database.run(change)
        self.kept.states[self._index.space] = new
        return True

    async def _measure(self, state: TableState) -> bool:
        queries = await self._queries(state)
        nearest = await _nearest(self._region, self._index, queries)
        found = {breadth: [await self._searched(query, breadth) for query in queries] for breadth in BREADTHS}
        newer = await self._region.read(lambda snapshot: _changed(snapshot, self._index, state.position))
        if newer is None:
            return True
        recalls = {breadth: _recall(nearest, results, newer) for breadth, results in found.items()}
        breadth = next((breadth for breadth, recall in recalls.items() if recall >= RECALL), 0)
        _log.info("recall of the graph of the vector index %s, by breadth: %s", self._index.name, recalls)
        if breadth:
            return await self._change(state._replace(breadth=breadth, measured=state.position), state)
        new = state._replace(stage=UNFIT, breadth=0)
        return await self._change(new, state, statements.drop_table(self.kept.database.schema, self._index.space))

    async def _queries(self, state: TableState) -> Matrix:
        """Vectors of entries, and midpoints of two of them."""
        sample = statements.sample(self._names, min(100.0, 800 * QUERIES / max(state.entries, 1)))
        found = await self.kept.database.run(lambda connection: connection.fetch(sample, (), tables.DEADLINE_S))
        chance = np.random.default_rng(len(found))
        picked = [found[i] for i in chance.permutation(len(found))[: 2 * QUERIES]]
        entries = await read_entries(self._region, [row[0] for row in picked], [row[1] for row in picked])
        vectors = scan.vectors(self._index, entries)
        half = len(vectors) // 2
        middles: Matrix = (vectors[:half] / 2 + vectors[half : 2 * half] / 2).astype(np.float32)
        return np.concatenate([vectors[:half], middles])

    async def _searched(self, query: Matrix, breadth: int) -> Ranked:
        """The entries that a search of the graph finds: more than `NEAREST`, as in `_nearest`."""
        encoded = encoding.encoded(self._index, query.reshape(1, -1))[0]

        async def look(connection: Connection) -> list[Any]:
            await connection.use_type(self._names.extension, self._names.type)
            await connection.execute(statements.begin_search(self._names))
            found = await source.graph(connection, self._names, encoded, [], Best.take(NEAREST), breadth)
            await connection.execute("commit")
            return found

        found = source.as_candidates(self._index, await self.kept.database.run(look), is_all=False)
        best = Best(self._index, query, {}, 2 * NEAREST)
        await best.read(self._region, found.keys, found.sizes)
        return best.ranked()


def _recall(nearest: list[Ranked], found: list[Ranked], newer: Set[bytes]) -> float:
    """The share of the nearest entries that searches found, without entries that the table does not have yet."""
    hits = total = 0
    for wanted, got in zip(nearest, found, strict=True):
        ranks = [rank for rank, key in wanted if key not in newer][:NEAREST]
        hits += min(len(ranks), sum(rank <= ranks[-1] for rank, key in got if key not in newer)) if ranks else 0
        total += len(ranks)
    return hits / max(total, 1)


def _changed(snapshot: Snapshot, index: VectorIndex, after: int) -> set[bytes] | None:
    """The keys of the entries changed by later changes than number `after`; None if the log no longer has them all."""
    number = snapshot.number(rows.counter(index.log_space))
    if number - after > rows.SLOTS:
        return None
    return set(rows.changed(snapshot, index.space, index.log_space, after, number))


async def _nearest(region: Region, index: VectorIndex, queries: Matrix) -> list[Ranked]:
    """The entries nearest to each query, by a walk over all entries: twice `NEAREST`, because some may be newer than
    the table."""
    best: list[Ranked] = [[] for _ in queries]
    start, end = fmt.space_range(index.space)
    at: bytes | None = start
    slices = Slices()
    while at is not None:
        found, at = await region.read(lambda snapshot, at=at: scan.piece(snapshot, at, end))  # type: ignore[misc]
        for number, query in enumerate(queries) if found else ():
            ranks = codes.exact_ranks(index.distance, scan.scored(index, found, query))
            nearest = np.argsort(ranks)[: 2 * NEAREST]
            these = [(float(ranks[i]), found[i][0]) for i in nearest]
            best[number] = sorted(best[number] + these)[: 2 * NEAREST]
            await slices.pause()
    return best
