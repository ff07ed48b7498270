"""The REST-JSON protocol: request members come from path, query, headers and body, as the operation's `Http` says.

Errors are `{"Type": "User", "Message": ...}` with their code in `x-amzn-ErrorType`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import parse_qsl, unquote

import orjson

from atoll import errors
from atoll.api import large
from atoll.api.call import Call, Caller
from atoll.api.services import Http, Operation
from atoll.errors import ApiError
from atoll.errors import triggers as trigger_errors
from atoll.wire.codec import Request, Response, parse_body

_is_number = re.compile(r"-?[0-9]{1,10}").fullmatch

_SHOWN_PATH = 200
"""How many characters of an unknown path an error quotes."""

# The service spells `message` in lower case in these errors.
_SMALL_MESSAGE = frozenset({"InvalidParameterValueException", "ResourceConflictException", "ValidationException"})


class Rest:
    """The route to the operations of a REST service."""

    def __init__(self, call: Call, operations: Iterable[Operation]) -> None:
        self._call = call
        self._operations = [(http, _pattern(one, http), one) for one in operations if (http := one.http) is not None]

    async def answer(self, request: Request, caller: Caller, region: str, now_ms: int) -> Response:
        try:
            operation, http, body = self._decode(request)
            answer = await self._call(operation, region, caller, body, now_ms)
        except ApiError as error:
            return _error(error)
        return _encode(http, answer)

    def _decode(self, request: Request) -> tuple[Operation, Http, dict[str, Any]]:
        method, path = request.method.decode("latin-1"), request.path.decode("latin-1")
        for http, pattern, operation in self._operations:
            found = pattern.fullmatch(path) if method == http.method else None
            if found is not None:
                members = {name: unquote(value) for name, value in found.groupdict().items()}
                return operation, http, _body(request, http) | members
        raise trigger_errors.unknown_path(method, path[:_SHOWN_PATH])


def _pattern(operation: Operation, http: Http) -> re.Pattern[str]:
    return re.compile(operation.service.prefix + re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", http.path) + "/?")


def _body(request: Request, http: Http) -> dict[str, Any]:
    """The members that are not in the path."""
    body: dict[str, Any]
    if http.payload is not None:
        body = {http.payload: request.body}
        for member, name in http.headers.items():
            value = request.headers.get(name.lower().encode())
            if value is not None:
                body[member] = value.decode("latin-1")
    elif request.body:
        if large.is_large(request.body):  # no such operation takes many values
            raise errors.serialization()
        body = parse_body(request.body)
    else:
        body = dict(parse_qsl(request.query.decode("latin-1")))
        if _is_number(count := body.get("MaxItems", "")):
            body["MaxItems"] = int(count)
    return body


def _encode(http: Http, answer: dict[str, Any]) -> Response:
    if http.payload is None:
        return Response(http.status, orjson.dumps(answer))
    headers = {name: answer[member] for member, name in http.answer_headers.items() if member in answer}
    status = http.status if http.status_member is None else answer[http.status_member]
    return Response(status, answer.get(http.payload, b""), headers=headers)


def _error(error: ApiError) -> Response:
    body: dict[str, Any] = dict(error.fields or {})
    if error.message is not None:
        body["message" if error.code in _SMALL_MESSAGE else "Message"] = error.message
    return Response(error.status, orjson.dumps(body), headers={"x-amzn-ErrorType": error.code})
