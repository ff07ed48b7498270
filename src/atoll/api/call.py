"""The one pipeline of all operations: check the shape, authorize, run, meter, map errors.

The gateway passes the caller and the time; the desk hands both to `authorize`. An `ApiError` goes to the caller as it
is. Any other error becomes the service's internal error, which SDKs retry. A fault of the store is reported to the
region's health, which logs when it begins and ends; other errors are logged, the same one at most once a minute.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping, Set
from typing import Any, NamedTuple

from atoll import errors
from atoll.api.partiql.kinds import counted
from atoll.api.resources import (
    ALARM,
    FUNCTION,
    MAPPING,
    ROLE,
    SCALED,
    STATEMENT_BATCH,
    STATEMENT_TRANSACTION,
    table_of,
)
from atoll.api.services import IDENTITIES, Body, Operation
from atoll.aside import aside
from atoll.capacity.meter import Meter
from atoll.clock import monotonic_ns
from atoll.database.health import Health
from atoll.database.region import Region
from atoll.errors import ApiError
from atoll.errors.faults import Dropped
from atoll.faults.injection import Faults
from atoll.logs import Repeats
from atoll.security.identities import Access
from atoll.storage.engine import Conflict
from atoll.triggers.poller import Triggers

_log = logging.getLogger(__name__)


class Caller(NamedTuple):
    """The identity behind a request."""

    access_key: str | None
    """None if the request is not signed."""
    account: str
    admin: bool
    access: Access | None = None
    """The caller's principal and policies; None where the server does not authorize."""
    origin: Any = None
    """The HTTP request, for conditions of policies (`authorization.global_keys.Origin`)."""
    share: str = ""
    """Callers get equal shares of the server by this name; empty means the address of the client."""


Authorize = Callable[[Caller, Operation, Body, Any, int], Awaitable[Any] | None]
"""Raises if the caller may not run the operation with this body on its subject, at this time in milliseconds since
1970. May return an awaitable, which gives another account's subject if the request is about its resources."""


Call = Callable[[Operation, str, Caller, Body, int], Awaitable[Any]]
"""Runs an operation. Arguments: operation, region, caller, body, and the time in milliseconds since 1970."""


class Desk:
    """Runs operations. `subjects`, by kind (`services.REGION`, ...), return the first argument of an operation's
    function, given the name of the request's region (empty: the default). Without `authorize` every request is allowed.
    `next_id` returns the id of the next request to be answered: a request that ends is answered before any other."""

    def __init__(
        self,
        subjects: Mapping[str, Callable[[str], Any]],
        authorize: Authorize | None = None,
        *,
        next_id: Callable[[], str | None] = lambda: None,
        now_ns: Callable[[], int] = monotonic_ns,
        faults: Faults | None = None,
    ) -> None:
        self._subjects = subjects
        self._authorize = authorize
        self._next_id = next_id
        self._repeats = Repeats(_log, now_ns)
        self._faults: Faults | None = None
        """None unless there are rules."""
        if faults is not None:
            faults.watchers.append(lambda has_rules: setattr(self, "_faults", faults if has_rules else None))

    async def call(self, operation: Operation, region: str, caller: Caller, body: Body, now_ms: int) -> Any:
        on = meter = None
        checked, started_ns = False, 0
        try:
            on = self._subjects[operation.subject](region)
            if operation.metered:
                meter = on.meter
                started_ns = meter.now_ns()
            elif operation.subject == IDENTITIES:
                on = on.asked(caller, now_ms)
            if type(body) is dict:
                operation.check(body)
            else:
                await aside(operation.check, body)
            checked = True
            if self._authorize is not None:
                pending = self._authorize(caller, operation, body, on, now_ms)
                if pending is not None:
                    other = await pending
                    if other is not None:
                        on, meter = other, other.meter
            if self._faults is None:
                answer = await operation.function(on, body)
            else:
                answer = await self._call_faulty(self._faults, operation, on, body)
        except ApiError as error:
            if meter is not None:
                await _count_failed(meter, operation, body, checked, error)
            if operation.service.has_tables and isinstance(on, Region) and on.settings.error_style == "2026":
                raise errors.since_2026(error, operation.layer) from None
            raise
        except Dropped:
            raise
        except Exception as failure:
            self._failed(on, operation, _named(operation, body) if checked else _NONE, failure)
            internal = operation.service.internal()
            if meter is not None:
                await _count_failed(meter, operation, body, checked, internal)
            raise internal from None
        if meter is not None:
            tally = meter.current
            if tally is not None:
                meter.current = None
                tally.succeeded(meter.now_ns() - started_ns)
            else:
                tables = await _aside_if_long(_tables, operation, body)
                meter.succeeded(operation.counted_as, tables, started_ns)
        return answer

    async def _call_faulty(self, faults: Faults, operation: Operation, on: Any, body: Body) -> Any:
        if not isinstance(on, Region) or not operation.service.has_tables:
            return await operation.function(on, body)
        plain = body if type(body) is dict else await aside(dict, body)
        return await faults.call(operation.name, operation.function, on, plain, operation.touches(body))

    def _failed(self, on: Any, operation: Operation, tables: Set[str], failure: Exception) -> None:
        request_id = self._next_id()
        health = _health(on)
        if health is not None and health.failed(failure, request_id=request_id):
            return
        extra = _fields(operation, tables, request_id)
        if isinstance(failure, Conflict):
            message = f"a transaction met too many conflicts with others and was refused: {failure}"
            self._repeats.log((Conflict, operation), logging.WARNING, message, extra)
        else:
            message = f"{operation!r} failed unexpectedly; the client got an internal error"
            self._repeats.log((operation, *_place(failure)), logging.ERROR, message, extra, failure)


