"""`make simulate`: many seeds of the simulation, and a summary of them."""

from __future__ import annotations

import logging
import os
import sys
import time
import traceback
from collections import Counter
from concurrent.futures import ProcessPoolExecutor

from tests.simulation.simulation import simulate

SHOWN = 100
"""Seeds between two lines of progress."""

Outcome = tuple[Counter[str], str | None]
"""What happened, and the failure."""


def run(seed: int) -> Outcome:
    logging.disable()
    try:
        return simulate(seed), None
    except Exception:
        return Counter(), traceback.format_exc()


def main() -> int:
    first, seeds = int(os.environ.get("FIRST", "0")), int(os.environ.get("SEEDS", "2000"))
    happened: Counter[str] = Counter()
    failed = []
    begun = time.monotonic()
    with ProcessPoolExecutor(int(os.environ.get("WORKERS", os.cpu_count() or 1))) as workers:
        for number, (counts, failure) in enumerate(workers.map(run, range(first, first + seeds), chunksize=5), 1):
            happened += counts
            if failure is not None:
                failed.append(first + number - 1)
                print(failure, flush=True)
            if number % SHOWN == 0:
                print(f"{number} seeds, {len(failed)} failed, {time.monotonic() - begun:.0f} s", flush=True)
    print(", ".join(f"{count} {what}" for what, count in sorted(happened.items())))
    print(f"{len(failed)} of {seeds} seeds failed: {' '.join(map(str, failed))}")
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
