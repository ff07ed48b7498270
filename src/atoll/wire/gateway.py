"""From a request to the bytes of its answer: find what it asks for, find out who asks, call, encode.

The order is the service's: an unknown target is refused before the signature is looked at. A body is parsed only
after its signature has proved right, so that strangers cannot make us build large values.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import orjson

from atoll import errors
from atoll.clock import Clock
from atoll.errors import ApiError
from atoll.security.credentials import Credentials
from atoll.security.sigv4 import Signer, Verifier, claimed, normal_path
from atoll.wire.codec import (
    Call,
    Encoder,
    Request,
    Response,
    content_type,
    error_body,
    healthy,
    not_found,
    parse_body,
    parse_targets,
    preflight,
)

Operation = Callable[[Call], Awaitable[Any]]
Route = Callable[[Request, Signer | None], Awaitable[Response]]

_log = logging.getLogger(__name__)


class Gateway:
    """What the server answers with.

    `targets` maps each `X-Amz-Target` to the name its service is signed for; `call` serves them all. `routes` maps
    prefixes of paths (`/_atoll/`) to other protocols; the route `/` gets what comes to the root and is no call.
    Without `credentials` everybody may do everything, and region and access key are what the request claims.
    Signatures of calls are checked by `clock`, those of routes by `route_clock` where there is one.
    """

    def __init__(
        self,
        call: Operation,
        targets: Mapping[str, str],
        *,
        clock: Clock,
        region: str,
        credentials: Credentials | None = None,
        routes: Mapping[str, Route] | None = None,
        route_clock: Clock | None = None,
    ) -> None:
        self._call = call
        self._targets = parse_targets(targets)
        self._clock = clock
        self._route_clock = route_clock or clock
        self._region = region
        self._credentials = credentials
        self._verifier = None if credentials is None else Verifier(credentials.get)
        # Longest first, so that the most specific route wins.
        self._routes = sorted(((path.encode(), route) for path, route in (routes or {}).items()), key=_longest_first)
        self._encoder = Encoder()

    async def answer(self, request: Request) -> bytes:
        now_ms = self._clock.now_ms()
        headers = request.headers
        json_type = content_type(headers)
        if request.method != b"POST" or request.path != b"/" or (json_type is None and request.body):
            return await self._answer_other(request, now_ms)
        status = 200
        try:
            target = self._targets.get(headers.get(b"x-amz-target", b""))
            if target is None:
                raise errors.unknown_operation()
            signer = self._signer(request, now_ms, target.signing_name)
            access_key, region = (None, self._region) if signer is None else (signer.access_key, signer.region)
            call = Call(target.service, target.operation, region, access_key, parse_body(request.body), now_ms)
            body = orjson.dumps(await self._call(call))
        except ApiError as error:
            status, body = error.status, error_body(error)
            _forget_way(error)
        except Exception:
            _log.exception("%s failed", headers.get(b"x-amz-target"))
            internal = errors.internal()
            status, body = internal.status, error_body(internal)
        return self._encoder.json(request, status, json_type or b"application/json", body, now_ms)

    def _signer(self, request: Request, now_ms: int, service: str | None) -> Signer | None:
        if self._verifier is not None and self._credentials is not None:
            self._credentials.refresh(now_ms)
            return self._verifier.verify(request, now_ms, service)
        authorization = request.headers.get(b"authorization")
        return None if authorization is None else claimed(authorization)

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
            response = await route(request, self._signer(request, self._route_clock.now_ms(), None))
        except ApiError as error:
            response = Response(error.status, error_body(error), headers={"x-amzn-ErrorType": error.code})
            _forget_way(error)
        except Exception:
            _log.exception("%s %s failed", request.method, request.path)
            response = Response(500, error_body(errors.internal()))
        return encode(request, response, now_ms)

    def _route(self, path: bytes) -> Route | None:
        # A signature is over the path without `.` and `..`: whoever sends them does not name what was signed.
        if path != normal_path(path):
            return None
        for prefix, route in self._routes:
            if path == prefix or (prefix != b"/" and path.startswith(prefix)):
                return route
        return None


def _forget_way(error: BaseException) -> None:
    """The frames that an error came through may hold it in turn, and with it all that the refused request was made of,
    until the collector of cycles comes."""
    way: BaseException | None = error
    while way is not None:
        way.__traceback__ = None
        way = way.__context__


def _longest_first(entry: tuple[bytes, Route]) -> int:
    return -len(entry[0])
