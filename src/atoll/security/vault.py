"""Encrypt secrets at rest, with a key from a separate file or an environment variable.

    enc:v1:<Fernet token>     AES-128-CBC and HMAC-SHA256, by `cryptography` (`pip install atoll[secrets]`)

A text without this prefix is plain; it is encrypted when its file is next written.
"""

from __future__ import annotations

import base64
import os
from hashlib import sha256
from pathlib import Path
from typing import Any

PREFIX = "enc:v1:"
FROM_ENVIRONMENT = "env:"
LEAST_BYTES = 16


class BadSecret(Exception):
    """A secret cannot be decrypted, or there is no usable key; the message says why."""


class Vault:
    """Encrypts and decrypts with one key; without one it leaves texts as they are, and refuses encrypted ones."""

    def __init__(self, key: bytes | None = None) -> None:
        """Raises `BadSecret` if the library is missing."""
        self._fernet: Any = None
        if key is None:
            return
        try:
            from cryptography.fernet import Fernet
        except ImportError:
            raise BadSecret("encrypted secrets need an extra: pip install 'atoll[secrets]'") from None
        self._fernet = Fernet(base64.urlsafe_b64encode(sha256(key).digest()))

    def close(self, text: str) -> str:
        return text if self._fernet is None else PREFIX + self._fernet.encrypt(text.encode()).decode()

    def open(self, text: str) -> str:
        """Decrypt a text. Raises `BadSecret`."""
        if not text.startswith(PREFIX):
            return text
        if self._fernet is None:
            raise BadSecret("it is encrypted: give its key with --secrets-key")
        from cryptography.fernet import InvalidToken

        try:
            opened: bytes = self._fernet.decrypt(text.removeprefix(PREFIX).encode())
        except InvalidToken:
            raise BadSecret("it is encrypted with another key than --secrets-key") from None
        return opened.decode()


PLAIN = Vault()


def load(source: str) -> Vault:
    """The vault whose key is in a file, or in an environment variable: `env:NAME`. An empty source means no encryption.
    Raises `BadSecret`."""
    if not source:
        return PLAIN
    if source.startswith(FROM_ENVIRONMENT):
        key = os.environ.get(source.removeprefix(FROM_ENVIRONMENT), "").encode()
    else:
        try:
            key = Path(source).read_bytes()
        except OSError as error:
            raise BadSecret(str(error)) from None
    if len(key.strip()) < LEAST_BYTES:
        raise BadSecret(f"{source} must hold at least {LEAST_BYTES} bytes")
    return Vault(key.strip())
