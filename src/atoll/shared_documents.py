"""What front ends share beside the regions, in documents of the store: the credentials, and what commands have declared
(users, roles, policies). Each front end reads those that have changed once a second.
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
"""From a document's content to its new one. None: there is no document."""

_log = logging.getLogger(__name__)


class Documents(Protocol):
    vault: Vault

    async def change(self, name: str, change: Change) -> tuple[int, bytes]:
        """Returns the new version and content. `change` runs again if another process was faster."""


class SharedCredentials:
    """As `Credentials`, of a store."""

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
        """The store is read in the background."""
        changed, self._has_changed = self._has_changed, False
        return changed

    def reload(self) -> bool:
        return self.refresh(0)

    async def add(self, credential: Credential) -> None:
        await self._change(lambda by_key: by_key.update({credential.access_key: credential}))

    async def delete(self, access_key: str) -> bool:
        """Returns whether it existed."""
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
    """What `atoll users`, `roles` and `policies` have declared, as a `Declaration`."""

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
        """`change` changes the document that it gets. What it raises is raised here, and nothing is changed then."""

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
