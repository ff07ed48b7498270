"""Decode HTTP requests to calls, and encode results or errors as the bytes of an answer. Pure: no sockets, clock or
secrets.

A call is `POST /` with `X-Amz-Target: <service>.<operation>` and a JSON object as its body; the answer is JSON with
the same content type, its CRC-32 and a request id. Errors are `{"__type": <prefix><code>, "message": <text>}`.
"""

from __future__ import annotations

import re
import secrets
import string
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import formatdate
from http import HTTPStatus
from itertools import count
from typing import Any

import orjson
from isal.isal_zlib import crc32

from atoll import errors
from atoll.api import large
from atoll.api.services import OPERATIONS
from atoll.errors import ApiError, requests, values
from atoll.errors import services as service_errors

JSON = b"Content-Type: application/json\r\n"
TYPE_LINES: dict[bytes | None, bytes] = {
    b"application/x-amz-json-1.0": b"Content-Type: application/x-amz-json-1.0\r\n",
    b"application/x-amz-json-1.1": b"Content-Type: application/x-amz-json-1.1\r\n",
    b"application/json": JSON,
}

# DynamoDB spells the text member of these errors `Message`, of all others `message`. Services whose `__type` has no
# prefix always spell it `Message`. SDKs accept both; other clients may not.
_CAPITAL_MESSAGE = frozenset(
    {
        "AccessDeniedException",
        "IdempotentParameterMismatchException",
        "SerializationException",
        "TransactionCanceledException",
        "TransactionInProgressException",
    }
)


class Request:
    """One HTTP request. Header names are lower case; the values of a repeated header are joined by commas. `peer` is
    the address of the client; `secure`: whether the request came over TLS."""

    connection: bytes = b""
    """The `Connection` header line of the answer, or empty."""
    share: str = ""
    """The caller whose fair share of the server this request uses (`Caller.share`); set when the caller is known."""

    def __init__(
        self,
        method: bytes,
        path: bytes,
        query: bytes,
        headers: dict[bytes, bytes],
        body: bytes = b"",
        peer: str = "",
        secure: bool = False,
    ) -> None:
        self.method = method
        self.path = path
        self.query = query
        self.headers = headers
        self.body = body
        self.peer = peer
        self.secure = secure


class Joined(bytes):
    """The values of a repeated header, joined by commas."""

    first: bytes
    """The value of the first line."""


def first_line(value: bytes) -> bytes:
    return value.first if isinstance(value, Joined) else value


@dataclass(slots=True, eq=False)
class Response:
    """An answer to a request that is not a call."""

    status: int
    body: bytes = b""
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)


def parse_body(body: bytes) -> dict[str, Any]:
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise errors.serialization() from None
    if type(value) is not dict:
        raise _no_object(value)
    return value


def _no_object(value: Any) -> ApiError:
    return requests.body_is_list() if isinstance(value, list) else values.unexpected_value()


def parse_large_body(body: bytes) -> large.LargeBody:
    """Like `parse_body`, but in pieces, to run in a thread."""
    try:
        value = large.parse_pieces(body)
    except orjson.JSONDecodeError:
        raise errors.serialization() from None
    if not isinstance(value, dict):
        raise _no_object(value)
    return large.LargeBody(value)


def json_type(headers: Mapping[bytes, bytes]) -> bytes | None:
    """The answer's Content-Type line: the JSON type that the request declares; None for any other type."""
    return TYPE_LINES.get(headers.get(b"content-type", b"").partition(b";")[0].strip().lower())


def unserved(target: bytes) -> ApiError:
    """The error for an `X-Amz-Target` that no operation has. If the header has the form of a target, the error names
    the operation, and also the service if Atoll does not know it."""
    if _TARGET(target) is None:
        return errors.unknown_operation()
    service, _, name = target.decode().rpartition(".")
    if service in _SERVICES:
        return errors.unknown_operation(name)
    return service_errors.unserved(target.decode())


_SERVICES = frozenset(one.service.target for one in OPERATIONS)
_TARGET = re.compile(rb"[A-Za-z0-9_]{1,64}(\.[A-Za-z0-9_]{1,64}){1,3}").fullmatch


