"""The one pipeline of all operations: check the shape, authorize, run, meter, map errors.

The gateway passes the caller and the time; the desk hands both to `authorize`. An `ApiError` goes to the caller as it
is. The pipeline logs a full store, a transaction with too many conflicts and any unexpected error, and answers with the
service's internal error, which SDKs retry.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence, Set
from typing import Any, NamedTuple

from atoll import errors
from atoll.api.large import aside
from atoll.api.resources import table_of
from atoll.api.services import Body, Operation
from atoll.errors import ApiError
from atoll.storage.engine import Conflict, Full

_log = logging.getLogger(__name__)


class Caller(NamedTuple):
    """The identity behind a request."""

    access_key: str | None
    """None if the request is not signed."""
    account: str
    admin: bool


Authorize = Callable[[Caller, Operation, Sequence[str], int], None]
"""Raises if the caller may not run the operation on these resources (`api.resources`) at this time, in milliseconds
since 1970."""


class Desk:
    """Runs operations. `subjects` return the first argument of an operation's function (`services.REGION`, ...) for the
    name of the request's region, empty for the default one. Without `authorize` every request is allowed."""

    def __init__(self, subjects: Mapping[str, Callable[[str], Any]], authorize: Authorize | None = None) -> None:
        self._subjects = subjects
        self._authorize = authorize

    async def call(self, operation: Operation, region: str, caller: Caller, body: Body, now_ms: int) -> Any:
        on = meter = None
        checked, started_ns = False, 0
        try:
            on = self._subjects[operation.subject](region)
            if operation.metered:
                meter = on.meter
                started_ns = meter.now_ns()
            if type(body) is dict:
                operation.check(body)
            else:
                await aside(operation.check, body)
            checked = True
            if self._authorize is not None:
                self._authorize(caller, operation, operation.touches(body), now_ms)
            answer = await operation.function(on, body)
        except ApiError as error:
            if meter is not None:
                meter.failed(operation.name, _tables(operation, body) if checked else _NONE, error)
            if operation.enveloped and on is not None and on.settings.error_style == "2026":
                raise errors.in_envelope(error) from None
            raise
        except Exception as failure:
            if isinstance(failure, Full):
                _log.error("%r: the store is full: %s", operation, failure)
            elif isinstance(failure, Conflict):
                _log.warning("%r: %s", operation, failure)
            else:
                _log.exception("%r failed", operation)
            internal = operation.service.internal()
            if meter is not None:
                meter.failed(operation.name, _tables(operation, body) if checked else _NONE, internal)
            raise internal from None
        if meter is not None:
            tally = meter.current
            if tally is not None:
                meter.current = None
                tally.calls += 1
                tally.latency_ns += meter.now_ns() - started_ns
            else:
                meter.succeeded(operation.name, _tables(operation, body), started_ns)
        return answer


_NONE = frozenset([""])


def _tables(operation: Operation, body: Body) -> Set[str]:
    """The tables on which the meter counts a request; an empty name if it has none."""
    return {table_of(resource) for resource in operation.touches(body)} or _NONE
