"""Find the nearest entries by a scan of all of them, or of those with one partition value."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from typing import TypeVar

import numpy as np
import orjson

from atoll.database import format as fmt
from atoll.database.region import Region
from atoll.database.vectors import rows
from atoll.database.vectors.definition import VectorIndex
from atoll.model import keycode
from atoll.model.values import AttributeValue
from atoll.storage.engine import Snapshot
from atoll.vectors import codes, distances
from atoll.vectors.distances import Matrix, Scores

PIECE_BYTES = 512 * 1024
"""About how many bytes are read from one snapshot."""
PIECE_ROWS = 256
READ_ENTRIES = 16
"""How many entries of unknown size are read at once: 6 MB at most."""

T = TypeVar("T")

Conditions = dict[str, AttributeValue]
"""The values that a search requires of attributes of the search schema."""
Entry = tuple[bytes, bytes]
"""An entry's key and row."""


def entries_range(index: VectorIndex, wanted: Conditions) -> tuple[bytes, bytes]:
    """The keys that a search must read: those with its partition value, or all if the index has no partition."""
    if index.keys is None or index.partition is None:
        return fmt.space_range(index.space)
    item = {index.partition.name: wanted[index.partition.name]}
    prefix = fmt.space_prefix(index.space) + index.keys.encode_partition(item)
    return prefix, keycode.successor(prefix)


def piece(snapshot: Snapshot, start: bytes, end: bytes) -> tuple[list[Entry], bytes | None]:
    """The next entries, and the key to continue from."""
    found: list[Entry] = []
    size = 0
    for key, row in snapshot.scan(start, end, limit=PIECE_ROWS):
        found.append((key, row))
        size += len(row)
        if size > PIECE_BYTES:
            break
    is_last = len(found) < PIECE_ROWS and size <= PIECE_BYTES
    return found, None if is_last else found[-1][0] + b"\0"


def parts(these: list[T], sizes: list[int]) -> Iterator[list[T]]:
    """Split a list into parts that are about as large as a piece."""
    part: list[T] = []
    left = PIECE_BYTES
    for one, size in zip(these, sizes, strict=True):
        part.append(one)
        left -= size
        if left <= 0:
            yield part
            part, left = [], PIECE_BYTES
    if part:
        yield part


def fitting(index: VectorIndex, found: list[Entry], wanted: Conditions) -> list[Entry]:
    """The entries that match the search's filters."""
    filters = {element.name: wanted[element.name] for element in index.filters if element.name in wanted}
    return [entry for entry in found if _fits(index, entry, filters)] if filters else found


def _fits(index: VectorIndex, entry: Entry, filters: Conditions) -> bool:
    item = orjson.loads(rows.parse_entry(entry[1], index.dimensions)[1])
    return all(item.get(name) == value for name, value in filters.items())


def vectors(index: VectorIndex, found: Sequence[Entry]) -> Matrix:
    end = rows.VECTOR + 4 * index.dimensions
    return distances.matrix([row[rows.VECTOR : end] for _, row in found], index.dimensions)


def scored(index: VectorIndex, found: list[Entry], query: Matrix) -> Scores:
    return distances.scores(index.distance, vectors(index, found), query)


async def nearest(region: Region, index: VectorIndex, query: Matrix, wanted: Conditions, most: int) -> list[bytes]:
    """The keys of the `most` nearest entries, in no order."""
    start, end = entries_range(index, wanted)
    keys: list[bytes] = []
    ranks = np.empty(0)
    begin: bytes | None = start
    while begin is not None:
        found, begin = await region.read(lambda snapshot, begin=begin: piece(snapshot, begin, end))  # type: ignore[misc]
        found = fitting(index, found, wanted)
        if found:
            keys += [key for key, _ in found]
            ranks = np.concatenate([ranks, codes.exact_ranks(index.distance, scored(index, found, query))])
        if len(keys) > most:
            best = np.argpartition(ranks, most)[:most]
            keys, ranks = [keys[i] for i in best], ranks[best]
        await asyncio.sleep(0)
    return keys
