"""The functions file (TOML): functions, the triggers that invoke them, and destinations for reports of failures.

    [functions.send-welcome-email]
    python = "welcome:handler"              # or command = ["./resize", "--fast"], or webhook = "https://..."
    timeout = 60                            # seconds
    concurrency = 10                        # invocations at a time
    environment = { SMTP_PORT = "1025" }    # headers = { Authorization = "..." } for a webhook

    [[triggers]]
    table = "users"
    function = "send-welcome-email"
    filters = [ { eventName = ["INSERT"] } ]
    on_failure = "failed-emails"            # a destination, or another function

    [destinations.failed-emails]
    directory = "failed"                    # or webhook = "https://..."

A trigger follows the table's stream, and the next one if a client disables and enables the stream. Its other members
are those of CreateEventSourceMapping in snake case: batch_size, maximum_retry_attempts, and so on.
"""

from __future__ import annotations

import re
import threading
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import orjson

_is_table_name = re.compile(r"[a-zA-Z0-9_.-]{3,255}").fullmatch


class BadRegistry(Exception):
    """The functions file is missing or invalid."""


@dataclass(frozen=True)
class Function:
    """A function of the file. Exactly one of python, command and webhook is set."""

    name: str
    directory: Path
    """The working directory: that of the file."""
    python: str | None = None
    command: tuple[str, ...] | None = None
    webhook: str | None = None
    timeout_s: float = 60.0
    concurrency: int = 10
    environment: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    description: str = ""


@dataclass(frozen=True)
class Destination:
    name: str
    directory: Path | None = None
    webhook: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Trigger:
    table: str
    function: str
    on_failure: str | None
    request: Mapping[str, Any]
    """The other members, under their names in CreateEventSourceMapping."""


@dataclass(frozen=True)
class Registry:
    functions: Mapping[str, Function] = field(default_factory=dict)
    destinations: Mapping[str, Destination] = field(default_factory=dict)
    triggers: tuple[Trigger, ...] = ()


_MEMBERS = {
    "enabled": "Enabled",
    "batch_size": "BatchSize",
    "maximum_batching_window_in_seconds": "MaximumBatchingWindowInSeconds",
    "parallelization_factor": "ParallelizationFactor",
    "starting_position": "StartingPosition",
    "maximum_record_age_in_seconds": "MaximumRecordAgeInSeconds",
    "maximum_retry_attempts": "MaximumRetryAttempts",
    "bisect_batch_on_function_error": "BisectBatchOnFunctionError",
    "tumbling_window_in_seconds": "TumblingWindowInSeconds",
}


def load(path: Path) -> Registry:
    try:
        content = tomllib.loads(path.read_text())
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise BadRegistry(f"{path}: {error}") from error
    try:
        with _named("top level"):
            _only(content, {"functions", "destinations", "triggers"})
        base = path.resolve().parent
        functions = {n: _function(n, entry, base) for n, entry in content.get("functions", {}).items()}
        destinations = {n: _destination(n, entry, base) for n, entry in content.get("destinations", {}).items()}
        triggers = tuple(_triggers(content.get("triggers", []), functions, destinations))
    except (TypeError, AttributeError, ValueError) as error:
        raise BadRegistry(f"{path}: {error}") from error
    return Registry(functions, destinations, triggers)


@contextmanager
def _named(what: str) -> Iterator[None]:
    """Begin the text of errors with the part of the file that is wrong."""
    try:
        yield
    except (TypeError, AttributeError, ValueError) as error:
        raise ValueError(f"{what}: {error}") from error


def _function(name: str, entry: dict[str, Any], base: Path) -> Function:
    kinds = {"python", "command", "webhook"}
    common = {"timeout", "concurrency", "environment", "headers", "description"}
    with _named(f"function {name}"):
        _only(entry, kinds | common)
        if len(kinds & entry.keys()) != 1:
            raise ValueError("a function needs one of python, command and webhook")
        if not all(c.isalnum() or c in "-_" for c in name) or len(name) > 64:
            raise ValueError("a function name has up to 64 letters, digits, - and _")
        command = entry.get("command")
        if command is not None and not (
            command and isinstance(command, list) and all(isinstance(w, str) for w in command)
        ):
            raise ValueError("command must be a list of strings")
        if ":" not in entry.get("python", ":"):
            raise ValueError("python must be module:function")
        function = Function(
            name=name,
            directory=base,
            python=entry.get("python"),
            command=tuple(command) if command else None,
            webhook=_url(entry.get("webhook")),
            timeout_s=float(entry.get("timeout", 60)),
            concurrency=int(entry.get("concurrency", 10)),
            environment=_texts(entry.get("environment", {})),
            headers=_texts(entry.get("headers", {})),
            description=entry.get("description", ""),
        )
        if not function.timeout_s > 0 or function.concurrency < 1:
            raise ValueError("timeout and concurrency must be greater than zero")
        if function.timeout_s > threading.TIMEOUT_MAX:
            raise ValueError("timeout is too long")
    return function


def _destination(name: str, entry: dict[str, Any], base: Path) -> Destination:
    with _named(f"destination {name}"):
        _only(entry, {"directory", "webhook", "headers"})
        if len(entry.keys() & {"directory", "webhook"}) != 1:
            raise ValueError("a destination needs a directory or a webhook")
        directory = base / entry["directory"] if "directory" in entry else None
        return Destination(name, directory, _url(entry.get("webhook")), _texts(entry.get("headers", {})))


def _triggers(
    entries: list[dict[str, Any]], functions: Mapping[str, Function], destinations: Mapping[str, Destination]
) -> Iterator[Trigger]:
    seen = set()
    for number, entry in enumerate(entries, 1):
        with _named(f"trigger {number}"):
            table, function = entry.get("table"), entry.get("function")
            if not table or not function:
                raise ValueError("a trigger needs a table and a function")
        with _named(f"trigger of {table} for {function}"):
            _only(entry, {"table", "function", "filters", "report_batch_item_failures", "on_failure", *_MEMBERS})
            if not _is_table_name(table):
                raise ValueError("a table name has 3 to 255 letters, digits, -, _ and .")
            if function not in functions:
                raise ValueError(f"unknown function: {function}")
            if (table, function) in seen:
                raise ValueError("duplicate trigger")
            seen.add((table, function))
            on_failure = entry.get("on_failure")
            if on_failure is not None and on_failure not in destinations and on_failure not in functions:
                raise ValueError(f"unknown destination: {on_failure}")
            request = _request(entry)
        yield Trigger(table, function, on_failure, request)


def _request(entry: dict[str, Any]) -> dict[str, Any]:
    request: dict[str, Any] = {member: entry[name] for name, member in _MEMBERS.items() if name in entry}
    request["FilterCriteria"] = {"Filters": [{"Pattern": _pattern(p)} for p in entry.get("filters", [])]}
    request["FunctionResponseTypes"] = ["ReportBatchItemFailures"] if entry.get("report_batch_item_failures") else []
    return request


def _pattern(pattern: Any) -> str:
    return pattern if isinstance(pattern, str) else orjson.dumps(pattern).decode()


def _url(url: str | None) -> str | None:
    if url is not None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.port == 0:
            raise ValueError(f"{url}: a webhook must be an http or https URL")
    return url


def _texts(entry: dict[str, Any]) -> dict[str, str]:
    return {key: str(value) for key, value in entry.items()}


def _only(entry: dict[str, Any], known: set[str]) -> None:
    unknown = sorted(entry.keys() - known)
    if unknown:
        raise ValueError(f"unknown key: {', '.join(unknown)}")
