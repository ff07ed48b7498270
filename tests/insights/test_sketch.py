"""The heaviest keys of a stream in bounded memory."""

from __future__ import annotations

from collections import Counter
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from atoll.insights.sketch import KEPT, Sketch, merged


def test_few_keys_are_counted_exactly() -> None:
    sketch = Sketch()
    for key, weight in ((b"a", 2), (b"b", 1), (b"a", 0.5)):
        sketch.add(key, weight)
    assert sketch.heaviest(5) == [(b"a", 2.5), (b"b", 1)]
    assert (sketch.total, sketch.samples, sketch.unique) == (3.5, 3, 2)


@given(seed=st.integers(0, 1_000_000), size=st.integers(1, 20_000), spread=st.integers(1, 5_000))
def test_weights_are_wrong_by_at_most_the_total_divided_by_the_size(seed: int, size: int, spread: int) -> None:
    chance, sketch, exact = Random(seed), Sketch(), Counter[bytes]()
    for _ in range(size):
        key = b"%d" % int(chance.paretovariate(1) * chance.randint(1, spread))
        sketch.add(key, 1)
        exact[key] += 1
    assert len(sketch.weights) < 2 * KEPT
    for key, weight in sketch.weights.items():
        assert exact[key] <= weight <= exact[key] + size / KEPT
    for key, count in exact.items():
        if count > size / KEPT:
            assert key in sketch.weights


def test_the_number_of_keys_is_estimated_once_some_were_dropped() -> None:
    sketch = Sketch()
    for number in range(5_000):
        sketch.add(b"key %d" % number, 1)
    assert 4_500 < sketch.unique < 5_500


def test_lists_are_added_up() -> None:
    assert merged([[("a", 1), ("b", 5)], [("a", 7)], []], 1) == [("a", 8)]
