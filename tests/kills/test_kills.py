"""`kill -9` in the middle of backups, restores, exports and imports. `make kills` has more rounds."""

from __future__ import annotations

from pathlib import Path

from tests.kills.life import Life


def test_killed_jobs_end_by_themselves_with_the_right_items(tmp_path: Path) -> None:
    Life(tmp_path, seed=1).play()
