"""Run functions as processes: Python functions in workers that are reused, commands in a new process for each call.

Each process leads its own process group, and killing the group ends all its processes. A descendant that left the group
may survive and keep the process's files open. So a call never waits for the end of a pipe: a command reads and writes
files, and a worker uses a socket, which the server can shut down.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from tempfile import TemporaryFile

import orjson

from atoll import limits
from atoll.clock import SystemClock
from atoll.triggers import worker
from atoll.triggers.batches import BatchOutcome
from atoll.triggers.calls import STOPPING, Runner, failed, shut, timed_out, too_large, within
from atoll.triggers.registry import Function
from atoll.triggers.webhooks import Webhook


def runner(function: Function, arn: str, environment: Mapping[str, str]) -> Runner:
    if function.webhook is not None:
        return Webhook(function.webhook, function.headers, function.timeout_s)
    return Python(function, arn, environment) if function.python is not None else Command(function, environment)


def _exited(request_id: str, code: int) -> BatchOutcome:
    return failed("Runtime.ExitError", f"RequestId: {request_id} Error: Runtime exited with {code}")


class _Processes:
    """The processes of a function. After `close`, no process is running and none can start."""

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
                start_new_session=True,  # and a process group: Ctrl-C of the server does not interrupt the function
            )
            self._running.add(process)
        return process

    def kill(self, process: subprocess.Popen[bytes]) -> None:
        with self._lock:
            if process in self._running:
                _kill(process)

    def end(self, process: subprocess.Popen[bytes]) -> int:
        """Kill the process and the rest of its group; return its exit code."""
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
    """Kill the whole group. Its number stays that of its leader while any process is in it."""
    with suppress(
        ProcessLookupError, PermissionError
    ):  # the group is empty; some systems report that as a lack of permission
        os.killpg(process.pid, signal.SIGKILL)


class _Worker:
    """A process that runs a Python function, and the socket to it."""

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
        """Send a message and return the answer; None if the worker has died or was killed."""
        try:
            worker.write(self._line, message)
            return worker.read(self._source)
        except OSError:
            return None

    def kill(self) -> None:
        self._processes.kill(self.process)
        shut(self._line)

    def end(self) -> int:
        self._source.close()
        self._line.close()
        return self._processes.end(self.process)


class Python:
    """A pool of worker processes, started on demand and reused. Each runs one invocation at a time."""

    def __init__(self, function: Function, arn: str, environment: Mapping[str, str]) -> None:
        assert function.python is not None
        self._name, self._arn, self._timeout_s = function.python, arn, function.timeout_s
        self._processes = _Processes(function, environment)
        self._lock = threading.Lock()
        self._busy: set[_Worker] = set()
        self._idle: list[_Worker] = []

    def load(self) -> BatchOutcome:
        """Start a process that imports the function, without an invocation."""
        return self._ask(b"{}", "")

    def call(self, event: bytes, request_id: str) -> BatchOutcome:
        message = {
            "requestId": request_id,
            "functionArn": self._arn,
            "deadlineMs": SystemClock().now_ms() + int(self._timeout_s * 1000),
            "event": orjson.Fragment(event),
        }
        return self._ask(orjson.dumps(message), request_id)

    def _ask(self, message: bytes, request_id: str) -> BatchOutcome:
        try:
            one = self._take()
        except OSError as error:
            return failed("Runtime.ExitError", str(error))
        with within(self._timeout_s, one.kill) as late:
            answer = one.ask(message)
        if answer is None or late.is_set():
            code = self._drop(one)
            return timed_out(self._timeout_s) if late.is_set() else _exited(request_id, code)
        self._keep(one)
        try:
            parsed = orjson.loads(answer)
        except orjson.JSONDecodeError as error:  # Python writes NaN and lone surrogates
            return failed("Runtime.MarshalError", f"Unable to marshal response: {error}")
        if "error" in parsed:
            return BatchOutcome(orjson.dumps(parsed["error"]), "Unhandled")
        return BatchOutcome(orjson.dumps(parsed["payload"]))

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

    def call(self, event: bytes, request_id: str) -> BatchOutcome:
        try:
            with TemporaryFile() as given, TemporaryFile() as answer:
                given.write(event)
                given.seek(0)
                process = self._processes.start(self._words, given.fileno(), answer.fileno())
                with within(self._timeout_s, lambda: self._processes.kill(process)) as late:
                    process.wait()
                code = self._processes.end(process)
                output = os.pread(answer.fileno(), limits.INVOCATION_BYTES + 1, 0)
        except OSError as error:
            return failed("Runtime.InvalidEntrypoint", str(error))
        if late.is_set():
            return timed_out(self._timeout_s)
        if len(output) > limits.INVOCATION_BYTES:
            return too_large()
        return _exited(request_id, code) if code else BatchOutcome(output.strip() or b"null")

    def close(self) -> None:
        self._processes.close()
