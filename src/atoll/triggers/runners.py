"""How functions are run: each kind in its own way, all of them blocking, so each call needs a thread of its own.

A call is given the event as JSON and returns an `Outcome`; it raises nothing that the function could be blamed for. It
ends when its time is over, whatever the function does, and when `close` is called. No clock is read here: a timer's
thread ends what takes too long.

A process leads a group of its own, and all of the group ends with it. What left the group may live on and hold what the
process was given; so a call never waits for the other end of anything that it cannot shut: a command has files, a
worker a socket.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from tempfile import TemporaryFile
from typing import Protocol
from urllib.parse import urlsplit

import orjson

from atoll.clock import SystemClock
from atoll.triggers import worker
from atoll.triggers.batches import Outcome
from atoll.triggers.registry import Function

STOPPING = "the server is stopping"


class Runner(Protocol):
    def call(self, event: bytes, request_id: str) -> Outcome: ...

    def close(self) -> None:
        """End the calls that are under way; those that come later fail."""


def runner(function: Function, arn: str, environment: Mapping[str, str]) -> Runner:
    if function.webhook is not None:
        return Webhook(function.webhook, function.headers, function.timeout_s)
    return Python(function, arn, environment) if function.python is not None else Command(function, environment)


def failed(kind: str, message: str) -> Outcome:
    return Outcome(orjson.dumps({"errorMessage": message, "errorType": kind}), "Unhandled")


def _timed_out(timeout_s: float) -> Outcome:
    return failed("Sandbox.Timedout", f"Task timed out after {timeout_s:.2f} seconds")


def _exited(request_id: str, code: int) -> Outcome:
    return failed("Runtime.ExitError", f"RequestId: {request_id} Error: Runtime exited with {code}")


@contextmanager
def _within(timeout_s: float, end: Callable[[], None]) -> Iterator[threading.Event]:
    """Calls `end` when the time is over, but never later than here; the event tells that it is."""
    late = threading.Event()

    def over() -> None:
        late.set()
        end()

    timer = threading.Timer(timeout_s, over)
    timer.daemon = True
    timer.start()
    try:
        yield late
    finally:
        timer.cancel()
        timer.join()  # it may have been about to call


def _shut(sock: socket.socket) -> None:
    """Whoever reads from it or writes to it, in whatever thread, is told that there is nothing more."""
    with suppress(OSError):  # nobody is at the other end any more
        sock.shutdown(socket.SHUT_RDWR)


class _Processes:
    """The processes of a function; once it is closed, there are none."""

    def __init__(self, function: Function, environment: Mapping[str, str]) -> None:
        self._function = function
        self._environment = {**environment, **os.environ, **function.environment}
        self._lock = threading.Lock()
        self._running: set[subprocess.Popen[bytes]] = set()
        self.closed = False

    def start(self, words: list[str], stdin: int, stdout: int | None = None) -> subprocess.Popen[bytes]:
        with self._lock:
            if self.closed:
                raise OSError(STOPPING)
            process = subprocess.Popen(
                words,
                stdin=stdin,
                stdout=stdout,
                cwd=self._function.directory,
                env=self._environment,
                start_new_session=True,  # and a group: what interrupts the server does not interrupt the function
            )
            self._running.add(process)
        return process

    def kill(self, process: subprocess.Popen[bytes]) -> None:
        with self._lock:
            if process in self._running:
                _kill(process)

    def end(self, process: subprocess.Popen[bytes]) -> int:
        """End the process, and what it left running; returns its exit code."""
        with self._lock:
            self._running.discard(process)
        _kill(process)
        return process.wait()

    def close(self) -> None:
        with self._lock:
            self.closed = True
            for process in self._running:
                _kill(process)


def _kill(process: subprocess.Popen[bytes]) -> None:
    """The whole group: it keeps its leader's number as long as anybody is in it."""
    with suppress(ProcessLookupError, PermissionError):  # nobody is; some systems say so by refusing
        os.killpg(process.pid, signal.SIGKILL)


class _Worker:
    """A process that runs a Python function, and the socket that both speak through."""

    def __init__(self, name: str, processes: _Processes) -> None:
        self._processes = processes
        self._line, theirs = socket.socketpair()
        with theirs:
            try:
                words = [sys.executable, "-m", worker.__name__, name]
                self.process = processes.start(words, theirs.fileno())
            except OSError:
                self._line.close()
                raise
        self._source = self._line.makefile("rb")

    def ask(self, message: bytes) -> bytes | None:
        """None if there is no answer, and there will be none."""
        try:
            worker.write(self._line, message)
            return worker.read(self._source)
        except OSError:
            return None

    def kill(self) -> None:
        self._processes.kill(self.process)
        _shut(self._line)

    def end(self) -> int:
        self._source.close()
        self._line.close()
        return self._processes.end(self.process)


