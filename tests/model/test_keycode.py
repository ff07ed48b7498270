from base64 import b64encode
from collections.abc import Callable
from decimal import Decimal
from hashlib import md5
from itertools import pairwise

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from atoll.model import keycode, numbers

texts = st.text(st.characters(exclude_categories=["Cs"])) | st.text("\x00\x01\x02a", max_size=6)
data = st.binary(max_size=12) | st.lists(st.sampled_from([0, 1, 2, 0xFF]), max_size=6).map(bytes)
binaries = data.map(lambda raw: b64encode(raw).decode())


def _number(sign: str, digits: int, exponent: int) -> str:
    return numbers.canonical(f"{sign}{str(digits)[0]}.{str(digits)[1:]}E{exponent}")


any_number = (
    st.builds(_number, st.sampled_from(["", "-"]), st.integers(1, 10**38 - 1), st.integers(-130, 125))
    | st.builds(_number, st.sampled_from(["", "-"]), st.integers(1, 200), st.integers(-3, 3))
    | st.integers(-300, 300).map(str)
    | st.sampled_from([_number(s, d, e) for s in ("", "-") for d in (1, 10**38 - 1) for e in (-130, 124, 125)])
)

# For each type: values, and what they are in Python's own order.
KINDS: dict[str, tuple[st.SearchStrategy[str], Callable[[str], object]]] = {
    "S": (texts, str.encode),
    "N": (any_number, Decimal),
    "B": (binaries, keycode.raw_b),
}
tuples = st.text("SNB", min_size=1, max_size=3).flatmap(
    lambda kinds: st.tuples(
        st.just(kinds),
        st.tuples(*(KINDS[kind][0] for kind in kinds)),
        st.tuples(*(KINDS[kind][0] for kind in kinds)),
    )
)


def encode(kinds: str, contents: tuple[str, ...]) -> bytes:
    return b"".join(keycode.encoder(kind)(content) for kind, content in zip(kinds, contents, strict=True))


def ordered(kinds: str, contents: tuple[str, ...]) -> tuple[object, ...]:
    return tuple(KINDS[kind][1](content) for kind, content in zip(kinds, contents, strict=True))


@settings(max_examples=600)
@given(tuples)
def test_keys_lie_in_the_order_of_their_values(case: tuple[str, tuple[str, ...], tuple[str, ...]]) -> None:
    kinds, a, b = case
    left, right = encode(kinds, a), encode(kinds, b)
    assert (left < right) == (ordered(kinds, a) < ordered(kinds, b))
    assert (left == right) == (ordered(kinds, a) == ordered(kinds, b))


@given(tuples)
def test_no_key_is_the_beginning_of_another(case: tuple[str, tuple[str, ...], tuple[str, ...]]) -> None:
    kinds, a, b = case
    left, right = encode(kinds, a), encode(kinds, b)
    assert left == right or not right.startswith(left)


@given(tuples, st.binary(max_size=3), st.binary(max_size=3))
def test_decoding_gives_the_values_back(
    case: tuple[str, tuple[str, ...], tuple[str, ...]], before: bytes, after: bytes
) -> None:
    kinds, contents, _ = case
    key = encode(kinds, contents)
    assert keycode.decode(before + key + after, kinds, len(before)) == (list(contents), len(before) + len(key))


def test_numbers_over_their_whole_range_lie_in_order() -> None:
    positive = [f"{d}E{e}" for e in range(-130, 126) for d in ("1", "1.01", "9.9", "9.99")]
    line = [f"-{text}" for text in reversed(positive)] + ["0"] + positive
    keys = [keycode.encode_n(numbers.canonical(text)) for text in line]
    assert all(a < b for a, b in pairwise(keys))


@given(texts, texts)
def test_strings_with_a_prefix_are_one_range(text: str, prefix: str) -> None:
    start = b"t" + keycode.prefix_encoder("S")(prefix)
    key = b"t" + keycode.encode_s(text)
    assert (start <= key < keycode.successor(start)) == text.startswith(prefix)


@given(data, data)
def test_binaries_with_a_prefix_are_one_range(raw: bytes, prefix: bytes) -> None:
    start = b"t" + keycode.prefix_encoder("B")(b64encode(prefix).decode())
    key = b"t" + keycode.encode_b(b64encode(raw).decode())
    assert (start <= key < keycode.successor(start)) == raw.startswith(prefix)


@given(data, data)
def test_successor_bounds_all_keys_with_a_prefix(prefix: bytes, rest: bytes) -> None:
    assume(prefix.strip(b"\xff"))
    assert prefix + rest < keycode.successor(prefix)
    assert keycode.successor(prefix) > prefix + b"\xff" * 20


@pytest.mark.parametrize(
    ("number", "raw"),
    [
        ("0", "80"),
        ("1", "c102"),
        ("10", "c10b"),
        ("100", "c202"),
        ("-1", "3e6466"),
        ("123.45", "c202182e"),
        ("0.05", "c006"),
        ("-" + "9" * 38, "2c" + "02" * 19 + "66"),
        ("-" + "9" * 37 + ".9", "2c5c" + "02" * 18 + "0b"),
    ],
)
def test_numbers_have_the_binary_form_of_the_service(number: str, raw: str) -> None:
    assert keycode.raw_n(number).hex() == raw


def test_partition_hash_is_the_one_of_the_service() -> None:
    assert keycode.partition_hash(b"1") == md5(b"Outliers1").digest()[:8]
    assert keycode.partition_hash(b"1").hex().startswith("48e6ac")
