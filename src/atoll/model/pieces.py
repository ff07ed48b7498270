"""Large JSON: estimate whether work on it takes long; parse and dump it in pieces.

The JSON parser holds the GIL, and takes a third of a second for 16 MB of small values. So this module finds large
containers, cuts them between their members, and gives the parser one piece at a time. It checks only what the parser of
pieces cannot see: matching brackets, and the characters around them. The writer gets its pieces likewise.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from heapq import merge
from itertools import islice
from typing import Any

import orjson

PIECE_BYTES = 32 * 1024
DEPTH = 1_000

LONG_BYTES = 256 * 1024
LONG_VALUES = 2_000
LONG_TEXT_BYTES = 4 * 1024**2
WHOLE_BYTES = 512 * 1024
"""Stored JSON with more bytes than this is parsed in pieces."""

_COUNTED_BYTES = 16 * 1024


def takes_long(text: bytes, times: int = 1) -> bool:
    """Whether parsing an item's JSON and reading its values `times` times takes milliseconds."""
    size = len(text) * times
    return size > LONG_BYTES and (size > LONG_TEXT_BYTES or has_many(text, LONG_VALUES // times))


def has_many(text: bytes, most: int) -> bool:
    """Whether the text has more commas than this."""
    commas = start = 0
    while start < len(text) and commas <= most:
        commas += text.count(b",", start, start + _COUNTED_BYTES)
        start += _COUNTED_BYTES
    return commas > most


def load(text: bytes) -> Any:
    """Parse valid JSON, in pieces, so that no other thread waits long."""
    return parse(text) if len(text) > WHOLE_BYTES else orjson.loads(text)


# All groups are atomic, since nothing needs backtracking, and bounded, so that each match is quick.
_STRING = rb'"(?>[^"\\]{0,100000})(?>(?:\\.(?>[^"\\]{0,1000})){0,1000})"'
_FLAT = rb'(?>(?:[^"\[\]{}]{1,1000}|' + _STRING + rb"){0,1000})"
# The part of a member before its comma, or before a container that holds other containers.
_PART = rb'(?>(?:[^"\[\]{},]{1,10000}|' + _STRING + rb"|\{" + _FLAT + rb"\}|\[" + _FLAT + rb"\]){0,100})"
_part = re.compile(_PART, re.DOTALL).match
_members = re.compile(rb"(?>(?:" + _PART + rb",){0,500})", re.DOTALL).match
_comma = re.compile(rb"[ \t\r\n]*,").match
_SPACE = b" \t\r\n"
_SPACE_BYTES = 1024**2
_MATCH_BYTES = 512 * 1024
"""How much one match sees. What it cannot see the end of is skipped in another way."""
_CLOSING = {b"{": b"}", b"[": b"]"}


@dataclass(slots=True)
class _Container:
    bracket: bytes
    start: int
    """The start of its content."""
    piece: int
    """The start of the part that is not parsed yet."""
    member: int
    """The start of the current member."""
    found: dict[str, Any] | list[Any] | None = None
    """The parsed members; None for a container that its parent's piece contains."""
    after_comma: bool = field(default=False)
    """Whether a comma precedes the piece, so that a member must follow."""


def parse(text: bytes) -> Any:
    """Parse an object or list, like `orjson.loads`, with its errors."""
    parser = _Parser(text)
    try:
        return parser.parse()
    except orjson.JSONDecodeError:
        parser.free()
        raise


DUMPED_VALUES = 2_000
_DUMPED_LEVELS = 200
"""The JSON writer refuses a value with a few more levels."""
_BATCH = 500
_END = object()


def dump(value: Any, *, is_large: bool) -> bytes:
    """The JSON of a value. Objects have their members in the order of their names."""
    if not is_large:
        try:
            return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
        except orjson.JSONEncodeError:  # too many levels
            pass
    return b"".join(_dumped(value))


def _dumped(value: Any) -> Iterator[bytes]:
    open_: list[Iterator[Any]] = [iter((value,))]
    while open_:
        part = next(open_[-1], _END)
        if part is _END:
            open_.pop()
        elif type(part) is bytes:
            yield part
        else:
            open_.append(_parts(part))


def _parts(value: Any) -> Iterator[Any]:
    """Texts, and the containers between them that are still to be written."""
    if _is_small(value):
        yield orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
        return
    is_object = isinstance(value, dict)
    comma = b"{" if is_object else b"["
    for batch in _batches(_sorted(value) if is_object else iter(value)):
        members = {name: value[name] for name in batch} if is_object else batch
        if _is_small(members):
            yield comma + orjson.dumps(members, option=orjson.OPT_SORT_KEYS)[1:-1]
            comma = b","
            continue
        for member in batch:
            yield comma + (orjson.dumps(member) + b":" if is_object else b"")
            yield value[member] if is_object else member
            comma = b","
    yield b"}" if is_object else b"]"


def _is_small(value: Any) -> bool:
    level, count = [value], 0
    for _ in range(_DUMPED_LEVELS):
        inner: list[Any] = []
        for one in level:
            if isinstance(one, dict | list):
                count += len(one)
                if count > DUMPED_VALUES:
                    return False
                inner += one.values() if isinstance(one, dict) else one
        if not inner:
            return True
        level = inner
    return False


def _sorted(container: dict[str, Any]) -> Iterator[str]:
    return merge(*[sorted(batch) for batch in _batches(iter(container))])


def _batches(members: Iterator[Any]) -> Iterator[list[Any]]:
    while batch := list(islice(members, _BATCH)):
        yield batch


def empty(container: dict[str, Any] | list[Any]) -> None:
    """Take all values out of it and the containers in it, one by one."""
    left: list[Any] = [container]
    while left:
        one = left.pop()
        take = one.popitem if isinstance(one, dict) else one.pop
        while one:
            member = take()
            if type(member) is tuple:
                member = member[1]
            if type(member) is dict or type(member) is list:
                left.append(member)


def _skip_space(text: bytes, at: int, end: int) -> int:
    """Where the first other byte is; `end` if there is none before."""
    while at < end:
        part = text[at : min(at + _SPACE_BYTES, end)]
        left = len(part.lstrip(_SPACE))
        at += len(part) - left
        if left:
            break
    return at


class _Parser:
    def __init__(self, text: bytes) -> None:
        self._text = text
        self._open: list[_Container] = []
        self._start = 0

    def free(self) -> None:
        """Free what was parsed value by value: freeing all of it at once takes as long as parsing it."""
        for one in self._open:
            if one.found is not None:
                empty(one.found)

    def parse(self) -> Any:
        text = self._text
        at = self._start = _skip_space(text, 0, len(text))
        if text[at : at + 1] not in _CLOSING:
            return orjson.loads(text)
        self._enter(at)
        at += 1
        while True:
            top = self._open[-1]
            at = self._skip_members(top, at)
            bracket = text[at : at + 1]
            if bracket == b'"':
                at = self._skip_string(at)
            elif bracket in _CLOSING:
                self._enter(at)
                at += 1
            elif bracket and bracket == _CLOSING[top.bracket]:
                if len(self._open) == 1:
                    return self._end(top, at)
                at = self._leave(at)
            else:
                raise self._malformed()

    def _malformed(self) -> orjson.JSONDecodeError:
        return orjson.JSONDecodeError("malformed", "", 0)

    def _enter(self, at: int) -> None:
        if len(self._open) == DEPTH:
            raise self._malformed()
        self._open.append(_Container(self._text[at : at + 1], at + 1, at + 1, at + 1))

    def _skip_members(self, top: _Container, at: int) -> int:
        """Go to the next bracket that is not skipped with its member."""
        text = self._text
        while True:
            found = _members(text, at, at + _MATCH_BYTES)
            assert found is not None
            if found.end() > at:
                at = found.end()
            else:
                end = self._skip_part(at)
                if end == at or text[end : end + 1] != b",":
                    return end
                at = end + 1
            top.member = at
            if at - top.piece > PIECE_BYTES:
                self._take(top, at - 1)
                top.piece, top.after_comma = at, True

    def _skip_part(self, at: int) -> int:
        """Skip a part that may be longer than what one match takes."""
        while True:
            found = _part(self._text, at, at + _MATCH_BYTES)
            assert found is not None
            if found.end() == at:
                return at
            at = found.end()

    def _skip_string(self, at: int) -> int:
        """Skip a string with many escapes, or without an end."""
        end = at
        while True:
            end = self._text.find(b'"', end + 1)
            if end < 0:
                raise self._malformed()
            before = end
            while self._text[before - 1] == ord("\\"):
                before -= 1
            if (end - before) % 2 == 0:
                return end + 1

    def _leave(self, at: int) -> int:
        inner = self._open[-1]
        if inner.found is None:
            self._open.pop()
            return at + 1
        value = self._finished(inner, at)
        outer = self._open[-2]
        if outer.member > outer.piece:
            self._take(outer, outer.member - 1)
        elif outer.found is not None and not outer.after_comma:
            raise self._malformed()  # two containers without a comma between them
        if outer.found is None:
            outer.found = {} if outer.bracket == b"{" else []
        before = self._text[outer.member : inner.start - 1]
        if isinstance(outer.found, dict):
            (key,) = orjson.loads(b"{" + before + b"null}")
            outer.found[key] = value
        elif _skip_space(before, 0, len(before)) < len(before):
            raise self._malformed()
        else:
            outer.found.append(value)
        self._open.pop()
        comma = _comma(self._text, at + 1)
        outer.after_comma = comma is not None
        outer.piece = outer.member = at + 1 if comma is None else comma.end()
        return outer.piece

    def _take(self, container: _Container, end: int) -> None:
        """Parse the piece of a container up to `end`."""
        bracket = container.bracket
        if not container.after_comma and container.found is not None:
            raise self._malformed()  # a member follows a container without a comma
        parsed = orjson.loads(bracket + self._text[container.piece : end] + _CLOSING[bracket])
        if not parsed:
            raise self._malformed()
        if container.found is None:
            container.found = parsed
        elif isinstance(container.found, dict):
            container.found.update(parsed)
        else:
            container.found += parsed

    def _finished(self, container: _Container, end: int) -> Any:
        if container.after_comma or _skip_space(self._text, container.piece, end) < end:
            self._take(container, end)
        return container.found

    def _end(self, top: _Container, at: int) -> Any:
        text = self._text
        if _skip_space(text, at + 1, len(text)) < len(text):
            raise self._malformed()
        if top.found is None:
            return orjson.loads(memoryview(text)[self._start : at + 1])
        return self._finished(top, at)
