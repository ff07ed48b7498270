"""Background steps of the log: rotate old shards, split full partitions, trim old changes. Each can be forced, too."""

from __future__ import annotations

from atoll import arns, limits
from atoll.clock import Stamp
from atoll.database import catalog, deletion
from atoll.database import format as fmt
from atoll.database.log import changes, retention, shards
from atoll.database.region import Region
from atoll.database.schema import Table
from atoll.errors import streams as stream_errors
from atoll.storage.engine import Transaction

# Limits of one call of a step.
ROTATED_TABLES = 10
TRIMMED_SHARDS = 100
TRIMMED_CHANGES = 500

TRIM_INTERVAL_MS = 60_000
"""Shortest time between two trims of a shard, so changes may stay longer by this."""

LOOK_MS = limits.STREAM_RETENTION_MS
"""Longest time between two trims of a shard, so a shorter retention takes effect within this."""


# Steps


def rotate(tx: Transaction, region: Region, stamp: Stamp) -> int | None:
    """Step: close shards of streams that are 4 hours old."""
    now_ms = stamp.now_ms
    wakes = []
    rotated = 0
    for table in region.catalog.tables(tx):
        if table.stream is None or not table.stream.enabled or table.status == "DELETING":
            continue
        if table.oldest_shard_ms + limits.STREAM_ROTATION_MS <= now_ms:
            if rotated == ROTATED_TABLES:
                return now_ms
            rotated += 1
            old = [(s, 1) for s in table.shards if s.opened_ms + limits.STREAM_ROTATION_MS <= now_ms]
            table = shards.follow(tx, table, old, now_ms)
            catalog.save(tx, table)
        wakes.append(table.oldest_shard_ms + limits.STREAM_ROTATION_MS)
    return min(wakes, default=None)


def split(tx: Transaction, region: Region, stamp: Stamp) -> int | None:
    """Step: split the partitions of tables that have outgrown them. Only writes make a table grow, never time."""
    now_ms = stamp.now_ms
    tables = region.catalog.tables(tx)
    tx.prefetch(tallies=[fmt.bytes_counter(table.space) for table in tables])
    for table in tables:
        size = tx.tally(fmt.bytes_counter(table.space))
        if size > len(table.shards) * limits.PARTITION_BYTES and table.status != "DELETING":
            catalog.save(tx, shards.repartition(tx, table, now_ms))
    return None


def trim(tx: Transaction, region: Region, stamp: Stamp) -> int | None:
    """Step: delete changes that no reader needs any more, then closed shards; also delete streams a day after their
    end."""
    now_ms = stamp.now_ms
    left = TRIMMED_CHANGES
    due = [(key, *fmt.parse_due(key)) for key, _ in tx.scan(*fmt.DUE, limit=TRIMMED_SHARDS)]
    if not due or due[0][1] > now_ms:
        return due[0][1] if due else None
    keep_ms = {table.log_space: retention.of(table).keep_ms for table in region.catalog.tables(tx)}
    for key, due_ms, row in due:
        if due_ms > now_ms:
            return due_ms
        if left <= 0:
            return now_ms
        tx.delete(key)
        if not row.startswith(fmt.SHARDS[0]):
            tx.delete(row)
            continue
        log_space, number = fmt.parse_shard_key(row)
        if log_space in keep_ms:
            deleted, next_ms = _trim(tx, log_space, number, keep_ms[log_space], now_ms, left)
        elif (over_ms := deletion.due_ms(tx, log_space)) > now_ms:  # the table is deleted, but not yet its log
            deleted, next_ms = 0, over_ms
        else:
            deleted, next_ms = _trim(tx, log_space, number, 0, now_ms, left)
        left -= deleted
        if next_ms is None:
            tx.delete(row)
        else:
            tx.put(fmt.due_key(min(next_ms, now_ms + LOOK_MS), row), b"")
    return now_ms


def _trim(
    tx: Transaction, log_space: int, number: int, keep_ms: int, now_ms: int, limit: int
) -> tuple[int, int | None]:
    """Trim one shard. Returns the number of deleted changes, and the time of the next trim; None if nothing of the
    shard is left to keep."""
    horizon_ms = now_ms - keep_ms
    deleted = 0
    for sequence, change in changes.read(tx, log_space, number, 0):
        if change.written_ms > horizon_ms:
            return deleted, max(change.written_ms + keep_ms, now_ms + TRIM_INTERVAL_MS)
        if deleted == limit:
            return deleted, now_ms
        tx.delete(fmt.change_key(log_space, number, sequence))
        deleted += 1
    shard = shards.find(tx, log_space, number)
    if shard is None:
        return deleted, None
    if shard.closed_ms is None:
        return deleted, now_ms + keep_ms
    return deleted, shard.closed_ms + keep_ms if shard.closed_ms > horizon_ms else None


# Forced steps, for tests of stream consumers. `name` is a table's name or ARN, or a stream's ARN.


def force_rotate(tx: Transaction, region: Region, name: str, now_ms: int) -> Table:
    """Close all open shards; each gets a child."""
    table = shards.follow_all(tx, _named(tx, region, name, now_ms), now_ms)
    catalog.save(tx, table)
    return table


def force_split(tx: Transaction, region: Region, name: str, now_ms: int) -> Table:
    """Close all open shards; each gets two children."""
    table = _named(tx, region, name, now_ms)
    table = shards.follow(tx, table, [(shard, 2) for shard in table.shards], now_ms)
    catalog.save(tx, table)
    return table


def force_trim(tx: Transaction, region: Region, name: str, now_ms: int, *, limit: int = 5_000) -> bool:
    """Delete changes as if they were 24 hours old. Returns whether there are more of them."""
    log_space = _named(tx, region, name, now_ms).log_space
    rows = [key for key, _ in tx.scan(*fmt.space_range(log_space), limit=limit)]
    for row in rows:
        tx.delete(row)
    return len(rows) == limit


def _named(tx: Transaction, region: Region, name: str, now_ms: int) -> Table:
    arn = arns.parse(name)
    table = region.catalog.described(tx, name if arn is None else arn.table, now_ms)
    if table.stream is None:
        raise stream_errors.no_stream(name)
    return table
