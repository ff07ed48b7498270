"""Put a `Disk` between SQLite and the operating system, and between the engine and its own calls.

SQLite reaches files through tables of C functions: an `sqlite3_vfs`, and an `sqlite3_io_methods` for each open file.
While `intercepted`, the functions of the default VFS are replaced, and every file that is opened gets a table of its
own. (An `apsw.VFS` in Python could not fail as the system does: an exception that it raises reaches the caller even
where SQLite ignores the error.) The new table has version 2, so it cannot map files, and SQLite reads every page by a
call.
"""

from __future__ import annotations

import asyncio
import ctypes
import errno
import mmap
import os
import random
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import apsw

from atoll.storage import acknowledged, checkpoints, datasync, locks, sqlite
from atoll.storage.datasync import Done
from tests.faults.disk import MARK, Disk
from tests.faults.turns import Executor, Turns

_INT, _LONG, _POINTER = ctypes.c_int, ctypes.c_int64, ctypes.c_void_p
_METHODS = (
    "version xClose xRead xWrite xTruncate xSync xFileSize xLock xUnlock xCheckReservedLock xFileControl xSectorSize "
    "xDeviceCharacteristics xShmMap xShmLock xShmBarrier xShmUnmap"
).split()
_VFS = (
    "xOpen xDelete xAccess xFullPathname xDlOpen xDlError xDlSym xDlClose xRandomness xSleep xCurrentTime xGetLastError"
).split()
_SIGNATURES = {
    "xOpen": (_INT, _POINTER, _POINTER, _POINTER, _INT, _POINTER),
    "xDelete": (_INT, _POINTER, ctypes.c_char_p, _INT),
    "xRandomness": (_INT, _POINTER, _INT, _POINTER),
    "xSleep": (_INT, _POINTER, _INT),
    "xClose": (_INT, _POINTER),
    "xRead": (_INT, _POINTER, _POINTER, _INT, _LONG),
    "xWrite": (_INT, _POINTER, _POINTER, _INT, _LONG),
    "xTruncate": (_INT, _POINTER, _LONG),
    "xSync": (_INT, _POINTER, _INT),
    "xShmMap": (_INT, _POINTER, _INT, _INT, _INT, _POINTER),
}
_TYPES = {name: ctypes.CFUNCTYPE(*signature) for name, signature in _SIGNATURES.items()}


class _Methods(ctypes.Structure):
    _fields_ = [("version", _INT)] + [(name, _POINTER) for name in _METHODS[1:]]


class _Vfs(ctypes.Structure):
    _fields_ = [
        ("version", _INT), ("file_bytes", _INT), ("longest_path", _INT), ("next", _POINTER), ("name", _POINTER),
        ("data", _POINTER), *((name, _POINTER) for name in _VFS),
    ]  # fmt: skip


def _default_vfs() -> _Vfs:
    connection = apsw.Connection(":memory:")
    found = _POINTER()
    connection.file_control("main", apsw.SQLITE_FCNTL_VFS_POINTER, ctypes.addressof(found))
    connection.close()
    assert found.value
    return _Vfs.from_address(found.value)


