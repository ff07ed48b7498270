"""The route for messages of peers: verify the signature, then ask the region of this node. See `replication.peer` for
the form of requests and answers."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from urllib.parse import parse_qs, unquote

from atoll.api.call import Caller
from atoll.errors import ApiError
from atoll.errors import replication as replication_errors
from atoll.replication.exchange import Exchange, Unreachable, refused
from atoll.replication.messages import Malformed, Message, dump, load
from atoll.replication.peer import PREFIX, SERVICE
from atoll.security.credentials import CredentialsSource
from atoll.security.sigv4 import Signer, Verifier
from atoll.wire.codec import Request, Response

FRAME_TYPE = "application/octet-stream"


class Peers:
    """Passes messages to the `regions` of this node through `exchange`. Without `credentials` the node has no peers,
    and the route refuses all messages."""

    def __init__(self, exchange: Exchange, regions: Collection[str], credentials: CredentialsSource | None) -> None:
        self._exchange = exchange
        self._regions = regions
        self._credentials = credentials
        self._verifier = None if credentials is None else Verifier(credentials.peer)
        self._running: set[asyncio.Future[Message]] = set()
        self._closed = False

    async def answer(self, request: Request, caller: Caller, region: str, now_ms: int) -> Response:
        """The route authenticates its requests itself, so it ignores `caller` and `region`."""
        signer = self._signer(request, now_ms)
        source, message = self._read(request)
        if source in self._regions:
            raise replication_errors.region_of_this_node(source)
        try:
            answer = await self._ask(source, signer.region, message)
        except (ApiError, Unreachable) as error:
            answer = refused(error)
        return Response(200, dump(answer), FRAME_TYPE)

    def _signer(self, request: Request, now_ms: int) -> Signer:
        if self._verifier is None or self._credentials is None:
            raise replication_errors.no_peers()
        self._credentials.refresh(now_ms)
        try:
            return self._verifier.verify(request, now_ms, SERVICE)
        except ApiError as error:
            raise replication_errors.not_a_peer(error) from None

    def _read(self, request: Request) -> tuple[str, Message]:
        try:
            message = load(request.body)
        except Malformed as error:
            raise replication_errors.malformed(str(error)) from None
        sources = parse_qs(request.query.decode("latin-1")).get("source", [])
        name = unquote(request.path.decode("latin-1").removeprefix(PREFIX))
        if request.method != b"POST" or len(sources) != 1 or name != message.name:
            raise replication_errors.malformed("POST it to its name, with the region that asks as source")
        return sources[0], message

    async def _ask(self, source: str, target: str, message: Message) -> Message:
        if self._closed:
            raise Unreachable("the server stops")
        asked = asyncio.ensure_future(self._exchange.ask(source, target, message))
        self._running.add(asked)
        try:
            return await asked
        except asyncio.CancelledError:
            raise Unreachable("the server stops") from None
        finally:
            self._running.discard(asked)

    def close(self) -> None:
        """End the requests that wait for changes."""
        self._closed = True
        for asked in self._running:
            asked.cancel()
