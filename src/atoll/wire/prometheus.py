"""`GET /metrics`, which Prometheus scrapes. If the server verifies signatures, it answers only admins and clients that
send the admin token as a bearer token."""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable

from atoll.api import prometheus
from atoll.api.call import Caller
from atoll.errors import admin as errors
from atoll.wire.codec import Request, Response, not_found

PATH = "/metrics"


class Prometheus:
    """The route to the metrics. `show` returns the body of an answer."""

    def __init__(self, show: Callable[[], Awaitable[bytes]], *, signed: bool, token: str) -> None:
        self._show = show
        self._signed = signed
        self._token = token.encode()

    async def answer(self, request: Request, caller: Caller, region: str, now_ms: int) -> Response:
        if request.method not in (b"GET", b"HEAD") or request.path != PATH.encode():
            return not_found()
        scheme, _, token = request.headers.get(b"authorization", b"").partition(b" ")
        if scheme.lower() == b"bearer":
            if not self._token or not hmac.compare_digest(token.strip(), self._token):
                raise errors.wrong_token()
        elif self._signed and not caller.admin:
            raise errors.credential_is_no_admin(caller.access_key or "")
        return Response(200, await self._show(), prometheus.CONTENT_TYPE, {"Cache-Control": "no-store"})
