"""Fetch the data that a batch of functions needs, in one statement."""

from __future__ import annotations

from typing import Any

from atoll.storage.buffer import Row
from atoll.storage.postgresql import longkeys, statements
from atoll.storage.postgresql.connection import Connection
from atoll.storage.postgresql.fetched import Fetched, Scanned, Span


async def fetch(connection: Connection, schema: str, fetched: Fetched, *, deadline_s: float) -> None:
    """One round trip. Adds what is wanted to `fetched`."""
    rows = [key if len(key) <= longkeys.PREFIX_BYTES else longkeys.stored_key(key) for key in fetched.wants_rows]
    arguments: list[object] = [rows, [*fetched.wants_numbers, *fetched.ride_along]]
    if fetched.wants_tallies:
        arguments.append(list(fetched.wants_tallies))
    directions = _add_scans(fetched, arguments) if fetched.wants_scans else _NO_SCANS
    forward, backward = directions
    statement = statements.fetch(schema, bool(fetched.wants_tallies), bool(forward), bool(backward))
    found = await connection.fetch(statement, arguments, deadline_s)
    pages, commits = _keep(fetched, found)
    for direction, some in enumerate(directions):
        for number, (span, most) in enumerate(some):
            page = pages.get(2 * number + direction, [])
            is_cut = len(page) == most or sum([len(k) + len(v) for k, v in page]) >= statements.PAGE_BYTES
            if is_cut and len(page[-1][0]) == longkeys.STORED_BYTES:
                rest, commits = await _rest_of_group(connection, schema, page[-1][0], span[2], commits, deadline_s)
                page += rest
            _add_page(fetched.scans.setdefault(span, Scanned()), page, is_cut, span)
    _note_commits(fetched, commits)
    fetched.trips += 1
    fetched.want_nothing()


Scans = list[tuple[Span, int]]

_NO_SCANS: tuple[Scans, Scans] = ([], [])


def _add_scans(fetched: Fetched, arguments: list[object]) -> tuple[Scans, Scans]:
    """Add the arguments of scans. Returns the scans, those forward and those backward."""
    scans = list(fetched.wants_scans.items())
    directions = [scan for scan in scans if not scan[0][2]], [scan for scan in scans if scan[0][2]]
    for some in directions:
        if some:
            bounds = [_rest(fetched, span) for span, _ in some]
            arguments += [[start for start, _ in bounds], [end for _, end in bounds], [most for _, most in some]]
    return directions


def _rest(fetched: Fetched, span: Span) -> tuple[bytes, bytes]:
    """The part of a scan's range that was not read, as stored keys."""
    start, end = longkeys.first_stored(span[0]), longkeys.end_stored(span[1])
    scanned = fetched.scans.get(span)
    if scanned is None or scanned.resume is None:
        return start, end
    return (start, scanned.resume) if span[2] else (scanned.resume, end)


def _keep(fetched: Fetched, found: list[Any]) -> tuple[dict[int, list[Row]], int]:
    """Returns the pages of scans by their number, and the number of commits."""
    rows, numbers, along = fetched.rows, fetched.numbers, fetched.ride_along
    rows.update(dict.fromkeys(fetched.wants_rows))
    for key in fetched.wants_numbers:
        numbers[key] = 0
    for key in fetched.wants_tallies:
        fetched.tallies[key] = 0
    pages: dict[int, list[Row]] = {}
    commits = size = 0
    came_along: dict[bytes, int] = dict.fromkeys(along, 0)
    for kind, key, value in found:
        if kind == statements.ROW:
            if len(key) == longkeys.STORED_BYTES:
                key, value = longkeys.full_row(key, value)
            rows[key] = value
            size += len(value)
        elif kind >= statements.SCAN:
            pages.setdefault(kind - statements.SCAN, []).append((key, value))
            size += len(value)
        elif kind == statements.NUMBER:
            (came_along if key in along else numbers)[key] = int.from_bytes(value, "big", signed=True)
        elif kind == statements.TALLY:
            fetched.tallies[key] = int.from_bytes(value, "big", signed=True)
        else:
            commits = int.from_bytes(value, "big", signed=True)
    fetched.size += size
    for key, number in came_along.items():
        if numbers[key] != number:
            numbers[key] = number
            fetched.is_as_known = False
            fetched.is_torn_along |= fetched.trips > 0
    return pages, commits


def _note_commits(fetched: Fetched, commits: int) -> None:
    if fetched.commits is None:
        fetched.commits = commits
    else:
        fetched.is_torn |= commits != fetched.commits


async def _rest_of_group(
    connection: Connection, schema: str, last: bytes, reverse: bool, commits: int, deadline_s: float
) -> tuple[list[Row], int]:
    """The rows that follow `last` in its group, which a page has cut."""
    prefix = last[: longkeys.PREFIX_BYTES]
    start, end = (prefix + b"\0", last) if reverse else (last + b"\0", prefix + b"\xff" * 33)
    found = await connection.fetch(statements.rows_between(schema), (start, end), deadline_s)
    rows = [(key, value) for kind, key, value in found if kind == statements.ROW]
    now = next(value for kind, _, value in found if kind == statements.COMMITS)
    # A number that no commit has tells that there was one in between.
    return rows, commits if int.from_bytes(now, "big", signed=True) == commits else -1


def _add_page(scanned: Scanned, page: list[Row], is_cut: bool, span: Span) -> None:
    start, end, reverse = span
    scanned.complete = not is_cut
    if not page:
        return
    page.sort(reverse=reverse)  # they come in order, but SQL does not promise it
    last = page[-1][0]
    if len(last) == longkeys.STORED_BYTES:
        last = last[: longkeys.PREFIX_BYTES]
        scanned.resume = last + (b"\0" if reverse else b"\xff" * 33)
    else:
        scanned.resume = last if reverse else last + b"\0"
    if any(len(key) == longkeys.STORED_BYTES for key, _ in page) or longkeys.is_long(start) or longkeys.is_long(end):
        page = sorted([row for row in (longkeys.full_row(*row) for row in page) if start <= row[0] < end])
        if reverse:
            page.reverse()
    scanned.rows += page
