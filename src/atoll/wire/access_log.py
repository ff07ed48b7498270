"""The access log: one line per request, in the record shape of the log. It costs time, so it is off by default."""

from __future__ import annotations

import logging
import re
from contextlib import suppress
from typing import Any

from atoll.api import large
from atoll.api.call import tables_of
from atoll.api.services import TARGETS
from atoll.clock import monotonic_ns
from atoll.errors import ApiError
from atoll.wire.codec import Request, parse_body
from atoll.wire.connection import Answer

HEAD_BYTES = 512
"""The status and the request id are within the first bytes of an answer."""
PATH_CHARACTERS = 200

_STATUS = re.compile(rb"HTTP/1\.1 (\d{3})")
_REQUEST_ID = re.compile(rb"x-amzn-RequestId: (\w+)")
_ERROR = re.compile(rb'"__type":"(?:[^"#]*#)?(\w+)"')

_log = logging.getLogger(__name__)


def logging_access(answer: Answer) -> Answer:
    """`answer`, with a log line for each request. A request that a fault on demand leaves unanswered has no status."""
    _log.setLevel(logging.INFO)  # whatever the level of the rest

    async def logged(request: Request) -> bytes:
        started_ns = monotonic_ns()
        response = b""
        try:
            response = await answer(request)
        finally:
            latency_ms = round((monotonic_ns() - started_ns) / 1e6, 3)
            _log.info("request", extra={**_asked(request), **_answered(response), "latency_ms": latency_ms})
        return response

    return logged


def _asked(request: Request) -> dict[str, Any]:
    operation = TARGETS.get(request.headers.get(b"x-amz-target", b""))
    path = request.path.decode("latin-1")[:PATH_CHARACTERS]
    fields: dict[str, Any] = {"method": request.method.decode("latin-1"), "client": request.peer or None}
    if operation is None:
        return fields | {"path": path}
    fields["operation"] = repr(operation)
    if len(request.body) <= large.LEAST_BYTES and b"content-encoding" not in request.headers:
        with suppress(ApiError):  # the body is no JSON
            fields["table"] = ",".join(sorted(tables_of(operation, parse_body(request.body)))) or None
    return fields


def _answered(response: bytes) -> dict[str, Any]:
    head = response[:HEAD_BYTES]
    status, request_id = _STATUS.match(head), _REQUEST_ID.search(head)
    error = None if status is None or status[1] < b"400" else _ERROR.search(response)
    return {
        "status": None if status is None else int(status[1]),
        "error": None if error is None else error[1].decode(),
        "request_id": None if request_id is None else request_id[1].decode(),
    }
