"""Write the audit log: who did what, and which policy allowed or denied it. JSON lines, without the contents of items.

    time, request, account, principal, access_key, source, user_agent     the caller and its client
    operation, action, resource, decision, by                             the request and its decision
    error                                                                 if the request was refused for another reason

`decision` is allowed, denied, or logged (policies refuse it, but the server only logs this). `by` is the statement that
decided.

A thread writes the lines, so that a slow disk delays clients only when the queue is full. Several processes append to
one file. A process that finds it too large renames it to `<name>.1`, and that one to `<name>.2`, under a lock.
"""

from __future__ import annotations

import fcntl
import logging
import os
import queue
import threading
from pathlib import Path
from typing import Any

import orjson

QUEUED = 50_000
KEPT = 5
"""The files that are kept besides the current one."""
BATCH = 512

_log = logging.getLogger(__name__)


class AuditLog:
    def __init__(self, path: Path, max_bytes: int) -> None:
        """Raises OSError if the file cannot be opened."""
        self._path = path
        self._max_bytes = max_bytes
        self._descriptor = self._open()
        self._lines: queue.Queue[bytes | None] = queue.Queue(QUEUED)
        self._failing = False
        self._thread = threading.Thread(target=self._write_all, name="audit", daemon=True)
        self._thread.start()

    def write(self, record: dict[str, Any]) -> None:
        self._lines.put(orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE))

    def close(self) -> None:
        """Write the queued lines, and close the file."""
        self._lines.put(None)
        self._thread.join()
        os.close(self._descriptor)

    def _open(self) -> int:
        return os.open(self._path, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600)

    def _write_all(self) -> None:
        while True:
            line = self._lines.get()
            lines = [line]
            while line is not None and len(lines) < BATCH and not self._lines.empty():
                line = self._lines.get()
                lines.append(line)
            try:
                self._append(b"".join(one for one in lines if one is not None))
                self._failing = False
            except OSError as error:
                if not self._failing:
                    _log.error("the audit log cannot be written: %s", error)
                self._failing = True
            if line is None:
                return

    def _append(self, text: bytes) -> None:
        if not text:
            return
        self._follow()
        left = memoryview(text)
        while left:
            left = left[os.write(self._descriptor, left) :]
        if os.fstat(self._descriptor).st_size > self._max_bytes:
            self._rotate()

    def _follow(self) -> None:
        """Open the file again if another process, or an administrator, has renamed it."""
        try:
            same = os.path.samestat(os.fstat(self._descriptor), os.stat(self._path))
        except FileNotFoundError:
            same = False
        if not same:
            before, self._descriptor = self._descriptor, self._open()
            os.close(before)

    def _rotate(self) -> None:
        lock = os.open(self._path.with_name(f"{self._path.name}.lock"), os.O_CREAT | os.O_RDWR, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if os.stat(self._path).st_size > self._max_bytes:  # unless another process was first
                for number in range(KEPT, 0, -1):
                    older = self._path.with_name(f"{self._path.name}.{number}")
                    newer = self._path.with_name(f"{self._path.name}.{number - 1}") if number > 1 else self._path
                    if newer.exists():
                        os.replace(newer, older)
        finally:
            os.close(lock)
        self._follow()
