"""The file of functions."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from atoll.api.functions import check_registry
from atoll.triggers.registry import BadRegistry, load

WHOLE = """
[functions.send-welcome-email]
python = "welcome:handler"
timeout = 2.5
concurrency = 3
environment = { SMTP_PORT = 1025 }

[functions.resize]
command = ["./resize", "--fast"]

[functions.index]
webhook = "https://search.example/changes?all=1"
headers = { Authorization = "Bearer x" }

[destinations.failed]
directory = "failed"

[[triggers]]
table = "users"
function = "send-welcome-email"
batch_size = 10
maximum_retry_attempts = 3
report_batch_item_failures = true
filters = [ { eventName = ["INSERT"] }, '{"eventName": ["MODIFY"]}' ]
on_failure = "failed"
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "functions.toml"


def test_a_whole_file(file: Path) -> None:
    file.write_text(WHOLE)
    registry = load(file)
    check_registry(registry)
    welcome = registry.functions["send-welcome-email"]
    assert (welcome.python, welcome.timeout_s, welcome.concurrency) == ("welcome:handler", 2.5, 3)
    assert welcome.environment == {"SMTP_PORT": "1025"}
    assert welcome.directory == file.parent
    assert registry.functions["resize"].command == ("./resize", "--fast")
    assert registry.destinations["failed"].directory == file.parent / "failed"
    (trigger,) = registry.triggers
    assert (trigger.table, trigger.function, trigger.on_failure) == ("users", "send-welcome-email", "failed")
    patterns = [json.loads(f["Pattern"]) for f in trigger.request["FilterCriteria"]["Filters"]]
    assert patterns == [{"eventName": ["INSERT"]}, {"eventName": ["MODIFY"]}]
    assert trigger.request["MaximumRetryAttempts"] == 3
    assert trigger.request["FunctionResponseTypes"] == ["ReportBatchItemFailures"]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("functions = ", "functions.toml"),
        ("[function.f]\npython = 'a:b'", "unknown key: function"),
        ("[functions.f]", "needs one of python, command and webhook"),
        ("[functions.f]\npython = 'a:b'\nwebhook = 'http://x'", "needs one of"),
        ("[functions.f]\npython = 'a'", "must be module:function"),
        ("[functions.f]\ncommand = 'ls -l'", "must be a list of strings"),
        ("[functions.f]\ncommand = ['ls', 5]", "must be a list of strings"),
        ("[functions.f]\nwebhook = 'ftp://x'", "http or https"),
        ("[functions.f]\nwebhook = 'http://'", "http or https"),
        ("[functions.f]\nwebhook = 'http://x:port'", "function f: Port could not be cast"),
        ("[destinations.d]\nwebhook = 'http://x:99999'", "destination d: Port out of range"),
        ("[functions.f]\npython = 'a:b'\ntimeout = inf", "timeout is too long"),
        ("[functions.f]\npython = 'a:b'\ntimeout = nan", "greater than zero"),
        ("[functions.f]\npython = 'a:b'\ntimeout = 0", "greater than zero"),
        ("[functions.'f g']\npython = 'a:b'", "a function name"),
        ("[functions.f]\npython = 'a:b'\nretries = 3", "unknown key: retries"),
        ("[destinations.d]", "needs a directory or a webhook"),
        ("[functions.f]\npython = 'a:b'\ntimeout = 'long'", "functions.toml: function f: could not convert"),
        ("[[triggers]]\ntable = 'users'", "trigger 1: a trigger needs a table and a function"),
        (
            "[functions.f]\npython = 'a:b'\n[[triggers]]\ntable = 'ab'\nfunction = 'f'",
            "trigger of ab for f: a table name has 3 to 255 letters",
        ),
        (
            "[functions.f]\npython = 'a:b'\n[[triggers]]\ntable = 3\nfunction = 'f'",
            "trigger of 3 for f: expected string",
        ),
        ("[[triggers]]\ntable = 'users'\nfunction = 'f'", "unknown function: f"),
        (
            "[functions.f]\npython = 'a:b'\n[[triggers]]\ntable = 'users'\nfunction = 'f'\non_failure = 'x'",
            "unknown destination: x",
        ),
        (
            "[functions.f]\npython = 'a:b'\n" + "[[triggers]]\ntable = 'users'\nfunction = 'f'\n" * 2,
            "duplicate trigger",
        ),
    ],
)
def test_errors_in_the_file_are_reported(file: Path, text: str, complaint: str) -> None:
    file.write_text(text)
    with pytest.raises(BadRegistry, match=complaint):
        load(file)


def test_a_file_that_is_not_there(file: Path) -> None:
    with pytest.raises(BadRegistry, match="No such file"):
        load(file)


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("batch_size = 0", "batchSize"),
        ("filters = ['nonsense']", "Invalid filter pattern definition"),
        ("maximum_record_age_in_seconds = 5", "MaximumRecordAgeInSeconds"),
        ("starting_position = 'AT_TIMESTAMP'", "starting position"),
        ("tumbling_window_in_seconds = 5\nparallelization_factor = 2", "tumbling window"),
    ],
)
def test_a_trigger_must_be_a_mapping_that_a_request_could_create(file: Path, line: str, complaint: str) -> None:
    file.write_text(f"[functions.f]\npython = 'a:b'\n[[triggers]]\ntable = 'users'\nfunction = 'f'\n{line}\n")
    with pytest.raises(BadRegistry, match=f"trigger of users for f: .*{complaint}"):
        check_registry(load(file))
