"""Show two images of an item side by side."""

from __future__ import annotations

from collections.abc import Iterable

from nicegui import ui

from atoll.console.images import ADDED, CHANGED, REMOVED, Line
from atoll.console.widgets import box, text

_SIGNS = {ADDED: "added", REMOVED: "removed", CHANGED: "changed"}


def diff(lines: Iterable[Line], caption: str) -> None:
    with box("diff"), ui.element("table"):
        text(caption, "caption", "hidden")
        with ui.element("tbody"):
            for line in lines:
                with ui.element("tr"):
                    name = text(line.name, "td")
                    name.props["title"] = _SIGNS.get(line.kind, "unchanged")
                    text(line.old, "td", "removed" if line.kind in (REMOVED, CHANGED) else "")
                    text(line.new, "td", "added" if line.kind in (ADDED, CHANGED) else "")
