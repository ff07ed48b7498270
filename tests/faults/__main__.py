from __future__ import annotations

import sys
import tempfile
import traceback
from pathlib import Path

from tests.faults.simulation import MODES, Simulation


def main() -> None:
    seeds = range(int(sys.argv[1]), int(sys.argv[2]))
    bad = 0
    for mode in (sys.argv[3:] or MODES):
        for seed in seeds:
            with tempfile.TemporaryDirectory() as directory:
                try:
                    Simulation(seed, mode, Path(directory)).run()
                except Exception as e:
                    bad += 1
                    print(mode, seed, type(e).__name__, str(e)[:300])
                    if len(seeds) == 1: traceback.print_exc()
    print(bad, "failures")


main()
