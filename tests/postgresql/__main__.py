"""Run the tests over a PostgreSQL server: `make test-postgresql`. Arguments replace the tests that run."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

from tests.postgresql import server

SUITES: tuple[tuple[dict[str, str], list[str]], ...] = (
    # The environment beside that of the server, and the tests.
    ({}, ["-n", "2", "tests/contract", "tests/postgresql"]),
    ({"ATOLL_TEST_ENGINE": "postgresql"}, ["-n", "2", "tests/api", "tests/database"]),
    ({"ATOLL_TEST_ENGINE": "postgresql"}, ["tests/crash", "tests/isolation/test_isolation.py"]),
)


def main() -> int:
    if not server.is_installed():
        server.install()
    directory = server.temporary()
    running = server.Server(directory / "server")
    try:
        running.create()
        running.start()
        environment = {**os.environ, "ATOLL_TEST_POSTGRESQL": running.url}
        suites = [({"ATOLL_TEST_ENGINE": "postgresql"}, sys.argv[1:])] if sys.argv[1:] else SUITES
        for more, arguments in suites:
            command = [sys.executable, "-m", "pytest", *arguments]
            code = subprocess.run(command, env={**environment, **more}, check=False).returncode
            if code:
                return code
        return 0
    finally:
        running.remove()
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
