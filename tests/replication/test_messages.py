from __future__ import annotations

import random

import pytest

from atoll.replication.messages import MESSAGE_BYTES, Malformed, Message, TooLarge, dump, load


@pytest.mark.parametrize(
    "message",
    [
        Message("changes", {}),
        Message("changes", {"table": "Orders", "after": [1, None, "é"]}, [b"", b"{}", bytes(range(256))]),
        Message("", {"": {}}, [b"x" * 100_000]),
    ],
)
def test_a_message_survives_its_frame(message: Message) -> None:
    found = load(dump(message))
    assert (found.name, found.head, list(found.parts)) == (message.name, message.head, list(message.parts))


def test_a_frame_is_as_documented() -> None:
    assert dump(Message("n", {"a": 1}, [b"xy"])) == b'\0\0\0\x0d["n",{"a":1}]\0\0\0\2xy'


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\0",
        b"\0\0\0\5[]",
        b"\xff\xff\xff\xff",
        b"<html>an answer of something else</html>",
        b"\0\0\0\2[]",
        b'\0\0\0\5["n"]',
        b"\0\0\0\6[1,{}]",
        b'\0\0\0\x08["n",[]]',
        b'\0\0\0\x08["n",{]]',
        b'\0\0\0\x08["n",{}]\0\0\0\1',
        b'\0\0\0\x08["n",{}]\0\0',
        bytes(MESSAGE_BYTES + 1),
    ],
)
def test_nonsense_is_malformed(body: bytes) -> None:
    with pytest.raises(Malformed):
        load(body)


def framed(head: bytes, *parts: bytes) -> bytes:
    return b"".join(len(one).to_bytes(4) + one for one in (head, *parts))


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (framed(b'["n",{}]', *[b""] * 5_000), "more than 4000 parts"),
        (framed(b'["n",{"a":[' + b"[]," * 100_000 + b"1]}]"), "too many values"),
        (framed(b'["n",{"a":' + b",".join([b"[" * 500 + b"]" * 500] * 1_000) + b"]}]"), "too many values"),
        (framed(b'["n",{"a":"' + b"a" * 3_000_000 + b'"}]'), "too many"),
        (framed(b'["n",{"a":' + b"[" * 2_000 + b"]" * 2_000 + b"}]"), "is not JSON"),
    ],
)
def test_a_frame_that_takes_long_to_read_is_malformed(body: bytes, reason: str) -> None:
    """16 MB of nested lists as a head stopped the server for a minute; four million empty parts, for a second."""
    with pytest.raises(Malformed, match=reason):
        load(body)


def test_a_damaged_frame_is_malformed_or_another_message() -> None:
    """No damage raises anything else."""
    seeded = random.Random(7)
    frame = dump(Message("changes", {"table": "Orders", "n": 5}, [b"one", b"two"]))
    for _ in range(2_000):
        damaged = bytearray(frame)
        damaged[seeded.randrange(len(frame))] = seeded.randrange(256)
        cut = bytes(damaged[: seeded.randrange(len(frame) + 1)]) if seeded.random() < 0.5 else bytes(damaged)
        try:
            assert isinstance(load(cut), Message)
        except Malformed as error:
            assert str(error)


def test_a_message_of_more_than_a_frame_is_refused() -> None:
    part = bytes(MESSAGE_BYTES // 2)
    with pytest.raises(TooLarge, match="changes"):
        dump(Message("changes", {}, [part, part]))
    assert len(dump(Message("changes", {}, [part]))) < MESSAGE_BYTES
