"""How values of options are read, and the limits of the process that follow from them."""

from __future__ import annotations

import argparse
import logging
import os
import re
import resource
import ssl
from collections.abc import Sequence
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from atoll.data_directory import REGION_NAME
from atoll.security.browsers import ANY
from atoll.security.credentials import BadCredentials, Credentials
from atoll.security.directory import BadDirectory
from atoll.security.identities import load
from atoll.security.vault import PLAIN, BadSecret, Vault
from atoll.security.vault import load as load_vault
from atoll.storage.postgresql import url
from atoll.transfer import kinesis
from atoll.transfer.buckets import Buckets, opened

UNITS = {"": 1, "B": 1, "KB": 1024, "MB": 1024**2, "GB": 1024**3}
_SIZE = re.compile(r"([0-9]{1,15}) ?([KMG]?)I?(B?)", re.IGNORECASE | re.ASCII)
_PEER = re.compile(r"https?://[^/?#\s@]+/?", re.ASCII)
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


class Declared:
    """The options of a command, each with its environment variable. `allowed` has the values of those that have few."""

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
        help_ = f"{help_} (default: {default or 'none'}; {variable})"
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


def regions(name: str, given: Sequence[str]) -> list[str]:
    """At least one name of a region, each once."""
    for region in given:
        _check_region(name, region)
        if given.count(region) > 1:
            raise Refused(f"{name} {region} is given twice")
    if not given:
        raise Refused(f"{name} must be a region name such as eu-west-1")
    return list(given)


def peers(name: str, given: Sequence[str], own: Sequence[str]) -> dict[str, str]:
    """The URL of a peer's node, by region. `own` regions are none of a peer."""
    found: dict[str, str] = {}
    for one in given:
        region, equals, url = one.partition("=")
        if not equals or _PEER.fullmatch(url) is None or not _has_address(url):
            raise Refused(f"{name} takes a region and the address of its server, as in "
                          f"eu-west-1=https://host:8000, not {one!r}")  # fmt: skip
        _check_region(name, region)
        if region in own:
            raise Refused(f"{name} {one}: this server serves {region} itself (--region)")
        if region in found:
            raise Refused(f"{name} {region} is given twice")
        found[region] = url.rstrip("/")
    return found


def _has_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _check_region(name: str, region: str) -> None:
    if REGION_NAME.fullmatch(region) is None:
        raise Refused(f"{name} must be a region name such as eu-west-1, not {region!r}")


def peer_credentials(name: str, path: str, vault: Vault = PLAIN) -> Path | None:
    if not path:
        return None
    try:
        Path(path).read_bytes()
        if not Credentials(Path(path), vault).peers():
            raise Refused(f"{name}: {path} holds no peering credential: make one with atoll credentials create --peer")
    except (OSError, BadCredentials) as error:
        raise Refused(f"{name}: {error}") from error
    return Path(path)


def peer_tls(name: str, path: str) -> ssl.SSLContext | None:
    """Trusts the certificate authorities of a PEM file, and no others."""
    if not path:
        return None
    try:
        Path(path).read_bytes()  # this error names the unreadable file; that below does not
        return ssl.create_default_context(cafile=path)
    except OSError as error:
        raise Refused(f"{name}: {error}" if path in str(error) else f"{name} {path}: {error}") from error


def origins(name: str, given: Sequence[str]) -> tuple[str, ...]:
    for origin in given:
        if origin != ANY.decode() and _ORIGIN.fullmatch(origin) is None:
            raise Refused(f"{name} takes an origin as in https://app.example:8443, or *, not {origin!r}")
    return tuple(given)


def credentials_file(name: str, path: str, auth: str, vault: Vault = PLAIN) -> Path | None:
    if not path:
        return None
    if auth == "none":
        raise Refused(f"{name} holds the keys that sign requests: use --auth sigv4 too")
    try:
        Path(path).read_bytes()  # a missing file of the data directory holds no credentials; here it is an error
        Credentials(Path(path), vault)
    except (OSError, BadCredentials) as error:
        raise Refused(f"{name}: {error}") from error
    return Path(path)


def check_store(store: str, read_store: str, *, in_memory: bool, data_named: bool) -> None:
    """Raises `Refused` without showing a password."""
    if not store:
        if read_store:
            raise Refused("--read-store needs --store, the database that its servers replicate")
        return
    if in_memory or data_named:
        raise Refused(f"--store and {'--in-memory' if in_memory else '--data'} exclude each other: remove one of them")
    if find_spec("asyncpg") is None:
        raise Refused("--store needs a driver: pip install 'atoll[postgres]'")
    for name, text in (("--store", store), ("--read-store", read_store)):
        try:
            if text:
                url.parse(text)
        except url.BadURL as error:
            raise Refused(f"{name}: {error}") from error


def secrets_key(name: str, source: str) -> Vault:
    try:
        return load_vault(source)
    except BadSecret as error:
        raise Refused(f"{name}: {error}") from None


def policies_file(name: str, path: str) -> Path | None:
    if not path:
        return None
    try:
        Path(path).read_bytes()  # a missing file of the data directory declares nothing; here it is an error
        load(Path(path))
    except (OSError, BadDirectory) as error:
        raise Refused(f"{name}: {error}") from error
    return Path(path)


def writable(name: str, path: str) -> Path | None:
    """A file that this process may append to, in a directory that exists."""
    if not path:
        return None
    found = Path(path)
    if not os.access(found if found.exists() else found.parent, os.W_OK) or found.is_dir():
        raise Refused(f"{name}: {path} cannot be written")
    return found


def buckets(name: str, url: str) -> Buckets | None:
    if not url:
        return None
    try:
        return opened(url)
    except ValueError as error:
        raise Refused(f"{name}: {error}") from None
    except ImportError:
        raise Refused(f"{name} {url} needs an extra: pip install 'atoll[s3]'") from None


def kinesis_url(name: str, url: str) -> str:
    try:
        if url:
            kinesis.check(url)
    except ValueError as error:
        raise Refused(f"{name}: {error}") from None
    return url


def raise_file_limit(needed: int) -> int:
    """Allow this process, and those that it forks, as many open files as the system permits. Returns how many of the
    needed ones that are."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = FILES if hard == resource.RLIM_INFINITY else min(hard, max(FILES, needed))
    if soft != resource.RLIM_INFINITY and soft < most:
        # macOS has a maximum for all processes (kern.maxfilesperproc), which the hard limit does not tell.
        with suppress(ValueError, OSError):
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
