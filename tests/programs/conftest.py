"""Programs as their users run them, against a server that runs as a process of its own.

Every program works in a region of its own, so that it meets only its own tables. What a program needs to know stands
in its environment, as it would for DynamoDB: nothing in it is changed for Atoll.

`fetched` holds those that need more than Python or take long: ATOLL_PROGRAMS=1 (`make programs`) runs them too.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from benchmarks import servers  # noqa: E402
from tests.programs.endpoint import Endpoint  # noqa: E402

collect_ignore = [] if os.environ.get("ATOLL_PROGRAMS") else ["fetched"]


@pytest.fixture(scope="session")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoint]:
    """Anybody may ask."""
    with servers.atoll(tmp_path_factory.mktemp("open") / "data", "--quotas", "off") as server:
        yield Endpoint(f"http://{servers.HOST}:{server.port}")


@pytest.fixture(scope="session")
def signed_endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoint]:
    """Signatures are verified; the credentials come from the command line."""
    data = tmp_path_factory.mktemp("signed") / "data"
    command = [sys.executable, "-m", "atoll.cli", "credentials", "create", "--data", str(data)]
    printed = subprocess.run(command, env=os.environ | {"PYTHONPATH": str(ROOT / "src")}, stdout=subprocess.PIPE,
                             text=True, check=True).stdout  # fmt: skip
    created = dict(line.split("=", 1) for line in printed.splitlines())
    with servers.atoll(data, "--auth", "sigv4", "--quotas", "off") as server:
        yield Endpoint(
            f"http://{servers.HOST}:{server.port}", created["AWS_ACCESS_KEY_ID"], created["AWS_SECRET_ACCESS_KEY"]
        )
