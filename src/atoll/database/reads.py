"""Read items by key, and pages of ranges for Query and Scan.

A page ends after `limit` rows, or before its rows would exceed 1 MB; both count examined rows, before any filter. A
page of many small rows takes long to read, so `page` reads only a piece; the caller reads the rest in later snapshots.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from atoll import limits
from atoll.database import format as fmt
from atoll.database import rows as item_rows
from atoll.database.rows import Row
from atoll.database.schema import HASHES, Index, KeySchema, Table
from atoll.expressions.keyrange import KeyCondition
from atoll.model import keycode
from atoll.storage.engine import Snapshot


@dataclass(slots=True)
class Range:
    """Row keys start <= key < end of one space."""

    start: bytes
    end: bytes

    def after(self, key: bytes, reverse: bool) -> Range:
        """The rest of the range after `key`."""
        return Range(self.start, min(self.end, key)) if reverse else Range(max(self.start, key + b"\0"), self.end)

    def __contains__(self, key: bytes) -> bool:
        return self.start <= key < self.end


PIECE_ROWS = 1_000
PIECE_FETCHED_ROWS = 32


@dataclass(slots=True)
class Page:
    """A page, or a piece of it."""

    rows: list[bytes] = field(default_factory=list)
    """The JSON of its items, with the attributes that the table or index has."""
    scanned: int = 0
    size: int = 0
    """Bytes examined."""
    reached: bytes | None = None
    """The key of the last row read; None if there is none."""
    last: bytes | None = None
    """The same key if the page ended before the range; the next page starts after it. Otherwise None."""
    rest: Range | None = None
    """The part of the range that the page still has to read; None at its end."""
    partition_sizes: dict[int, int] | None = None
    """The bytes examined in each partition, also zeros, if the page was read with `partitions`."""
    fetched_sizes: Sequence[int] = ()
    """Sizes of the items that had to be fetched from the table, for attributes a local index does not project."""

    def add(self, piece: Page) -> None:
        """Add the next piece."""
        self.rows += piece.rows
        self.scanned += piece.scanned
        self.size += piece.size
        self.fetched_sizes = (*self.fetched_sizes, *piece.fetched_sizes)
        if piece.partition_sizes is not None:
            mine = self.partition_sizes = self.partition_sizes or {}
            for partition, size in piece.partition_sizes.items():
                mine[partition] = mine.get(partition, 0) + size
        self.reached = piece.reached or self.reached
        self.last, self.rest = piece.last, piece.rest


def get(snapshot: Snapshot, row_key: bytes) -> Row | None:
    stored = snapshot.get(row_key)
    return Row(stored) if stored is not None else None


class Rows(Protocol):
    """The part of a `Snapshot` that `page` needs."""

    def get_many(self, keys: Sequence[bytes]) -> list[bytes | None]: ...

    def scan(
        self, start: bytes, end: bytes, *, reverse: bool = False, limit: int | None = None
    ) -> Iterator[tuple[bytes, bytes]]: ...


class Points:
    """Ranges of at most one row each, whose key is the start of the range. Their rows are read together."""

    def __init__(self, snapshot: Snapshot, ranges: Sequence[Range]) -> None:
        self.get_many = snapshot.get_many
        keys = [range_.start for range_ in ranges]
        self._rows = dict(zip(keys, snapshot.get_many(keys), strict=True))

    def scan(
        self, start: bytes, end: bytes, *, reverse: bool = False, limit: int | None = None
    ) -> Iterator[tuple[bytes, bytes]]:
        row = self._rows.get(start) if start < end and limit != 0 else None
        return iter(()) if row is None else iter([(start, row)])


def get_many(snapshot: Rows, row_keys: list[bytes]) -> list[Row | None]:
    return [Row(stored) if stored is not None else None for stored in snapshot.get_many(row_keys)]


def size_of(row: Row | None) -> int:
    return 0 if row is None else row.size


def query_range(space: int, keys: KeySchema, condition: KeyCondition) -> Range:
    """The range of rows that match a key condition."""
    item = {a.name: v for a, v in zip(keys.partition, condition.partition, strict=True)}
    prefix = fmt.space_prefix(space) + keys.encode_partition(item)
    for attribute, value in zip(keys.sort, condition.sort, strict=False):
        prefix += keycode.encoder(attribute.type)(value[attribute.type])
    if condition.operator is None:
        return Range(prefix, keycode.successor(prefix))
    type_ = keys.sort[len(condition.sort)].type
    encode = keycode.encoder(type_)
    bounds = [prefix + encode(operand[type_]) for operand in condition.operands]
    match condition.operator:
        case "<":
            return Range(prefix, bounds[0])
        case "<=":
            return Range(prefix, keycode.successor(bounds[0]))
        case ">":
            return Range(keycode.successor(bounds[0]), keycode.successor(prefix))
        case ">=":
            return Range(bounds[0], keycode.successor(prefix))
        case "BETWEEN":
            return Range(bounds[0], keycode.successor(bounds[1]))
        case "begins_with":
            start = prefix + keycode.prefix_encoder(type_)(condition.operands[0][type_])
            return Range(start, keycode.successor(start))
    raise AssertionError(condition.operator)


def segment_range(space: int, segment: int, total: int) -> Range:
    """One segment of a parallel scan: an equal part of the hashes."""
    first, end = HASHES * segment // total, HASHES * (segment + 1) // total
    return Range(
        fmt.hash_start(space, first), fmt.hash_start(space, end) if end < HASHES else fmt.space_range(space)[1]
    )


def page(
    snapshot: Rows,
    table: Table,
    index: Index | None,
    range_: Range,
    *,
    reverse: bool = False,
    limit: int | None = None,
    fetch: bool = False,
    before: Page | None = None,
    partitions: Sequence[bytes] | None = None,
) -> Page:
    """Read the next piece of a page from the range's start (its end, if `reverse`). `before` is the part of the page
    that was already read. With `fetch`, read whole items behind a local index; a page with more than 1 MB of these ends
    early. `partitions` are the ends of partitions, in order; the page then has the bytes read of each."""
    if before is None:
        before = _NOTHING
    left = None if limit is None else limit - before.scanned
    most = PIECE_FETCHED_ROWS if fetch else PIECE_ROWS
    if left is not None and left < most:
        most = left
    read_size, at = item_rows.read_size, item_rows.ITEM_SIZE if index is None else item_rows.ENTRY_SIZE
    examined: list[tuple[bytes, bytes]] = []
    size, bound = 0, limits.PAGE_BYTES - before.size
    last = rest = None
    for row in snapshot.scan(range_.start, range_.end, reverse=reverse, limit=most):
        (row_size,) = read_size(row[1], at)
        size += row_size
        if size > bound and (examined or before.scanned):
            size -= row_size
            last = examined[-1][0] if examined else before.reached
            break
        examined.append(row)
    else:
        if len(examined) == left:
            last = examined[-1][0]
        elif len(examined) == most:
            rest = range_.after(examined[-1][0], reverse)
    reached = examined[-1][0] if examined else None
    rows = item_rows.items_json(examined) if index is None else item_rows.entries_json(examined)
    found = Page(rows, len(examined), size, reached, last, rest)
    if partitions is not None:
        found.partition_sizes = _partition_sizes(partitions, range_, reverse, found, examined, at)
    if fetch and index is not None:
        whole = get_many(snapshot, [table.item_key(table.decode_entry_key(index, key)) for key, _ in examined])
        found.rows = [row.json for row in whole if row is not None]
        found.fetched_sizes = [row.size for row in whole if row is not None]
        if rest is not None and sum(before.fetched_sizes) + sum(found.fetched_sizes) > limits.PAGE_BYTES:
            found.last, found.rest = reached, None
    return found


def _partition_sizes(
    partitions: Sequence[bytes],
    range_: Range,
    reverse: bool,
    found: Page,
    examined: list[tuple[bytes, bytes]],
    at: int,
) -> dict[int, int]:
    """The bytes of each partition of a range, or of its part to the last row that was read."""
    first, end = bisect_right(partitions, range_.start), bisect_left(partitions, range_.end)
    if found.last is not None or found.rest is not None:
        reached = bisect_right(partitions, found.reached) if found.reached else end if reverse else first
        first, end = (reached, end) if reverse else (first, reached)
    if first == end:
        return {first: found.size}
    sizes = dict.fromkeys(range(first, end + 1), 0)
    for key, stored in examined:
        sizes[bisect_right(partitions, key)] += item_rows.read_size(stored, at)[0]
    return sizes


_NOTHING = Page()
