"""Background jobs of the log: rotate old shards, split full partitions, trim old changes. Tests can force each."""

from __future__ import annotations

from atoll import arns, limits
from atoll.database import catalog, garbage
from atoll.database import format as fmt
from atoll.database.log import changes, retention, shards
from atoll.database.region import Region
from atoll.database.schema import Shard, Table
from atoll.errors import streams as stream_errors
from atoll.storage.engine import Transaction
from atoll.versions import Stamp

TRIMMED_CHANGES = 200
"""The most changes that one run of `trim` deletes."""

TRIM_INTERVAL_MS = 60_000
"""The shortest time between two trims of a shard; changes may stay this much longer."""

LONGEST_TRIM_INTERVAL_MS = limits.STREAM_RETENTION_MS
"""The longest time between two trims of a shard; a shorter retention takes effect within this time."""


# Jobs


def rotate(tx: Transaction, region: Region, stamp: Stamp, name: bytes) -> int | None:
    """Job: close shards of a table's stream that are 4 hours old."""
    now_ms = stamp.now_ms
    table = region.catalog.find(tx, name.decode())
    if table is None or table.stream is None or not table.stream.enabled or table.status == "DELETING":
        return None
    old = [(s, 1) for s in table.shards if s.opened_ms + limits.STREAM_ROTATION_MS <= now_ms]
    if not old:
        return table.oldest_shard_ms + limits.STREAM_ROTATION_MS
    catalog.save(tx, shards.follow(tx, table, old, now_ms))  # which schedules the next rotation
    return None


def split(tx: Transaction, region: Region, stamp: Stamp, name: bytes) -> int | None:
    """Job: split the partitions of a table that has outgrown them. `changes.append` schedules it now and then."""
    table = region.catalog.find(tx, name.decode())
    if table is None or table.status == "DELETING":
        return None
    if tx.tally(table.bytes_tally) > len(table.shards) * limits.PARTITION_BYTES:
        catalog.save(tx, shards.repartition(tx, table, stamp.now_ms))
    return None


def trim(tx: Transaction, region: Region, stamp: Stamp, subject: bytes) -> int | None:
    """Job: delete a shard's changes that no reader needs any more, then the shard when it is closed."""
    row = fmt.due_row(fmt.TRIM, subject)
    log_space, number = fmt.parse_shard_key(row)
    shard = shards.find(tx, log_space, number)
    if shard is None:
        return None
    now_ms = stamp.now_ms
    keep_ms = _keep_ms(tx, region, log_space)
    if keep_ms is None:
        over_ms = garbage.due_ms(tx, log_space)
        if over_ms > now_ms:  # the log of a deleted table is still kept
            return over_ms
        keep_ms = 0
    next_ms = _trim(tx, log_space, shard, keep_ms, now_ms)
    if next_ms is None:
        tx.delete(row)
        return None
    return min(next_ms, now_ms + LONGEST_TRIM_INTERVAL_MS)


def _keep_ms(tx: Transaction, region: Region, log_space: int) -> int | None:
    """The retention of the log's changes, in milliseconds; None if its table is deleted."""
    for table in region.catalog.tables(tx):
        if table.log_space == log_space:
            return retention.of(table).keep_ms
    return None


def end_stream(tx: Transaction, region: Region, stamp: Stamp, subject: bytes) -> int | None:
    """Job: delete a stream a day after its end."""
    tx.delete(fmt.due_row(fmt.END_STREAM, subject))
    return None


def _trim(tx: Transaction, log_space: int, shard: Shard, keep_ms: int, now_ms: int) -> int | None:
    """Trim one shard. Returns the time of the next trim; None if nothing of the shard is left to keep."""
    horizon_ms = now_ms - keep_ms
    prefix = shard.change_prefix(log_space)
    for deleted, (sequence, change) in enumerate(changes.read(tx, log_space, shard, 0, limit=TRIMMED_CHANGES + 1)):
        if change.written_ms > horizon_ms:
            return max(change.written_ms + keep_ms, now_ms + TRIM_INTERVAL_MS)
        if deleted == TRIMMED_CHANGES:
            return now_ms
        tx.delete(fmt.change_key(prefix, sequence))
    if shard.closed_ms is None:
        return now_ms + keep_ms
    return shard.closed_ms + keep_ms if shard.closed_ms > horizon_ms else None


# Forced jobs, for tests of stream consumers. `name` is a table's name or ARN, or a stream's ARN.


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
