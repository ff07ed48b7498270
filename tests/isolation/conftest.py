"""Makes `isolation.*` and the servers and the thin client of `benchmarks` importable."""

from __future__ import annotations

import sys
from pathlib import Path

for folder in (Path(__file__).parents[2], Path(__file__).parents[1]):
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
