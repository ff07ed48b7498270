"""The Lambda API's HTTP: members of a request are in its path, its query, its headers and its body.

Errors are `{"Type": "User", "Message": ...}` with their code in `x-amzn-ErrorType`.
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import parse_qsl, unquote

import orjson

from atoll.api import functions
from atoll.api.functions import Invoked, Operation
from atoll.errors import ApiError
from atoll.errors import triggers as texts
from atoll.security.sigv4 import Signer
from atoll.wire.codec import Request, Response, parse_body

PREFIX = "/2015-03-31/"

_MAPPINGS, _FUNCTION = "event-source-mappings", r"functions/(?P<FunctionName>[^/]+)"
_MAPPING = rf"{_MAPPINGS}/(?P<UUID>[^/]+)"

# Method, path, operation, status of its answer
_OPERATIONS: list[tuple[str, re.Pattern[str], Operation, int]] = [
    (method, re.compile(PREFIX + path + "/?"), operation, status)
    for method, path, operation, status in (
        ("POST", _MAPPINGS, functions.create_event_source_mapping, 202),
        ("GET", _MAPPINGS, functions.list_event_source_mappings, 200),
        ("GET", _MAPPING, functions.get_event_source_mapping, 200),
        ("PUT", _MAPPING, functions.update_event_source_mapping, 202),
        ("DELETE", _MAPPING, functions.delete_event_source_mapping, 202),
        ("GET", "functions", functions.list_functions, 200),
        ("GET", _FUNCTION, functions.get_function, 200),
        ("GET", _FUNCTION + "/configuration", functions.get_function_configuration, 200),
        ("POST", _FUNCTION + "/invocations", functions.invoke, 200),
    )
]

_is_number = re.compile(r"-?[0-9]{1,10}").fullmatch

# The service spells `message` with a small letter in these.
_SMALL_MESSAGE = frozenset({"InvalidParameterValueException", "ResourceConflictException", "ValidationException"})


class FunctionsRoute:
    """`region` gives the triggers of the region that a request is signed for, or of the default one."""

    def __init__(self, region: functions.Regions) -> None:
        self._region = region

    async def answer(self, request: Request, signer: Signer | None) -> Response:
        try:
            operation, status, body = _decode(request)
            triggers = self._region("" if signer is None else signer.region)
            result = await operation(triggers, body)
        except ApiError as error:
            return _error(error)
        if isinstance(result, Invoked):
            headers = {"X-Amz-Executed-Version": "$LATEST"}
            if result.error is not None:
                headers["X-Amz-Function-Error"] = result.error
            return Response(result.status, result.payload, headers=headers)
        return Response(status, orjson.dumps(result))


def _decode(request: Request) -> tuple[Operation, int, dict[str, Any]]:
    method, path = request.method.decode("latin-1"), request.path.decode("latin-1")
    for wanted, pattern, operation, status in _OPERATIONS:
        found = pattern.fullmatch(path) if method == wanted else None
        if found is not None:
            return operation, status, _body(request, operation, found.groupdict())
    raise texts.unknown_path()


def _body(request: Request, operation: Operation, path: dict[str, str]) -> dict[str, Any]:
    body: dict[str, Any]
    if operation is functions.invoke:
        body = {"Payload": request.body}
        kind = request.headers.get(b"x-amz-invocation-type")
        if kind is not None:
            body["InvocationType"] = kind.decode("latin-1")
    elif request.body:
        body = parse_body(request.body)
    else:
        body = dict(parse_qsl(request.query.decode("latin-1")))
        if _is_number(count := body.get("MaxItems", "")):
            body["MaxItems"] = int(count)
    return body | {name: unquote(value) for name, value in path.items()}


def _error(error: ApiError) -> Response:
    body: dict[str, Any] = dict(error.fields or {})
    if error.message is not None:
        body["message" if error.code in _SMALL_MESSAGE else "Message"] = error.message
    return Response(error.status, orjson.dumps(body), headers={"x-amzn-ErrorType": error.code})
