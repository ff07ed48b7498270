"""Check the catalog: each row is readable, and the definitions agree with each other.

A server runs `check_quickly` when it starts after an unclean end. It reads only the definitions, so it takes well under
a second, however many items there are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

from atoll.check import findings as on
from atoll.check import log
from atoll.check.findings import Context, Finding, Fix
from atoll.check.spaces import ITEMS, TOMBSTONES, Owner, Spaces, parsed, read, shards_of
from atoll.database import documents
from atoll.database import format as fmt
from atoll.database.garbage import Garbage
from atoll.database.links import Link
from atoll.database.records import dump
from atoll.database.schema import Shard, Table
from atoll.database.streams import StreamDescription
from atoll.database.tokens import Token
from atoll.storage.engine import Corrupt, Snapshot
from atoll.triggers.batches import Lane
from atoll.triggers.mapping import Mapping

UUID_CHARS = 36

# The kinds of rows: their letter, their record, and whether a record belongs at a key.
_DEFINITIONS: tuple[tuple[bytes, type[Any], Callable[[Any, bytes], bool]], ...] = (
    (b"T", Table, lambda table, key: fmt.table_key(table.name) == key),
    (b"S", StreamDescription, lambda stream, key: bool(stream.key == key)),
    (b"H", Shard, lambda shard, key: fmt.shard_key(fmt.parse_shard_key(key)[0], shard.number) == key),
    (b"G", Garbage, lambda garbage, key: fmt.garbage_key(garbage.space) == key),
    (b"M", Mapping, lambda mapping, key: fmt.mapping_key(mapping.uuid) == key),
)
_OTHERS: tuple[tuple[bytes, type[Any], Callable[[Any, bytes], bool]], ...] = (
    (b"X", Token, lambda token, key: True),
    (b"P", Lane, lambda lane, key: len(fmt.parse_lane_key(key)[0]) == UUID_CHARS),
    (b"L", Link, lambda link, key: fmt.parse_link_key(key)[1] != ""),
)
_LETTERS = frozenset([*(row[0] for row in (*_DEFINITIONS, *_OTHERS)), b"A", b"B", b"C", b"D", b"J", b"N", b"V"])

_IRREPLACEABLE = frozenset([b"T"])
"""A table's definition cannot be derived, and without it all items of the table are lost: a repair keeps the row."""


def check(snapshot: Snapshot, context: Context) -> Iterator[Finding]:
    spaces = Spaces(snapshot, is_complete=context.is_complete)
    yield from _check_rows(snapshot, spaces, (*_DEFINITIONS, *_OTHERS))
    yield from _check_letters(snapshot)
    yield from _check_definitions(snapshot, spaces)
    yield from _check_progress(snapshot, spaces)
    yield from _check_lanes(snapshot)
    yield from _check_links(snapshot, spaces)
    for key in documents.unreadable(snapshot):
        names = "/".join(fmt.parse_document_key(key))
        yield Finding(on.CATALOG, None, names, "the document is unreadable", (on.delete(key),), is_loss=True)


def check_quickly(snapshot: Snapshot) -> Iterator[Finding]:
    try:
        spaces = Spaces(snapshot)
        yield from _check_rows(snapshot, spaces, _DEFINITIONS)
        yield from _check_definitions(snapshot, spaces)
        yield from _check_that_counters_exist(snapshot, spaces)
    except Corrupt as error:
        yield Finding(on.CHECKSUM, None, None, str(error))


def _check_rows(snapshot: Snapshot, spaces: Spaces, kinds: Any) -> Iterator[Finding]:
    for letter, cls, belongs in kinds:
        for key, record in parsed(snapshot, fmt.rows_of(letter), cls):
            if record is None or not belongs(record, key):
                table, shown, name = spaces.describe(key)
                text = f"the {name} is unreadable" if record is None else f"the {name} is not that of its key"
                fixes = () if letter in _IRREPLACEABLE else (on.delete(key),)
                yield Finding(on.CATALOG, table, shown, text, fixes, is_loss=True)


def _check_letters(snapshot: Snapshot) -> Iterator[Finding]:
    """Find rows of no known kind; reads only the gaps between the known letters."""
    first, after = fmt.space_range(0)
    known = [fmt.rows_of(letter) for letter in sorted(_LETTERS)]
    starts, ends = [first, *(end for _, end in known)], [*(start for start, _ in known), after]
    for start, end in zip(starts, ends, strict=True):
        for key, _ in snapshot.scan(start, end):
            yield Finding(on.ORPHAN, None, key.hex(), "a row of the catalog is of no known kind", (on.delete(key),))


def _check_definitions(snapshot: Snapshot, spaces: Spaces) -> Iterator[Finding]:
    greatest = 0
    for space, one, other in spaces.contested:
        yield Finding(on.CATALOG, _name(one), None, f"the space {space} belongs to {_name(one)} and to {_name(other)}")
    for table in spaces.tables.values():
        yield from log.check_shards(snapshot, table)
        yield from _check_stream(snapshot, table)
    for _, stream in parsed(snapshot, fmt.STREAMS, StreamDescription):
        if stream is not None and stream.disabled_ms is None:
            yield from _check_enabled(stream, spaces)
    for key, shard in parsed(snapshot, fmt.SHARDS, Shard):
        log_space = fmt.parse_shard_key(key)[0]
        greatest = max(greatest, log_space)
        if shard is not None and shard.last_sequence is None and log_space not in spaces.tables:
            text = "a shard is open, but its table is deleted"
            fixes = spaces.if_complete(on.delete(key))
            yield Finding(on.SHARD, None, {"shard": shard.number, "log": log_space}, text, fixes)
    greatest = max((greatest, *spaces.owners))
    if snapshot.number(fmt.SPACES) < greatest:
        text = f"the counter of spaces says {snapshot.number(fmt.SPACES)}, but space {greatest} is in use"
        yield Finding(on.COUNTER, None, "spaces", text, (on.set_number(fmt.SPACES, greatest),))
    if spaces.tables and snapshot.number(fmt.GENERATION) < 1:
        fix = on.set_number(fmt.GENERATION, len(spaces.tables))
        yield Finding(on.COUNTER, None, "generation", "the catalog has tables, but no generation", (fix,))


