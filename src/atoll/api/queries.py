"""Query and Scan: each reads one page of a range of a table or an index."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

from atoll.api import keys
from atoll.api.binding import QUERY, SCAN, Expressions
from atoll.api.large import of_json
from atoll.api.returns import capacity_mode
from atoll.api.table_names import table_name
from atoll.aside import aside
from atoll.capacity import reading
from atoll.capacity.units import Consumed, read_units
from atoll.database import format as fmt
from atoll.database import indexes, reads
from atoll.database.reads import Page, Range
from atoll.database.region import Region
from atoll.database.rows import spliced
from atoll.database.schema import Index, KeySchema, Table
from atoll.errors import ApiError
from atoll.errors import keys as key_errors
from atoll.errors import queries as query_errors
from atoll.errors import vectors as vector_errors
from atoll.expressions.bind import KeyConditionOf
from atoll.expressions.condition import Condition, Test
from atoll.expressions.keyrange import KeyCondition
from atoll.expressions.projection import PathProjection
from atoll.model import pieces, values
from atoll.model.pieces import LONG_BYTES
from atoll.model.values import Item
from atoll.slices import Slices
from atoll.storage.engine import Planned, Snapshot

Body = dict[str, Any]
Answer = dict[str, Any]


@dataclass(slots=True)
class ReadTarget:
    """The table or index to read."""

    table: Table
    index: Index | None

    @property
    def space(self) -> int:
        return self.table.space if self.index is None else self.index.space

    @property
    def keys(self) -> KeySchema:
        return self.table.keys if self.index is None else self.index.keys

    def last_key(self, row_key: bytes) -> Item:
        """The LastEvaluatedKey of a row: the key attributes of the table and of the index."""
        if self.index is None:
            return self.table.keys.decode(row_key)
        return self.table.decode_entry_key(self.index, row_key)

    def row_key(self, key: Item) -> bytes:
        row_key = self.table.item_key(key)
        if self.index is None:
            return row_key
        entry_key = indexes.entry_key(self.index, key, row_key)
        if entry_key is None:
            raise key_errors.start_key_invalid()
        return entry_key


def target_of(
    region: Region,
    snapshot: Snapshot,
    name: str,
    body: Body,
    no_such_index: Callable[[str], ApiError] = query_errors.no_such_index,
    of_vectors: Callable[[], ApiError] = vector_errors.not_scanned,
) -> ReadTarget:
    now_ms = region.clock.now_ms()
    table = region.catalog.usable(snapshot, name, now_ms)
    index_name = body.get("IndexName")
    if index_name is None:
        return ReadTarget(table, None)
    if table.vector_index(index_name) is not None:
        raise of_vectors()
    index = table.index(index_name)
    if index is not None and index.filling_at(now_ms):
        raise query_errors.index_backfilling(index_name)
    if index is None or index.status_at(now_ms) in ("CREATING", "DELETING"):
        raise no_such_index(index_name)
    if not index.local and body.get("ConsistentRead") is True:
        raise query_errors.consistent_global_read()
    return ReadTarget(table, index)


def check_select(body: Body, *, of_query: bool = False) -> None:
    """Refuse members that contradict Select; needs no table."""
    if body.get("Select") is None:
        return
    try:
        _check_select(body)
    except ApiError as error:
        raise query_errors.of_select(error, of_query) from None


def _check_select(body: Body) -> None:
    select = body.get("Select")
    chosen = next((name for name in ("ProjectionExpression", "AttributesToGet") if body.get(name) is not None), None)
    if select == "ALL_PROJECTED_ATTRIBUTES" and body.get("IndexName") is None:
        raise query_errors.select_all_projected_without_index()
    if select is not None and select != "SPECIFIC_ATTRIBUTES" and chosen is not None:
        raise query_errors.select_with_projection(select, chosen)
    if select == "SPECIFIC_ATTRIBUTES" and chosen is None:
        raise query_errors.select_specific_without_projection()


def must_fetch(target: ReadTarget, select: str | None, projection: PathProjection | None) -> bool:
    """Whether the read needs attributes that the index lacks. A local index fetches them; a global one refuses."""
    index = target.index
    if index is None or index.projection.type == "ALL":
        return False
    if select == "ALL_ATTRIBUTES":
        if not index.local:
            raise query_errors.select_all_on_global_index(index.name)
        return True
    if projection is None:
        return False
    missing = sorted(projection.attributes - target.table.projected_names(index))
    if missing and not index.local:
        raise query_errors.not_projected(index.name, missing)
    return bool(missing)


async def query(region: Region, body: Body) -> Answer:
    late = region.settings.error_style == "2026"
    asked = _asked_query(body, late) if type(body) is dict else await aside(_asked_query, body, late)
    start, key_condition, filter_, projection = asked
    name = table_name(region, body)
    reverse, limit, select = body.get("ScanIndexForward") is False, body.get("Limit"), body.get("Select")

    def plan(snapshot: Snapshot) -> tuple[_Reading, Range]:
        target = target_of(region, snapshot, name, body, of_vectors=vector_errors.not_queried)
        schema = target.keys
        index_name = None if target.index is None else target.index.name
        condition = key_condition(schema.partition_types, schema.sort_types, index_name)
        range_ = reads.query_range(target.space, target.keys, condition)
        if start is not None:
            range_ = _restart(target, range_, start, condition, reverse)
        fetch = _must_fetch(target, select, projection, filter_, body)
        return _Reading(target, limit, fetch, reverse, start=range_.start), range_

    def finish(snapshot: Snapshot, plan: tuple[_Reading, Range]) -> tuple[_Reading, Page]:
        reading, range_ = plan
        page = reading.piece(snapshot, range_)
        if reading.target.index is None and not reading.target.keys.sort:
            page.last = None  # a single row has no next page
        return reading, page

    consistent, read = body.get("ConsistentRead") is True, Planned(plan, finish)
    reading, page = await (region.read(read) if consistent else region.read_eventually(read))
    return await _answer(region, reading, page, filter_, projection, body, "Query")


def _asked_query(body: Body, late: bool) -> tuple[Item | None, KeyConditionOf, Condition | None, PathProjection | None]:
    expressions = Expressions(body, QUERY)
    check_select(body, of_query=True)
    start = start_key(body)
    if body.get("KeyConditionExpression") is None and body.get("KeyConditions") is None:
        raise query_errors.no_key_condition()
    bound = expressions.bind(late=late)
    assert bound.key_condition is not None
    return start, bound.key_condition, bound.condition, bound.projection


def _must_fetch(
    target: ReadTarget, select: str | None, projection: PathProjection | None, filter_: Condition | None, body: Body
) -> bool:
    """Check the attributes that a Query's projection and filter use; see `must_fetch`."""
    if projection is not None:
        keys.check_scalars(target.table, projection.entered)
    if filter_ is not None:
        for name in target.keys.names:
            if name in filter_.attributes:
                raise query_errors.filter_on_key(name, legacy="QueryFilter" in body)
    fetch = must_fetch(target, select, projection)
    if filter_ is not None:
        keys.check_scalars(target.table, filter_.entered)
        if target.index is not None and target.index.projection.type != "ALL":
            missing = sorted(filter_.attributes - target.table.projected_names(target.index))
            if missing:
                raise query_errors.filter_not_projected(target.index.name, missing)
    return fetch


