"""The data directory: the paths of stores, the lock against a second server, and the free disk space.

DIR/<region>/atoll.db             a store of the default account
DIR/<account>/<region>/atoll.db   a store of another account
DIR/reserve                       disk space held back for deletions, see `storage.reserve`
DIR/server.lock                   held by a server with several workers
"""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import re
import stat
from collections.abc import Iterable
from functools import partial
from pathlib import Path

from atoll.copying.contents import MARKER
from atoll.database.health import GONE, LITTLE_ROOM, Health, Problem
from atoll.database.region import DEFAULT_ACCOUNT
from atoll.logs import Tenths
from atoll.migration import store as migration
from atoll.storage import acknowledged, reserve
from atoll.storage.engine import Corrupt, Engine, Full, Locked, NoFiles
from atoll.storage.locks import FileLock
from atoll.storage.reserve import Reserve
from atoll.storage.sqlite import FILE_NAME, SQLiteEngine
from atoll.storage.sqlitefile import FORMAT_VERSION, identity, log_of

# Region names in AWS's form, and two that users of DynamoDB Local often choose. Each is the name of a directory.
REGION_NAME = re.compile(r"local|localhost|(?=.{,63}$)[a-z]{2,}(-[a-z0-9]+)+")

LITTLE_ROOM_BYTES = reserve.BYTES
LITTLE_ROOM_AT_START = (
    f"less than {2 * reserve.BYTES >> 20} MiB of the disk are free: stores accept only deletions until there is room"
)

_log = logging.getLogger(__name__)


class DataDirectory:
    def __init__(self, path: Path, account: str, *, reserves: bool = False) -> None:
        """Raises Corrupt while `atoll restore` or `atoll store copy` has not written all of the directory."""
        if (path / MARKER).exists():
            raise Corrupt(
                f"{path} is incomplete: run the interrupted `atoll restore` or `atoll store copy` again, or empty the"
                " directory"
            )
        self._path = path
        self._account = account
        self._stores = path if account == DEFAULT_ACCOUNT else path / account
        self._reserves = reserves
        self._reserve: Reserve | None = None

    def store(self, region: str) -> Path:
        """The directory of a region's store. A region of another account is named `<account>/<region>`."""
        account, _, name = region.rpartition("/")
        return self._directory(account) / name if account else self._stores / name

    def _directory(self, account: str) -> Path:
        return self._path if account == DEFAULT_ACCOUNT else self._path / account

    def has_store(self, region: str) -> bool:
        return _has_store(self.store(region))

    def stored_regions(self, accounts: Iterable[str] = ()) -> set[str]:
        """The regions of the default account and of these accounts that already have a store. Their background work
        must run even without requests. Ignores directories without a region's name, such as copies."""
        others = {
            f"{account}/{path.name}"
            for account in accounts
            for path in self._directory(account).glob("*")
            if account != self._account and REGION_NAME.fullmatch(path.name) and _has_store(path)
        }
        return others | self._own_stored_regions()

    def _own_stored_regions(self) -> set[str]:
        stores = {path for path in self._stores.glob("*") if _has_store(path) or (path / migration.NEW_NAME).exists()}
        if self._stores != self._path:  # format 1 had no accounts
            stores |= {path.parent for path in self._path.glob(f"*/{FILE_NAME}") if migration.has_old_rows(path.parent)}
        return {path.name for path in stores if REGION_NAME.fullmatch(path.name)}

    def is_old(self, region: str) -> bool:
        """Whether an older version wrote the region's store."""
        return migration.needed(self._source(region))

    def _source(self, region: str) -> Path:
        """The directory of the store that a migration would read."""
        directory = self.store(region)
        if not (directory / FILE_NAME).exists() and migration.has_old_rows(self._path / region):
            return self._path / region  # format 1 had no accounts; this also resumes an interrupted migration
        return directory

    async def migrate(self, region: str, health: Health) -> None:
        """Migrate the region's store if an older version wrote it."""
        directory, source = self.store(region), self._source(region)
        if not migration.needed(source):
            return
        extra = {"region": region}
        _log.info("migrating %s to format %d", source, FORMAT_VERSION, extra=extra)
        await asyncio.to_thread(migration.migrate, source, directory, report=partial(_report, health, Tenths()))
        kept = migration.kept(source) is not None
        suffix = "; the old file is kept until `atoll store upgrade --finish`" if kept else ""
        _log.info("migrated %s%s", source, suffix, extra=extra)

    def open(self, region: str, *, durability: str, workers: int, on_damage: str) -> Engine:
        try:
            engine = SQLiteEngine.open(self.store(region), durability=durability, workers=workers, on_damage=on_damage)
        except (OSError, Full) as error:
            if _has_files():
                raise
            raise NoFiles from error
        if self._reserves:
            if self._reserve is None:
                self._reserve = Reserve(self._path / "reserve")
                if self._reserve.is_spent:
                    _log.error("%s: %s", self._path, LITTLE_ROOM_AT_START)
            engine.reserve = self._reserve
        return engine

    def look(self, region: str) -> StoreFile:
        return StoreFile(self.store(region) / FILE_NAME)


def _has_store(directory: Path) -> bool:
    """Opening a store whose file is missing tells so. It must not be taken for a region without tables."""
    return (directory / FILE_NAME).is_file() or acknowledged.is_marked(directory)


def _has_files() -> bool:
    """Whether this process may open one more file. SQLite's error does not say whether that was the cause."""
    try:
        os.close(os.open(os.devnull, os.O_RDONLY))
    except OSError as error:
        return error.errno not in (errno.EMFILE, errno.ENFILE)
    return True


def claim(path: Path) -> FileLock:
    """Lock the data directory for a server with several workers, which share the locks of stores. Raises `Locked` if
    another server has it."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = FileLock(path / "server.lock")
    if not lock.try_acquire():
        lock.close()
        raise Locked(f"{path} is in use by another server")
    return lock


def warn_of_readers(path: Path) -> None:
    """Warn if other users can read the directory. Files that Atoll creates are private; an existing directory keeps its
    mode."""
    if path.exists() and stat.S_IMODE(path.stat().st_mode) & (stat.S_IRWXG | stat.S_IRWXO):
        _log.warning("other users of this machine can reach %s: consider chmod 700", path)


class StoreFile:
    """Looks at the files of an open store: whether they still exist, and whether the disk has room."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._opened = {one: identity(one) for one in (path, log_of(path))}

    def look(self) -> dict[Problem, str]:
        try:
            room = os.statvfs(self._path)
        except OSError as error:
            return {GONE: str(error)}
        for path, opened in self._opened.items():
            if identity(path) != opened:
                return {GONE: f"{path} was removed or replaced"}
        free = room.f_bavail * room.f_frsize
        return {LITTLE_ROOM: f"{free} bytes are free at {self._path}"} if free < LITTLE_ROOM_BYTES else {}


def _report(health: Health, tenths: Tenths, done: int, total: int) -> None:
    """Show and log the progress of a migration, from its thread."""
    health.migrating(min(done / max(total, 1), 0.9999))
    if tenths.passed(done, total):
        _log.info("migrating: %d of %d rows", done, total, extra={"region": health.region})
