"""Temporary credentials: the token contains the whole session, so every process with the same key can verify it.

    token    base64url(0x01, HMAC-SHA256 of the rest, deflated JSON of the session)
    secret   base64(HMAC-SHA256(key, "secret", access key)): never stored, never in the token

Nothing in a token is secret. Its HMAC shows that this server made it.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import os
import secrets
import string
import zlib
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import orjson

from atoll.security.vault import PLAIN, BadSecret, Vault

KEY_FILE = "session.key"
KEY_BYTES = 32
TOKEN_CHARS = 6_000
"""The longest token: it travels in a header of every request."""

_VERSION = b"\1"
_TAG_BYTES = 32
_SESSION_BYTES = 64 * 1024
_ID_CHARS = string.ascii_uppercase + "234567"


class BadKey(Exception):
    """The file has no valid key."""


class BadToken(Exception):
    """The token was not made with this key."""


@dataclass(frozen=True, eq=False)
class Session:
    """A session of a user (GetSessionToken) or of a role."""

    access_key: str
    account: str
    name: str
    """The name of the user or role; empty for the root."""
    session_name: str | None
    """The name of the role's session; None for a user's session."""
    issued_s: int
    expires_s: int
    policies: tuple[str, ...] = ()
    """The JSON of session policies, and the names of managed ones."""
    has_policies: bool = False
    tags: Mapping[str, str] = field(default_factory=dict)
    transitive: tuple[str, ...] = ()
    source_identity: str | None = None
    provider: str | None = None
    """The ARN of the provider of a web identity."""
    web: Mapping[str, str] = field(default_factory=dict)
    """The issuer, audience and subject of a web identity."""
    chained: bool = False

    @property
    def is_role(self) -> bool:
        return self.session_name is not None


def new_access_key() -> str:
    return "ASIA" + "".join(secrets.choice(_ID_CHARS) for _ in range(16))


class Tokens:
    """Makes and reads the tokens of one key, which is loaded at first use: a server without sessions needs none."""

    def __init__(self, load: Callable[[], bytes]) -> None:
        self._load = load

    @cached_property
    def _key(self) -> bytes:
        return self._load()

    def token(self, session: Session) -> str:
        packed = zlib.compress(orjson.dumps(asdict(session)), 9)
        return base64.urlsafe_b64encode(_VERSION + self._tag(packed) + packed).decode()

    def secret(self, access_key: str) -> str:
        return base64.b64encode(hmac.digest(self._key, b"secret" + access_key.encode(), "sha256"))[:40].decode()

    def read(self, token: bytes) -> Session:
        """The session in a token. Raises `BadToken`."""
        if len(token) > TOKEN_CHARS:
            raise BadToken
        try:
            given = base64.urlsafe_b64decode(token)
        except (binascii.Error, ValueError):
            raise BadToken from None
        tag, packed = given[1 : 1 + _TAG_BYTES], given[1 + _TAG_BYTES :]
        if given[:1] != _VERSION or not hmac.compare_digest(tag, self._tag(packed)):
            raise BadToken
        row: dict[str, Any] = orjson.loads(zlib.decompressobj().decompress(packed, _SESSION_BYTES))
        row["policies"], row["transitive"] = tuple(row["policies"]), tuple(row["transitive"])
        return Session(**row)

    def _tag(self, packed: bytes) -> bytes:
        return hmac.digest(self._key, b"token" + packed, "sha256")


def load_key(path: Path | None, vault: Vault = PLAIN) -> bytes:
    """The key in the file, which is created if it is missing; without a path, a new key. Processes that start at the
    same time get the same key. Raises `BadKey`."""
    if path is None:
        return secrets.token_bytes(KEY_BYTES)
    try:
        return _read_key(path, vault)
    except FileNotFoundError:
        pass
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(vault.close(secrets.token_bytes(KEY_BYTES).hex()).encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(draft, path)  # fails if another process was first
    except FileExistsError:
        pass
    finally:
        draft.unlink()
    return _read_key(path, vault)


def _read_key(path: Path, vault: Vault) -> bytes:
    text = path.read_text().strip()
    try:
        key = bytes.fromhex(vault.open(text))
    except BadSecret as error:
        raise BadKey(f"{path} cannot be read: {error}") from None
    except ValueError:
        key = b""
    if len(key) < KEY_BYTES:
        raise BadKey(f"{path} must hold a key of at least {KEY_BYTES} bytes, in hexadecimal")
    return key
