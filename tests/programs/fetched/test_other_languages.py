"""The examples for Java and Node: their tests start Atoll as a process, and stop it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import servers

EXAMPLES = servers.ROOT / "examples"


@pytest.fixture
def environment_of_examples(tmp_path: Path) -> dict[str, str]:
    """The program `atoll` of this working tree. It notes its process id."""
    program = tmp_path / "atoll"
    program.write_text(f'#!/bin/sh\necho $$ > {tmp_path}/pid\nexec {sys.executable} -m atoll "$@"\n')
    program.chmod(0o755)
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "ATOLL_"))}
    return plain | {"ATOLL": str(program), "PYTHONPATH": str(servers.ROOT / "src")}


def has_ended(tmp_path: Path) -> bool:
    """Whether the server that the example started has ended."""
    pid = int((tmp_path / "pid").read_text())
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return "zombie" in Path(f"/proc/{pid}/status").read_text()


def test_the_documentation_shows_these_files() -> None:
    page = (servers.ROOT / "docs" / "other-languages.md").read_text()
    for path in [*EXAMPLES.glob("java/src/test/java/*.java"), *EXAMPLES.glob("node/*.mjs")]:
        assert path.read_text() in page, path.name


def test_node(node_modules: Path, environment_of_examples: dict[str, str], tmp_path: Path) -> None:
    folder = node_modules / "example"
    shutil.copytree(EXAMPLES / "node", folder, dirs_exist_ok=True)
    command = ["node", "--test", "orders.test.mjs"]
    done = subprocess.run(command, cwd=folder, env=environment_of_examples, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "pass 1" in done.stdout
    assert has_ended(tmp_path)


def test_the_server_that_jest_starts(environment_of_examples: dict[str, str], tmp_path: Path) -> None:
    """As Jest calls the two functions: both in one process."""
    program = """
    import start from "./jest.start.mjs";
    import stop from "./jest.stop.mjs";
    await start();
    console.log((await fetch(`${process.env.AWS_ENDPOINT_URL}/_atoll/health/live`)).status);
    await stop();
    """
    command = ["node", "--input-type=module", "--eval", program]
    done = subprocess.run(
        command, cwd=EXAMPLES / "node", env=environment_of_examples, capture_output=True, text=True, timeout=120
    )
    assert (done.returncode, done.stdout) == (0, "200\n"), done.stderr
    assert has_ended(tmp_path)


def test_java(environment_of_examples: dict[str, str], tmp_path: Path) -> None:
    servers.require("javac", "mvn")
    folder = servers.CACHE / "programs" / "java"
    shutil.copytree(EXAMPLES / "java", folder, dirs_exist_ok=True)
    command = ["mvn", "-q", "-B", "test"]
    done = subprocess.run(command, cwd=folder, env=environment_of_examples, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    report = next((folder / "target" / "surefire-reports").glob("*.txt")).read_text()
    assert "Tests run: 1, Failures: 0, Errors: 0, Skipped: 0" in report
    assert has_ended(tmp_path)