class _Calls:
    """The functions in place of SQLite's own."""

    def __init__(self, disk: Disk, turns: Turns, vfs: _Vfs, random_: random.Random) -> None:
        self.disk, self.turns = disk, turns
        self.errors: list[str] = []
        """Mistakes of these functions: SQLite cannot be told of them."""
        self._random = random_
        self._original = {name: _TYPES[name](getattr(vfs, name)) for name in _VFS if name in _TYPES}
        self._functions = {name: self._guarded(name) for name in _TYPES}
        self._tables: dict[int, _Methods] = {}
        """Of the open files, by their addresses."""
        self._system: dict[int, dict[str, Any]] = {}
        self._names: dict[int, str] = {}
        self._told: dict[int, int] = {}
        """Of how many failed syncs."""
        self._unsynced_entry: set[int] = set()
        for name in self._original:
            setattr(vfs, name, ctypes.cast(self._functions[name], _POINTER).value)

    def _guarded(self, name: str) -> Any:
        function: Callable[..., int] = getattr(self, name)

        def call(*arguments: Any) -> int:
            try:
                return function(*arguments)
            except BaseException:
                self.errors.append(traceback.format_exc())
                return apsw.SQLITE_IOERR

        return _TYPES[name](call)

    def xOpen(self, vfs: int, path: int | None, file: int, flags: int, told: int | None) -> int:
        place = Path(os.fsdecode(ctypes.string_at(path))) if path else None
        modelled = place is not None and place.parent == self.disk.directory
        name = place.name if place else "temporary"
        self.turns.pause()
        if modelled and (code := self.disk.reached(name, "open")):
            ctypes.c_void_p.from_address(file).value = None
            return code
        code = self._original["xOpen"](vfs, path, file, flags, told)
        if code or not modelled:
            return code
        self.disk.open(name)
        self._names[file], self._told[file] = name, self.disk.files[name].failed_syncs
        if flags & (apsw.SQLITE_OPEN_WAL | apsw.SQLITE_OPEN_MAIN_JOURNAL):
            self._unsynced_entry.add(file)
        methods = _POINTER.from_address(file)
        assert methods.value
        table = _Methods.from_buffer_copy(_Methods.from_address(methods.value))
        present = [key for key in _METHODS if key in _TYPES and getattr(table, key)]
        self._system[file] = {key: _TYPES[key](getattr(table, key)) for key in present}
        table.version = min(table.version, 2)
        for key in present:
            setattr(table, key, ctypes.cast(self._functions[key], _POINTER).value)
        self._tables[file] = table
        methods.value = ctypes.addressof(table)
        return apsw.SQLITE_OK

    def xDelete(self, vfs: int, path: bytes, synced: int) -> int:
        place = Path(os.fsdecode(path))
        self.turns.pause()
        if place.parent == self.disk.directory:
            if code := self.disk.delete(place.name, bool(synced)):
                return code
            synced = 0
        return self._original["xDelete"](vfs, path, synced)

    def xRandomness(self, vfs: int, count: int, to: int) -> int:
        ctypes.memmove(to, self._random.randbytes(count), count)
        return count

    def xSleep(self, vfs: int, microseconds: int) -> int:
        if not self.turns.idle:
            self.turns.pause(always=True)
        return microseconds

    def xClose(self, file: int) -> int:
        del self._names[file], self._told[file], self._tables[file]
        self._unsynced_entry.discard(file)
        return self._system.pop(file)["xClose"](file)

    def xRead(self, file: int, to: int, count: int, offset: int) -> int:
        self.turns.pause()
        if code := self.disk.reached(self._names[file], "read", "short"):
            if code == apsw.SQLITE_IOERR_SHORT_READ:
                ctypes.memset(to, 0, count)
            return code
        return self._system[file]["xRead"](file, to, count, offset)

    def xWrite(self, file: int, data: int, count: int, offset: int) -> int:
        self.turns.pause()
        code, arrived = self.disk.write(self._names[file], ctypes.string_at(data, count), offset)
        return (self._system[file]["xWrite"](file, data, arrived, offset) if arrived else 0) or code

    def xTruncate(self, file: int, size: int) -> int:
        self.turns.pause()
        return self.disk.truncate(self._names[file], size) or self._system[file]["xTruncate"](file, size)

    def xSync(self, file: int, flags: int) -> int:
        self.turns.pause()
        name = self._names[file]
        code = self.disk.sync(name, self._told[file], directory=file in self._unsynced_entry)
        self._told[file] = self.disk.files[name].failed_syncs
        if not code:
            self._unsynced_entry.discard(file)
        return code

    def xShmMap(self, file: int, region: int, size: int, extend: int, to: int) -> int:
        if extend and (code := self.disk.reached(self._names[file], "map")):
            _POINTER.from_address(to).value = None
            return code
        return self._system[file]["xShmMap"](file, region, size, extend, to)


