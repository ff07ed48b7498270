from __future__ import annotations

import json
from random import Random
from typing import Any

import orjson
import pytest

from atoll.model import pieces


@pytest.fixture(autouse=True, params=[pieces._MATCH_BYTES, 7])
def _small_pieces(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    monkeypatch.setattr(pieces, "PIECE_BYTES", 12)
    monkeypatch.setattr(pieces, "_MATCH_BYTES", request.param)
    monkeypatch.setattr(pieces, "_SPACE_BYTES", 2)
    monkeypatch.setattr(pieces, "DUMPED_VALUES", 4)
    monkeypatch.setattr(pieces, "_DUMPED_LEVELS", 3)
    monkeypatch.setattr(pieces, "_BATCH", 3)


def _outcome(parse: Any, text: bytes) -> Any:
    try:
        return json.dumps(parse(text))  # with the order of members
    except orjson.JSONDecodeError:
        return "malformed"


def _value(random: Random, depth: int) -> Any:
    kind = random.choice("sslnd" if depth else "sn")
    if kind == "s":
        return "".join(random.choices('a,:"\\[]{}é\U0001f600\n ', k=random.randint(0, 8)))
    if kind == "n":
        return random.choice([0, -1.5, 1e30, True, None, 12345678])
    count = random.randint(0, 5)
    if kind == "l":
        return [_value(random, depth - 1) for _ in range(count)]
    return {_value(random, 0) if random.random() < 0.2 else f"k{n}": _value(random, depth - 1) for n in range(count)}


@pytest.mark.parametrize("seed", range(20))
def test_pieces_are_parsed_as_the_whole(seed: int) -> None:
    random = Random(seed)
    for _ in range(100):
        members = [_value(random, 4) for _ in range(6)]
        value = random.choice([members, dict(enumerate(members))])
        text = json.dumps(value, ensure_ascii=random.random() < 0.5, indent=random.choice([None, 1])).encode()
        assert _outcome(pieces.parse, text) == _outcome(orjson.loads, text) != "malformed"


@pytest.mark.parametrize("seed", range(20))
def test_malformed_text_is_malformed_in_pieces(seed: int) -> None:
    random = Random(seed)
    refused = 0
    for _ in range(300):
        text = bytearray(json.dumps([_value(random, 3) for _ in range(4)]).encode())
        for _ in range(random.randint(1, 2)):
            at = random.randrange(len(text) + 1)
            text[at : at + random.randint(0, 2)] = random.choice(
                [b"", b",", b"]", b"[", b"{", b"}", b'"', b":", b"1", b" ", b"\\"]
            )
        whole = _outcome(orjson.loads, bytes(text))
        refused += whole == "malformed"
        assert _outcome(pieces.parse, bytes(text)) == whole, bytes(text)
    assert refused > 50


_LONG = b"[1,2,3,4,5,6,7,8,9]"
_QUOTES = b'\\"' * 5_000


@pytest.mark.parametrize(
    "text",
    [
        *(b"", b" ", b"1", b'"a,b"', b"[]", b" {} ", b"{" + _LONG + b"}", b"[" + _LONG + b"1]", b"[1" + _LONG + b"]"),
        *(b"[1,2,3,4,5,6,7,8,9,]", b"[,1,2,3,4,5,6,7,8,9]", _LONG[:-1], _LONG + b"]", _LONG[:-1] + b"}", _LONG + b" 1"),
        *(
            b"[" + _LONG + _LONG + b"]",
            b"[" + _LONG + b" , " + _LONG + b" ]",
            b"[" + _LONG + b",]",
            b" " + _LONG + b" ",
        ),
        *(b'{"a":' + _LONG + b",}", b'{"a":1"b":' + _LONG + b"}", b'{"a" : ' + _LONG + b"}", b'{"a",' + _LONG + b"}"),
        *(b'{"a":1,"a":' + _LONG + b',"b":1,"a":2}', b'{"a":1,:' + _LONG + b"}", b'{"a":"b":' + _LONG + b"}"),
        *(b'["' + _QUOTES + b'",1,2,3,4,5,6,7]', b'["' + _QUOTES, b'["' + _QUOTES + b"\\"),
        *(b"[" * 1_100 + b"1" + b"]" * 1_100, b"\xef\xbb\xbf" + _LONG, b"[1,2,3,4,5,6,7,\xff]", b"[1,2,3,4,5,\x0c6,7]"),
    ],
)
def test_brackets_and_commas_around_containers(text: bytes) -> None:
    assert _outcome(pieces.parse, text) == _outcome(orjson.loads, text)


@pytest.mark.parametrize("seed", range(20))
def test_pieces_are_dumped_as_the_whole(seed: int) -> None:
    random = Random(seed)
    for _ in range(100):
        value = orjson.loads(json.dumps([_value(random, 4) for _ in range(6)]))
        assert pieces.dump(value, is_large=True) == orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


@pytest.mark.parametrize("is_large", [False, True])
def test_values_of_many_levels_are_dumped(is_large: bool) -> None:
    """The JSON writer takes 254 levels, the parser 1,024: a transaction with a token and an unknown member of 300
    levels got the internal error."""
    text = b'[{"a":' * 490 + b"1" + b"}]" * 490
    assert pieces.dump(orjson.loads(text), is_large=is_large) == text
