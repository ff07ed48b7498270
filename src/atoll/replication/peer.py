"""Ask the regions of another node, over HTTP.

    POST /_atoll/peer/<name of the message>?source=<region that asks>
    body: the frame of the message; the answer's body: the frame of the answer

The request is signed with a peering credential for the service `atoll-peer` and the asked region. The signature covers
the body. A node with several peering credentials tries them in turn, so that nodes can replace an old credential one by
one.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Sequence
from contextlib import suppress
from http import HTTPStatus
from urllib.parse import quote

from atoll.clock import Clock
from atoll.replication.exchange import Unreachable, accepted
from atoll.replication.http import Answer, BadAnswer, HttpClient
from atoll.replication.messages import MESSAGE_BYTES, Malformed, Message, dump, load, parsed
from atoll.security.credentials import Credential
from atoll.security.signing import sign

SERVICE = "atoll-peer"
PREFIX = "/_atoll/peer/"
STOPPING = "this server stops"
ANSWER_S = 60.0
"""How long an answer may take: half a minute of waiting for news, and as long again."""


class PeerExchange:
    """The exchange with one peer. `clock` is the real time, for signatures."""

    def __init__(
        self, url: str, credentials: Callable[[], Sequence[Credential]], clock: Clock, tls: ssl.SSLContext | None = None
    ) -> None:
        self._http = HttpClient(url, tls, most_bytes=MESSAGE_BYTES)
        self._credentials = credentials
        self._clock = clock
        self._running: set[asyncio.Future[Message]] = set()
        self._closed = False

    async def ask(self, source: str, target: str, message: Message) -> Message:
        if self._closed:
            raise Unreachable(STOPPING)
        # A timeout needs a task, and requests of the server have none.
        asked = asyncio.ensure_future(self._ask(source, target, message))
        self._running.add(asked)
        try:
            await asyncio.wait([asked])  # unlike `await asked`, this tells whose cancellation it is
        finally:
            self._running.discard(asked)
            asked.cancel()
        if asked.cancelled():
            raise Unreachable(STOPPING)
        answer = asked.result()
        try:
            return accepted(answer)
        except Unreachable as error:  # the peer's text does not name the peer
            raise Unreachable(f"{self._http.url}: {error.reason}") from None

    async def _ask(self, source: str, target: str, message: Message) -> Message:
        body, path, query = dump(message), PREFIX + quote(message.name, safe=""), f"source={source}"
        answer: Answer | None = None
        for credential in self._credentials():
            headers = sign(
                credential, path=path, query=query, headers={"host": self._http.host}, body=body, region=target,
                service=SERVICE, now_ms=self._clock.now_ms(),
            )  # fmt: skip
            answer = await self._post(f"{path}?{query}", headers, body)
            if answer.status != HTTPStatus.FORBIDDEN:
                break
        if answer is None:
            raise Unreachable("this server has no peering credential")
        return self._read(answer)

    async def _post(self, target: str, headers: dict[str, str], body: bytes) -> Answer:
        try:
            return await self._http.post(target, headers, body, ANSWER_S)
        except TimeoutError:
            raise Unreachable(f"{self._http.url} does not answer in time") from None
        except (OSError, BadAnswer) as error:
            raise Unreachable(f"{self._http.url}: {error or type(error).__name__}") from None

    def _read(self, answer: Answer) -> Message:
        if answer.status != HTTPStatus.OK:
            raise Unreachable(f"{self._http.url} answers {answer.status}{_reason(answer.body)}")
        try:
            return load(answer.body)
        except Malformed as error:
            raise Unreachable(f"the answer of {self._http.url} is invalid: {error}") from None

    def close(self) -> None:
        """End the questions that wait for answers: a peer that gives none must not hold up the end of this server."""
        self._closed = True
        for asked in self._running:
            asked.cancel()
        self._http.close()


def _reason(body: bytes) -> str:
    """The text of an error answer."""
    with suppress(Malformed):
        match parsed("answer", body):
            case {"message": str(text)} | {"Message": str(text)}:
                return f": {text}"
    return ""
