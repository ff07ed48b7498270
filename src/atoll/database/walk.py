"""Walk over all rows of a space in small pieces, one transaction for each piece.

Background work runs between requests, on the same thread, so each of its transactions has a limit on rows and bytes,
and no request waits long. A walk stores its progress in the transaction that makes it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from atoll.database import format as fmt
from atoll.storage.engine import Transaction

PIECE_BYTES = 512 * 1024


def piece(rows: Iterable[tuple[bytes, bytes]], most: int) -> tuple[list[tuple[bytes, bytes]], bool]:
    """The first rows within the limits, and whether these are all rows."""
    taken: list[tuple[bytes, bytes]] = []
    size = 0
    for row in rows:
        if len(taken) == most or size > PIECE_BYTES:
            return taken, False
        taken.append(row)
        size += len(row[1])
    return taken, True


def walk(tx: Transaction, space: int, progress_key: bytes, most: int, visit: Callable[[bytes, bytes], None]) -> bool:
    """Visit the next rows (key and value) of the space; returns whether all rows have been visited."""
    start, end = fmt.space_range(space)
    last = tx.get(progress_key)
    rows, all_ = piece(tx.scan(last + b"\0" if last else start, end), most)
    for row in rows:
        visit(*row)
    if all_:
        tx.delete(progress_key)
    else:
        tx.put(progress_key, rows[-1][0])
    return all_
