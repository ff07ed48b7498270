"""The servers (Atoll in both error styles, DynamoDB Local), and the summary of what was compared.

`DIFFERENTIAL_COUNT` is the number of requests, `DIFFERENTIAL_SEED` another number than 0 for other requests than the
usual ones, `DIFFERENTIAL_FAMILIES=partiql,legacy` the families to compare. `DIFFERENTIAL_SURVEY=1` collects all
differences by kind instead of stopping at the first. `DIFFERENTIAL_CANDIDATE` puts another server in Atoll's place
(`dynamodb-local` or `dynalite`: a check of the harness itself).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from benchmarks import servers  # noqa: E402
from tests.differential.pair import Pair  # noqa: E402

SURVEY = os.environ.get("DIFFERENTIAL_SURVEY", "") not in ("", "0")

_pairs: list[Pair] = []


CANDIDATE = os.environ.get("DIFFERENTIAL_CANDIDATE", "atoll")


def candidate(name: str) -> servers.Server:
    if name == "atoll":
        return servers.atoll(None, "--error-style", "classic")  # DynamoDB Local has the texts from before 2026
    return {"dynamodb-local": servers.dynamodb_local, "dynalite": servers.dynalite}[name](None)


@pytest.fixture(scope="session")
def pair() -> Iterator[Pair]:
    with ExitStack() as running:
        oracle, atoll = (
            running.enter_context(server) for server in (servers.dynamodb_local(None), candidate(CANDIDATE))
        )
        current = running.enter_context(servers.atoll(None)).port if CANDIDATE == "atoll" else None
        found = Pair(atoll.port, oracle.port, current=current, survey=SURVEY)
        _pairs.append(found)
        yield found
        found.close()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for pair in _pairs:
        terminalreporter.write_line(pair.summary())
