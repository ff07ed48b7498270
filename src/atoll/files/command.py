"""`atoll import` and `atoll export`: their options, signals and exit codes.

botocore is imported when a command runs: no other command needs its clients.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from atoll.options import Refused
from atoll.replicate.command import FAILED, SUCCEEDED, end_on_signals, rate_of

if TYPE_CHECKING:
    from atoll.replicate.crew import Pauses
    from atoll.replicate.ends import End
    from atoll.replicate.progress import Counters, Display

ENDPOINT = "http://127.0.0.1:8000"
SEGMENTS = 32
TYPES = ("S", "N", "B", "BOOL")


def add_import(importing: argparse.ArgumentParser) -> None:
    importing.description = (
        "Put the items of files into a table: DynamoDB JSON or plain JSON lines, CSV, Parquet, the file of DynamoDB "
        "Local, or a directory that `atoll export` wrote. Exit codes: 0 done, 1 failed, 2 invalid options."
    )
    importing.add_argument("files", nargs="+", metavar="FILE")
    importing.add_argument("--table", required=True, metavar="NAME", help="the table")
    importing.add_argument("--create", action="store_true", help="make the table as the directory's table.json says")
    importing.add_argument("--types", default="", metavar="NAME=TYPE,...", help="types of CSV columns: S, N, B or BOOL")
    importing.add_argument("--strings", action="store_true", help="CSV columns without a type are strings")
    importing.add_argument("--source-table", default="", metavar="NAME", help="the table in a .db file")
    importing.add_argument("--state", default="", metavar="FILE", help="the file for progress")
    importing.add_argument("--write-rate", default="", metavar="UNITS", help="write units per second (default: any)")
    importing.set_defaults(run=_import)
    _add_end(importing)


def add_export(exporting: argparse.ArgumentParser) -> None:
    exporting.description = "Write a table into a directory. Exit codes: 0 done, 1 failed, 2 invalid options."
    exporting.add_argument("table", metavar="TABLE")
    exporting.add_argument("directory", metavar="DIR")
    exporting.add_argument("--segments", default="4", metavar="N", help="parallel scans (default: 4)")
    exporting.add_argument("--read-rate", default="", metavar="UNITS", help="read units per second (default: any)")
    exporting.set_defaults(run=_export)
    _add_end(exporting)


def _add_end(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--endpoint", default=ENDPOINT, metavar="URL", help=f"the server (default: {ENDPOINT})")
    parser.add_argument("--region", default="", metavar="REGION", help="the region of the table")
    parser.add_argument("--profile", default="", metavar="NAME", help="the AWS profile")
    parser.add_argument("--json", action="store_true", help="print progress as JSON, one object a line")


def _carry_out(options: argparse.Namespace, role: str, work: Callable[[End, Pauses, Counters, Display], None]) -> int:
    from botocore.exceptions import BotoCoreError

    from atoll.replicate.crew import Pauses
    from atoll.replicate.ends import Address, End
    from atoll.replicate.failures import Failed, Stopped
    from atoll.replicate.progress import Counters, Display

    pauses, counters = Pauses(), Counters()
    try:
        end = End(role, Address(options.endpoint, options.region, options.profile).clients(), pauses, counters)
    except (BotoCoreError, ValueError) as error:
        raise Refused(str(error)) from error
    display = Display(counters, sys.stdout if options.json else sys.stderr, as_json=options.json)
    end_on_signals(pauses.stop)
    try:
        work(end, pauses, counters, display)
    except Stopped:
        display.say("stopped; another run continues from here")
        return FAILED
    except Failed as failure:
        display.end(str(failure))
        print(f"atoll: {failure}", file=sys.stderr)
        return FAILED
    display.say(f"done: {counters.items:,} items")
    return SUCCEEDED


def _import(options: argparse.Namespace) -> int:
    types = _types(options.types)
    rate = rate_of("--write-rate", options.write_rate)
    missing = [name for name in options.files if not Path(name).exists()]
    if missing:
        raise Refused(f"there is no file {missing[0]}")
    state_path = Path(options.state or f".atoll-import-{options.table}.json")

    def work(end: End, pauses: Pauses, counters: Counters, display: Display) -> None:
        from atoll.files import exporting, importing
        from atoll.files.sources import Source
        from atoll.replicate import tables
        from atoll.replicate.failures import Failed
        from atoll.replicate.pacing import Rate
        from atoll.replicate.writing import Writer

        paths: list[Path] = []
        for name in options.files:
            path = Path(name)
            paths += exporting.files_of(path) if path.is_dir() else [path]
        if options.create and tables.describe(end, options.table) is None:
            end.call("create_table", **_definition(Path(options.files[0]), options.table))
        if tables.describe(end, options.table) is None:
            raise Failed(f"there is no table {options.table}")
        description = tables.wait_until_active(end, options.table)
        keys = tables.key_of(description)
        of_keys = {name: type_ for name, _, type_ in keys}
        chosen = {**of_keys, **types}
        table = options.source_table or options.table
        sources = [Source(path, table, chosen, guesses=not options.strings) for path in paths]
        writer = Writer(end, options.table, Rate(rate, pauses), lambda: None, counters)
        state = importing.State(state_path, tables.identity(description))
        importing.run(sources, list(of_keys), writer, state, pauses, counters, display)

    return _carry_out(options, "target", work)


def _definition(directory: Path, table: str) -> dict[str, Any]:
    from atoll.files.exporting import DEFINITION

    try:
        found: dict[str, Any] = json.loads((directory / DEFINITION).read_text())
    except (OSError, ValueError) as error:
        raise Refused(f"--create: {error}") from None
    return found | {"TableName": table}


def _types(text: str) -> dict[str, str]:
    found = {}
    for part in filter(None, text.split(",")):
        name, _, type_ = part.rpartition("=")
        if not name or type_ not in TYPES:
            raise Refused(f"--types takes NAME=TYPE with a type of {', '.join(TYPES)}, not {part!r}")
        found[name] = type_
    return found


def _export(options: argparse.Namespace) -> int:
    segments = int(options.segments) if options.segments.isdecimal() and options.segments.isascii() else 0
    if not 1 <= segments <= SEGMENTS:
        raise Refused(f"--segments must be a number from 1 to {SEGMENTS}, not {options.segments!r}")
    rate = rate_of("--read-rate", options.read_rate)

    def work(end: End, pauses: Pauses, counters: Counters, display: Display) -> None:
        from atoll.files.exporting import Export
        from atoll.replicate.pacing import Rate

        directory = Path(options.directory)
        Export(end, options.table, directory, Rate(rate, pauses), pauses, counters, display).run(segments)

    return _carry_out(options, "source", work)
