"""Backups: a space with the items of a table as they were at one moment, and a document that describes them.

The space holds the item rows under their old keys. A backup on demand gets a new space, which a job fills (`recovery`).
When a table with point-in-time recovery is deleted, its own space becomes a backup without copying; this backup expires
after 35 days. A backup keeps the table's definition: its description and a restored table are built from it.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import dataclass

from atoll import limits
from atoll.database import documents, garbage
from atoll.database import format as fmt
from atoll.database.records import build, plain
from atoll.database.region import Region
from atoll.database.schema import Table
from atoll.storage.engine import Snapshot, Transaction
from atoll.versions import Stamp

KIND = "backup"
CREATING, AVAILABLE, DELETED = "CREATING", "AVAILABLE", "DELETED"
USER, SYSTEM = "USER", "SYSTEM"
DELETED_TABLE_SUFFIX = "$DeletedTableBackup"


@dataclass(frozen=True)
class Backup:
    id: str
    """The last part of its ARN: its creation time as 14 digits, so that ids sort by it, and a suffix."""
    name: str
    table: Table
    """The table's definition at that time."""
    type: str
    status: str
    created_ms: int
    space: int
    items: int
    size: int
    """The size in bytes, by the published formula."""
    expires_ms: int | None = None
    is_restoring: str | None = None
    """The table that a running restore fills from it."""


def new_id(now_ms: int, suffix: str | None = None) -> str:
    return f"{now_ms:014d}-{secrets.token_hex(4) if suffix is None else suffix}"


def first_id(now_ms: int) -> str:
    """A lower bound of all ids from this time on."""
    return f"{max(now_ms, 0):014d}"


def find(snapshot: Snapshot, id_: str) -> Backup | None:
    document = documents.get(snapshot, KIND, id_)
    return None if document is None else build(Backup, document)


def listed(snapshot: Snapshot, after: str | None = None) -> Iterator[Backup]:
    """The backups by creation time; if `after` is given, only those after that id."""
    for document in documents.listed(snapshot, KIND, after=None if after is None else (after,)):
        yield build(Backup, document)


def put(tx: Transaction, backup: Backup) -> None:
    documents.put(tx, plain(backup), KIND, backup.id)


def delete(tx: Transaction, backup: Backup, now_ms: int) -> None:
    documents.delete(tx, KIND, backup.id)
    garbage.discard(tx, backup.space, now_ms, garbage.collections_of(backup.table))


def keep_deleted(tx: Transaction, table: Table, now_ms: int) -> None:
    """Turn the items of a table that is being dropped into a backup."""
    id_ = new_id(now_ms, "00000000")
    while find(tx, id_) is not None:  # two tables of this name were deleted within one millisecond
        now_ms += 1
        id_ = new_id(now_ms, "00000000")
    tx.prefetch(tallies=[table.count_tally, table.bytes_tally])
    backup = Backup(
        id=id_,
        name=table.name + DELETED_TABLE_SUFFIX,
        table=table,
        type=SYSTEM,
        status=AVAILABLE,
        created_ms=now_ms,
        space=table.space,
        items=tx.tally(table.count_tally),
        size=tx.tally(table.bytes_tally),
        expires_ms=now_ms + limits.SYSTEM_BACKUP_MS,
    )
    put(tx, backup)
    documents.delete_at(tx, now_ms + limits.SYSTEM_BACKUP_MS, KIND, backup.id)


def expire(tx: Transaction, region: Region, stamp: Stamp, subject: bytes) -> int | None:
    """Job: delete a backup of a deleted table, or the document of an export or import that ended long ago."""
    kind, *names = fmt.parse_document_key(fmt.due_row(fmt.EXPIRE_BACKUP, subject))
    if kind != KIND:
        documents.delete(tx, kind, *names)
        return None
    backup = find(tx, names[0])
    if backup is None or backup.expires_ms is None:
        return None
    if backup.expires_ms > stamp.now_ms:
        return backup.expires_ms
    delete(tx, backup, stamp.now_ms)
    return None
