"""Long jobs that copy items: from a table at an earlier moment into a backup or a new table, and from a backup into a
new table.

A job that copies a table begins by adding itself to the table's `copies`, so that the log keeps old images, and ends by
removing itself. `begin_*` create jobs; the other functions are their steps.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from atoll.database import backups, catalog, deletion, documents, garbage, moment, writes
from atoll.database import format as fmt
from atoll.database.backups import Backup
from atoll.database.moment import LogTrimmed, PastItems, Piece, Position, TableSpaces
from atoll.database.records import build, plain
from atoll.database.region import Region
from atoll.database.rows import Row
from atoll.database.schema import Table
from atoll.database.writes import Decision, Image
from atoll.model.values import Item
from atoll.recovery import long_jobs
from atoll.recovery.long_jobs import Document, Step
from atoll.storage.engine import Snapshot, Transaction
from atoll.versions import Stamp

_log = logging.getLogger(__name__)

BACK_UP, RESTORE = "backup", "restore"


@dataclass(frozen=True)
class Copy:
    """The document of a job."""

    id: str
    kind: str
    region: str
    """The region of the source."""
    source: TableSpaces
    space: int
    """The space of the old images from the log."""
    target: str
    """The id of the backup, or the name of the table."""
    target_id: str = ""
    """The id of the table."""
    table: str = ""
    """The name of the source; empty if it is a backup."""
    moment_ms: int | None = None
    """The moment to copy; None means the time at which the job begins to read."""
    start: Position | None = None
    """Where the job begins to read, if the request fixed it: more exact than `moment_ms`, since writes of the same
    millisecond may follow."""
    position: Position | None = None
    """The position of the copy; None if the job has not begun yet."""
    backup: str | None = None
    """The id of the backup that is being restored."""
    is_copied: bool = False


def save(tx: Transaction, copy: Copy) -> None:
    long_jobs.put(tx, plain(copy))


def load(job: Document) -> Copy:
    copy: Copy = build(Copy, job)
    return copy


# Beginning


def begin_backup(tx: Transaction, region: Region, table: Table, name: str, now_ms: int) -> Backup:
    """Create a backup of the table as it is now, which a job fills."""
    tx.prefetch(tallies=[fmt.count_counter(table.space), fmt.bytes_counter(table.space)])
    backup = Backup(
        id=backups.new_id(now_ms),
        name=name,
        table=table,
        type=backups.USER,
        status=backups.CREATING,
        created_ms=now_ms,
        space=catalog.new_space(tx),
        items=tx.tally(fmt.count_counter(table.space)),
        size=tx.tally(fmt.bytes_counter(table.space)),
    )
    source = moment.source_of(table)
    copy = Copy(
        id=str(uuid.uuid4()),
        kind=BACK_UP,
        region=region.name,
        source=source,
        space=catalog.new_space(tx),
        target=backup.id,
        table=table.name,
        position=moment.at_end(tx, source),
    )
    backups.put(tx, backup)
    save(tx, copy)
    catalog.save(tx, replace(table, copies=(*table.copies, copy.id)))
    return backup


def begin_restore(
    tx: Transaction, target: Table, source: Table, region: Region, moment_ms: int | None, *, is_here: bool
) -> None:
    """Begin to fill the new table `target` with the items of another one at a moment; None means the present.
    `is_here`: whether the source's region is the one of the transaction."""
    copy = Copy(
        id=str(uuid.uuid4()),
        kind=RESTORE,
        region=region.name,
        source=moment.source_of(source),
        space=catalog.new_space(tx),
        target=target.name,
        target_id=target.id,
        table=source.name,
        moment_ms=moment_ms,
    )
    position = join(tx, region, copy) if is_here and moment_ms is None else None
    save(tx, replace(copy, position=position))


def begin_restore_from_backup(tx: Transaction, target: Table, backup: Backup, region: str) -> None:
    save(
        tx,
        Copy(
            id=str(uuid.uuid4()),
            kind=RESTORE,
            region=region,
            source=TableSpaces(backup.space, None, backup.table.keys),
            space=catalog.new_space(tx),
            target=target.name,
            target_id=target.id,
            position=Position(()),
            backup=backup.id,
        ),
    )


# Steps


async def back_up(region: Region, job: Document) -> None:
    copy = load(job)
    assert copy.position is not None
    piece = await region.read(lambda snapshot: read(snapshot, copy))

    def store(tx: Transaction, stamp: Stamp) -> None:
        backup = backups.find(tx, copy.target)
        if is_elsewhere(tx, copy) or backup is None:
            return
        if piece is None:
            _log.error("a backup was given up: the log of its table was trimmed", extra={"table": copy.table})
            backups.delete(tx, backup, stamp.now_ms)
            release(tx, region, copy, stamp.now_ms)
            end(tx, copy, stamp.now_ms)
            return
        state = moment.merge(tx, copy.space, piece)
        prefix = fmt.space_prefix(backup.space)
        for key, row in state.rows:
            tx.put(prefix + key, row.stored)
        _count(tx, backup.space, state)
        if not state.is_last:
            save(tx, replace(copy, position=state.position))
            return
        counters = fmt.count_counter(backup.space), fmt.bytes_counter(backup.space)
        items, size = (tx.tally(counter) for counter in counters)
        backups.put(tx, replace(backup, status=backups.AVAILABLE, items=items, size=size))
        release(tx, region, copy, stamp.now_ms)
        end(tx, copy, stamp.now_ms)

    await region.write(store)


