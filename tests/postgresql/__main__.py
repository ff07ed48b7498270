"""Run the tests over a PostgreSQL server, and some over one with pgvector: `make test-postgresql`.

Arguments replace the tests that run; after `--pgvector` they run over the second server.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.postgresql import server

Suites = tuple[tuple[dict[str, str], list[str]], ...]
"""The environment beside that of the server, and the tests."""

OVER_POSTGRESQL = {"ATOLL_TEST_ENGINE": "postgresql"}
OVER_PGVECTOR = {**OVER_POSTGRESQL, "ATOLL_TEST_PGVECTOR": "1"}
SUITES: Suites = (
    ({}, ["-n", "2", "tests/contract", "tests/postgresql"]),
    (OVER_POSTGRESQL, ["-n", "2", "tests/api", "tests/database"]),
    (OVER_POSTGRESQL, ["tests/crash", "tests/isolation/test_isolation.py"]),
)
PGVECTOR_SUITES: Suites = ((OVER_PGVECTOR, ["-n", "2", "tests/postgresql/pgvector"]),)


def main() -> int:
    directory = server.temporary()
    try:
        match sys.argv[1:]:
            case []:
                return _over_postgresql(directory, SUITES) or _over_pgvector(directory, PGVECTOR_SUITES)
            case ["--pgvector", *arguments]:
                return _over_pgvector(directory, ((OVER_PGVECTOR, arguments),))
            case arguments:
                return _over_postgresql(directory, ((OVER_POSTGRESQL, arguments),))
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _over_postgresql(directory: Path, suites: Suites) -> int:
    if not server.is_installed():
        server.install()
    return _run(server.Server(directory / "server"), suites)


def _over_pgvector(directory: Path, suites: Suites) -> int:
    programs = server.with_pgvector(directory / "programs")
    return _run(server.Server(directory / "server", programs=programs), suites)


def _run(running: server.Server, suites: Suites) -> int:
    try:
        running.create()
        running.start()
        environment = {**os.environ, "ATOLL_TEST_POSTGRESQL": running.url}
        for more, arguments in suites:
            command = [sys.executable, "-m", "pytest", *arguments]
            code = subprocess.run(command, env={**environment, **more}, check=False).returncode
            if code:
                return code
        return 0
    finally:
        running.remove()


if __name__ == "__main__":
    sys.exit(main())
