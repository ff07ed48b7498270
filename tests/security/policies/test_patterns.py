"""Patterns that are long, against the plain meaning of `*` and `?`."""

from __future__ import annotations

import random
from functools import lru_cache

import pytest

from atoll.security.policies import patterns


def matches(pattern: str, text: str) -> bool:
    return bool(patterns.matcher(patterns.static(patterns.parse(pattern, variables=False)))(text))


def plainly(pattern: str, text: str) -> bool:
    @lru_cache(None)
    def fits(p: int, t: int) -> bool:
        if p == len(pattern):
            return t == len(text)
        if pattern[p] == "*":
            return fits(p + 1, t) or (t < len(text) and fits(p, t + 1))
        return t < len(text) and pattern[p] in ("?", text[t]) and fits(p + 1, t + 1)

    return fits(0, 0)


def test_every_way_to_match_means_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the limits at 0, all patterns are matched as long ones are."""
    monkeypatch.setattr(patterns, "_COMPILED", 0)
    monkeypatch.setattr(patterns, "_SEARCHED", 0)
    patterns.matcher.cache_clear()
    rng = random.Random(17)
    for _ in range(3_000):
        pattern = "".join(rng.choices("ab*?", k=rng.randrange(9)))
        text = "".join(rng.choices("ab", k=rng.randrange(10)))
        assert matches(pattern, text) == plainly(pattern, text), (pattern, text)
    patterns.matcher.cache_clear()


@pytest.mark.parametrize("pattern", ["a*" * 10_000 + "b", "*" + "?a" * 9_000 + "b*", "?" * 20_000, "*?" * 9_000 + "b"])
@pytest.mark.parametrize("length", [255, 65_535])
def test_a_pattern_of_20_kb_ends(pattern: str, length: int) -> None:
    assert not matches(pattern, "a" * length)
