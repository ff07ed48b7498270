"""Export spans and metrics by OTLP over HTTP, configured by the standard OTEL_* variables.

Spans wait in a queue of bounded length, in a thread of its own; metrics do not wait at all. A collector that is down or
slow loses spans; it never makes a request wait, and its outage takes two lines of the log (`outages`). The SDK reads
the variables: OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_SERVICE_NAME, OTEL_TRACES_SAMPLER, OTEL_BSP_MAX_QUEUE_SIZE,
OTEL_METRIC_EXPORT_INTERVAL, ..."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from io import BytesIO
from typing import Any

from opentelemetry.exporter.otlp.proto.http import metric_exporter, trace_exporter
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.metrics import NoOpMeterProvider
from opentelemetry.sdk import _shared_internal
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import (
    MetricExportResult,
    MetricReader,
    MetricsData,
    PeriodicExportingMetricReader,
)
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, OTELResourceDetector, Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExportResult
from opentelemetry.trace import NoOpTracerProvider, Tracer
from requests import Response, Session

from atoll import __version__
from atoll.database.region import Region
from atoll.telemetry.outages import DuringOutage, Outage
from atoll.telemetry.readings import Readings

CLOSE_S = 3.0
"""The longest that the end of the server waits for a collector."""

ANSWER_BYTES = 64 * 1024
"""A collector's answer says little; the rest of a longer one is not read."""

_CREDENTIALS = "OTEL_PYTHON_EXPORTER_OTLP_HTTP_{}CREDENTIAL_PROVIDER"
_EXPORTERS = ("OTEL_TRACES_EXPORTER", "OTEL_METRICS_EXPORTER")


class BadVariable(Exception):
    """An OTEL_* variable cannot be used; the text names it."""


class Telemetry:
    """Make it in the process that serves: threads do not survive a fork. None exports nothing of this kind."""

    def __init__(self, spans: SpanProcessor | None, metrics: MetricReader | None) -> None:
        # The variables OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES come last: they override these two.
        ours = Resource({SERVICE_NAME: "atoll", SERVICE_VERSION: __version__})
        resource = Resource.create().merge(ours).merge(OTELResourceDetector().detect())
        self._traces: TracerProvider | NoOpTracerProvider = NoOpTracerProvider()
        if spans is not None:
            self._traces = TracerProvider(resource=resource, shutdown_on_exit=False)
            self._traces.add_span_processor(spans)
        self._metrics: MeterProvider | NoOpMeterProvider = NoOpMeterProvider()
        if metrics is not None:
            self._metrics = MeterProvider([metrics], resource=resource, shutdown_on_exit=False)
        self.tracer: Tracer = self._traces.get_tracer("atoll", __version__)

    def observe(self, regions: Callable[[], Iterable[Region]]) -> None:
        """Export the metrics of these regions from now on. Call it once, on the event loop."""
        Readings(self._metrics.get_meter("atoll", __version__), regions)

    async def close(self) -> None:
        """Send what waits. The loop goes on meanwhile: the last metrics are read on it."""
        loop, done = asyncio.get_running_loop(), asyncio.Event()

        def end() -> None:
            for provider in (self._metrics, self._traces):
                if isinstance(provider, MeterProvider | TracerProvider):
                    provider.shutdown()
            loop.call_soon_threadsafe(done.set)

        # A daemon: the process ends even if a collector does not answer.
        threading.Thread(target=end, name="atoll-telemetry", daemon=True).start()
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_S):
                await done.wait()


def check(environment: Mapping[str, str] = os.environ) -> None:
    """Raises BadVariable for an exporter that Atoll does not have."""
    for name in _EXPORTERS:
        if environment.get(name, "otlp") not in ("otlp", "none", ""):
            raise BadVariable(f"{name} must be otlp or none, not {environment[name]!r}")
    protocol = environment.get("OTEL_EXPORTER_OTLP_PROTOCOL", "")
    if protocol not in ("", "http/protobuf"):
        raise BadVariable(f"OTEL_EXPORTER_OTLP_PROTOCOL must be http/protobuf, not {protocol!r}")


def opened(environment: Mapping[str, str] = os.environ) -> Telemetry:
    wanted = [environment.get(name, "otlp") != "none" for name in _EXPORTERS]
    if environment.get("OTEL_SDK_DISABLED", "").lower() == "true":
        wanted = [False, False]
    return Telemetry(
        BatchSpanProcessor(_Spans()) if wanted[0] else None,
        PeriodicExportingMetricReader(_Metrics()) if wanted[1] else None,
    )


def _session(kind: str) -> Session | None:
    """Sends requests. None if the variables name a package that does."""
    if any(os.environ.get(_CREDENTIALS.format(part)) for part in (kind, "")):
        return None
    session = Session()
    session.hooks["response"] = [_read]
    return session


def _read(response: Response, **_: Any) -> None:
    body = response.raw.read(ANSWER_BYTES)
    response.raw.close()
    response.raw = BytesIO(body)


class _Spans(OTLPSpanExporter):
    def __init__(self) -> None:
        super().__init__(session=_session("TRACES_"))
        self._outage = Outage("spans")
        _only(trace_exporter.__name__, self._outage)
        _only(_shared_internal.__name__, DuringOutage(self._outage))  # the queue is full

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        result = super().export(spans)
        if result is SpanExportResult.SUCCESS:
            self._outage.exported()
        return result


class _Metrics(OTLPMetricExporter):
    def __init__(self) -> None:
        super().__init__(session=_session("METRICS_"))
        self._outage = Outage("metrics")
        _only(metric_exporter.__name__, self._outage)

    def export(
        self, metrics_data: MetricsData, timeout_millis: float | None = 10_000, **kwargs: Any
    ) -> MetricExportResult:
        result = super().export(metrics_data, timeout_millis, **kwargs)
        if result is MetricExportResult.SUCCESS:
            self._outage.exported()
        return result


def _only(name: str, filter_: logging.Filter) -> None:
    """Replace the filters of the logger by this one: new exporters use the same loggers."""
    logging.getLogger(name).filters[:] = [filter_]
