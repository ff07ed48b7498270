"""SearchVectors."""

from __future__ import annotations

import asyncio
import logging
import sys
from types import ModuleType
from typing import Any, NamedTuple

import orjson

from atoll import limits
from atoll.api.binding import SEARCH, Expressions
from atoll.api.returns import capacity_mode
from atoll.api.table_names import table_name
from atoll.database.region import Refused, Region
from atoll.database.schema import Table
from atoll.database.vectors import floats, rows
from atoll.database.vectors.definition import VectorIndex
from atoll.errors import ApiError
from atoll.errors import queries as query_errors
from atoll.errors import vectors as errors
from atoll.expressions.projection import PathProjection
from atoll.model import values
from atoll.model.values import AttributeValue
from atoll.slices import Slices
from atoll.storage.engine import Corrupt, Snapshot, Unavailable

_log = logging.getLogger(__name__)

Body = dict[str, Any]
Answer = dict[str, Any]

BYTES_PER_DIMENSION = 17.6


class _Asked(NamedTuple):
    of: VectorIndex
    number: int
    """The number of the index's last change."""
    numbers: list[float]
    wanted: dict[str, AttributeValue]
    """The wanted values of search schema attributes."""


async def search_vectors(region: Region, body: Body) -> Answer:
    most = body["TopK"]
    if most > limits.VECTOR_TOP_K:
        raise errors.top_k(most)
    bound = Expressions(body, SEARCH).bind()
    name, now_ms = table_name(region, body), region.clock.now_ms()

    def check(snapshot: Snapshot) -> _Asked:
        table = region.catalog.usable(snapshot, name, now_ms)
        index = _index(table, body["IndexName"], now_ms)
        numbers = _numbers(body["SearchVector"])
        if len(numbers) != index.dimensions:
            raise errors.searched_dimensions(len(numbers), index.dimensions)
        wanted = _wanted(index, bound.search)
        return _Asked(index, snapshot.number(rows.counter(index.log_space)), numbers, wanted)

    index, number, numbers, wanted = await region.read(check)
    searching = await searching_module()
    results = await searching.search(region, index, number, numbers, wanted, most)
    await region.read(lambda snapshot: _check_kept(region, snapshot, name, index))
    shown, size = await _shown(index, results, bound.projection)
    cost = float(max(limits.VECTOR_BYTES_LEAST, round(BYTES_PER_DIMENSION * index.dimensions) + size))
    region.meter.of_vectors(name, index.name, "SearchVectors").reads[cost] += 1
    region.meter.tally(name, None, "SearchVectors").returned(len(shown))
    answer: Answer = {"SearchResults": shown}
    if capacity_mode(body) is not None:
        answer["ConsumedCapacity"] = {"VectorSearchRequestBytes": cost, "VectorSearchUnits": cost}
    return answer


async def searching_module() -> ModuleType:
    """The module `vectors.searching`. Its first import takes long, so a thread does it."""
    known = sys.modules.get("atoll.vectors.searching")
    if known is not None and hasattr(known, "load"):  # otherwise a thread is importing it
        return known
    return await asyncio.to_thread(_imported)


def _imported() -> ModuleType:
    try:
        from atoll.vectors import searching
    except ModuleNotFoundError:
        raise errors.not_installed() from None
    return searching


async def load(region: Region) -> None:
    """Load all vector indexes of a region that was just opened. An index that this fails to load is loaded by its first
    search."""
    try:
        await _load(region)
    except (ApiError, Corrupt, Refused, Unavailable) as error:
        _log.warning("the vector indexes of %s are not loaded: %s", region.name, error)


async def _load(region: Region) -> None:
    def find(snapshot: Snapshot) -> list[tuple[VectorIndex, int]]:
        indexes = [index for table in region.catalog.tables(snapshot) for index in table.vector_indexes]
        ready = [index for index in indexes if index.status == "ACTIVE"]
        return [(index, snapshot.number(rows.counter(index.log_space))) for index in ready]

    found = await region.read(find)
    if found:
        searching = await searching_module()
        await searching.load(region, found)


def _index(table: Table, name: str, now_ms: int) -> VectorIndex:
    index = table.vector_index(name)
    if index is not None and index.status == "CREATING" and index.filling_at(now_ms):
        raise errors.backfilling(name)
    if index is None or index.status != "ACTIVE":
        raise query_errors.no_such_index(name)
    return index


def _check_kept(region: Region, snapshot: Snapshot, table: str, index: VectorIndex) -> None:
    """A search that met the removal of the index may have missed entries."""
    now_ms = region.clock.now_ms()
    if _index(region.catalog.usable(snapshot, table, now_ms), index.name, now_ms).space != index.space:
        raise query_errors.no_such_index(index.name)


def _numbers(vector: list[Any]) -> list[float]:
    try:
        numbers = [_number(element) for element in vector]
        floats.packed(numbers)
    except (ValueError, OverflowError):
        raise errors.searched_vector() from None
    return numbers


def _number(element: Any) -> float:
    """The content of an N, which is a decimal: Python would read "nan", "inf" and "1_000", too."""
    if type(element) is not dict or len(element) != 1 or type(text := element.get("N")) is not str:
        raise ValueError(element)
    if text.strip("0123456789+-.eE"):
        raise ValueError(text)
    return float(text)


def _wanted(index: VectorIndex, conditions: tuple[tuple[str, AttributeValue], ...] | None) -> dict[str, AttributeValue]:
    if conditions is None and index.partition is not None:
        raise errors.condition_required()
    wanted: dict[str, AttributeValue] = {}
    for name, value in conditions or ():
        if name not in index.types:
            raise errors.not_in_schema(name)
        if index.types[name] not in value:
            raise errors.condition_type(name, index.types[name], next(iter(value)))
        if wanted.setdefault(name, value) != value:
            raise errors.condition_repeated(name)
    if index.partition is not None and index.partition.name not in wanted:
        raise errors.hash_required(index.partition.name)
    return wanted


async def _shown(index: VectorIndex, results: list[Any], projection: PathProjection | None) -> tuple[list[Answer], int]:
    """The results that fit into 16 MB, and the bytes of their attributes other than vectors."""
    shown: list[Answer] = []
    size = total = 0
    slices = Slices()
    for score, vector, json in results:
        await slices.pause()
        item: Any = orjson.Fragment(json)
        if projection is not None:
            whole = orjson.loads(json)
            if index.attribute in projection.attributes:
                whole[index.attribute] = floats.shown(vector)
            item = projection.apply(whole)
            size += values.item_size({name: value for name, value in item.items() if name != index.attribute})
            total += values.item_size(item)
        else:
            size += values.item_size(orjson.loads(json))
            total = size
        if total > limits.VECTOR_RESULTS_BYTES:
            break
        shown.append({"Item": item, "Score": score})
    return shown, size
