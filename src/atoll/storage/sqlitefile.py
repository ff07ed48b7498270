"""The SQLite engine's file: its format, and reading and writing rows through one connection.

    application_id  "Atol"; `connect` refuses a file of another application
    user_version    the format's version, 3; `connect` refuses another version (`migration` migrates older ones)
    kv              id INTEGER PRIMARY KEY, k BLOB UNIQUE, v BLOB, c INTEGER    one row per key
    counters        kind INTEGER, k BLOB, n INTEGER, c INTEGER                  one row per number (kind 0) and tally
                                                                                (kind 1) that is not 0

`c` is the row's checksum: the CRC-32 of the key and the value. It is verified whenever a row is read.

Both kinds of counters are in one table, since most commits change some of each, and so write one page.

`kv` is a rowid table with an index by key, not a WITHOUT ROWID table. This halves the cost of an upsert of a 1 KB
value: the b-tree of keys stays small, and new values are appended at the end of the table.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from pathlib import Path

import apsw
from isal.isal_zlib import crc32

from atoll.storage.buffer import Buffer, Row
from atoll.storage.engine import Corrupt, Damaged, Full

APPLICATION_ID = 0x41746F6C
FORMAT_VERSION = 4
PAGE_BYTES = 4096
INCREMENTAL = 2
"""The value of SQLite's `auto_vacuum` by which unused pages can be given back to the disk. Files of older versions have
0 until `atoll store compact`."""

# Pages are read through a memory map, so a point read costs the same at any file size. The page cache holds pages that
# are still in the WAL. Both numbers are limits; unused space costs no memory.
MAP_BYTES = 64 * 1024**3
CACHE_KIB = 8 * 1024
BUSY_MS = 10_000
KEPT_COUNTERS = 10_000

NUMBERS, TALLIES = 0, 1
"""The kinds of counters."""

CREATE = """
CREATE TABLE kv (id INTEGER PRIMARY KEY, k BLOB NOT NULL UNIQUE, v BLOB NOT NULL, c INTEGER NOT NULL);
CREATE TABLE counters (
    kind INTEGER NOT NULL, k BLOB NOT NULL, n INTEGER NOT NULL, c INTEGER NOT NULL, PRIMARY KEY (kind, k)
) WITHOUT ROWID;
"""
_STAMP = f"PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {FORMAT_VERSION};"
_GET = "SELECT v, c FROM kv WHERE k = ?"
# SQLite's plan may depend on the value of a bare `LIMIT ?`, so it would recompile the statement each time. `+?` avoids
# that.
_SCAN = "SELECT k, v, c FROM kv WHERE k >= ? AND k < ? ORDER BY k LIMIT +?"
_SCAN_REVERSE = "SELECT k, v, c FROM kv WHERE k >= ? AND k < ? ORDER BY k DESC LIMIT +?"
_TEXT = "SELECT CAST(k AS BLOB) FROM kv WHERE k >= ? AND k < ? AND 'text' IN (typeof(k), typeof(v), typeof(c)) LIMIT 1"
_PUT = "INSERT INTO kv (k, v, c) VALUES (?, ?, ?) ON CONFLICT (k) DO UPDATE SET v = excluded.v, c = excluded.c"
_DELETE = "DELETE FROM kv WHERE k = ?"
_DELETE_RANGE = "DELETE FROM kv WHERE k >= ? AND k < ?"
_FIRST_ROW = "SELECT 1 FROM counters"
_COUNTER = "SELECT n, c FROM counters WHERE kind = ? AND k = ?"
_SET_COUNTER = "REPLACE INTO counters (kind, k, n, c) VALUES (?, ?, ?, ?)"
_DELETE_COUNTER = "DELETE FROM counters WHERE kind = ? AND k = ?"

_NO_BYTES = (TypeError, UnicodeDecodeError)
"""SQLite's own bytes are damaged: a value is a number, NULL or a text, which may not be valid UTF-8."""


