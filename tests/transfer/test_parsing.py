"""Objects of imports are split into lines, however their bytes arrive."""

from __future__ import annotations

import gzip
from random import Random

import pytest

from atoll.transfer.compression import EXPANSIONS, OUTPUT_BYTES
from atoll.transfer.parsing import Lines

MOST = 7


def _lines(data: bytes, pieces: list[bytes]) -> list[bytes | None]:
    lines = Lines(MOST)
    assert b"".join(pieces) == data
    return [line for piece in pieces for line in lines.feed(piece)] + lines.finish()


@pytest.mark.parametrize("seed", range(20))
def test_lines_do_not_depend_on_pieces(seed: int) -> None:
    random = Random(seed)
    for _ in range(100):
        data = bytes(random.choices(b"ab\n\n", weights=[5, 3, 1, 1], k=random.randint(0, 60)))
        whole = data.split(b"\n")
        expected = [line if len(line) <= MOST else None for line in whole[: len(whole) if whole[-1] else -1]]
        cuts = sorted(random.choices(range(len(data) + 1), k=random.randint(0, 4)))
        pieces = [data[start:end] for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True)]
        assert _lines(data, pieces) == expected


@pytest.mark.parametrize("size", [1, 7, 100_000])
def test_members_do_not_depend_on_pieces(size: int) -> None:
    members = [gzip.compress(text) for text in (b"", b"one\n", b"", b"", b"two" * 100_000)]
    data = b"\0\0".join(members) + b"\0"
    expansion = EXPANSIONS["GZIP"]()
    found = [part for start in range(0, len(data), size) for part in expansion.feed(data[start : start + size])]
    expansion.finish()
    assert b"".join(found) == b"one\n" + b"two" * 100_000
    assert max(map(len, found)) <= OUTPUT_BYTES
