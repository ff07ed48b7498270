"""The global condition keys: the caller, the client's address, the time, and the kind of resource."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

from atoll.security.identities import Access

Values = tuple[str, ...]


class Origin(Protocol):
    """The parts of the HTTP request that conditions may ask for."""

    headers: dict[bytes, bytes]
    peer: str
    """The address of the client."""
    secure: bool


@dataclass(frozen=True, slots=True)
class Asked:
    """All the facts about a request that global keys may ask for."""

    access: Access
    origin: Origin | None
    now_ms: int
    region: str
    owner: str
    """The account of the resource."""
    tags: Mapping[str, str]
    """The tags of the resource."""
    body: Mapping[str, Any]


def value(key: str, asked: Asked) -> Values:
    """The values of a key, which is in lower case."""
    find = _KEYS.get(key)
    if find is not None:
        found = find(asked)
        return (found,) if isinstance(found, str) else tuple(found or ())
    for prefix, tags in (
        ("aws:principaltag/", asked.access.principal.tags),
        ("aws:resourcetag/", asked.tags),
        ("aws:requesttag/", _request_tags(asked)),
    ):
        if key.startswith(prefix):
            name = key.removeprefix(prefix)
            return tuple(value for tag, value in tags.items() if tag.lower() == name)[:1]
    return ()


def _request_tags(asked: Asked) -> dict[str, str]:
    tags = asked.body.get("Tags")
    return {one["Key"]: one["Value"] for one in tags} if isinstance(tags, list) else {}


def _tag_keys(asked: Asked) -> tuple[str, ...]:
    removed = asked.body.get("TagKeys")
    return tuple(removed) if isinstance(removed, list) else tuple(_request_tags(asked))


def _username(asked: Asked) -> str | None:
    principal = asked.access.principal
    return principal.name if principal.kind == "User" else None


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _issued(asked: Asked) -> str | None:
    return None if asked.access.session is None else _iso(asked.access.session.issued_s)


def _header(name: bytes) -> Callable[[Asked], str | None]:
    def find(asked: Asked) -> str | None:
        found = None if asked.origin is None else asked.origin.headers.get(name)
        return None if found is None else found.decode("latin-1")

    return find


def _session(member: str) -> Callable[[Asked], str | None]:
    return lambda asked: None if asked.access.session is None else getattr(asked.access.session, member)


_KEYS: Mapping[str, Callable[[Asked], str | Values | None]] = {
    "aws:principalarn": lambda asked: asked.access.principal.key,
    "aws:principalaccount": lambda asked: asked.access.principal.account,
    "aws:principaltype": lambda asked: asked.access.principal.kind,
    "aws:userid": lambda asked: asked.access.principal.user_id,
    "aws:username": _username,
    "aws:tokenissuetime": _issued,
    # The access key of a user has no such key.
    "aws:multifactorauthpresent": lambda asked: None if asked.access.session is None else "false",
    "aws:sourceidentity": _session("source_identity"),
    "aws:federatedprovider": _session("provider"),
    "aws:sourceip": lambda asked: None if asked.origin is None else asked.origin.peer or None,
    "aws:securetransport": lambda asked: None if asked.origin is None else str(asked.origin.secure).lower(),
    "aws:useragent": _header(b"user-agent"),
    "aws:referer": _header(b"referer"),
    "aws:currenttime": lambda asked: _iso(asked.now_ms / 1000),
    "aws:epochtime": lambda asked: str(asked.now_ms // 1000),
    "aws:requestedregion": lambda asked: asked.region,
    "aws:resourceaccount": lambda asked: asked.owner,
    "aws:viaawsservice": lambda asked: "false",
    "aws:principalisawsservice": lambda asked: "false",
    "aws:tagkeys": _tag_keys,
}
