"""Signature Version 4: verify the signer of a request. Pure: callers pass in the time and the secrets.

    canonical request = method, path, query, signed headers (name:value), their names, SHA-256 of the body
    string to sign    = algorithm, date, scope (day/region/service/aws4_request), SHA-256 of the canonical request
    signing key       = HMAC chain of secret, day, region, service, "aws4_request"
    signature         = HMAC(signing key, string to sign)

The signature is in the Authorization header or, if presigned, in the query. A client repeats some parts all day: its
credential scope, the names of its signed headers, the signing key. A `_Claim` holds these parts. Once a request with a
claim is verified, the claim is cached by its raw bytes. A `_Second` has what the calls of a client in one second have
in common besides. Requests without a cached claim take the slow path, which checks in DynamoDB's order.
"""

from __future__ import annotations

import hmac
import re
from calendar import timegm
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache, partial
from hashlib import sha256
from hmac import compare_digest
from operator import itemgetter
from typing import NamedTuple, Protocol, TypeVar
from urllib.parse import quote_from_bytes, unquote_to_bytes

from atoll import limits
from atoll.errors import auth
from atoll.security.credentials import Credential

ALGORITHM = "AWS4-HMAC-SHA256"
TERMINATOR = "aws4_request"

K = TypeVar("K")
T = TypeVar("T")

_REGION = re.compile(r"[a-z0-9-]{1,64}", re.ASCII)
_STAMP = re.compile(rb"\d{8}T\d{6}Z", re.ASCII)
_KEPT = 4_096
# Signs of excess whitespace in headers. (`bytes.find` is much faster than `in`, which tries an integer first.)
_SPACE = (b"  ", b"\t", b": ", b" \n")
_TO_SIGN = b"AWS4-HMAC-SHA256\n%s\n%s\n%s"
_INNER = bytes(byte ^ 0x36 for byte in range(256))
_OUTER = bytes(byte ^ 0x5C for byte in range(256))


class HttpRequest(Protocol):
    """Header names are lower case; path and query are as sent."""

    method: bytes
    path: bytes
    query: bytes
    headers: dict[bytes, bytes]
    body: bytes


class Signer(NamedTuple):
    """The signer's access key, and the region and service in the signature."""

    access_key: str
    region: str
    service: str
    admin: bool


class _Claim:
    """The parts of a signature that do not depend on the request, and the HMAC state derived from them."""

    __slots__ = (
        "call", "credential", "day", "inner", "lines", "names", "outer", "scope", "signed_headers", "signer", "values",
    )  # fmt: skip

    def __init__(self, credential: Credential, day: str, region: str, service: str, signed_headers: str) -> None:
        self.credential = credential
        self.signer = Signer(credential.access_key, region, service, credential.admin)
        self.day = day.encode()
        self.scope = f"{day}/{region}/{service}/{TERMINATOR}".encode()
        self.signed_headers = signed_headers.encode("latin-1")
        self.names = self.signed_headers.split(b";")
        self.values = itemgetter(*self.names)
        self.lines = b"".join(name.replace(b"%", b"%%") + b":%s\n" for name in self.names)
        self.call = b"POST\n/\n\n%b\n%b\n%%s" % (self.lines, self.signed_headers.replace(b"%", b"%%"))
        # An HMAC is two hashes, each starting with a block of the key. Start both here once and copy them for every
        # request: that takes a third of the time of hmac.digest().
        block = signing_key(credential.secret, day, region, service).ljust(64, b"\0")
        self.inner = sha256(block.translate(_INNER))
        self.outer = sha256(block.translate(_OUTER))

    def canonical_headers(self, headers: Mapping[bytes, bytes]) -> bytes:
        """`name:value` lines, with values stripped and runs of spaces collapsed."""
        try:
            lines: bytes = self.lines % self.values(headers)
        except KeyError:  # a missing header counts as empty
            lines = b"\t"
        if max(map(lines.find, _SPACE)) < 0:
            return lines
        values = (b" ".join(headers.get(name, b"").split()) for name in self.names)
        return self.lines % tuple(values)

    def sign(self, text: bytes) -> bytes:
        inner = self.inner.copy()
        inner.update(text)
        outer = self.outer.copy()
        outer.update(inner.digest())
        return outer.hexdigest().encode()


