"""The credentials for signing requests: a JSON file that only its owner can read.

    {"credentials": [{"access_key": "AKIA...", "secret": "...", "session_token": null, "admin": true, "peer": false,
                      "created_ms": 0, "user": null, "account": null}]}

If the server has a key for secrets (`vault`), secrets and session tokens are encrypted.

A *peering credential* (`peer`) signs the requests of other nodes, and nothing else; the others sign those of clients.
The workers and the command line share this file. A writer takes a lock and replaces the whole file. Readers check its
modification time at most once a second.
"""

from __future__ import annotations

import fcntl
import logging
import os
import secrets
import string
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Protocol

import orjson

from atoll.security.vault import PLAIN, BadSecret, Vault

FILE_NAME = "credentials.json"
RECHECK_MS = 1_000

_ACCESS_KEY_CHARS = string.ascii_uppercase + "234567"
_SECRET_CHARS = string.ascii_letters + string.digits + "+/"

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Credential:
    access_key: str
    secret: str
    session_token: str | None = None
    admin: bool = False
    created_ms: int = 0
    peer: bool = False
    user: str | None = None
    """The user that the key belongs to; None is the root of its account."""
    account: str | None = None
    """The account; None is the default account."""


class BadCredentials(Exception):
    """The file exists but is not a valid credentials file."""


class CredentialsSource(Protocol):
    """A source of credentials: a file, or a store that front ends share."""

    def get(self, access_key: str) -> Credential | None:
        """The credential of a client."""

    def peer(self, access_key: str) -> Credential | None:
        """The credential of a peer."""

    def peers(self) -> Sequence[Credential]:
        """The credentials of peers, the oldest first."""

    def refresh(self, now_ms: int) -> bool:
        """Check for changes, at most once a second. Returns whether there were any."""

    def reload(self) -> bool:
        """Check for changes now."""


def new(
    now_ms: int,
    *,
    admin: bool = False,
    peer: bool = False,
    session_token: str | None = None,
    user: str | None = None,
    account: str | None = None,
) -> Credential:
    return Credential(
        access_key="AKIA" + "".join(secrets.choice(_ACCESS_KEY_CHARS) for _ in range(16)),
        secret="".join(secrets.choice(_SECRET_CHARS) for _ in range(40)),
        session_token=session_token,
        admin=admin,
        created_ms=now_ms,
        peer=peer,
        user=user,
        account=account,
    )


class Credentials:
    """The credentials in `path`; none if the file is missing. Raises `BadCredentials` if the file is invalid."""

    def __init__(self, path: Path, vault: Vault = PLAIN) -> None:
        self._path = path
        self._vault = vault
        self._checked_ms: int | None = None
        self._stamp = _stamp(path)
        self._by_key: dict[str, Credential] = {}
        self._clients: dict[str, Credential] = {}
        self._use(_read(path, vault))

    def _use(self, by_key: dict[str, Credential]) -> None:
        self._by_key = by_key
        self._clients = {key: one for key, one in by_key.items() if not one.peer}

    def get(self, access_key: str) -> Credential | None:
        """The credential of a client."""
        return self._clients.get(access_key)

    def peer(self, access_key: str) -> Credential | None:
        """The credential of a peer."""
        found = self._by_key.get(access_key)
        return found if found is not None and found.peer else None

    def list(self) -> list[Credential]:
        return sorted(self._by_key.values(), key=lambda credential: (credential.created_ms, credential.access_key))

    def peers(self) -> Sequence[Credential]:
        """The credentials of peers, the oldest first."""
        return [credential for credential in self.list() if credential.peer]

    def refresh(self, now_ms: int) -> bool:
        """Reload the file if it has changed, and return whether it has. Keep the old credentials if it is invalid, so
        that a typo does not lock all clients out."""
        if self._checked_ms is not None and abs(now_ms - self._checked_ms) < RECHECK_MS:
            return False
        self._checked_ms = now_ms
        return self.reload()

    def reload(self) -> bool:
        """Like `refresh`, even if the file was just checked."""
        stamp = _stamp(self._path)
        if stamp == self._stamp:
            return False
        self._stamp = stamp
        try:
            self._use(_read(self._path, self._vault))
        except BadCredentials as error:
            _log.warning("credentials were not reloaded; those read before stay in force: %s", error)
        return True

    def create(
        self,
        now_ms: int,
        *,
        admin: bool = False,
        peer: bool = False,
        session_token: str | None = None,
        user: str | None = None,
        account: str | None = None,
    ) -> Credential:
        credential = new(now_ms, admin=admin, peer=peer, session_token=session_token, user=user, account=account)
        self.add(credential)
        return credential

    def add(self, credential: Credential) -> None:
        """Add a credential, or replace the one with the same access key."""
        with self._changing():
            self._by_key[credential.access_key] = credential

    def delete(self, access_key: str) -> bool:
        """Delete a credential. Returns whether it existed."""
        with self._changing():
            return self._by_key.pop(access_key, None) is not None

    def rewrite(self) -> None:
        """Write the file again: this encrypts its secrets if there is a key, and decrypts them otherwise."""
        with self._changing():
            pass

    @contextmanager
    def _changing(self) -> Iterator[None]:
        """Read, change and write under a lock, so that concurrent changes by two processes both succeed."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        lock = os.open(self._path.with_suffix(".lock"), os.O_CREAT | os.O_RDWR, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            self._by_key = _read(self._path, self._vault)
            yield
            self._use(self._by_key)
            _write(self._path, self.list(), self._vault)
            self._stamp = _stamp(self._path)
        finally:
            os.close(lock)


def _stamp(path: Path) -> tuple[int, int] | None:
    """A value that differs after each replacement or rewrite of the file."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_mtime_ns, status.st_ino


def _read(path: Path, vault: Vault) -> dict[str, Credential]:
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return {}
    return parse(content, path, vault)


def parse(content: bytes, source: object, vault: Vault = PLAIN) -> dict[str, Credential]:
    """The credentials by access key. Raises `BadCredentials` with the name of the source."""
    try:
        credentials = [Credential(**row) for row in orjson.loads(content)["credentials"]]
        credentials = [_with_secrets(one, vault.open) for one in credentials]
    except BadSecret as error:
        raise BadCredentials(f"{source} cannot be read: {error}") from None
    except (ValueError, TypeError, KeyError) as error:
        raise BadCredentials(f"{source} does not hold credentials: {error}") from error
    return {credential.access_key: credential for credential in credentials}


def dump(credentials: Sequence[Credential], vault: Vault = PLAIN) -> bytes:
    rows = [asdict(_with_secrets(one, vault.close)) for one in credentials]
    return orjson.dumps({"credentials": rows}, option=orjson.OPT_INDENT_2)


def _with_secrets(credential: Credential, change: Callable[[str], str]) -> Credential:
    token = credential.session_token
    changed = replace(credential, secret=change(credential.secret))
    return changed if token is None else replace(changed, session_token=change(token))


def _write(path: Path, credentials: list[Credential], vault: Vault) -> None:
    """Replace the file atomically: readers see the old or the new file, even after a crash."""
    draft = path.with_suffix(".new")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(dump(credentials, vault))
        file.flush()
        os.fsync(file.fileno())
    os.replace(draft, path)
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
