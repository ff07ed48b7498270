"""Delete tables: the definition at once, the rows later, as `garbage`."""

from __future__ import annotations

from atoll.database import backups, destination_positions, expiry, past_definitions, resource_policies, streams
from atoll.database import format as fmt
from atoll.database.garbage import collections_of, discard
from atoll.database.log import retention
from atoll.database.region import Region
from atoll.database.schema import Table
from atoll.database.vectors import rows
from atoll.storage.engine import Transaction
from atoll.versions import Stamp


def drop(tx: Transaction, table: Table, now_ms: int) -> None:
    """Remove the table from the catalog. Its log stays while readers need it, and its items stay while a job copies
    them; with point-in-time recovery they become a backup."""
    streams.table_removed(tx, table, now_ms)
    tx.delete(fmt.table_key(table.name))
    resource_policies.drop(tx, table.name)
    past_definitions.forget(tx, table)
    tx.add_number(fmt.GENERATION, 1)
    tx.delete(fmt.backfill_key(table.space))
    for one in table.destinations:
        destination_positions.forget(tx, table.id, one.stream)
    if table.recovery is not None and table.origin is None:
        backups.keep_deleted(tx, table, now_ms)
    else:
        discard(tx, table.space, now_ms + (retention.of(table).keep_ms if table.copies else 0), collections_of(table))
    tx.delete_range(*fmt.links_of(table.space))
    spaces = [space for index in table.all_indexes for space in index.spaces]
    if table.ttl is not None:
        expiry.unschedule(tx, table, table.ttl)
        spaces.append(table.ttl.space)
    if table.tombstone_space is not None:
        spaces.append(table.tombstone_space)
    for vector_index in table.vector_indexes:
        rows.forget(tx, vector_index.log_space)
    for space in spaces:
        tx.delete(fmt.backfill_key(space))
        discard(tx, space, now_ms)
    discard(tx, table.log_space, now_ms + retention.of(table).keep_ms)


def finish(tx: Transaction, region: Region, stamp: Stamp, name: bytes) -> int | None:
    """Job: drop a table whose DELETING period is over."""
    table = region.catalog.find(tx, name.decode())
    if table is None or table.status != "DELETING":
        return None
    if not table.gone_at(stamp.now_ms):
        return table.due_ms
    drop(tx, table, stamp.now_ms)
    return None