class _Second:
    """The calls with one claim and one date: requests with the method POST and the path `/`."""

    __slots__ = ("claim", "inner", "time_ms")

    def __init__(self, claim: _Claim, stamp: bytes, time_ms: int) -> None:
        self.claim = claim
        self.time_ms = time_ms
        self.inner = claim.inner.copy()
        self.inner.update(_TO_SIGN % (stamp, claim.scope, b""))

    def is_signed(self, headers: dict[bytes, bytes], body: bytes, signature: bytes) -> bool:
        """Whether a call has this signature. False also for headers that must be normalized first."""
        claim = self.claim
        body_hash = sha256(body).hexdigest().encode()
        try:
            canonical = claim.call % (*claim.values(headers), body_hash)
        except KeyError:
            return False
        if max(map(canonical.find, _SPACE)) >= 0:
            return False
        inner = self.inner.copy()
        inner.update(sha256(canonical).hexdigest().encode())
        outer = claim.outer.copy()
        outer.update(inner.digest())
        return (
            compare_digest(outer.hexdigest().encode(), signature)
            and headers.get(b"x-amz-content-sha256", body_hash) == body_hash
        )


def signing_key(secret: str, day: str, region: str, service: str) -> bytes:
    key = f"AWS4{secret}".encode()
    for part in (day, region, service, TERMINATOR):
        key = hmac.digest(key, part.encode(), "sha256")
    return key


