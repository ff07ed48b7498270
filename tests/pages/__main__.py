"""`python -m tests.pages`: fetch what the pages use, then run them where every port is free."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

from tests.programs import fetching


def main() -> None:
    fetching.aws()
    pytest = [sys.executable, "-m", "pytest", "tests/pages", *sys.argv[1:]]
    alone = ["unshare", "--map-root-user", "--net", "sh", "-c", 'ip link set lo up && exec "$@"', "sh"]
    if (
        shutil.which("unshare")
        and shutil.which("ip")
        and subprocess.run([*alone, "true"], capture_output=True).returncode == 0
    ):
        pytest = [*alone, *pytest]
    sys.exit(subprocess.run(pytest, env=os.environ | {"ATOLL_PAGES": "1"}).returncode)


if __name__ == "__main__":
    main()
