"""`atoll import` and `atoll export`: their options, signals and exit codes.

The client is imported when a command runs.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from atoll.client.options import add_endpoint
from atoll.options import Refused, number
from atoll.replicate.command import FAILED, SUCCEEDED, end_on_signals, rate_of

if TYPE_CHECKING:
    from atoll.replicate.crew import Pauses
    from atoll.replicate.ends import End
    from atoll.replicate.progress import Counters, Display

SEGMENTS = 32
PREVIEWS = 1_000
TYPES = ("S", "N", "B", "BOOL")


def add_import(importing: argparse.ArgumentParser) -> None:
    importing.description = (
        "Put the items of files into a table: DynamoDB JSON or plain JSON lines, CSV, Parquet, the file of DynamoDB "
        "Local, or a directory that `atoll export` wrote. Exit codes: 0 done, 1 failed, 2 invalid options."
    )
    importing.add_argument("files", nargs="+", metavar="FILE")
    importing.add_argument("--table", required=True, metavar="NAME", help="the table")
    importing.add_argument("--create", action="store_true", help="create the table from the directory's table.json")
    importing.add_argument("--types", default="", metavar="NAME=TYPE,...", help="types of CSV columns: S, N, B or BOOL")
    importing.add_argument(
        "--strings", action="store_true", help="treat CSV columns without a type as strings, do not guess"
    )
    importing.add_argument("--source-table", default="", metavar="NAME", help="the table to read from a .db file")
    importing.add_argument("--state", default="", metavar="FILE", help="the file that records the import's progress")
    importing.add_argument("--write-rate", default="", metavar="UNITS", help="the maximum write units per second")
    importing.add_argument(
        "--rules", default="", metavar="FILE", help="a TOML file of rules that replace personal data"
    )
    importing.add_argument("--preview", nargs="?", const="5", default="", metavar="N",
                           help="print N items before and after --rules (default: 5), and import nothing")  # fmt: skip
    importing.set_defaults(run=_import)
    _add_end(importing)


def add_export(exporting: argparse.ArgumentParser) -> None:
    exporting.description = "Write a table into a directory. Exit codes: 0 done, 1 failed, 2 invalid options."
    exporting.add_argument("table", metavar="TABLE")
    exporting.add_argument("directory", metavar="DIR")
    exporting.add_argument("--segments", default="4", metavar="N", help="the number of parallel scans (default: 4)")
    exporting.add_argument("--read-rate", default="", metavar="UNITS", help="the maximum read units per second")
    exporting.set_defaults(run=_export)
    _add_end(exporting)


def _add_end(parser: argparse.ArgumentParser) -> None:
    add_endpoint(parser, "--endpoint")
    parser.add_argument("--json", action="store_true", help="print progress as JSON, one object a line")


def _carry_out(
    options: argparse.Namespace,
    role: str,
    work: Callable[[End, Pauses, Counters, Display], None],
    *,
    copies: bool = True,
) -> int:
    from atoll.client.failures import Misconfigured
    from atoll.replicate.crew import Pauses
    from atoll.replicate.ends import Address, End
    from atoll.replicate.failures import Failed, Stopped
    from atoll.replicate.progress import Counters, Display

    pauses, counters = Pauses(), Counters()
    address = Address(options.endpoint_url, options.region, options.profile, ca_bundle=options.ca_bundle)
    try:
        end = End(role, address.client(), pauses, counters)
    except Misconfigured as error:
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
    if copies:
        display.say(f"done: {counters.items:,} items")
    return SUCCEEDED


def _import(options: argparse.Namespace) -> int:
    types = _types(options.types)
    rate = rate_of("--write-rate", options.write_rate)
    missing = [name for name in [*options.files, *filter(None, [options.rules])] if not Path(name).exists()]
    if missing:
        raise Refused(f"there is no file {missing[0]}")
    if options.preview and not options.rules:
        raise Refused("--preview shows the effect of rules: name their file with --rules")
    preview = number("--preview", options.preview, 1, PREVIEWS) if options.preview else 0

    def work(end: End, pauses: Pauses, counters: Counters, display: Display) -> None:
        from atoll.files import importing
        from atoll.files.preview import lines, warning
        from atoll.files.rules import load
        from atoll.files.sources import InputFile
        from atoll.replicate import tables
        from atoll.replicate.pacing import Rate
        from atoll.replicate.writing import Writer

        description = _described(end, options)
        of_keys = {name: type_ for name, _, type_ in tables.key_of(description)}
        rules = load(Path(options.rules), options.table, of_keys) if options.rules else None
        table = options.source_table or options.table
        sources = [
            InputFile(path, table, {**of_keys, **types}, guesses=not options.strings) for path in _paths(options.files)
        ]
        if rules is not None and preview:
            for line in lines(chain.from_iterable(source.items() for source in sources), rules, preview):
                print(line)
        else:
            if tables.describe(end, options.table) is None:
                end.call("CreateTable", **description)
            description = tables.wait_until_active(end, options.table)
            writer = Writer(end, options.table, Rate(rate, pauses), lambda: None, counters)
            path = Path(options.state or f".atoll-import-{options.table}.json")
            state = importing.ImportProgress(path, tables.identity(description))
            change = importing.unchanged if rules is None else rules.changed
            importing.run(sources, list(of_keys), writer, state, pauses, counters, display, change)
        if rules is not None and (told := warning(rules)):
            print(f"atoll: {told}", file=sys.stderr)

    return _carry_out(options, "target", work, copies=not preview)


def _paths(names: Sequence[str]) -> Iterator[Path]:
    from atoll.files.exporting import files_of

    for path in map(Path, names):
        yield from files_of(path) if path.is_dir() else [path]


def _described(end: End, options: argparse.Namespace) -> dict[str, Any]:
    """The table's description; with --create, that of the table to be created."""
    from atoll.replicate import tables
    from atoll.replicate.failures import Failed

    description = tables.describe(end, options.table)
    if description is None and options.create:
        return _definition(Path(options.files[0]), options.table)
    if description is None:
        raise Failed(f"there is no table {options.table}")
    return description


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
    segments = number("--segments", options.segments, 1, SEGMENTS)
    rate = rate_of("--read-rate", options.read_rate)

    def work(end: End, pauses: Pauses, counters: Counters, display: Display) -> None:
        from atoll.files.exporting import FileExport
        from atoll.replicate.pacing import Rate

        directory = Path(options.directory)
        FileExport(end, options.table, directory, Rate(rate, pauses), pauses, counters, display).run(segments)

    return _carry_out(options, "source", work)