def bytes_or_hex(*columns: str) -> str:
    """These columns, for a query of rows that may be damaged. SQLite's own bytes say whether a value is a text. A text
    that is not valid UTF-8 cannot be read, so all texts come in hexadecimal digits."""
    return ", ".join(f"iif(typeof({column}) = 'text', hex({column}), {column})" for column in columns)


def fault(error: apsw.Error, path: Path | None = None) -> Exception:
    """Translate an SQLite error into the exception that the engine's contract names. Its text names the `path`."""
    text = str(error) if path is None else f"{path}: {error}"
    if isinstance(error, apsw.FullError | apsw.IOError | apsw.CantOpenError | apsw.ReadOnlyError):
        return Full(text)
    if isinstance(error, apsw.CorruptError | apsw.NotADBError) or _is_of_schema(error):
        return Corrupt(text)
    return error


def _is_of_schema(error: apsw.Error) -> bool:
    """Whether the schema lacks what a statement names. The statements never change, so the file is damaged."""
    return isinstance(error, apsw.SQLError) and "transaction" not in str(error)


def is_failed_sync(error: BaseException) -> bool:
    """Whether the kernel may have discarded pages that it could not write. What the disk has of them is unknown."""
    return getattr(error, "extendedresult", None) == apsw.SQLITE_IOERR_FSYNC


def format_of(path: Path) -> tuple[int, int]:
    """The application and the version of a file."""
    try:
        with closing(apsw.Connection(str(path))) as connection:
            connection.set_busy_timeout(BUSY_MS)
            connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, True)  # leave the files as they are
            return connection.pragma("application_id"), connection.pragma("user_version")
    except apsw.Error as error:
        raise Corrupt(f"{path}: {error}") from error


def log_of(path: Path) -> Path:
    """The file's write-ahead log."""
    return path.with_name(f"{path.name}-wal")