def _count(tx: Transaction, space: int, state: PastItems) -> None:
    tx.add_tally(fmt.count_counter(space), len(state.rows))
    tx.add_tally(fmt.bytes_counter(space), sum(row.size for _, row in state.rows))


async def restore(region: Region, job: Document) -> None:
    copy, source = load(job), region.named(job["region"])
    if copy.is_copied:
        await source.write(lambda tx, stamp: release(tx, source, copy, stamp.now_ms))
        await region.write(lambda tx, stamp: _finish(tx, region, copy, stamp.now_ms))
        return
    if copy.position is None:
        position = await source.write(lambda tx, stamp: join(tx, source, copy))
        if position is not None:
            await region.write(lambda tx, stamp: _begin(tx, copy, position))
        else:
            await region.write(lambda tx, stamp: _give_up(tx, region, copy, stamp.now_ms))
        return
    piece = await source.read(lambda snapshot: read(snapshot, copy))
    if piece is None:
        await source.write(lambda tx, stamp: release(tx, source, copy, stamp.now_ms))
        await region.write(lambda tx, stamp: _give_up(tx, region, copy, stamp.now_ms))
    else:
        await region.write(lambda tx, stamp: _fill(tx, region, copy, piece, stamp))


def read(snapshot: Snapshot, copy: Copy) -> Piece | None:
    """Read the next piece; None if the state at the moment is lost."""
    assert copy.position is not None
    try:
        return moment.read(snapshot, copy.source, copy.position)
    except LogTrimmed:
        return None


def is_elsewhere(tx: Transaction, copy: Copy) -> bool:
    """Whether another process has taken the step, or the job has ended."""
    job = long_jobs.find(tx, copy.id)
    return job is None or load(job) != copy


def join(tx: Transaction, source: Region, copy: Copy) -> Position | None:
    """Make the source's log keep the images that the copy needs. None if the source was deleted."""
    table = source.catalog.find(tx, copy.table)
    if table is None or table.space != copy.source.space:
        return None
    if copy.id not in table.copies:
        catalog.save(tx, replace(table, copies=(*table.copies, copy.id)))
    if copy.start is not None:
        return copy.start
    return moment.at_end(tx, copy.source) if copy.moment_ms is None else moment.at(tx, copy.source, copy.moment_ms)


def _begin(tx: Transaction, copy: Copy, position: Position) -> None:
    if not is_elsewhere(tx, copy):
        save(tx, replace(copy, position=position))


def release(tx: Transaction, source: Region, copy: Copy, now_ms: int) -> None:
    """Remove the copy from its source, which it does not need any more."""
    if copy.backup is not None:
        backup = backups.find(tx, copy.backup)
        if backup is not None and backup.is_restoring is not None:
            backups.put(tx, replace(backup, is_restoring=None))
        return
    table = source.catalog.find(tx, copy.table)
    if table is not None and table.space == copy.source.space:
        if copy.id in table.copies:
            catalog.save(tx, replace(table, copies=tuple(one for one in table.copies if one != copy.id)))
        return
    if any(other["id"] != copy.id and other["source"]["space"] == copy.source.space for other in _copies(tx)):
        return
    kept = [space for space in (copy.source.space, copy.source.log_space) if space is not None]
    for space in kept:
        if garbage.due_ms(tx, space) > now_ms:
            garbage.hasten(tx, space, now_ms)


def _copies(tx: Transaction) -> Sequence[Document]:
    return [job for job in documents.listed(tx, long_jobs.KIND) if "source" in job]


@dataclass(slots=True)
class Restored:
    """The write of a copied item to a new table. Its index keys may be invalid: then it gets no entry."""

    table: Table
    key: Item
    row_key: bytes
    image: Image
    cause: int = fmt.RESTORE
    reads: ClassVar[int] = 0
    version: ClassVar[None] = None

    def decide(self, old: Row | None) -> Decision:
        return self.image


def _fill(tx: Transaction, region: Region, copy: Copy, piece: Piece, stamp: Stamp) -> None:
    table = region.catalog.find(tx, copy.target)
    if is_elsewhere(tx, copy) or table is None or table.id != copy.target_id:
        return
    state = moment.merge(tx, copy.space, piece)
    batch = [
        Restored(table, table.keys.key_of(row.item), table.prefix + key, Image(row.item, row.size, row.json))
        for key, row in state.rows
    ]
    writes.commit(tx, batch, stamp)
    save(tx, replace(copy, position=state.position, is_copied=state.is_last))


def _finish(tx: Transaction, region: Region, copy: Copy, now_ms: int) -> None:
    table = region.catalog.find(tx, copy.target)
    if table is not None and table.id == copy.target_id:
        catalog.save(tx, replace(table, status="ACTIVE", origin=None))
    end(tx, copy, now_ms)


def _give_up(tx: Transaction, region: Region, copy: Copy, now_ms: int) -> None:
    table = region.catalog.find(tx, copy.target)
    if table is not None and table.id == copy.target_id:
        _log.error("a restore was given up: its source no longer exists", extra={"table": copy.target})
        deletion.drop(tx, table, now_ms)
    end(tx, copy, now_ms)


def end(tx: Transaction, copy: Copy, now_ms: int) -> None:
    garbage.discard(tx, copy.space, now_ms)
    long_jobs.delete(tx, copy.id)


STEPS: dict[str, Step] = {BACK_UP: back_up, RESTORE: restore}
