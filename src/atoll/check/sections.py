"""All checks of a store, in sections. Each section is a function that reads one snapshot and nothing else.

Sections may therefore run on different snapshots. Those that read many rows also accept a moving snapshot (see
`findings.Moving`), which a check of a running server uses.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

from atoll.check import catalog, items, log, orphans, schedule
from atoll.check.findings import Context, Finding
from atoll.check.spaces import parsed, read
from atoll.database import format as fmt
from atoll.database.garbage import Garbage
from atoll.database.schema import Table
from atoll.storage.engine import Snapshot


class Section(NamedTuple):
    name: str
    check: Callable[[Snapshot, Context], Iterator[Finding]]


def of(snapshot: Snapshot) -> list[Section]:
    """The sections of a store with the tables of this snapshot."""
    names = [table.name for _, table in parsed(snapshot, fmt.TABLES, Table) if table is not None]
    return [
        Section("catalog", catalog.check),
        Section("scheduled work", schedule.check),
        *(Section(f"table {name}", partial(_check_table, name)) for name in names),
        Section("logs of deleted tables", _check_deleted_logs),
        Section("orphans", orphans.check),
    ]


def check(snapshot: Snapshot, context: Context) -> Iterator[Finding]:
    """All sections on one snapshot."""
    for section in of(snapshot):
        yield from section.check(snapshot, context)


def _check_table(name: str, snapshot: Snapshot, context: Context) -> Iterator[Finding]:
    stored = snapshot.get(fmt.table_key(name))
    table = None if stored is None else read(Table, stored)
    if table is not None:  # it may be deleted since the sections were listed
        yield from items.check(snapshot, table)
        yield from log.check(snapshot, table.log_space, table)


def _check_deleted_logs(snapshot: Snapshot, context: Context) -> Iterator[Finding]:
    """Check logs of deleted tables, which are kept while readers may need them."""
    kept = {
        garbage.space
        for _, garbage in parsed(snapshot, fmt.GARBAGE, Garbage)
        if garbage is not None and garbage.due_ms > context.now_ms
    }
    logs = dict.fromkeys(fmt.parse_shard_key(key)[0] for key, _ in snapshot.scan(*fmt.SHARDS))
    for log_space in logs:
        if log_space in kept:
            yield from log.check(snapshot, log_space, None)
