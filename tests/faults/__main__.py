"""`make faults`: many seeds of the simulation, and a summary of them."""

from __future__ import annotations

import logging
import os
import sys
import traceback
from collections import Counter

from tests.faults.simulation import MODES, simulate


def main() -> int:
    logging.disable()
    first, seeds = int(os.environ.get("FIRST", "0")), int(os.environ.get("SEEDS", "1000"))
    failed = 0
    for mode in os.environ.get("MODES", "").split() or MODES:
        happened: Counter[str] = Counter()
        for seed in range(first, first + seeds):
            try:
                happened += simulate(mode, seed)
            except Exception:
                failed += 1
                traceback.print_exc()
        print(f"{mode}: {seeds} seeds; {', '.join(f'{count} {what}' for what, count in sorted(happened.items()))}")
    print(f"{failed} failed")
    return failed > 0


sys.exit(main())
