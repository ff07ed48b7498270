"""Read the file of a store for a check: find its damage, and present its intact rows as a `Snapshot`.

A row that does not match its checksum is treated as missing. So the checks that compare rows report the effects of its
loss, and their repairs are right once the row is dropped.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from time import sleep
from typing import Any, NamedTuple

import apsw

from atoll.check import findings as on
from atoll.check.findings import Finding
from atoll.check.spaces import Spaces, read
from atoll.database import format as fmt
from atoll.database.schema import Table
from atoll.storage.buffer import Row
from atoll.storage.engine import Corrupt
from atoll.storage.sqlitefile import BUSY_MS, CACHE_KIB, MAP_BYTES, NUMBERS, TALLIES, bytes_or_hex, checksum

REPORTED_FAULTS = 100
"""Faults of the file that SQLite lists."""

CHUNK_ROWS = 20_000
"""The rows that one read transaction reads when the check reads row by row."""

LOG_PAGES, RESET_LOOKS, RESET_LOOK_S = 4_000, 200, 0.01
"""The size of the WAL at which a check lets the server reset it, and how long the check waits for that."""

_TICK_ROWS = 500

COLUMNS = f"""id, CAST(k AS BLOB), CAST(v AS BLOB), {bytes_or_hex("c")}, typeof(k) = 'blob' AND typeof(v) = 'blob'"""
"""Those of `Stored`. If SQLite's own bytes are damaged, a key or a value may have become a text or a number."""

_GET = f"SELECT {COLUMNS} FROM kv WHERE k = ?"
_SCAN = f"SELECT {COLUMNS} FROM kv WHERE k >= ? AND k < ? ORDER BY k"
_SCAN_REVERSE = f"{_SCAN} DESC"
_COUNTER = f"SELECT {bytes_or_hex('n', 'c')} FROM counters WHERE kind = ? AND k = ?"
_COUNTERS = f"SELECT {bytes_or_hex('k', 'n', 'c')} FROM counters WHERE kind = ? AND k >= ? AND k < ? ORDER BY k"
_ALL_COUNTERS = f"SELECT {bytes_or_hex('kind', 'k', 'n', 'c')} FROM counters ORDER BY kind, k"
_ROWS = f"SELECT {COLUMNS} FROM kv WHERE id >= ? ORDER BY id LIMIT ?"

Tick = Callable[[int], None]
"""Receives the number of rows read since the last call."""


def open_file(path: Path, *, read_only: bool = False, keeps_log: bool = True) -> apsw.Connection:
    """Connect to an existing file. Unless `keeps_log`, closing moves the write-ahead log into the file."""
    flags = apsw.SQLITE_OPEN_READONLY if read_only else apsw.SQLITE_OPEN_READWRITE
    try:
        connection = apsw.Connection(str(path), flags=flags)
        connection.set_busy_timeout(BUSY_MS)
        connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, keeps_log)
        connection.pragma("mmap_size", MAP_BYTES)
        connection.pragma("cache_size", -CACHE_KIB)
    except apsw.Error as error:
        raise Corrupt(f"{path}: {error}") from error
    return connection


class Stored(NamedTuple):
    """A row of the file as it is."""

    id: int
    key: Any
    value: Any
    checksum: Any
    are_bytes: int
    """Whether the key and the value are bytes in the file, too."""

    @property
    def is_intact(self) -> bool:
        return bool(self.are_bytes) and self._has_checksum

    @property
    def _has_checksum(self) -> bool:
        key, value = self.key, self.value
        return type(key) is bytes and type(value) is bytes and bool(checksum(key, value) == self.checksum)

    @property
    def is_definition(self) -> bool:
        """Whether this damaged row is, or may be, the definition of a table. A repair keeps it: without it all items of
        the table would be lost."""
        if type(self.key) is bytes and fmt.TABLES[0] <= self.key < fmt.TABLES[1]:
            return True
        return type(self.value) is bytes and self.value.startswith(b"{") and read(Table, self.value) is not None

    def restored(self) -> Stored | None:
        """The row as it was: if SQLite takes its bytes for a text, or if this is a table's definition and only its key
        is damaged."""
        if self._has_checksum:
            return self._replace(are_bytes=True)
        table: Table | None = read(Table, self.value) if type(self.value) is bytes else None
        if table is None or type(table.name) is not str:
            return None
        row = self._replace(key=fmt.table_key(table.name), are_bytes=True)
        return row if row.is_intact else None


