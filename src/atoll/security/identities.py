"""Find the identity behind an access key: a key of the credentials file, of a declared user, or of temporary
credentials.

`get` and `temporary` find the credential that verifies a signature; `access` returns the caller with its policies. A
key of the credentials file belongs to the user that it names, or to the root of the default account.
"""

from __future__ import annotations

import logging
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import orjson

from atoll.errors import auth
from atoll.errors import identities as texts
from atoll.security import directory as directories
from atoll.security.credentials import Credential, CredentialsSource
from atoll.security.directory import BadDirectory, Directory
from atoll.security.policies import document
from atoll.security.policies.decision import Attached, Narrowed, Policies, PolicyKind
from atoll.security.policies.document import Kind
from atoll.security.policies.principals import Principal, root
from atoll.security.sessions import BadToken, Session, Tokens, load_key

FILE_NAME = "policies.toml"
COMMANDS_FILE_NAME = "principals.json"
"""The file of declarations that commands made."""
RECHECK_MS = 1_000
_SESSIONS = 10_000

_log = logging.getLogger(__name__)


@dataclass(eq=False)
class Access:
    """A caller with its policies. `narrowed` and `kept` are caches of decisions about it."""

    principal: Principal
    policies: Policies
    session: Session | None = None
    narrowed: dict[tuple[str, str], tuple[object, Narrowed]] = field(default_factory=dict)
    kept: dict[tuple[str, str, str | None, Any], Any] = field(default_factory=dict)


class Declaration(Protocol):
    """A document that declares users, roles and so on."""

    def stamp(self) -> object:
        """A value that changes with the document."""

    def load(self) -> Mapping[str, Any]:
        """Load the declarations. Raises `BadDirectory`."""


@dataclass(frozen=True)
class DeclaringFile:
    """A file with declarations; a missing file declares nothing."""

    path: Path

    def stamp(self) -> tuple[int, int] | None:
        try:
            status = self.path.stat()
        except OSError:
            return None
        return status.st_mtime_ns, status.st_ino

    def load(self) -> Mapping[str, Any]:
        return load(self.path)


class Declared:
    """The directory that documents declare; they are read again when they change."""

    def __init__(
        self, declarations: Sequence[Declaration], account: str, document: Mapping[str, Any] | None = None
    ) -> None:
        """`document` has further declarations. Raises `BadDirectory`."""
        self._declarations = declarations
        self._account = account
        self._fixed = [] if document is None else [document]
        self.read()

    def read(self) -> None:
        """Read the documents. Raises `BadDirectory`."""
        self._stamps = [one.stamp() for one in self._declarations]
        loaded = [one.load() for one in self._declarations]
        self.directory: Directory = directories.read([*self._fixed, *loaded], self._account)

    def reload(self) -> bool:
        """Read changed documents; returns whether the directory was replaced. A faulty file changes nothing, so that a
        typo locks nobody out."""
        if [one.stamp() for one in self._declarations] == self._stamps:
            return False
        try:
            self.read()
        except BadDirectory as fault:
            _log.warning("policies were not reloaded; those read before stay in force: %s", fault)
            return False
        return True


def load(path: Path) -> Mapping[str, Any]:
    """The declarations in a TOML or JSON file. Raises `BadDirectory`."""
    try:
        text = path.read_bytes()
        found = orjson.loads(text) if path.suffix == ".json" else tomllib.loads(text.decode())
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, ValueError) as error:
        raise BadDirectory(texts.unreadable(path, error)) from None
    if not isinstance(found, Mapping):
        raise BadDirectory(texts.not_a_table(str(path)))
    return found