class DiskSync:
    """The engine's own sync of the log."""

    def __init__(self, disk: Disk, turns: Turns, path: Path) -> None:
        self._disk, self._turns, self._name = disk, turns, path.name
        self._told = disk.files[path.name].failed_syncs

    def start(self, done: Done) -> None:
        writes = self._disk.files[self._name].writes
        self._wait(asyncio.get_running_loop(), self._turns.random.randrange(4), writes, done)

    def _wait(self, loop: asyncio.AbstractEventLoop, turns: int, writes: int, done: Done) -> None:
        loop.call_soon(*((self._wait, loop, turns - 1, writes, done) if turns else (self._end, writes, done)))

    def _end(self, writes: int, done: Done) -> None:
        self._turns.pause()
        code = self._disk.sync(self._name, self._told, until=writes)
        self._told = self._disk.files[self._name].failed_syncs
        done(_failure() if code else None)

    def close(self) -> None:
        pass


def _failure() -> OSError:
    return OSError(errno.EIO, os.strerror(errno.EIO))


class System:
    """In place of `os` where the engine writes and syncs by itself."""

    def __init__(self, disk: Disk) -> None:
        self._disk = disk
        self._opened: dict[int, tuple[str, int]] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)

    def open(self, path: Path, flags: int) -> int:
        file = os.open(path, flags)
        self._opened[file] = path.name, self._disk.files[path.name].failed_syncs
        return file

    def pwrite(self, file: int, data: bytes, offset: int) -> int:
        name, _ = self._opened[file]
        code, arrived = self._disk.write(name, data, offset)
        if code:
            raise _failure()
        return os.pwrite(file, data[:arrived], offset)

    def sync(self, file: int) -> None:
        if self._disk.sync(*self._opened[file]):
            raise _failure()


def _map_type(disk: Disk) -> type[mmap.mmap]:
    """A map of the mark. The kernel may write it at any time, so all that it held since its last flush is pending."""

    class Map(mmap.mmap):
        def __init__(self, file: int, length: int) -> None:
            if MARK not in disk.files:
                disk.open(MARK)
                disk.files[MARK].truncate(length, disk.sector)

        def __setitem__(self, where: Any, content: Any) -> None:
            if disk.dead:
                return
            if disk.reached(MARK):  # killed in the middle of the copy
                arrived = disk.random.randrange(len(content))
                content = content[:arrived] + self[:][arrived:]
            disk.files[MARK].write(content, 0, disk.sector)
            super().__setitem__(where, content)

        def flush(self, *arguments: Any) -> None:
            if disk.sync(MARK, disk.files[MARK].failed_syncs):
                raise _failure()

    return Map


def _acquire(turns: Turns) -> Callable[[locks.FileLock], None]:
    def acquire(lock: locks.FileLock) -> None:
        while not lock.try_acquire():
            turns.pause(always=True)

    return acquire


@contextmanager
def intercepted(disk: Disk, turns: Turns, random_: random.Random) -> Iterator[_Calls]:
    vfs = _default_vfs()
    before = {name: getattr(vfs, name) for name in _VFS}
    system = System(disk)
    calls = _Calls(disk, turns, vfs, random_)
    patches: list[Any] = [
        mock.patch.object(sqlite, "open_sync", lambda path: DiskSync(disk, turns, path)),
        mock.patch.object(datasync, "os", system),
        mock.patch.object(datasync, "sync_data", system.sync),
        mock.patch.object(sqlite, "ThreadPoolExecutor", lambda *_: Executor(turns)),
        mock.patch.object(checkpoints, "ThreadPoolExecutor", lambda *_: Executor(turns)),
        mock.patch.object(locks.FileLock, "acquire", _acquire(turns)),
        mock.patch.object(acknowledged, "mmap", SimpleNamespace(mmap=_map_type(disk))),
    ]
    apsw.randomness(0)  # SQLite's generator begins anew
    for patch in patches:
        patch.start()
    try:
        yield calls
    finally:
        for patch in patches:
            patch.stop()
        for name, function in before.items():
            setattr(vfs, name, function)
        apsw.randomness(0)
    assert not calls.errors, calls.errors[0]
