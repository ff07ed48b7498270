"""Functions in real processes and behind real sockets: their answers and their failures."""

from __future__ import annotations

import os
import select
import selectors
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import orjson
import pytest

from atoll.triggers.batches import BatchOutcome
from atoll.triggers.calls import Runner, within
from atoll.triggers.registry import Function
from atoll.triggers.runners import Python, runner

MODULE = """
import os, subprocess, sys, time

def echo(event, context):
    print("printed by a function")
    return {"event": event, "name": context.function_name, "arn": context.invoked_function_arn,
            "left": context.get_remaining_time_in_millis(), "request": context.aws_request_id}

def process(event, context):
    return os.getpid()

def setting(event, context):
    return os.environ["COLOUR"]

def fail(event, context):
    raise KeyError("users")

def sleep(event, context):
    time.sleep(60)

def leave(event, context):
    os._exit(3)

def stop(event, context):
    sys.exit(3)

def strange(event, context):
    return {1, 2}

def no_number(event, context):
    return float("nan")

def half(event, context):
    return chr(0xD800)

def start(event, context):
    subprocess.Popen(["cat", "never"], stdout=open("alive", "w"))

def start_and_sleep(event, context):
    start(event, context)
    time.sleep(60)

def read(event, context):
    return subprocess.run(["cat"], capture_output=True).stdout.decode()

def escape(event, context):
    if os.fork() == 0:
        os.setsid()
        open("never").read()
    os._exit(3)
"""

ARN = "arn:aws:lambda:us-east-1:000000000000:function:f"
Make = Callable[..., Runner]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    (tmp_path / "module.py").write_text(MODULE)
    made: list[Runner] = []

    def build(**members: Any) -> Runner:
        made.append(runner(Function("f", tmp_path, **members), ARN, {"COLOUR": "red"}))
        return made[-1]

    yield build
    for one in made:
        one.close()


def parsed(outcome: BatchOutcome) -> Any:
    return orjson.loads(outcome.payload)


class Child:
    """Of a function: it has the pipe `alive` open for writing, and reads of the pipe `never`, where nothing comes."""

    def __init__(self, directory: Path) -> None:
        self._never = directory / "never"
        os.mkfifo(self._never)
        os.mkfifo(directory / "alive")
        self._alive = os.open(directory / "alive", os.O_RDONLY | os.O_NONBLOCK)

    def _heard(self) -> bytes:
        """The next message of the process; nothing when it has ended, which must not take long."""
        assert select.select([self._alive], [], [], 20)[0], "it is still there"
        return os.read(self._alive, 100)

    def has_begun(self) -> bool:
        return self._heard() != b""

    def has_ended(self) -> bool:
        return self._heard() == b""

    def release(self) -> None:
        """Its input ends, or no longer exists."""
        end = os.open(self._never, os.O_RDWR)
        self._never.unlink()
        os.close(end)


@pytest.fixture
def child(tmp_path: Path) -> Child:
    return Child(tmp_path)


def calling(one: Runner, outcomes: list[BatchOutcome]) -> threading.Thread:
    thread = threading.Thread(target=lambda: outcomes.append(one.call(b"{}", "1")))
    thread.start()
    return thread


