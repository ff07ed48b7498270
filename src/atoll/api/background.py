"""Background work in the admin API: the work due next, the items that expire next, the progress of triggers.

    GET /_atoll/due        ?region=R&limit=100                   the work that is due, the earliest first
    GET /_atoll/due        ?region=R&limit=100&table=Sessions    the items of a table that expire, the earliest first
    GET /_atoll/triggers   ?region=R                             event source mappings: backlog, lag, retries

The time of an item is the second after which it may be deleted; `--ttl-delay` comes on top. A trigger's `backlog`
counts the changes after its position in the stream, including those that its filters will skip.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import islice

from atoll.api.admin import Body, Server, check_members, region_of
from atoll.api.replication import limit_of
from atoll.database import format as fmt
from atoll.database import streams
from atoll.database.log import cursor
from atoll.database.region import Region
from atoll.database.schema import Shard
from atoll.database.streams import StreamDescription
from atoll.errors import ApiError
from atoll.storage.engine import Snapshot
from atoll.triggers import mapping
from atoll.triggers.batches import Lane
from atoll.triggers.mapping import Mapping

KINDS = {
    fmt.ROTATE: "rotate the shards of a stream",
    fmt.SPLIT: "split the shards of a stream",
    fmt.TRIM: "trim a shard",
    fmt.END_STREAM: "delete a disabled stream",
    fmt.EXPIRE: "delete expired items",
    fmt.BUILD_EXPIRY: "change time to live",
    fmt.INDEX: "build or delete an index",
    fmt.DELETE: "finish the deletion of a table",
    fmt.SWEEP: "delete the rows of a deleted part",
    fmt.FORGET: "forget a request token",
    fmt.EXPIRE_BACKUP: "delete a backup",
    fmt.DROP_TOMBSTONES: "drop tombstones",
}
_OF_TABLE = (fmt.ROTATE, fmt.SPLIT, fmt.EXPIRE, fmt.BUILD_EXPIRY, fmt.INDEX, fmt.DELETE, fmt.DROP_TOMBSTONES)
LIMIT, MOST = 100, 1_000


async def show_due(server: Server, body: Body) -> Body:
    check_members(body, ("region", "limit", "table"))
    region = region_of(server, body)
    limit = min(limit_of(body.get("limit", LIMIT)), MOST)
    now_ms = region.clock.now_ms()
    if (name := body.get("table")) is not None:
        return {"now_ms": now_ms, **await region.read(partial(_expiring, region=region, name=name, limit=limit))}
    return {"now_ms": now_ms, "due": await region.read(lambda snapshot: list(islice(_due(snapshot), limit)))}


def _due(snapshot: Snapshot) -> Iterator[Body]:
    for row, _ in snapshot.scan(*fmt.DUE):
        due_ms, kind, subject = fmt.parse_due(row)
        table = {"table": subject.decode()} if kind in _OF_TABLE else {}
        yield {"due_ms": due_ms, "work": KINDS.get(kind, "other work"), **table}


def _expiring(snapshot: Snapshot, region: Region, name: str, limit: int) -> Body:
    table = region.catalog.described(snapshot, name, region.clock.now_ms())
    if table.ttl is None:
        return {"attribute": None, "items": []}
    start, end = fmt.space_range(table.ttl.space)
    found = []
    for row, _ in islice(snapshot.scan(start, end), limit):
        second, row_key = fmt.parse_expiry(row, table.space)
        found.append({"key": table.keys.decode(row_key), "expires": second})
    return {"attribute": table.ttl.attribute, "items": found}


async def show_triggers(server: Server, body: Body) -> Body:
    check_members(body, ("region",))
    region = region_of(server, body)
    return {"triggers": await region.read(partial(triggers_of, region=region))}


def triggers_of(snapshot: Snapshot, region: Region) -> list[Body]:
    return [_progress(snapshot, region, one) for one in mapping.listed(snapshot)]


def _progress(snapshot: Snapshot, region: Region, one: Mapping) -> Body:
    now_ms = region.clock.now_ms()
    shown: Body = {"uuid": one.uuid, "function": one.function, "stream": one.stream_arn, "enabled": one.enabled}
    try:
        stream = streams.find(snapshot, region, one.stream_arn, now_ms)
    except ApiError:  # the stream is gone; its mapping stays
        return shown | {"backlog": 0, "lag_ms": 0, "attempts": 0, "retry_ms": None}
    stored: dict[int, list[Lane]] = {}
    for shard_number, _, lane in mapping.lanes(snapshot, one.uuid):
        stored.setdefault(shard_number, []).append(lane)
    backlog, lag_ms = 0, 0
    for shard in streams.shards_of(snapshot, stream, now_ms):
        unread, oldest_ms = _unread(snapshot, stream, shard, stored.get(shard.number, []), now_ms)
        backlog += unread
        lag_ms = max(lag_ms, 0 if oldest_ms is None else now_ms - oldest_ms)
    failing = [lane for lanes in stored.values() for lane in lanes if lane.attempts]
    return shown | {
        "backlog": backlog,
        "lag_ms": lag_ms,
        "attempts": max((lane.attempts for lane in failing), default=0),
        "retry_ms": min((lane.due_ms for lane in failing), default=None),
    }


def _unread(
    snapshot: Snapshot, stream: StreamDescription, shard: Shard, lanes: list[Lane], now_ms: int
) -> tuple[int, int | None]:
    """The number of unprocessed changes of the shard, and when the first of them was written."""
    if lanes and all(lane.finished for lane in lanes):
        return 0, None
    position = min((lane.position for lane in lanes if not lane.finished), default=shard.first_sequence)
    for sequence, change in cursor.Reading(snapshot, stream.scope(now_ms), shard, position, limit=1):
        return cursor.end(snapshot, stream.log_space, shard) - sequence, change.written_ms
    return 0, None
