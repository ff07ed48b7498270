"""The form of messages between regions, questions and answers: a name, a JSON object and raw bytes. Pure.

    frame  = length, head, (length, part)*     lengths are 4 bytes, big-endian
    head   = the JSON array [name, head]

A part is passed on unchanged; an item's stored JSON, for example, is not parsed on the way.
"""

from __future__ import annotations

from collections.abc import Sequence
from struct import Struct
from typing import Any, NamedTuple

import orjson

MESSAGE_BYTES = 16 * 1024 * 1024
"""The most bytes of a frame."""
HEAD_BYTES = 2 * 1024 * 1024
HEAD_VALUES = 100_000
"""About the most values of a head: its commas and opening brackets. Reading more would hold up the event loop."""
PARTS = 4_000
SHOWN = 1_000
"""The characters of another node's text that are shown."""

_LENGTH = Struct(">I")


class Malformed(Exception):
    """The bytes are not the frame of a message."""


class TooLarge(Exception):
    """The message has more bytes than a frame may have."""


class Message(NamedTuple):
    name: str
    head: dict[str, Any]
    parts: Sequence[bytes] = ()


def dump(message: Message) -> bytes:
    pieces = [orjson.dumps([message.name, message.head]), *message.parts]
    size = sum(map(len, pieces)) + _LENGTH.size * len(pieces)
    if size > MESSAGE_BYTES:
        raise TooLarge(f"the message {message.name} has {size} bytes; at most {MESSAGE_BYTES} are sent at a time")
    return b"".join([piece for one in pieces for piece in (_LENGTH.pack(len(one)), one)])


def load(body: bytes) -> Message:
    """The message of a frame. Raises `Malformed`."""
    if len(body) > MESSAGE_BYTES:
        raise Malformed(f"a frame of {len(body)} bytes; at most {MESSAGE_BYTES} are read")
    head, *parts = _pieces(body)
    match parsed("head", head):
        case [str(name), dict(members)]:
            return Message(name, members, parts)
    raise Malformed("the head is not a name and an object")


def parsed(what: str, json: bytes) -> Any:
    """JSON that another node sent: a head, or a definition in a part. Raises `Malformed`, without parsing JSON that is
    too long."""
    if len(json) > HEAD_BYTES or sum(map(json.count, (b",", b"[", b"{"))) > HEAD_VALUES:
        raise Malformed(f"the {what} has {len(json)} bytes: too many, or too many values")
    try:
        return orjson.loads(json)
    except ValueError as error:
        raise Malformed(f"the {what} is not JSON: {error}") from None


def shortened(text: str) -> str:
    """A text of another node: it may have any length."""
    return text if len(text) <= SHOWN else text[:SHOWN] + "..."


def _pieces(body: bytes) -> list[bytes]:
    pieces: list[bytes] = []
    at, end = 0, len(body)
    while at < end or not pieces:
        if len(pieces) > PARTS:
            raise Malformed(f"the frame has more than {PARTS} parts")
        start = at + _LENGTH.size
        if start > end:
            raise Malformed(f"the frame ends after {end} bytes, within a length")
        at = start + _LENGTH.unpack_from(body, start - _LENGTH.size)[0]
        if at > end:
            raise Malformed(f"the frame ends after {end} bytes; a part goes up to {at}")
        pieces.append(body[start:at])
    return pieces