def is_intact_counter(kind: Any, key: Any, value: Any, stored: Any) -> bool:
    if kind not in (NUMBERS, TALLIES) or type(key) is not bytes or type(value) is not int:
        return False
    return bool(checksum(key, value.to_bytes(8, "big", signed=True)) == stored)


def rows(connection: apsw.Connection) -> Iterator[Stored]:
    """All readable rows, in the order of their ids; skips damaged pages. Reads a chunk in one transaction."""
    start = 0
    while True:
        last, count = start - 1, 0
        try:
            for row in connection.execute(_ROWS, (start, CHUNK_ROWS)):
                last, count = row[0], count + 1
                yield Stored(*row)
        except apsw.CorruptError:
            after = _readable_after(connection, last + 1)
            if after is None:
                return
            start = after
            continue
        if count < CHUNK_ROWS:
            return
        start = last + 1


def _readable_after(connection: apsw.Connection, damaged: int) -> int | None:
    """The least id after `damaged` whose row can be read; None if there is none."""

    def is_readable(start: int) -> bool:
        try:
            return bool(connection.execute(_ROWS, (start, 1)).get)
        except apsw.CorruptError:
            return False

    step = 1
    while not is_readable(damaged + step):
        step *= 2
        if damaged + step > 1 << 60:
            return None
    low, high = damaged + step // 2, damaged + step
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if is_readable(middle) else (middle, high)
    return high


def counters(connection: apsw.Connection) -> Iterator[tuple[Any, Any, Any, Any]]:
    """The readable counters: kind, key, value, checksum."""
    try:
        yield from connection.execute(_ALL_COUNTERS)
    except apsw.CorruptError:
        return


def check_pages(connection: apsw.Connection) -> Iterator[Finding]:
    """SQLite's own check of the file, which includes its indexes."""
    try:
        faults = [text for (text,) in connection.execute(f"PRAGMA integrity_check({REPORTED_FAULTS})")]
    except apsw.Error as error:
        faults = [str(error)]
    for fault in faults:
        if fault != "ok":
            yield Finding(on.FILE, None, None, fault, is_loss=True)


def check_checksums(connection: apsw.Connection, tick: Tick) -> Iterator[Finding]:
    """The checksum of each row."""
    spaces: Spaces | None = None
    seen = 0
    for seen, row in enumerate(rows(connection), 1):
        if seen % _TICK_ROWS == 0:
            tick(_TICK_ROWS)
        if not row.is_intact:
            spaces = spaces or _spaces(connection)
            yield _damaged(spaces, row)
    tick(seen % _TICK_ROWS)
    for kind, key, value, stored in counters(connection):
        if not is_intact_counter(kind, key, value, stored):
            yield _damaged_counter(kind, key)


def _spaces(connection: apsw.Connection) -> Spaces | None:
    try:
        return Spaces(FileSnapshot(connection))
    except apsw.Error:
        return None


def _damaged_counter(kind: Any, key: Any) -> Finding:
    if type(key) is not bytes or kind not in (NUMBERS, TALLIES):
        return Finding(on.FILE, None, repr(key), "a counter and its key are unreadable")
    fix = on.set_tally(key, 0) if kind == TALLIES else on.set_number(key, 0)
    name = "tally" if kind == TALLIES else "number"
    return Finding(on.CHECKSUM, None, key.hex(), f"a {name} does not match its checksum", (fix,))


def _damaged(spaces: Spaces | None, row: Stored) -> Finding:
    right = row.restored()
    if right is not None and right.key != row.key:
        text = "the key of the definition of a table does not match its checksum; a repair restores it"
        return Finding(on.CHECKSUM, None, fmt.subject_of(right.key).decode(), text, (on.put(right.key, row.value),))
    if type(row.key) is not bytes or spaces is None:
        return Finding(on.FILE, None, repr(row.key), "a row and its key are unreadable", is_loss=True)
    table, shown, name = spaces.describe(row.key)
    if right is not None:
        text = f"the {name} is stored as a text; a repair restores it"
        return Finding(on.CHECKSUM, table, shown, text, (on.put(right.key, right.value),))
    if row.is_definition:
        text = f"the {name} does not match its checksum; it cannot be repaired: restore the store from a backup"
        return Finding(on.CHECKSUM, table, shown, text, is_loss=True)
    is_derived = name == "expiry entry" or name == "scheduled work" or name.startswith("entry of the index")
    text = f"the {name} does not match its checksum" + ("" if is_derived else "; a repair drops it")
    return Finding(on.CHECKSUM, table, shown, text, (on.delete(row.key),), is_loss=not is_derived)


