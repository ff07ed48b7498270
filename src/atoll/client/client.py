"""Call operations: sign each request, and retry it after transient faults.

A call is retried when it was throttled, when the server failed, and when its answer did not arrive completely. The
pauses between grow, and are random, so that clients do not retry at the same time. As with SDKs, the server may execute
a retried call twice. Where this matters, the operation has a token, which the client adds.
"""

from __future__ import annotations

import random
import time
import uuid
import zlib
from collections.abc import Callable
from typing import Any

import orjson

from atoll.client.answers import is_answer
from atoll.client.connections import ANSWER_S, Answer, Connections
from atoll.client.endpoint import Endpoint
from atoll.client.failures import STREAM_OPERATIONS, CallError, Misshapen, Refusal, Unreachable
from atoll.clock import SystemClock
from atoll.security.signing import sign

TABLES = "DynamoDB_20120810"
STREAMS = "DynamoDBStreams_20120810"
SERVICE = "dynamodb"
"""The name of the service in signatures, for both targets."""

_TOKENS = {
    "ExecuteTransaction": "ClientRequestToken",
    "ExportTableToPointInTime": "ClientToken",
    "ImportTable": "ClientToken",
    "StartBulkPutItems": "ClientToken",
    "TransactWriteItems": "ClientRequestToken",
}

ATTEMPTS = 10
FIRST_DELAY_S = 0.05
LONGEST_DELAY_S = 5.0

Document = dict[str, Any]


class Client:
    """Calls one endpoint. `pause` waits between attempts; if it raises, the call ends."""

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        attempts: int = ATTEMPTS,
        answer_s: float = ANSWER_S,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self.endpoint = endpoint
        self._attempts = attempts
        self._pause = pause
        self._clock = SystemClock()
        self._tables = Connections(endpoint.url, endpoint.tls, answer_s=answer_s)
        same = endpoint.streams_url == endpoint.url
        self._streams = self._tables if same else Connections(endpoint.streams_url, endpoint.tls, answer_s=answer_s)

    def call(self, operation: str, **parameters: Any) -> Document:
        """Call an operation, with retries; returns the answer. Raises Refusal or Unreachable."""
        parameters = with_token(operation, parameters)
        for attempt in range(self._attempts):
            try:
                return self.send(operation, parameters)
            except CallError as error:
                if not error.passes or attempt == self._attempts - 1:
                    raise
            self._pause(delay_s(attempt))
        raise AssertionError("there is at least one attempt")

    def send(self, operation: str, parameters: Document) -> Document:
        """One attempt. Raises Refusal or Unreachable."""
        streams = operation in STREAM_OPERATIONS
        answer = self._post(
            self._streams if streams else self._tables, f"{STREAMS if streams else TABLES}.{operation}",
            _dumped(parameters),
        )  # fmt: skip
        body = _parsed(answer)
        if answer.status != 200:
            raise self._refusal(operation, answer, body)
        if body is None:
            failure = Misshapen if _is_json(answer.body) else Unreachable
            raise failure(f"{self.endpoint.url}: its answer is not DynamoDB's")
        if not is_answer(operation, parameters, body):
            raise Misshapen(f"{self.endpoint.url}: the answer to {operation} is not DynamoDB's")
        return body

    def _post(self, connections: Connections, target: str, body: bytes, path: str = "") -> Answer:
        path = path or connections.path
        headers = sign(
            self.endpoint.credentials(),
            path=path,
            query="",
            headers={"host": connections.host, "content-type": "application/x-amz-json-1.0"}
            | ({"x-amz-target": target} if target else {}),
            body=body,
            region=self.endpoint.region,
            service=SERVICE,
            now_ms=self._clock.now_ms(),
        )
        return connections.post(path, headers, body)

    def post(self, path: str, body: Document) -> Document:
        """Call a path of Atoll's own API, once. Raises Refusal or Unreachable."""
        answer = self._post(self._tables, "", orjson.dumps(body), path)
        found = _parsed(answer)
        if answer.status != 200 or found is None:
            raise self._refusal(path, answer, found)
        return found

    def _refusal(self, operation: str, answer: Answer, body: Document | None) -> Refusal:
        told = body or {"message": f"an answer that is not DynamoDB's, from {self.endpoint.url}"}
        return Refusal(operation, answer.status, told, answer.headers.get("x-amzn-RequestId", ""))

    def close(self) -> None:
        self._tables.close()
        self._streams.close()


def with_token(operation: str, parameters: Document) -> Document:
    """The parameters with a token, so that the endpoint executes a retried call only once."""
    name = _TOKENS.get(operation)
    return parameters if name is None or name in parameters else {**parameters, name: str(uuid.uuid4())}


def delay_s(attempt: int, longest_s: float = LONGEST_DELAY_S) -> float:
    """How long to wait after an attempt; the first one has the number 0."""
    return min(longest_s, FIRST_DELAY_S * 2.0 ** min(attempt, 16)) * random.uniform(0.5, 1.0)


def _dumped(parameters: Document) -> bytes:
    try:
        return orjson.dumps(parameters)
    except TypeError as error:  # command-line arguments may be invalid UTF-8
        raise CallError(f"the request cannot be sent: {error}") from None


def _parsed(answer: Answer) -> Document | None:
    """The object in the body; None if there is none. Raises Unreachable if the body is damaged."""
    checksum = answer.headers.get("x-amz-crc32")
    if checksum is not None and checksum != str(zlib.crc32(answer.body)):
        raise Unreachable("the checksum of an answer is wrong")
    try:
        body = orjson.loads(answer.body)
    except ValueError:
        return None
    return body if isinstance(body, dict) else None


def _is_json(body: bytes) -> bool:
    try:
        orjson.loads(body)
    except ValueError:
        return False
    return True
