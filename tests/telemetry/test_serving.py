"""`atoll serve --otel` with a collector: one that answers, none, and one that never answers."""

from __future__ import annotations

import gzip
import json
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.metrics.export import MetricsData
from opentelemetry.sdk.trace.export import SpanExportResult

from atoll.cli import main
from atoll.telemetry import exporters
from tests.ports import reserved_port
from tests.telemetry.conftest import AUTHORIZATION

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


class Collector:
    """A receiver of OTLP over HTTP."""

    def __init__(self) -> None:
        self.spans: list[dict[str, object]] = []
        self.metrics: set[str] = set()
        self.services: set[str] = set()
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                collector.took(self.path, body)
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def took(self, path: str, body: bytes) -> None:
        if path == "/v1/traces":
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                self.services |= {
                    one.value.string_value for one in resource.resource.attributes if one.key == "service.name"
                }
                for span in (span for scope in resource.scope_spans for span in scope.spans):
                    self.spans.append({"name": span.name, "trace": span.trace_id.hex()})
        else:
            for resource_ in ExportMetricsServiceRequest.FromString(body).resource_metrics:
                self.metrics |= {one.name for scope in resource_.scope_metrics for one in scope.metrics}

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def collector() -> Iterator[Collector]:
    found = Collector()
    yield found
    found.close()


@contextmanager
def served(*options: str, data: Path | None = None, **variables: Any) -> Iterator[int]:
    """The port of a server. At its end, it must stop by itself."""
    place = ["--in-memory"] if data is None else ["--data", str(data)]
    command = [sys.executable, "-m", "atoll", "serve", "--port", "0", "--otel", "--log-format", "json"]
    process = subprocess.Popen(
        [*command, *options, *place], stderr=subprocess.PIPE, text=True, env=os.environ | variables
    )
    try:
        assert process.stderr is not None
        line = process.stderr.readline()
        yield int(json.loads(line)["message"].rpartition(":")[2])
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.wait()


def ask(port: int, times: int = 1) -> None:
    connection = HTTPConnection("127.0.0.1", port, timeout=5)
    for _ in range(times):
        connection.request("POST", "/", "{}", {
            "X-Amz-Target": "DynamoDB_20120810.ListTables", "Content-Type": "application/x-amz-json-1.0",
            "Authorization": AUTHORIZATION, "traceparent": f"00-{TRACE}-00f067aa0ba902b7-01",
        })  # fmt: skip
        assert connection.getresponse().read() == b'{"TableNames":[]}'
    connection.close()


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_collector_gets_spans_and_metrics(collector: Collector, workers: str, tmp_path: Path) -> None:
    with served("--workers", workers, data=tmp_path / "data", OTEL_EXPORTER_OTLP_ENDPOINT=collector.url) as port:
        ask(port, 20)
    assert collector.spans == [{"name": "DynamoDB.ListTables", "trace": TRACE}] * 20
    assert {"atoll.operations", "atoll.operations.duration"} <= collector.metrics
    assert collector.services == {"atoll"}


def test_the_standard_variables_are_heard(collector: Collector) -> None:
    variables: dict[str, Any] = {"OTEL_SERVICE_NAME": "orders-db", "OTEL_METRICS_EXPORTER": "none"}
    with served(OTEL_EXPORTER_OTLP_ENDPOINT=collector.url, **variables) as port:
        ask(port)
    assert (len(collector.spans), collector.services, collector.metrics) == (1, {"orders-db"}, set())
    with served(OTEL_EXPORTER_OTLP_ENDPOINT=collector.url, OTEL_SDK_DISABLED="true") as port:
        ask(port)
    assert len(collector.spans) == 1


def test_without_a_collector_requests_are_answered_and_the_server_stops() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        with served(OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{unused.getsockname()[1]}") as port:
            ask(port, 5)


def test_an_outage_of_the_collector_is_logged_when_it_begins_and_when_it_ends(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{reserved_port()}")
    away = exporters._Spans()
    monkeypatch.setattr(away._client, "_compute_backoff", lambda retry: 0.0)
    caplog.set_level("INFO")
    queue = logging.getLogger("opentelemetry.sdk._shared_internal")
    for _ in range(2):
        assert away.export([]) is SpanExportResult.FAILURE
        queue.warning("Queue full, dropping %s.", "Span")
    (told,) = caplog.messages
    assert told.startswith("spans cannot be exported (this is logged once, until they can be): ")
    assert "Connection refused" in told
    caplog.clear()
    there = Collector()
    away._client._endpoint = there.url + "/v1/traces"
    try:
        for _ in range(2):
            assert away.export([]) is SpanExportResult.SUCCESS
            queue.warning("Queue full, dropping %s.", "Span")
    finally:
        there.close()
    assert caplog.messages == ["spans are exported again", *2 * ["Queue full, dropping Span."]]


@pytest.mark.parametrize("exporter", [exporters._Spans, exporters._Metrics])
def test_an_answer_without_an_end_is_not_read(exporter: type[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """The exporter collected it in memory: 2 GB in ten seconds."""
    sent = 0

    def answer(listener: socket.socket) -> None:
        nonlocal sent
        connection, _ = listener.accept()
        with connection, suppress(OSError):
            connection.recv(65_536)
            connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            while sent < 1_000:
                connection.sendall(bytes(100_000))
                sent += 1

    with socket.create_server(("127.0.0.1", 0)) as listener:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{listener.getsockname()[1]}")
        answering = threading.Thread(target=answer, args=(listener,))
        answering.start()
        one = exporter()
        given: Any = [] if exporter is exporters._Spans else MetricsData([])
        assert one.export(given).name == "SUCCESS"
        answering.join(20)
    assert sent < 1_000


def test_a_collector_that_never_answers_delays_nothing_but_the_end() -> None:
    """More spans than the queue has room for are lost."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        limits: dict[str, Any] = {"OTEL_BSP_MAX_QUEUE_SIZE": "20", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "10"}
        with served(OTEL_EXPORTER_OTLP_ENDPOINT=url, **limits) as port:
            ask(port, 200)


@pytest.mark.parametrize(("variable", "value", "text"), [
    ("OTEL_TRACES_EXPORTER", "jaeger", "OTEL_TRACES_EXPORTER must be otlp or none, not 'jaeger'"),
    ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc", "OTEL_EXPORTER_OTLP_PROTOCOL must be http/protobuf, not 'grpc'"),
])  # fmt: skip
def test_an_unknown_exporter_ends_the_program(
    variable: str, value: str, text: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(variable, value)
    assert main(["serve", "--in-memory", "--otel"]) == 2
    assert capsys.readouterr().err == f"atoll: --otel: {text}\n"


def test_without_the_extra_the_program_names_it() -> None:
    program = "import sys; sys.modules['opentelemetry'] = None; from atoll.cli import main; sys.exit(main())"
    command = [sys.executable, "-c", program, "serve", "--in-memory", "--port", "0", "--otel"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (2, "atoll: --otel needs an extra: pip install 'atoll[otel]'\n")


def test_a_server_without_it_imports_nothing_of_it() -> None:
    program = (
        "import sys, atoll.serving, atoll.serve_command;"
        "print([name for name in sys.modules if name.startswith('opentelemetry')])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
