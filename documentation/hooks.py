"""What MkDocs calls while it builds the site.

The site also has pages that are made from the code, and pages that live elsewhere in the repository: its root has what
people look for there, and the examples are programs.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path, PurePosixPath
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "src")]

from documentation import reference  # noqa: E402

ELSEWHERE = {
    "ARCHITECTURE.md": "architecture.md",
    "CHANGELOG.md": "changes.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security-policy.md",
}
"""Pages of the repository's root, by their name on the site."""

LINK = re.compile(r"\]\((?!https?:|mailto:|#)([^)\s#]+)(#[^)\s]*)?\)")


def on_files(files: Files, config: Any) -> Files:
    for name, page in reference.PAGES.items():
        files.append(File.generated(config, name, content=page()))
    for source, name in ELSEWHERE.items():
        files.append(File.generated(config, name, content=(ROOT / source).read_text()))
    for program in sorted((ROOT / "examples").glob("*.py")):
        text = f"# {program.stem.replace('_', ' ').capitalize()}\n\n```python\n{program.read_text()}```\n"
        files.append(File.generated(config, f"examples/{program.stem}.md", content=text))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    return LINK.sub(lambda found: f"]({_on_site(page.file.src_uri, found[1])}{found[2] or ''})", markdown)


def _on_site(page: str, target: str) -> str:
    """The target of a link between files of the repository, as a link between pages of the site."""
    source = {name: path for path, name in ELSEWHERE.items()}.get(page, f"docs/{page}")
    parts: list[str] = []
    for part in (PurePosixPath(source).parent / target).parts:
        if part == "..":
            parts.pop()
        else:
            parts.append(part)
    path = "/".join(parts)
    if path in ELSEWHERE:
        name = ELSEWHERE[path]
    elif path == "README.md":
        name = "index.md"
    elif path.startswith("examples/") and path.endswith(".py"):
        name = path.removesuffix(".py") + ".md"
    else:
        name = path.removeprefix("docs/")
    return "../" * (len(PurePosixPath(page).parts) - 1) + name