class FileSnapshot:
    """The intact rows of a file, as a `Snapshot` that can list its counters."""

    is_remote = False

    def __init__(self, connection: apsw.Connection, tick: Tick = lambda rows: None) -> None:
        self._execute: Callable[..., apsw.Cursor] = connection.cursor().execute
        self._connection = connection
        self._tick = tick

    @contextmanager
    def transaction(self) -> Iterator[FileSnapshot]:
        """A context in which all reads see one committed state."""
        self._execute("BEGIN")
        try:
            yield self
        finally:
            self._execute("COMMIT")

    def get(self, key: bytes) -> bytes | None:
        row: tuple[Any, ...] | None = self._execute(_GET, (key,)).get
        if row is None:
            return None
        stored = Stored(*row)
        value: bytes = stored.value
        return value if stored.is_intact else None

    def get_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        return [self.get(key) for key in keys]

    def scan(self, start: bytes, end: bytes, *, reverse: bool = False, limit: int | None = None) -> Iterator[Row]:
        cursor = self._connection.cursor()
        left = -1 if limit is None else limit
        read = 0
        try:
            for row in cursor.execute(_SCAN_REVERSE if reverse else _SCAN, (start, end)):
                if left == 0:
                    break
                read += 1
                if read == _TICK_ROWS:
                    self._tick(read)
                    read = 0
                stored = Stored(*row)
                if stored.is_intact:
                    left -= 1
                    yield stored.key, stored.value
        finally:
            cursor.close(True)
            self._tick(read)

    def first(self, ranges: Sequence[tuple[bytes, bytes]]) -> list[Row | None]:
        return [next(self.scan(*one, limit=1), None) for one in ranges]

    def number(self, key: bytes) -> int:
        return self._counter(NUMBERS, key)

    def tally(self, key: bytes) -> int:
        return self._counter(TALLIES, key)

    def _counter(self, kind: int, key: bytes) -> int:
        row: tuple[Any, Any] | None = self._execute(_COUNTER, (kind, key)).get
        return row[0] if row is not None and is_intact_counter(kind, key, *row) else 0

    def counters(self, start: bytes, end: bytes, *, tallies: bool) -> Iterator[tuple[bytes, int]]:
        kind = TALLIES if tallies else NUMBERS
        for key, value, stored in self._connection.cursor().execute(_COUNTERS, (kind, start, end)):
            if is_intact_counter(kind, key, value, stored):
                yield key, value

    def free_bytes(self) -> int:
        return 0

    def prefetch(
        self, rows: Sequence[bytes] = (), numbers: Sequence[bytes] = (), tallies: Sequence[bytes] = ()
    ) -> None:
        """Nothing to do: reads are local."""


class MovingFileSnapshot(FileSnapshot):
    """A snapshot of a file that a server writes. SQLite can reset the WAL only while no process reads from it, so under
    load it would grow while a check reads. Once it has grown, a move waits until the server has reset it."""

    def __init__(self, connection: apsw.Connection, tick: Tick = lambda rows: None) -> None:
        super().__init__(connection, tick)
        self._log_index = Path(f"{connection.filename}-shm")
        self._most_pages = LOG_PAGES

    def move(self) -> None:
        self._execute("COMMIT")
        if self._log_pages() > self._most_pages:
            self._wait_for_reset()
        self._execute("BEGIN")

    def _wait_for_reset(self) -> None:
        for _ in range(RESET_LOOKS):
            sleep(RESET_LOOK_S)
            if self._log_pages() < LOG_PAGES:
                break
        self._most_pages = self._log_pages() + LOG_PAGES  # if the server does not write, the log stays as it is

    def _log_pages(self) -> int:
        """The number of pages in the write-ahead log: mxFrame, in the header of SQLite's index of the log."""
        try:
            with self._log_index.open("rb") as index:
                header = index.read(20)
        except FileNotFoundError:
            return 0
        return int.from_bytes(header[16:20], sys.byteorder)
