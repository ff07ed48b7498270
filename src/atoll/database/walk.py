"""Walking over a space a piece at a time.

Background work runs between the requests, on the same thread: what one transaction of it takes is bounded in rows and
in bytes, so that nobody waits long. Where a walk has come to is stored in the transaction that got it there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from atoll.database import format as fmt
from atoll.storage.engine import Transaction

PIECE_BYTES = 512 * 1024


def piece(rows: Iterable[tuple[bytes, bytes]], most: int) -> tuple[list[tuple[bytes, bytes]], bool]:
    """The first of the rows, and whether they are all."""
    taken: list[tuple[bytes, bytes]] = []
    size = 0
    for row in rows:
        if len(taken) == most or size > PIECE_BYTES:
            return taken, False
        taken.append(row)
        size += len(row[1])
    return taken, True


def walk(tx: Transaction, space: int, progress_key: bytes, most: int, visit: Callable[[bytes, bytes], None]) -> bool:
    """Visit the next rows (key and value) of the space; returns whether all have been visited."""
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
