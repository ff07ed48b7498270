"""Other systems, simulated: Windows by hiding the modules that it lacks, macOS by the calls that it would get."""

from __future__ import annotations

import asyncio
import fcntl
import os
import platform
import subprocess
import sys
import textwrap
from pathlib import Path
from types import SimpleNamespace

import pytest

from atoll import platforms
from atoll.storage import datasync, sqlitefile

ROOT = Path(__file__).parents[1]

# What a process of Windows finds: the standard library must not see the change, so only Atoll's view of it changes.
WINDOWS = """
    import sys
    from types import SimpleNamespace

    import pytest

    class Absent:
        def find_spec(self, name, path=None, target=None):
            if name in HIDDEN:
                raise ImportError("no module named " + name)

    HIDDEN = {hidden}
    for name in HIDDEN:
        sys.modules.pop(name, None)
    sys.meta_path.insert(0, Absent())
    from atoll import platforms
    platforms.sys = SimpleNamespace(platform="{platform}", stderr=sys.stderr)
"""
MISSING_ON_WINDOWS = {"fcntl", "resource", "uvloop", "pwd", "grp"}


def python(script: str, hidden: set[str], system: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    program = textwrap.dedent(WINDOWS).format(hidden=hidden, platform=system) + textwrap.dedent(script)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    environment["PYTHONPATH"] = str(ROOT / "src")
    command = [sys.executable, "-c", program, *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)


def test_on_windows_the_program_says_in_one_line_what_to_use() -> None:
    ended = python("from atoll.__main__ import main; sys.exit(main())", MISSING_ON_WINDOWS, "win32")
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.splitlines() == [
        "atoll: Atoll does not run on Windows itself: run it in the Windows Subsystem for Linux (WSL)"
    ]


class TestThePlugin:
    """pytest loads the plugin in each project of an environment that has Atoll, also where Atoll cannot run."""

    RUN = "sys.exit(pytest.main(['-q', '-p', 'no:cacheprovider', '-p', 'no:warnings', sys.argv[1]]))"

    @pytest.fixture
    def project(self, tmp_path: Path) -> str:
        (tmp_path / "test_it.py").write_text("def test_plain(): pass\ndef test_with_atoll(dynamodb): pass\n")
        return str(tmp_path)

    def test_on_windows_only_tests_that_use_a_fixture_fail(self, project: str) -> None:
        ended = python(self.RUN, MISSING_ON_WINDOWS, "win32", project)
        assert "1 passed, 1 error" in ended.stdout, ended.stdout + ended.stderr
        assert "Atoll does not run on Windows itself" in ended.stdout

    @pytest.mark.parametrize("missing", ["apsw", "orjson", "httptools"])
    def test_without_a_dependency_only_tests_that_use_a_fixture_fail(self, project: str, missing: str) -> None:
        ended = python(self.RUN, {missing}, "linux", project)
        assert "1 passed, 1 error" in ended.stdout, ended.stdout + ended.stderr
        assert f"Atoll cannot run here: no module named {missing}" in ended.stdout

    def test_without_uvloop_it_works(self, project: str) -> None:
        ended = python(self.RUN, {"uvloop"}, "linux", project)
        assert "2 passed" in ended.stdout, ended.stdout + ended.stderr


class TestMacOS:
    FULL_SYNC = 51

    @pytest.fixture
    def calls(self, monkeypatch: pytest.MonkeyPatch) -> list[str]:
        """The calls that macOS would get; F_FULLFSYNC fails if `refuses` is among them."""
        calls: list[str] = []

        def call(descriptor: int, operation: int) -> None:
            assert operation == self.FULL_SYNC
            if "refuses" in calls:
                raise OSError(45, "Operation not supported")
            calls.append("F_FULLFSYNC")

        monkeypatch.setattr(platforms, "sys", SimpleNamespace(platform="darwin"))
        monkeypatch.setattr(fcntl, "F_FULLFSYNC", self.FULL_SYNC, raising=False)
        monkeypatch.setattr(fcntl, "fcntl", call)
        monkeypatch.setattr(os, "fsync", lambda descriptor: calls.append("fsync"))
        monkeypatch.setattr(platform, "system", lambda: "Darwin")
        return calls

    def test_a_commit_empties_the_cache_of_the_drive(self, calls: list[str], tmp_path: Path) -> None:
        (tmp_path / "file").touch()

        async def main() -> BaseException | None:
            done: asyncio.Future[BaseException | None] = asyncio.get_running_loop().create_future()
            sync = datasync.open_sync(tmp_path / "file")
            assert isinstance(sync, datasync.ThreadSync)
            sync.start(done.set_result)
            error = await done
            sync.close()
            return error

        assert asyncio.run(main()) is None
        assert calls == ["F_FULLFSYNC"]

    def test_a_file_system_without_it_is_synced_as_far_as_it_can(self, calls: list[str]) -> None:
        calls.append("refuses")
        platforms.sync_data(0)
        assert calls == ["refuses", "fsync"]

    def test_space_is_taken_by_writing(self, calls: list[str], tmp_path: Path) -> None:
        path = tmp_path / "file"
        path.write_bytes(b"content")
        file = os.open(path, os.O_RDWR)
        platforms.allocate(file, 3_000_000)
        platforms.allocate(file, 10)
        os.close(file)
        assert path.stat().st_size == 3_000_000
        assert path.read_bytes().rstrip(b"\0") == b"content"


@pytest.mark.parametrize("synced", [True, False])
def test_sqlite_empties_the_cache_of_the_drive_if_commits_are_durable(synced: bool, tmp_path: Path) -> None:
    connection = sqlitefile.connect(tmp_path / "store", synced=synced)
    assert connection.pragma("fullfsync") == connection.pragma("checkpoint_fullfsync") == synced
    connection.close()