class Verifier:
    """Verifies signatures. `lookup` finds the credential of an access key; `temporary` finds that of an access key with
    a session token of this server, at a time in milliseconds."""

    def __init__(
        self,
        lookup: Callable[[str], Credential | None],
        temporary: Callable[[str, bytes, int], Credential | None] | None = None,
    ) -> None:
        self._lookup = lookup
        self._temporary = temporary
        self._claims: dict[bytes, _Claim] = {}
        self._seconds: dict[tuple[bytes, bytes | None], _Second] = {}

    def verify(self, request: HttpRequest, now_ms: int, service: str | None = None) -> Signer:
        """Return the signer, or raise DynamoDB's error. The request must be signed for `service` (any, if None), by a
        credential that `lookup` finds, within 15 minutes of `now_ms`."""
        headers = request.headers
        stated, _, signature = headers.get(b"authorization", b"").rpartition(b"Signature=")
        second = self._seconds.get((stated, headers.get(b"x-amz-date")))
        if (
            second is not None
            and request.path == b"/"
            and request.method == b"POST"
            and not request.query
            and abs(second.time_ms - now_ms) <= limits.SIGNATURE_SKEW_MS
            and b"x-amz-security-token" not in headers
        ):
            signer = second.claim.signer
            if (
                (service is None or service == signer.service)
                and self._lookup(signer.access_key) is second.claim.credential
                and second.is_signed(headers, request.body, signature)
            ):
                return signer
        return self._verify_any(request, now_ms, service)

    def _verify_any(self, request: HttpRequest, now_ms: int, service: str | None) -> Signer:
        """As `verify`, for any request."""
        headers = request.headers
        authorization = headers.get(b"authorization")
        if request.query and b"X-Amz-Algorithm=" in request.query:
            if authorization is not None:
                raise auth.signed_twice()
            return self._verify_query(request, now_ms, service)
        if authorization is None or not authorization.startswith(b"AWS4-"):
            raise auth.missing_token()
        token = headers.get(b"x-amz-security-token")
        stated, _, signature = authorization.rpartition(b"Signature=")
        stamp = headers.get(b"x-amz-date", b"")
        claim = self._claims.get(stated)
        time_ms = _time_of(stamp)
        if (
            claim is None
            or time_ms is None
            or abs(time_ms - now_ms) > limits.SIGNATURE_SKEW_MS
            or not stamp.startswith(claim.day)
            or (service is not None and service != claim.signer.service)
            or self._find(claim.signer.access_key, token, now_ms) is not claim.credential
        ):
            claim, signature, stamp = self._claim_of_header(request, authorization, now_ms, service)
        self._check(request, claim, stamp, signature, request.query, token)
        if authorization == stated + b"Signature=" + signature:
            if stated not in self._claims:
                _keep(self._claims, stated, claim)
            if time_ms is not None and b"x-amz-target" in claim.names and token is None:
                _keep(self._seconds, (stated, stamp), _Second(claim, stamp, time_ms))
        return claim.signer

    def _find(self, access_key: str, token: bytes | None, now_ms: int) -> Credential | None:
        found = self._lookup(access_key)
        if found is None and token is not None and self._temporary is not None:
            return self._temporary(access_key, token, now_ms)
        return found

    def _check(
        self, request: HttpRequest, claim: _Claim, stamp: bytes, signature: bytes, query: bytes, token: bytes | None
    ) -> None:
        headers = request.headers
        # Clients must sign x-amz-* headers, and so the operation name. Otherwise an eavesdropper could turn one request
        # into another.
        if b"x-amz-target" in headers and b"x-amz-target" not in claim.names:
            raise auth.header_not_signed("X-Amz-Target")
        body_hash = sha256(request.body).hexdigest().encode()
        canonical = b"%s\n%s\n%s\n%s\n%s\n%s" % (
            request.method,
            b"/" if request.path == b"/" else canonical_path(request.path),
            canonical_query(query) if query else b"",
            claim.canonical_headers(headers),
            claim.signed_headers,
            body_hash,
        )
        text = _TO_SIGN % (stamp, claim.scope, sha256(canonical).hexdigest().encode())
        # DynamoDB does not accept UNSIGNED-PAYLOAD: the header, if present, must equal the body's hash.
        if (
            not compare_digest(claim.sign(text), signature)
            or headers.get(b"x-amz-content-sha256", body_hash) != body_hash
        ):
            raise auth.wrong_signature(canonical.decode("latin-1"), text.decode("latin-1"))
        expected = claim.credential.session_token
        if expected is None and token is None:
            return
        if expected is None or token is None or not compare_digest(expected.encode(), token):
            raise auth.wrong_session_token()

    def _claim_of_header(
        self, request: HttpRequest, authorization: bytes, now_ms: int, service: str | None
    ) -> tuple[_Claim, bytes, bytes]:
        """The claim, the signature and the date; checks each part in DynamoDB's order."""
        text = authorization.decode("latin-1")
        algorithm, _, rest = text.partition(" ")
        parameters: dict[str, str] = {}
        for part in filter(None, re.split("[, ]+", rest)):
            name, equals, value = part.partition("=")
            if not equals:
                raise auth.no_key_value_pair(part, text)
            parameters[name] = value
        lacking = [name for name in ("Credential", "Signature", "SignedHeaders") if not parameters.get(name)]
        date = request.headers.get(b"x-amz-date") or request.headers.get(b"date")
        if lacking or date is None:
            raise auth.header_lacks(lacking, date is None, text)
        stamp, time_ms = _time(date)
        _check_age(stamp, time_ms, now_ms, limits.SIGNATURE_SKEW_MS)
        find = partial(self._find, token=request.headers.get(b"x-amz-security-token"), now_ms=now_ms)
        claim = self._claim(algorithm, parameters["SignedHeaders"], parameters["Credential"], stamp, service, find)
        return claim, parameters["Signature"].encode("latin-1"), stamp.encode()

    def _verify_query(self, request: HttpRequest, now_ms: int, service: str | None) -> Signer:
        pairs = [part.partition(b"=") for part in request.query.split(b"&")]
        given = {unquote_to_bytes(name).decode("latin-1"): unquote_to_bytes(value) for name, _, value in pairs}
        required = ("X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Signature", "X-Amz-SignedHeaders", "X-Amz-Date")
        lacking = [name for name in required if not given.get(name)]
        if lacking:
            raise auth.query_lacks(lacking)
        algorithm, credential, signature, names, date = (given[name].decode("latin-1") for name in required)
        stamp, time_ms = _time(given["X-Amz-Date"])
        _check_age(stamp, time_ms, now_ms, _lifetime_ms(given.get("X-Amz-Expires")))
        token = given.get("X-Amz-Security-Token")
        find = partial(self._find, token=token, now_ms=now_ms)
        claim = self._claim(algorithm, names, credential, stamp, service, find)
        signed = b"&".join(name + equals + value for name, equals, value in pairs if name != b"X-Amz-Signature")
        self._check(request, claim, date.encode("latin-1"), signature.encode("latin-1"), signed, token)
        return claim.signer

    def _claim(
        self,
        algorithm: str,
        signed_headers: str,
        credential_text: str,
        stamp: str,
        service: str | None,
        find: Callable[[str], Credential | None],
    ) -> _Claim:
        if "host" not in signed_headers.lower().split(";"):
            raise auth.header_not_signed("Host")
        if algorithm != ALGORITHM:
            raise auth.unsupported_algorithm(algorithm)
        parts = credential_text.split("/")
        if len(parts) != 5:
            raise auth.bad_credential(credential_text)
        access_key, day, region, given_service, terminator = parts
        bad_region = None if _REGION.fullmatch(region) else region
        bad_service = service if service is not None and service != given_service else None
        bad_terminator = None if terminator == TERMINATOR else terminator
        bad_day = None if day == stamp[:8] else day
        if not (bad_region is bad_service is bad_terminator is bad_day is None):
            raise auth.bad_scope(
                region=bad_region, service=bad_service, terminator=bad_terminator, date=bad_day, stamp=stamp
            )
        credential = find(access_key)
        if credential is None:
            raise auth.unknown_access_key()
        return _Claim(credential, day, region, given_service, signed_headers)


