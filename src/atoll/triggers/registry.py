"""The file of functions (TOML): what can be invoked, what invokes it, and where failures are reported.

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

A trigger follows the table's stream, and the next one when the stream is made anew. Its other members are those of
CreateEventSourceMapping, with words in lower case: batch_size, maximum_retry_attempts, and so on.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson


class BadRegistry(Exception):
    """The file cannot be read as a file of functions."""


@dataclass(frozen=True)
class Function:
    """Exactly one of python, command and webhook says what it is."""

    name: str
    directory: Path
    """Where it runs: that of the file."""
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
    """The other members, as they are in CreateEventSourceMapping."""


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
        _only(content, "the file", {"functions", "destinations", "triggers"})
        base = path.resolve().parent
        functions = {n: _function(n, entry, base) for n, entry in content.get("functions", {}).items()}
        destinations = {n: _destination(n, entry, base) for n, entry in content.get("destinations", {}).items()}
        triggers = tuple(_triggers(content.get("triggers", []), functions, destinations))
    except (TypeError, AttributeError, ValueError) as error:
        raise BadRegistry(f"{path}: {error}") from error
    return Registry(functions, destinations, triggers)


def _function(name: str, entry: dict[str, Any], base: Path) -> Function:
    kinds = {"python", "command", "webhook"}
    common = {"timeout", "concurrency", "environment", "headers", "description"}
    _only(entry, f"function {name}", kinds | common)
    if len(kinds & entry.keys()) != 1:
        raise ValueError(f"function {name} needs one of python, command and webhook")
    if not all(c.isalnum() or c in "-_" for c in name) or len(name) > 64:
        raise ValueError(f"{name}: the name of a function has up to 64 letters, digits, - and _")
    command = entry.get("command")
    if command is not None and not (isinstance(command, list) and command):
        raise ValueError(f"function {name}: command takes a list of words")
    if ":" not in entry.get("python", ":"):
        raise ValueError(f"function {name}: python takes module:function")
    function = Function(
        name=name,
        directory=base,
        python=entry.get("python"),
        command=tuple(command) if command else None,
        webhook=_url(entry.get("webhook")),
        timeout_s=float(entry.get("timeout", 60)),
        concurrency=int(entry.get("concurrency", 10)),
        environment={key: str(value) for key, value in entry.get("environment", {}).items()},
        headers=entry.get("headers", {}),
        description=entry.get("description", ""),
    )
    if function.timeout_s <= 0 or function.concurrency < 1:
        raise ValueError(f"function {name}: timeout and concurrency are greater than zero")
    return function


def _destination(name: str, entry: dict[str, Any], base: Path) -> Destination:
    _only(entry, f"destination {name}", {"directory", "webhook", "headers"})
    if len(entry.keys() & {"directory", "webhook"}) != 1:
        raise ValueError(f"destination {name} needs a directory or a webhook")
    directory = base / entry["directory"] if "directory" in entry else None
    return Destination(name, directory, _url(entry.get("webhook")), entry.get("headers", {}))


def _triggers(
    entries: list[dict[str, Any]], functions: Mapping[str, Function], destinations: Mapping[str, Destination]
) -> Iterator[Trigger]:
    seen = set()
    for entry in entries:
        table, function = entry.get("table"), entry.get("function")
        if not table or not function:
            raise ValueError("a trigger needs a table and a function")
        where = f"trigger of {table}"
        _only(entry, where, {"table", "function", "filters", "report_batch_item_failures", "on_failure", *_MEMBERS})
        if function not in functions:
            raise ValueError(f"{where}: there is no function {function}")
        if (table, function) in seen:
            raise ValueError(f"{where} and {function} stands there twice")
        seen.add((table, function))
        on_failure = entry.get("on_failure")
        if on_failure is not None and on_failure not in destinations and on_failure not in functions:
            raise ValueError(f"{where}: there is no destination {on_failure}")
        yield Trigger(table, function, on_failure, _request(entry))


def _request(entry: dict[str, Any]) -> dict[str, Any]:
    request: dict[str, Any] = {member: entry[name] for name, member in _MEMBERS.items() if name in entry}
    request["FilterCriteria"] = {"Filters": [{"Pattern": _pattern(p)} for p in entry.get("filters", [])]}
    request["FunctionResponseTypes"] = ["ReportBatchItemFailures"] if entry.get("report_batch_item_failures") else []
    return request


def _pattern(pattern: Any) -> str:
    return pattern if isinstance(pattern, str) else orjson.dumps(pattern).decode()


def _url(url: str | None) -> str | None:
    if url is not None and not url.startswith(("http://", "https://")):
        raise ValueError(f"{url}: a webhook is an http or https address")
    return url


def _only(entry: dict[str, Any], where: str, known: set[str]) -> None:
    unknown = sorted(entry.keys() - known)
    if unknown:
        raise ValueError(f"{where}: {', '.join(unknown)} is not known")
