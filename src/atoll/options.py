"""Read the values of command-line options and environment variables. Every command uses this module, so it imports
nothing of Atoll. It also has the exit code that all commands share."""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Sequence
from typing import Any

INTERRUPTED = 130
"""The exit code of a command that Ctrl-C ended, as shells have it."""

MOST_PORT = 65_535
UNITS = {"": 1, "B": 1, "KB": 1024, "MB": 1024**2, "GB": 1024**3}
_NUMBER = re.compile("[0-9]{1,18}", re.ASCII)
_SIZE = re.compile(r"([0-9]{1,15}) ?([KMG]?)I?(B?)", re.IGNORECASE | re.ASCII)


class Refused(Exception):
    """The options are invalid; the program ends with exit code 2."""


class Several(argparse.Action):
    """An option that may be repeated. The command line replaces the environment's values."""

    def __call__(self, parser: object, namespace: argparse.Namespace, values: Any, option: object = None) -> None:
        given = getattr(namespace, self.dest)
        setattr(namespace, self.dest, [values] if given is self.default else [*given, values])


class Declared:
    """The options of a command, each with its environment variable. `allowed` has the choices of options with fixed
    values."""

    def __init__(self, parser: argparse.ArgumentParser) -> None:
        self.allowed: dict[str, Sequence[str]] = {}
        self._parser = parser

    def option(
        self,
        name: str,
        default: str,
        help_: str,
        choices: Sequence[str] | None = None,
        action: str | type[argparse.Action] = "store",
    ) -> None:
        variable = _variable(name)
        value = os.environ.get(variable, default)
        shown_default = f"default: {default}; " if default else ""
        help_ = f"{help_} ({shown_default}{variable})"
        shown = None if choices is None else f"{{{','.join(choices)}}}"
        self._parser.add_argument(name, default=value, help=help_, metavar=shown, action=action)
        if choices is not None:
            self.allowed[name] = choices

    def flag(self, name: str, help_: str) -> None:
        variable = _variable(name)
        default = switch(variable, os.environ.get(variable, ""))
        self._parser.add_argument(name, action="store_true", default=default, help=f"{help_} ({variable})")

    def repeatable(self, name: str, help_: str, metavar: str, values: Sequence[str] = ()) -> None:
        variable = _variable(name)
        default = several(os.environ[variable]) if variable in os.environ else list(values)
        shown = f"default: {', '.join(values)}; " if values else ""
        help_ = f"{help_} ({shown}{variable})"
        self._parser.add_argument(name, action=Several, default=default, metavar=metavar, help=help_)


def _variable(option: str) -> str:
    return "ATOLL_" + option.strip("-").replace("-", "_").upper()


def several(text: str) -> list[str]:
    """The values of a repeatable option in an environment variable: separated by commas or spaces."""
    return [one for one in re.split(r"[,\s]+", text) if one]


def size(name: str, text: str, least: int) -> int:
    """Bytes, from a text such as 256MB."""
    found = _SIZE.fullmatch(text.strip())
    unit = "" if found is None else f"{found[2]}{'B' if found[2] else ''}".upper()
    amount = -1 if found is None else int(found[1]) * UNITS[unit]
    if amount < least:
        raise Refused(f"{name} takes a size from {least // 1024**2}MB, as in 256MB or 1GB, not {text!r}")
    return amount


def number(name: str, text: str, least: int, most: int | None = None) -> int:
    found = int(text) if _NUMBER.fullmatch(text.strip()) else least - 1
    if found < least or (most is not None and found > most):
        raise Refused(f"{name} must be a number from {least}{'' if most is None else f' to {most}'}, not {text!r}")
    return found


def port_number(name: str, text: str, least: int = 0) -> int:
    return number(name, text, least, MOST_PORT)


_SWITCHES = {"": False, "0": False, "false": False, "no": False, "off": False,
             "1": True, "true": True, "yes": True, "on": True}  # fmt: skip


def switch(variable: str, text: str) -> bool:
    """The value of an environment variable that turns an option on or off."""
    value = _SWITCHES.get(text.strip().lower())
    if value is None:
        raise Refused(f"{variable} must be 1 or 0, not {text!r}")
    return value
