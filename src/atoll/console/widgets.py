"""The elements of pages: native controls, tables and texts. No text is interpreted as HTML."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal
from xml.etree import ElementTree

from nicegui import ui
from nicegui.element import Element
from nicegui.elements.mixins.value_element import ValueElement
from nicegui.events import GenericEventArguments

from atoll.console.endpoint import CallFailed, checked_answers

STATIC = Path(__file__).parent / "static"
WIDE = 48
"""A fact with more characters gets a separate line."""

Kind = Literal["positive", "negative", "warning", "info"]
Action = Callable[[], Any]
Choices = Mapping[Any, str] | Sequence[str]


def text(content: str, tag: str = "p", kind: str = "") -> Element:
    found = ui.element(tag).classes(kind)
    found._text = content
    return found


def put(element: Element, content: str) -> None:
    """Replace the text of an element."""
    element._text = content
    element.update()


def box(kind: str = "", tag: str = "div") -> Element:
    return ui.element(tag).classes(kind)


@contextmanager
def section(title: str, kind: str = "") -> Any:
    with ui.element("section").classes(kind) as found:
        heading = text(title, "h2")
        found.props["aria-labelledby"] = heading.html_id
        yield found


def say(message: str, kind: Kind = "positive") -> None:
    """A short message that goes away. Screen readers speak it."""
    ui.notify(message, type=kind, position="bottom-right", timeout=4000, multi_line=True)


async def attempt(action: Action) -> None:
    """Run an action; show a message if the endpoint refuses."""
    try:
        with checked_answers():
            result = action()
            if inspect.isawaitable(result):
                await result
    except CallFailed as failure:
        ui.notify(
            str(failure),
            type="negative",
            position="bottom-right",
            timeout=10_000,
            close_button="Close",
            multi_line=True,
        )


def button(label: str, action: Action, kind: str = "", *, name: str = "", disabled: bool = False) -> Element:
    """`name` is the text for screen readers, if the label alone is not enough."""
    found = ui.element("button").classes(kind).props("type=button")
    found._text = label
    if name:
        found.props["aria-label"] = name
    if disabled:
        found.props["disabled"] = True
    running = False

    async def press() -> None:
        nonlocal running
        if running:
            return
        running = True
        try:
            await attempt(action)
        finally:
            running = False

    found.on("click", press)
    return found


def link(label: str, url: str, kind: str = "") -> Element:
    found = text(label, "a", kind)
    found.props["href"] = url
    return found


def callout(message: str, kind: str = "info") -> Element:
    found = text(message, "div", f"callout {kind}")
    found.props["role"] = "alert" if kind == "bad" else "note"
    return found


class Field(ValueElement[Any], component="static/field.js"):
    """A labelled control. `kind` is a type of HTML's input, or select, textarea, choice or checkbox."""

    VALUE_PROP = "value"
    LOOPBACK = False

    def __init__(
        self, label: str, value: Any = "", kind: str = "text", options: Choices = (), *, change: Action | None = None,
        enter: Action | None = None, width: str = "", **props: Any,
    ) -> None:  # fmt: skip
        super().__init__(value=value)
        self.props["label"], self.props["kind"] = label, kind
        self.offer(options)
        for name, given in props.items():
            self.props[name] = given
        if width:
            self.style(f"flex:0 1 auto;width:{width}")
        if change is not None:
            self.on_value_change(lambda: attempt(change))
        if enter is not None:
            self.on("enter", lambda: attempt(enter), [])

    def offer(self, options: Choices) -> None:
        pairs = options.items() if isinstance(options, Mapping) else ((one, one) for one in options)
        self.props["options"] = [list(pair) for pair in pairs]

    def show(self, value: Any) -> None:
        """Replace the shown value, even if the page set the same value before and the user has changed it since."""
        self.value = value
        self._client_value = object()
        self.props["shown"] = self.props.get("shown", 0) + 1

    @property
    def text(self) -> str:
        return str(self.value if self.value is not None else "").strip()


