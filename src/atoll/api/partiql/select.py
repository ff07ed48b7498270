"""SELECT: computes key ranges from the condition, and reads them page by page.

A page reads through the ranges, piece by piece, until it has examined `Limit` items or 1 MB. A NextToken holds the
number of the range and the key of the last item. It is valid for the same statement and parameters only.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cmp_to_key, lru_cache, partial
from typing import Any, NamedTuple

import orjson

from atoll import limits
from atoll.api import keys, queries
from atoll.api.large import of_json
from atoll.api.queries import ReadTarget
from atoll.aside import aside
from atoll.database import reads
from atoll.database.reads import Page, Points, Range, Rows
from atoll.database.region import Region
from atoll.database.rows import Row
from atoll.database.schema import Index
from atoll.errors import ApiError, validation
from atoll.errors import partiql as partiql_errors
from atoll.errors import queries as query_errors
from atoll.expressions import condition, tree
from atoll.expressions.condition import Condition
from atoll.expressions.keyrange import KeyCondition, NameType
from atoll.expressions.partiql import keys as partiql_keys
from atoll.expressions.partiql.keys import Access
from atoll.expressions.partiql.statements import Column, Selecting, Values
from atoll.expressions.projection import PathProjection
from atoll.model import paths
from atoll.model.comparison import compare
from atoll.model.values import AttributeValue, Item, check_item, read_json
from atoll.storage.engine import Snapshot

program = lru_cache(512)(condition.program)
"""The nesting levels of a condition's tree."""


PIECE_RANGES = 100


class Position(NamedTuple):
    part: int
    key: Item | None
    """The key of the last item read in this range; None at its start."""


@dataclass(slots=True)
class _Progress:
    """The range that a page reads next."""

    part: int
    range_: Range
    within: Page
    """The rows that the page already has of this range."""


@dataclass(slots=True)
class Selected:
    """A SELECT on its table or index, and the rows read for it."""

    target: ReadTarget
    columns: tuple[Column, ...] | None
    """The columns of the answer; None means all attributes."""
    filter_: Condition | None
    fetch: bool
    ranges: list[Range]
    reverse: bool
    limit: int | None
    partitions: Sequence[bytes] | None = None
    """Where the partitions end; only for a scan."""
    has_points: bool = False
    """Whether each range is a single item."""
    page: Page = field(default_factory=Page)
    """The sum over all ranges."""
    position: Position | None = None
    """The position for the next page; None at the end."""
    progress: _Progress | None = None
    """None when the page is complete."""

    def piece(self, snapshot: Snapshot) -> tuple[Page, _Progress | None, Position | None]:
        """Read the next piece of the page."""
        at = self.progress
        assert at is not None
        found, within, range_ = Page(), at.within, at.range_
        end = min(len(self.ranges), at.part + PIECE_RANGES)
        rows: Rows = snapshot
        if self.has_points and snapshot.is_remote:
            rows = Points(snapshot, self.ranges[at.part : end])
        for part in range(at.part, end):
            if part > at.part:
                within, range_ = Page(), self.ranges[part]
            scanned = self.page.scanned + found.scanned - within.scanned
            page = reads.page(
                rows,
                self.target.table,
                self.target.index,
                range_,
                reverse=self.reverse,
                limit=None if self.limit is None else self.limit - scanned,
                fetch=self.fetch,
                before=within,
                partitions=self.partitions,
            )
            found.add(page)
            if page.rest is not None:
                whole = Page()
                whole.add(within)
                whole.add(page)
                return found, _Progress(part, page.rest, whole), None
            if page.last is not None:
                return found, None, Position(part, self.target.last_key(page.last))
            if self.page.size + found.size >= limits.PAGE_BYTES and part + 1 < len(self.ranges):
                return found, None, Position(part + 1, None)
        return found, _Progress(end, self.ranges[end], Page()) if end < len(self.ranges) else None, None

    def add(self, page: Page, progress: _Progress | None, position: Position | None) -> None:
        self.page.add(page)
        self.progress, self.position = progress, position


