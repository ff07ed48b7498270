"""Sign a request with Signature Version 4, as a client does. Pure; see `sigv4` for the form of a signature."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from datetime import UTC, datetime
from hashlib import sha256

from atoll.security.credentials import Credential
from atoll.security.sigv4 import ALGORITHM, TERMINATOR, canonical_path, canonical_query, signing_key


def sign(
    credential: Credential,
    *,
    path: str,
    query: str,
    headers: Mapping[str, str],
    body: bytes,
    region: str,
    service: str,
    now_ms: int,
) -> dict[str, str]:
    """The headers of a signed POST. All given ones are signed, and `Host` has to be one of them."""
    stamp = datetime.fromtimestamp(now_ms // 1000, UTC).strftime("%Y%m%dT%H%M%SZ")
    body_hash = sha256(body).hexdigest()
    signed = {name.lower(): " ".join(value.split()) for name, value in headers.items()}
    signed |= {"x-amz-date": stamp, "x-amz-content-sha256": body_hash}
    if credential.session_token is not None:
        signed["x-amz-security-token"] = credential.session_token
    names = ";".join(sorted(signed))
    canonical = "\n".join(
        (
            "POST",
            canonical_path(path.encode()).decode(),
            canonical_query(query.encode()).decode() if query else "",
            *(f"{name}:{signed[name]}" for name in sorted(signed)),
            "",
            names,
            body_hash,
        )
    )
    scope = f"{stamp[:8]}/{region}/{service}/{TERMINATOR}"
    text = "\n".join((ALGORITHM, stamp, scope, sha256(canonical.encode()).hexdigest()))
    key = signing_key(credential.secret, stamp[:8], region, service)
    signature = hmac.digest(key, text.encode(), "sha256").hex()
    signed["authorization"] = (
        f"{ALGORITHM} Credential={credential.access_key}/{scope}, SignedHeaders={names}, Signature={signature}"
    )
    return signed
