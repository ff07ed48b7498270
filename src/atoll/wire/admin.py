"""The administration's HTTP: who may ask, JSON in and out."""

from __future__ import annotations

import orjson

from atoll.api.admin import ACTIONS, Server
from atoll.errors import admin as texts
from atoll.security.credentials import Credentials
from atoll.security.sigv4 import Signer
from atoll.wire.codec import Request, Response, parse_body

PREFIX = "/_atoll/"


class Admin:
    """The route to the administration of `server`. With `credentials` it is for admins, without for everybody who
    can reach it: nobody, if `guarded`."""

    def __init__(self, server: Server, credentials: Credentials | None, *, guarded: bool) -> None:
        self._server = server
        self._credentials = credentials
        self._guarded = guarded

    async def answer(self, request: Request, signer: Signer | None) -> Response:
        self._authorize(request, signer)
        method, path = request.method.decode("latin-1"), request.path.decode("latin-1")
        action = ACTIONS.get((method, path.removeprefix(PREFIX)))
        if action is None:
            raise texts.unknown_action(method, path)
        body = parse_body(request.body) if request.body else {}
        return Response(200, orjson.dumps(await action(self._server, body)))

    def _authorize(self, request: Request, signer: Signer | None) -> None:
        if self._credentials is None:
            if self._guarded:
                raise texts.open_to_strangers()
            if b"origin" in request.headers:  # a browser on this machine, which may show anybody's page
                raise texts.page_of_another_origin(request.headers[b"origin"].decode("latin-1"))
            return
        credential = None if signer is None else self._credentials.get(signer.access_key)
        if credential is None or not credential.admin:
            raise texts.credential_is_no_admin("" if signer is None else signer.access_key)
