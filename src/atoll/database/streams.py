"""Streams: a client's view of a change log, for a limited time.

Enabling begins a stream with a fixed label and view type; disabling ends it for good. Both replace all shards of the
table by children (see `log.shards`). So a stream is a run of shard numbers of one log, first_shard <= number <
end_shard, and no change is in two streams. A stream stays readable after its table is deleted: its own row and its
shards' rows hold everything that readers need. A day after a stream ended, `maintenance.trim` deletes its row.

A stream shows the changes of the last 24 hours (`StreamDescription.scope`). The log may keep more for other readers.

A shard id is `shardId-`, the shard's opening time in milliseconds in 20 digits, and its number in 8 hexadecimal digits,
so ids sort in the order of opening. A change's SequenceNumber has 22 digits: 10^14 plus its number in the shard, then 7
digits of the shard's number. So SequenceNumbers are unique in a stream, grow within a shard, and are greater in a child
than in its parent.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import lru_cache
from hashlib import md5
from typing import Any

import orjson

from atoll import limits
from atoll.database import due
from atoll.database import format as fmt
from atoll.database.log import cursor, shards
from atoll.database.log.cursor import Scope
from atoll.database.log.rows import ChangeRow
from atoll.database.records import dump, load
from atoll.database.region import Region
from atoll.database.schema import NEW_VIEWS, OLD_VIEWS, KeySchema, Shard, Stream, Table
from atoll.errors import streams as stream_errors
from atoll.storage.engine import Snapshot, Transaction

EXPIRED_BY_SERVICE = {"type": "Service", "principalId": "dynamodb.amazonaws.com"}
"""The user identity in records of TTL deletions."""


@dataclass(frozen=True)
class StreamDescription:
    table: str
    label: str
    view_type: str
    table_id: str
    keys: KeySchema
    log_space: int
    created_ms: int
    due_ms: int
    """The time until which it is ENABLING or DISABLING."""
    first_shard: int
    end_shard: int | None = None
    disabled_ms: int | None = None
    tags: tuple[tuple[str, str], ...] = ()

    def status_at(self, now_ms: int) -> str:
        if self.disabled_ms is None:
            return "ENABLED" if now_ms >= self.due_ms else "ENABLING"
        return "DISABLED" if now_ms >= self.due_ms else "DISABLING"

    def gone_at(self, now_ms: int) -> bool:
        return self.disabled_ms is not None and now_ms >= self.disabled_ms + limits.STREAM_RETENTION_MS

    def has(self, shard_number: int) -> bool:
        return self.first_shard <= shard_number and (self.end_shard is None or shard_number < self.end_shard)

    def scope(self, now_ms: int) -> Scope:
        """The part of the log that the stream shows: its own shards, for 24 hours, even if the log keeps more."""
        return Scope(self.log_space, self.first_shard, self.end_shard, now_ms - limits.STREAM_RETENTION_MS)

    @property
    def key(self) -> bytes:
        return fmt.stream_key(self.table, self.label)


@lru_cache(maxsize=1024)
def parse(stored: bytes) -> StreamDescription:
    description: StreamDescription = load(StreamDescription, stored)
    return description


# Beginning and ending streams. Each function returns the table to save.


def enable(tx: Transaction, region: Region, table: Table, view_type: str, now_ms: int) -> Table:
    """Begin a stream; the table must not have an enabled one."""
    untouched = shards.next_number(table) == len(table.shards) and not any(
        tx.number(fmt.sequence_counter(table.log_space, shard.number)) for shard in table.shards
    )
    if not untouched:
        table = shards.follow_all(tx, table, now_ms)
    description = StreamDescription(
        table=table.name,
        label=_free_label(tx, table.name, now_ms),
        view_type=view_type,
        table_id=table.id,
        keys=table.keys,
        log_space=table.log_space,
        created_ms=now_ms,
        due_ms=now_ms + region.settings.control_plane_delay_ms,
        first_shard=min(shard.number for shard in table.shards),
    )
    tx.put(description.key, dump(description))
    return replace(table, stream=Stream(description.label, view_type))


def disable(tx: Transaction, region: Region, table: Table, now_ms: int) -> Table:
    """End the table's stream. Its records stay readable for a day."""
    _end(tx, table, now_ms, now_ms + region.settings.control_plane_delay_ms)
    assert table.stream is not None
    return replace(shards.follow_all(tx, table, now_ms), stream=replace(table.stream, enabled=False))