def _time(date: bytes) -> tuple[str, int]:
    """The date as the signed basic ISO stamp, and in milliseconds."""
    text = date.decode("latin-1")
    time_ms = _time_of(date)
    if time_ms is not None:
        return text, time_ms
    try:
        time_ms = timegm(parsedate_to_datetime(text).utctimetuple()) * 1000
    except (ValueError, OverflowError):
        raise auth.bad_date(text) from None
    return _stamp(time_ms), time_ms


def _time_of(stamp: bytes) -> int | None:
    """The milliseconds of a basic ISO stamp; None for anything else."""
    return _parsed(stamp) if _STAMP.fullmatch(stamp) else None


@lru_cache(_KEPT)
def _parsed(stamp: bytes) -> int | None:
    try:
        return timegm(datetime.strptime(stamp.decode(), "%Y%m%dT%H%M%SZ").timetuple()) * 1000
    except ValueError:
        return None


def canonical_path(path: bytes) -> bytes:
    """The path, URI-encoded once more, as every service except S3 requires."""
    return quote_from_bytes(normal_path(path), safe="/-_.~").encode()


def normal_path(path: bytes) -> bytes:
    """The path without empty, `.` and `..` segments."""
    segments: list[bytes] = []
    for segment in path.split(b"/"):
        if segment == b"..":
            del segments[-1:]
        elif segment and segment != b".":
            segments.append(segment)
    slash = b"/" if segments and path.endswith(b"/") else b""
    return b"/" + b"/".join(segments) + slash


def canonical_query(query: bytes) -> bytes:
    """The query sorted by encoded name, then value, and re-encoded by RFC 3986."""
    pairs = sorted(
        tuple(quote_from_bytes(unquote_to_bytes(text), safe="-_.~") for text in (name, value))
        for name, _, value in (part.partition(b"=") for part in query.split(b"&"))
        if name or value
    )
    return "&".join(f"{name}={value}" for name, value in pairs).encode()


def claimed(authorization: bytes) -> Signer | None:
    """The signer that the header names, unverified and so treated as an admin; None if it cannot be parsed."""
    credential = authorization.partition(b"Credential=")[2].partition(b",")[0]
    parts = credential.strip().decode("latin-1").split("/")
    if len(parts) != 5 or not _REGION.fullmatch(parts[2]):
        return None
    return Signer(parts[0], parts[2], parts[3], admin=True)


def _lifetime_ms(expires: bytes | None) -> int:
    if expires is None:
        return limits.SIGNATURE_SKEW_MS
    try:
        seconds = int(expires)
    except ValueError:
        raise auth.expires_no_number() from None
    if seconds < 0:
        raise auth.expires_negative()
    if seconds > limits.PRESIGNED_SECONDS:
        raise auth.expires_too_late(limits.PRESIGNED_SECONDS)
    return seconds * 1000


def _check_age(stamp: str, time_ms: int, now_ms: int, lifetime_ms: int) -> None:
    skew_ms = limits.SIGNATURE_SKEW_MS
    if time_ms + lifetime_ms < now_ms:
        raise auth.signature_expired(stamp, _stamp(now_ms - lifetime_ms), _stamp(now_ms), _duration(lifetime_ms))
    if time_ms - skew_ms > now_ms:
        raise auth.signature_not_yet_current(stamp, _stamp(now_ms + skew_ms), _stamp(now_ms), _duration(skew_ms))


def _duration(ms: int) -> str:
    seconds = ms // 1000
    return f"{seconds} sec." if seconds % 60 else f"{seconds // 60} min."


def _stamp(ms: int) -> str:
    return datetime.fromtimestamp(ms // 1000, UTC).strftime("%Y%m%dT%H%M%SZ")


def _keep(cache: dict[K, T], key: K, value: T) -> None:
    """Add to a cache that is cleared when full; entries in use return with the next request."""
    if len(cache) >= _KEPT:
        cache.clear()
    cache[key] = value
