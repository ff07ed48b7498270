"""Run the console's tests in a real browser: `make browser`. Installs chromium where apt-get can, which needs root."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

PROGRAMS = {"chromium": "chromium", "chromedriver": "chromium-driver"}


def main() -> int:
    missing = [package for program, package in PROGRAMS.items() if shutil.which(program) is None]
    if missing:
        for command in (["apt-get", "update", "-q"], ["apt-get", "install", "-q", "-y", *missing]):
            subprocess.run(command, check=True)
    command = [sys.executable, "-m", "pytest", str(Path(__file__).parent), *sys.argv[1:]]
    return subprocess.run(command, env={**os.environ, "ATOLL_BROWSER": "1"}, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
