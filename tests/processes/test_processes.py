"""Three processes over TLS, killed and cut off under load: they converge, and no acknowledged write is lost.

One round in an ordinary run, ten where ATOLL_SOAK is set; `make regions` takes longer.
"""

from __future__ import annotations

import os
from pathlib import Path

from tests.processes import drill

ROUNDS = 10 if os.environ.get("ATOLL_SOAK") else 1
SEED = int(os.environ.get("ATOLL_SEED", "1"))


def test_three_regions_converge_after_kills_and_cuts(tmp_path: Path) -> None:
    drill.run(tmp_path, rounds=ROUNDS, seconds=12, seed=SEED, say=print)


def test_three_regions_of_two_workers_each_converge_after_kills(tmp_path: Path) -> None:
    """Any worker answers the questions of the other regions; only one of each region reads."""
    drill.run(tmp_path, rounds=ROUNDS, seconds=10, seed=SEED, say=print, workers=2)
