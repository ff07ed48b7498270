"""The due index: all background work of a region, in the order of the times at which it is due.

A row of the index names a time, a kind of work, and its subject, see `format`. Whatever makes work necessary schedules
it in the same transaction, so a crash loses none, and an idle node reads one row. Work that is scheduled twice does no
harm: each job looks at the current state first. `background` runs the jobs.
"""

from __future__ import annotations

from atoll.database import format as fmt
from atoll.storage.engine import Transaction


def schedule(tx: Transaction, due_ms: int, kind: bytes, subject: bytes) -> None:
    tx.put(fmt.due_key(due_ms, kind, subject), b"")
