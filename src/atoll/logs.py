"""The log: one stream of records with one shape, as text for people or as JSON for programs.

A record is a sentence with fields. Callers pass fields as `extra={"region": ...}`; a line that belongs to a request has
the field `request_id`, which the answer carries as `x-amzn-RequestId`. The fields of JSON are

    time, level, message, source, pid     always; `source` is the module
    region, operation, table, ...         what the caller passed
    traceback                             for an unexpected error

and a line of text is the time, the LEVEL, the message, then pid and the caller's fields as key=value; a traceback
follows on lines of its own.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable, Hashable, Mapping
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, TextIO

FORMATS = ("text", "json")
LEVELS = ("debug", "info", "warning", "error")

EVERY_S = 60
"""The seconds within which equal lines are logged only once."""

_STANDARD = {*logging.makeLogRecord({}).__dict__, "message", "asctime", "taskName"}


def configure(how: str, level: str, stream: TextIO | None = None) -> None:
    """Send all records of this process, Python's warnings included, to the stream; by default to standard error."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.addFilter(_Same())
    handler.setFormatter(_Json() if how == "json" else _Text())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    logging.captureWarnings(True)
    sys.excepthook = _uncaught


def _uncaught(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
    if isinstance(error, Exception):
        logging.getLogger("atoll").critical("this process failed unexpectedly and ends", exc_info=error)
    else:
        sys.__excepthook__(kind, error, traceback)


def refuse(reason: str) -> None:
    """Print why the program ends before it serves: a plain line, or a record if the log is JSON."""
    if any(isinstance(handler.formatter, _Json) for handler in logging.getLogger().handlers):
        logging.getLogger("atoll").critical("%s", reason)
    else:
        print(f"atoll: {one_line(reason)}", file=sys.stderr)


class Tenths:
    """Detects each further tenth of work, to log its progress."""

    def __init__(self) -> None:
        self._part = ""
        self._tenth = -1

    def passed(self, done: float, total: float, part: str = "") -> int | None:
        """The tenth that was reached, if it is a further one; otherwise None."""
        tenth = int(done * 10 / total) if total else 0
        if part == self._part and tenth <= self._tenth:
            return None
        self._part, self._tenth = part, tenth
        return tenth


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    return {name: value for name, value in record.__dict__.items() if name not in _STANDARD and value is not None}


def _time(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class _Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        shown: dict[str, Any] = {
            "time": _time(record),
            "level": record.levelname.lower(),
            "message": record.getMessage(),
            "source": record.name,
            "pid": record.process,
            **_fields(record),
        }
        if record.exc_info:
            shown["traceback"] = self.formatException(record.exc_info)
        return json.dumps(shown, default=str)


class _Text(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        words = [_time(record), record.levelname, one_line(record.getMessage())]
        fields = {"pid": record.process, **_fields(record)}
        words += [f"{name}={_value(str(value))}" for name, value in fields.items()]
        if record.exc_info:
            words[-1] += "\n" + self.formatException(record.exc_info)
        return " ".join(words)


def _value(text: str) -> str:
    return text if text and text.isprintable() and not set(text) & set(' "=') else json.dumps(text)


def one_line(text: str) -> str:
    """The text in one line without control characters: clients choose parts of messages, and must not forge lines or
    control a terminal."""
    return text if text.isprintable() else "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


class _Same(logging.Filter):
    """Drops a record that equals the last one of its source, for a minute."""

    def __init__(self) -> None:
        super().__init__()
        self._last: dict[str, tuple[object, float, int]] = {}
        """By source: the last record, when it was logged, and how often it was left out since then."""

    def filter(self, record: logging.LogRecord) -> bool:
        said = record.levelno, record.getMessage(), str(_fields(record))
        last, logged, missed = self._last.get(record.name, (None, 0.0, 0))
        if said == last and record.created < logged + EVERY_S:
            self._last[record.name] = last, logged, missed + 1
            return False
        self._last[record.name] = said, record.created, 0
        if said == last and missed:
            record.not_logged = missed
        return True


class Repeats:
    """Logs events that may occur with every request: the first of a kind at once, then at most one line in `every_s`
    seconds, with the number of events not logged."""

    def __init__(self, log: logging.Logger, now_ns: Callable[[], int], every_s: int = EVERY_S) -> None:
        self._log = log
        self._now_ns = now_ns
        self._every_ns = every_s * 1_000_000_000
        self._kinds: dict[Hashable, tuple[int, int]] = {}
        """By kind: when the next line is due, and the number of events not logged since the last."""

    def log(
        self, kind: Hashable, level: int, message: str, extra: Mapping[str, Any], error: BaseException | None = None
    ) -> None:
        now_ns = self._now_ns()
        due_ns, missed = self._kinds.get(kind, (now_ns, 0))
        if now_ns < due_ns:
            self._kinds[kind] = due_ns, missed + 1
            return
        if len(self._kinds) >= _KINDS:
            self._kinds.clear()
        self._kinds[kind] = now_ns + self._every_ns, 0
        more = {"not_logged": missed} if missed else {}
        self._log.log(level, "%s", message, extra={**extra, **more}, exc_info=error)


_KINDS = 1_000
