"""`atoll store check`: check the stores of a data directory, and repair them if asked to."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import orjson

from atoll.check import findings as on
from atoll.check import repair, store
from atoll.check.file import open_file
from atoll.check.findings import Finding
from atoll.check.report import Report, line
from atoll.check.store import Progress
from atoll.logs import Tenths
from atoll.storage import acknowledged
from atoll.storage.acknowledged import Acknowledged
from atoll.storage.engine import Corrupt, Full, Locked
from atoll.storage.locks import FileLock
from atoll.storage.sqlite import FILE_NAME

CLEAN, DAMAGED, CANNOT_RUN = 0, 1, 2


def run(directories: Iterable[Path], now_ms: int, *, as_json: bool, repairs: bool) -> int:
    """Check the stores; return the exit code. Changes nothing unless `repairs`."""
    reports: dict[str, dict[str, Any]] = {}
    code = CLEAN
    try:
        with ExitStack() as locks:
            stores: dict[Path, str | None] = {}
            for directory in directories:
                _lock(directory, locks)
                stores[directory] = _lost_commits(directory)
                store.require_format(directory)
            for directory, lost in stores.items():
                telling = progress(str(directory), quiet=as_json)
                report = _check(directory, lost, now_ms, telling, as_json=as_json)
                if repairs and report.is_repairable:
                    report = repair.repair(directory, report, now_ms, telling)
                    show_repair(str(directory), report, as_json=as_json, kept="the file before the repair is")
                reports[str(directory)] = report.as_json()
                code = code if report.is_clean and code == CLEAN else DAMAGED
    except (Corrupt, Full, Locked, OSError) as error:
        print(f"atoll: {error}", file=sys.stderr)
        return CANNOT_RUN
    if as_json:
        print_json(code, reports)
    return code


def print_json(code: int, reports: dict[str, dict[str, Any]]) -> None:
    print(orjson.dumps({"clean": code == CLEAN, "stores": reports}, option=orjson.OPT_INDENT_2).decode())


def _lock(directory: Path, locks: ExitStack) -> None:
    lock = FileLock(directory / "owner.lock")
    locks.callback(lock.close)
    if not lock.try_acquire():
        raise Locked(f"{directory} is in use by a server; ask the server itself: POST /_atoll/store/check")


def _lost_commits(directory: Path) -> str | None:
    """A description of missing acknowledged commits; None if none is missing. Call it before SQLite opens the files."""
    path, log = directory / FILE_NAME, directory / f"{FILE_NAME}-wal"
    with closing(Acknowledged(directory, log)) as mark:
        try:
            acknowledged.check(path, log, mark.read())
        except Corrupt as damage:
            return str(damage)
    return None


def _check(directory: Path, lost: str | None, now_ms: int, telling: Progress, *, as_json: bool) -> Report:
    report = Report()
    if lost is not None:
        report.add(Finding(on.FILE, None, None, lost, is_loss=True))
    with closing(open_file(directory / FILE_NAME)) as connection:
        store.check(connection, now_ms, telling, report)
    show(str(directory), report, as_json=as_json)
    return report


def show(name: str, report: Report, *, as_json: bool) -> None:
    if as_json:
        return
    for text in report.lines():
        print(text)
    found = "clean" if report.is_clean else f"damaged, {report.counts.total()} findings"
    print(f"{name}: {found}; {report.rows:,} rows")


def show_repair(name: str, report: Report, *, as_json: bool, kept: str = "the rows before the repair are") -> None:
    if as_json:
        return
    done = ", ".join(f"{count} {kind}" for kind, count in report.repaired.items()) or "the file"
    print(f"{name}: repaired: {done}")
    print(f"{name}: lost: {len(report.lost) or 'nothing'}")
    for finding in report.lost:
        print(f"  {line(finding)}")
    for text in report.lines():
        print(text)
    found = "clean now" if report.is_clean else f"still damaged, {report.counts.total()} findings"
    print(f"{name}: {found}; {kept} kept as {report.kept_file}")


def progress(name: str, *, quiet: bool) -> Progress:
    """Print each new part, and every further tenth, to standard error."""
    tenths = Tenths()

    def tell(section: str, done: int, total: int) -> None:
        tenth = tenths.passed(done, total, section)
        if not quiet and tenth is not None:
            print(f"{name}: checking: {section}, {tenth * 10} %", file=sys.stderr, flush=True)

    return tell
