"""Store how far a table's log has been sent to a Kinesis stream.

The position is a separate document, since it moves with each batch. While a destination is on, the log keeps both
images of each change.
"""

from __future__ import annotations

from collections.abc import Iterator

from atoll.database import documents
from atoll.database.log.cursor import Cursor
from atoll.storage.engine import Snapshot, Transaction

KIND = "kinesis-position"


def find(snapshot: Snapshot, table_id: str, stream: str) -> Cursor | None:
    stored = documents.get(snapshot, KIND, table_id, stream)
    return None if stored is None else Cursor(tuple((shard, number) for shard, number in stored["positions"]))


def put(tx: Transaction, table_id: str, stream: str, cursor: Cursor) -> None:
    stored = {"table": table_id, "stream": stream, "positions": cursor.positions}
    documents.put(tx, stored, KIND, table_id, stream)


def forget(tx: Transaction, table_id: str, stream: str) -> None:
    documents.delete(tx, KIND, table_id, stream)


def listed(snapshot: Snapshot) -> Iterator[tuple[str, str]]:
    """The table and stream of each stored position."""
    for stored in documents.listed(snapshot, KIND):
        yield stored["table"], stored["stream"]
