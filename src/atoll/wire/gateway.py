"""Answer a request: find the operation, authenticate the caller, call, and encode the answer.

The order is DynamoDB's: an unknown target is rejected before the signature is checked. A body is parsed only after its
signature is verified, so that unauthenticated clients cannot make the server build large values.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Mapping
from functools import lru_cache, partial
from typing import Any

from atoll import errors
from atoll.api import large
from atoll.api.call import Call, Caller
from atoll.api.health import Examine
from atoll.api.services import Operation
from atoll.aside import aside, drop_tracebacks
from atoll.clock import Clock, monotonic_ns
from atoll.errors import ApiError, auth
from atoll.errors.faults import Dropped
from atoll.logs import Repeats
from atoll.security.browsers import Browsers
from atoll.security.identities import Identities
from atoll.security.sigv4 import Signer, Verifier, claimed, normal_path
from atoll.wire import compression
from atoll.wire.calls import UNSIGNED, is_form, query_error, unserved_response
from atoll.wire.codec import (
    JSON,
    TYPE_LINES,
    Encoder,
    Request,
    Response,
    error_body,
    first_line,
    json_type,
    not_found,
    parse_body,
    parse_large_body,
    preflight,
    unserved,
)
from atoll.wire.health import Health
from atoll.wire.memory import LIMIT_BYTES, Values
from atoll.wire.shares import Shares


async def _no_stores() -> Mapping[str, Any]:
    return {}


Route = Callable[[Request, Caller, str, int], Awaitable[Response]]
"""Answers a request. Arguments: request, caller, region, and the time in milliseconds since 1970."""

Signed = Callable[[Request], str | None]
"""The service for which a request must be signed; None if any will do, `UNSIGNED` if it needs no signature."""

Refuse = Callable[[Request, ApiError], Response | None]
"""The answer to a request that failed with an error; None if its protocol has no form of its own for errors."""

_CLAIMS = 1_024
"""Maximum number of cached claims."""

_INFLATIONS = 4
"""How many requests with large decompressed bodies run at a time. Memory counts bodies as they arrive, so a few
compressed bytes could hold any number of large ones otherwise."""

_log = logging.getLogger(__name__)


class Gateway:
    """Answers every request of the server.

    `targets` maps each `X-Amz-Target` to its operation; `call` runs them all. `routes` maps path prefixes (`/_atoll/`)
    to other protocols; the route `/` gets requests to the root that are not calls. Without `identities` every caller
    is an admin of `account`, and region and access key are taken from the request unverified. A caller of another
    account has its own regions, `<account>/<region>`. `sees_origin` says whether to keep a caller's request with it
    (`Caller.origin`). `unverified` gets the requests whose signatures are refused, with the error and the time.
    `examine` returns the health of the stores. Pass an `encoder` to know the ids of requests elsewhere.
    Signatures of calls are checked with the time of `clock`, those of other requests with the time of `route_clock`.

    A route in `signed_for` serves calls of another service. Its requests must be signed for that service, which may
    depend on the request (`Signed`), and are checked with `clock`. The gateway does not verify requests with a bearer
    token to the routes in `bearer_routes`, nor any requests to the routes in `unverified_routes`: it passes them on
    without rights, and the routes authenticate them. `browsers` decides which browsers' requests are served.
    `memory_limit` bounds the values of large bodies. `refuse` returns an error in the form of the request's protocol.
    """

    def __init__(
        self,
        call: Call,
        targets: Mapping[bytes, Operation],
        *,
        clock: Clock,
        region: str,
        account: str = "000000000000",
        identities: Identities | None = None,
        sees_origin: bool = False,
        unverified: Callable[[Request, ApiError, int], None] | None = None,
        routes: Mapping[str, Route] | None = None,
        route_clock: Clock | None = None,
        examine: Examine = _no_stores,
        encoder: Encoder | None = None,
        signed_for: Mapping[str, str | Signed] | None = None,
        bearer_routes: Collection[str] = (),
        unverified_routes: Collection[str] = (),
        browsers: Browsers | None = None,
        memory_limit: int = LIMIT_BYTES,
        refuse: Refuse = lambda request, error: None,
    ) -> None:
        self._call = call
        self._targets = targets
        self._clock = clock
        self._route_clock = route_clock or clock
        self._health = Health(examine, region)
        self._account = account
        self._unsigned = Caller(None, account, admin=True), region
        self._identity = lru_cache(_CLAIMS)(self._identity_of)
        self._claims: dict[bytes, tuple[Caller, str]] = {}
        self._identities = identities
        self._sees_origin = sees_origin
        self._unverified = unverified
        self._verifier = None if identities is None else Verifier(identities.get, identities.temporary)
        # Longest prefix first, so that the most specific route wins.
        self._routes = sorted(((path.encode(), route) for path, route in (routes or {}).items()), key=_longest_first)
        self._signed_for = {path.encode(): service for path, service in (signed_for or {}).items()}
        self._bearer_routes = {path.encode() for path in bearer_routes}
        self._unverified_routes = {path.encode() for path in unverified_routes}
        self._stranger = Caller(None, account, admin=False), region
        self._browsers = browsers or Browsers()
        self._checks_hosts, self._known_hosts = self._browsers.checks_hosts, self._browsers.known_hosts
        self._encoder = encoder or Encoder()
        self._refuse = refuse
        self._inflations = asyncio.Semaphore(_INFLATIONS)
        self._values = Values(memory_limit)
        self._repeats = Repeats(_log, monotonic_ns)
        self._shares = Shares()

    async def answer(self, request: Request) -> bytes:
        now_ms = self._clock.now_ms()
        headers = request.headers
        if b"origin" in headers or (self._checks_hosts and headers.get(b"host") not in self._known_hosts):
            refusal = self._browsers.refusal(headers)
            if refusal is not None:
                headers.pop(b"origin", None)  # so that the page cannot read the answer
                return self._encoder.other(request, _response(refusal), now_ms)
        type_line = TYPE_LINES.get(headers.get(b"content-type")) or json_type(headers)
        if request.method != b"POST" or request.path != b"/" or (type_line is None and request.body):
            return await self._answer_other(request, now_ms)
        status, operation = 200, None
        try:
            operation = self._targets.get(headers.get(b"x-amz-target", b""))
            if operation is None:
                raise unserved(headers.get(b"x-amz-target", b""))
            caller, region = self._caller(request, now_ms, operation.service.signing_name)
            request.share = share = caller.share or request.peer
            if share != self._shares.sole:
                body = await self._shares.run(share, self._call_any(operation, region, caller, request, now_ms))
            elif b"content-encoding" in headers or len(request.body) > large.LEAST_BYTES:
                body = await self._call_any(operation, region, caller, request, now_ms)
            else:
                result = await self._call(operation, region, caller, parse_body(request.body), now_ms)
                body = operation.encode(result)
        except ApiError as error:
            status, body = error.status, error_body(error)
            type_line = _with_query_error(type_line or JSON, operation, error)
            drop_tracebacks(error)
        except Dropped:
            raise
        except Exception:
            self._log_failure(request)
            internal = errors.internal()
            status, body = internal.status, error_body(internal)
        type_line = type_line or JSON
        if len(body) > compression.LEAST_BYTES and b"accept-encoding" in headers:
            coding = compression.accepted(first_line(headers[b"accept-encoding"]))
            if coding is not None:
                large_answer = len(body) > compression.INLINE_BYTES
                compress = compression.deflate
                body = await aside(compress, body, coding) if large_answer else compress(body, coding)
                type_line += b"Content-Encoding: %s\r\n" % coding.encode()
        return self._encoder.encode(request, status, type_line, body, now_ms)

    async def _call_any(
        self, operation: Operation, region: str, caller: Caller, request: Request, now_ms: int
    ) -> bytes:
        if b"content-encoding" in request.headers:
            return await self._call_inflated(operation, region, caller, request, now_ms)
        return await self._call_large(operation, region, caller, request.body, now_ms)

    async def _call_large(self, operation: Operation, region: str, caller: Caller, given: bytes, now_ms: int) -> bytes:
        """Call with a body that may have many values; returns the encoded answer."""
        if not large.is_large(given):
            return operation.encode(await self._call(operation, region, caller, parse_body(given), now_ms))
        room = self._values.room(given)
        await self._values.take(room)
        try:
            body = await large.parse(given, parse_large_body)
        except BaseException:
            self._values.give(room)
            raise
        try:
            return operation.encode(await self._call(operation, region, caller, body, now_ms))
        finally:  # only now, because the answer may have parts of it
            freed = asyncio.wrap_future(large.release(body))
            freed.add_done_callback(partial(self._values.give, room))

    async def _call_inflated(
        self, operation: Operation, region: str, caller: Caller, request: Request, now_ms: int
    ) -> bytes:
        """Like `_call_large`, but with the decompressed body."""
        given = request.body
        try:
            coding = compression.coding_of(request.headers[b"content-encoding"])
            if coding is None:
                return await self._call_large(operation, region, caller, given, now_ms)
            inflated = None
            if len(given) <= compression.INLINE_INPUT_BYTES:
                inflated = compression.inflate(given, coding, compression.INLINE_BYTES)
            if inflated is not None:
                return await self._call_large(operation, region, caller, inflated, now_ms)
            async with self._inflations:
                inflated = await aside(compression.inflate, given, coding)
                if inflated is None:
                    raise compression.Undecodable("its decompressed body exceeds the limit of requests")
                return await self._call_large(operation, region, caller, inflated, now_ms)
        except compression.Undecodable as fault:
            extra = {"request_id": self._encoder.next_id()}
            text = f"a request got an internal error, as from DynamoDB: {fault}"
            self._repeats.log(compression.Undecodable, logging.WARNING, text, extra)
            raise errors.internal() from None

    def _caller(self, request: Request, now_ms: int, service: str | None) -> tuple[Caller, str]:
        """The caller, and the region of the request."""
        if self._verifier is not None and self._identities is not None:
            if self._identities.refresh(now_ms):
                self._identity.cache_clear()
            try:
                found = self._identity(self._verifier.verify(request, now_ms, service))
            except ApiError as error:
                if self._unverified is not None:
                    self._unverified(request, error, now_ms)
                raise
            return found if not self._sees_origin else (found[0]._replace(origin=request), found[1])
        found = self._unverified_caller(request)
        return found if not self._sees_origin else (found[0]._replace(origin=request), found[1])

    def _unverified_caller(self, request: Request) -> tuple[Caller, str]:
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
        claim = self._identity(signer)
        if b"Credential=" in start:
            if len(self._claims) >= _CLAIMS:
                self._claims.clear()
            self._claims[start] = claim
        return claim

    def _identity_of(self, signer: Signer) -> tuple[Caller, str]:
        if self._identities is None:
            return Caller(signer.access_key, self._account, signer.admin, share=signer.access_key), signer.region
        access = self._identities.access(signer.access_key)
        if access is None:
            raise auth.unknown_access_key()
        account = access.principal.account
        own = account == self._account
        region, share = (signer.region, signer.access_key) if own else (f"{account}/{signer.region}", account)
        return Caller(signer.access_key, account, signer.admin, access, share=share), region

    async def _answer_other(self, request: Request, now_ms: int) -> bytes:
        encode = self._encoder.other
        if request.method == b"OPTIONS" and b"origin" in request.headers:
            return encode(request, preflight(request), now_ms)
        prefix, route = self._route(request.path)
        if prefix == b"/" and not (request.method == b"POST" and is_form(request)):
            route = None
        try:
            if Health.is_for(request):
                response = await self._health.answer(request)
            elif route is None:
                response = unserved_response(request) or (
                    await self._health.answer(request) if Health.is_root(request) else not_found()
                )
            else:
                signed_for = self._signed_for.get(prefix)
                service = signed_for(request) if callable(signed_for) else signed_for
                route_ms = now_ms if signed_for is not None else self._route_clock.now_ms()
                if (
                    prefix in self._unverified_routes
                    or (prefix in self._bearer_routes and _has_bearer_token(request))
                    or service == UNSIGNED
                ):
                    caller, region = self._stranger
                else:
                    caller, region = self._caller(request, route_ms, service)
                request.share = share = caller.share or request.peer
                if signed_for is None or share == self._shares.sole:
                    response = await route(request, caller, region, route_ms)
                else:
                    response = await self._shares.run(share, _answered(route, request, caller, region, route_ms))
        except ApiError as error:
            response = self._refuse(request, error) or _response(error)
            drop_tracebacks(error)
        except Exception:
            self._log_failure(request)
            response = self._refuse(request, errors.internal()) or Response(500, error_body(errors.internal()))
        return encode(request, response, now_ms)

    def _log_failure(self, request: Request) -> None:
        target = request.headers.get(b"x-amz-target", b"").decode("latin-1") or None
        what = f"{request.method.decode('latin-1')} {request.path.decode('latin-1')}"
        extra = {"target": target, "request_id": self._encoder.next_id()}
        _log.exception("a request failed unexpectedly: %s", what, extra=extra)

    def _route(self, path: bytes) -> tuple[bytes, Route | None]:
        """The route of a path, with its prefix."""
        # A signature covers the normalized path, so a path with `.` or `..` is not the path that was signed.
        if path == normal_path(path):
            for prefix, route in self._routes:
                if path == prefix or (prefix != b"/" and path.startswith(prefix)):
                    return prefix, route
        return b"", None


async def _answered(route: Route, request: Request, caller: Caller, region: str, now_ms: int) -> Response:
    return await route(request, caller, region, now_ms)


def _with_query_error(lines: bytes, operation: Operation | None, error: ApiError) -> bytes:
    if operation is None:
        return lines
    fields = query_error(operation.service, error)
    return lines + "".join(f"{name}: {value}\r\n" for name, value in fields.items()).encode()


def _response(error: ApiError) -> Response:
    return Response(error.status, error_body(error), headers={"x-amzn-ErrorType": error.code})


def _longest_first(entry: tuple[bytes, Route]) -> int:
    return -len(entry[0])


def _has_bearer_token(request: Request) -> bool:
    return request.headers.get(b"authorization", b"")[:7].lower() == b"bearer "
