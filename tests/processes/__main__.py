"""`make regions`: three processes under load for a while, killed and cut off repeatedly."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from tests.processes import drill

ROUND_S = 15


def main() -> None:
    seconds, seed = float(os.environ.get("DURATION", "300")), int(os.environ.get("SEED", "1"))
    with tempfile.TemporaryDirectory(prefix="regions-") as directory:
        rounds = max(1, round(seconds / ROUND_S))
        drill.run(Path(directory), rounds=rounds, seconds=ROUND_S, seed=seed, say=print)
    print(f"{rounds} rounds: all regions converged (repeat: make regions SEED={seed} DURATION={seconds:.0f})")


main()
