"""Check the stores of a running server on request, without delaying its clients.

A separate process checks a store in a file, on snapshots of the file. (A thread of the server would compete with
requests for Python's lock.) It leaves its report in the store's directory, so all workers of the server, and the next
server, see it:

    check.lock           held while a check runs
    check-progress.json  what a running check is doing, about twice a second
    check.json           the report of the last complete check

A store in memory is checked between requests, one section at a time.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path
from typing import Any

import orjson

from atoll.check import sections, store
from atoll.check.file import open_file
from atoll.check.findings import Context, Finding
from atoll.check.report import Report
from atoll.check.sections import Section
from atoll.clock import SystemClock
from atoll.database.health import CHECKED
from atoll.database.region import Region
from atoll.storage.engine import Corrupt, Snapshot
from atoll.storage.locks import FileLock
from atoll.storage.sqlite import FILE_NAME

LOCK, PROGRESS, REPORT = "check.lock", "check-progress.json", "check.json"
NEVER, RUNNING, DONE, FAILED, INTERRUPTED = "never", "running", "done", "failed", "interrupted"

_PROGRESS_MS = 500
_STARTED = b"started\n"
_NICENESS = 5

State = dict[str, Any]
"""The check of a store: its `state`, `progress` while it runs, and the last `report`."""


class Checks:
    """The checks that a server has started."""

    def __init__(self) -> None:
        self._processes: set[asyncio.subprocess.Process] = set()
        self._waits: set[asyncio.Task[None]] = set()
        self._in_memory: dict[str, State] = {}

    async def start(self, regions: Iterable[Region], directory_of: Callable[[str], Path | None]) -> None:
        """Start a check of each region's store, unless one runs already."""
        stores = dict[Path, Region]()
        for region in regions:
            directory = directory_of(region.name)
            if directory is None:
                self._in_memory[region.name] = await _check_in_memory(region)
                _show(region, self._in_memory[region.name])
            elif not is_running(directory):
                stores[directory] = region
        if stores:
            await self._spawn(stores)

    def state(self, region: str, directory: Path | None) -> State:
        if directory is None:
            return self._in_memory.get(region, {"state": NEVER, "report": None})
        return state_of(directory)

    async def wait(self) -> None:
        """Return when all checks have ended."""
        await asyncio.gather(*self._waits)

    async def stop(self) -> None:
        """End the checks that still run."""
        for process in self._processes:
            if process.returncode is None:
                process.terminate()
        await self.wait()

    async def _spawn(self, stores: Mapping[Path, Region]) -> None:
        """Start the process; return when it has begun."""
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "atoll.check", *map(str, stores), stdout=asyncio.subprocess.PIPE
        )
        self._processes.add(process)
        assert process.stdout is not None
        await process.stdout.readline()
        waiting = asyncio.create_task(self._wait(process, stores))
        self._waits.add(waiting)
        waiting.add_done_callback(self._waits.discard)

    async def _wait(self, process: asyncio.subprocess.Process, stores: Mapping[Path, Region]) -> None:
        await process.wait()
        self._processes.discard(process)
        for directory, region in stores.items():
            _show(region, state_of(directory))


def _show(region: Region, state: State) -> None:
    """Show in the region's health, and so in the log, whether its check has found damage."""
    if state["state"] == DONE:
        report = state["report"]
        if report["clean"]:
            region.health.resolve(CHECKED)
        else:
            kinds = ", ".join(f"{count} {kind}" for kind, count in report["counts"].items())
            region.health.report(CHECKED, f"{kinds}; GET /_atoll/store/check shows them", count=0)


async def _check_in_memory(region: Region) -> State:
    context = Context(region.clock.now_ms())
    report = Report()
    for section in await region.engine.read(sections.of):
        for finding in await region.engine.read(partial(_listed, section, context)):
            report.add(finding)
        await asyncio.sleep(0)  # requests may run between two sections
    return {"state": DONE, "report": {"started_ms": context.now_ms, **report.as_json()}}


def _listed(section: Section, context: Context, snapshot: Snapshot) -> list[Finding]:
    return list(section.check(snapshot, context))


def is_running(directory: Path) -> bool:
    with closing(FileLock(directory / LOCK)) as lock:
        return not lock.try_acquire()


def state_of(directory: Path) -> State:
    """The state of the store's check, from its files."""
    report, progress = _read(directory / REPORT), _read(directory / PROGRESS)
    if is_running(directory):
        return {"state": RUNNING, "progress": progress, "report": report}
    if progress is not None:
        return {"state": INTERRUPTED, "report": report}
    if report is None:
        return {"state": NEVER, "report": None}
    return {"state": FAILED if "error" in report else DONE, "report": report}


def _read(path: Path) -> Any:
    try:
        return orjson.loads(path.read_bytes())
    except FileNotFoundError:
        return None


def _write(path: Path, content: Any) -> None:
    """Replace the file as a whole: a reader sees the old content or the new."""
    new = path.with_name(f"{path.name}.new")
    new.write_bytes(orjson.dumps(content))
    new.rename(path)


# The process


def main(directories: Iterable[Path]) -> int:
    """Check the stores in the directories, one after the other, while a server uses them."""
    os.nice(_NICENESS)
    with ExitStack() as locks:
        taken = [directory for directory in directories if _take(directory, locks)]
        for directory in taken:
            _write(directory / PROGRESS, {"section": "waiting", "rows_done": 0, "rows": 0})
        sys.stdout.buffer.write(_STARTED)
        sys.stdout.buffer.flush()
        for directory in taken:
            _write(directory / REPORT, _checked(directory))
            (directory / PROGRESS).unlink()
    return 0


def _take(directory: Path, locks: ExitStack) -> bool:
    lock = FileLock(directory / LOCK)
    locks.callback(lock.close)
    return lock.try_acquire()


def _checked(directory: Path) -> dict[str, Any]:
    clock = SystemClock()
    started_ms = written_ms = clock.now_ms()

    def progress(section: str, done: int, total: int) -> None:
        nonlocal written_ms
        if clock.now_ms() - written_ms >= _PROGRESS_MS:
            written_ms = clock.now_ms()
            shown = {"started_ms": started_ms, "section": section, "rows_done": done, "rows": total}
            _write(directory / PROGRESS, shown)

    report = Report()
    found: dict[str, Any]
    try:
        store.require_format(directory)
        with closing(open_file(directory / FILE_NAME, read_only=True)) as connection:
            store.check(connection, started_ms, progress, report, moves=True)
        found = report.as_json()
    except (Corrupt, OSError) as error:
        found = {"error": str(error)}
    return {"started_ms": started_ms, "finished_ms": clock.now_ms(), **found}
