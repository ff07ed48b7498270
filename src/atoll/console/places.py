"""The geographic position of regions, and a map of them. Pure.

The land is drawn just well enough to recognize the continents. Regions with unknown positions stand in a row below it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import hypot
from xml.etree.ElementTree import Element

from atoll.console.drawing import add, picture

PLACES = {  # longitude, latitude
    "us-east-1": (-78, 38), "us-east-2": (-83, 41), "us-west-1": (-121, 37), "us-west-2": (-120, 46),
    "ca-central-1": (-73, 46), "ca-west-1": (-114, 51), "mx-central-1": (-100, 21), "sa-east-1": (-47, -23),
    "eu-west-1": (-7, 53), "eu-west-2": (0, 51.5), "eu-west-3": (2, 47.5), "eu-central-1": (9, 50),
    "eu-central-2": (9, 46), "eu-north-1": (18, 60), "eu-south-1": (11, 44), "eu-south-2": (-2, 41),
    "il-central-1": (35, 32), "me-south-1": (50, 26), "me-central-1": (55, 24), "af-south-1": (18, -33),
    "ap-south-1": (73, 19), "ap-south-2": (78, 17), "ap-southeast-1": (104, 1), "ap-southeast-2": (151, -33),
    "ap-southeast-3": (107, -6), "ap-southeast-4": (145, -38), "ap-southeast-5": (102, 3), "ap-southeast-7": (100, 14),
    "ap-east-1": (114, 22), "ap-east-2": (121, 25), "ap-northeast-1": (139, 36), "ap-northeast-2": (127, 37),
    "ap-northeast-3": (135, 34), "cn-north-1": (116, 40), "cn-northwest-1": (106, 38), "us-gov-east-1": (-82, 40),
    "us-gov-west-1": (-120, 44),
}  # fmt: skip

LAND = (
    # North and Central America
    ((-168, 66), (-156, 71), (-125, 70), (-95, 72), (-82, 68), (-94, 60), (-82, 53), (-79, 52), (-78, 62), (-65,
     60), (-56, 52), (-65, 45), (-70, 42), (-76, 35), (-81, 30), (-80, 25), (-83, 29), (-90, 29), (-97, 27),
     (-97, 21), (-91, 18), (-87, 21), (-88, 16), (-83, 15), (-83, 10), (-79, 9), (-83, 8), (-92, 14), (-105,
     20), (-113, 30), (-117, 33), (-124, 40), (-124, 48), (-135, 58), (-150, 60), (-165, 56), (-158, 59), (-165,
     62)),
    # Greenland
    ((-73, 78), (-60, 82), (-30, 83), (-20, 76), (-25, 70), (-42, 60), (-52, 66), (-55, 72)),
    # South America
    ((-79, 9), (-72, 12), (-62, 10), (-51, 4), (-35, -6), (-39, -16), (-48, -26), (-57, -36), (-65, -42), (-68,
     -52), (-74, -50), (-71, -30), (-70, -18), (-81, -5), (-77, 3)),
    # Europe and Asia
    ((-9, 37), (-9, 43), (-2, 44), (-4, 48), (4, 52), (8, 57), (11, 54), (20, 55), (28, 60), (22, 60), (25, 65),
     (18, 60), (12, 56), (5, 59), (5, 62), (15, 69), (28, 71), (40, 67), (45, 68), (68, 69), (73, 72), (100,
     77), (113, 74), (140, 72), (160, 70), (180, 69), (178, 63), (163, 60), (157, 51), (155, 58), (142, 59),
     (135, 54), (140, 48), (129, 42), (129, 35), (126, 35), (125, 40), (118, 39), (122, 37), (120, 33), (122,
     30), (117, 23), (108, 21), (109, 12), (105, 9), (101, 13), (104, 2), (99, 8), (98, 16), (91, 22), (80, 15),
     (77, 8), (73, 20), (67, 25), (57, 26), (49, 30), (52, 24), (59, 22), (52, 16), (44, 13), (35, 28), (35,
     32), (36, 37), (27, 37), (29, 41), (41, 41), (37, 45), (31, 46), (28, 42), (23, 38), (19, 42), (13, 45),
     (18, 40), (16, 38), (10, 44), (3, 43), (0, 40), (-5, 36)),
    # Great Britain, Ireland, Iceland
    ((-5, 50), (1, 51), (0, 53), (-2, 58), (-6, 58), (-3, 54)),
    ((-10, 52), (-6, 52), (-6, 55), (-9, 54)),
    ((-24, 65), (-14, 65), (-18, 63)),
    # Africa, Madagascar
    ((-6, 36), (10, 37), (11, 33), (20, 31), (33, 31), (37, 20), (43, 12), (51, 12), (40, -4), (40, -15), (35,
     -24), (28, -33), (18, -35), (12, -18), (13, -6), (9, 4), (-8, 4), (-17, 14), (-16, 23)),
    ((44, -17), (50, -15), (47, -25), (44, -24)),
    # Japan, Sumatra and Java, Borneo, New Guinea, Philippines
    ((131, 32), (136, 34), (141, 36), (142, 43), (145, 44), (141, 45), (139, 38), (132, 35)),
    ((95, 5), (104, -3), (115, -8), (105, -7), (99, 0)),
    ((109, 1), (117, 7), (117, -3), (111, -3)),
    ((131, -1), (141, -3), (150, -10), (142, -9), (134, -4)),
    ((120, 18), (122, 14), (126, 8), (122, 7), (120, 14)),
    # Australia, New Zealand
    ((114, -22), (122, -18), (130, -12), (136, -12), (140, -17), (142, -11), (146, -19), (153, -26), (150, -37),
     (141, -38), (131, -32), (115, -34)),
    ((173, -35), (178, -38), (167, -47), (172, -41)),
)  # fmt: skip

WIDTH, HEIGHT = 860, 372
ROW = 24.0


@dataclass(frozen=True)
class Link:
    start: str
    end: str
    cut: bool
    label: str = ""


def placed(regions: Sequence[str]) -> dict[str, tuple[float, float]]:
    """The position of each region on the map."""
    found: dict[str, tuple[float, float]] = {}
    unknown = [name for name in regions if name not in PLACES]
    for name in regions:
        if name in PLACES:
            found[name] = _at(*PLACES[name])
    for number, name in enumerate(unknown):
        found[name] = (WIDTH * (number + 1) / (len(unknown) + 1), HEIGHT - ROW / 2)
    return found


def _at(longitude: float, latitude: float) -> tuple[float, float]:
    return (longitude + 172) / 360 * WIDTH, (80 - latitude) / 136 * (HEIGHT - ROW)


def drawn(regions: Sequence[str], links: Sequence[Link], troubled: Sequence[str] = ()) -> Element:
    at = placed(regions)
    cut = sum(link.cut for link in links)
    svg = picture(WIDTH, HEIGHT, f"A map of {', '.join(regions)}: {len(links)} links, {cut} of them cut")
    for outline in LAND:
        add(svg, "polygon", "land", points=" ".join("{:.1f},{:.1f}".format(*_at(*point)) for point in outline))
    for link in links:
        if link.start in at and link.end in at:
            _draw_link(svg, link, at[link.start], at[link.end])
    for name, (x, y) in at.items():
        group = add(svg, "g")
        add(group, "circle", "fill-c" if name in troubled else "fill-a", cx=x, cy=y, r=5)
        add(group, "text", "strong", text=name, x=x, y=y - 10, text_anchor="middle")
    return svg


def _draw_link(svg: Element, link: Link, start: tuple[float, float], end: tuple[float, float]) -> None:
    """Draw a link as an arc bent to its left, so that the two directions do not overlap. The arrow is in the middle."""
    (x1, y1), (x2, y2) = start, end
    length = hypot(x2 - x1, y2 - y1) or 1.0
    across = ((y2 - y1) / length, (x1 - x2) / length)
    bend = 0.16 * length + 10
    middle = ((x1 + x2) / 2 + across[0] * bend, (y1 + y2) / 2 + across[1] * bend)
    state = "bad" if link.cut else "good"
    group = add(svg, "g")
    add(group, "title", text=f"{link.start} to {link.end}: {'cut' if link.cut else 'open'}{link.label}")
    add(group, "path", f"edge {state}", d=f"M{x1:.1f} {y1:.1f}Q{middle[0]:.1f} {middle[1]:.1f} {x2:.1f} {y2:.1f}")
    along = ((x2 - x1) / length * 5, (y2 - y1) / length * 5)
    tip = ((x1 + x2) / 4 + middle[0] / 2, (y1 + y2) / 4 + middle[1] / 2)
    corners = [
        (tip[0] + along[0], tip[1] + along[1]),
        (tip[0] - along[0] + across[0] * 4, tip[1] - along[1] + across[1] * 4),
        (tip[0] - along[0] - across[0] * 4, tip[1] - along[1] - across[1] * 4),
    ]
    add(group, "polygon", "fill-c" if link.cut else "fill-a", points=" ".join(f"{x:.1f},{y:.1f}" for x, y in corners))
