"""The due index: all background work of a region, ordered by the time at which it is due.

A row of the index has a time, a kind of work, and its subject (see `format`). The transaction that makes work necessary
also schedules it, so a crash loses none, and an idle node reads one row. Work that is scheduled twice does no harm,
since each job first checks the current state. `background` runs the jobs.
"""

from __future__ import annotations

from atoll.database import format as fmt
from atoll.storage.engine import Transaction


def schedule(tx: Transaction, due_ms: int, kind: bytes, subject: bytes) -> None:
    tx.put(fmt.due_key(due_ms, kind, subject), b"")
