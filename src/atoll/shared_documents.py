"""The documents of a PostgreSQL store that front ends share besides the regions: credentials, and users, roles and
policies that commands declared. Each front end reads changed documents once a second.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import orjson

from atoll.errors import identities as texts
from atoll.security.credentials import BadCredentials, Credential, dump, parse
from atoll.security.directory import BadDirectory
from atoll.security.vault import Vault

CREDENTIALS, SESSION_KEY, PRINCIPALS = "credentials", "session.key", "principals"
"""Names of documents."""

Change = Callable[[bytes | None], bytes]
"""Makes the new content of a document from the old one, which is None if the document does not exist."""

_log = logging.getLogger(__name__)


class Documents(Protocol):
    vault: Vault

    async def change(self, name: str, change: Change) -> tuple[int, bytes]:
        """Change a document; returns its new version and content. `change` runs again if another process was faster."""


class SharedCredentials:
    """Like `security.credentials.Credentials`, but from a store."""

    def __init__(self, store: Documents) -> None:
        self._store = store
        self.version = 0
        self._has_changed = False
        self._by_key: dict[str, Credential] = {}

    def use(self, version: int, content: bytes) -> None:
        self.version = version
        self._has_changed = True
        try:
            self._by_key = parse(content, self._store, self._store.vault)
        except BadCredentials as error:
            _log.warning("credentials were not reloaded; those read before stay in force: %s", error)

    def get(self, access_key: str) -> Credential | None:
        found = self._by_key.get(access_key)
        return found if found is not None and not found.peer else None

    def peer(self, access_key: str) -> Credential | None:
        found = self._by_key.get(access_key)
        return found if found is not None and found.peer else None

    def list(self) -> list[Credential]:
        return sorted(self._by_key.values(), key=lambda one: (one.created_ms, one.access_key))

    def peers(self) -> Sequence[Credential]:
        return [one for one in self.list() if one.peer]

    def refresh(self, now_ms: int) -> bool:
        """Returns whether there were changes; the store is read in the background."""
        changed, self._has_changed = self._has_changed, False
        return changed

    def reload(self) -> bool:
        return self.refresh(0)

    async def add(self, credential: Credential) -> None:
        await self._change(lambda by_key: by_key.update({credential.access_key: credential}))

    async def delete(self, access_key: str) -> bool:
        """Delete a credential. Returns whether it existed."""
        if access_key not in self._by_key:
            return False
        await self._change(lambda by_key: by_key.pop(access_key, None))
        return True

    async def _change(self, change: Callable[[dict[str, Credential]], object]) -> None:
        vault = self._store.vault

        def changed(content: bytes | None) -> bytes:
            by_key = {} if content is None else parse(content, self._store, vault)
            change(by_key)
            return dump(sorted(by_key.values(), key=lambda one: one.created_ms), vault)

        self.use(*await self._store.change(CREDENTIALS, changed))


class SharedPrincipals:
    """The declarations of `atoll users`, `roles` and `policies`, as a `Declaration`."""

    def __init__(self, store: Documents) -> None:
        self._store = store
        self.version = 0
        self._content = b"{}"

    def use(self, version: int, content: bytes) -> None:
        self.version, self._content = version, content

    def stamp(self) -> int:
        return self.version

    def load(self) -> Mapping[str, Any]:
        return _parsed(self._content)

    async def change(self, change: Callable[[dict[str, Any]], None]) -> None:
        """`change` modifies the document that it gets. If it raises, the error is raised here and nothing changes."""

        def changed(content: bytes | None) -> bytes:
            found = dict(_parsed(content or b"{}"))
            change(found)
            return orjson.dumps(found, option=orjson.OPT_INDENT_2)

        self.use(*await self._store.change(PRINCIPALS, changed))


def _parsed(content: bytes) -> Mapping[str, Any]:
    try:
        found = orjson.loads(content)
    except ValueError as error:
        raise BadDirectory(texts.unreadable(PRINCIPALS, error)) from None
    if not isinstance(found, Mapping):
        raise BadDirectory(texts.not_a_table(PRINCIPALS))
    return found