def error_body(error: ApiError) -> bytes:
    body: dict[str, Any] = {"__type": error.prefix + error.code}
    if error.message is not None:
        body["Message" if not error.prefix or error.code in _CAPITAL_MESSAGE else "message"] = error.message
    if error.fields:
        body.update(error.fields)
    return orjson.dumps(body)


class Encoder:
    """Encodes answers. It caches the date header for the current second and the random part of the request ids."""

    def __init__(self) -> None:
        chars = string.ascii_uppercase + string.digits
        # 52 upper-case alphanumerics; the last 12 are a request counter of this process.
        self._id = "".join(secrets.choice(chars) for _ in range(40)).encode()
        self._count = count()
        self._second = -1
        self._heads: dict[int, bytes] = {}
        """The first bytes of an answer by status, with the date of this second."""

    def next_id(self) -> str:
        """The request id of the answer that is encoded next, for the log."""
        number = next(self._count)
        self._count = count(number)
        return f"{self._id.decode()}{number:012d}"

    def other(self, request: Request, response: Response, now_ms: int) -> bytes:
        fields = "".join(f"{name}: {value}\r\n" for name, value in response.headers.items())
        if response.body:
            fields += f"Content-Type: {response.content_type}\r\n"
        return self.encode(request, response.status, fields.encode("latin-1"), response.body, now_ms)

    def encode(self, request: Request, status: int, fields: bytes, body: bytes, now_ms: int) -> bytes:
        """`fields` are header lines. The request's origin, if any, may read the answer."""
        second = now_ms // 1000
        if second != self._second:
            self._second = second
            self._heads.clear()
        head = self._heads.get(status)
        if head is None:
            date = formatdate(second, usegmt=True).encode()
            head = self._heads[status] = _HEAD % (_STATUS_LINES[status], date, self._id)
        origin = request.headers.get(b"origin")
        return _RESPONSE % (
            head,
            next(self._count),
            crc32(body),
            request.connection,
            b"" if origin is None else _ALLOWED_ORIGIN % origin,
            fields,
            len(body),
            b"" if request.method == b"HEAD" else body,
        )


_ALLOWED_ORIGIN = (
    b"Access-Control-Allow-Origin: %s\r\n"
    b"Access-Control-Expose-Headers: x-amzn-RequestId,x-amz-crc32,Content-Encoding\r\n"
    b"Vary: Origin\r\n"
)
_HEAD = b"HTTP/1.1 %s\r\nServer: Atoll\r\nDate: %s\r\nx-amzn-RequestId: %s"
_RESPONSE = b"%s%012d\r\nx-amz-crc32: %d\r\n%s%s%sContent-Length: %d\r\n\r\n%s"
_STATUS_LINES = {status.value: f"{status.value} {status.phrase}".encode() for status in HTTPStatus}


def preflight(request: Request) -> Response:
    """The answer to a browser's CORS preflight request."""
    asked = {
        "Access-Control-Allow-Headers": request.headers.get(b"access-control-request-headers"),
        "Access-Control-Allow-Methods": request.headers.get(b"access-control-request-method"),
    }
    allowed = {name: value.decode("latin-1") for name, value in asked.items() if value is not None}
    return Response(200, headers=allowed | {"Access-Control-Max-Age": "172800"})


def not_found() -> Response:
    return Response(404, b"<UnknownOperationException/>\n", "text/xml")


def refusal(status: int) -> bytes:
    """The answer to malformed HTTP, or to a request that the server will not read to its end."""
    return b"HTTP/1.1 %s\r\nServer: Atoll\r\nConnection: close\r\nContent-Length: 0\r\n\r\n" % _STATUS_LINES[status]


def throttled(error: ApiError) -> bytes:
    """The answer to a request that the server has no room to read. SDKs send it again."""
    body = error_body(error)
    head = b"HTTP/1.1 %s\r\nServer: Atoll\r\nConnection: close\r\nContent-Type: application/x-amz-json-1.0\r\n"
    return (head + b"Content-Length: %d\r\n\r\n%s") % (_STATUS_LINES[error.status], len(body), body)
