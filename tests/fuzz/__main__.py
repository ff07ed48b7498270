"""`make fuzz`: many odd requests to a server in this process. None may end with status 500 or take long.

`REQUESTS` is their number, `SEED` chooses them, and after `SECONDS` it ends. They are those of `tests/differential`,
the same ones with some of their bytes changed, and requests to every operation of all services (`services`). The time
of a request is the CPU time of the event loop's thread, which other programs do not change.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys

from tests.fuzz.fuzzing import fuzz


def main() -> int:
    logging.disable()
    asked = os.environ
    requests, seed = int(asked.get("REQUESTS", "20000")), int(asked.get("SEED", "0"))
    report = asyncio.run(fuzz(requests, seed, float(asked.get("SECONDS", "inf"))))
    print(report)
    return 0 if report.is_clean else 1


if __name__ == "__main__":
    sys.exit(main())
