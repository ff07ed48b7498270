"""`make release`: check that this commit can be released, build the packages, and tag it. Nothing is published.

The version is that of `atoll/__init__.py`. Its section of CHANGELOG.md must have a date, the working tree must be
clean, and the tag must not exist.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


class NotReady(Exception):
    """Its text says why."""


def version_of(root: Path) -> str:
    found = re.search(r'^__version__ = "(.+)"$', (root / "src" / "atoll" / "__init__.py").read_text(), re.MULTILINE)
    if found is None:
        raise NotReady("src/atoll/__init__.py has no version")
    return found[1]


def check(root: Path) -> str:
    """The name of the tag, if the commit can have it."""
    version = version_of(root)
    dated = rf"^## {re.escape(version)} \(\d{{4}}-\d\d-\d\d\)$"
    if re.search(dated, (root / "CHANGELOG.md").read_text(), re.MULTILINE) is None:
        raise NotReady(f"CHANGELOG.md needs the line `## {version} (YEAR-MONTH-DAY)`")
    if changed := _git(root, "status", "--porcelain"):
        raise NotReady(f"the working tree has changes: {changed.splitlines()[0].strip()}")
    tag = f"v{version}"
    if _git(root, "tag", "--list", tag):
        raise NotReady(f"the tag {tag} exists already: raise the version in src/atoll/__init__.py")
    return tag


def create_tag(root: Path, tag: str) -> None:
    _git(root, "tag", "--annotate", tag, "--message", f"Atoll {tag.removeprefix('v')}")


def _git(root: Path, *arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, check=True).stdout.strip()


def main(arguments: list[str], root: Path = ROOT) -> int:
    """`check` only checks; `tag` checks again and tags."""
    try:
        tag = check(root)
    except NotReady as reason:
        print(f"not ready for a release: {reason}", file=sys.stderr)
        return 1
    if arguments == ["tag"]:
        create_tag(root, tag)
        print(f"tagged {tag}; the packages are in dist")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