def identity(path: Path) -> tuple[int, int] | None:
    """The identity of a file, independent of its name; None if the file does not exist."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def connect(path: Path, *, synced: bool) -> apsw.Connection:
    """Connect to the file, creating it if missing. With `synced`, commits wait for the disk. Raises Corrupt for a file
    that is not an Atoll store, and Full if its disk fails. Closing the last connection keeps the WAL, because the mark
    of acknowledged commits counts its frames."""
    if not path.exists():  # SQLite's other files get the mode of this one
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    try:
        connection = apsw.Connection(str(path))
    except apsw.Error as error:
        raise fault(error, path) from error
    try:
        connection.set_busy_timeout(BUSY_MS)
        connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, True)
        _check_format(connection, path)
        for pragma, value in (
            ("synchronous", "FULL" if synced else "NORMAL"),
            ("fullfsync", synced),  # on macOS: F_FULLFSYNC, as in `platforms.sync_data`
            ("checkpoint_fullfsync", synced),
            ("wal_autocheckpoint", 0),
            ("mmap_size", MAP_BYTES),
            ("cache_size", -CACHE_KIB),
        ):
            connection.pragma(pragma, value)
    except apsw.Error as error:
        connection.close(True)
        raise fault(error, path) from error
    except Exception:
        connection.close(True)
        raise
    return connection


def _check_format(connection: apsw.Connection, path: Path) -> None:
    application, version = connection.pragma("application_id"), connection.pragma("user_version")
    if application == version == 0 and connection.execute("SELECT count(*) FROM sqlite_schema").get == 0:
        connection.pragma("page_size", PAGE_BYTES)
        connection.pragma("auto_vacuum", INCREMENTAL)
        connection.pragma("journal_mode", "wal")
        connection.execute(f"BEGIN IMMEDIATE; {CREATE} {_STAMP} COMMIT").fetchall()
    elif application != APPLICATION_ID:
        raise Corrupt(f"{path} was not written by Atoll")
    elif version != FORMAT_VERSION:
        raise Corrupt(f"{path} has format version {version}; this Atoll reads version {FORMAT_VERSION}")


# The start of sqlite3_io_methods; only the sixth member is used: int iVersion; xClose; xRead; xWrite; xTruncate;
# int (*xSync)(sqlite3_file*, int flags). A sqlite3_file begins with a pointer to this struct.
_X_SYNC = 5
_SYNC = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int)


def sync_file(connection: apsw.Connection) -> None:
    """fsync the database file (not the WAL) through SQLite's own descriptor: closing another descriptor would drop
    this process's SQLite locks. Raises Corrupt if the sync fails: the kernel may have discarded pages that SQLite
    considers written. Only the WAL still has them, and SQLite reads it again at the next start."""
    file = ctypes.c_void_p()
    connection.file_control("main", apsw.SQLITE_FCNTL_FILE_POINTER, ctypes.addressof(file))
    assert file.value is not None
    methods = ctypes.cast(file.value, ctypes.POINTER(ctypes.POINTER(ctypes.c_void_p)))[0]
    if _SYNC(methods[_X_SYNC])(file.value, apsw.SQLITE_SYNC_FULL) != apsw.SQLITE_OK:
        raise Corrupt(f"{connection.filename} could not be synced; restart the server when the disk works again")


class _Counters:
    """The numbers or the tallies of a connection, cached until `forget`."""

    def __init__(self, kind: int, execute: Callable[..., apsw.Cursor]) -> None:
        self._kind = kind
        self._execute = execute
        self._known: dict[bytes, int] = {}
        self._changed: dict[bytes, int] = {}
        """Its keys, in the order of the changes: equal transactions make equal files."""

    def get(self, key: bytes) -> int:
        value = self._known.get(key)
        if value is None:
            value = 0
            try:
                stored = self._execute(_COUNTER, (self._kind, key)).get
            except UnicodeDecodeError as error:
                raise Damaged(key) from error
            if stored is not None:
                value, checksum = stored
                if type(value) is not int or _checksum_of_counter(key, value) != checksum:
                    raise Damaged(key)
            self._known[key] = value
        return value

    def update(self, values: dict[bytes, int]) -> None:
        self._known.update(values)
        self._changed.update(values)

    def add(self, amounts: dict[bytes, int]) -> None:
        for key, amount in amounts.items():
            self._known[key] = self.get(key) + amount
            self._changed[key] = 0

    def write(self) -> None:
        """Write each counter that was set since the last call once."""
        for key in self._changed:
            if value := self._known[key]:
                self._execute(_SET_COUNTER, (self._kind, key, value, _checksum_of_counter(key, value)))
            else:
                self._execute(_DELETE_COUNTER, (self._kind, key))
        self._changed.clear()

    def forget(self) -> None:
        self._known.clear()
        self._changed.clear()

    def trim(self) -> None:
        if len(self._known) > KEPT_COUNTERS:
            self._known.clear()


def checksum(key: bytes, value: bytes) -> int:
    return crc32(value, crc32(key))


def _checksum_of_counter(key: bytes, value: int) -> int:
    return checksum(key, value.to_bytes(8, "big", signed=True))


class Rows:
    """One connection as a `Snapshot`: all reads between `begin` and `end` see one snapshot.

    Counters are cached until the data version changes. SQLite changes this number of a connection when a transaction
    starts and finds that another connection has committed.
    """

    is_remote = False

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection
        self._execute: Callable[..., apsw.Cursor] = connection.cursor().execute
        self._scans: list[apsw.Cursor] = []
        self._numbers = _Counters(NUMBERS, self._execute)
        self._tallies = _Counters(TALLIES, self._execute)
        self._counters_version = -1
        self.number = self._numbers.get
        self.tally = self._tallies.get

    def get(self, key: bytes) -> bytes | None:
        try:
            row: tuple[bytes, int] | None = self._execute(_GET, (key,)).get
            if row is None:
                return None
            value, stored = row
            if crc32(value, crc32(key)) == stored:
                return value
        except _NO_BYTES:
            pass
        raise Damaged(key)

    def get_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        return [self.get(key) for key in keys]

    def scan(self, start: bytes, end: bytes, *, reverse: bool = False, limit: int | None = None) -> Iterator[Row]:
        cursor = self._connection.cursor()
        self._scans.append(cursor)
        rows = cursor.execute(_SCAN_REVERSE if reverse else _SCAN, (start, end, -1 if limit is None else limit))
        return _verified(rows, lambda: self._text_in(start, end))

    def _text_in(self, start: bytes, end: bytes) -> bytes:
        """The key of a row in this range that has a text."""
        return self._execute(_TEXT, (start, end)).get or start

    def first(self, ranges: Sequence[tuple[bytes, bytes]]) -> list[Row | None]:
        return [next(iter(self.scan(*one, limit=1)), None) for one in ranges]

    def prefetch(
        self, rows: Sequence[bytes] = (), numbers: Sequence[bytes] = (), tallies: Sequence[bytes] = ()
    ) -> None:
        """Nothing to do: reads are local."""

    def free_bytes(self) -> int:
        """The size of the file's free pages."""
        pages: int = self._connection.pragma("freelist_count")
        return pages * PAGE_BYTES

    def file_bytes(self) -> int:
        pages: int = self._connection.pragma("page_count")
        return pages * PAGE_BYTES

    def can_shrink(self) -> bool:
        return bool(self._connection.pragma("auto_vacuum") == INCREMENTAL)

    def shrink(self, pages: int) -> None:
        """Move `pages` free pages to the end of the file, and cut them off. Works only within a transaction."""
        self._execute(f"PRAGMA incremental_vacuum({pages})").fetchall()

    def begin(self, how: str) -> None:
        self._execute(how)
        if self._connection.txn_state("main") == apsw.SQLITE_TXN_NONE:  # SQLite begins at the first statement
            self._execute(_FIRST_ROW).get  # noqa: B018 - the property runs the statement
        version = self._connection.data_version()
        if version != self._counters_version:
            self._numbers.forget()
            self._tallies.forget()
            self._counters_version = version
        else:
            self._numbers.trim()
            self._tallies.trim()

    def end(self) -> None:
        self.close_scans()
        self._execute("COMMIT")

    def close_scans(self) -> None:
        """Close unfinished scans: each would keep its snapshot open, and the WAL could not be reset."""
        for scan in self._scans:
            scan.close(True)
        self._scans.clear()

    def apply(self, buffer: Buffer) -> bool:
        """Write a transaction's buffered changes except its counters; return whether there were any changes."""
        execute = self._execute
        for start, end in buffer.cleared:
            execute(_DELETE_RANGE, (start, end))
        for key, value in buffer.rows.items():
            if value is None:
                execute(_DELETE, (key,))
            else:
                execute(_PUT, (key, value, crc32(value, crc32(key))))
        if buffer.numbers:
            self._numbers.update(buffer.numbers)
        if buffer.tallies:
            self._tallies.add(buffer.tallies)
        return bool(buffer.rows or buffer.cleared or buffer.numbers or buffer.tallies)

    def put(self, key: bytes, value: bytes) -> None:
        self._execute(_PUT, (key, value, crc32(value, crc32(key))))

    def set_counter(self, key: bytes, value: int, *, tally: bool) -> None:
        """`write_counters` writes it."""
        (self._tallies if tally else self._numbers).update({key: value})

    def commit(self) -> None:
        """Commit, durably if the connection is `synced`. After a failure nothing is applied; call `roll_back`."""
        self._execute("COMMIT")
        self._counters_version = self._connection.data_version()

    def write_counters(self) -> None:
        """Write each counter that changed since `begin` once."""
        self._numbers.write()
        self._tallies.write()

    def roll_back(self) -> None:
        self.close_scans()
        self._numbers.forget()
        self._tallies.forget()
        self._counters_version = -1
        if self._connection.in_transaction:
            self._execute("ROLLBACK")


def _verified(rows: Iterable[tuple[bytes, bytes, int]], text: Callable[[], bytes]) -> Iterator[Row]:
    """`text` finds the key of a row that could not be read, because it has a text."""
    key = b""
    try:
        for key, value, stored in rows:
            if crc32(value, crc32(key)) != stored:
                raise Damaged(key)
            yield key, value
    except UnicodeDecodeError as error:
        raise Damaged(text()) from error
    except TypeError as error:
        raise Damaged(key if type(key) is bytes else str(key).encode()) from error
