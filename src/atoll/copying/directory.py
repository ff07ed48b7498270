"""The two ends of a copy for a data directory: source and target.

The target's stores are written to `atoll.db.copying`, which no server opens; each has its position in a table
`copying`. When all are complete and verified, they are renamed. The file DIR/copying exists while a copy is incomplete.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import apsw

from atoll.check import store
from atoll.check.file import COLUMNS, Stored, is_intact_counter, open_file
from atoll.copying.contents import (
    BATCH_BYTES,
    BATCH_ROWS,
    CREDENTIALS,
    DOCUMENTS,
    MARKER,
    POLICIES,
    PRINCIPALS,
    SESSION_KEY,
    CannotCopy,
    Counter,
    RowBatch,
    Sums,
    Verification,
)
from atoll.database.region import DEFAULT_ACCOUNT
from atoll.migration.store import sync
from atoll.security.credentials import FILE_NAME as CREDENTIALS_FILE
from atoll.security.identities import COMMANDS_FILE_NAME
from atoll.security.identities import FILE_NAME as POLICIES_FILE
from atoll.security.sessions import KEY_FILE
from atoll.storage import acknowledged
from atoll.storage.acknowledged import Acknowledged
from atoll.storage.buffer import Row
from atoll.storage.engine import Corrupt, Damaged, Locked
from atoll.storage.locks import FileLock
from atoll.storage.postgresql import longkeys
from atoll.storage.sqlite import FILE_NAME
from atoll.storage.sqlitefile import NUMBERS, TALLIES, Rows, bytes_or_hex, checksum, connect

VERIFIED = b"verified\n"
"""The content of DIR/copying when only the renaming is left."""
DRAFT = f"{FILE_NAME}.copying"
FILES = {
    CREDENTIALS: CREDENTIALS_FILE,
    SESSION_KEY: KEY_FILE,
    POLICIES: POLICIES_FILE,
    PRINCIPALS: COMMANDS_FILE_NAME,
}

_BATCH = f"SELECT {COLUMNS} FROM kv WHERE id > ? ORDER BY id LIMIT {BATCH_ROWS}"
_COUNTERS = f"SELECT {bytes_or_hex('kind', 'k', 'n', 'c')} FROM counters"


class SourceDirectory:
    """Reads everything from one snapshot of each store."""

    def __init__(self, data: Path, directories: list[Path], *, is_used: bool = False) -> None:
        """Open the stores in these directories. `is_used`: a server may use them meanwhile. Raises `Corrupt`, or,
        unless `is_used`, `Locked` if a server uses one."""
        self._data = data
        self._is_used = is_used
        self._opened = ExitStack()
        self._connections: dict[str, apsw.Connection] = {}
        try:
            for directory in directories:
                self._open(directory)
        except BaseException:
            self.close()
            raise

    def __str__(self) -> str:
        return str(self._data)

    def _open(self, directory: Path) -> None:
        path, log = directory / FILE_NAME, directory / f"{FILE_NAME}-wal"
        with ExitStack() as opened:
            lock = FileLock(directory / "owner.lock")
            opened.callback(lock.close)
            if lock.try_acquire():
                with closing(Acknowledged(directory, log)) as mark:
                    acknowledged.check(path, log, mark.read())
            elif not self._is_used:
                raise Locked(f"{directory} is in use by a server; stop it first")
            store.require_format(directory)
            connection = open_file(path)
            self._opened.callback(connection.close)
            if not self._is_used:
                self._opened.push(opened.pop_all())
        connection.execute("BEGIN").fetchall()
        connection.execute("SELECT count(*) FROM counters").fetchall()  # the snapshot begins with the first read
        name = "/".join(directory.relative_to(self._data).parts)
        self._connections[name.removeprefix(f"{DEFAULT_ACCOUNT}/")] = connection

    def close(self) -> None:
        self._opened.close()

    def regions(self) -> list[str]:
        return sorted(self._connections)

    def count(self, region: str) -> int:
        """As the index of keys has it: `batches` compares it with the rows."""
        found: int = self._connections[region].execute("SELECT count(*) FROM kv INDEXED BY sqlite_autoindex_kv_1").get
        return found

    def batches(self, region: str, position: bytes) -> Iterator[RowBatch]:
        last = int.from_bytes(position, "big")
        rows, size = list[Row](), 0
        connection = self._connections[region]
        seen: int = connection.execute("SELECT count(*) FROM kv NOT INDEXED WHERE id <= ?", (last,)).get
        while page := connection.execute(_BATCH, (last,)).fetchall():
            seen += len(page)
            for row in map(Stored._make, page):
                if not row.is_intact:
                    raise Damaged(row.key or b"", connection.filename)
                last = row.id
                rows.append(longkeys.stored_row(row.key, row.value))
                size += len(row.value)
                if size >= BATCH_BYTES:
                    yield RowBatch(rows, last.to_bytes(8, "big"))
                    rows, size = [], 0
            if rows:
                yield RowBatch(rows, last.to_bytes(8, "big"))
                rows, size = [], 0
        if seen != self.count(region):
            raise Corrupt(f"{connection.filename}: rows are missing; run `atoll store check`")

    def counters(self, region: str, *, tallies: bool) -> list[Counter]:
        return _counters(self._connections[region], tallies=tallies)

    def sums(self, region: str) -> Verification:
        return _sums(self._connections[region])

    def document(self, name: str) -> bytes | None:
        try:
            content = (self._data / FILES[name]).read_bytes()
        except FileNotFoundError:
            return None
        return bytes.fromhex(content.decode()) if name == SESSION_KEY else content


class TargetDirectory:
    documents: tuple[str, ...] = DOCUMENTS

    def __init__(self, data: Path) -> None:
        self._data = data
        self._lock: FileLock | None = None
        self._connections: dict[str, apsw.Connection] = {}
        self._regions: list[str] = []

    def __str__(self) -> str:
        return str(self._data)

    def close(self) -> None:
        for connection in self._connections.values():
            connection.close()
        self._connections.clear()
        if self._lock is not None:
            self._lock.close()

    def begin(self, regions: list[str]) -> bool:
        marker = self._data / MARKER
        if not marker.exists():
            kept = [*self._data.glob(f"*/{FILE_NAME}*"), *self._data.glob(f"*/*/{FILE_NAME}*")]
            kept += [path for name in DOCUMENTS if (path := self._data / FILES[name]).exists()]
            if kept:
                raise CannotCopy(f"{self._data} is not empty: it has {kept[0].relative_to(self._data)}")
            self._data.mkdir(mode=0o700, parents=True, exist_ok=True)
            marker.touch(0o600)
            sync(self._data)
        self._lock = FileLock(marker)
        if not self._lock.try_acquire():
            raise Locked(f"{self._data} is being written by another command")
        if marker.read_bytes() == VERIFIED:
            self._regions = regions
            return True
        if found := [*self._data.glob(f"*/{FILE_NAME}"), *self._data.glob(f"*/*/{FILE_NAME}")]:
            raise CannotCopy(f"{self._data} has the store {found[0].relative_to(self._data)} of a server: empty it")
        for region in regions:
            directory = self._data / region
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            connection = self._connections[region] = connect(directory / DRAFT, synced=False)
            connection.execute("CREATE TABLE IF NOT EXISTS copying (position BLOB NOT NULL)").fetchall()
        self._regions = regions
        return False

    def position(self, region: str) -> bytes:
        return self._connections[region].execute("SELECT position FROM copying").get or b""

    def count(self, region: str) -> int:
        found: int = self._connections[region].execute("SELECT count(*) FROM kv").get
        return found

    def write(self, region: str, batch: RowBatch) -> None:
        connection = self._connections[region]
        rows = [longkeys.full_row(key, value) for key, value in batch.rows]
        with connection:
            connection.executemany(
                "INSERT INTO kv (k, v, c) VALUES (?, ?, ?)", [(k, v, checksum(k, v)) for k, v in rows]
            )
            connection.execute("DELETE FROM copying").fetchall()
            connection.execute("INSERT INTO copying VALUES (?)", (batch.position,)).fetchall()
        if connection.execute("PRAGMA wal_checkpoint(PASSIVE)").get is None:
            raise Corrupt(f"{self._data}: the log could not be written back")

    def write_counters(self, region: str, numbers: list[Counter], tallies: list[Counter]) -> None:
        connection = self._connections[region]
        rows = Rows(connection)
        rows.begin("BEGIN IMMEDIATE")
        connection.execute("DELETE FROM counters").fetchall()
        for kind, counters in ((False, numbers), (True, tallies)):
            for key, value in counters:
                rows.set_counter(key, value, tally=kind)
        rows.write_counters()
        rows.commit()

    def sums(self, region: str) -> Verification:
        return _sums(self._connections[region])

    def write_document(self, name: str, content: bytes) -> None:
        path = self._data / FILES[name]
        draft = path.with_name(f"{path.name}.{MARKER}")
        with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(content.hex().encode() + b"\n" if name == SESSION_KEY else content)
        sync(draft)
        draft.rename(path)

    def complete(self) -> None:
        for region, connection in self._connections.items():
            connection.execute("DROP TABLE copying").fetchall()
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            connection.close()
            for suffix in ("-wal", "-shm"):
                (self._data / region / f"{DRAFT}{suffix}").unlink(missing_ok=True)
            sync(self._data / region / DRAFT)
        self._connections.clear()
        marker = self._data / MARKER
        marker.write_bytes(VERIFIED)
        sync(marker)
        for region in self._regions:
            path = self._data / region / DRAFT
            if path.exists():
                path.rename(path.with_name(FILE_NAME))
                sync(path.parent)
        marker.unlink()
        sync(self._data)


def _counters(connection: apsw.Connection, *, tallies: bool) -> list[Counter]:
    wanted = TALLIES if tallies else NUMBERS
    found = list[Counter]()
    for kind, key, value, stored in connection.execute(_COUNTERS):
        if not is_intact_counter(kind, key, value, stored):
            raise Damaged(key if type(key) is bytes else b"", connection.filename)
        if kind == wanted:
            found.append((key, value))
    return found


def _sums(connection: apsw.Connection) -> Verification:
    rows = (longkeys.stored_row(key, value) for key, value in connection.execute("SELECT k, v FROM kv ORDER BY id"))
    numbers, tallies = (Sums.of_counters(_counters(connection, tallies=one)) for one in (False, True))
    return Sums.of(rows), numbers, tallies
