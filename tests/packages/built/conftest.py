"""The source distribution and the wheel, built once, and an environment for each Python of this machine.

uv makes the environments: it links files from its cache, so the second one takes a second.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
DIST = ROOT / "dist"
UV = shutil.which("uv", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}") or "uv"
VERSIONS = ("3.11", "3.12", "3.13", "3.14")


def clean_environment() -> dict[str, str]:
    """Neither this working tree nor options of Atoll and pytest reach the installed program."""
    left_out = ("ATOLL_", "AWS_", "PYTHON", "PYTEST", "VIRTUAL_ENV", "OTEL_")
    return {name: value for name, value in os.environ.items() if not name.startswith(left_out)}


def run(*command: str, cwd: Path | None = None) -> str:
    return subprocess.run(
        command, cwd=cwd, env=clean_environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        check=True, timeout=300,
    ).stdout  # fmt: skip


def interpreters() -> dict[str, str]:
    """The Pythons of this machine that Atoll supports, by version: those on the path, and those of pyenv."""
    found = {}
    for version in VERSIONS:
        name = f"python{version}"
        of_pyenv = sorted(Path.home().glob(f".pyenv/versions/{version}.*/bin/{name}"))
        for candidate in [shutil.which(name), *map(str, of_pyenv)]:
            # A shim of pyenv may lead to no Python.
            if candidate and subprocess.run([candidate, "-c", ""], stderr=subprocess.DEVNULL).returncode == 0:
                found[version] = candidate
                break
    return found


@pytest.fixture(scope="session")
def dist() -> Path:
    """The directory with the packages of this working tree."""
    shutil.rmtree(DIST, ignore_errors=True)
    run(sys.executable, "-m", "build", "--installer", "uv", "--outdir", str(DIST), str(ROOT))
    return DIST


@pytest.fixture(scope="session")
def wheel(dist: Path) -> Path:
    (found,) = dist.glob("*.whl")
    return found


@pytest.fixture(scope="session")
def sdist(dist: Path) -> Path:
    (found,) = dist.glob("*.tar.gz")
    return found


@pytest.fixture(scope="session", params=interpreters().items(), ids=lambda item: item[0])
def installed(request: pytest.FixtureRequest, wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `bin` directory of an environment that has the wheel and its dependencies only."""
    version, python = request.param
    folder = tmp_path_factory.mktemp(f"python-{version}") / "venv"
    run(UV, "venv", "--quiet", "--no-project", "--python", python, str(folder))
    run(UV, "pip", "install", "--quiet", "--python", str(folder / "bin" / "python"), str(wheel))
    return folder / "bin"
