"""`make simulate`: many seeds of the simulation, and what happened in them."""

from __future__ import annotations

import logging
import os
import sys
import time
import traceback
from collections import Counter

from tests.simulation.simulation import simulate

SHOWN = 100
"""Seeds between two lines of progress."""


def main() -> int:
    logging.disable()
    first, seeds = int(os.environ.get("FIRST", "0")), int(os.environ.get("SEEDS", "2000"))
    happened: Counter[str] = Counter()
    failed = []
    begun = time.monotonic()
    for seed in range(first, first + seeds):
        try:
            happened += simulate(seed)
        except Exception:
            failed.append(seed)
            traceback.print_exc()
        if (seed + 1 - first) % SHOWN == 0:
            print(f"{seed + 1 - first} seeds, {len(failed)} failed, {time.monotonic() - begun:.0f} s", flush=True)
    print(", ".join(f"{count} {what}" for what, count in sorted(happened.items())))
    print(f"{len(failed)} of {seeds} seeds failed: {' '.join(map(str, failed))}")
    return bool(failed)


sys.exit(main())
