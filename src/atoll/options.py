"""How values of options are read, and the limits of the process that follow from them."""

from __future__ import annotations

import argparse
import logging
import re
import resource
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from atoll.security.browsers import ANY
from atoll.security.credentials import BadCredentials, Credentials

UNITS = {"": 1, "B": 1, "KB": 1024, "MB": 1024**2, "GB": 1024**3}
_SIZE = re.compile(r"([0-9]{1,15}) ?([KMG]?)I?(B?)", re.IGNORECASE | re.ASCII)
_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://[^/?#\s@]+|null", re.ASCII)

FILES = 65_536
"""Raise the limit of open files to this at most: some systems allow a billion, and old programs close them all."""

_log = logging.getLogger(__name__)


class Refused(Exception):
    """The options are invalid; the program ends with exit code 2."""


class Several(argparse.Action):
    """An option that may be repeated. The command line replaces the environment's values."""

    def __call__(self, parser: object, namespace: argparse.Namespace, values: Any, option: object = None) -> None:
        given = getattr(namespace, self.dest)
        setattr(namespace, self.dest, [values] if given is self.default else [*given, values])


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


def origins(name: str, given: Sequence[str]) -> tuple[str, ...]:
    for origin in given:
        if origin != ANY.decode() and _ORIGIN.fullmatch(origin) is None:
            raise Refused(f"{name} takes an origin as in https://app.example:8443, or *, not {origin!r}")
    return tuple(given)


def credentials_file(name: str, path: str, auth: str) -> Path | None:
    if not path:
        return None
    if auth != "sigv4":
        raise Refused(f"{name} holds the keys that sign requests: use --auth sigv4 too")
    try:
        Path(path).read_bytes()  # a missing file of the data directory holds no credentials; here it is an error
        Credentials(Path(path))
    except (OSError, BadCredentials) as error:
        raise Refused(f"{name}: {error}") from error
    return Path(path)


def raise_file_limit(needed: int) -> int:
    """Allow this process, and those that it forks, as many open files as the system permits. Returns how many of the
    needed ones that are."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = FILES if hard == resource.RLIM_INFINITY else min(hard, max(FILES, needed))
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
        soft = most
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return needed
    _log.warning(
        "this process may open %d files, but --max-connections and --max-regions may need %d: lower them, or raise "
        "the limit (ulimit -n)", soft, needed,
    )  # fmt: skip
    return soft


_SWITCHES = {"": False, "0": False, "false": False, "no": False, "off": False,
             "1": True, "true": True, "yes": True, "on": True}  # fmt: skip


def switch(variable: str, text: str) -> bool:
    """The value of an environment variable that turns an option on or off."""
    value = _SWITCHES.get(text.strip().lower())
    if value is None:
        raise Refused(f"{variable} must be 1 or 0, not {text!r}")
    return value
