"""How functions are run: each kind in its own way, all of them blocking, so each call needs a thread of its own.

A call is given the event as JSON and returns an `Outcome`; it raises nothing that the function could be blamed for. It
ends when its time is over, whatever the function does, and when `close` is called. No clock is read here: a timer's
thread kills what takes too long.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Protocol
from urllib.parse import urlsplit

import orjson

from atoll.clock import SystemClock
from atoll.triggers import worker
from atoll.triggers.batches import Outcome
from atoll.triggers.registry import Function


class Runner(Protocol):
    def call(self, event: bytes, request_id: str) -> Outcome: ...

    def close(self) -> None:
        """End the calls that are under way."""


def runner(function: Function, arn: str, environment: Mapping[str, str]) -> Runner:
    if function.webhook is not None:
        return Webhook(function.webhook, function.headers, function.timeout_s)
    return Python(function, arn, environment) if function.python is not None else Command(function, environment)


def failed(kind: str, message: str) -> Outcome:
    return Outcome(orjson.dumps({"errorMessage": message, "errorType": kind}), "Unhandled")


def _timed_out(timeout_s: float) -> Outcome:
    return failed("Sandbox.Timedout", f"Task timed out after {timeout_s:.2f} seconds")


class _Processes:
    """The processes of a function; once it is closed, there are none."""

    def __init__(self, function: Function, environment: Mapping[str, str]) -> None:
        self._function = function
        self._environment = {**environment, **os.environ, **function.environment}
        self._lock = threading.Lock()
        self._running: set[subprocess.Popen[bytes]] = set()
        self._closed = False

    def start(self, words: list[str], stdout: int) -> subprocess.Popen[bytes]:
        with self._lock:
            if self._closed:
                raise OSError("the server is stopping")
            process = subprocess.Popen(
                words,
                stdin=subprocess.PIPE,
                stdout=stdout,
                cwd=self._function.directory,
                env=self._environment,
                start_new_session=True,  # what interrupts the server does not interrupt the function
            )
            self._running.add(process)
        return process

    def end(self, process: subprocess.Popen[bytes]) -> int:
        process.kill()
        with self._lock:
            self._running.discard(process)
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()
        return process.wait()

    def close(self) -> None:
        with self._lock:
            self._closed = True
            for process in self._running:
                process.kill()


class Python:
    """Worker processes, started when they are needed and kept; an invocation has one for itself."""

    def __init__(self, function: Function, arn: str, environment: Mapping[str, str]) -> None:
        assert function.python is not None
        self._name, self._arn, self._timeout_s = function.python, arn, function.timeout_s
        self._processes = _Processes(function, environment)
        self._idle: list[subprocess.Popen[bytes]] = []

    def load(self) -> Outcome:
        """Start a process and let it find the function, without an invocation."""
        return self._ask(b"{}", "")

    def call(self, event: bytes, request_id: str) -> Outcome:
        message = {
            "requestId": request_id,
            "functionArn": self._arn,
            "deadlineMs": SystemClock().now_ms() + int(self._timeout_s * 1000),
            "event": orjson.Fragment(event),
        }
        return self._ask(orjson.dumps(message), request_id)

    def _ask(self, message: bytes, request_id: str) -> Outcome:
        try:
            process = self._take()
        except OSError as error:
            return failed("Runtime.ExitError", str(error))
        late = threading.Event()
        answer = self._exchange(process, message, late)
        if answer is not None:
            self._idle.append(process)
            parsed = orjson.loads(answer)
            if "error" in parsed:
                return Outcome(orjson.dumps(parsed["error"]), "Unhandled")
            return Outcome(orjson.dumps(parsed["payload"]))
        code = self._processes.end(process)
        if late.is_set():
            return _timed_out(self._timeout_s)
        return failed("Runtime.ExitError", f"RequestId: {request_id} Error: Runtime exited with {code}")

    def _take(self) -> subprocess.Popen[bytes]:
        while True:
            try:
                process = self._idle.pop()
            except IndexError:
                return self._processes.start([sys.executable, "-m", worker.__name__, self._name], subprocess.PIPE)
            if process.poll() is None:
                return process
            self._processes.end(process)

    def _exchange(self, process: subprocess.Popen[bytes], message: bytes, late: threading.Event) -> bytes | None:
        assert process.stdin is not None and process.stdout is not None

        def kill() -> None:
            late.set()
            process.kill()

        timer = threading.Timer(self._timeout_s, kill)
        timer.daemon = True
        timer.start()
        try:
            worker.write(process.stdin, message)  # type: ignore[arg-type]
            answer = worker.read(process.stdout)  # type: ignore[arg-type]
        except OSError:
            return None
        finally:
            timer.cancel()
        return None if late.is_set() else answer

    def close(self) -> None:
        self._processes.close()


class Command:
    """A command that reads the event from its standard input and may write JSON to its standard output."""

    def __init__(self, function: Function, environment: Mapping[str, str]) -> None:
        assert function.command is not None
        self._words, self._timeout_s = list(function.command), function.timeout_s
        self._processes = _Processes(function, environment)

    def call(self, event: bytes, request_id: str) -> Outcome:
        try:
            process = self._processes.start(self._words, subprocess.PIPE)
        except OSError as error:
            return failed("Runtime.InvalidEntrypoint", str(error))
        try:
            output, _ = process.communicate(event, self._timeout_s)
        except subprocess.TimeoutExpired:
            return _timed_out(self._timeout_s)
        finally:
            code = self._processes.end(process)
        if code:
            return failed("Runtime.ExitError", f"RequestId: {request_id} Error: Runtime exited with {code}")
        return Outcome(output.strip() or b"null")

    def close(self) -> None:
        self._processes.close()


class Webhook:
    """POST of the event; an answer of 200 to 299 is success, and its body what the function returned."""

    def __init__(self, url: str, headers: Mapping[str, str], timeout_s: float) -> None:
        parts = urlsplit(url)
        self._secure, self._host, self._port = parts.scheme == "https", parts.hostname or "", parts.port
        self._path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self._headers = {"Content-Type": "application/json", **headers}
        self._timeout_s = timeout_s
        self._open: set[HTTPConnection] = set()

    def call(self, event: bytes, request_id: str) -> Outcome:
        kind = HTTPSConnection if self._secure else HTTPConnection
        connection = kind(self._host, self._port, timeout=self._timeout_s)
        late = threading.Event()

        def hang_up() -> None:
            late.set()
            _hang_up(connection)

        timer = threading.Timer(self._timeout_s, hang_up)
        timer.daemon = True
        timer.start()
        self._open.add(connection)
        try:
            headers = {**self._headers, "X-Amzn-RequestId": request_id}
            connection.request("POST", self._path, event, headers)
            answer = connection.getresponse()
            body = answer.read()
        except (OSError, HTTPException) as error:
            if late.is_set() or isinstance(error, TimeoutError):
                return _timed_out(self._timeout_s)
            return failed("Webhook.Unreachable", str(error) or type(error).__name__)
        finally:
            timer.cancel()
            self._open.discard(connection)
            connection.close()
        if late.is_set():
            return _timed_out(self._timeout_s)
        if not 200 <= answer.status < 300:
            return failed("Webhook.Refused", f"{answer.status} {answer.reason}")
        return Outcome(body.strip() or b"null")

    def close(self) -> None:
        for connection in list(self._open):
            _hang_up(connection)


def _hang_up(connection: HTTPConnection) -> None:
    sock: socket.socket | None = connection.sock
    if sock is not None:
        with suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)
