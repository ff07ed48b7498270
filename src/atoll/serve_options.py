"""Read the options that name regions, peers, files and stores; raise the limit of open files."""

from __future__ import annotations

import logging
import os
import re
import resource
import ssl
from collections.abc import Sequence
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

from atoll.data_directory import REGION_NAME
from atoll.options import Refused
from atoll.security.browsers import ANY
from atoll.security.credentials import BadCredentials, Credentials
from atoll.security.directory import BadDirectory
from atoll.security.identities import load
from atoll.security.vault import PLAIN, BadSecret, Vault
from atoll.security.vault import load as load_vault
from atoll.storage.postgresql import url
from atoll.transfer import kinesis
from atoll.transfer.buckets import Buckets, opened

_PEER = re.compile(r"https?://[^/?#\s@]+/?", re.ASCII)
_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://[^/?#\s@]+|null", re.ASCII)

FILES = 65_536
"""The limit of open files is raised to this at most: some systems allow a billion, and some programs close each
possible one."""

_log = logging.getLogger(__name__)


def regions(name: str, given: Sequence[str]) -> list[str]:
    """The names of regions: at least one, and each only once."""
    for region in given:
        _check_region(name, region)
        if given.count(region) > 1:
            raise Refused(f"{name} {region} is given twice")
    if not given:
        raise Refused(f"{name} must be a region name such as eu-west-1")
    return list(given)


def peers(name: str, given: Sequence[str], own: Sequence[str]) -> dict[str, str]:
    """The URL of a peer's node, by region. `own` regions are refused."""
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
    """A TLS context that trusts only the certificate authorities of a PEM file."""
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
    """Check the URL of the store. Raises `Refused`, whose text has no password."""
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
    """Check that this process may append to the file, in an existing directory."""
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
    """Raise the limit of open files for this process and its children, as far as the system permits. Returns the number
    allowed, at most `needed`."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = FILES if hard == resource.RLIM_INFINITY else min(hard, max(FILES, needed))
    if soft != resource.RLIM_INFINITY and soft < most:
        # macOS has a maximum for each process (kern.maxfilesperproc), which the hard limit does not show.
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
