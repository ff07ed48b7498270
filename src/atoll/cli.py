"""The command line. `commands` lists its commands, each with its module."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from difflib import get_close_matches
from typing import NoReturn

from atoll import __version__, logs
from atoll.commands import COMMANDS, GROUPS
from atoll.options import INTERRUPTED, Refused


def main(arguments: Sequence[str] | None = None, ready: Callable[[], object] = lambda: None) -> int:
    """Run a command; returns its exit code. `arguments` default to those of the process. `ready` is called before the
    command runs, when its modules are imported."""
    if arguments is None:
        os.umask(0o077)  # files that Atoll creates are private
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        result: int = _run(words, ready)
    except Refused as refused:
        logs.refuse(str(refused))
        return 2
    except KeyboardInterrupt:
        return INTERRUPTED
    return result


def _run(words: Sequence[str], ready: Callable[[], object]) -> int:
    if not words:
        parser_of("").print_help()
        return 0
    command = words[0]
    if not command.startswith("-") and command not in COMMANDS:
        near = get_close_matches(command, COMMANDS, 1)
        raise Refused(
            f"there is no command {command!r}{f': did you mean {near[0]}?' if near else ''} (see atoll --help)"
        )
    options, unknown = parser_of(command).parse_known_args(words)
    if unknown:
        raise Refused(f"unrecognized arguments: {' '.join(unknown)} (see atoll {command} --help)")
    ready()
    result: int = options.run(options)
    return result


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise Refused(f"{message} (see {self.prog} --help)")


def parser_of(command: str | None = None) -> argparse.ArgumentParser:
    """The parser with the options of one command, or of all commands if None."""
    parser = _Parser(
        prog="atoll",
        usage="atoll COMMAND ...",
        description="An open-source DynamoDB that you run yourself.",
        epilog=_listed(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"atoll {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND", help=argparse.SUPPRESS, prog="atoll")
    for name, one in COMMANDS.items():
        parser_of_one = commands.add_parser(name)
        if command in (name, None):
            one.add(parser_of_one)
    return parser


def _listed() -> str:
    """The commands, in their groups."""
    width = max(map(len, COMMANDS))
    parts = [
        "\n".join([f"{group}:", *(f"  {name.ljust(width)}  {command.summary}" for name, command in commands.items())])
        for group, commands in GROUPS.items()
    ]
    return "\n\n".join([*parts, "`atoll COMMAND --help` explains a command and its options."])


if __name__ == "__main__":
    sys.exit(main())
