"""Web identities: a JSON Web Token of an OpenID Connect provider, verified with the provider's published keys.

PyJWT, with cryptography, does the cryptography. Both are installed by `pip install atoll[oidc]`.
"""

from __future__ import annotations

import base64
import binascii
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from atoll.errors import sts as errors
from atoll.security.directory import Account, Provider

ALGORITHMS = ("RS256", "RS384", "RS512", "ES256", "ES384", "ES512", "PS256", "PS384", "PS512", "EdDSA")
_KEYS = 64


class WebIdentity(NamedTuple):
    provider: Provider
    subject: str
    audience: str


def verified(account: Account, token: str, now_s: int) -> WebIdentity:
    """The identity in the token. Raises the service's error unless a provider of the account signed it for one of its
    audiences, and if it has expired."""
    header, claims = _unverified(token)
    issuer = claims.get("iss")
    provider = account.providers.get(issuer) if isinstance(issuer, str) else None
    if provider is None:
        raise errors.unknown_provider(str(issuer))
    jwt = load_library()
    if jwt is None:
        raise errors.no_keys("install atoll[oidc]")
    algorithm = header.get("alg")
    key = _key(provider, header.get("kid"))
    if algorithm not in ALGORITHMS or key is None:
        raise errors.unverified_token()
    options = {"verify_exp": False, "verify_nbf": False, "verify_iat": False, "verify_aud": False}
    try:
        claims = jwt.decode(token, key, algorithms=[algorithm], options=options)
    except (jwt.PyJWTError, ValueError, TypeError):
        raise errors.unverified_token() from None
    return _checked(provider, claims, now_s)


def _unverified(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The header and the claims of a token, as it states them."""
    parts = token.split(".")
    try:
        found = [orjson.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))) for part in parts[:2]]
    except (ValueError, binascii.Error):
        raise errors.not_a_token() from None
    if len(parts) != 3 or not all(isinstance(one, dict) for one in found):
        raise errors.not_a_token()
    return found[0], found[1]


def load_library() -> Any:
    """PyJWT; None if it is not installed. Importing it takes a while, so a server with providers does it when it
    starts."""
    try:
        import jwt
    except ImportError:
        return None
    return jwt


def _checked(provider: Provider, claims: dict[str, Any], now_s: int) -> WebIdentity:
    expires = claims.get("exp")
    if not isinstance(expires, int | float) or now_s >= expires:
        raise errors.web_token_expired()
    given = claims.get("aud")
    audiences = given if isinstance(given, list) else [given]
    allowed = [one for one in audiences if isinstance(one, str) and one in provider.audiences]
    subject = claims.get("sub")
    if not allowed or not isinstance(subject, str):
        raise errors.wrong_audience()
    return WebIdentity(provider, subject, allowed[0])


def _key(provider: Provider, key_id: object) -> Any:
    """The provider's key with this id; its only key if the token names none."""
    keys = (
        _from_file(provider.jwks, _modified(provider.jwks)) if isinstance(provider.jwks, str) else _read(provider.jwks)
    )
    if key_id is None and len(keys) == 1:
        return next(iter(keys.values()))
    return keys.get(key_id)


def _modified(path: str) -> int:
    try:
        return Path(path).stat().st_mtime_ns
    except OSError as error:
        raise errors.no_keys(str(error)) from None


@lru_cache(_KEYS)
def _from_file(path: str, modified: int) -> dict[object, Any]:
    try:
        return _read(orjson.loads(Path(path).read_bytes()))
    except (OSError, ValueError) as error:
        raise errors.no_keys(str(error)) from None


def _read(jwks: Any) -> dict[object, Any]:
    jwt = load_library()
    try:
        return {key.key_id: key.key for key in jwt.PyJWKSet.from_dict(jwks).keys}
    except (jwt.PyJWTError, KeyError, TypeError, AttributeError, ValueError) as error:
        raise errors.no_keys(str(error)) from None