class Python:
    """Worker processes, started when they are needed and kept; an invocation has one for itself."""

    def __init__(self, function: Function, arn: str, environment: Mapping[str, str]) -> None:
        assert function.python is not None
        self._name, self._arn, self._timeout_s = function.python, arn, function.timeout_s
        self._processes = _Processes(function, environment)
        self._lock = threading.Lock()
        self._busy: set[_Worker] = set()
        self._idle: list[_Worker] = []

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
            one = self._take()
        except OSError as error:
            return failed("Runtime.ExitError", str(error))
        with _within(self._timeout_s, one.kill) as late:
            answer = one.ask(message)
        if answer is None or late.is_set():
            code = self._drop(one)
            return _timed_out(self._timeout_s) if late.is_set() else _exited(request_id, code)
        self._keep(one)
        try:
            parsed = orjson.loads(answer)
        except orjson.JSONDecodeError as error:  # Python writes NaN, and halves of characters
            return failed("Runtime.MarshalError", f"Unable to marshal response: {error}")
        if "error" in parsed:
            return Outcome(orjson.dumps(parsed["error"]), "Unhandled")
        return Outcome(orjson.dumps(parsed["payload"]))

    def _take(self) -> _Worker:
        with self._lock:
            while self._idle:
                one = self._idle.pop()
                if one.process.poll() is None:
                    break
                one.end()
            else:
                one = _Worker(self._name, self._processes)
            self._busy.add(one)
        return one

    def _keep(self, one: _Worker) -> None:
        with self._lock:
            self._busy.discard(one)
            if not self._processes.closed:
                self._idle.append(one)
                return
        one.end()

    def _drop(self, one: _Worker) -> int:
        with self._lock:
            self._busy.discard(one)
        return one.end()

    def close(self) -> None:
        self._processes.close()
        with self._lock:
            for one in self._busy:
                one.kill()
            while self._idle:
                self._idle.pop().end()


class Command:
    """A command that reads the event from its standard input and may write JSON to its standard output."""

    def __init__(self, function: Function, environment: Mapping[str, str]) -> None:
        assert function.command is not None
        self._words, self._timeout_s = list(function.command), function.timeout_s
        self._processes = _Processes(function, environment)

    def call(self, event: bytes, request_id: str) -> Outcome:
        try:
            with TemporaryFile() as given, TemporaryFile() as answer:
                given.write(event)
                given.seek(0)
                process = self._processes.start(self._words, given.fileno(), answer.fileno())
                with _within(self._timeout_s, lambda: self._processes.kill(process)) as late:
                    process.wait()
                code = self._processes.end(process)
                output = os.pread(answer.fileno(), os.fstat(answer.fileno()).st_size, 0)
        except OSError as error:
            return failed("Runtime.InvalidEntrypoint", str(error))
        if late.is_set():
            return _timed_out(self._timeout_s)
        return _exited(request_id, code) if code else Outcome(output.strip() or b"null")

    def close(self) -> None:
        self._processes.close()


class _Line:
    """A connection that any thread may cut, also before it is there."""

    def __init__(self, connection: HTTPConnection) -> None:
        self.connection = connection
        self._socket: socket.socket | None = None
        self._cut = False

    def connect(self) -> None:
        self.connection.connect()
        self._socket = self.connection.sock  # the connection may drop it before the answer is read
        if self._cut:
            raise ConnectionAbortedError(STOPPING)

    def cut(self) -> None:
        self._cut = True
        if self._socket is not None:
            _shut(self._socket)


class Webhook:
    """POST of the event; an answer of 200 to 299 is success, and its body what the function returned."""

    def __init__(self, url: str, headers: Mapping[str, str], timeout_s: float) -> None:
        parts = urlsplit(url)
        self._kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
        self._host, self._port = parts.hostname or "", parts.port
        self._path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self._headers = {"Content-Type": "application/json", **headers}
        self._timeout_s = timeout_s
        self._lock = threading.Lock()
        self._open: set[_Line] = set()
        self._closed = False

    def call(self, event: bytes, request_id: str) -> Outcome:
        connection = self._kind(self._host, self._port, timeout=self._timeout_s)
        line = _Line(connection)
        with self._lock:
            if self._closed:
                return failed("Webhook.Unreachable", STOPPING)
            self._open.add(line)
        try:
            with _within(self._timeout_s, line.cut) as late:
                line.connect()
                connection.request("POST", self._path, event, {**self._headers, "X-Amzn-RequestId": request_id})
                answer = connection.getresponse()
                body = answer.read()
        except (OSError, HTTPException, ValueError) as error:  # the last of names and headers that cannot be
            if late.is_set() or isinstance(error, TimeoutError):
                return _timed_out(self._timeout_s)
            return failed("Webhook.Unreachable", str(error) or type(error).__name__)
        finally:
            with self._lock:
                self._open.discard(line)
            connection.close()
        if late.is_set():
            return _timed_out(self._timeout_s)
        if not 200 <= answer.status < 300:
            return failed("Webhook.Refused", f"{answer.status} {answer.reason}")
        return Outcome(body.strip() or b"null")

    def close(self) -> None:
        with self._lock:
            self._closed = True
            for line in self._open:
                line.cut()
