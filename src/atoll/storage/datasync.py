"""Sync a file asynchronously: in the kernel, or in a thread if the kernel cannot.

A thread must take the GIL twice per sync and wait for the event loop to release it, which costs both more than the sync
itself. Linux can sync asynchronously, and signals completion on a descriptor that the event loop watches. Sources:
io_submit(2), eventfd(2), linux/aio_abi.h.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import platform
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Protocol

from atoll.platforms import sync_data

Done = Callable[[BaseException | None], None]


class DataSync(Protocol):
    """Makes the writes to one file before `start` durable. One sync at a time, on one event loop."""

    def start(self, done: Done) -> None:
        """Start a sync. The event loop calls `done` with the error, or with None."""

    def close(self) -> None: ...


def sync_again(path: Path) -> None:
    """Sync a file that another process wrote, and wait for it. Write the file again first: if that process's sync
    failed, the kernel may show data that the disk lacks and that no later sync would write."""
    file = os.open(path, os.O_RDWR)
    try:
        position = 0
        while block := os.pread(file, _BLOCK_BYTES, position):
            position += os.pwrite(file, block, position)
        sync_data(file)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error
    finally:
        os.close(file)


_BLOCK_BYTES = 1024 * 1024


def open_sync(path: Path) -> DataSync:
    try:
        return KernelSync(path)
    # The errors on another CPU or OS, on an old kernel, in a sandbox that forbids the calls, and on a file system
    # without support
    except (OSError, KeyError, AttributeError):
        return ThreadSync(path)


# System call numbers of io_setup, io_destroy, io_submit, io_getevents.
_CALLS = {"x86_64": (206, 207, 209, 208), "aarch64": (0, 1, 2, 4), "riscv64": (0, 1, 2, 4)}
_FDSYNC = 3
_TELL_DESCRIPTOR = 1


class _Control(ctypes.Structure):
    """struct iocb on a little-endian machine."""

    _fields_ = (
        ("data", ctypes.c_uint64), ("key", ctypes.c_uint32), ("rw_flags", ctypes.c_uint32),
        ("opcode", ctypes.c_uint16), ("priority", ctypes.c_int16), ("descriptor", ctypes.c_uint32),
        ("buffer", ctypes.c_uint64), ("bytes", ctypes.c_uint64), ("offset", ctypes.c_int64),
        ("reserved", ctypes.c_uint64), ("flags", ctypes.c_uint32), ("told", ctypes.c_uint32),
    )  # fmt: skip


class _Event(ctypes.Structure):
    """struct io_event."""

    _fields_ = (
        ("data", ctypes.c_uint64), ("control", ctypes.c_uint64), ("result", ctypes.c_int64), ("more", ctypes.c_int64)
    )  # fmt: skip


class KernelSync:
    def __init__(self, path: Path) -> None:
        if platform.system() != "Linux":
            raise OSError("only Linux is known to do this")
        setup, self._destroy, self._submit, self._events = _CALLS[platform.machine()]
        self._system_call = ctypes.PyDLL(None, use_errno=True).syscall
        self._context = ctypes.c_ulong(0)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._done: Done | None = None
        with ExitStack() as opened:
            self._file = os.open(path, os.O_RDONLY)
            opened.callback(os.close, self._file)
            self._told = os.eventfd(0)  # type: ignore[attr-defined,unused-ignore]
            opened.callback(os.close, self._told)
            self._call(setup, ctypes.c_long(1), ctypes.byref(self._context))
            opened.callback(self._call, self._destroy, self._context)
            control = _Control(opcode=_FDSYNC, descriptor=self._file, flags=_TELL_DESCRIPTOR, told=self._told)
            self._controls = (ctypes.POINTER(_Control) * 1)(ctypes.pointer(control))
            self._begin()
            if error := self._end():
                raise error
            self._opened = opened.pop_all()

    def start(self, done: Done) -> None:
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
            self._loop.add_reader(self._told, self._ready)
        self._done = done
        try:
            self._begin()
        except OSError as error:
            self._loop.call_soon(done, error)

    def close(self) -> None:
        if self._loop is not None:
            self._loop.remove_reader(self._told)
        self._opened.close()

    def _ready(self) -> None:
        done, self._done = self._done, None
        assert done is not None
        done(self._end())

    def _begin(self) -> None:
        self._call(self._submit, self._context, ctypes.c_long(1), self._controls)

    def _end(self) -> OSError | None:
        """Wait for the sync to end; return its error, if any."""
        os.eventfd_read(self._told)  # type: ignore[attr-defined,unused-ignore]
        event = _Event()
        one = ctypes.c_long(1)
        self._call(self._events, self._context, one, one, ctypes.byref(event), None)
        return OSError(-event.result, os.strerror(-event.result)) if event.result < 0 else None

    def _call(self, number: int, *arguments: object) -> None:
        if self._system_call(ctypes.c_long(number), *arguments) < 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


class ThreadSync:
    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_RDONLY)
        self._thread = ThreadPoolExecutor(1, "atoll-sync")

    def start(self, done: Done) -> None:
        syncing = asyncio.get_running_loop().run_in_executor(self._thread, sync_data, self._file)
        syncing.add_done_callback(lambda over: done(over.exception()))

    def close(self) -> None:
        self._thread.shutdown()
        os.close(self._file)