def select(
    snapshot: Snapshot,
    target: ReadTarget,
    selecting: Selecting,
    values: Values,
    position: Position | None,
    limit: int | None,
) -> Selected:
    """Find the ranges of a SELECT, and read the first piece of its page."""
    check_index(target.index)
    if selecting.fault is not None:
        raise validation(selecting.fault)
    access = partiql_keys.access(
        selecting.where,
        key_attributes(target.keys.partition),
        key_attributes(target.keys.sort),
        values,
        ordered=bool(selecting.order),
    )
    check_columns(selecting.columns, target.keys.names)
    filter_ = None if access.exact or selecting.where is None else program(selecting.where).with_values(values)
    fetch = _must_fetch(target, selecting.columns)
    if filter_ is not None and target.index is not None:
        filter_ = _filter_of_index(target, target.index, selecting.where, filter_)
    ranges, reverse = _ranges(target, access, selecting.order)
    partitions = target.table.partition_ends(target.space) if access.partitions is None else None
    has_points = target.index is None and len(ranges) > 1 and _is_whole_key(target, access)
    found = Selected(target, selecting.columns, filter_, fetch, ranges, reverse, limit, partitions, has_points)
    first = position.part if position is not None else 0
    if first < len(ranges):
        range_ = ranges[first]
        if position is not None and position.key is not None:
            range_ = range_.after(_row_key(target, position.key, range_), reverse)
        found.progress = _Progress(first, range_, Page())
        found.add(*found.piece(snapshot))
    return found


def check_index(index: Index | None) -> None:
    if index is not None and (len(index.keys.partition) > 1 or len(index.keys.sort) > 1):
        raise partiql_errors.index_of_several_attributes()


def key_attributes(attributes: Any) -> list[NameType]:
    return [(attribute.name, attribute.type) for attribute in attributes]


def check_columns(columns: tuple[Column, ...] | None, key_names: tuple[str, ...]) -> None:
    partiql_keys.check_paths((column.path for column in columns or ()), key_names)


def _must_fetch(target: ReadTarget, columns: tuple[Column, ...] | None) -> bool:
    attributes = frozenset(str(column.path[0]) for column in columns or ())
    return queries.must_fetch(target, None, PathProjection((), attributes, frozenset(), dict))


def _filter_of_index(
    target: ReadTarget, index: Index, where: tree.ConditionNode | None, filter_: Condition
) -> Condition:
    """The filter of a read of an index that lacks attributes of the condition. If the condition uses the index's key,
    such attributes are refused. Otherwise the filter sees them as missing, even if items are fetched for their
    columns."""
    if index.projection.type == "ALL":
        return filter_
    missing = sorted(filter_.attributes - target.table.projected_names(index))
    if not missing:
        return filter_
    if any(partiql_keys.is_key_demanded(where, attribute.name) for attribute in index.keys.partition):
        raise query_errors.filter_not_projected(index.name, missing)
    assert where is not None
    return program(tree.resolve(where, dict.fromkeys(missing, _ABSENT))).with_values(filter_.values)


_ABSENT = ""
"""No attribute has this name."""


# Ranges


def _ranges(target: ReadTarget, access: Access, order: tuple[tuple[str, bool], ...]) -> tuple[list[Range], bool]:
    """The ranges in the order of the answer, and whether to read each backwards. A scan orders within partitions
    only."""
    partition, *_ = target.keys.partition
    directions = dict(reversed(order))
    for name, _ in order:
        if name not in target.keys.names:
            raise partiql_errors.order_attribute(name)
    reverse = any(directions.get(attribute.name, False) for attribute in target.keys.sort)
    if access.partitions is None:
        return [reads.segment_range(target.space, 0, 1)], reverse
    sort = _narrowest(target, access.partitions, access.sort)
    if partition.name not in directions:
        return sorted((_range(target, p, sort) for p in access.partitions), key=_start_of), reverse
    ordered = sorted(access.partitions, key=_BY_VALUE, reverse=directions[partition.name])
    return [_range(target, p, sort) for p in ordered], reverse


