"""When a server starts after an unclean end, check the definitions of its stores and log any damage.

A server that closes its store removes the WAL. So a WAL that exists before a server opens the file was left by a
process that was killed. Its rows are intact, but the machine may have lost power.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable
from itertools import islice
from pathlib import Path

from atoll.check.catalog import check_quickly
from atoll.check.findings import Finding
from atoll.check.report import line
from atoll.database.region import Region
from atoll.storage.engine import Snapshot
from atoll.storage.sqlite import FILE_NAME

LOGGED = 20
"""The most findings that are logged."""

_log = logging.getLogger(__name__)


def is_closed(directory: Path, unclosed: Collection[Path] | None = None) -> bool:
    """Whether the store was closed by the process that had it open last. Call it before opening the store, unless the
    `unclosed` stores are known."""
    if unclosed is not None:
        return directory not in unclosed
    try:
        return (directory / f"{FILE_NAME}-wal").stat().st_size == 0
    except FileNotFoundError:
        return True


def unclosed(data: Path) -> frozenset[Path]:
    """The stores in a data directory that were not closed. A server with several workers calls this before it starts
    them, since the first worker that opens a store creates a WAL."""
    logs = (path for depth in ("*", "*/*") for path in data.glob(f"{depth}/{FILE_NAME}-wal"))
    return frozenset(path.parent for path in logs if not is_closed(path.parent))


async def log_quick_checks(regions: Iterable[Region]) -> None:
    """Check the definitions of stores that were not closed."""
    for region in regions:
        await log_quick_check(region)


async def log_quick_check(region: Region) -> None:
    extra = {"region": region.name}
    found = await region.engine.read(_some)
    for finding in found:
        _log.error("the store was not closed, and is damaged: %s", line(finding), extra=extra)
    if found:
        _log.error("stop the server and run `atoll store check`", extra=extra)
    else:
        _log.info("the store was not closed; its definitions are consistent", extra=extra)


def _some(snapshot: Snapshot) -> list[Finding]:
    return list(islice(check_quickly(snapshot), LOGGED))