def logging_slow(call: Call, slow_ms: int, next_id: Callable[[], str | None]) -> Call:
    """The call, extended to log operations that take `slow_ms` or longer, whether they succeed or not."""

    async def timed(operation: Operation, region: str, caller: Caller, body: Body, now_ms: int) -> Any:
        started_ns = monotonic_ns()
        error: ApiError | None = None
        try:
            return await call(operation, region, caller, body, now_ms)
        except ApiError as refused:
            error = refused
            raise
        finally:
            latency_ns = monotonic_ns() - started_ns
            if latency_ns >= slow_ms * 1_000_000:
                extra = _fields(operation, await _aside_if_long(_named_in, operation, body), next_id())
                extra |= {"latency_ms": latency_ns // 1_000_000, "error": error and error.code}
                _log.warning("a slow request", extra=extra)
            error = None  # its traceback refers to this frame: break the cycle

    return timed


async def _count_failed(meter: Meter, operation: Operation, body: Body, checked: bool, error: ApiError) -> None:
    """`checked`: the body has the operation's shape."""
    if checked:
        tables = await _aside_if_long(_tables, operation, body)
        meter.failed(counted(operation.counted_as, body), tables, error)
    else:
        meter.failed(operation.counted_as, _NONE, error)


def _health(on: Any) -> Health | None:
    if isinstance(on, Region):
        return on.health
    return on.region.health if isinstance(on, Triggers) else None


def _place(failure: Exception) -> tuple[object, ...]:
    """The kind of error, and where it was raised."""
    last = failure.__traceback__
    while last is not None and last.tb_next is not None:
        last = last.tb_next
    return (type(failure), *(() if last is None else (last.tb_frame.f_code, last.tb_lineno)))


def _fields(operation: Operation, tables: Set[str], request_id: str | None) -> dict[str, Any]:
    subject = "table" if operation.service.has_tables else _SUBJECTS.get(operation.touches, "resources")
    return {"operation": repr(operation), subject: ",".join(sorted(tables)) or None, "request_id": request_id}


_SUBJECTS = {FUNCTION: "function", MAPPING: "mapping", ALARM: "alarm", SCALED: "target", ROLE: "role"}
"""The field of the log that names the subject of an operation of another service."""


def tables_of(operation: Operation, body: Body) -> Set[str]:
    """The tables that a request names; an empty name if it has none, or is invalid."""
    return _named_in(operation, body) if operation.service.has_tables else _NONE


async def tables_of_any(operation: Operation, body: Body) -> Set[str]:
    """Like `tables_of`, of a request that may take long to check or parse."""
    return await _aside_if_long(tables_of, operation, body)


async def _aside_if_long(of: Callable[[Operation, Body], Set[str]], operation: Operation, body: Body) -> Set[str]:
    is_plain = type(body) is dict and operation.touches not in _PARSING
    return of(operation, body) if is_plain else await aside(of, operation, body)


def _named_in(operation: Operation, body: Body) -> Set[str]:
    """As `_named`, of a request that may be invalid."""
    try:
        operation.check(body)
    except ApiError:
        return _NONE
    return _named(operation, body)


_NONE = frozenset([""])
_PARSING = (STATEMENT_BATCH, STATEMENT_TRANSACTION)
"""They parse many statements, also those that have not been parsed because an earlier one is faulty."""


def _tables(operation: Operation, body: Body) -> Set[str]:
    """The tables on which the meter counts a request; an empty name if it has none."""
    return _named(operation, body) if operation.service.has_tables else _NONE


def _named(operation: Operation, body: Body) -> Set[str]:
    """The tables, functions or other subjects that a request names."""
    if operation.service.has_tables:
        return {table_of(resource) for resource in operation.touches(body)} or _NONE
    return frozenset(operation.touches(body)) or _NONE
