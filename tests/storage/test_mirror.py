from __future__ import annotations

import asyncio

import pytest

from atoll.storage.memory import MemoryEngine
from atoll.storage.mirror import Different, MirrorEngine


@pytest.fixture
def mirror_of_two_that_differ():
    one, other = MemoryEngine(), MemoryEngine()
    asyncio.run(one.transact(lambda tx: (tx.put(b"k", b"1"), tx.add_number(b"n", 1))))
    asyncio.run(other.transact(lambda tx: tx.put(b"k", b"2")))
    return MirrorEngine(one, other)


@pytest.mark.parametrize(
    "fn",
    [
        lambda s: s.get(b"k") and None,
        lambda s: s.get_many([b"x", b"k"]) and None,
        lambda s: [None for _ in s.scan(b"", b"z")],
        lambda s: s.number(b"n") and None,
    ],
)
def test_difference_in_a_read_is_an_error_though_the_results_are_equal(mirror_of_two_that_differ, fn):
    with pytest.raises(Different):
        asyncio.run(mirror_of_two_that_differ.read(fn))
    with pytest.raises(Different):
        asyncio.run(mirror_of_two_that_differ.transact(fn))


def test_difference_in_outcome_is_an_error():
    outcomes = iter([1, 2])
    with pytest.raises(Different):
        asyncio.run(MirrorEngine(MemoryEngine(), MemoryEngine()).read(lambda s: next(outcomes)))


def test_error_of_both_is_passed_on():
    def fail(tx):
        raise KeyError("both")

    with pytest.raises(KeyError, match="both"):
        asyncio.run(MirrorEngine(MemoryEngine(), MemoryEngine()).transact(fail))
