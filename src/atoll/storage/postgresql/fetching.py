"""Fetch what a batch of functions wants, in one statement."""

from __future__ import annotations

from asyncpg import Record

from atoll.storage.postgresql import statements
from atoll.storage.postgresql.connection import Connection
from atoll.storage.postgresql.fetched import Fetched, Scanned, Span


async def fetch(connection: Connection, schema: str, fetched: Fetched, *, deadline_s: float) -> None:
    """One round trip. Adds what is wanted to `fetched`."""
    rows, numbers = list(fetched.wants_rows), [*fetched.wants_numbers, *fetched.ride_along]
    tallies = list(fetched.wants_tallies)
    scans = list(fetched.wants_scans.items())
    forward = [scan for scan in scans if not scan[0][2]]
    backward = [scan for scan in scans if scan[0][2]]
    arguments: list[object] = [rows, numbers]
    if tallies:
        arguments.append(tallies)
    for some in (forward, backward):
        if some:
            bounds = [_rest(fetched, span) for span, _ in some]
            arguments += [[start for start, _ in bounds], [end for _, end in bounds], [most for _, most in some]]
    statement = statements.fetch(schema, bool(tallies), bool(forward), bool(backward))
    found = await connection.fetch(statement, arguments, deadline_s)
    _keep(fetched, found, forward, backward)


def _rest(fetched: Fetched, span: Span) -> tuple[bytes, bytes]:
    """The part of a scan's range that was not read."""
    start, end, reverse = span
    scanned = fetched.scans.get(span)
    if scanned is None or not scanned.rows:
        return start, end
    last = scanned.rows[-1][0]
    return (start, last) if reverse else (last + b"\0", end)


def _keep(
    fetched: Fetched, found: list[Record], forward: list[tuple[Span, int]], backward: list[tuple[Span, int]]
) -> None:
    before = {key: fetched.numbers[key] for key in fetched.ride_along}
    fetched.rows.update(dict.fromkeys(fetched.wants_rows))
    fetched.numbers.update(dict.fromkeys(fetched.wants_numbers, 0))
    fetched.numbers.update(dict.fromkeys(fetched.ride_along, 0))
    fetched.tallies.update(dict.fromkeys(fetched.wants_tallies, 0))
    pages: dict[int, list[tuple[bytes, bytes]]] = {}
    commits, size = 0, 0
    rows = fetched.rows
    for kind, key, value in found:
        if kind == statements.ROW:
            rows[key] = value
            size += len(value)
        elif kind >= statements.SCAN:
            pages.setdefault(kind - statements.SCAN, []).append((key, value))
            size += len(value)
        elif kind == statements.NUMBER:
            fetched.numbers[key] = int.from_bytes(value, "big", signed=True)
        elif kind == statements.TALLY:
            fetched.tallies[key] = int.from_bytes(value, "big", signed=True)
        else:
            commits = int.from_bytes(value, "big", signed=True)
    for direction, some in enumerate((forward, backward)):
        for number, (span, most) in enumerate(some):
            _add_page(fetched.scans.setdefault(span, Scanned()), pages.get(2 * number + direction, []), most, span[2])
    fetched.size += size
    fetched.trips += 1
    if fetched.commits is None:
        fetched.commits = commits
    else:
        fetched.is_torn |= commits != fetched.commits
        fetched.is_torn_along |= any(fetched.numbers[key] != value for key, value in before.items())
    fetched.wants_rows.clear()
    fetched.wants_numbers.clear()
    fetched.wants_tallies.clear()
    fetched.wants_scans.clear()


def _add_page(scanned: Scanned, page: list[tuple[bytes, bytes]], most: int, reverse: bool) -> None:
    page.sort(reverse=reverse)  # they come in order, but SQL does not promise it
    scanned.rows += page
    if len(page) < most:
        scanned.complete = sum([len(key) + len(value) for key, value in page]) < statements.PAGE_BYTES
