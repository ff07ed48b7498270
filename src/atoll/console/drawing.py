"""Drawings as SVG. Pure. ElementTree escapes the texts in them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, floor, log10
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

Point = tuple[float, float]


@dataclass(frozen=True)
class Line:
    """A line of a chart. `kind` is its CSS class; points are (seconds since 1970, value)."""

    label: str
    kind: str
    points: Sequence[Point]


def picture(width: float, height: float, title: str, *, grows: bool = True) -> Element:
    svg = Element("svg", viewBox=f"0 0 {width:g} {height:g}", role="img", xmlns="http://www.w3.org/2000/svg")
    svg.set("aria-label", title)
    svg.set("width", "100%" if grows else f"{width:g}")
    return svg


def add(parent: Element, tag: str, kind: str = "", text: str = "", **given: float | str) -> Element:
    """Append an element. Underscores in names stand for hyphens."""
    attributes = {name.strip("_").replace("_", "-"): _text(value) for name, value in given.items()}
    if kind:
        attributes["class"] = kind
    found = SubElement(parent, tag, attributes)
    if text:
        found.text = text
    return found


def _text(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:.1f}".rstrip("0").rstrip(".")


def path(points: Sequence[Point]) -> str:
    return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points)


WIDTH, HEIGHT = 560, 170
LEFT, RIGHT, TOP, BOTTOM = 46, 8, 22, 20
STEPS = 4


def chart(title: str, lines: Sequence[Line], start: float, end: float, clock: Sequence[tuple[float, str]]) -> Element:
    """A chart of lines over time, with a value axis from zero. `clock` has the times to label."""
    svg = picture(WIDTH, HEIGHT, _summary(title, lines))
    most = nice_ceiling(max((value for line in lines for _, value in line.points), default=0))

    def x(at: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * (at - start) / max(1.0, end - start)

    def y(value: float) -> float:
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * value / most

    for step in range(STEPS + 1):
        value = most * step / STEPS
        add(svg, "line", "axis", x1=LEFT, x2=WIDTH - RIGHT, y1=y(value), y2=y(value))
        add(svg, "text", text=f"{value:,.10g}", x=LEFT - 6, y=y(value) + 4, text_anchor="end")
    for at, name in clock:
        add(svg, "text", text=name, x=x(at), y=HEIGHT - 5, text_anchor="middle")
    place = float(LEFT)
    for line in lines:
        add(svg, "line", f"line {line.kind}", x1=place, x2=place + 18, y1=9, y2=9)
        add(svg, "text", text=line.label, x=place + 23, y=13)
        place += 40 + 6.4 * len(line.label)
        if len(line.points) == 1:
            add(svg, "circle", f"fill-{line.kind}", cx=x(line.points[0][0]), cy=y(line.points[0][1]), r=2.5)
        elif line.points:
            add(svg, "path", f"line {line.kind}", d=path([(x(at), y(value)) for at, value in line.points]))
    return svg


def _summary(title: str, lines: Sequence[Line]) -> str:
    """The text that a screen reader speaks in place of a chart."""
    peaks = [f"{line.label} at most {max((value for _, value in line.points), default=0):,.6g}" for line in lines]
    return f"{title}: {', '.join(peaks)}"


def nice_ceiling(value: float) -> float:
    """The least of 1, 2, 4, 6, 8, 10, 20, ... that is not below the value."""
    if value <= 0:
        return 1.0
    scale = 10.0 ** floor(log10(value))
    return next(one * scale for one in (1, 2, 4, 6, 8, 10) if one * scale >= value * (1 - 1e-9))


def marks(start: float, end: float, most: int) -> list[float]:
    """Round times between two times, at most `most`."""
    steps = (60, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400, 172_800, 604_800)
    step = next((one for one in steps if (end - start) / one <= most), steps[-1])
    first = ceil(start / step) * step
    return [float(first + number * step) for number in range(int((end - first) // step) + 1)]


def as_text(svg: Element) -> str:
    return ElementTree.tostring(svg, encoding="unicode")