class TestTime:
    def test_the_end_of_a_call_does_not_hit_the_next_one(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """It used to end the next call of the same process."""

        class Last(threading.Timer):
            def run(self) -> None:
                self.finished.wait()
                self.function()

        monkeypatch.setattr(threading, "Timer", Last)
        ended: list[bool] = []
        with within(60, lambda: ended.append(True)) as late:
            assert not late.is_set()
        assert late.is_set() and ended


class TestPython:
    def test_it_is_called_with_event_and_context(self, make: Make) -> None:
        answer = parsed(make(python="module:echo").call(b'{"a":"\xc3\xa9"}', "id-1"))
        assert 0 < answer.pop("left") <= 60_000
        assert answer == {"event": {"a": "é"}, "name": "f", "arn": ARN, "request": "id-1"}

    def test_a_process_is_kept_for_the_next_invocation(self, make: Make) -> None:
        one = make(python="module:process")
        assert one.call(b"{}", "1") == one.call(b"{}", "2")

    def test_an_exception_is_the_outcome(self, make: Make) -> None:
        outcome = make(python="module:fail").call(b"{}", "1")
        assert outcome.error == "Unhandled"
        answer = parsed(outcome)
        assert (answer["errorType"], answer["errorMessage"]) == ("KeyError", "'users'")
        assert "module.py" in answer["stackTrace"][0]

    def test_a_module_that_is_not_there(self, make: Make) -> None:
        outcome = make(python="nowhere:f").call(b"{}", "1")
        assert parsed(outcome)["errorType"] == "ModuleNotFoundError"

    def test_it_can_be_loaded_without_being_called(self, make: Make) -> None:
        for name in ("module:leave", "module:fail"):
            one = make(python=name)
            assert isinstance(one, Python)
            assert one.load() == BatchOutcome(b"null")
        for name, kind in (("nowhere:f", "ModuleNotFoundError"), ("module:nothing", "AttributeError")):
            one = make(python=name)
            assert isinstance(one, Python)
            assert parsed(one.load())["errorType"] == kind

    def test_a_result_that_is_not_json(self, make: Make) -> None:
        assert parsed(make(python="module:strange").call(b"{}", "1"))["errorType"] == "TypeError"

    @pytest.mark.parametrize("name", ["no_number", "half"])
    def test_a_result_that_python_takes_for_json(self, make: Make, name: str) -> None:
        """The call used to raise, so the batch was tried again for ever, whatever the retries of its mapping."""
        outcome = make(python=f"module:{name}").call(b"{}", "1")
        assert outcome.error == "Unhandled" and parsed(outcome)["errorType"] == "Runtime.MarshalError"

    def test_child_processes_do_not_read_the_input_of_the_runner(self, make: Make) -> None:
        """A program that read its standard input used to wait for the next event, and to take it away."""
        one = make(python="module:read", timeout_s=20)
        assert (parsed(one.call(b"{}", "1")), parsed(one.call(b"{}", "2"))) == ("", "")

    def test_child_processes_end_with_it_on_timeout(self, make: Make, child: Child) -> None:
        one = make(python="module:start_and_sleep", timeout_s=1)
        assert isinstance(one, Python)
        one.load()
        outcome = one.call(b"{}", "1")
        assert parsed(outcome)["errorType"] == "Sandbox.Timedout"
        assert child.has_ended()

    def test_child_processes_left_running_end_with_it(self, make: Make, child: Child) -> None:
        one = make(python="module:start")
        assert one.call(b"{}", "1") == BatchOutcome(b"null")
        one.close()
        assert child.has_ended()

    def test_a_child_that_left_the_process_group_is_not_waited_for(self, make: Make, child: Child) -> None:
        outcome = make(python="module:escape", timeout_s=1).call(b"{}", "1")
        assert parsed(outcome)["errorType"] == "Sandbox.Timedout"
        child.release()

    def test_it_ends_when_its_time_is_over_and_the_next_call_has_a_new_process(self, make: Make) -> None:
        one = make(python="module:sleep", timeout_s=0.3)
        assert parsed(one.call(b"{}", "1"))["errorMessage"] == "Task timed out after 0.30 seconds"
        assert parsed(one.call(b"{}", "2"))["errorType"] == "Sandbox.Timedout"

    def test_a_process_that_dies_is_a_failure(self, make: Make) -> None:
        outcome = make(python="module:leave").call(b"{}", "1")
        assert parsed(outcome)["errorType"] == "Runtime.ExitError"

    def test_its_exit_code_is_reported(self, make: Make) -> None:
        """It used to be killed before it had ended by itself."""
        answer = parsed(make(python="module:stop").call(b"{}", "1"))
        assert answer["errorMessage"] == "RequestId: 1 Error: Runtime exited with 3"

    def test_a_process_that_died_while_it_was_idle_is_none(self, make: Make) -> None:
        one = make(python="module:process")
        first = parsed(one.call(b"{}", "1"))
        process = one._idle[0].process  # type: ignore[attr-defined]
        process.kill()
        process.wait()
        assert parsed(one.call(b"{}", "2")) != first

    def test_its_environment_is_the_files(self, make: Make) -> None:
        assert parsed(make(python="module:setting").call(b"{}", "1")) == "red"
        assert parsed(make(python="module:setting", environment={"COLOUR": "blue"}).call(b"{}", "1")) == "blue"

    def test_closing_ends_it(self, make: Make) -> None:
        one = make(python="module:sleep")
        outcomes: list[BatchOutcome] = []
        thread = calling(one, outcomes)
        while not one._processes._running:  # type: ignore[attr-defined]
            pass
        one.close()
        thread.join(10)
        assert outcomes[0].error == "Unhandled"
        assert one.call(b"{}", "2").error == "Unhandled"


class TestCommand:
    def test_it_reads_the_event_and_writes_its_answer(self, make: Make) -> None:
        script = "import json, sys; print(json.dumps({'n': len(json.load(sys.stdin)['Records'])}))"
        assert parsed(make(command=(sys.executable, "-c", script)).call(b'{"Records":[1,2]}', "1")) == {"n": 2}

    def test_silence_is_null(self, make: Make) -> None:
        assert make(command=("true",)).call(b"{}", "1") == BatchOutcome(b"null")

    def test_an_exit_code_is_failure(self, make: Make) -> None:
        outcome = make(command=(sys.executable, "-c", "exit(7)")).call(b"{}", "1")
        assert outcome.error == "Unhandled" and "exited with 7" in parsed(outcome)["errorMessage"]

    def test_an_answer_that_is_too_long_is_a_failure(self, make: Make) -> None:
        words = (sys.executable, "-c", "print('x' * 7_000_000)")
        assert parsed(make(command=words).call(b"{}", "1"))["errorType"] == "Function.ResponseSizeTooLarge"

    def test_a_command_that_is_not_there(self, make: Make) -> None:
        assert parsed(make(command=("./nothing",)).call(b"{}", "1"))["errorType"] == "Runtime.InvalidEntrypoint"

    def test_it_ends_when_its_time_is_over(self, make: Make) -> None:
        outcome = make(command=("sleep", "60"), timeout_s=0.2).call(b"{}", "1")
        assert parsed(outcome)["errorType"] == "Sandbox.Timedout"

    def test_it_need_not_read_a_large_event(self, make: Make) -> None:
        assert make(command=("true",)).call(b'"' + b"x" * 1_000_000 + b'"', "1").error is None

    def test_child_processes_left_running_end_with_it(self, make: Make, child: Child) -> None:
        """The child has the command's output, too: the call used to wait for it, and to fail."""
        one = make(command=("sh", "-c", "exec 3>alive; cat never & echo 7"), timeout_s=20)
        assert one.call(b"{}", "1") == BatchOutcome(b"7")
        assert child.has_ended()

    def test_child_processes_end_with_it_on_timeout(self, make: Make, child: Child) -> None:
        one = make(command=("sh", "-c", "exec 3>alive; cat never & cat never"), timeout_s=1)
        assert parsed(one.call(b"{}", "1"))["errorType"] == "Sandbox.Timedout"
        assert child.has_ended()

    def test_closing_ends_it_and_its_descendants(self, make: Make, child: Child) -> None:
        one = make(command=("sh", "-c", "exec 3>alive; cat never & echo begun >&3; cat never"))
        outcomes: list[BatchOutcome] = []
        thread = calling(one, outcomes)
        assert child.has_begun()
        one.close()
        thread.join(20)
        assert outcomes[0].error == "Unhandled"
        assert child.has_ended()

    def test_a_child_that_left_the_process_group_is_not_waited_for(self, make: Make, child: Child) -> None:
        start = "import os, subprocess; subprocess.Popen(['cat', 'never'], start_new_session=True); print(7)"
        one = make(command=(sys.executable, "-c", start), timeout_s=20)
        assert one.call(b'"' + b"x" * 1_000_000 + b'"', "1") == BatchOutcome(b"7")
        child.release()


class _Answers(BaseHTTPRequestHandler):
    seen: list[tuple[str, str | None, bytes]]
    asked: threading.Event
    wait: threading.Event

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.seen.append((self.path, self.headers["Authorization"], body))
        if self.path == "/slow":
            self.asked.set()
            self.wait.wait(30)
        self.send_response(503 if self.path == "/busy" else 200)
        self.end_headers()
        self.wfile.write(b'{"batchItemFailures":[]}' if self.path.startswith("/good") else b"")
        if self.path == "/endless":
            with suppress(OSError):
                while True:
                    self.wfile.write(bytes(65_536))
        if self.path == "/begun":
            self.asked.set()
            self.wait.wait(30)

    def log_message(self, *args: object) -> None:
        """Silence."""


@pytest.fixture
def site() -> Iterator[tuple[str, type[_Answers]]]:
    class Answers(_Answers):
        seen: list[tuple[str, str | None, bytes]] = []  # noqa: RUF012
        asked = threading.Event()
        wait = threading.Event()

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", Answers
    Answers.wait.set()
    server.shutdown()
    thread.join()
    server.server_close()


class TestWebhook:
    def test_it_is_posted_the_event(self, make: Make, site: tuple[str, type[_Answers]]) -> None:
        one = make(webhook=f"{site[0]}/good?all=1", headers={"Authorization": "Bearer x"})
        assert one.call(b'{"Records":[]}', "1") == BatchOutcome(b'{"batchItemFailures":[]}')
        assert site[1].seen == [("/good?all=1", "Bearer x", b'{"Records":[]}')]

    def test_any_other_status_is_failure(self, make: Make, site: tuple[str, type[_Answers]]) -> None:
        outcome = make(webhook=f"{site[0]}/busy").call(b"{}", "1")
        assert outcome.error == "Unhandled" and "503" in parsed(outcome)["errorMessage"]

    def test_an_empty_answer_is_null(self, make: Make, site: tuple[str, type[_Answers]]) -> None:
        assert make(webhook=site[0]).call(b"{}", "1") == BatchOutcome(b"null")

    def test_an_endless_answer_is_a_failure(self, make: Make, site: tuple[str, type[_Answers]]) -> None:
        outcome = make(webhook=f"{site[0]}/endless", timeout_s=60).call(b"{}", "1")
        assert parsed(outcome)["errorType"] == "Function.ResponseSizeTooLarge"

    @pytest.mark.parametrize(
        ("start", "more"),
        [
            (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
            (b"HTTP/1.1 100 Continue\r\n", b"X: y\r\n" * 50 + b"\r\nHTTP/1.1 100 Continue\r\n"),
            (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\na\r\n"),
        ],
        ids=["interim answers", "their headers", "chunks"],
    )
    def test_an_answer_without_an_end_besides_its_body_is_a_failure(
        self, make: Make, start: bytes, more: bytes
    ) -> None:
        """The thread read them until the function's timeout, and the event loop waited for it at each turn."""

        def send(listener: socket.socket) -> None:
            connection, _ = listener.accept()
            with connection, suppress(OSError):
                connection.sendall(start)
                while True:
                    connection.sendall(more * 1_000)

        with socket.create_server(("127.0.0.1", 0)) as listener:
            sender = threading.Thread(target=send, args=(listener,))
            sender.start()
            outcome = make(webhook=f"http://127.0.0.1:{listener.getsockname()[1]}/", timeout_s=60).call(b"{}", "1")
            sender.join(20)
        assert "besides its body" in parsed(outcome)["errorMessage"]

    @pytest.mark.parametrize("length", [b"Content-Length: 9", b"Transfer-Encoding: chunked"])
    def test_an_answer_that_breaks_off_is_a_failure(self, make: Make, length: bytes) -> None:
        """With a Content-Length, its first bytes were taken for the whole result."""

        def send(listener: socket.socket) -> None:
            with listener.accept()[0] as client:
                client.recv(65536)
                client.sendall(b"HTTP/1.1 200 OK\r\n" + length + b"\r\n\r\n" + b"123")

        with socket.create_server(("127.0.0.1", 0)) as listener:
            sender = threading.Thread(target=send, args=(listener,))
            sender.start()
            outcome = make(webhook=f"http://127.0.0.1:{listener.getsockname()[1]}/").call(b"{}", "id")
            sender.join()
        assert parsed(outcome)["errorType"] == "Webhook.Unreachable"

    def test_a_refused_connection_is_a_failure(self, make: Make) -> None:
        assert parsed(make(webhook="http://127.0.0.1:9/").call(b"{}", "1"))["errorType"] == "Webhook.Unreachable"

    def test_it_ends_when_its_time_is_over(self, make: Make, site: tuple[str, type[_Answers]]) -> None:
        outcome = make(webhook=f"{site[0]}/slow", timeout_s=0.2).call(b"{}", "1")
        assert parsed(outcome)["errorType"] == "Sandbox.Timedout"

    def test_it_ends_when_its_time_is_over_though_its_answer_has_begun(
        self, make: Make, site: tuple[str, type[_Answers]]
    ) -> None:
        outcome = make(webhook=f"{site[0]}/begun", timeout_s=0.2).call(b"{}", "1")
        assert parsed(outcome)["errorType"] == "Sandbox.Timedout"

    def test_an_unsendable_request_is_a_failure(self, make: Make, site: tuple[str, type[_Answers]]) -> None:
        for members in ({"webhook": "http://a..b/"}, {"webhook": site[0], "headers": {"A": "1\n2"}}):
            assert make(**members).call(b"{}", "1").error == "Unhandled"
        assert site[1].seen == []

    @pytest.mark.parametrize("path", ["/slow", "/begun"])
    def test_closing_ends_it(self, make: Make, site: tuple[str, type[_Answers]], path: str) -> None:
        """An answer without a length ends when its connection does: half of it is no result."""
        one = make(webhook=site[0] + path)
        outcomes: list[BatchOutcome] = []
        thread = calling(one, outcomes)
        assert site[1].asked.wait(20)
        one.close()
        thread.join(20)
        assert outcomes[0].error == "Unhandled"

    def test_nothing_is_posted_when_it_is_closed(self, make: Make, site: tuple[str, type[_Answers]]) -> None:
        one = make(webhook=site[0])
        one.close()
        assert one.call(b"{}", "1").error == "Unhandled"
        assert site[1].seen == []

    def test_nothing_is_posted_when_it_is_closed_before_it_connects(
        self, make: Make, site: tuple[str, type[_Answers]], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        one = make(webhook=site[0])
        resolve = socket.getaddrinfo

        def close_and_resolve(*args: Any, **more: Any) -> Any:
            one.close()
            return resolve(*args, **more)

        monkeypatch.setattr(socket, "getaddrinfo", close_and_resolve)
        assert one.call(b"{}", "1").error == "Unhandled"
        assert site[1].seen == []

    def test_closing_ends_it_while_its_connection_is_not_accepted(
        self, make: Make, deaf: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        one = make(webhook=deaf)
        connecting = threading.Event()
        register = selectors.DefaultSelector.register

        def note(self: Any, *args: Any) -> Any:
            connecting.set()
            return register(self, *args)

        monkeypatch.setattr(selectors.DefaultSelector, "register", note)
        outcomes: list[BatchOutcome] = []
        thread = calling(one, outcomes)
        assert connecting.wait(20)
        one.close()
        thread.join(20)
        assert parsed(outcomes[0])["errorMessage"] == "the server is stopping"

    def test_it_times_out_while_its_connection_is_not_accepted(self, make: Make, deaf: str) -> None:
        assert parsed(make(webhook=deaf, timeout_s=0.2).call(b"{}", "1"))["errorType"] == "Sandbox.Timedout"

    def test_closing_ends_it_while_tls_is_not_answered(self, make: Make) -> None:
        with socket.create_server(("127.0.0.1", 0)) as mute:
            one = make(webhook=f"https://127.0.0.1:{mute.getsockname()[1]}/")
            outcomes: list[BatchOutcome] = []
            thread = calling(one, outcomes)
            taken, _ = mute.accept()
            with taken:
                assert taken.recv(1)
                one.close()
                thread.join(20)
                assert outcomes[0].error == "Unhandled"


@pytest.fixture
def deaf() -> Iterator[str]:
    """Where connections are neither taken nor refused: as many wait as may."""
    with socket.socket() as listening, ExitStack() as waiting:
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        while True:
            one = waiting.enter_context(socket.socket())
            one.setblocking(False)
            with suppress(BlockingIOError):
                one.connect(listening.getsockname())
            if not select.select([], [one], [], 0.2)[1]:
                break
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/"
