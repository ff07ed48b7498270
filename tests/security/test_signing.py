"""Signing is the other side of verifying."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from atoll.errors import ApiError
from atoll.security.credentials import Credential
from atoll.security.signing import sign
from atoll.security.sigv4 import Signer, Verifier

NOW_MS = 1_800_000_000_000
KEY = Credential("AKIAEXAMPLE", "secret/with+signs")


@dataclass
class Request:
    path: bytes
    query: bytes
    headers: dict[bytes, bytes]
    body: bytes
    method: bytes = field(default=b"POST")


def signed(credential: Credential = KEY, **changes: Any) -> Request:
    given: dict[str, Any] = {
        "path": "/a/b",
        "query": "",
        "headers": {"Host": "db.example:8000"},
        "body": b"{}",
        **changes,
    }
    headers = sign(credential, region="eu-west-1", service="atoll-peer", now_ms=NOW_MS, **given)
    lines = {name.encode(): value.encode() for name, value in headers.items()}
    return Request(given["path"].encode(), given["query"].encode(), lines, given["body"])


def verify(request: Request, known: Credential = KEY) -> Signer:
    return Verifier({known.access_key: known}.get).verify(request, NOW_MS, "atoll-peer")


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"path": "/"},
        {"path": "/_atoll/peer/two%20words"},
        {"query": "source=us-east-1"},
        {"query": "b=2&a=%C3%A9&a=1&c"},
        {"headers": {"Host": "x", "X-Amz-Target": "a.B", "Content-Type": "  text/plain;  x=1 "}},
        {"body": b""},
        {"body": bytes(range(256)) * 100},
        {"credential": Credential("AKIASESSION", "s", session_token="a token")},
    ],
)
def test_a_signed_request_is_verified(changes: dict[str, Any]) -> None:
    known = changes.get("credential", KEY)
    assert verify(signed(**changes), known) == Signer(known.access_key, "eu-west-1", "atoll-peer", admin=False)


@pytest.mark.parametrize(("name", "value"), [("body", b"[]"), ("path", b"/a/c"), ("query", b"x=1"), ("method", b"PUT")])
def test_every_part_is_signed(name: str, value: bytes) -> None:
    request = signed()
    setattr(request, name, value)
    with pytest.raises(ApiError, match="InvalidSignatureException"):
        verify(request)