def _restart(target: ReadTarget, range_: Range, start: Item, condition: KeyCondition, reverse: bool) -> Range:
    keys.check_start_key(target.table, target.index, start)
    if target.index is None and not target.keys.sort:
        raise key_errors.single_row_not_restartable()
    row_key = target.row_key(start)
    if row_key not in range_:
        whole = reads.query_range(target.space, target.keys, KeyCondition(condition.partition, ()))
        raise key_errors.start_key_unlike_condition() if row_key in whole else key_errors.start_key_outside()
    return range_.after(row_key, reverse)


async def scan(region: Region, body: Body) -> Answer:
    asked = _asked_scan(body) if type(body) is dict else await aside(_asked_scan, body)
    start, (segment, total), filter_, projection = asked
    name = table_name(region, body)
    limit, select = body.get("Limit"), body.get("Select")

    def read(snapshot: Snapshot) -> tuple[_Reading, Page]:
        target = target_of(region, snapshot, name, body)
        for expression in (projection, filter_):
            if expression is not None:
                keys.check_scalars(target.table, expression.entered)
        fetch = must_fetch(target, select, projection)
        range_ = reads.segment_range(target.space, segment, total)
        if start is not None:
            keys.check_start_key(target.table, target.index, start, of_scan=True)
            row_key = target.row_key(start)
            if row_key not in range_:
                raise key_errors.start_key_outside_segment(segment, total)
            range_ = range_.after(row_key, reverse=False)
        partitions = target.table.partition_ends(target.space)
        reading = _Reading(target, limit, fetch, False, partitions, range_.start)
        return reading, reading.piece(snapshot, range_)

    consistent = body.get("ConsistentRead") is True
    reading, page = await (region.read(read) if consistent else region.read_eventually(read))
    return await _answer(region, reading, page, filter_, projection, body, "Scan")


def _asked_scan(
    body: Body,
) -> tuple[Item | None, tuple[int, int], Condition | None, PathProjection | None]:
    expressions = Expressions(body, SCAN)
    check_select(body)
    start = start_key(body)
    parts = segments(body)
    bound = expressions.bind()
    return start, parts, bound.condition, bound.projection


def segments(body: Body) -> tuple[int, int]:
    segment, total = body.get("Segment"), body.get("TotalSegments")
    if segment is None and total is None:
        return 0, 1
    if total is None:
        raise query_errors.total_segments_missing()
    if segment is None:
        raise query_errors.segment_missing()
    if segment >= total:
        raise query_errors.segment_outside(segment, total)
    return segment, total


