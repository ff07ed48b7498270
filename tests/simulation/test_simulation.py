"""Replicas converge and lose nothing, whatever happens to messages, processes, clocks and members; and the simulation
finds replication that does not keep its rules."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.simulation.bugs import BUGS
from tests.simulation.model import Violation
from tests.simulation.simulation import simulate

SEEDS = 20
MOST_SEEDS = 200
"""Among so many some find a bug that was planted."""

FIRST: dict[str, int] = {}
"""Only saves time: a seed that finds the bug, where the first one is far."""


@pytest.mark.parametrize("first", range(0, SEEDS, 5))
def test_replicas_converge_and_lose_nothing(first: int) -> None:
    for seed in range(first, first + 5):
        simulate(seed)


def test_a_seed_repeats_itself() -> None:
    assert simulate(3) == simulate(3)


@pytest.mark.parametrize("plant", BUGS, ids=lambda plant: plant.__name__)
def test_a_planted_bug_is_found(plant: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch) -> None:
    plant(monkeypatch)
    found = None
    for seed in range(FIRST.get(plant.__name__, 0), MOST_SEEDS):
        try:
            simulate(seed)
        except Violation as violation:
            found = violation
            break
    assert found is not None