def _name(owner: Owner) -> str:
    return "a discarded table" if owner.table is None else owner.table.name


def _check_stream(snapshot: Snapshot, table: Table) -> Iterator[Finding]:
    """Check the row of an enabled stream. It can be derived from the table: its label is the time at which it began."""
    if table.stream is None or not table.stream.enabled:
        return
    key = fmt.stream_key(table.name, table.stream.label)
    stored = snapshot.get(key)
    stream: StreamDescription | None = None if stored is None else read(StreamDescription, stored)
    if stream is not None and stream.log_space == table.log_space and stream.disabled_ms is None:
        return
    text = "the enabled stream of the table has no row, or one that contradicts the table"
    yield Finding(on.CATALOG, table.name, table.stream.label, text, _stream_fix(snapshot, table, key))


def _stream_fix(snapshot: Snapshot, table: Table, key: bytes) -> tuple[Fix, ...]:
    assert table.stream is not None
    created_ms = stream_began_ms(table.stream.label)
    if created_ms is None:
        return ()
    numbers = [shard.number for shard in table.shards]
    numbers += [
        s.number for _, s in shards_of(snapshot, table.log_space) if s is not None and s.opened_ms >= created_ms
    ]
    made = StreamDescription(
        table=table.name,
        label=table.stream.label,
        view_type=table.stream.view_type,
        table_id=table.id,
        keys=table.keys,
        log_space=table.log_space,
        created_ms=created_ms,
        due_ms=created_ms,
        first_shard=min(numbers),
    )
    return (on.put(key, dump(made)),)


def stream_began_ms(label: str) -> int | None:
    try:
        return round(datetime.fromisoformat(label).replace(tzinfo=UTC).timestamp() * 1000)
    except ValueError:
        return None


def _check_enabled(stream: StreamDescription, spaces: Spaces) -> Iterator[Finding]:
    table = spaces.tables.get(stream.log_space)
    current = None if table is None or table.name != stream.table else table.stream
    if current is None or current.label != stream.label or not current.enabled:
        text = "a stream has no end, but its table does not have it"
        yield Finding(on.CATALOG, stream.table, stream.label, text, spaces.if_complete(on.delete(stream.key)))


def _check_that_counters_exist(snapshot: Snapshot, spaces: Spaces) -> Iterator[Finding]:
    """Check that a table or index has rows if and only if its counters are not 0."""
    for space, owner in spaces.owners.items():
        if owner.table is None or owner.role not in ("items", "index"):
            continue
        has_rows = snapshot.first([fmt.space_range(space)])[0] is not None
        rows, size = snapshot.tally(fmt.count_counter(space)), snapshot.tally(fmt.bytes_counter(space))
        if (rows > 0) != has_rows or (size > 0) != has_rows or rows < 0:
            name = f"the table {owner.table.name}" if owner.index is None else f"the index {owner.index.name}"
            text = f"the counters of {name} say {rows} rows and {size} bytes, but it has {'some' if has_rows else 'no'}"
            yield Finding(on.COUNTER, owner.table.name, None, f"{text} rows")


def _check_progress(snapshot: Snapshot, spaces: Spaces) -> Iterator[Finding]:
    """Find progress rows of backfills that do not run."""
    for key, stored in snapshot.scan(*fmt.BACKFILLS):
        space = fmt.parse_backfill_key(key)
        owner = spaces.owners.get(space)
        table = None if owner is None else owner.table
        if owner is None or table is None or owner.role not in ("index", "expiry", TOMBSTONES):
            text = "the progress of a backfill that does not run"
            yield Finding(on.ORPHAN, None, key.hex(), text, spaces.if_complete(on.delete(key)))
        elif not stored.startswith(fmt.space_prefix(space) if owner.role == TOMBSTONES else table.prefix):
            text = "the progress of a backfill is unreadable"
            yield Finding(on.CATALOG, table.name, key.hex(), text, (on.delete(key),))


def _check_lanes(snapshot: Snapshot) -> Iterator[Finding]:
    mapping, exists = "", False
    for key, _ in snapshot.scan(*fmt.LANES):
        uuid, _, _ = fmt.parse_lane_key(key)
        if uuid != mapping:
            mapping, exists = uuid, snapshot.get(fmt.mapping_key(uuid)) is not None
        if not exists:
            text = "the progress of an event source mapping that does not exist"
            yield Finding(on.ORPHAN, None, uuid, text, (on.delete(key),))


def _check_links(snapshot: Snapshot, spaces: Spaces) -> Iterator[Finding]:
    """Find links of tables that are no replicas."""
    for key, _ in snapshot.scan(*fmt.LINKS):
        owner = spaces.owners.get(fmt.parse_link_key(key)[0])
        table = None if owner is None else owner.table
        if owner is None or table is None or table.group is None or owner.role != ITEMS:
            text = "a link to another region belongs to no replica"
            yield Finding(on.ORPHAN, None, key.hex(), text, spaces.if_complete(on.delete(key)))
