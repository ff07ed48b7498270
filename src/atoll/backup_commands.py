"""`atoll backup` and `atoll restore`: back up a data directory or a store in PostgreSQL to a file, and restore it."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from atoll.clock import SystemClock
from atoll.options import Refused
from atoll.serve_options import check_store
from atoll.store_commands import stores

if TYPE_CHECKING:
    from atoll.copying.backup_file import Backup
    from atoll.copying.contents import CopySource

_NICENESS = 5


def add_backup(backup: argparse.ArgumentParser) -> None:
    backup.description = (
        "Append a backup of a data directory to a file, while a server may use it. The first backup has everything,"
        " later ones add what has changed. The same command resumes an interrupted backup."
    )
    backup.add_argument("--to", metavar="FILE", help="the file; it is created if it does not exist")
    _add_place(backup, "a store in PostgreSQL instead (ATOLL_STORE)")
    backup.set_defaults(run=_back_up)
    actions = backup.add_subparsers(metavar="ACTION")
    verify = actions.add_parser("verify", help="read a backup and compare all checksums", description=_VERIFY)
    verify.set_defaults(run=_verify)
    listing = actions.add_parser("list", help="list the backups in a file", description=_LIST)
    listing.set_defaults(run=_list)
    for action in (verify, listing):
        action.add_argument("file", metavar="FILE")
    _add_number(verify)


_VERIFY = "Read all of a backup and compare its checksums. Exit codes: 0 intact, 2 damaged or incomplete."
_LIST = "List the complete backups in a file, each with its number."


def add_restore(restore: argparse.ArgumentParser) -> None:
    restore.description = (
        "Restore a backup into an empty data directory, or an empty store in PostgreSQL. No server can use it before"
        " the restore is complete and verified. The same command resumes an interrupted restore."
    )
    restore.add_argument("file", metavar="FILE", help="a file written by `atoll backup`")
    _add_place(restore, "a store in PostgreSQL instead")
    _add_number(restore)
    restore.set_defaults(run=_restore)


def _add_place(parser: argparse.ArgumentParser, store: str) -> None:
    """Where a backup is taken from or restored to; `store` is the help of this option."""
    parser.add_argument("--data", help="the data directory (ATOLL_DATA)")
    parser.add_argument("--store", help=store)
    parser.add_argument("--region", action="append", default=[], help="only this region; can be repeated")


def _add_number(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--number", type=int, help="the number of the backup in the file (default: the last one)")


def _back_up(options: argparse.Namespace) -> int:
    from atoll.copying.backing_up import back_up
    from atoll.copying.command import exit_code

    if not options.to:
        raise Refused("name the file of the backups: atoll backup --to FILE")
    with suppress(OSError):
        os.nice(_NICENESS)  # yield to a server on the same machine
    with exit_code() as code:
        with _source(options) as source:
            written = back_up(source, Path(options.to), options.region, SystemClock().now_ms())
        print(
            f"{options.to}: backup {written.number} is complete: {written.rows:,} rows, {written.added / 1e6:,.1f} MB"
            f" added, digest {written.digest.hex()}"
        )
    return code[0]


@contextmanager
def _source(options: argparse.Namespace) -> Iterator[CopySource]:
    store = options.store or ("" if options.data else os.environ.get("ATOLL_STORE", ""))
    if store:
        check_store(store, "", in_memory=False, data_named=options.data is not None)
        from atoll.copying.database import SourceDatabase  # its driver is an extra

        with closing(SourceDatabase(store, is_used=True)) as database:
            yield database
    else:
        from atoll.copying.directory import SourceDirectory

        data = _data(options)
        with closing(SourceDirectory(data, [*stores(data)], is_used=True)) as directory:
            yield directory


def _data(options: argparse.Namespace) -> Path:
    return Path(options.data or os.environ.get("ATOLL_DATA", "data"))


def _verify(options: argparse.Namespace) -> int:
    from atoll.copying.backing_up import verify
    from atoll.copying.backup_file import BackupFile
    from atoll.copying.command import exit_code

    with exit_code() as code, closing(BackupFile.open(Path(options.file))) as file:
        verify(file, options.number)
        number = options.number or len(file.backups)
        print(f"intact: {_line(number, file.backups[number - 1])}")
    return code[0]


def _list(options: argparse.Namespace) -> int:
    from atoll.copying.backup_file import BackupFile
    from atoll.copying.command import exit_code

    with exit_code() as code, closing(BackupFile.open(Path(options.file))) as file:
        for number, backup in enumerate(file.backups, 1):
            print(_line(number, backup))
        if not file.is_complete:
            print("the last backup is incomplete: run the same `atoll backup` again to complete it")
    return code[0]


def _line(number: int, backup: Backup) -> str:
    at = datetime.fromtimestamp(backup.taken_ms / 1000, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    regions = ", ".join(sorted(backup.regions))
    return f"{number}  {at}  {backup.source}: {regions}; {backup.rows:,} rows, digest {backup.digest.hex()}"


def _restore(options: argparse.Namespace) -> int:
    from atoll.copying.backing_up import SourceFile
    from atoll.copying.backup_file import BackupFile
    from atoll.copying.command import copy, exit_code
    from atoll.copying.directory import TargetDirectory

    with exit_code() as code, closing(BackupFile.open(Path(options.file))) as file:
        source = SourceFile(file, options.number, options.region)
        if options.store:
            check_store(options.store, "", in_memory=False, data_named=options.data is not None)
            from atoll.copying.database import TargetDatabase  # its driver is an extra

            with closing(TargetDatabase(options.store)) as database:
                copy(source, database)
        else:
            with closing(TargetDirectory(_data(options))) as directory:
                copy(source, directory)
    return code[0]
