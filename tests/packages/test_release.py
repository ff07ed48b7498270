"""`make release` tags only what is ready."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.packages.release import main


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "src" / "atoll").mkdir(parents=True)
    (tmp_path / "src" / "atoll" / "__init__.py").write_text('__version__ = "1.2.3"\n')
    (tmp_path / "CHANGELOG.md").write_text("# Changes\n\n## 1.2.3 (2026-12-01)\n\n- All of it\n")
    git(tmp_path, "init", "--quiet")
    commit(tmp_path)
    return tmp_path


def git(root: Path, *arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, check=True).stdout


def commit(root: Path) -> None:
    git(root, "config", "user.name", "A")
    git(root, "config", "user.email", "a@example.com")
    git(root, "add", "-A")
    git(root, "commit", "--quiet", "--allow-empty", "-m", "all")


def test_a_release_is_tagged_once(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check"], root) == 0
    assert git(root, "tag") == ""
    assert main(["tag"], root) == 0
    assert git(root, "tag", "--list", "--format=%(refname:short) %(contents:subject)") == "v1.2.3 Atoll 1.2.3\n"
    commit(root)
    assert main(["tag"], root) == 1
    assert "the tag v1.2.3 exists already" in capsys.readouterr().err


def test_an_undated_section_is_not_ready(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (root / "CHANGELOG.md").write_text("# Changes\n\n## 1.2.3 (not released yet)\n")
    commit(root)
    assert main(["tag"], root) == 1
    assert "CHANGELOG.md needs the line `## 1.2.3 (YEAR-MONTH-DAY)`" in capsys.readouterr().err
    assert git(root, "tag") == ""


def test_a_changed_working_tree_is_not_ready(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (root / "new").touch()
    assert main(["check"], root) == 1
    assert "the working tree has changes: ?? new" in capsys.readouterr().err