Cell = str | Mapping[str, Any]


class Grid(Element, component="static/grid.js"):
    """A table. A cell is a text, or a mapping of `text` and `href` (a link) or `act` (an action: `acted` gets it with
    the row). With `chosen`, rows have checkboxes, and it gets the checked rows. New rows are not checked."""

    def __init__(
        self, caption: str, columns: Sequence[str | tuple[str, str]], rows: Iterable[Sequence[Cell]] = (), *,
        empty: str = "None", shown: bool = False, acted: Callable[[int, str], Any] | None = None,
        chosen: Callable[[list[int]], Any] | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        self.props["caption"], self.props["shown"], self.props["empty"] = caption, shown, empty
        self.fill(rows, columns)
        if acted is not None:
            self.on("act", lambda event: self._act(acted, event))
        if chosen is not None:
            self.props["choosable"] = True
            self.on("choose", lambda event: chosen([int(row) for row in event.args]))

    @staticmethod
    async def _act(acted: Callable[[int, str], Any], event: GenericEventArguments) -> None:
        row, act = event.args
        await attempt(lambda: acted(int(row), str(act)))

    def fill(self, rows: Iterable[Sequence[Cell]], columns: Sequence[str | tuple[str, str]] | None = None) -> None:
        if columns is not None:
            pairs = [one if isinstance(one, tuple) else (one, "") for one in columns]
            self.props["columns"] = [{"label": label, "align": align} for label, align in pairs]
        self.props["rows"] = [
            {"cells": [{"text": cell} if isinstance(cell, str) else dict(cell) for cell in row]} for row in rows
        ]


def facts(pairs: Iterable[tuple[str, Any]]) -> None:
    """Names and values. Values that are None are left out."""
    with ui.element("dl").classes("facts"):
        for name, value in pairs:
            if value is not None:
                with box("wide" if len(str(value)) > WIDE else ""):
                    text(name, "dt")
                    text(str(value), "dd")


def code(content: str, name: str) -> Element:
    """Source code with a button that copies it. Returns the element of the text."""
    with box("code"):
        shown = text(content, "pre")
        shown.props["tabindex"], shown.props["aria-label"] = "0", name
        button("Copy", lambda: _copy(shown), "small", name=f"Copy {name}")
    return shown


def _copy(shown: Element) -> None:
    ui.clipboard.write(shown._text or "")
    say("Copied")


def drawing(svg: ElementTree.Element) -> ui.html:
    """Show an SVG that the console drew. ElementTree has escaped all texts in it."""
    return ui.html(ElementTree.tostring(svg, encoding="unicode"), sanitize=False).classes("drawing")


async def confirmed(title: str, message: str, action: str, word: str = "") -> bool:
    """Ask before an action that cannot be undone. With `word`, the user must type it."""
    with ui.dialog() as dialog, box("dialog"):
        dialog.props["aria-label"] = title
        text(title, "h2")
        text(message)
        typed = Field(f"Type {word} to confirm", focus=True, enter=lambda: _if_typed()) if word else None

        def _if_typed() -> None:
            if typed is None or typed.text == word:
                dialog.submit(True)
            else:
                say(f"Type {word} first", "warning")

        with box("actions"):
            button("Cancel", lambda: dialog.submit(False))
            button(action, _if_typed, "danger")
    answer = bool(await dialog)
    if not dialog.is_deleted:  # it is deleted with its page when the user leaves
        dialog.delete()
    return answer


def later(action: Callable[[], Any], seconds: float = 0.05) -> None:
    """Run an action when the page is shown."""
    ui.timer(seconds, lambda: attempt(action), once=True)


async def together(*work: Any) -> list[Any]:
    """Run calls together; returns the answers, or the CallFailed of each that failed."""
    found = await asyncio.gather(*work, return_exceptions=True)
    for one in found:
        if isinstance(one, BaseException) and not isinstance(one, CallFailed):
            raise one
    return list(found)