class Identities:
    def __init__(
        self,
        credentials: CredentialsSource | None,
        declared: Declared | None = None,
        tokens: Tokens | None = None,
        account: str = "000000000000",
    ) -> None:
        self._credentials = credentials
        self._declared = declared or Declared((), account)
        self.tokens = tokens or Tokens(partial(load_key, None))
        self._account = account
        self._declared_keys: dict[str, Credential] = {}
        self._sessions: dict[bytes, tuple[Session, Credential]] = {}
        self._by_key: dict[str, Session] = {}
        self._checked_ms = -RECHECK_MS
        self._read_keys()

    def read(self) -> None:
        """Read the declarations again. Raises `BadDirectory`."""
        self._declared.read()
        self._read_keys()

    @property
    def directory(self) -> Directory:
        return self._declared.directory

    def _read_keys(self) -> None:
        self._declared_keys = {
            access_key: Credential(
                access_key, user.access_keys[access_key], admin=user.admin, user=user.principal.name,
                account=user.principal.account,
            )
            for access_key, user in self.directory.users.items()
        }  # fmt: skip
        self._sessions.clear()

    def refresh(self, now_ms: int) -> bool:
        """Check for changes, at most once a second; returns whether callers may have changed."""
        if abs(now_ms - self._checked_ms) < RECHECK_MS:
            return False
        self._checked_ms = now_ms
        changed = self._credentials is not None and self._credentials.refresh(now_ms)
        if self._declared.reload():
            self._read_keys()
            return True
        return changed

    def get(self, access_key: str) -> Credential | None:
        """The credential of a client."""
        found = self._credentials.get(access_key) if self._credentials is not None else None
        return found or self._declared_keys.get(access_key)

    def temporary(self, access_key: str, token: bytes, now_ms: int) -> Credential | None:
        """The temporary credential of a session token; None if this server did not make it. Raises if it expired."""
        known = self._sessions.get(token)
        if known is None:
            session = self.session(token)
            if session is None or self._access(session) is None:
                return None
            secret = self.tokens.secret(session.access_key)
            known = session, Credential(session.access_key, secret, token.decode("ascii"), account=session.account)
            if len(self._sessions) >= _SESSIONS:
                self._sessions.clear()
                self._by_key.clear()
            self._sessions[token] = known
            self._by_key[session.access_key] = session
        session, credential = known
        if access_key != session.access_key:
            return None
        if now_ms >= session.expires_s * 1000:
            raise auth.expired_token()
        return credential

    def session(self, token: bytes) -> Session | None:
        """The session of a token, expired or not."""
        try:
            return self.tokens.read(token)
        except BadToken:
            return None

    def access(self, access_key: str | None) -> Access | None:
        """The caller with a verified access key; None if its user is no longer declared."""
        if access_key is None:
            return self.root(self._account)
        session = self._by_key.get(access_key)
        if session is not None:
            return self._access(session)
        credential = self.get(access_key)
        if credential is None:
            return None
        account = credential.account or self._account
        return self.root(account) if credential.user is None else self._user(account, credential.user)

    def root(self, account: str) -> Access:
        return Access(root(account), Policies(control=self.directory.account(account).control))

    def named(self, principal: str, account: str = "") -> Access | None:
        """The user with this name, or the principal with this ARN; for a role, a session of it."""
        if not principal.startswith("arn:"):
            return self._user(account or self._account, principal)
        parts = principal.split(":")
        if len(parts) != 6:
            return None
        number, (kind, _, name) = parts[4], parts[5].partition("/")
        if kind == "root":
            return self.root(number)
        if kind == "user":
            return self._user(number, name.rpartition("/")[2])
        role, _, session = name.partition("/") if kind == "assumed-role" else (name.rpartition("/")[2], "", "")
        found = self.directory.account(number).roles.get(role)
        return None if found is None else Access(found.session(session or "session", {}), found.policies)

    def _user(self, account: str, name: str) -> Access | None:
        user = self.directory.account(account).users.get(name)
        return None if user is None else Access(user.principal, user.policies)

    def _access(self, session: Session) -> Access | None:
        account = self.directory.account(session.account)
        if not session.is_role:
            found = self._user(session.account, session.name) if session.name else self.root(session.account)
            return None if found is None else Access(found.principal, found.policies, session)
        role = account.roles.get(session.name)
        if role is None:
            return None
        principal = role.session(session.session_name or "", session.tags)
        policies = role.policies
        if session.has_policies:
            limits = tuple(self._session_policy(one, session.account) for one in session.policies)
            policies = Policies(
                policies.identity, policies.boundary, tuple(one for one in limits if one is not None), policies.control
            )
        return Access(principal, policies, session)

    def _session_policy(self, given: str, account: str) -> Attached | None:
        if given.startswith("{"):
            return Attached(PolicyKind.SESSION, "session policy", document.parse(document.loads(given), Kind.IDENTITY))
        found = self.directory.account(account).policies.get(given)
        return None if found is None else found._replace(source=PolicyKind.SESSION)