def start_key(body: Body) -> Item | None:
    start: Item | None = body.get("ExclusiveStartKey")
    if start is not None:
        try:
            values.check_item(start)
        except ApiError as error:
            if error.code != "ValidationException" or error.bare:
                raise
            raise key_errors.start_key_invalid(error.message) from None
    return start


class _Reading(NamedTuple):
    """How the pieces of one page are read."""

    target: ReadTarget
    limit: int | None
    fetch: bool
    reverse: bool
    partitions: Sequence[bytes] | None = None
    """Where the partitions end; only for a scan."""
    start: bytes = b""
    """The start of the page's range."""

    def piece(self, snapshot: Snapshot, range_: Range, before: Page | None = None) -> Page:
        return reads.page(
            snapshot,
            self.target.table,
            self.target.index,
            range_,
            reverse=self.reverse,
            limit=self.limit,
            fetch=self.fetch,
            before=before,
            partitions=self.partitions,
        )


async def _answer(
    region: Region,
    reading: _Reading,
    page: Page,
    filter_: Condition | None,
    projection: PathProjection | None,
    body: Body,
    operation: str,
) -> Answer:
    """Read the rest of a page; filter and answer it."""
    target = reading.target
    start = reading.start
    while page.rest is not None:
        await asyncio.sleep(0)
        page.add(await region.read(partial(reading.piece, range_=page.rest, before=page)))
    counts_only = body.get("Select") == "COUNT"
    found: list[Any] = page.rows
    if projection is not None and not counts_only:
        found = await chosen(found, filter_, projection.apply, len(projection.paths))
    elif filter_ is not None:
        found = await chosen(found, filter_)
    answer: Answer = {"Count": len(found), "ScannedCount": page.scanned}
    if not counts_only:
        answer["Items"] = spliced(found) if projection is None else found
    if page.last is not None:
        answer["LastEvaluatedKey"] = target.last_key(page.last)
    charge_page(region, target, page, None if counts_only else len(found), body, answer, operation, start)
    return answer


Show = Callable[[Item], Any]


async def chosen(rows: list[bytes], filter_: Condition | None, show: Show | None = None, times: int = 0) -> list[Any]:
    """The rows that the filter keeps: their JSON, or the results of `show` on their items. `times`: how often that
    reads an item. Empties `rows`, since freeing the rows one by one delays other requests less than freeing all
    together."""
    matches = None if filter_ is None else filter_.prepare()
    times += 0 if filter_ is None else filter_.reads
    short, slices = LONG_BYTES // max(1, times), Slices()
    found: list[Any] = []
    rows.reverse()
    while rows:
        json = rows.pop()
        one = _choose(json, matches, show) if len(json) <= short else await _choose_long(json, matches, show, times)
        if one is not None:
            found.append(one)
        if slices.over:
            await slices.pause()
    return found


def _choose(json: bytes, matches: Test | None, show: Show | None) -> Any:
    item = pieces.load(json)
    if matches is not None and not matches(item):
        return None
    return json if show is None else show(item)


async def _choose_long(json: bytes, matches: Test | None, show: Show | None, times: int) -> Any:
    return await of_json(json, partial(_choose, json, matches, show), times)


def charge_page(
    region: Region,
    target: ReadTarget,
    page: Page,
    returned: int | None,
    body: Body,
    answer: Answer,
    operation: str,
    start: bytes,
) -> None:
    """Charge a page that began at the key `start`. `returned` is the number of returned items, None if they are only
    counted. Add ConsumedCapacity to the answer if the request wants it. Raises if the table or index is throttled."""
    table, index, mode = target.table, target.index, capacity_mode(body)
    of_table, of_index = _page_units(target, page, body)
    if mode is not None or table.limited or region.key_ranges is not None:
        consumed = Consumed(table, "Read", body.get("TableName") or table.name, of_table)
        if index is not None:
            consumed.add_index(index, of_index)
        if operation == "Scan":
            start = fmt.hash_only(start)  # the request named no key
        # A local index uses the capacity of its table's partitions.
        key = start if index is None or not index.local else fmt.key_in(table.space, fmt.in_space(start))
        reading.settle(region, consumed, key, whole=False)
        if mode is not None:
            answer["ConsumedCapacity"] = consumed.answer(mode)
    tally = region.meter.current = region.meter.tally(table.name, None, operation)
    tally.reads[of_table] += 1
    if index is not None:
        tally = region.meter.tally(table.name, index.name, operation)
        tally.reads[of_index] += 1
    if returned is not None:
        tally.returned(returned)


def _page_units(target: ReadTarget, page: Page, body: Body) -> tuple[float, float]:
    """Units of a page on the table and on the index, by the size examined: a scan costs at least half a unit, or
    one if consistent, in each partition that it reads. Items fetched behind a local index are charged one by one."""
    consistent = body.get("ConsistentRead") is True
    if page.partition_sizes is None:
        units = read_units(page.size, consistent=consistent)
    else:
        units = sum(read_units(size, consistent=consistent) for size in page.partition_sizes.values())
    if target.index is None:
        return units, 0.0
    return sum((read_units(size, consistent=consistent) for size in page.fetched_sizes), 0.0), units
