"""Health over HTTP. These routes need no authorization, from any address, so that probes need no credentials.

GET /                     text: healthy or failing, with the status 200 or 503
GET /_atoll/health        JSON: each region's store and its problems, with the same status
GET /_atoll/health/live   200 while the process runs
"""

from __future__ import annotations

import orjson

from atoll.api import health
from atoll.wire.codec import Request, Response

_METHODS = (b"GET", b"HEAD")
_PATHS = (b"/_atoll/health", b"/_atoll/health/live")
_FRESH = {"Cache-Control": "no-store"}


class Health:
    """`region` is the default region. The answer to `GET /` without a `Host` header names this region's host."""

    def __init__(self, examine: health.Examine, region: str) -> None:
        self._examine = examine
        self._region = region

    @staticmethod
    def is_for(request: Request) -> bool:
        """Whether the request is to one of these routes, except `/`, which other protocols use, too."""
        return request.path in _PATHS and request.method in _METHODS

    @staticmethod
    def is_root(request: Request) -> bool:
        return request.path == b"/" and request.method in _METHODS

    async def answer(self, request: Request) -> Response:
        if request.path == b"/_atoll/health/live":
            return Response(200, b'{"status":"live"}', headers=_FRESH)
        stores = await self._examine()
        failing = health.status(stores) == health.FAILING
        status = 503 if failing else 200
        if request.path == b"/":
            return Response(status, self._root(request, health.summary(stores) if failing else None), "text/plain")
        return Response(status, orjson.dumps(health.report(stores)), headers=_FRESH)

    def _root(self, request: Request, wrong: str | None) -> bytes:
        if wrong is not None:
            return f"failing: {wrong}\n".encode()
        # DynamoDB sends the trailing space, too.
        host = request.headers.get(b"host") or f"dynamodb.{self._region}.amazonaws.com".encode()
        return b"healthy: %s " % host
