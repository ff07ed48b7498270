"""Documents: JSON that services other than tables store, each under a kind and some names.

A kind belongs to one module, which alone reads and writes its documents. A document is small and seldom written (an
alarm, a scaling policy, the description of a backup): data that grows with the traffic has its own kind of row in
`format`. Reading a document costs as much as reading any row, so read several together.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson

from atoll.database import due
from atoll.database import format as fmt
from atoll.storage.engine import Snapshot, Transaction


def get(snapshot: Snapshot, kind: str, *names: str) -> Any | None:
    stored = snapshot.get(fmt.document_key(kind, *names))
    return None if stored is None else orjson.loads(stored)


def listed(snapshot: Snapshot, kind: str, *names: str, after: tuple[str, ...] | None = None) -> Iterator[Any]:
    """The documents whose names begin with `names`, in order; if `after` is given, only those after these names."""
    start, end = fmt.documents_of(kind, *names)
    if after is not None:
        _, start = fmt.documents_of(kind, *after)
    for _, stored in snapshot.scan(start, end):
        yield orjson.loads(stored)


def unreadable(snapshot: Snapshot) -> Iterator[bytes]:
    """The keys of all documents that are no JSON."""
    for key, stored in snapshot.scan(*fmt.DOCUMENTS):
        try:
            orjson.loads(stored)
        except orjson.JSONDecodeError:
            yield key


def put(tx: Transaction, document: Any, kind: str, *names: str) -> None:
    tx.put(fmt.document_key(kind, *names), orjson.dumps(document))


def delete_at(tx: Transaction, due_ms: int, kind: str, *names: str) -> None:
    """Schedule the deletion of the document."""
    due.schedule(tx, due_ms, fmt.EXPIRE_BACKUP, fmt.subject_of(fmt.document_key(kind, *names)))


def delete(tx: Transaction, kind: str, *names: str) -> None:
    tx.delete(fmt.document_key(kind, *names))
