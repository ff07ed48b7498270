"""What MkDocs calls while it builds the site.

The site also has pages that are made from the code, and pages that live elsewhere in the repository: its root has what
people look for there, and the examples are programs.
"""

from __future__ import annotations

import posixpath
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

EXAMPLES = ("auto_scaling", "global_table", "nearest_notes/nearest_notes", "optimistic_locking")

LINK = re.compile(r"(!?\[(?P<text>[^\]]*)\])\((?!https?:|mailto:|#)(?P<target>[^)\s#]+)(?P<anchor>#[^)\s]*)?\)")


def on_files(files: Files, config: Any) -> Files:
    for name, page in reference.PAGES.items():
        files.append(File.generated(config, name, content=page()))
    for source, name in ELSEWHERE.items():
        files.append(File.generated(config, name, content=(ROOT / source).read_text()))
    for program in (ROOT / "examples" / f"{name}.py" for name in EXAMPLES):
        text = f"# {program.stem.replace('_', ' ').capitalize()}\n\n```python\n{program.read_text()}```\n"
        made = program.relative_to(ROOT).with_suffix(".md").as_posix()
        files.append(File.generated(config, made, content=text))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    def linked(found: re.Match[str]) -> str:
        target = _on_site(page.file.src_uri, found["target"])
        return found["text"] if target is None else f"{found[1]}({target}{found['anchor'] or ''})"

    return LINK.sub(linked, markdown)


def _on_site(page: str, target: str) -> str | None:
    """The target of a link between files of the repository, as a link between pages of the site; None: it has none."""
    source = {name: path for path, name in ELSEWHERE.items()}.get(page, f"docs/{page}")
    path = posixpath.normpath(PurePosixPath(source).parent / target)
    if path in ELSEWHERE:
        name = ELSEWHERE[path]
    elif path == "README.md":
        name = "index.md"
    elif path.startswith("examples/") and path.endswith(".py"):
        name = path.removesuffix(".py") + ".md"
    elif path.startswith("docs/"):
        name = path.removeprefix("docs/")
    else:
        return None
    return posixpath.relpath(name, PurePosixPath(page).parent)
