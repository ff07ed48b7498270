"""A span of each operation. Names of attributes are those of OpenTelemetry's conventions for databases and DynamoDB."""

from __future__ import annotations

import json
from collections.abc import Callable, Set
from typing import Any

from opentelemetry.context import Context
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, Tracer

from atoll.api.call import Call, Caller, tables_of_any
from atoll.api.services import Body, Operation
from atoll.errors import ApiError
from atoll.errors.faults import Dropped
from atoll.telemetry.parents import parent
from atoll.telemetry.units import Consumption, current

SYSTEM = "aws.dynamodb"
_SERVER_FAILED = 500


def traced(call: Call, tracer: Tracer, next_id: Callable[[], str | None]) -> Call:
    """The call that also makes spans. `next_id` returns the id of the request that is answered next."""

    async def spanned(operation: Operation, region: str, caller: Caller, body: Body, now_ms: int) -> Any:
        context = Context() if caller.origin is None else parent(caller.origin.headers)
        span = tracer.start_span(
            f"{operation.service.name}.{operation.name}", context, SpanKind.SERVER, _asked(operation, region)
        )
        consumption = Consumption()
        current.set(consumption)
        try:
            return await call(operation, region, caller, body, now_ms)
        except ApiError as error:
            span.set_attributes({"error.type": error.code, "http.response.status_code": error.status})
            if error.status >= _SERVER_FAILED:
                span.set_status(Status(StatusCode.ERROR, error.message))
            raise
        except Dropped:
            span.set_attribute("error.type", "dropped")
            raise
        finally:
            current.set(None)
            if span.is_recording():
                consumption.end()
                _describe(span, await tables_of_any(operation, body), consumption, next_id())
            span.end()

    return spanned


def _asked(operation: Operation, region: str) -> dict[str, str]:
    return {
        "db.system.name": SYSTEM,
        "db.operation.name": operation.name,
        "rpc.system": "aws-api",
        "rpc.service": operation.service.name,
        "rpc.method": operation.name,
        **({"cloud.region": region} if region else {}),
    }


def _describe(span: Span, touched: Set[str], consumption: Consumption, request_id: str | None) -> None:
    tables = sorted(name for name in touched if name)
    if tables:
        span.set_attribute("aws.dynamodb.table_names", tables)
    if len(tables) == 1:
        span.set_attribute("db.collection.name", tables[0])
    if consumption.tables:
        consumed = consumption.tables.items()
        span.set_attributes({
            "aws.dynamodb.consumed_capacity": [
                json.dumps({"TableName": name, "CapacityUnits": read + written}) for name, (read, written) in consumed
            ],
            "atoll.read_units": sum(read for _, (read, _) in consumed),
            "atoll.write_units": sum(written for _, (_, written) in consumed),
        })  # fmt: skip
    if request_id:
        span.set_attribute("aws.request_id", request_id)
