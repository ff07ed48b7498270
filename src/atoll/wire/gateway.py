"""From a request to the bytes of its answer: find the operation, authenticate the caller, call, encode.

The order is DynamoDB's: an unknown target is rejected before the signature is checked. A body is parsed only after its
signature is verified, so that unauthenticated clients cannot make the server build large values.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping

import orjson

from atoll import errors
from atoll.api.call import Caller
from atoll.api.large import LargeBody, aside, release
from atoll.api.services import Operation
from atoll.clock import Clock
from atoll.errors import ApiError
from atoll.security.credentials import Credentials
from atoll.security.sigv4 import Verifier, claimed, normal_path
from atoll.wire.codec import (
    JSON,
    Call,
    Encoder,
    Request,
    Response,
    error_body,
    healthy,
    is_large,
    json_type,
    not_found,
    parse_body,
    parse_large_body,
    preflight,
)

Route = Callable[[Request, Caller, str, int], Awaitable[Response]]
"""Answers a request. Arguments: request, caller, region, and the time in milliseconds since 1970."""

_CLAIMS = 1_024
"""Maximum number of cached claims."""

_log = logging.getLogger(__name__)


class Gateway:
    """Answers every request of the server.

    `targets` maps each `X-Amz-Target` to its operation; `call` runs them all. `routes` maps path prefixes (`/_atoll/`)
    to other protocols; the route `/` gets requests to the root that are not calls. Without `credentials` every caller
    is an admin, and region and access key are taken from the request unverified. All callers belong to `account`.
    `clock` is the time for checking the signatures of calls; `route_clock`, if given, that for routes.
    """

    def __init__(
        self,
        call: Call,
        targets: Mapping[bytes, Operation],
        *,
        clock: Clock,
        region: str,
        account: str = "000000000000",
        credentials: Credentials | None = None,
        routes: Mapping[str, Route] | None = None,
        route_clock: Clock | None = None,
    ) -> None:
        self._call = call
        self._targets = targets
        self._clock = clock
        self._route_clock = route_clock or clock
        self._region = region
        self._account = account
        self._unsigned = Caller(None, account, admin=True), region
        self._claims: dict[bytes, tuple[Caller, str]] = {}
        self._credentials = credentials
        self._verifier = None if credentials is None else Verifier(credentials.get)
        # Longest prefix first, so that the most specific route wins.
        self._routes = sorted(((path.encode(), route) for path, route in (routes or {}).items()), key=_longest_first)
        self._encoder = Encoder()

    async def answer(self, request: Request) -> bytes:
        now_ms = self._clock.now_ms()
        headers = request.headers
        type_line = json_type(headers)
        if request.method != b"POST" or request.path != b"/" or (type_line is None and request.body):
            return await self._answer_other(request, now_ms)
        status, asked = 200, None
        try:
            operation = self._targets.get(headers.get(b"x-amz-target", b""))
            if operation is None:
                raise errors.unknown_operation()
            caller, region = self._caller(request, now_ms, operation.service.signing_name)
            given = request.body
            asked = await aside(parse_large_body, given) if is_large(given) else parse_body(given)
            body = orjson.dumps(await self._call(operation, region, caller, asked, now_ms))
        except ApiError as error:
            status, body = error.status, error_body(error)
            _drop_tracebacks(error)
        except Exception:
            _log.exception("%s failed", headers.get(b"x-amz-target"))
            internal = errors.internal()
            status, body = internal.status, error_body(internal)
        if isinstance(asked, LargeBody):
            release(asked)
        return self._encoder.encode(request, status, type_line or JSON, body, now_ms)

    def _caller(self, request: Request, now_ms: int, service: str | None) -> tuple[Caller, str]:
        """The caller, and the region of the request."""
        if self._verifier is not None and self._credentials is not None:
            self._credentials.refresh(now_ms)
            signer = self._verifier.verify(request, now_ms, service)
            credential = self._credentials.get(signer.access_key)
            admin = credential is not None and credential.admin
            return Caller(signer.access_key, self._account, admin), signer.region
        authorization = request.headers.get(b"authorization")
        if authorization is None:
            return self._unsigned
        # The credential usually precedes the first comma and repeats between requests, so it makes a cache key.
        start = authorization.partition(b",")[0]
        return self._claims.get(start) or self._read_claim(start, authorization)

    def _read_claim(self, start: bytes, authorization: bytes) -> tuple[Caller, str]:
        signer = claimed(authorization)
        if signer is None:
            return self._unsigned
        claim = Caller(signer.access_key, self._account, admin=True), signer.region
        if b"Credential=" in start:
            if len(self._claims) >= _CLAIMS:
                self._claims.clear()
            self._claims[start] = claim
        return claim

    async def _answer_other(self, request: Request, now_ms: int) -> bytes:
        encode = self._encoder.other
        if request.method == b"OPTIONS" and b"origin" in request.headers:
            return encode(request, preflight(request), now_ms)
        route = self._route(request.path)
        if route is None:
            if request.path == b"/" and request.method in (b"GET", b"HEAD"):
                return encode(request, healthy(self._region), now_ms)
            return encode(request, not_found(), now_ms)
        try:
            route_ms = self._route_clock.now_ms()
            caller, region = self._caller(request, route_ms, None)
            response = await route(request, caller, region, route_ms)
        except ApiError as error:
            response = Response(error.status, error_body(error), headers={"x-amzn-ErrorType": error.code})
            _drop_tracebacks(error)
        except Exception:
            _log.exception("%s %s failed", request.method, request.path)
            response = Response(500, error_body(errors.internal()))
        return encode(request, response, now_ms)

    def _route(self, path: bytes) -> Route | None:
        # A signature covers the normalized path, so a path with `.` or `..` is not the path that was signed.
        if path != normal_path(path):
            return None
        for prefix, route in self._routes:
            if path == prefix or (prefix != b"/" and path.startswith(prefix)):
                return route
        return None


def _drop_tracebacks(error: BaseException) -> None:
    """Drop tracebacks: they form cycles that keep the whole request alive until the GC runs."""
    way: BaseException | None = error
    while way is not None:
        way.__traceback__ = None
        way = way.__context__


def _longest_first(entry: tuple[bytes, Route]) -> int:
    return -len(entry[0])