def table_removed(tx: Transaction, table: Table, now_ms: int) -> None:
    """End the stream of a deleted table; its shards get no children."""
    if table.stream is not None and table.stream.enabled:
        _end(tx, table, now_ms, now_ms)
    for shard in table.shards:
        shards.close(tx, table.log_space, shard, now_ms)


def _end(tx: Transaction, table: Table, now_ms: int, due_ms: int) -> None:
    assert table.stream is not None
    stored = tx.get(fmt.stream_key(table.name, table.stream.label))
    assert stored is not None
    ended = replace(parse(stored), end_shard=shards.next_number(table), disabled_ms=now_ms, due_ms=due_ms)
    tx.put(ended.key, dump(ended))
    due.schedule(tx, now_ms + limits.STREAM_RETENTION_MS, fmt.END_STREAM, fmt.subject_of(ended.key))


def _free_label(tx: Transaction, table: str, now_ms: int) -> str:
    """A label from the current time, or from a later millisecond if a stream of this table name already has that
    label."""
    while tx.get(fmt.stream_key(table, label_of(now_ms))) is not None:
        now_ms += 1
    return label_of(now_ms)


def label_of(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds").removesuffix("+00:00")


# Names


def arn_of(region: Region, description: StreamDescription) -> str:
    return region.arn(f"table/{description.table}/stream/{description.label}")


def parse_arn(region: Region, arn: str) -> tuple[str, str] | None:
    """The table name and label; None if this is not the ARN of a stream in this region."""
    resource = region.resource(arn) or ""
    table, separator, label = resource.removeprefix("table/").partition("/stream/")
    return (table, label) if separator and ":" not in table and resource.startswith("table/") else None


def shard_id(shard: Shard) -> str:
    return _shard_id(shard.opened_ms, shard.number)


def parent_id(description: StreamDescription, shard: Shard) -> str | None:
    """The parent's id, even if the parent is trimmed; None for a stream's first shards."""
    if shard.parent is None or shard.parent_opened_ms is None or not description.has(shard.parent):
        return None
    return _shard_id(shard.parent_opened_ms, shard.parent)


def _shard_id(opened_ms: int, number: int) -> str:
    return f"shardId-{opened_ms:020d}-{number:08x}"


def parse_shard_id(text: str) -> int | None:
    """The shard's number; None for an invalid shard id."""
    try:
        number = int(text[-8:], 16)
        return number if text == _shard_id(int(text[8:28]), number) else None
    except ValueError:
        return None


_SHARDS = 10**7
_FIRST_NUMBER = 10**14 * _SHARDS


def sequence_number(shard: int, sequence: int) -> str:
    return str(_FIRST_NUMBER + sequence * _SHARDS + shard)


def starting_number(shard: Shard) -> str:
    """A number less than any change's, so that a reader which starts *after* it reads every change."""
    return str(int(sequence_number(shard.number, shard.first_sequence)) - 1)


# Looking things up


def find(snapshot: Snapshot, region: Region, arn: str, now_ms: int) -> StreamDescription:
    names = parse_arn(region, arn)
    stored = None if names is None else snapshot.get(fmt.stream_key(*names))
    if stored is None or parse(stored).gone_at(now_ms):
        raise stream_errors.stream_not_found(arn)
    return parse(stored)


def listed(
    snapshot: Snapshot, table: str | None, after: tuple[str, str] | None, now_ms: int
) -> Iterator[StreamDescription]:
    """Streams of one table or of all, sorted by table and label; starts after the given table and label."""
    start, end = fmt.STREAMS if table is None else fmt.streams_of(table)
    if after is not None:
        start = max(start, fmt.stream_key(*after) + b"\0")
    for _, stored in snapshot.scan(start, end):
        description = parse(stored)
        if not description.gone_at(now_ms):
            yield description


def shards_of(
    snapshot: Snapshot, description: StreamDescription, now_ms: int, *, after: int | None = None
) -> Iterator[Shard]:
    """The stream's shards that are not trimmed, parents first; starts after the given number."""
    return cursor.listed(snapshot, description.scope(now_ms), after=after)


def find_shard(snapshot: Snapshot, description: StreamDescription, text: str, now_ms: int) -> Shard:
    number = parse_shard_id(text)
    shard = None if number is None else cursor.find(snapshot, description.scope(now_ms), number)
    if shard is None or shard_id(shard) != text:
        raise stream_errors.shard_not_found()
    return shard


def may_start_after(snapshot: Snapshot, description: StreamDescription, text: str, now_ms: int) -> bool:
    """Whether a listing of shards can start after this shard id: one of the stream's, trimmed or not."""
    number = parse_shard_id(text)
    if number is None or not description.has(number):
        return False
    present = next(shards_of(snapshot, description, now_ms, after=number - 1), None)
    return present is not None and (present.number != number or shard_id(present) == text)


# Positions: the number of the change to read next


def position_at(snapshot: Snapshot, scope: Scope, shard: Shard, number: str, *, after: bool) -> int:
    """The position of the change with this SequenceNumber, or with `after` the next position."""
    if not (number.isascii() and number.isdigit()):
        raise stream_errors.sequence_number_invalid()
    beyond = int(number) - _FIRST_NUMBER - shard.number
    position = beyond // _SHARDS + 1 if after else -(-beyond // _SHARDS)
    end = cursor.end(snapshot, scope.log_space, shard)
    if shard.last_sequence is not None and position == end + 1:
        position = end  # after the shard's closing number
    if position > end:
        raise stream_errors.sequence_number_invalid()
    if position < cursor.oldest(snapshot, scope, shard):
        raise stream_errors.trimmed()
    return position


# Records


@dataclass(slots=True)
class Records:
    records: list[dict[str, Any]]
    next: int | None
    """The position after them; None at the end of a closed shard."""


def read(
    snapshot: Snapshot,
    region_name: str,
    description: StreamDescription,
    scope: Scope,
    shard: Shard,
    position: int,
    limit: int,
) -> Records:
    """Read up to `limit` records or 1 MB. Raises if the change at `position` has been trimmed."""
    records: list[dict[str, Any]] = []
    size = 0
    reading = cursor.Reading(snapshot, scope, shard, position, limit=limit)
    for sequence, change in reading:
        if reading.missed:
            break
        record = record_of(region_name, description, shard.number, sequence, change)
        size += record["dynamodb"]["SizeBytes"]
        if size > limits.STREAM_PAGE_BYTES and records:
            break
        records.append(record)
    if reading.missed:
        raise stream_errors.trimmed()
    return Records(records, None if reading.ended else reading.position)


def record_of(
    region_name: str, description: StreamDescription, shard: int, sequence: int, change: ChangeRow
) -> dict[str, Any]:
    """The record of a change, by the stream's view type. Keys and images are spliced, not parsed."""
    view_type = description.view_type
    number = sequence_number(shard, sequence)
    body: dict[str, Any] = {
        "ApproximateCreationDateTime": change.written_ms // 1000,
        "Keys": orjson.Fragment(change.keys),
        "SequenceNumber": number,
        "StreamViewType": view_type,
    }
    size = change.keys_size
    if change.new is not None and view_type in NEW_VIEWS:
        body["NewImage"] = orjson.Fragment(change.new)
        size += change.new_size
    if change.old is not None and view_type in OLD_VIEWS:
        body["OldImage"] = orjson.Fragment(change.old)
        size += change.old_size
    body["SizeBytes"] = size
    record: dict[str, Any] = {
        "eventID": md5((description.table_id + number).encode(), usedforsecurity=False).hexdigest(),
        "eventName": "INSERT" if not change.old_size else "REMOVE" if not change.new_size else "MODIFY",
        "eventVersion": "1.1",
        "eventSource": "aws:dynamodb",
        "awsRegion": region_name,
        "dynamodb": body,
    }
    if change.cause == fmt.EXPIRY:
        record["userIdentity"] = EXPIRED_BY_SERVICE
    return record
