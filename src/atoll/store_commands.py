"""`atoll store`: commands for the stores of a data directory, while no server has them open, and for PostgreSQL."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from atoll.check import command
from atoll.clock import SystemClock
from atoll.logs import Tenths
from atoll.migration import store as migration
from atoll.options import INTERRUPTED, Refused
from atoll.progress import Progress
from atoll.serve_options import check_store
from atoll.storage.compacting import compact
from atoll.storage.engine import Corrupt, Full, Locked, Unavailable
from atoll.storage.postgresql.url import BadStore, is_url
from atoll.storage.sqlite import FILE_NAME


def add(store: argparse.ArgumentParser) -> None:
    """Add the actions to the parser of `atoll store`."""
    actions = store.add_subparsers(required=True, metavar="ACTION")
    upgrade = actions.add_parser(
        "upgrade",
        help="migrate stores that an older version wrote",
        description="Migrate stores that an older version wrote. The old files are kept.",
    )
    upgrade.add_argument("--data", default=os.environ.get("ATOLL_DATA", "data"), help="the data directory")
    upgrade.add_argument("--finish", action="store_true", help="delete the old files of migrated stores")
    upgrade.set_defaults(run=_upgrade)
    checking = actions.add_parser(
        "check",
        help="look for damage in stores",
        description="Look for damage in stores. Exit codes: 0 clean, 1 damaged, 2 the check could not run.",
    )
    checking.add_argument("--data", help="the data directory")
    checking.add_argument("--json", action="store_true", help="print the report as one JSON document")
    checking.add_argument("--repair", action="store_true", help="repair rows that can be derived; drop unreadable ones")
    checking.add_argument("--store", help="a store in PostgreSQL instead (ATOLL_STORE)")
    checking.set_defaults(run=_check)
    compacting = actions.add_parser(
        "compact",
        help="return the unused space of stores to the disk",
        description="Rewrite the stores of a data directory without unused space, while no server has them open."
        " (A server gives unused space back by itself while there are no writes.) With --store: VACUUM the tables of a"
        " store in PostgreSQL, while front ends may use it; PostgreSQL then reuses the space for new rows, and"
        " shortens a file only if its end is empty.",
    )
    compacting.add_argument("--data", help="the data directory")
    compacting.add_argument("--store", help="a store in PostgreSQL instead (ATOLL_STORE)")
    compacting.set_defaults(run=_compact)
    copying = actions.add_parser(
        "copy",
        help="copy stores between a data directory and PostgreSQL",
        description="Copy all stores from a data directory to PostgreSQL (--data DIR --to URL), or back (--store URL"
        " --to DIR). The target must be empty, and no server may use either. The same command resumes an"
        " interrupted copy.",
    )
    copying.add_argument("--data", help="copy from this data directory")
    copying.add_argument("--store", help="copy from this store in PostgreSQL")
    copying.add_argument("--to", required=True, help="a store in PostgreSQL, or a data directory")
    copying.set_defaults(run=_copy)


def _stores(data: Path) -> list[Path]:
    """The stores of a data directory, of which there must be some."""
    found = [*stores(data)]
    if not found:
        raise Refused(f"there are no stores in {data}: name another data directory with --data")
    return found


def _upgrade(options: argparse.Namespace) -> int:
    data = Path(options.data)
    directories = _stores(data)
    try:
        for directory in directories:
            if migration.needed(directory):
                migration.migrate(directory, report=_progress(directory))
                print(f"{directory}: migrated")
            kept = migration.kept(directory)
            if kept is not None and options.finish:
                size = kept.stat().st_size
                kept.unlink()
                print(f"{kept}: deleted, {size / 1e6:,.1f} MB")
            elif kept is not None:
                print(f"{kept}: the old file; --finish deletes it")
    except (Corrupt, Full, Locked, OSError) as error:
        print(f"atoll: {error}", file=sys.stderr)
        return 1
    return 0


def _check(options: argparse.Namespace) -> int:
    named = options.store or ("" if options.data else os.environ.get("ATOLL_STORE", ""))
    if named:
        check_store(named, "", in_memory=False, data_named=options.data is not None)
        from atoll.check import shared  # its driver is an extra

        return shared.run(named, SystemClock().now_ms(), as_json=options.json, repairs=options.repair)
    directories = _stores(Path(options.data or os.environ.get("ATOLL_DATA", "data")))
    return command.run(directories, SystemClock().now_ms(), as_json=options.json, repairs=options.repair)


def _copy(options: argparse.Namespace) -> int:
    if bool(options.data) == bool(options.store) or bool(options.store) == is_url(options.to):
        raise Refused("name what to copy: --data DIR --to postgresql://..., or --store postgresql://... --to DIR")
    check_store(options.store or options.to, "", in_memory=False, data_named=False)
    from atoll.copying import command as copying  # its driver is an extra

    if options.store:
        return copying.to_directory(options.store, Path(options.to))
    data = Path(options.data)
    return copying.to_database(data, [*stores(data)], options.to)


def _compact(options: argparse.Namespace) -> int:
    named = options.store or ("" if options.data else os.environ.get("ATOLL_STORE", ""))
    data = Path(options.data or os.environ.get("ATOLL_DATA", "data"))
    if named:
        check_store(named, "", in_memory=False, data_named=options.data is not None)
    directories = [] if named else _stores(data)
    try:
        if named:
            from atoll.storage.postgresql.vacuuming import vacuum  # its driver is an extra

            results = vacuum(named)
        else:
            results = ((str(one), *compact(one, _bar(one))) for one in directories)
        for name, before, after in results:
            print(f"{name}: {before / 1e6:,.1f} MB before, {after / 1e6:,.1f} MB now", flush=True)
    except (BadStore, Corrupt, Full, Locked, OSError, Unavailable) as error:
        print(f"atoll: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\natoll: stopped; nothing has changed, except in the stores named above", file=sys.stderr)
        return INTERRUPTED
    return 0


def _bar(directory: Path) -> Callable[[int, int], None]:
    shown: list[Progress] = []

    def report(done: int, total: int) -> None:
        if not shown:
            shown.append(Progress(str(directory), total, "bytes"))
        shown[0](done)

    return report


def stores(data: Path) -> Iterator[Path]:
    """The directories of the stores: of the default account, then of other accounts."""
    names = {FILE_NAME, migration.NEW_NAME, migration.KEPT_NAME}
    for directory in (*sorted(data.glob("*/")), *sorted(data.glob("*/*/"))):
        if any((directory / name).is_file() for name in names):
            yield directory


def _progress(directory: Path) -> Callable[[int, int], None]:
    """Print every further tenth."""
    tenths = Tenths()

    def report(done: int, total: int) -> None:
        if tenths.passed(done, total) is not None:
            print(f"{directory}: {done} of {total} rows", flush=True)

    return report
