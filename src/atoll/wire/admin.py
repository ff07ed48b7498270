"""The HTTP route to the admin API: it checks who may use the API. A request has a JSON body or a query, an answer is
JSON."""

from __future__ import annotations

import hmac
from typing import Any
from urllib.parse import parse_qsl

import orjson

from atoll import errors
from atoll.api import large
from atoll.api.call import Call, Caller
from atoll.api.services import ADMIN, of
from atoll.errors import admin as admin_errors
from atoll.wire.codec import Request, Response, parse_body

_OPERATIONS = {(one.http.method, ADMIN.prefix + one.http.path): one for one in of(ADMIN) if one.http is not None}


class Admin:
    """The route to the admin API. If requests are `signed`, only admins may use it. Otherwise every client may use it,
    unless the route is `guarded`. A client that sends `token` as a bearer token may always use it."""

    def __init__(self, call: Call, *, signed: bool, guarded: bool, token: str = "") -> None:
        self._call = call
        self._signed = signed
        self._guarded = guarded
        self._token = token.encode()

    async def answer(self, request: Request, caller: Caller, region: str, now_ms: int) -> Response:
        self._authorize(request, caller)
        method, path = request.method.decode("latin-1"), request.path.decode("latin-1")
        operation = _OPERATIONS.get((method, path))
        if operation is None:
            raise admin_errors.unknown_action(method, path)
        return Response(200, orjson.dumps(await self._call(operation, region, caller, _body(request), now_ms)))

    def _authorize(self, request: Request, caller: Caller) -> None:
        scheme, _, token = request.headers.get(b"authorization", b"").partition(b" ")
        if scheme.lower() == b"bearer":
            if not self._token or not hmac.compare_digest(token.strip(), self._token):
                raise admin_errors.wrong_token()
            return
        if self._signed and not caller.admin:
            raise admin_errors.credential_is_no_admin(caller.access_key or "")
        if not self._signed and self._guarded:
            raise admin_errors.open_to_strangers()
        if not self._signed and b"origin" in request.headers:  # a browser: any web page could have sent this
            raise admin_errors.page_of_another_origin(request.headers[b"origin"].decode("latin-1"))


def _body(request: Request) -> dict[str, Any]:
    if not request.body:
        return dict(parse_qsl(request.query.decode("latin-1")))
    if large.is_large(request.body):
        raise errors.serialization()
    return parse_body(request.body)