def _narrowest(
    target: ReadTarget, partitions: Sequence[tuple[AttributeValue, ...]], sort: tuple[KeyCondition, ...]
) -> tuple[KeyCondition, ...]:
    """The two conditions that leave the least of a partition. They are the same ones in every partition."""
    if len(sort) <= 2 or not partitions:
        return sort
    ranges = [(_range(target, partitions[0], (one,)), one) for one in sort]
    return max(ranges, key=lambda pair: pair[0].start)[1], min(ranges, key=lambda pair: pair[0].end)[1]


def _is_whole_key(target: ReadTarget, access: Access) -> bool:
    """Whether each range of the access is one primary key."""
    sort = len(target.keys.sort)
    equal = [one for one in access.sort if one.operator is None and len(one.sort) == sort]
    return access.partitions is not None and (not sort or bool(equal))


def _start_of(range_: Range) -> bytes:
    return range_.start


_BY_VALUE = cmp_to_key(
    lambda a, b: compare(a[0], b[0]) or 0  # type: ignore[index] # tuples of values of one type
)


def _range(target: ReadTarget, partition: tuple[AttributeValue, ...], sort: tuple[KeyCondition, ...]) -> Range:
    conditions = [replace(narrowing, partition=partition) for narrowing in sort] or [KeyCondition(partition, ())]
    ranges = [reads.query_range(target.space, target.keys, one) for one in conditions]
    start, end = max(range_.start for range_ in ranges), min(range_.end for range_ in ranges)
    return Range(start, max(start, end))


def _row_key(target: ReadTarget, key: Item, range_: Range) -> bytes:
    """The row key of the token's last item."""
    try:
        keys.check_start_key(target.table, target.index, key)
        row_key = target.row_key(key)
    except ApiError:
        raise partiql_errors.next_token_invalid() from None
    if row_key not in range_:
        raise partiql_errors.next_token_invalid()
    return row_key


# Answers


async def complete(region: Region, found: Selected, is_large: bool) -> list[Any]:
    """Read the rest of the page; return its rows as in the answer. `is_large`: whether the request has many values."""
    while found.progress is not None:
        await asyncio.sleep(0)
        found.add(*await region.read(found.piece))
    if found.filter_ is not None and is_large:
        await aside(found.filter_.prepare_once)
    rows = found.page.rows
    if found.columns is not None:
        return await queries.chosen(rows, found.filter_, partial(_shown, found.columns), len(found.columns))
    if found.filter_ is not None:
        rows = await queries.chosen(rows, found.filter_)
    return [orjson.Fragment(json) for json in rows]


def _shown(columns: tuple[Column, ...], item: Item) -> Item:
    """A row in the answer: each column is named by the last step of its path."""
    return {name: value for name, path in columns if (value := paths.get(item, path)) is not None}


async def projected(columns: tuple[Column, ...] | None, row: Row) -> Any:
    """A row in the answer of a batch or transaction: each column keeps its place, as in a projection expression."""
    if columns is None:
        return row.fragment
    wanted = [column.path for column in columns]
    return await of_json(row.json, lambda: paths.project(row.item, wanted), len(wanted))


def next_token(position: Position, fingerprint: str) -> str:
    return base64.b64encode(orjson.dumps({"of": fingerprint, "part": position.part, "key": position.key})).decode()


def position_of(token: str, fingerprint: str) -> Position:
    try:
        stored = orjson.loads(base64.b64decode(token, validate=True))
        of, position = stored["of"], Position(stored["part"], stored["key"])
        if not isinstance(position.part, int) or position.part < 0:
            raise ValueError(position.part)
        if position.key is not None:
            read_json(position.key)
            check_item(position.key)
    except (binascii.Error, ValueError, KeyError, TypeError, ApiError):
        raise partiql_errors.next_token_invalid() from None
    if of != fingerprint:
        raise partiql_errors.next_token_of_other()
    return position
