"""Numbers as 32-bit floats, and back."""

from __future__ import annotations

import struct
from typing import Any

import pytest

from atoll.database.vectors import floats


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("0.10", "0.1"), ("16777217", "16777216"), ("-0.5", "-0.5"), ("3.4028235E+38", "340282350" + "0" * 30),
        ("1E-45", "0." + "0" * 44 + "1"), ("-1E-60", "0"), ("1E-125", "0"), ("0", "0"), ("0.30000001192092896", "0.3"),
    ],
)  # fmt: skip
def test_the_shortest_decimal_that_gives_the_float(text: str, shown: str) -> None:
    packed = floats.pack({"L": [{"N": text}]}, 1)
    assert packed is not None
    assert floats.shown(packed) == {"L": [{"N": shown}]}
    assert struct.pack("<f", float(shown)) == packed


def test_values_that_are_no_vector_of_32_bit_floats() -> None:
    lists: list[Any] = [[], [{"S": "1"}], [{"N": "3.5E+38"}], [{"N": "-1E+100"}], [{"N": "1"}, {"N": "2"}]]
    assert floats.pack(None, 1) is None
    assert floats.pack({"S": "x"}, 1) is None
    assert [floats.pack({"L": members}, 1) for members in lists] == [None] * 5
