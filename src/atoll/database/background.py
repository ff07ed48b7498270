"""Run background work when it is due.

A job does a bounded amount of work of one kind, in a transaction, and returns the time at which it has to run again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Set
from functools import partial

from atoll.database import backfill, backups, deletion, due, garbage, tokens, tombstones, ttl
from atoll.database import format as fmt
from atoll.database.log import maintenance
from atoll.database.region import Region
from atoll.storage.engine import Snapshot, Transaction
from atoll.versions import Stamp

Job = Callable[[Transaction, Region, Stamp, bytes], int | None]
"""Does some work on the subject. Returns the time at which it has to run again, in ms since 1970; None if nothing is
left."""

JOBS: Mapping[bytes, Job] = {
    fmt.DELETE: deletion.finish,
    fmt.SWEEP: garbage.sweep,
    fmt.INDEX: backfill.change_indexes,
    fmt.BUILD_EXPIRY: ttl.build,
    fmt.EXPIRE: ttl.delete_expired,
    fmt.ROTATE: maintenance.rotate,
    fmt.SPLIT: maintenance.split,
    fmt.TRIM: maintenance.trim,
    fmt.END_STREAM: maintenance.end_stream,
    fmt.EXPIRE_BACKUP: backups.expire,
    fmt.FORGET: tokens.forget,
    fmt.DROP_TOMBSTONES: tombstones.drop,
}

TOGETHER = {fmt.TRIM: 20, fmt.FORGET: 500, fmt.END_STREAM: 100}
"""The most jobs of these kinds that share a transaction; jobs of other kinds run alone."""


class _Failed(Exception):
    """A job failed. The cause is its error."""

    def __init__(self, row: bytes) -> None:
        self.row = row


async def run(region: Region, jobs: Mapping[bytes, Job] = JOBS, *, uncounted: Set[bytes] = frozenset()) -> int | None:
    """Run jobs until none is due; returns the time of the next job, ignoring `uncounted` kinds. If a job fails, the
    others still run, and the errors are raised at the end."""
    failed: dict[bytes, BaseException | None] = {}
    next_ms: int | None = 0
    now_ms = 0
    while next_ms is not None and next_ms <= now_ms:
        try:
            now_ms, next_ms = await region.write(partial(_run_some, region, jobs, frozenset(failed)))
        except _Failed as failure:
            failed[failure.row] = failure.__cause__
    if failed:
        raise ExceptionGroup("background work", [error for error in failed.values() if isinstance(error, Exception)])
    return await region.read(partial(_next_ms, uncounted=uncounted)) if uncounted else next_ms


async def settle(region: Region, *, uncounted: Set[bytes] = frozenset()) -> int | None:
    """Like `run`, but without a transaction if nothing is due. It may miss jobs of a commit in progress."""
    next_ms = await region.read(partial(_next_ms, uncounted=frozenset()))
    if next_ms is not None and next_ms <= region.clock.now_ms():
        return await run(region, uncounted=uncounted)
    return await region.read(partial(_next_ms, uncounted=uncounted)) if uncounted else next_ms


def _next_ms(snapshot: Snapshot, uncounted: Set[bytes]) -> int | None:
    for row, _ in snapshot.scan(*fmt.DUE):
        due_ms, kind, _ = fmt.parse_due(row)
        if kind not in uncounted:
            return due_ms
    return None


def _run_some(
    region: Region, jobs: Mapping[bytes, Job], failed: frozenset[bytes], tx: Transaction, stamp: Stamp
) -> tuple[int, int | None]:
    """Run the first job, with others of its kind. Returns the current time, and the time of the next job."""
    now_ms = stamp.now_ms
    rows = [row for row, _ in tx.scan(*fmt.DUE, limit=max(TOGETHER.values()) + len(failed)) if row not in failed]
    if not rows:
        return now_ms, None
    due_ms, kind, subject = fmt.parse_due(rows[0])
    if due_ms > now_ms:
        return now_ms, due_ms
    group = rows[: TOGETHER.get(kind, 1)]
    work = [(row, *fmt.parse_due(row)) for row in group]
    if len(group) > 1:
        tx.prefetch([fmt.due_row(kind, subject) for _, _, kind, subject in work])
    for row, due_ms, own_kind, subject in work:
        if due_ms > now_ms or own_kind != kind:
            break
        tx.delete(row)  # first, since the job may schedule the same work again
        try:
            again_ms = jobs[kind](tx, region, stamp, subject)
        except Exception as error:
            raise _Failed(row) from error
        if again_ms is not None:
            due.schedule(tx, max(again_ms, now_ms), kind, subject)
            if again_ms <= now_ms:  # this job has more to do: let others run first
                break
    return now_ms, now_ms
