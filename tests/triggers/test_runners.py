"""Functions in real processes and behind real sockets: what they answer, and what goes wrong with them."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import orjson
import pytest

from atoll.triggers.batches import Outcome
from atoll.triggers.registry import Function
from atoll.triggers.runners import Python, Runner, runner

MODULE = """
import os, sys, time

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

def strange(event, context):
    return {1, 2}
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


def parsed(outcome: Outcome) -> Any:
    return orjson.loads(outcome.payload)


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
            assert one.load() == Outcome(b"null")
        for name, kind in (("nowhere:f", "ModuleNotFoundError"), ("module:nothing", "AttributeError")):
            one = make(python=name)
            assert isinstance(one, Python)
            assert parsed(one.load())["errorType"] == kind

    def test_a_result_that_is_no_json(self, make: Make) -> None:
        assert parsed(make(python="module:strange").call(b"{}", "1"))["errorType"] == "TypeError"

    def test_it_ends_when_its_time_is_over_and_the_next_call_has_a_new_process(self, make: Make) -> None:
        one = make(python="module:sleep", timeout_s=0.3)
        assert parsed(one.call(b"{}", "1"))["errorMessage"] == "Task timed out after 0.30 seconds"
        assert parsed(one.call(b"{}", "2"))["errorType"] == "Sandbox.Timedout"

    def test_a_process_that_dies_is_a_failure(self, make: Make) -> None:
        outcome = make(python="module:leave").call(b"{}", "1")
        assert parsed(outcome)["errorType"] == "Runtime.ExitError"

    def test_a_process_that_died_while_it_was_idle_is_none(self, make: Make) -> None:
        one = make(python="module:process")
        first = parsed(one.call(b"{}", "1"))
        process = one._idle[0]  # type: ignore[attr-defined]
        process.kill()
        process.wait()
        assert parsed(one.call(b"{}", "2")) != first

    def test_its_environment_is_the_files(self, make: Make) -> None:
        assert parsed(make(python="module:setting").call(b"{}", "1")) == "red"
        assert parsed(make(python="module:setting", environment={"COLOUR": "blue"}).call(b"{}", "1")) == "blue"

    def test_closing_ends_it(self, make: Make) -> None:
        one = make(python="module:sleep")
        outcomes: list[Outcome] = []
        thread = threading.Thread(target=lambda: outcomes.append(one.call(b"{}", "1")))
        thread.start()
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
        assert make(command=("true",)).call(b"{}", "1") == Outcome(b"null")

    def test_an_exit_code_is_failure(self, make: Make) -> None:
        outcome = make(command=(sys.executable, "-c", "exit(7)")).call(b"{}", "1")
        assert outcome.error == "Unhandled" and "exited with 7" in parsed(outcome)["errorMessage"]

    def test_a_command_that_is_not_there(self, make: Make) -> None:
        assert parsed(make(command=("./nothing",)).call(b"{}", "1"))["errorType"] == "Runtime.InvalidEntrypoint"

    def test_it_ends_when_its_time_is_over(self, make: Make) -> None:
        outcome = make(command=("sleep", "60"), timeout_s=0.2).call(b"{}", "1")
        assert parsed(outcome)["errorType"] == "Sandbox.Timedout"

    def test_it_need_not_read_a_large_event(self, make: Make) -> None:
        assert make(command=("true",)).call(b'"' + b"x" * 1_000_000 + b'"', "1").error is None


class _Answers(BaseHTTPRequestHandler):
    seen: list[tuple[str, str | None, bytes]]
    wait: threading.Event

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.seen.append((self.path, self.headers["Authorization"], body))
        if self.path == "/slow":
            self.wait.wait(30)
        self.send_response(503 if self.path == "/busy" else 200)
        self.end_headers()
        self.wfile.write(b'{"batchItemFailures":[]}' if self.path.startswith("/good") else b"")

    def log_message(self, *args: object) -> None:
        """Silence."""


@pytest.fixture
def site() -> Iterator[tuple[str, type[_Answers]]]:
    class Answers(_Answers):
        seen: list[tuple[str, str | None, bytes]] = []  # noqa: RUF012
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
        assert one.call(b'{"Records":[]}', "1") == Outcome(b'{"batchItemFailures":[]}')
        assert site[1].seen == [("/good?all=1", "Bearer x", b'{"Records":[]}')]

    def test_any_other_status_is_failure(self, make: Make, site: tuple[str, type[_Answers]]) -> None:
        outcome = make(webhook=f"{site[0]}/busy").call(b"{}", "1")
        assert outcome.error == "Unhandled" and "503" in parsed(outcome)["errorMessage"]

    def test_an_empty_answer_is_null(self, make: Make, site: tuple[str, type[_Answers]]) -> None:
        assert make(webhook=site[0]).call(b"{}", "1") == Outcome(b"null")

    def test_nobody_there(self, make: Make) -> None:
        assert parsed(make(webhook="http://127.0.0.1:9/").call(b"{}", "1"))["errorType"] == "Webhook.Unreachable"

    def test_it_ends_when_its_time_is_over(self, make: Make, site: tuple[str, type[_Answers]]) -> None:
        outcome = make(webhook=f"{site[0]}/slow", timeout_s=0.2).call(b"{}", "1")
        assert parsed(outcome)["errorType"] == "Sandbox.Timedout"
