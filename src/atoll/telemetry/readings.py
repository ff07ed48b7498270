"""OpenTelemetry metrics: the totals of the meters, read when they are exported.

The exporter asks in a thread of its own; the meters belong to the event loop, which copies them. Totals are those of
this process since its start, as of Prometheus' counters.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from opentelemetry.metrics import CallbackOptions, Observation
from opentelemetry.metrics import Meter as Instruments

from atoll.capacity.meter import Measured, service_of
from atoll.clock import monotonic_ns
from atoll.database.region import Region

FRESH_NS = 1_000_000_000
"""All instruments of one export show the same copy."""
WAIT_S = 5.0


class _Instrument(NamedTuple):
    name: str
    unit: str
    description: str
    value: Callable[[Measured], float]
    of_index: bool = False
    """Whether indexes have it too."""
    of_vectors: bool = False
    """Whether only vector indexes have it."""

    def has(self, measured: Measured) -> bool:
        if measured.index is None:
            return not self.of_vectors
        return (self.of_index or self.of_vectors) and self.value(measured) != 0


def _units(value: Callable[[Measured], float]) -> Callable[[Measured], float]:
    return lambda one: 0.0 if one.counts_bytes else value(one)


def _bytes(value: Callable[[Measured], float]) -> Callable[[Measured], float]:
    return lambda one: value(one) if one.counts_bytes else 0.0


_INSTRUMENTS = (
    _Instrument("atoll.operations", "{operation}", "Operations, including refused ones.", lambda one: one.calls),
    _Instrument("atoll.operations.duration", "s", "The total time of successful operations.",
                lambda one: one.latency_ms / 1000),
    _Instrument("atoll.consumed.read", "{unit}", "Consumed read units.", _units(lambda one: one.read_units), True),
    _Instrument("atoll.consumed.write", "{unit}", "Consumed write units.", _units(lambda one: one.write_units), True),
    _Instrument("atoll.vectors.searched", "By", "Bytes that searches of vector indexes consumed.",
                _bytes(lambda one: one.read_units), of_vectors=True),
    _Instrument("atoll.vectors.written", "By", "Bytes written to vector indexes.",
                _bytes(lambda one: one.write_units), of_vectors=True),
    _Instrument("atoll.returned_items", "{item}", "Items that operations returned.", lambda one: one.items),
    _Instrument("atoll.throttled", "{operation}", "Throttled operations.", lambda one: one.throttled, True),
    _Instrument("atoll.failed_conditions", "{operation}", "Operations whose condition failed.",
                lambda one: one.failed_conditions),
    _Instrument("atoll.user_errors", "{operation}", "Operations refused for other reasons.",
                lambda one: one.user_errors),
    _Instrument("atoll.system_errors", "{operation}", "Operations that failed in the server.",
                lambda one: one.system_errors),
)  # fmt: skip

Counted = Sequence[tuple[Region, Sequence[Measured]]]


class Readings:
    """Call it on the event loop; `regions` returns those that are open."""

    def __init__(self, instruments: Instruments, regions: Callable[[], Iterable[Region]]) -> None:
        self._loop = asyncio.get_running_loop()
        self._regions = regions
        self._counted: Counted = ()
        self._counted_ns = -FRESH_NS
        for one in _INSTRUMENTS:
            instruments.create_observable_counter(one.name, [self._observing(one)], one.unit, one.description)

    def _observing(self, one: _Instrument) -> Callable[[CallbackOptions], Iterable[Observation]]:
        def observe(options: CallbackOptions) -> Iterable[Observation]:
            return [
                Observation(one.value(measured), _attributes(region, measured))
                for region, counts in self._copied()
                for measured in counts
                if one.has(measured)
            ]

        return observe

    def _copied(self) -> Counted:
        if monotonic_ns() - self._counted_ns >= FRESH_NS:
            self._counted = asyncio.run_coroutine_threadsafe(self._copy(), self._loop).result(WAIT_S)
            self._counted_ns = monotonic_ns()
        return self._counted

    async def _copy(self) -> Counted:
        return [(region, region.meter.snapshot()) for region in self._regions()]


def _attributes(region: Region, measured: Measured) -> dict[str, str]:
    found = {"cloud.region": region.name, "cloud.account.id": region.settings.account}
    service = service_of(measured.operation)
    if service is not None:
        method = measured.operation.removeprefix(f"{service}.")
        return found | {"rpc.system": "aws-api", "rpc.service": service, "rpc.method": method}
    found |= {"db.system.name": "aws.dynamodb", "db.operation.name": measured.operation}
    if measured.table:
        found["db.collection.name"] = measured.table
    if measured.index is not None:
        found["aws.dynamodb.index_name"] = measured.index
    return found
